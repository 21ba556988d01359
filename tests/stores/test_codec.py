"""Every kind of value is written and read by one codec, which believes nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from proxygen.apply.hooks import RUNS, Ran
from proxygen.failure import Scope, failure
from proxygen.names.causes import cause
from proxygen.names.states import (
    Evidence,
    Finding,
    NameState,
    state_after_check,
    state_after_refusal,
)
from proxygen.plan.backoff import RememberedFailure
from proxygen.plan.quota import QuotaEntry, QuotaKind
from proxygen.solvers.dns01_records import KEPT, StoredRecord
from proxygen.stores import outbox
from proxygen.stores.bundles import ATTEMPT, BUNDLE
from proxygen.stores.codec import Codec
from proxygen.stores.file_failures import UNUSABLE, StoredFileFailure
from proxygen.stores.ledger import ENTRIES
from proxygen.stores.names import PAGE, Page
from proxygen.texts.digests import Item, ToldAlerts
from tests.certificates import DAY, NOON
from tests.failures import no
from tests.mails import plain
from tests.models import bundle, site

(WANTED, *_) = site("global: {url: mail.example.net, certificate: selfsigned}").certificates
WHY = cause("redirected", cause("answered", status="404 Not Found"), place="http://b.example/")
FOUND = Evidence(
    NOON, ("192.0.2.7",), ("x.example",), findings=(Finding("private", (), True, (WHY,)),)
)
NAME = state_after_refusal(
    state_after_check(None, "www.a.example", FOUND, 0.5), "www.a.example", "urn:x", "no", NOON, 0.5
)
HOST = failure("mail-server-unusable", Scope.HOST, words="no", server="mail.example", port=25)
FAILED = replace(no("no", retry_at=NOON), unproven=("www.a.example",))

VALUES = [
    pytest.param(BUNDLE, bundle(WANTED), id="facts of a certificate"),
    pytest.param(
        ATTEMPT,
        RememberedFailure("a.example", NOON, NOON, 2, NOON + DAY, FAILED, "p"),
        id="failure",
    ),
    pytest.param(PAGE, Page("a.example", (NAME,)), id="names"),
    pytest.param(
        ENTRIES, (QuotaEntry(NOON, ("a.example",), QuotaKind.FAILED, renewal=True),), id="ledger"
    ),
    pytest.param(
        outbox.TOLD,
        ToldAlerts("it@a.example", "2026-11-20", items={"k": Item("m", "d")}),
        id="told",
    ),
    pytest.param(outbox.WAITING, outbox.QueuedMail(plain(), NOON, 2, NOON + DAY), id="mail"),
    pytest.param(outbox.TROUBLE, outbox.DeliveryFailure(2, NOON, HOST), id="trouble"),
    pytest.param(UNUSABLE, StoredFileFailure("m", NOON, FAILED), id="files"),
    pytest.param(RUNS, (Ran("10", "deploy", NOON, 0.5, HOST, "gone"),), id="hooks"),
    pytest.param(KEPT, StoredRecord("ours", "_acme-challenge.a.example", "v", NOON), id="record"),
]


@pytest.mark.parametrize(("codec", "value"), VALUES)
def test_what_was_written_is_read(codec: Codec[Any], value: Any) -> None:
    assert codec.read(codec.written(value)) == value


@pytest.mark.parametrize(("codec", "value"), VALUES)
def test_what_was_written_before_there_was_a_codec_is_read(codec: Codec[Any], value: Any) -> None:
    plain = [asdict(each) for each in value] if isinstance(value, tuple) else asdict(value)
    assert codec.read(json.dumps(plain, default=str).encode()) == value


@pytest.mark.parametrize(("codec", "value"), VALUES)
def test_a_field_that_is_not_known_is_passed_over(codec: Codec[Any], value: Any) -> None:
    stored = json.loads(codec.written(value))
    for each in stored if isinstance(stored, list) else [stored]:
        each["later"] = {"any": "thing"}
    assert codec.read(json.dumps(stored).encode()) == value


@dataclass(frozen=True, slots=True)
class Inner:
    """Something with a moment."""

    at: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outer:
    """Something that holds it in every way."""

    name: str
    count: int = 0
    one: Inner | None = None
    some: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] | None = None


OUTER = Codec[Outer](Outer)
EVERYWHERE = (
    '{"name": "a", "one": {"at": "%s"}}',
    '{"name": "a", "one": {"at": "2026-11-20T12:00:00Z", "until": "%s"}}',
    '{"name": "a", "some": [{"at": "%s"}]}',
    '{"name": "a", "by_name": {"a": {"at": "%s"}}}',
)


def moments(outer: Outer) -> list[datetime]:
    """Return all moments of a value."""
    inner = [*outer.some, *(outer.by_name or {}).values(), *filter(None, [outer.one])]
    return [moment for each in inner for moment in (each.at, each.until) if moment]


@pytest.mark.parametrize("text", EVERYWHERE)
@pytest.mark.parametrize(
    ("moment", "read"),
    [
        ("2026-11-20T13:00:00+01:00", NOON),
        ("2026-11-20 12:00:00+00:00", NOON),
        ("9999-12-31T23:59:59Z", datetime(9990, 1, 1, tzinfo=UTC)),
    ],
)
def test_moments_are_read_in_utc_wherever_they_stand(
    text: str, moment: str, read: datetime
) -> None:
    found = OUTER.read((text % moment).encode())
    assert found
    assert moments(found)[-1] == read
    assert {each.utcoffset() for each in moments(found)} == {timedelta(0)}


@pytest.mark.parametrize("text", EVERYWHERE)
@pytest.mark.parametrize(
    "moment",
    ["2026-11-20T12:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "soon", ""],
)
def test_a_moment_that_is_none_of_ours_spoils_its_value(text: str, moment: str) -> None:
    assert OUTER.read((text % moment).encode()) is None


@pytest.mark.parametrize(
    "value",
    [
        *(None, b"", b"{", b"[]", b"null", b"1", b"\xff", b"[" * 100_000, b"{}", b'{"name": 1}'),
        *(
            b'{"name": "a", "count": "1"}',
            b'{"name": "a", "count": 1.5}',
            b'{"name": "a", "some": {}}',
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_used_is_as_if_it_were_not_there(value: bytes | None) -> None:
    assert OUTER.read(value) is None


def test_what_is_too_large_is_not_parsed() -> None:
    small = Codec[Outer](Outer, largest=20)
    assert small.read(b'{"name": "abcdefg"}') == Outer("abcdefg")
    assert small.read(b'{"name": "abcdefghi"}') is None


def test_what_is_as_by_default_is_left_out_where_there_is_much_of_it() -> None:
    sparse = Codec[Outer](Outer, sparse=True)
    value = Outer("a", some=(Inner(NOON),))
    assert json.loads(sparse.written(value)) == {
        "name": "a",
        "some": [{"at": "2026-11-20T12:00:00Z"}],
    }
    assert sparse.read(sparse.written(value)) == OUTER.read(OUTER.written(value)) == value


def test_a_moment_of_another_zone_is_written_as_it_is() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=14)))
    assert OUTER.read(OUTER.written(Outer("a", one=Inner(there)))) == Outer("a", one=Inner(NOON))


def test_known_names_take_little_room() -> None:
    known = NameState("www.a.example", NOON)
    assert len(PAGE.written(Page("a.example", (known,)))) < 120
