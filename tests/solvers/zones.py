"""Zones: name servers that take updates, with all that leads to them from a root of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rdatatype
from pydantic import BaseModel

from proxygen import registry
from proxygen.dns.resolver import Resolver
from proxygen.model.certificate import Secret
from proxygen.solvers import Writer, Writing
from proxygen.solvers.dns01_lookup import Lookups
from tests.live.nameserver import NameServer, Recursor, network, zone_text

APEX, TARGETS, LAGGING, HALF = "dyn.example", "targets.test", "lagging.example", "half.example"
PORT = 53
PRIMARY, ROOT, SECONDARY, NOBODY, RESOLVER = 1, 2, 3, 4, 5
"""The last number of each address; at NOBODY's nobody listens."""
SERVERS = {
    APEX: (PRIMARY,),
    TARGETS: (PRIMARY,),
    LAGGING: (PRIMARY, SECONDARY),
    HALF: (PRIMARY, NOBODY),
}
"""Who is to serve each zone; the secondary never hears of a change."""


@dataclass(frozen=True)
class Zones:
    """A primary that takes updates for all zones, and what looks them up from the root down."""

    server: NameServer
    lookups: Lookups
    folder: Path

    def at(self, number: int) -> str:
        """Return an address."""
        return f"{self.server.address.rpartition('.')[0]}.{number}"

    def resolver(self) -> Recursor:
        """Return a resolver that an authority asks, from the root down."""
        return Recursor(self.folder, hint=self.at(ROOT), address=self.at(RESOLVER), port=PORT)

    @property
    def place(self) -> str:
        """The address and port of the primary."""
        return f"{self.server.address}:{self.server.port}"

    @property
    def key_file(self) -> Path:
        """The key of updates as tsig-keygen writes it."""
        path, key = self.folder / "updates.key", self.server.tsig_key
        path.write_text(
            f'key "{key.name}" {{\n\talgorithm {key.algorithm};\n\tsecret "{key.secret}";\n}};\n'
        )
        return path

    def values(self, name: str) -> set[str]:
        """Return the TXT records at a name of the primary."""
        return {b"".join(each.strings).decode() for each in self.records(name, "TXT")}

    def addresses(self, name: str) -> set[str]:
        """Return the IPv4 addresses of a name, as the primary has them."""
        return {each.address for each in self.records(name, "A")}

    def records(self, name: str, rdtype: str) -> list[Any]:
        """Return the records of a type at a name of the primary."""
        query = dns.message.make_query(name, rdtype)
        answer = dns.query.tcp(query, self.server.address, timeout=5, port=self.server.port)
        wanted = dns.rdatatype.from_text(rdtype)
        return [each for rrset in answer.answer if rrset.rdtype == wanted for each in rrset]

    def writer(self, word: str, **settings: object) -> Writer:
        """Return the writer that a model with these settings has; `SECRET` is a variable there."""
        module = registry.solvers()[word]
        fields: BaseModel = module.Settings.model_validate(settings)
        made: Writer = module.writer(fields, Writing(self.folder, self.secret, self.lookups.zone))
        return made

    def secret(self, reference: Secret) -> bytes:
        """Return a file's content, or what signs updates in the form of dns-lexicon."""
        if reference.kind == "file":
            return Path(reference.place).read_bytes()
        key = self.server.tsig_key
        return f"{key.algorithm}:{key.name}:{key.secret}".encode()

    def updates(self, **more: object) -> Writer:
        """Return a writer that works here: dynamic updates."""
        given: dict[str, object] = {
            "server": self.server.address,
            "port": self.server.port,
            "key": f"file:{self.key_file}",
        }
        return self.writer("rfc2136", **(given | more))


@contextmanager
def zones(root: Path) -> Iterator[Zones]:
    """Run the name servers below *root*."""
    with network() as prefix:
        texts = {apex: text(apex, prefix) for apex in SERVERS}
        server = NameServer(
            root,
            texts,
            address=f"{prefix}{PRIMARY}",
            port=PORT,
            others={
                f"{prefix}{ROOT}": {".": top(prefix)},
                f"{prefix}{SECONDARY}": {LAGGING: texts[LAGGING]},
            },
            dynamic=(APEX, TARGETS, LAGGING, HALF),
        )
        resolving = Resolver(roots=(f"{prefix}{ROOT}",), port=PORT, patience=0.3, tries=1)
        with server, Lookups(resolving) as lookups:
            yield Zones(server, lookups, root)


def text(apex: str, prefix: str) -> str:
    """Return a zone."""
    hosts = [f"ns{number} A {prefix}{number}" for number in SERVERS[apex]]
    return zone_text(apex, *hosts, servers=[f"ns{number}" for number in SERVERS[apex]])


def top(prefix: str) -> str:
    """Return the root, which delegates every zone."""
    lines = [f"a.root.test A {prefix}{ROOT}"]
    for apex, numbers in SERVERS.items():
        lines += [f"{apex} NS ns{number}.{apex}" for number in numbers]
        lines += [f"ns{number}.{apex} A {prefix}{number}" for number in numbers]
    return zone_text(".", *lines, servers=("a.root.test",))
