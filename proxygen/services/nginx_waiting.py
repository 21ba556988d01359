"""nginx: how it tells the daemon that a client asked for a name that waits for its DNS."""

from __future__ import annotations

from dataclasses import dataclass

from proxygen.model.layout import ServiceLayout
from proxygen.services.nginx_lexer import Directive

LONGEST_SOCKET = 107
"""Octets of the path of a socket (sun_path in unix(7)), without the one that ends it."""


@dataclass(frozen=True, slots=True)
class WaitingLog:
    """A log of requests for names that wait, and for no others.

    *folder* has a file for each of these names, *socket* is where the daemon listens. A log of ours
    in ``http`` takes the place of the one that nginx has where its files name none: *usual* is the
    file of that, empty where they name one.
    """

    folder: str
    socket: str
    usual: str


def waiting_log(layout: ServiceLayout, usual: str) -> WaitingLog | None:
    """Return the log; None where nginx cannot name the socket, as below a long ``--root``."""
    socket = str(layout.waiting_socket)
    plain = len(socket.encode()) <= LONGEST_SOCKET and not set(socket) & set(",:")
    return WaitingLog(str(layout.waiting_names), socket, usual) if plain else None


def usual_log(root: Directive, compiled: str | None) -> str:
    """Return the file that nginx logs requests to without being told; empty where it is told.

    *compiled* is the one that it was built with.
    """
    told = root.below("http", "access_log")
    return "" if told else compiled or "logs/access.log"
