"""nginx: the servers of its ``mail {}`` (IMAP, POP3, SMTP), and what they present."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from proxygen.model.views import WebSite
from proxygen.services import Endpoint, Listener
from proxygen.services.mail_endpoints import OTHER_NAME
from proxygen.services.nginx_lexer import Directive
from proxygen.services.nginx_others import Pair, certificate_pairs

FILE = "mail.include"
"""The file of a generation that the administrator includes into ``mail {}``."""
PORTS = {143: "imap", 993: "imap", 110: "pop3", 995: "pop3", 25: "smtp", 465: "smtp", 587: "smtp"}
"""The protocol of a server that does not say it (ngx_mail_core_module, "protocol")."""
SETTINGS = frozenset(
    {"ssl_protocols", "ssl_ciphers", "ssl_prefer_server_ciphers", "ssl_session_tickets"}
)
"""What FILE sets beside the certificate, unless the administrator does: nginx takes none twice."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """A server of ``mail {}`` that speaks TLS, on *listeners*; *where* is FILE:LINE.

    *foreign* are the certificates that it presents that are not ours, each with its place.
    *includes_ours*: it reads our file, be it in ``mail {}``. *by_itself*: its certificates are its
    own, not those of ``mail {}``.
    """

    where: str
    listeners: tuple[Listener, ...]
    foreign: tuple[tuple[str, str], ...]
    includes_ours: bool
    by_itself: bool

    @property
    def is_ours(self) -> bool:
        """Whether it presents our certificate and no other."""
        return self.includes_ours and not self.foreign


@dataclass(frozen=True, slots=True)
class NginxMail:
    """The servers of ``mail {}``; *settings* of SETTINGS are the administrator's."""

    servers: tuple[MailServer, ...] = ()
    settings: frozenset[str] = frozenset()


NO_MAIL = NginxMail()


def nginx_mail(root: Directive, main: Path, ours: Path) -> NginxMail:
    """Return what stands in ``mail {}``; *ours* is the file of ours that it may include."""
    servers, settings = list[MailServer](), set[str]()
    for mail in root.all("mail"):
        here = [mail, *(each for each in mail.all("server") if includes(each, main, ours))]
        settings |= {each.name for block in here for each in block.block}
        for server in mail.all("server"):
            if listeners := tuple(listeners_of(server, mail)):
                own = presents(server, main, ours)
                block = server if own else mail
                servers.append(
                    MailServer(
                        server.where,
                        listeners,
                        tuple(foreign_certificates(block)),
                        includes(block, main, ours),
                        own,
                    )
                )
    return NginxMail(tuple(servers), SETTINGS & settings)


def includes(block: Directive, main: Path, ours: Path) -> bool:
    """Return whether a block includes our file."""
    masks = (each.arguments[0] for each in block.all("include") if each.arguments)
    return any(fnmatchcase(str(ours), str(main.parent / mask)) for mask in masks)


def presents(block: Directive, main: Path, ours: Path) -> bool:
    """Return whether a block says itself which certificates it presents."""
    return bool(block.all("ssl_certificate")) or includes(block, main, ours)


def foreign_certificates(block: Directive) -> Iterator[tuple[str, str]]:
    """Yield the certificates that a block names itself, each with its place."""
    for each in block.all("ssl_certificate"):
        yield each.arguments[0] if each.arguments else "", each.where


def listeners_of(server: Directive, mail: Directive) -> Iterator[Listener]:
    """Yield the sockets at which a client comes to TLS, at once or by STARTTLS."""
    starttls = (server.first("starttls") or mail.first("starttls")) in ("on", "only")
    whole = (server.first("ssl") or mail.first("ssl")) == "on"
    for listen in server.all("listen"):
        socket = listen.arguments[0] if listen.arguments else ""
        address, _, port = socket.rpartition(":")
        if address.startswith("unix") or not re.fullmatch(r"[0-9]{1,5}", port):
            continue
        protocol = server.first("protocol") or PORTS.get(int(port), "")
        wrapped = whole or "ssl" in listen.arguments[1:]
        if wrapped or (starttls and protocol in ("imap", "pop3", "smtp")):
            proxied = "proxy_protocol" in listen.arguments[1:]
            yield Listener(
                reached_address(address), int(port), None if wrapped else protocol, proxied
            )


def reached_address(address: str) -> str:
    """Return the address at which this host reaches a socket."""
    address = address.strip("[]")
    return {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(
        address, address
    )


def mail_warnings(mail: NginxMail, ours: Path) -> Iterator[str]:
    """Yield what to write where a server presents another certificate than the global one."""
    line = f"`include {ours};`"
    told = set[str]()
    for server in mail.servers:
        remedy = f"write {line} in `mail {{}}` instead of `ssl_certificate` and its key"
        if server.by_itself:
            remedy = f"remove `ssl_certificate` and its key there, and have {line} in `mail {{}}`"
        elif server.includes_ours:
            remedy = "remove `ssl_certificate` and its key there"
        for certificate, where in server.foreign:
            if where not in told:
                told.add(where)
                yield f"nginx: {where} presents {certificate} to mail clients; {remedy}"
        if not server.foreign and not server.includes_ours:
            yield f"nginx: {server.where} has no certificate; write {line} in `mail {{}}`"


def mail_endpoints(service: str, main: WebSite, mail: NginxMail) -> Iterator[Endpoint]:
    """Yield every listener of ours, asked for the global host and for a name that nobody has."""
    for at in (each for server in mail.servers if server.is_ours for each in server.listeners):
        for name in (main.names[0], OTHER_NAME):
            place = service, at.address, at.port, name, main.bundle, at.starttls
            yield Endpoint(*place, at.proxy_protocol, main.beside)


def mail_pairs(root: Directive) -> Iterator[Pair]:
    """Yield the certificates of the administrator that mail clients are shown, with their keys."""
    for mail in root.all("mail"):
        for block in (mail, *mail.all("server")):
            yield from certificate_pairs(block, mail)
