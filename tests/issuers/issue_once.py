"""Obtain one certificate in a process of its own, which the test may kill.

python issue_once.py DIRECTORY ROOT FOLDER NAME...
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from proxygen.errors import Origin
from proxygen.issuers.acme import AcmeIssuer
from proxygen.model.certificate import Certificate
from proxygen.model.site import Acme, AuthorityLimits
from proxygen.solvers.http01 import Webroot
from proxygen.stores.filesystem import FileStore

HERE = Origin("proxygen.yaml", 1, 1)


def main(directory: str, root: str, folder: str, *names: str) -> None:
    """Issue with the store and the answers below *folder*."""
    issuer_at(directory, root, Path(folder)).issue(Certificate(names[0], names, "acme", HERE), None)


def issuer_at(directory: str, root: str, place: Path) -> AcmeIssuer:
    """Return an issuer as a new process has it."""
    settings = Acme(
        directory=directory,
        contact="admin@proxygen.test",
        profile=None,
        external_account=None,
        trusted_roots=(Path(root),),
        http_port=80,
        validation_port=80,
        limits=AuthorityLimits(),
        origin=HERE,
    )
    webroot = Webroot(place / "challenges")
    return AcmeIssuer(
        settings,
        FileStore(place / "store"),
        lambda _: {"http-01": webroot},
        lambda: datetime.now(UTC),
        lambda _: b"",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
