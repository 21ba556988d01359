"""nginx: the server blocks of others, and which of them nginx chooses for a name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from proxygen.services.nginx_lexer import Directive, parse_configuration

SNI = re.compile(r"\$(?:ssl_server_name\b|\{ssl_server_name\})")
NAME = re.compile(r"[a-z0-9.-]+")
LONGEST_PATTERN = 1000


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its key, and the file with passwords for it, as they are written."""

    certificate: str
    key: str
    passwords: str = ""


@dataclass(frozen=True)
class ForeignServerBlock:
    """A server block: its names, and its certificates with their keys.

    *sockets* are what it listens on with TLS, *default_of* those of which it is the default.
    """

    sockets: tuple[str, ...]
    default_of: frozenset[str]
    names: tuple[str, ...]
    pairs: tuple[Pair, ...]


def https_servers(root: Directive) -> Iterator[ForeignServerBlock]:
    """Yield the server blocks that speak HTTPS, in order."""
    for http in root.all("http"):
        for each in http.all("server"):
            listens = [listen for listen in each.all("listen") if listen.arguments]
            whole = any(ssl.arguments == ("on",) for ssl in (*each.all("ssl"), *http.all("ssl")))
            secure = [listen for listen in listens if whole or is_secure(listen)]
            if secure:
                yield ForeignServerBlock(
                    tuple(socket_of(listen) for listen in secure),
                    frozenset(socket_of(listen) for listen in secure if is_default(listen)),
                    tuple(names_of(each)) or ("",),
                    tuple(certificate_pairs(each, http)),
                )


def names_of(server: Directive) -> Iterator[str]:
    """Yield what it answers for; a regular expression is kept as it is."""
    for written in server.all("server_name"):
        for name in written.arguments:
            yield name if name.startswith("~") else name.lower()


def is_secure(listen: Directive) -> bool:
    """Return whether a socket is for TLS."""
    return bool({"ssl", "quic"} & set(listen.arguments[1:]))


def is_default(listen: Directive) -> bool:
    """Return whether a server block is the one for unknown names on a socket."""
    return bool({"default_server", "default"} & set(listen.arguments[1:]))


def socket_of(listen: Directive) -> str:
    """Return ADDRESS:PORT that a server block listens on."""
    written = listen.arguments[0] if listen.arguments else ""
    if re.fullmatch(r"[0-9]{1,5}", written):
        return f"*:{written}"
    return written if re.search(r":[0-9]{1,5}$", written) else f"{written}:80"


def certificate_pairs(server: Directive, http: Directive) -> Iterator[Pair]:
    """Yield certificates with their keys; those of ``http`` are for who has none."""
    certificates, keys, passwords = (
        [each.arguments[0] for each in server.all(name) or http.all(name) if each.arguments]
        for name in ("ssl_certificate", "ssl_certificate_key", "ssl_password_file")
    )
    for certificate, key in zip(certificates, keys, strict=False):
        yield Pair(certificate, key, *passwords[:1])


@dataclass(frozen=True)
class Others:
    """The server blocks of others that speak HTTPS."""

    servers: tuple[ForeignServerBlock, ...]

    @staticmethod
    @lru_cache(maxsize=1)
    def of(text: str) -> Others:
        """Return those of a configuration in which every include stands in place."""
        return Others(tuple(https_servers(parse_configuration(text))))

    @cached_property
    def by_socket(self) -> dict[str, list[ForeignServerBlock]]:
        """The server blocks by what they listen on."""
        found: dict[str, list[ForeignServerBlock]] = {}
        for server in self.servers:
            for each in dict.fromkeys(server.sockets):
                found.setdefault(each, []).append(server)
        return found

    @cached_property
    def exact(self) -> dict[tuple[str, str], ForeignServerBlock]:
        """The first server block by socket and written name: nginx ignores a later one."""
        found: dict[tuple[str, str], ForeignServerBlock] = {}
        for at, those in self.by_socket.items():
            for server in those:
                for name in server.names:
                    for each in (name, f"*{name}") if name.startswith(".") else (name,):
                        found.setdefault((at, each.removeprefix(".")), server)
        return found

    @cached_property
    def patterns(self) -> dict[str, list[tuple[re.Pattern[str], ForeignServerBlock]]]:
        """The regular expressions of each socket, in order."""
        found: dict[str, list[tuple[re.Pattern[str], ForeignServerBlock]]] = {}
        for at, those in self.by_socket.items():
            for server in those:
                for name in server.names:
                    if name.startswith("~") and (compiled := name_pattern(name[1:])):
                        found.setdefault(at, []).append((compiled, server))
        return found

    def shown(self, name: str, ports: Collection[int]) -> Iterator[Pair]:
        """Yield what clients who ask for a name are shown: on these *ports* before others.

        What is chosen by its name comes before what is shown for want of one.
        """
        found = [(at, *self.chosen(at, name)) for at in self.by_socket]
        found.sort(key=lambda each: (int(each[0].rpartition(":")[2]) not in ports, not each[2]))
        told: dict[Pair, None] = {}
        for _, server, _ in found:
            for pair in server.pairs:
                certificate, key = file_for(pair.certificate, name), file_for(pair.key, name)
                if certificate and key:
                    told[Pair(certificate, key, file_for(pair.passwords, name))] = None
        yield from told

    def chosen(self, at: str, name: str) -> tuple[ForeignServerBlock, bool]:
        """Return the server block for a name on a socket, and whether it was chosen by the name.

        An exact name wins, then the longest wildcard at the beginning, the longest at the end,
        the first regular expression, and the default (nginx, "Server names").
        """
        labels = name.split(".")
        written = [name]
        written += [f"*.{'.'.join(labels[start:])}" for start in range(1, len(labels))]
        written += [f"{'.'.join(labels[:end])}.*" for end in range(len(labels) - 1, 0, -1)]
        for each in written:
            if server := self.exact.get((at, each)):
                return server, True
        for compiled, server in self.patterns.get(at, ()):
            if compiled.search(name):
                return server, True
        those = self.by_socket[at]
        return next((each for each in those if at in each.default_of), those[0]), False


def name_pattern(text: str) -> re.Pattern[str] | None:
    """Return a regular expression of nginx's, None for one that Python does not have."""
    if len(text) > LONGEST_PATTERN:
        return None
    try:
        return re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", text), re.IGNORECASE)
    except (re.error, OverflowError, RecursionError):
        return None


def file_for(written: str, name: str) -> str:
    """Return the file that is meant for a name, empty if it is none or nobody knows which."""
    if NAME.fullmatch(name):
        written = SNI.sub(name, written)
    is_file = "$" not in written and not re.match(r"(?:data|engine|store):", written)
    return written if is_file and "\0" not in written else ""
