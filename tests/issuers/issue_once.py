"""Obtain one certificate in a process of its own, which the test may kill.

python issue_once.py DIRECTORY ROOT FOLDER NAME...
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from proxygen.errors import Origin
from proxygen.issuers.acme import AcmeIssuer
from proxygen.model.certificate import Certificate, KeyType
from proxygen.model.site import Acme
from proxygen.solvers.http01 import Webroot
from proxygen.stores.filesystem import FileStore

HERE = Origin("proxygen.yaml", 1, 1)


def main(directory: str, root: str, folder: str, *names: str) -> None:
    """Issue with the store and the answers below *folder*."""
    settings = Acme(
        directory=directory,
        contact="admin@proxygen.test",
        key_type=KeyType.ECDSA_P256,
        profile=None,
        external_account=None,
        trusted_roots=(Path(root),),
        http_port=80,
        origin=HERE,
    )
    place = Path(folder)
    issuer = AcmeIssuer(
        settings,
        FileStore(place / "store"),
        Webroot(place / "challenges"),
        lambda: datetime.now(UTC),
        lambda _: b"",
    )
    issuer.issue(Certificate(names[0], names, "acme", HERE), None)


if __name__ == "__main__":
    main(*sys.argv[1:])
