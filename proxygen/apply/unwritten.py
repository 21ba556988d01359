"""Unwritten: people are told of a disk that takes nothing, though no round came to its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime

from proxygen import assemble
from proxygen.apply.mails import UNWRITABLE, Memory, tell
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
    memory: Memory | None = None,
) -> Outcome:
    """Tell people why nothing can be written; nobody, where the error is about something else.

    That is also a command of somebody who is not root. Return the warnings that come of it, as an
    outcome.
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
        tell(site, assemble.parts(layout, now), outcome, memory)
    except Exception as second:  # noqa: BLE001 - the disk is what a person must hear of
        outcome.warnings.append(Coded(f"nobody was told of it: {second}", "nobody-told"))
    return outcome
