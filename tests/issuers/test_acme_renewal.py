"""Renewal information: what an authority suggests, and orders that replace a certificate."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from proxygen.errors import IssueFailed
from proxygen.issuers.acme import AcmeIssuer
from proxygen.model.certificate import Certificate, KeyAndChain
from proxygen.model.x509 import chain_of, unique_identifier
from proxygen.solvers.http01 import Webroot
from tests.issuers.at_pebble import (
    URN,
    Place,
    at,
    behind,
    issuer,
    leaf,
    made,
    problem_at,
    settings,
    usual,
    wanted,
)
from tests.live import needs, ports
from tests.live.acme2certifier import Acme2certifier
from tests.live.between import Between, Reply
from tests.standins import MemoryStore

pytestmark = needs("pebble", "pebble-challtestsrv")

IDENTIFIER = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
"""That of RFC 9773 section 4.1."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WINDOW = {"start": "2026-01-02T04:00:00Z", "end": "2026-01-03T06:00:00+02:00"}


# What is suggested


def test_a_real_server_suggests_a_window_in_the_life_of_its_certificate(root: Path) -> None:
    with Acme2certifier(root) as server:
        one = issuer(settings(server), Webroot(root))
        pair = one.issue(wanted("ari.example.org"), None)
        fresh = issuer(settings(server), Webroot(root))
        said = fresh.renewal_info(unique_identifier(chain_of(pair)[0]))
        with pytest.raises(IssueFailed, match="no renewal information") as failed:
            fresh.renewal_info(IDENTIFIER)
    assert said
    # As it is configured: 70 % of 30 days, for 2 days, to be looked at again after 2 hours.
    assert said.start - leaf(pair).not_valid_before_utc == timedelta(days=21)
    assert said.end - said.start == timedelta(days=2)
    assert HOUR < said.look_at - datetime.now(UTC) <= 2 * HOUR
    assert list(fresh.store.keys("accounts")) == [], "no account is needed to ask"  # type: ignore[attr-defined]
    assert failed.value.failure.retry_at
    assert failed.value.failure.retry_at - datetime.now(UTC) > 5 * HOUR
    assert not failed.value.failure.everybody


def offering(between: Between) -> Callable[[str, Reply], Reply]:
    """Return what has the directory name a place of renewal information."""
    place = between.directory.replace("/dir", "/renewal-info")
    return at("dir", lambda reply: reply.saying(renewalInfo=place))


def withholding(step: str, reply: Reply) -> Reply:
    """Have the directory name no place of renewal information, as before RFC 9773."""
    return at("dir", lambda said: said.without("renewalInfo"))(step, reply)


@pytest.fixture
def asked(between: Between, common: Place) -> AcmeIssuer:
    """An issuer at a server before Pebble that offers renewal information."""
    between.tamper = offering(between)
    return behind(between, common)


def suggesting(
    status: int = 200, headers: dict[str, str] | None = None, **fields: Any
) -> Callable[[str, dict[str, Any]], Reply | None]:
    """Return what answers with renewal information."""
    body = json.dumps({"suggestedWindow": WINDOW, **fields}).encode()
    return lambda step, _: Reply(status, headers or {}, body) if step == "renewal-info" else None


@pytest.mark.parametrize(
    ("asks", "pause"),
    [
        pytest.param("5", timedelta(minutes=1), id="too soon"),
        pytest.param("7200", 2 * HOUR, id="as it says"),
        pytest.param("99999999999", DAY, id="too late"),
        pytest.param("soon", 6 * HOUR, id="not understood"),
        pytest.param(None, 6 * HOUR, id="not said"),
    ],
)
def test_it_is_asked_again_when_the_authority_says_within_bounds(
    between: Between, asked: AcmeIssuer, asks: str | None, pause: timedelta
) -> None:
    between.instead = suggesting(headers={"Retry-After": asks} if asks else None)
    said = asked.renewal_info(IDENTIFIER)
    assert said
    assert (said.start, said.end) == (
        datetime(2026, 1, 2, 4, tzinfo=UTC),
        datetime(2026, 1, 3, 4, tzinfo=UTC),
    )
    off = said.look_at - datetime.now(UTC)
    assert pause - timedelta(seconds=20) < off <= pause


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://authority.example/why?x=1", "https://authority.example/why?x=1"),
        ("http://authority.example/why", None),
        ("https://authority.example/\x1b[2J", None),
        ("javascript:alert(1)", None),
        ("https://authority.example/" + "x" * 5000, None),
        (7, None),
        (None, None),
    ],
)
def test_an_explanation_is_a_short_https_url_or_none(
    between: Between, asked: AcmeIssuer, url: object, shown: str | None
) -> None:
    between.instead = suggesting(explanationURL=url)
    said = asked.renewal_info(IDENTIFIER)
    assert said
    assert said.explanation == shown


@pytest.mark.parametrize(
    "window",
    [
        pytest.param({"start": WINDOW["end"], "end": WINDOW["start"]}, id="the wrong way round"),
        pytest.param({"start": WINDOW["start"], "end": WINDOW["start"]}, id="empty"),
        pytest.param({"start": WINDOW["start"]}, id="without an end"),
        pytest.param({"start": "2026-01-02T04:00:00", "end": WINDOW["end"]}, id="no time zone"),
        pytest.param(
            {"start": "0001-01-01T00:00:00+14:00", "end": WINDOW["end"]}, id="before time"
        ),
        pytest.param({"start": "soon", "end": "later"}, id="words"),
        pytest.param([], id="a list"),
    ],
)
def test_a_window_that_is_none_is_refused(
    between: Between, asked: AcmeIssuer, window: object
) -> None:
    between.instead = suggesting(suggestedWindow=window)
    with pytest.raises(IssueFailed) as failed:
        asked.renewal_info(IDENTIFIER)
    assert not failed.value.failure.everybody


def test_trouble_of_the_authority_is_told_with_when_to_ask_again(
    between: Between, asked: AcmeIssuer
) -> None:
    between.instead = suggesting(status=503, headers={"Retry-After": "120"})
    with pytest.raises(IssueFailed) as failed:
        asked.renewal_info(IDENTIFIER)
    assert failed.value.failure.everybody
    assert failed.value.failure.retry_at
    assert failed.value.failure.retry_at - datetime.now(UTC) <= timedelta(minutes=2)
    between.instead = suggesting(status=503, headers={"Retry-After": "604800"})
    with pytest.raises(IssueFailed) as failed:
        asked.renewal_info(IDENTIFIER)
    assert failed.value.failure.retry_at
    assert failed.value.failure.retry_at - datetime.now(UTC) <= DAY, "RFC 9773 section 4.3.2"
    between.instead = suggesting(status=500)
    with pytest.raises(IssueFailed) as failed:
        asked.renewal_info(IDENTIFIER)
    assert failed.value.failure.retry_at is None, "trouble like this may be over soon"


def test_an_authority_without_renewal_information_is_not_asked(
    between: Between, common: Place
) -> None:
    between.tamper = withholding
    assert behind(between, common).renewal_info(IDENTIFIER) is None
    assert "renewal-info" not in {step for step, _ in between.seen}


@pytest.mark.parametrize("identifier", ["", "x", "../new-order", "a.b.c", "a.b?x", "a.b\n"])
def test_nothing_but_a_unique_identifier_is_asked_about(
    between: Between, asked: AcmeIssuer, identifier: str
) -> None:
    with pytest.raises(IssueFailed, match="no unique identifier") as failed:
        asked.renewal_info(identifier)
    assert not failed.value.failure.everybody
    assert "renewal-info" not in {step for step, _ in between.seen}


def test_many_threads_ask_with_one_read_of_the_directory(
    between: Between, asked: AcmeIssuer
) -> None:
    between.instead = suggesting()
    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(asked.renewal_info, [IDENTIFIER] * 40))
    assert all(said)
    assert (len(between.times("dir")), len(between.times("renewal-info"))) == (1, 40)
    assert between.times("sign-me-up") == []


def test_a_directory_that_cannot_be_read_is_not_asked_for_by_each(common: Place) -> None:
    port = ports.reserve()
    down = usual(common, directory=f"https://127.0.0.1:{port}/dir")
    for _ in range(3):
        with pytest.raises(IssueFailed, match="cannot be used") as failed:
            down.renewal_info(IDENTIFIER)
        assert failed.value.failure.everybody
    with pytest.raises(IssueFailed, match="cannot be used"):
        down.issue(wanted("down.example"), None)
    ports.release(port)


def test_a_refused_account_is_no_reason_not_to_be_told_of_renewals(
    between: Between, common: Place
) -> None:
    offers, refuses = offering(between), problem_at("sign-me-up", 403, "unauthorized", {})
    between.tamper = lambda step, reply: refuses(step, offers(step, reply))
    between.instead = suggesting()
    one = behind(between, common)
    with pytest.raises(IssueFailed):
        one.issue(wanted("banned.example"), None)
    assert one.renewal_info(IDENTIFIER)


# Orders that replace


class Ledger:
    """Notes the orders that an issuer tells of."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, bool]] = []

    def __call__(self, wanted: Certificate, exempt: bool) -> None:
        self.noted.append((wanted.owner, exempt))


def replacing(between: Between, common: Place, ledger: Ledger, **more: Any) -> AcmeIssuer:
    """Return an issuer that notes its orders."""
    return issuer(settings(between), Webroot(common.challenges), ordered=ledger, **more)


def reflecting(between: Between) -> Callable[[str, Reply], Reply]:
    """Return what has the authority offer renewal information and accept *replaces*.

    Whatever Pebble says of it: 2.4 ignores the field, 2.6 knows it.
    """
    offers = offering(between)

    def tamper(step: str, reply: Reply) -> Reply:
        if step == "order-plz" and reply.status < 300:
            sent = between.sent("order-plz")[-1].get("replaces")
            return reply.saying(replaces=sent) if sent else reply.without("replaces")
        return offers(step, reply)

    return tamper


def silent(between: Between) -> Callable[[str, Reply], Reply]:
    """Return what has the authority offer renewal information, but not speak of *replaces*."""
    offers = offering(between)
    unsaid = at("order-plz", lambda reply: reply.without("replaces"))
    return lambda step, reply: unsaid(step, offers(step, reply))


def refusing(status: int, kind: str, **more: Any) -> Callable[[str, dict[str, Any]], Reply | None]:
    """Return what refuses an order that replaces, before Pebble hears of it."""
    body = json.dumps({"type": URN + kind, "detail": "because", **more}).encode()

    def instead(step: str, signed: dict[str, Any]) -> Reply | None:
        return Reply(status, {}, body) if step == "order-plz" and "replaces" in signed else None

    return instead


def sent(between: Between) -> list[str | None]:
    """Return what the requests for new orders said to replace."""
    return [signed.get("replaces") for signed in between.sent("order-plz")]


def obtained(issuer: AcmeIssuer, name: str) -> str:
    """Return the unique identifier of a certificate for *name* that was issued just now."""
    return unique_identifier(chain_of(issuer.issue(wanted(name), None))[0])


def test_an_order_says_what_it_replaces(between: Between, common: Place) -> None:
    between.tamper, ledger = reflecting(between), Ledger()
    one = replacing(between, common, ledger)
    former = obtained(one, "first.example")
    assert one.issue(wanted("next.example", "first.example"), None, former)
    assert sent(between) == [None, former]
    assert ledger.noted == [("first.example", False), ("next.example", True)]


def test_an_authority_without_renewal_information_is_not_told_what_is_replaced(
    between: Between, common: Place
) -> None:
    between.tamper, ledger = withholding, Ledger()
    replacing(between, common, ledger).issue(wanted("plain.example"), None, IDENTIFIER)
    assert sent(between) == [None]
    assert ledger.noted == [("plain.example", False)]


def test_an_authority_that_says_nothing_of_it_exempts_nothing(
    between: Between, common: Place
) -> None:
    between.tamper, ledger = silent(between), Ledger()
    one = replacing(between, common, ledger)
    former = obtained(one, "quiet.example")
    one.issue(wanted("silent.example", "quiet.example"), None, former)
    assert sent(between) == [None, former]
    assert ledger.noted == [("quiet.example", False), ("silent.example", False)]


@pytest.mark.parametrize(
    ("status", "kind", "detail"),
    [
        (409, "alreadyReplaced", "because"),
        (404, "malformed", "could not find an order for the given certificate"),
        (
            403,
            "unauthorized",
            "requester account did not request the certificate being replaced by this order",
        ),
        (400, "unheardOf", "because"),
    ],
)
def test_an_order_refused_for_what_it_replaces_is_made_without(
    between: Between, common: Place, status: int, kind: str, detail: str
) -> None:
    between.tamper, ledger = reflecting(between), Ledger()
    between.instead = refusing(status, kind, detail=detail)
    orders = made(common.pebble, "orders")
    one = replacing(between, common, ledger)
    assert one.issue(wanted("again.example"), None, IDENTIFIER)
    assert sent(between) == [IDENTIFIER, None]
    assert ledger.noted == [("again.example", False)]
    assert made(common.pebble, "orders") == orders + 1


@pytest.mark.parametrize(
    ("status", "kind", "more"),
    [
        (429, "rateLimited", {}),
        (503, "serverInternal", {}),
        (500, "malformed", {}),
        (401, "unauthorized", {}),
        (403, "userActionRequired", {}),
        (400, "rejectedIdentifier", {"identifier": {"type": "dns", "value": "once.example"}}),
    ],
)
def test_an_order_refused_for_another_reason_is_made_once(
    between: Between, common: Place, status: int, kind: str, more: dict[str, Any]
) -> None:
    between.tamper, ledger = offering(between), Ledger()
    between.instead = refusing(status, kind, **more)
    with pytest.raises(IssueFailed) as failed:
        replacing(between, common, ledger).issue(wanted("once.example"), None, IDENTIFIER)
    assert failed.value.failure.problem == URN + kind
    assert sent(between) == [IDENTIFIER]
    assert ledger.noted == []


def test_when_the_order_without_is_refused_too_its_own_reason_is_told(
    between: Between, common: Place
) -> None:
    between.tamper = offering(between)
    both = {True: refusal("alreadyReplaced", 409), False: refusal("rejectedIdentifier", 400)}
    between.instead = lambda step, signed: (
        both["replaces" in signed] if step == "order-plz" else None
    )
    with pytest.raises(IssueFailed) as failed:
        behind(between, common).issue(wanted("both.example"), None, IDENTIFIER)
    assert failed.value.failure.problem == URN + "rejectedIdentifier"


def refusal(kind: str, status: int) -> Reply:
    """Return a problem document as an answer."""
    return Reply(status, {}, json.dumps({"type": URN + kind, "detail": "because"}).encode())


def test_an_order_that_replaces_is_gone_on_with_and_noted_once(
    between: Between, common: Place
) -> None:
    accepts, store, ledger = reflecting(between), MemoryStore(), Ledger()
    between.tamper = accepts
    former = obtained(replacing(between, common, ledger, store=store), "fast.example")
    names = ("slow.example", "fast.example")
    late = at(
        "finalize-order",
        lambda reply: reply.saying(status="processing").with_header("Retry-After", "7200"),
    )
    between.tamper = lambda step, reply: late(step, accepts(step, reply))
    with pytest.raises(IssueFailed, match="not finished"):
        replacing(between, common, ledger, store=store).issue(wanted(*names), None, former)
    between.tamper = accepts
    again = replacing(between, common, ledger, store=store)
    assert again.issue(wanted(*names), None, former)
    assert sent(between) == [None, former]
    assert ledger.noted == [("fast.example", False), ("slow.example", True)]


def test_a_run_that_ended_between_the_two_orders_leaves_one(
    between: Between, common: Place
) -> None:
    between.tamper, store, ledger = offering(between), MemoryStore(), Ledger()
    refuses = refusing(409, "alreadyReplaced")
    broken = Reply(503, {}, b"{}")

    def instead(step: str, signed: dict[str, Any]) -> Reply | None:
        return refuses(step, signed) or (broken if step == "order-plz" else None)

    between.instead = instead
    with pytest.raises(IssueFailed):
        replacing(between, common, ledger, store=store).issue(
            wanted("cut.example"), None, IDENTIFIER
        )
    between.instead = refuses
    orders = made(common.pebble, "orders")
    later = replacing(between, common, ledger, store=store)
    assert later.issue(wanted("cut.example"), None, IDENTIFIER)
    assert made(common.pebble, "orders") == orders + 1
    assert ledger.noted == [("cut.example", False)]


def test_a_wrong_order_is_noted_as_well(between: Between, common: Place) -> None:
    ledger = Ledger()
    between.tamper = at("order-plz", lambda reply: replace(reply, body=b"[]"))
    with pytest.raises(IssueFailed):
        replacing(between, common, ledger).issue(wanted("wrong.example"), None)
    assert ledger.noted == [("wrong.example", False)]


def test_a_renewal_at_a_real_server_says_what_it_replaces(root: Path) -> None:
    with Acme2certifier(root, renew_now=True) as server:
        ledger = Ledger()
        one = issuer(settings(server), Webroot(root), ordered=ledger)
        former: KeyAndChain = one.issue(wanted("renew.example.org"), None)
        identifier = unique_identifier(chain_of(former)[0])
        said = one.renewal_info(identifier)
        assert said
        assert said.start <= datetime.now(UTC)
        renewed = one.issue(wanted("renew.example.org"), former, identifier)
    assert leaf(renewed) != leaf(former)
    # It ignores the field, so nothing is exempt.
    assert ledger.noted == [("renew.example.org", False)] * 2
