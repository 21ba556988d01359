"""What counts towards an authority's limits is kept, hour by hour, and dropped when it is over."""

from __future__ import annotations

from datetime import timedelta

import pytest

from proxygen.ledger import Ledger
from proxygen.plan.quota import Entry
from tests.certificates import DAY, NOON
from tests.standins import MemoryStore

HOUR = timedelta(hours=1)


def entry(at: timedelta, *, failed: bool = False) -> Entry:
    """Return an entry that long ago."""
    return Entry(NOON - at, ("a.example", "b.example"), failed=failed)


def test_what_was_noted_is_there_again_after_a_restart() -> None:
    store = MemoryStore()
    noted = [entry(3 * HOUR), entry(2 * HOUR, failed=True), entry(HOUR * 0), entry(HOUR * 0)]
    for each in noted:
        Ledger(store, "https://ca/dir").note(each)
    assert list(Ledger(store, "https://ca/dir").entries(NOON)) == noted
    assert list(Ledger(store, "https://other/dir").entries(NOON)) == []


def test_what_no_limit_asks_for_any_more_is_dropped() -> None:
    store = MemoryStore()
    ledger = Ledger(store, "x")
    for each in (entry(8 * DAY), entry(7 * DAY), entry(6 * DAY)):
        ledger.note(each)
    assert len(list(ledger.entries(NOON))) == 2
    ledger.note(entry(HOUR * 0))
    assert len(store.values) == 3


@pytest.mark.parametrize("damage", [b"{", b"[1]", b'[{"at": "never"}]', b"\xff"])
def test_a_damaged_hour_harms_no_other(damage: bytes) -> None:
    store = MemoryStore()
    ledger = Ledger(store, "x")
    ledger.note(entry(HOUR))
    store.put(next(iter(store.values)), damage)
    ledger.note(entry(2 * HOUR))
    assert list(ledger.entries(NOON)) == [entry(2 * HOUR)]
