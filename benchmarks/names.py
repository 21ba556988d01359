"""How long it takes to look at many names, and what it costs, against a local name server.

    .venv/bin/python -m benchmarks.names [ZONES]

Runs the real named, as root: a root, a registry and customers' zones with two servers each.
Every zone has four names; A, AAAA and CAA of each are looked up at every server. Then, by who
knows nothing yet, the whole look before an order: a challenge file is fetched for each name, too,
from the listener that answers where no web server does.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from proxygen.dns.answers import LookupResult
from proxygen.dns.resolver import Resolver
from proxygen.model.certificate import HTTP
from proxygen.names.states import Evidence
from proxygen.preflight import Asked, AuthorityIdentity, Beacon, Preflight
from proxygen.solvers.http01 import Http01Listener
from tests.live.installation import challenge_port
from tests.live.machine import temporary_root
from tests.live.nameserver import NameServer, network, zone_text

NAMES = ("webmail", "autodiscover", "autoconfig", "mail")
HERE, TOKEN = "127.0.0.1", "benchmark-of-names-0123456789"
TYPES = ("A", "AAAA", "CAA")


def main() -> None:
    """Set up, measure, print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_500
    with temporary_root() as root, network() as prefix:
        begun = time.monotonic()
        with server(root, prefix, count) as named:
            print(f"{count} zones at {len(named.views)} addresses: {since(begun)}")
            resolving = Resolver(roots=(f"{prefix}1",))
            measure(resolving, count, "first")
            measure(resolving, count, "again, from the cache")
            whole(Resolver(roots=(f"{prefix}1",)), count)


def server(root: Path, prefix: str, count: int) -> NameServer:
    """Return named with a root, a registry, and two addresses for the customers."""
    customers = [f"customer-{number}.example" for number in range(count)]
    hosts = (f"ns1 A {prefix}3", f"ns2 A {prefix}4")
    delegations = [f"customer-{n} NS ns{k}.customer-{n}" for n in range(count) for k in (1, 2)]
    glue = [f"ns{k}.customer-{n} A {prefix}{k + 2}" for n in range(count) for k in (1, 2)]
    zones = {
        each: zone_text(each, *hosts, *addresses(), servers=("ns1", "ns2"), ttl=3600)
        for each in customers
    }
    registry = zone_text("example", f"ns A {prefix}2", *delegations, *glue, servers=("ns",))
    top = zone_text(
        ".", "example NS ns.example", f"ns.example A {prefix}2", f"a A {prefix}1", servers=("a",)
    )
    return NameServer(
        root,
        {".": top},
        address=f"{prefix}1",
        port=53,
        others={f"{prefix}2": {"example": registry}, f"{prefix}3": zones, f"{prefix}4": zones},
    )


def addresses() -> Iterator[str]:
    """Yield the records of one customer."""
    for each in NAMES:
        yield f"{each} A {HERE}"
    yield '@ CAA 0 issue "letsencrypt.org"'


def measure(resolving: Resolver, count: int, what: str) -> None:
    """Look at all names and print seconds, questions, the most in flight, and memory."""
    begun, asked = time.monotonic(), resolving.asking.asked
    found = asyncio.run(resolve_names(resolving, count))
    kinds = Counter(str(each.failure) or ("records" if each.records else "none") for each in found)
    print(
        f"{what}: {len(found)} looks in {since(begun)}, {resolving.asking.asked - asked} "
        f"questions, at most {resolving.asking.most} in flight, {megabytes()} MiB; {dict(kinds)}"
    )


def whole(resolving: Resolver, count: int) -> None:
    """Look at all names as before an order, and print seconds, questions, and what was found."""
    authority = AuthorityIdentity("https://ca.example/directory", ("letsencrypt.org",))
    asked = [Asked(name, name, HTTP, (authority,)) for name in names(count)]
    begun, kinds = time.monotonic(), Counter[str]()

    def done(_: Asked, evidence: Evidence) -> None:
        kinds[evidence.grave.code if evidence.grave else "ready"] += 1

    with challenge_port() as port, Http01Listener(port, (HERE,)) as listener:
        listener.present("any", TOKEN, "body")
        beacon = Beacon(TOKEN, "body", port)
        preflight = Preflight(resolving, [HERE], beacon, lambda: datetime.now(UTC))
        preflight.check_names(asked, done, lambda: False)
    print(
        f"whole looks: {len(asked)} in {since(begun)}, {resolving.asking.asked} questions, at most"
        f" {resolving.asking.most} in flight, {megabytes()} MiB; {dict(kinds)}"
    )


def names(count: int) -> list[str]:
    """Return every name."""
    return [f"{each}.customer-{n}.example" for n in range(count) for each in NAMES]


async def resolve_names(resolving: Resolver, count: int) -> list[LookupResult]:
    """Return all that is found."""
    return await asyncio.gather(
        *(resolving.resolve(name, rdtype) for name in names(count) for rdtype in TYPES)
    )


def since(begun: float) -> str:
    """Return the time that passed."""
    return f"{time.monotonic() - begun:.1f} s"


def megabytes() -> int:
    """Return this process's largest resident size."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
