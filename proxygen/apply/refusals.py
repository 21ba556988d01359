"""Notes why a service was not given what the model wants, until it is."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from proxygen.errors import ServiceError
from proxygen.host import files
from proxygen.model.layout import Live
from proxygen.observe.installed import REFUSAL, REFUSED, refusal_noted
from proxygen.plan.observed import ServiceRefusal

LONGEST = 4000
"""So many characters of a service's own words are kept."""


def note_refusal(live: Live, error: ServiceError, now: datetime) -> None:
    """Note why a service was not given what the model wants, unless that is noted already.

    If nothing of ours is on disk yet, this is what `status` shows of the service.
    """
    former = refusal_noted(live)
    since, words = former.since if former else now, error.words[:LONGEST]
    refused = ServiceRefusal(since, replace(error.failure, words=words))
    if refused != former and live.folder.is_dir():
        with suppress(OSError):  # a full disk, say: the failure itself is told
            files.write(live.folder / REFUSED, REFUSAL.dump_json(refused))


def settle_refusal(live: Live) -> None:
    """Forget why a service was not given what the model wanted."""
    (live.folder / REFUSED).unlink(missing_ok=True)
