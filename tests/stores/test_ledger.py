"""What counts towards an authority's limits is kept, hour by hour, and dropped when it is over."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from proxygen.plan.quota import QuotaEntry, QuotaKind
from proxygen.stores.filesystem import FileStore
from proxygen.stores.ledger import PORTION, Ledger
from tests.certificates import DAY, NOON
from tests.standins import MemoryStore

HOUR = timedelta(hours=1)


def entry(at: timedelta, *, failed: bool = False) -> QuotaEntry:
    """Return an entry that long ago."""
    kind = QuotaKind.FAILED if failed else QuotaKind.ORDERED
    return QuotaEntry(NOON - at, ("a.example", "b.example"), kind)


def test_what_was_noted_is_there_again_after_a_restart() -> None:
    store = MemoryStore()
    noted = [entry(3 * HOUR), entry(2 * HOUR, failed=True), entry(HOUR * 0), entry(HOUR * 0)]
    for each in noted:
        Ledger(store, "https://ca/dir").note(each)
    assert list(Ledger(store, "https://ca/dir").entries(NOON)) == noted
    assert list(Ledger(store, "https://other/dir").entries(NOON)) == []


def test_two_who_note_at_once_lose_nothing() -> None:
    store = MemoryStore()
    ours, theirs = Ledger(store, "x"), Ledger(store, "x")
    for _ in range(PORTION + 2):
        ours.note(entry(HOUR * 0))
        theirs.note(entry(HOUR * 0))
    assert len(list(ours.entries(NOON))) == 2 * PORTION + 4


def test_of_processes_that_note_at_once_none_loses_anything(tmp_path: Path) -> None:
    ledgers = [Ledger(FileStore(tmp_path), "x"), Ledger(FileStore(tmp_path), "x")]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: ledgers[number % 2].note(entry(HOUR * 0)), range(120)))
    assert len(list(ledgers[0].entries(NOON))) == 120
    assert [key[-5:] for key in FileStore(tmp_path).keys("ledger")] == ["00000", "00001", "00002"]


def test_what_another_process_took_away_does_not_come_back() -> None:
    store = MemoryStore()
    ours, theirs = Ledger(store, "x"), Ledger(store, "x")
    ours.note(entry(-2 * DAY))
    theirs.set_right(NOON)
    ours.note(entry(-2 * DAY))
    assert [each.at for each in theirs.entries(NOON)] == [NOON, NOON + 2 * DAY]


def test_threads_that_note_at_once_lose_nothing() -> None:
    ledger = Ledger(MemoryStore(), "x")
    with ThreadPoolExecutor(24) as pool:
        list(pool.map(ledger.note, [entry(HOUR * 0)] * 200))
    assert len(list(ledger.entries(NOON))) == 200


def test_what_no_limit_asks_for_any_more_is_dropped() -> None:
    store = MemoryStore()
    ledger = Ledger(store, "x")
    for each in (entry(9 * DAY), entry(8 * DAY), entry(6 * DAY), entry(HOUR)):
        ledger.note(each)
    ledger.note(entry(HOUR * 0))
    assert [key.rpartition("/")[2][:8] for key in store.values] == ["20261114", *["20261120"] * 2]
    assert len(list(ledger.entries(NOON))) == 3


def test_a_clock_that_is_ahead_drops_nothing_and_counts_as_now_when_it_is_right() -> None:
    store = MemoryStore()
    ledger = Ledger(store, "x")
    real = [entry(2 * DAY), entry(HOUR)]
    for each in (*real, entry(-300 * DAY), entry(-300 * DAY)):
        ledger.note(each)
    assert list(ledger.entries(NOON))[:2] == real
    again = Ledger(store, "x")
    again.set_right(NOON)
    assert [each.at for each in again.entries(NOON)] == [*(each.at for each in real), NOON, NOON]
    again.set_right(NOON + DAY)
    assert len(list(again.entries(NOON + 7 * DAY))) == 2
    assert len(list(again.entries(NOON + 7 * DAY + 2 * HOUR))) == 0


@pytest.mark.parametrize("damage", [b"{", b"[1]", b'[{"at": "never"}]', b"\xff"])
def test_a_damaged_hour_harms_no_other(damage: bytes) -> None:
    store = MemoryStore()
    ledger = Ledger(store, "x")
    ledger.note(entry(HOUR))
    store.put(next(iter(store.values)), damage)
    ledger.note(entry(2 * HOUR))
    assert list(ledger.entries(NOON)) == [entry(2 * HOUR)]
