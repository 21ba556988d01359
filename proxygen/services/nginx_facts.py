"""nginx: what ``nginx -V`` and its configuration tell about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from proxygen.errors import ServiceError
from proxygen.failure import Failure, Scope, failure
from proxygen.model.layout import Layout
from proxygen.services import Answer, WebFacts
from proxygen.services.nginx_lexer import Directive, includes_of, parse_configuration
from proxygen.services.nginx_mail import NO_MAIL, NginxMail
from proxygen.services.nginx_others import is_default, names_of, socket_of
from proxygen.services.nginx_settings import NginxSettings
from proxygen.services.service_answers import dotted_version

OLDEST = (1, 19, 5)
"""``ssl_reject_handshake`` came with 1.19.4, the option ``-e`` with 1.19.5."""
SERVED = ("http", "stream", "mail")
"""The blocks in which server blocks stand."""
ADDRESS = re.compile(r"\[[0-9A-Fa-f:.]+\]|[0-9]+(?:\.[0-9]+)+")


@dataclass(frozen=True, slots=True)
class NginxFacts(WebFacts):
    """What was found out about nginx.

    *openssl*: the version of the OpenSSL it uses, empty if unknown. *default_ports* are those
    for which somebody else's server block is the default. *without* are the modules for HTTP that
    it was built without. *proxied* are the sockets on which somebody else's server block wants a
    PROXY protocol header, each with FILE:LINE. *client_certificates* is where nginx is told to want
    certificates of all clients. *usual_log*: where requests are logged because no file says
    otherwise. *mail* is what stands in ``mail {}``.
    """

    openssl: tuple[int, ...] = ()
    default_ports: frozenset[int] = frozenset()
    without: frozenset[str] = frozenset()
    proxied: Mapping[str, str] = field(default_factory=dict)
    client_certificates: str = ""
    usual_log: str = ""
    mail: NginxMail = NO_MAIL


def main_file(settings: NginxSettings, layout: Layout) -> Path:
    """Return the main configuration file."""
    if settings.configuration:
        return layout.host(settings.configuration)
    return layout.usual_folder("nginx") / "nginx.conf"


def pointer_file(main: Path) -> Path:
    """Return the one file of ours among nginx's own; the first that is included."""
    return main.parent / "conf.d" / "00-proxygen.conf"


def nginx_version(program: str, settings: NginxSettings, built: str) -> tuple[int, ...]:
    """Return nginx's version; raise ServiceError if it lacks what we need."""
    version = dotted_numbers(r"nginx version: \S+?/([0-9.]+)", built)
    if version < OLDEST:
        raise ServiceError(too_old(version, program, built))
    if settings.proxy_protocol and "http_realip_module" not in built:
        raise ServiceError(failure("nginx-no-realip", Scope.SERVICE, "nginx", where=program))
    return version


def too_old(version: tuple[int, ...], program: str, built: str) -> Failure:
    """Return what is said of a version that lacks what we need, or is not told."""
    return failure(
        "nginx-too-old" if version else "nginx-no-version",
        Scope.SERVICE,
        "nginx",
        where=program,
        words=built[:1000],
        oldest=dotted_version(OLDEST),
        version=dotted_version(version),
    )


def own_configuration(answer: Answer, main: Path, built: str) -> Directive:
    """Return nginx's configuration as it was read; it must include our file."""
    if answer.code:
        compiled = build_option("conf-path", built)
        raise ServiceError(
            failure(
                "nginx-unreadable-there" if compiled else "nginx-unreadable",
                Scope.SERVICE,
                "nginx",
                where=main,
                words=answer.words,
                compiled=compiled or "",
            )
        )
    root, ours = parse_configuration(answer.out, str(main)), pointer_file(main)
    if not any(ours.match(str(main.parent / each.mask)) for each in includes_of(root)):
        mask = f"{ours.parent}/*.conf"
        raise ServiceError(
            failure("nginx-not-including", Scope.SERVICE, "nginx", where=main, mask=mask)
        )
    return root


def dotted_numbers(pattern: str, text: str) -> tuple[int, ...]:
    """Return the dotted number that *pattern* finds; empty if it finds none."""
    match = re.search(pattern, text)
    return tuple(int(part) for part in match[1].split(".") if part) if match else ()


def build_option(name: str, built: str) -> str | None:
    """Return what nginx was built with (``nginx -V``)."""
    match = re.search(rf"--{name}=(\S+)", built)
    return match[1] if match else None


def modules_without(built: str) -> frozenset[str]:
    """Return the modules for HTTP that nginx was built without."""
    return frozenset(re.findall(r"--without-http_(\w+)_module", built))


def pid_file(root: Directive, built: str, layout: Layout) -> Path:
    """Return where the master process leaves its id; a relative path is below the prefix."""
    if said := root.first("pid"):
        return layout.host(build_option("prefix", built) or "/") / said
    return layout.host(build_option("pid-path", built) or "/run/nginx.pid")


def error_log(root: Directive, built: str, layout: Layout) -> Path | None:
    """Return the file of the error log, None if it is no file."""
    said = root.first("error_log") or build_option("error-log-path", built) or ""
    return layout.host(said) if said.startswith("/") else None


def default_ports(root: Directive) -> frozenset[int]:
    """Return the ports for which somebody else's server block is the default."""
    sockets = map(socket_of, filter(is_default, root.below("http", "server", "listen")))
    return frozenset(int(each.rpartition(":")[2]) for each in sockets if each[:5] != "unix:")


def narrow_listens(root: Directive) -> dict[str, set[str]]:
    """Return where somebody else's server blocks listen on one address alone, by port."""
    found: dict[str, set[str]] = {}
    for listen in (each for kind in SERVED for each in root.below(kind, "server", "listen")):
        address, _, port = socket_of(listen).rpartition(":")
        if ADDRESS.fullmatch(address) and address not in ("0.0.0.0", "[::]"):
            found.setdefault(port, set()).add(f"{address}:{port}")
    return found


def server_names(root: Directive) -> frozenset[str]:
    """Return the names that somebody else's server blocks answer for."""
    servers = root.below("http", "server")
    return frozenset(name for server in servers for name in names_of(server) if name)
