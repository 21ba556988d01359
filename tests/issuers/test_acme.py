"""ACME against the real Pebble: orders, accounts, refusals, kills, hostile answers."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from proxygen.errors import IssueFailed
from proxygen.model.certificate import KeyAndChain, KeyType
from proxygen.model.x509 import dns_names, key_of, key_type_of, spki
from proxygen.solvers.http01 import Http01Listener, Webroot
from proxygen.stores.filesystem import FileStore
from tests.issuers.at_pebble import (
    MAC,
    QUICK,
    URN,
    Place,
    answers,
    at,
    behind,
    external,
    issuer,
    kill_at,
    leaf,
    made,
    problem_at,
    saying,
    settings,
    usual,
    wanted,
    with_body,
)
from tests.live import needs, ports
from tests.live.authority import Authority
from tests.live.between import Between, Hold, Reply
from tests.live.pebble import Manners, Pebble
from tests.live.processes import until
from tests.standins import MemoryStore

pytestmark = needs("pebble", "pebble-challtestsrv")

# What it is for


def test_a_certificate_for_one_name_matches_its_key(common: Place) -> None:
    pair = usual(common).issue(wanted("one.example"), None)
    assert dns_names(leaf(pair)) == ("one.example",)
    assert spki(leaf(pair).public_key()) == spki(key_of(pair.key).public_key())


def test_one_certificate_covers_all_its_names(common: Place) -> None:
    names = ("webmail.many.example", "autodiscover.many.example", "autoconfig.many.example")
    pair = usual(common).issue(wanted(*names), None)
    assert dns_names(leaf(pair)) == tuple(sorted(names))


def test_the_chain_leads_to_the_root(common: Place) -> None:
    pair = usual(common).issue(wanted("chain.example"), None)
    chain = x509.load_pem_x509_certificates(pair.fullchain)
    root = x509.load_pem_x509_certificate(common.pebble.issuing_root)
    for below, above in zip(chain, [*chain[1:], root], strict=True):
        below.verify_directly_issued_by(above)


@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.ECDSA_P384])
def test_the_key_is_of_the_wanted_type(common: Place, key_type: KeyType) -> None:
    pair = usual(common).issue(wanted("type.example", key_type=key_type), None)
    assert key_type_of(pair.key) == key_type


def test_a_kept_key_is_used_again_and_another_is_not(common: Place) -> None:
    first = usual(common).issue(wanted("keep.example"), None)
    kept = usual(common).issue(wanted("keep.example", keep_key=True), first)
    renewed = usual(common).issue(wanted("keep.example"), first)
    assert kept.key == first.key
    assert renewed.key != first.key


def test_answers_are_taken_back(common: Place) -> None:
    usual(common).issue(wanted("a.tidy.example", "b.tidy.example"), None)
    assert answers(common) == []


def test_the_listener_answers_where_no_web_server_runs(root: Path) -> None:
    port = ports.reserve()
    with Http01Listener(port, ("127.0.0.1",)) as listener, Pebble(root, http_port=port) as pebble:
        pair = issuer(settings(pebble), listener).issue(wanted("a.alone.example"), None)
    ports.release(port)
    assert dns_names(leaf(pair)) == ("a.alone.example",)


# The account


def test_many_orders_at_once_share_one_account_and_one_fails_alone(common: Place) -> None:
    accounts, orders = made(common.pebble, "accounts"), made(common.pebble, "orders")
    common.pebble.dns.add_a("bad.crowd.example", "127.0.0.66")
    names = [f"n{number}.crowd.example" for number in range(30)] + ["bad.crowd.example"]
    one = usual(common)

    def outcome(name: str) -> KeyAndChain | IssueFailed:
        try:
            return one.issue(wanted(name), None)
        except IssueFailed as error:
            return error

    with ThreadPoolExecutor(one.concurrency) as threads:
        outcomes = dict(zip(names, threads.map(outcome, names), strict=True))
    failed = [name for name, result in outcomes.items() if isinstance(result, IssueFailed)]
    assert failed == ["bad.crowd.example"]
    assert made(common.pebble, "accounts") == accounts + 1
    assert made(common.pebble, "orders") == orders + len(names)
    assert answers(common) == []


@pytest.mark.parametrize("own", [Manners(authorizations_reused=100)], indirect=True)
def test_a_later_process_finds_the_account_and_what_it_proved(own: Place) -> None:
    store = MemoryStore()
    for _ in range(2):
        later = issuer(settings(own.pebble), Webroot(own.challenges), store)
        later.issue(wanted("later.example"), None)
        later.finished("later.example")
    assert (own.pebble.new_accounts, own.pebble.new_orders) == (1, 2)
    assert own.pebble.requests("chalZ/") == 1


def test_many_threads_register_once(own: Place) -> None:
    one = issuer(settings(own.pebble), Webroot(own.challenges))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: one.issue(wanted(f"t{n}.example"), None), range(8)))
    assert own.pebble.new_accounts == 1


def test_an_authority_that_forgot_us_gets_the_same_key_again(own: Place) -> None:
    store = MemoryStore()
    given = settings(own.pebble)
    one = issuer(given, Webroot(own.challenges), store)
    one.issue(wanted("before.example"), None)
    keys = {key: value for key, value in store.values.items() if key.endswith("/key")}
    own.pebble.stop()
    own.pebble.start()
    one.issue(wanted("after.example"), None)
    own.pebble.stop()
    own.pebble.start()
    issuer(given, Webroot(own.challenges), store).issue(wanted("later.example"), None)
    assert {key: value for key, value in store.values.items() if key.endswith("/key")} == keys
    assert own.pebble.new_accounts == 3


def test_the_account_key_is_stored_before_the_authority_hears_of_it(
    between: Between, common: Place
) -> None:
    store = MemoryStore()
    stored_then: list[list[str]] = []

    def look(step: str, reply: Reply) -> Reply:
        if step == "sign-me-up":
            stored_then.append(list(store.keys("accounts")))
        return reply

    between.tamper = look
    behind(between, common, store=store).issue(wanted("early.example"), None)
    assert [key.rsplit("/", 1)[1] for key in stored_then[0]] == ["key"]


def test_a_changed_contact_is_told_to_the_same_account(between: Between, common: Place) -> None:
    store = MemoryStore()
    behind(between, common, store=store).issue(wanted("old.example"), None)
    for _ in range(2):
        changed = settings(between, contact="new@proxygen.test")
        issuer(changed, Webroot(common.challenges), store).issue(wanted("new.example"), None)
    assert len(between.times("my-account")) >= 1
    [account] = [value for key, value in store.values.items() if key.endswith("/account")]
    assert json.loads(account)["contact"] == "new@proxygen.test"


@pytest.mark.parametrize("own", [Manners(external_accounts={"kid-1": MAC})], indirect=True)
def test_an_account_is_bound_to_an_external_one(own: Place) -> None:
    bound = settings(own.pebble, external_account=external("kid-1"))
    assert issuer(bound, Webroot(own.challenges)).issue(wanted("bound.example"), None)


@pytest.mark.parametrize("own", [Manners(external_accounts={"kid-1": MAC})], indirect=True)
def test_a_missing_or_unknown_binding_is_said_to_be_that(own: Place) -> None:
    with pytest.raises(IssueFailed, match="requires an external account binding") as none:
        issuer(settings(own.pebble), Webroot(own.challenges)).issue(wanted("x.example"), None)
    assert "acme.external_account" in none.value.remedy
    assert (none.value.failure.final, none.value.failure.everybody) == (True, True)
    unknown = settings(own.pebble, external_account=external("kid-2"))
    with pytest.raises(IssueFailed, match="refused the account"):
        issuer(unknown, Webroot(own.challenges)).issue(wanted("x.example"), None)


# Refusals


def test_a_failed_name_is_blamed_in_the_authoritys_words(common: Place) -> None:
    common.pebble.dns.add_a("lost.blame.example", "127.0.0.66")
    with pytest.raises(IssueFailed) as failed:
        usual(common).issue(wanted("good.blame.example", "lost.blame.example"), None)
    error = failed.value
    assert error.what.startswith("the authority refused lost.blame.example: ")
    assert error.failure.problem == URN + "connection"
    assert "127.0.0.66" in error.words
    assert "good.blame.example" not in str(error)
    assert "port 80" in error.remedy
    assert error.failure.unproven == ("lost.blame.example",)
    assert not error.failure.final
    assert not error.failure.everybody
    assert answers(common) == []


def test_every_failed_name_has_its_own_words(common: Place) -> None:
    for name in ("x.both.example", "y.both.example"):
        common.pebble.dns.add_a(name, "127.0.0.66")
    with pytest.raises(IssueFailed) as failed:
        usual(common).issue(wanted("x.both.example", "y.both.example"), None)
    assert "x.both.example and y.both.example" in failed.value.what
    assert [line.split(":")[0] for line in failed.value.words.splitlines()] == [
        "x.both.example",
        "y.both.example",
    ]


def test_after_a_refusal_the_next_try_is_a_new_order(common: Place) -> None:
    store = MemoryStore()
    one = issuer(settings(common.pebble), Webroot(common.challenges), store)
    common.pebble.dns.add_a("again.example", "127.0.0.66")
    with pytest.raises(IssueFailed):
        one.issue(wanted("again.example"), None)
    assert list(store.keys("orders")) == []
    common.pebble.dns.clear_a("again.example")
    assert one.issue(wanted("again.example"), None)


def test_a_rate_limit_says_when_to_come_again(between: Between, common: Place) -> None:
    between.tamper = problem_at("order-plz", 429, "rateLimited", {"Retry-After": "3600"})
    with pytest.raises(IssueFailed, match="rate limit") as failed:
        behind(between, common).issue(wanted("limited.example"), None)
    assert failed.value.failure.retry_at
    off = failed.value.failure.retry_at - datetime.now(UTC)
    assert timedelta(minutes=59) < off <= timedelta(hours=1)
    assert failed.value.failure.problem == URN + "rateLimited"
    assert not failed.value.failure.final


def test_a_limit_of_a_week_is_waited_for_as_long(between: Between, common: Place) -> None:
    between.tamper = problem_at("order-plz", 429, "rateLimited", {"Retry-After": "600000"})
    with pytest.raises(IssueFailed) as failed:
        behind(between, common).issue(wanted("week.example"), None)
    assert failed.value.failure.retry_at
    off = failed.value.failure.retry_at - datetime.now(UTC)
    assert timedelta(days=6, hours=22) < off <= timedelta(seconds=600000)


def test_no_order_waits_longer_than_it_may_for_itself(between: Between, common: Place) -> None:
    between.tamper = at(
        "finalize-order",
        lambda reply: reply.saying(status="processing").with_header("Retry-After", "600000"),
    )
    with pytest.raises(IssueFailed, match="not finished") as failed:
        behind(between, common).issue(wanted("slow.example"), None)
    assert failed.value.failure.retry_at
    assert failed.value.failure.retry_at - datetime.now(UTC) <= timedelta(days=1)


@pytest.mark.parametrize("step", ["dir", "sign-me-up", "order-plz", "finalize-order"])
@pytest.mark.parametrize("status", [429, 503])
def test_an_overloaded_authority_says_when_to_come_again(
    between: Between, common: Place, step: str, status: int
) -> None:
    busy = Reply(status, {"Retry-After": "600"}, b"<html>busy</html>")
    between.tamper = lambda at, reply: busy if at == step else reply
    with pytest.raises(IssueFailed) as failed:
        behind(between, common).issue(wanted("busy.example"), None)
    assert failed.value.failure.everybody
    assert failed.value.failure.retry_at
    off = failed.value.failure.retry_at - datetime.now(UTC)
    assert timedelta(minutes=9) < off <= timedelta(minutes=10)


def test_terms_to_agree_to_are_named(between: Between, common: Place) -> None:
    instance = {"instance": "https://authority.example/agree"}
    between.tamper = problem_at("sign-me-up", 403, "userActionRequired", {}, **instance)
    with pytest.raises(IssueFailed) as failed:
        behind(between, common).issue(wanted("terms.example"), None)
    assert "https://authority.example/agree" in failed.value.remedy
    assert failed.value.failure.final


def test_an_unknown_profile_is_refused_before_any_order(common: Place) -> None:
    orders = common.pebble.new_orders
    with pytest.raises(IssueFailed, match="no profile `fast`") as failed:
        usual(common, profile="fast").issue(wanted("profile.example"), None)
    assert failed.value.failure.final
    assert failed.value.failure.everybody
    assert common.pebble.new_orders == orders


def test_words_of_the_authority_are_bounded_and_printable(between: Between, common: Place) -> None:
    detail = "\x1b[2J\u202egone\r\n" + "x" * 100_000
    between.tamper = problem_at("order-plz", 400, "malformed", {}, detail=detail)
    with pytest.raises(IssueFailed) as failed:
        behind(between, common).issue(wanted("words.example"), None)
    assert len(failed.value.words) < 1500
    assert failed.value.words.isprintable()


# Authorities that cannot be reached or trusted


def test_an_authority_that_is_down_fails_clearly(common: Place) -> None:
    port = ports.reserve()
    down = usual(common, directory=f"https://127.0.0.1:{port}/dir")
    with pytest.raises(IssueFailed, match="cannot be used") as failed:
        down.issue(wanted("down.example"), None)
    assert "could not be reached" in failed.value.what
    assert failed.value.failure.everybody
    ports.release(port)


def test_the_next_certificates_do_not_wait_for_an_authority_that_hangs(common: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        directory = f"https://127.0.0.1:{silent.getsockname()[1]}/dir"
        given = settings(common.pebble, directory=directory)
        pace = replace(QUICK, connect=1, answer=1)
        hanging = issuer(given, Webroot(common.challenges), pace=pace)
        for number in range(20):
            with pytest.raises(IssueFailed, match="cannot be used"):
                hanging.issue(wanted(f"hang{number}.example"), None)
        assert len(waiting(silent)) == 1


def waiting(server: socket.socket) -> list[socket.socket]:
    """Return the connections that nobody has taken yet."""
    server.setblocking(False)
    taken = []
    with contextlib.suppress(BlockingIOError):
        while True:
            taken.append(server.accept()[0])
    return taken


def test_nobody_waits_again_for_an_authority_that_hangs_within_a_run(
    between: Between, common: Place
) -> None:
    one = behind(between, common, pace=replace(QUICK, answer=1))
    one.issue(wanted("alive.example"), None)
    between.hold = Hold("order-plz", "before")
    for number in range(20):
        with pytest.raises(IssueFailed, match="did not answer in time") as failed:
            one.issue(wanted(f"dead{number}.example"), None)
        assert failed.value.failure.everybody
    assert len(between.times("order-plz")) == 2  # that of alive.example, and one that waited


def test_a_refused_account_is_not_asked_for_by_each(between: Between, common: Place) -> None:
    between.tamper = problem_at("sign-me-up", 400, "invalidContact", {})
    one = behind(between, common)
    for number in range(5):
        with pytest.raises(IssueFailed, match="contact") as failed:
            one.issue(wanted(f"refused{number}.example"), None)
        assert failed.value.failure.everybody
    assert len(between.times("sign-me-up")) == 1


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(b"<html>Welcome</html>", "text/html", id="a web page"),
        pytest.param(b"{}", "application/json", id="another JSON"),
        pytest.param(b'{"newNonce": "http://x/", "newAccount": 1}', "application/json", id="http"),
    ],
)
def test_what_is_no_directory_is_said_to_be_none(
    between: Between, common: Place, body: bytes, content_type: str
) -> None:
    between.tamper = lambda _, reply: replace(
        reply, body=body, headers={"Content-Type": content_type}
    )
    with pytest.raises(IssueFailed, match="cannot be used") as failed:
        behind(between, common).issue(wanted("html.example"), None)
    assert "acme.directory" in failed.value.remedy


def test_http_is_refused(common: Place) -> None:
    plain = common.pebble.directory.replace("https", "http")
    with pytest.raises(IssueFailed, match="cannot be used") as failed:
        usual(common, directory=plain).issue(wanted("plain.example"), None)
    assert "https" in failed.value.remedy


def test_a_redirect_is_not_followed(between: Between, common: Place) -> None:
    headers = {"Location": common.pebble.directory}
    between.tamper = lambda step, reply: replace(reply, status=302, headers=headers)
    with pytest.raises(IssueFailed, match="cannot be used"):
        behind(between, common).issue(wanted("redirect.example"), None)
    assert [step for step, _ in between.seen] == ["dir"]


def test_another_root_is_not_trusted_whatever_the_environment_says(
    common: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Authority("Other").root_pem)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(common.pebble.trusted_root))
    with pytest.raises(IssueFailed, match="cannot be used") as failed:
        usual(common, trusted_roots=(other,)).issue(wanted("root.example"), None)
    assert "trusted_roots" in failed.value.remedy
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(other))
    assert usual(common).issue(wanted("root.example"), None)


def test_without_trusted_roots_those_of_the_system_are_trusted(common: Place) -> None:
    with pytest.raises(IssueFailed) as failed:
        usual(common, trusted_roots=()).issue(wanted("system.example"), None)
    assert "ca-certificates" in failed.value.remedy


def test_a_trusted_root_that_cannot_be_read_is_named(common: Place, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    with pytest.raises(IssueFailed) as failed:
        usual(common, trusted_roots=(broken,)).issue(wanted("broken.example"), None)
    assert str(broken) in str(failed.value)


def test_the_proxy_of_the_environment_is_used(
    common: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = ports.reserve()
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
    with pytest.raises(IssueFailed, match="cannot be used"):
        usual(common).issue(wanted("proxy.example"), None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert usual(common).issue(wanted("proxy.example"), None)
    ports.release(port)


# Killed at any instant

MOMENTS = [
    ("sign-me-up", "after"),
    ("authZ", "before"),
    ("chalZ", "before"),
    ("chalZ", "after"),
    ("finalize-order", "before"),
    ("finalize-order", "after"),
    ("certZ", "before"),
    ("certZ", "after"),
]


@pytest.mark.parametrize(("step", "moment"), MOMENTS)
def test_a_killed_run_is_finished_by_the_next_with_the_same_order(
    own: Place, tmp_path: Path, step: str, moment: str
) -> None:
    with Between(own.pebble, tmp_path) as between:
        between.hold = Hold(step, moment)
        kill_at(between.hold, between, own.challenges.parent, "a.killed.example")
        store = FileStore(own.challenges.parent / "store")
        given = settings(between)
        pair = issuer(given, Webroot(own.challenges), store).issue(wanted("a.killed.example"), None)
    assert dns_names(leaf(pair)) == ("a.killed.example",)
    assert made(own.pebble, "orders") == 1
    assert made(own.pebble, "accounts") == 1


def test_a_challenge_that_is_being_checked_is_not_answered_again(
    between: Between, common: Place
) -> None:
    def processing(reply: Reply) -> Reply:
        given = reply.said["challenges"]
        return reply.saying(challenges=[{**one, "status": "processing"} for one in given])

    between.tamper = at("authZ", processing)
    with pytest.raises(IssueFailed, match="not finished"):
        behind(between, common, pace=replace(QUICK, order=0.3)).issue(wanted("busy.example"), None)
    assert between.times("chalZ") == []


def test_a_challenge_that_was_settled_just_now_needs_no_answer(
    between: Between, common: Place
) -> None:
    late = problem_at("chalZ", 400, "malformed", {})
    settled = common.pebble.log.count("set VALID")

    def tamper(step: str, reply: Reply) -> Reply:
        if step == "chalZ":
            until(lambda: common.pebble.log.count("set VALID") > settled, "a validation")
        return late(step, reply)

    between.tamper = tamper
    assert behind(between, common).issue(wanted("settled.example"), None)


def test_what_was_not_finished_gives_the_same_certificate_again(common: Place) -> None:
    orders = made(common.pebble, "orders")
    one = usual(common)
    first = one.issue(wanted("same.example"), None)
    assert one.issue(wanted("same.example"), None) == first
    assert made(common.pebble, "orders") == orders + 1


def test_what_was_stored_but_not_said_to_be_finished_is_not_given_again(common: Place) -> None:
    one = usual(common)
    first = one.issue(wanted("stored.example"), None)
    assert leaf(one.issue(wanted("stored.example"), first)) != leaf(first)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"names": ("else.example", "more.example")}, id="names"),
        pytest.param({"key_type": KeyType.ECDSA_P384}, id="key type"),
    ],
)
def test_an_order_for_something_else_is_not_continued(common: Place, other: dict[str, Any]) -> None:
    one = usual(common)
    first = one.issue(wanted("else.example"), None)
    asked = replace(wanted("else.example"), **other)
    second = one.issue(asked, None)
    assert leaf(second) != leaf(first)
    assert dns_names(leaf(second)) == tuple(sorted(asked.names))
    assert key_type_of(second.key) == asked.key_type


def test_finished_forgets_the_order_and_its_key(common: Place) -> None:
    store = MemoryStore()
    one = issuer(settings(common.pebble), Webroot(common.challenges), store)
    pair = one.issue(wanted("forget.example"), None)
    assert pair.key.decode().splitlines()[1] in store.values["orders/forget.example"].decode()
    one.finished("forget.example")
    one.finished("forget.example")
    assert list(store.keys("orders")) == []


@pytest.mark.parametrize("stored", [b"", b"{", b'{"purpose": "", "url": "http://x", "key": ""}'])
def test_a_damaged_memory_of_an_order_is_ignored(common: Place, stored: bytes) -> None:
    store = MemoryStore()
    store.put("orders/damaged.example", stored)
    one = issuer(settings(common.pebble), Webroot(common.challenges), store)
    assert one.issue(wanted("damaged.example"), None)


# Retry-After


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_obeyed(between: Between, common: Place, form: str) -> None:
    def tamper(step: str, reply: Reply) -> Reply:
        if step != "finalize-order" or reply.status != 200:
            return reply
        # Seconds in a date are whole: two of them are more than one from now.
        then = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        asked = reply.saying(status="processing")
        return asked.with_header("Retry-After", "1" if form == "seconds" else then)

    between.tamper = tamper
    behind(between, common).issue(wanted(f"{form}.wait.example"), None)
    assert between.times("my-order")[-1] - between.times("finalize-order")[-1] >= 1


def test_a_longer_wait_than_a_run_is_left_to_the_next(between: Between, common: Place) -> None:
    def tamper(step: str, reply: Reply) -> Reply:
        if step != "finalize-order" or reply.status != 200:
            return reply
        return reply.saying(status="processing").with_header("Retry-After", "7200")

    between.tamper = tamper
    one = behind(between, common)
    with pytest.raises(IssueFailed, match="not finished") as failed:
        one.issue(wanted("long.example"), None)
    assert failed.value.failure.retry_at
    assert failed.value.failure.retry_at - datetime.now(UTC) > timedelta(minutes=119)
    sent = len(between.times("order-plz"))
    assert one.issue(wanted("long.example"), None)
    assert len(between.times("order-plz")) == sent


def test_an_order_that_never_ends_is_given_up(between: Between, common: Place) -> None:
    def tamper(step: str, reply: Reply) -> Reply:
        if step == "authZ" and reply.status == 200:
            return reply.saying(status="pending")
        return reply

    between.tamper = tamper
    with pytest.raises(IssueFailed, match="not finished"):
        behind(between, common, pace=replace(QUICK, order=1)).issue(wanted("ever.example"), None)
    assert answers(common) == []


# Hostile answers


def padded(reply: Reply) -> Reply:
    """Return an answer that is right, but larger than any honest one."""
    return replace(reply, body=reply.body + b"\n" * 2_000_000)


def with_token(token: str) -> Callable[[Reply], Reply]:
    """Return what gives every challenge the same token."""

    def change(reply: Reply) -> Reply:
        given = reply.said["challenges"]
        return reply.saying(challenges=[{**one, "token": token} for one in given])

    return change


def foreign_certificate() -> bytes:
    """Return a certificate for the right name with somebody else's key."""
    return Authority("Foreign").issue("hostile.example").fullchain


DNS = {"type": "dns", "value": "hostile.example"}
OTHER = {"type": "dns", "value": "bank.example"}
HTTP = "http://127.0.0.1/x"
DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    ("step", "change"),
    [
        *[
            pytest.param(step, with_body(body), id=f"{step}: {kind}")
            for step in ("dir", "order-plz", "authZ", "finalize-order", "certZ")
            for kind, body in {
                "garbage": b"\xff\x00garbage",
                "a list": b"[]",
                "deep": DEEP,
                "nothing": b"",
            }.items()
        ],
        *[
            pytest.param(step, padded, id=f"{step}: giant")
            for step in ("dir", "order-plz", "authZ", "finalize-order", "certZ")
        ],
        pytest.param("order-plz", saying(identifiers=[OTHER]), id="an order for another name"),
        pytest.param("order-plz", saying(identifiers=[DNS, OTHER]), id="an order for more"),
        pytest.param("order-plz", saying(authorizations=[HTTP]), id="an http URL"),
        pytest.param("order-plz", saying(authorizations=["file:///etc/passwd"]), id="a file URL"),
        pytest.param("order-plz", saying(finalize="https://x\r\nHost: y/"), id="a split header"),
        pytest.param("order-plz", saying(status=7), id="a status that is none"),
        pytest.param("authZ", saying(identifier=OTHER), id="proof of another name"),
        pytest.param("authZ", saying(identifier={"type": "ip", "value": "1.2.3.4"}), id="an IP"),
        pytest.param("authZ", saying(challenges=[]), id="no challenge"),
        pytest.param("authZ", saying(challenges=[{"type": "dns-01"}]), id="dns-01 alone"),
        pytest.param("finalize-order", saying(status="invalid"), id="invalid at the end"),
        pytest.param("finalize-order", saying(status="valid"), id="valid without a certificate"),
        pytest.param("certZ", with_body(foreign_certificate()), id="a foreign certificate"),
        pytest.param(
            "certZ", lambda reply: replace(reply, body=reply.body * 20), id="a long chain"
        ),
    ],
)
def test_a_hostile_answer_is_refused(
    between: Between, common: Place, step: str, change: Callable[[Reply], Reply]
) -> None:
    between.tamper = at(step, change)
    store = MemoryStore()
    with pytest.raises(IssueFailed) as failed:
        behind(between, common, store=store).issue(wanted("hostile.example"), None)
    assert len(str(failed.value)) < 5000
    assert "PRIVATE" not in str(failed.value)
    assert answers(common) == []


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("../../../../tmp/escaped-the-folder", id="a path"),
        pytest.param("short", id="short"),
        pytest.param("x" * 400, id="long"),
    ],
)
def test_a_hostile_token_is_not_even_answered(between: Between, common: Place, token: str) -> None:
    between.tamper = at("authZ", with_token(token))
    with pytest.raises(IssueFailed, match="has no URL or no token"):
        behind(between, common).issue(wanted("hostile.example"), None)
    assert between.times("chalZ") == []


@pytest.mark.parametrize(
    ("times", "words"),
    [
        pytest.param(6, "a chain of 12 certificates", id="long"),
        pytest.param(20, "more than 20 certificates", id="too long to be parsed"),
    ],
)
def test_an_endless_chain_is_refused(
    between: Between, common: Place, times: int, words: str
) -> None:
    between.tamper = at("certZ", lambda reply: replace(reply, body=reply.body * times))
    with pytest.raises(IssueFailed, match=words):
        behind(between, common).issue(wanted("hostile.example"), None)


def test_text_around_the_certificates_is_not_kept(between: Between, common: Place) -> None:
    noise = b"noise\n-----BEGIN X-----\nbm9pc2U=\n-----END X-----\nnoise\n"
    between.tamper = at("certZ", lambda reply: replace(reply, body=noise + reply.body + noise))
    pair = behind(between, common).issue(wanted("noise.example"), None)
    assert b"noise" not in pair.fullchain
    assert b"BEGIN X" not in pair.fullchain
