"""Alert people that nothing can be written to the disk, though the run could not be completed."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime

from proxygen import assemble
from proxygen.apply.mails import UNWRITABLE, MailMemory, send_mails
from proxygen.apply.outcome import Outcome
from proxygen.errors import Coded, StoreFailed
from proxygen.failure import Scope, not_obtained
from proxygen.model.layout import Layout
from proxygen.model.site import Site


def tell_unwritten(
    site: Site,
    layout: Layout,
    now: Callable[[], datetime],
    error: OSError,
    memory: MailMemory | None = None,
) -> Outcome:
    """Mail an alert if *error* says that the disk is full or read-only; return the outcome.

    Nothing is mailed for other errors, nor for a command that somebody runs who is not root. The
    outcome holds the failure, and a warning if mailing failed.
    """
    outcome = Outcome()
    not_root = isinstance(error, PermissionError) and os.geteuid() != 0
    if error.errno not in UNWRITABLE or not_root:
        return outcome
    outcome.failures.append(
        (
            "store",
            StoreFailed(not_obtained("nothing-stored", Scope.HOST, words=error, where=layout.var)),
        )
    )
    try:
        send_mails(site, assemble.build_installation(layout, now), outcome, memory)
    except Exception as second:  # noqa: BLE001 - the disk is what a person must hear of
        outcome.warnings.append(Coded(f"no alert could be mailed: {second}", "nobody-told"))
    return outcome
