"""nginx: how it tells the daemon that a client asked for a name that waits for its DNS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from proxygen.model.layout import ServiceLayout
from proxygen.services import EVERYWHERE
from proxygen.services.nginx_facts import NginxFacts
from proxygen.services.nginx_lexer import Directive, parse_configuration

LONGEST_SOCKET = 107
"""Octets of the path of a socket (sun_path in unix(7)), without the one that ends it."""


@dataclass(frozen=True, slots=True)
class WaitingLog:
    """A log of requests for names that wait, and for no others.

    *folder* has a file for each of these names, *socket* is where the daemon listens. A log of ours
    in ``http`` takes the place of the one that nginx has where its files name none: *usual* is the
    file of that, empty where they name one. A log in a server block replaces those of ``http``: it
    is written again where the administrator's directives for *everywhere*, or those in one of the
    folders *own*, have one.
    """

    folder: str
    socket: str
    usual: str
    everywhere: bool = False
    own: tuple[Path, ...] = ()


def waiting_log(layout: ServiceLayout, facts: NginxFacts) -> WaitingLog | None:
    """Return the log; None where nginx cannot name the socket, as below a long ``--root``."""
    socket = str(layout.waiting_socket)
    if len(socket.encode()) > LONGEST_SOCKET or set(socket) & set(",:"):
        return None
    logging = {scope: each for scope, each in facts.additions.items() if has_log(each.files)}
    own = tuple(layout.own.additions / each.digest for each in logging.values())
    folder = str(layout.waiting_names)
    return WaitingLog(folder, socket, facts.usual_log, EVERYWHERE in logging, own)


def has_log(files: tuple[tuple[str, str], ...]) -> bool:
    """Return whether directives for a server block have a log of their own, not in a location."""
    return any(parse_configuration(text).all("access_log") for _, text in files)


def usual_log(root: Directive, compiled: str | None) -> str:
    """Return the file that nginx logs requests to without being told; empty where it is told.

    *compiled* is the one that it was built with.
    """
    told = root.below("http", "access_log")
    return "" if told else compiled or "logs/access.log"
