"""Obtain a certificate as a model says, to be killed meanwhile: prove_once.py ROOT [hang|leave].

``hang``: the name servers are waited for without end; ``leave``: it ends as the daemon does.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from proxygen import assemble
from proxygen.commands.watch import leave_at_once
from proxygen.model.layout import Layout
from proxygen.solvers.dns01 import Dns01


def main(root: Path, then: str = "") -> None:
    """Obtain the global certificate; print its names."""
    layout = Layout(root, root / "proxygen.yaml")
    site = assemble.read_site(layout)
    parts = assemble.build_installation(layout, lambda: datetime.now(UTC))
    wanted = site.global_certificate
    words = {each.directory for each in wanted.authorities}
    presented = threading.Event()

    def hang(_: Dns01, answers: Sequence[tuple[str, str]]) -> None:
        presented.set()
        threading.Event().wait()

    if then:
        Dns01.settle = hang  # type: ignore[method-assign]
    with assemble.issuers(parts, site, words, listen=False) as issuers:
        issuer = issuers[wanted.authorities[0].directory]
        if then == "leave":
            threading.Thread(target=issuer.issue, args=[wanted, None], daemon=True).start()
            presented.wait()
            leave_at_once()
        issuer.issue(wanted, None)
    issuer.finished(wanted.owner)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
