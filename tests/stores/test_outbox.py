"""Letterbox: what was told to whom, and letters on their way, on any store."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace

import pytest

from proxygen.failure import Scope, failure
from proxygen.stores import Values
from proxygen.stores.outbox import DeliveryFailure, Outbox, QueuedMail, UnwrittenValue
from proxygen.texts.digests import Item, ToldAlerts
from tests.certificates import NOON
from tests.mails import HOUR, plain
from tests.standins import MemoryStore

TOLD = ToldAlerts(
    "it@a.example", "2026-11-20", "", 3, {"certificate:a.example": Item("", "2026-11-20")}
)
WHY = failure("mail-server-unusable", Scope.HOST, words="no", server="mail.example", port=25)
WAITING = QueuedMail(plain(recipient="IT@a.example"), NOON, 2, NOON + HOUR)


class Refusing(MemoryStore):
    """A store that takes nothing while *full*, and cannot be read while *blind*."""

    full = blind = False

    def put_if(self, former: Values, values: Values) -> bool:
        self.check(self.full)
        return super().put_if(former, values)

    def get(self, key: str) -> bytes | None:
        self.check(self.blind)
        return super().get(key)

    def keys(self, prefix: str) -> Iterator[str]:
        self.check(self.blind)
        return super().keys(prefix)

    def check(self, refuses: bool) -> None:
        """Refuse if told so."""
        if refuses:
            raise OSError(errno.EIO, "Input/output error")


@pytest.fixture
def store() -> Refusing:
    return Refusing()


def test_what_was_put_in_is_there_for_the_next_process(store: Refusing) -> None:
    box = Outbox(store)
    box.note(TOLD)
    box.post(WAITING)  # the next one
    box.note_delivery_failure(DeliveryFailure(2, NOON, WHY))
    other = Outbox(store)
    assert other.told() == {"it@a.example": TOLD}
    assert other.waiting() == {"it@a.example": WAITING}
    assert other.delivery_failure() == DeliveryFailure(2, NOON, WHY)
    assert all(key.startswith(("told/", "mail/", "mail-trouble")) for key in store.values)


def test_new_terms_are_kept_until_they_are_told(store: Refusing) -> None:
    terms = {"https://ca.example/dir": "https://ca.example/terms"}
    assert Outbox(store).change_terms(lambda kept: kept | terms) == terms
    assert Outbox(store).terms() == terms
    Outbox(store).change_terms(lambda kept: {})
    assert (Outbox(store).terms(), store.values) == ({}, {})
    store.put("mail-terms", b'["damaged"]')
    assert Outbox(store).terms() == {}


def test_a_mail_goes_when_it_is_noted_what_it_told(store: Refusing) -> None:
    box = Outbox(store)
    box.post(WAITING)
    box.note(TOLD)
    assert Outbox(store).waiting() == {}
    assert Outbox(store).told() == {"it@a.example": TOLD}


def test_what_another_process_wrote_counts_more_than_what_could_not_be(store: Refusing) -> None:
    unwritten: dict[str, UnwrittenValue] = {}
    box = Outbox(store, unwritten)
    box.note(TOLD)
    store.full = True
    box.forget("it@a.example")
    box.post(WAITING)
    assert (box.told(), box.waiting()) == ({}, {"it@a.example": WAITING})
    store.full = False
    other = replace(TOLD, day="2026-11-21")
    Outbox(store).note(other)
    assert box.told() == {"it@a.example": other}
    assert box.waiting() == {"it@a.example": WAITING}  # nobody wrote another
    store.full = True
    box.forget("it@a.example")
    store.full = False
    Outbox(store).note(TOLD)
    Outbox(store, unwritten).catch_up()
    assert Outbox(store).told() == {"it@a.example": TOLD}


def test_catching_up_ends_when_it_is_enough(store: Refusing) -> None:
    unwritten = {"told/1": UnwrittenValue(None, b"x"), "told/2": UnwrittenValue(None, b"x")}
    Outbox(store, unwritten).catch_up(lambda: True)
    assert [*unwritten] == ["told/2"]


def test_one_recipient_has_one_mail_however_the_address_is_spelled(store: Refusing) -> None:
    box = Outbox(store)
    box.post(WAITING)
    box.post(QueuedMail(plain(id="newer", recipient="it@A.example"), NOON))
    (only,) = box.waiting().values()
    assert only.mail.id == "newer"
    box.drop("it@a.example")
    box.forget("it@a.example")
    assert store.values == {}


def test_what_cannot_be_written_is_kept_in_memory_and_written_later(store: Refusing) -> None:
    unwritten: dict[str, UnwrittenValue] = {}
    box = Outbox(store, unwritten)
    box.post(WAITING)
    store.full = True
    box.drop("it@a.example")
    box.note(TOLD)
    assert "Input/output error" in box.error
    again = Outbox(store, unwritten)
    again.catch_up()
    assert not again.writable()
    assert (again.waiting(), again.told()) == ({}, {"it@a.example": TOLD})
    store.full = False
    last = Outbox(store, unwritten)
    last.catch_up()
    assert (last.error, unwritten, last.writable()) == ("", {}, True)
    assert Outbox(store).told() == {"it@a.example": TOLD}
    assert Outbox(store).waiting() == {}


def test_what_cannot_be_read_or_is_damaged_is_as_if_it_were_not_there(store: Refusing) -> None:
    box = Outbox(store)
    box.note(TOLD)
    store.blind = True
    assert (box.told(), box.waiting(), box.delivery_failure()) == ({}, {}, None)
    store.blind = False
    store.put("told/00", b'{"recipient": 7}')
    store.put("mail/00", b"\xff\xfe")
    store.put("mail-trouble", b'{"count": 1, "again": "2026-11-20T12:00:00"}')  # no time zone
    assert box.told() == {"it@a.example": TOLD}
    assert (box.waiting(), box.delivery_failure()) == ({}, None)
