"""How many first certificates a second come from a local Pebble, everything stored durably.

    python -m benchmarks.issue [--count 200] [--concurrency 16] [--nonces-rejected 0]

Pebble validates each name over HTTP at a real nginx, which serves the answers from files as it
does on a server. Keys, orders and certificates go through the store that is used there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from proxygen.errors import Origin
from proxygen.issuers.acme import AcmeIssuer
from proxygen.model.certificate import Authority, Certificate, KeyType
from proxygen.model.site import Acme, AuthorityLimits
from proxygen.solvers.http01 import Webroot
from proxygen.stores.filesystem import FileStore
from tests.live.machine import temporary_root
from tests.live.nginx import Nginx
from tests.live.pebble import Manners, Pebble

HERE = Origin("benchmarks/issue.py", 1, 1)
CHALLENGES = """\
server {{
    listen 127.0.0.1:{port};
    root {folder};
    location /.well-known/acme-challenge/ {{ }}
}}
"""


class ChallengeServer(Nginx):
    """An nginx that serves the answers in *folder*."""

    @property
    def folder(self) -> Path:
        """The root folder of the answers."""
        return self.root / "var/lib/proxygen/challenges"

    def configure(self) -> None:
        """Add the server block."""
        super().configure()
        block = CHALLENGES.format(port=self.http, folder=self.folder)
        (self.conf_d / "challenges.conf").write_text(block)


@contextmanager
def running(manners: Manners) -> Iterator[tuple[Pebble, ChallengeServer, Path]]:
    """Have Pebble and nginx for the time of a block, in an empty folder."""
    with (
        temporary_root() as root,
        ChallengeServer(root) as nginx,
        Pebble(root, http_port=nginx.http, manners=manners) as pebble,
    ):
        yield pebble, nginx, root


def issuer_for(pebble: Pebble, nginx: ChallengeServer, store: FileStore) -> AcmeIssuer:
    """Return an issuer with no account yet."""
    settings = Acme(
        directory=pebble.directory,
        contact="hostmaster@example.net",
        key_type=KeyType.ECDSA_P256,
        profile=None,
        external_account=None,
        trusted_roots=(pebble.trusted_root,),
        http_port=80,
        limits=AuthorityLimits(),
        origin=HERE,
    )
    return AcmeIssuer(
        settings, store, Webroot(nginx.folder), lambda: datetime.now(UTC), lambda _: b""
    )


def obtain(issuer: AcmeIssuer, store: FileStore, number: int, authority: str) -> None:
    """Obtain and store one certificate."""
    name = f"webmail.customer-{number}.example"
    wanted = Certificate(name, (name,), "acme", HERE, authorities=(Authority(authority),))
    pair = issuer.issue(wanted, None)
    store.put(f"bundles/{name}/current", pair.pem)
    issuer.finished(name)


def measure(count: int, concurrency: int, manners: Manners) -> float:
    """Return the seconds that *count* certificates take, with the account."""
    with running(manners) as (pebble, nginx, root):
        store = FileStore(root / "var/lib/proxygen/store")
        issuer = issuer_for(pebble, nginx, store)
        begun = time.monotonic()
        with ThreadPoolExecutor(concurrency) as threads:
            waiting = [
                threads.submit(obtain, issuer, store, number, pebble.directory)
                for number in range(count)
            ]
            for one in waiting:
                one.result()
        return time.monotonic() - begun


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--concurrency", type=int, default=AcmeIssuer.concurrency)
    parser.add_argument("--nonces-rejected", type=int, default=0, metavar="PERCENT")
    options = parser.parse_args()
    manners = Manners(nonces_rejected=options.nonces_rejected)
    seconds = measure(options.count, options.concurrency, manners)
    print(
        f"{options.count} certificates, {options.concurrency} at once: "
        f"{seconds:.1f} s, {options.count / seconds:.1f}/s"
    )


if __name__ == "__main__":
    main()
