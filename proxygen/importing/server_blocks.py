"""nginx's server blocks of others: names, certificates, and where requests are passed on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from proxygen.importing.nginx_certificates import (
    UsedPair,
    WrittenPair,
    pairs_for,
    used_elsewhere,
    written_pairs,
)
from proxygen.importing.nginx_directives import (
    OURS,
    Load,
    directives_in_place,
    first_argument,
    name_and_place,
)
from proxygen.importing.proxied_locations import (
    HARMLESS,
    EnclosingLevels,
    ProxiedLocation,
    is_harmless,
    proxied_location,
)
from proxygen.importing.reading import is_nameable
from proxygen.languages.lines import terminal_text
from proxygen.model.hosts import BadName, host_name
from proxygen.services.nginx_lexer import Directive, parse_configuration
from proxygen.services.nginx_others import is_default, is_secure, name_pattern, socket_of

CHALLENGES = "/.well-known/acme-challenge"
OF_SERVERS = HARMLESS | frozenset(
    {
        *("listen", "server_name", "location", "index", "http2", "ssl", "ssl_buffer_size"),
        *("ssl_certificate", "ssl_certificate_key", "ssl_dhparam", "ssl_protocols", "ssl_ciphers"),
        *("ssl_prefer_server_ciphers", "ssl_session_cache", "ssl_session_timeout", "ssl_stapling"),
        *("ssl_session_tickets", "ssl_stapling_verify", "ssl_trusted_certificate"),
        *("ssl_ecdh_curve", "ssl_conf_command"),
    }
)
"""Likewise in a server block, and what proxygen sets itself or reads."""
AWAY = re.compile(r"(https?://[^/$\s]+)(?:[/$]|$)")
"""A URL at another host: one with a variable for it means the host that was asked for."""
ADDRESS = re.compile(r"(?:\*|[0-9.]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class ServerBlock:
    """A server block of others that speaks HTTPS.

    *pairs* are certificates with their keys, *varying* those by variables, of which nobody knows
    all, and *sockets* what it listens on with TLS. *passed* are
    its locations, *unfit* what a model cannot say of it, with FILE:LINE. *elsewhere*: where
    challenges are passed on to another host. *patterns* are names with wildcards, and regular
    expressions. *default_of* are the sockets of which it is the default server.
    *comes_first*: nginx reads it before proxygen's, so that it goes on for its names.
    """

    where: str
    names: tuple[str, ...]
    pairs: tuple[tuple[Path, Path], ...]
    sockets: tuple[str, ...]
    passed: tuple[ProxiedLocation, ...]
    unfit: tuple[str, ...]
    elsewhere: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    default_of: tuple[str, ...] = ()
    varying: tuple[WrittenPair, ...] = ()
    comes_first: bool = False

    def without(self, why: str) -> ServerBlock:
        """Return it as one that no model can say."""
        return replace(self, unfit=(*self.unfit, why))


@dataclass(frozen=True, slots=True)
class HttpBlock:
    """What of a server block of others speaks HTTP: its names, and what it listens on.

    *redirects*: it serves nothing itself. All else is as in ``ServerBlock``.
    """

    where: str
    names: tuple[str, ...]
    sockets: tuple[str, ...]
    redirects: bool = False
    elsewhere: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    default_of: tuple[str, ...] = ()
    comes_first: bool = False

    @property
    def serves(self) -> bool:
        """Whether clients are served something by it: not what stands behind another server."""
        return not self.redirects and any(each.endswith(":80") for each in self.sockets)


B = TypeVar("B", ServerBlock, HttpBlock)


@dataclass(frozen=True)
class ServerNames(Generic[B]):
    """Server blocks, and which of them nginx chooses for a name (nginx, "Server names").

    One with a regular expression that cannot be read here counts for every name that no other
    names.
    """

    blocks: tuple[B, ...]

    @cached_property
    def by_name(self) -> dict[str, B]:
        """The first server block by each name: nginx ignores a later one."""
        return {name: each for each in reversed(self.blocks) for name in each.names}

    @cached_property
    def by_pattern(self) -> dict[str, B]:
        """The first server block by each pattern."""
        return {name: each for each in reversed(self.blocks) for name in each.patterns}

    @cached_property
    def expressions(self) -> tuple[tuple[re.Pattern[str] | None, B], ...]:
        """The server blocks by their regular expressions, in order; None: it cannot be read."""
        written = ((name, each) for each in self.blocks for name in each.patterns if name[0] == "~")
        return tuple((name_pattern(name[1:]), each) for name, each in written)

    @cached_property
    def by_socket(self) -> dict[str, list[B]]:
        """The server blocks by what they listen on, those of the usual ports first."""
        found: dict[str, list[B]] = {}
        for block in self.blocks:
            for each in dict.fromkeys(map(plain_socket, block.sockets)):
                found.setdefault(each, []).append(block)
        order = sorted(found, key=lambda each: not each.endswith(("443", ":80")) and each != "80")
        return {each: found[each] for each in order}

    def default_at(self, socket: str) -> B | None:
        """Return the server block for names that none has, at one socket: as it says, or first."""
        those = self.by_socket.get(socket, [])
        return next((each for each in those if socket in each.default_of), next(iter(those), None))

    @cached_property
    def default(self) -> B | None:
        """The server block for names that none has, at the usual port where that is listened to."""
        return next(map(self.default_at, self.by_socket), None)

    @cached_property
    def first_ones(self) -> tuple[B, ...]:
        """The server blocks that are the default of a socket by their place, until ours is."""
        found = {at: self.default_at(at) for at in self.by_socket}
        chosen = [each for at, each in found.items() if each and at not in each.default_of]
        chosen = [each for each in chosen if not each.comes_first]
        return tuple({each.where: each for each in chosen}.values())

    def naming(self, name: str) -> B | None:
        """Return the server block that names a host, None where none does."""
        labels = name.split(".")
        written = [f"*.{'.'.join(labels[start:])}" for start in range(1, len(labels))]
        written += [f"{'.'.join(labels[:end])}.*" for end in range(len(labels) - 1, 0, -1)]
        if exact := self.by_name.get(name):
            return exact
        if below := next(filter(None, map(self.by_pattern.get, written)), None):
            return below
        matching = (each for found, each in self.expressions if not found or found.search(name))
        return next(matching, None)


@dataclass(frozen=True)
class NginxSites:
    """nginx's configuration of others: server blocks that speak HTTPS, and those that do HTTP.

    *used* are certificates that it has for other things than sites.
    """

    blocks: tuple[ServerBlock, ...]
    plain: tuple[HttpBlock, ...] = ()
    used: tuple[UsedPair, ...] = ()

    @cached_property
    def https(self) -> ServerNames[ServerBlock]:
        """Those that speak HTTPS, by name."""
        return ServerNames(self.blocks)

    @cached_property
    def http(self) -> ServerNames[HttpBlock]:
        """Those that clients meet by HTTP, by name."""
        outside = (each for each in self.plain if any(at.endswith(":80") for at in each.sockets))
        return ServerNames(tuple(outside))

    @cached_property
    def open_names(self) -> dict[str, HttpBlock]:
        """The first server block by each name that is served by HTTP, on whatever port."""
        found = [each for each in self.plain if not each.redirects]
        return {name: each for each in reversed(found) for name in each.names}

    def serving(self, name: str) -> HttpBlock | None:
        """Return the server block that names a host and serves it by HTTP, None where none does."""
        chosen = self.http.naming(name)
        return self.open_names.get(name) or (chosen if chosen and chosen.serves else None)


def nginx_sites(main: Path, load: Load) -> NginxSites:
    """Return the server blocks of a configuration, in order."""
    whole = [
        node
        for path, text in load(main)
        for node in directives_in_place(parse_configuration(text, str(path)), load)
    ]
    blocks: list[ServerBlock] = []
    plain: list[HttpBlock] = []
    for http in (each for each in whole if each.name == "http"):
        upstreams = {each.arguments[0]: each for each in http.all("upstream") if each.arguments}
        servers = http.all("server")
        at = next((at for at, each in enumerate(http.block) if each.name == OURS), 0)
        before = {each.where for each in http.block[:at] if each.name == "server"}
        proxied = {name for each in servers if proxied_at(each) for name in host_names_of(each)}
        for server in servers:
            listens = [each for each in server.all("listen") if each.arguments]
            secure = [each for each in listens if speaks_tls(each, server, http)]
            if len(secure) < len(listens) or not listens:
                spoken = http_block(server, [each for each in listens if each not in secure])
                plain.append(replace(spoken, comes_first=server.where in before))
            if secure:
                found = server_block(server, http, secure, upstreams, main.parent)
                if proxied & set(found.names) or proxied_at(server):
                    found = found.without(f"proxy_protocol ({found.where})")
                if server.where in before:
                    first = f"it is read before proxygen's file, and wins ({server.where})"
                    found = replace(found.without(first), comes_first=True)
                blocks.append(found)
    by_http = {name: each for each in reversed(plain) if each.serves for name in each.names}
    web = NginxSites(tuple(blocks), tuple(plain), tuple(used_elsewhere(whole, main.parent)))
    return replace(
        web, blocks=tuple(unless_served_by_http(each, by_http, web.http) for each in blocks)
    )


def http_block(server: Directive, listens: Sequence[Directive]) -> HttpBlock:
    """Return what speaks HTTP of a server block; without any `listen` it is port 80."""
    return HttpBlock(
        server.where,
        tuple(host_names_of(server)),
        tuple(socket_of(each) for each in listens) or ("*:80",),
        only_redirects(server),
        tuple(challenges_elsewhere(server)),
        tuple(name_patterns(server)),
        default_of(listens),
    )


def unless_served_by_http(
    block: ServerBlock, by_http: Mapping[str, HttpBlock], http: ServerNames[HttpBlock]
) -> ServerBlock:
    """Return a server block, unfit where another one serves a name of it by HTTP.

    proxygen redirects all that comes by HTTP.
    """
    for name in block.names:
        each = by_http.get(name) or http.naming(name)
        if each and each.serves and each.where != block.where:
            return block.without(f"by HTTP it serves something as well ({each.where})")
    return block


def speaks_tls(listen: Directive, server: Directive, http: Directive) -> bool:
    """Return whether a socket is for TLS; `ssl on` (up to nginx 1.25) says so of all."""
    return is_secure(listen) or any(
        each.arguments == ("on",) for each in server.all("ssl") or http.all("ssl")
    )


def only_redirects(server: Directive) -> bool:
    """Return whether a server block serves nothing itself, but answers to challenges."""
    if any(is_away(each) for each in server.all("return")):
        return True
    locations = [each for each in server.all("location") if not is_of_challenges(each)]
    away = [any(map(is_away, each.all("return"))) for each in locations]
    return all(away) and any(each.arguments == ("/",) for each in locations)


def default_of(listens: Sequence[Directive]) -> tuple[str, ...]:
    """Return the sockets of which a server block says that it is the default server."""
    return tuple(plain_socket(socket_of(each)) for each in listens if is_default(each))


def plain_socket(written: str) -> str:
    """Return a socket in one spelling, as a model has it."""
    return re.sub(r"^(?:\*|0\.0\.0\.0):", "", written)


def is_away(answer: Directive) -> bool:
    """Return whether a `return` sends browsers elsewhere, or refuses."""
    return not first_argument(answer).startswith("2")


def proxied_at(server: Directive) -> bool:
    """Return whether connections of a server block begin with a PROXY protocol header."""
    return any("proxy_protocol" in each.arguments for each in server.all("listen"))


def server_block(
    server: Directive,
    http: Directive,
    listens: Sequence[Directive],
    upstreams: dict[str, Directive],
    folder: Path,
) -> ServerBlock:
    """Return what a server block says, whose sockets for TLS *listens* tell."""
    passed, unfit = list[ProxiedLocation](), list[str]()
    sockets = tuple(socket_of(each) for each in listens)
    for location in server.all("location"):
        if is_of_challenges(location):
            continue
        found = proxied_location(location, EnclosingLevels(location, server, http), upstreams)
        if isinstance(found, str):
            unfit.append(found)
        elif any(each.path == found.path for each in passed):
            unfit.append(f"two locations for {found.path} ({location.where})")
        else:
            passed.append(found)
    unfit += [name_and_place(each) for each in server.block if not is_harmless(each, OF_SERVERS)]
    unfit += [f"listen {each} ({server.where})" for each in sockets if not ADDRESS.fullmatch(each)]
    unfit += [
        f"server_name {terminal_text(each)} ({server.where})"
        for each in name_patterns(server)
        if each[0] == "~" and not name_pattern(each[1:])
    ]
    if not any(each.path == "/" and not each.exact for each in passed) and not unfit:
        unfit.append(f"nothing is passed on for / ({server.where})")
    names, chosen = tuple(host_names_of(server)), tuple(name_patterns(server))
    written = written_pairs(server, http, folder)
    varying = tuple(each for each in written if not each.is_plain)
    unknown = [each for each in varying if chosen or not all(map(each.paths, names))]
    pairs = tuple(pairs_for(written, names))
    unfit += [
        f"ssl_certificate {ascii(str(pair[0]))[:200]} ({server.where})"
        for pair in pairs
        if not all(map(is_nameable, pair))
    ]
    if len(written) > 1:
        unfit.append(f"more than one certificate ({server.where})")
    unfit += [
        f"ssl_certificate {terminal_text(each.certificate)[:100]} ({server.where})"
        for each in unknown
    ]
    return ServerBlock(
        server.where,
        names,
        pairs,
        sockets,
        tuple(passed),
        tuple(unfit),
        tuple(challenges_elsewhere(server)),
        chosen,
        default_of(listens),
        varying,
    )


def challenges_elsewhere(server: Directive) -> Iterator[str]:
    """Yield where a server block passes challenges on, or sends who asks for them."""
    for location in filter(is_of_challenges, server.all("location")):
        for each in location.block:
            if each.name == "proxy_pass" and each.arguments:
                yield f"{first_argument(each)} ({each.where})"
            elif each.name in ("return", "rewrite"):
                found = (AWAY.match(word) for word in each.arguments)
                yield from (f"{host[1]} ({each.where})" for host in found if host)


def is_of_challenges(location: Directive) -> bool:
    """Return whether a location is for ACME challenges alone, which proxygen answers."""
    path = location.arguments[-1] if location.arguments else ""
    return path == CHALLENGES or path.startswith(f"{CHALLENGES}/")


def host_names_of(server: Directive) -> Iterator[str]:
    """Yield the host names that a server block answers for; no patterns."""
    for written in server.all("server_name"):
        for name in written.arguments:
            try:
                yield host_name(name.removeprefix("."))
            except BadName:
                continue


def name_patterns(server: Directive) -> Iterator[str]:
    """Yield the names with wildcards, ``.NAME`` among them, and the regular expressions."""
    for written in server.all("server_name"):
        for name in written.arguments:
            if name.startswith("."):
                yield f"*{name.lower()}"
            elif name.startswith("~"):
                yield name
            elif "*" in name:
                yield name.lower()
