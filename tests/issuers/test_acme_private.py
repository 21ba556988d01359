"""Private authorities: what they leave empty, and hours that an order is asked to wait."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from proxygen.errors import IssueFailed
from proxygen.issuers.acme_answers import (
    AnswerUnreadable,
    Authorization,
    Directory,
    Identifier,
    Order,
    problem_in,
)
from proxygen.issuers.acme_transport import Pace
from proxygen.model.x509 import covered_names
from tests.issuers.at_pebble import Place, behind, leaf, wanted
from tests.live import needs
from tests.live.between import Between, Reply

pytestmark = needs("pebble", "pebble-challtestsrv")

Change = Callable[[str, dict[str, Any]], dict[str, Any]]
URL = "https://ca.example/x"
BRISK = Pace(first_pause=0.02, longest_asked=0.05)


def changing(change: Change) -> Callable[[str, Reply], Reply]:
    """Return what changes every JSON object that the authority says."""

    def tamper(step: str, reply: Reply) -> Reply:
        try:
            said = reply.said
        except ValueError:
            return reply
        return Reply(reply.status, reply.headers, json.dumps(change(step, said)).encode())

    return tamper


def nulls(step: str, said: dict[str, Any]) -> dict[str, Any]:
    """Leave nothing out, but say nothing either."""
    empty = {
        "dir": {"renewalInfo": None, "keyChange": "", "meta": None},
        "order-plz": {"error": None, "certificate": "", "expires": "", "replaces": None},
        "my-order": {"error": {}, "expires": None, "notBefore": "", "notAfter": None},
        "authZ": {"expires": "", "wildcard": None, "error": None},
    }
    return {**empty.get(step, {}), **{name: said[name] for name in said}, **extra(step)}


def extra(step: str) -> dict[str, Any]:
    """Return fields that nobody knows."""
    return {"x-vendor": {"deep": [None, {"": None}]}, "orders": ""} if step != "dir" else {}


def valid_without_challenges(step: str, said: dict[str, Any]) -> dict[str, Any]:
    """Name no challenges once an authorization is valid."""
    if step == "authZ" and said.get("status") == "valid":
        del said["challenges"]
    return said


def valid_with_null(step: str, said: dict[str, Any]) -> dict[str, Any]:
    """Name null for the challenges of a valid authorization."""
    null = step == "authZ" and said.get("status") == "valid"
    return {**said, "challenges": None} if null else said


def with_empty_challenges(step: str, said: dict[str, Any]) -> dict[str, Any]:
    """Name challenges among which some are none."""
    if step == "authZ":
        own = [{**each, "error": None, "validated": ""} for each in said["challenges"]]
        return {**said, "challenges": [None, {}, {"type": None, "token": ""}, *own]}
    return said


def in_capitals(step: str, said: dict[str, Any]) -> dict[str, Any]:
    """Write identifiers otherwise than they were sent."""

    def louder(one: dict[str, str]) -> dict[str, str]:
        return {"type": one["type"].upper(), "value": f"{one['value'].upper()}."}

    if "identifiers" in said:
        said = {**said, "identifiers": [louder(each) for each in said["identifiers"]]}
    if "identifier" in said and step == "authZ":
        said = {**said, "identifier": louder(said["identifier"])}
    return said


def without_echo(step: str, said: dict[str, Any]) -> dict[str, Any]:
    """Tell of an order nothing that was sent."""
    if step in ("order-plz", "my-order", "finalize-order"):
        said.pop("identifiers", None)
        if said.get("status") == "valid":
            said.pop("authorizations", None)
            said.pop("finalize", None)
    return said


@pytest.mark.parametrize(
    "change",
    [
        nulls,
        valid_without_challenges,
        valid_with_null,
        with_empty_challenges,
        in_capitals,
        without_echo,
    ],
)
def test_what_an_authority_leaves_empty_is_as_if_it_was_left_out(
    between: Between, common: Place, change: Change
) -> None:
    between.tamper = changing(change)
    name = f"{change.__name__.replace('_', '-')}.private.example"
    pair = behind(between, common).issue(wanted(name), None)
    assert covered_names(leaf(pair)) == (name,)
    # A second order, for which the authorization is valid already.
    assert behind(between, common).issue(wanted(name, f"more-{name}"), None)


def test_a_chain_with_text_and_other_ends_of_lines_is_taken(
    between: Between, common: Place
) -> None:
    def tamper(step: str, reply: Reply) -> Reply:
        if step != "certZ":
            return reply
        text = reply.body.replace(b"-----BEGIN", b"\n\nsubject=CN = x\nissuer=y\n-----BEGIN")
        body = text.replace(b"\n", b"\r\n") + b"\r\n\r\n  \r\n"
        kind = {"content-type": "Application/PEM-Certificate-Chain; Charset=UTF-8"}
        return Reply(reply.status, {**reply.headers, **kind}, body)

    between.tamper = tamper
    pair = behind(between, common).issue(wanted("crlf.private.example"), None)
    assert pair.fullchain.startswith(b"-----BEGIN CERTIFICATE-----\n")
    assert b"\r" not in pair.fullchain


def test_nonces_come_by_get_where_head_brings_none(between: Between, common: Place) -> None:
    def tamper(step: str, reply: Reply) -> Reply:
        if step != "nonce-plz" or reply.status == 204:  # RFC 8555 section 7.2: that is GET's
            return reply
        return Reply(405, {}, b"")

    between.tamper = tamper
    assert behind(between, common).issue(wanted("get.private.example"), None)


def test_no_nonce_at_all_is_told(between: Between, common: Place) -> None:
    between.tamper = lambda step, reply: Reply(200, {}, b"") if step == "nonce-plz" else reply
    with pytest.raises(IssueFailed) as failed:
        behind(between, common).issue(wanted("none.private.example"), None)
    assert failed.value.failure.code == "no-nonce"


@pytest.mark.parametrize("asks", ["86400", "999999999999999999999", "a date in a year"])
@pytest.mark.parametrize("step", ["chalZ", "authZ", "finalize-order", "my-order"])
def test_hours_that_an_order_is_asked_to_wait_are_not_waited(
    between: Between, common: Place, step: str, asks: str
) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(days=365), usegmt=True)
    header = then if asks.startswith("a date") else asks

    def tamper(seen: str, reply: Reply) -> Reply:
        if seen != step or reply.status >= 300:
            return reply
        said = reply.saying(status="processing") if step == "finalize-order" else reply
        return said.with_header("Retry-After", header)

    between.tamper = tamper
    name = f"{step}-{len(header)}.hours.example".lower()
    assert behind(between, common, pace=BRISK).issue(wanted(name), None)


def test_what_is_not_finished_is_gone_on_with_soon(between: Between, common: Place) -> None:
    def tamper(step: str, reply: Reply) -> Reply:
        if step not in ("finalize-order", "my-order") or reply.status >= 300:
            return reply
        return reply.saying(status="processing").with_header("Retry-After", "86400")

    between.tamper = tamper
    short = Pace(first_pause=0.02, longest_asked=0.05, order=1)
    with pytest.raises(IssueFailed, match="not finished") as failed:
        behind(between, common, pace=short).issue(wanted("day.hours.example"), None)
    assert failed.value.failure.retry_at
    assert failed.value.failure.retry_at - datetime.now(UTC) < timedelta(minutes=5)


def test_usually_an_authority_may_ask_for_seconds() -> None:
    assert 5 <= Pace().longest_asked <= 60 < Pace().order


@pytest.mark.parametrize("header", ["-5", "0", "soon", "1.5", "²", "Mon, 01 Jan 2001 00:00:00 GMT"])
def test_a_wait_that_is_none_is_not_waited(between: Between, common: Place, header: str) -> None:
    def tamper(step: str, reply: Reply) -> Reply:
        said = reply.with_header("Retry-After", header.encode().decode("latin-1"))
        return said if step in ("my-order", "authZ") else reply

    between.tamper = tamper
    name = f"w{abs(hash(header)) % 10**8}.hours.example"
    assert behind(between, common, pace=BRISK).issue(wanted(name), None)


def read(kind: Any, **fields: Any) -> Any:
    """Return an answer as it is read."""
    return kind.read(json.dumps(fields).encode())


def test_an_authorization_that_is_valid_needs_no_challenges() -> None:
    identifier = {"type": "dns", "value": "A.example"}
    for more in ({}, {"challenges": None}, {"challenges": []}, {"challenges": ""}):
        one = read(Authorization, identifier=identifier, status="valid", **more)
        assert one.challenges == ()
        assert one.name == "a.example"


def test_what_has_no_meaning_is_still_refused() -> None:
    with pytest.raises(AnswerUnreadable, match="status"):
        read(Authorization, identifier={"type": "dns", "value": "a.example"}, status=None)
    with pytest.raises(AnswerUnreadable, match="identifier"):
        read(Authorization, identifier={}, status="valid")
    for body in (b"", b"null", b"[]", b"\xff", b"[" * 100_000, b'{"status": NaN}'):
        with pytest.raises(AnswerUnreadable):
            Order.read(body)


def test_a_directory_with_empty_fields_offers_what_it_names() -> None:
    places = {"newNonce": URL, "newAccount": URL, "newOrder": URL}
    meta = {"termsOfService": "", "caaIdentities": None, "profiles": {"short": None, "long": ""}}
    one = read(Directory, **places, keyChange="", renewalInfo=None, meta=meta)
    assert one.renewal_info is one.key_change is one.meta.terms is None
    assert set(one.meta.profiles) == {"short", "long"}
    for nothing in (None, {}, ""):
        assert read(Directory, **places, meta=nothing).meta.caa_identities == ()
    marked = b"\xef\xbb\xbf" + json.dumps(places).encode()
    assert Directory.read(marked).new_order == URL


def test_a_problem_with_empty_fields_keeps_what_it_says() -> None:
    said = {"type": None, "detail": "no", "title": None, "identifier": None, "subproblems": None}
    assert problem_in(json.dumps(said).encode()).detail == "no"


def test_identifiers_are_the_same_however_they_are_written() -> None:
    assert Identifier(type="DNS", value="WWW.A.example.").name == "www.a.example"
    assert Identifier(type="DNS", value="x").type == "dns"
