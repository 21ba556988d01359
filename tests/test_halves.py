"""The two halves without a service: what each plans, and what each leaves to the other."""

from __future__ import annotations

import errno
import http.client
import http.server
import socket
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from proxygen import obtain as obtain_module
from proxygen.apply.issuance import Issuance
from proxygen.apply.orders import MOST_ORDERS, Orders, Tried
from proxygen.apply.outcome import SILENT, Outcome, Progress
from proxygen.assemble import Installation
from proxygen.deploy import answers_after, deploy, note_answered, plan_deployment, stopped_services
from proxygen.errors import IssueFailed, ServiceError
from proxygen.failure import RefusedName, Scope, failure
from proxygen.host import lock
from proxygen.model.certificate import DNS, GLOBAL, Bundle, Certificate
from proxygen.model.site import Site
from proxygen.names.states import Answers
from proxygen.observe.site import observe, observe_store
from proxygen.obtain import obtain, plan_orders
from proxygen.plan.observed import Observed, ServiceState
from proxygen.plan.renewal import Reason, warned_from
from proxygen.plan.steps import CheckNames, Forget, Issue, Plan, PostponedOrder
from proxygen.plan.wake import wake_at
from proxygen.reconcile import (
    Alone,
    carry_findings,
    deploy_alone,
    join_halves,
    make_plan,
    reconcile,
)
from proxygen.services import Listener, ServiceSettings
from proxygen.stores import applied_model, challenge_answers
from proxygen.stores.filesystem import FileStore
from proxygen.terminal.walk import Run
from proxygen.texts.alerts import RoundResult, alerts
from tests import certificates
from tests.certificates import NOON
from tests.failures import at_work, not_issued, too_old
from tests.live.installation import Clock, TrialInstallation, challenge_port
from tests.live.small_authority import SmallAuthority
from tests.models import bundle, site

DAY = timedelta(days=1)
A = {"a.example": {"url": "https://www.a.example", "certificate": "acme"}}
B = {"b.example": {"url": "https://www.b.example", "certificate": "selfsigned"}}


@pytest.fixture
def port() -> Iterator[int]:
    """Return the port of the challenges."""
    with challenge_port() as found:
        yield found


@pytest.fixture
def ours(tmp_path: Path, port: int) -> TrialInstallation:
    """Return an installation without a model."""
    return TrialInstallation(tmp_path / "root", Clock(), port)


@pytest.fixture
def ca(tmp_path: Path, ours: TrialInstallation) -> Iterator[SmallAuthority]:
    """Return an authority."""
    with SmallAuthority(tmp_path, clock=ours.clock, http_port=ours.http_port) as made:
        yield made


def answers(names: Collection[str]) -> Answers:
    """Return that a web server answers challenges for some names, and was asked for no others."""
    return Answers(frozenset(names))


def words(plan: Plan) -> list[str]:
    """Return what a plan does, in short."""
    return [short(step) for step in plan.steps]


def short(step: object) -> str:
    """Return a step in short."""
    match step:
        case Issue(certificate, _, stand_in):
            return f"{'stand-in' if stand_in else 'issue'} {certificate.owner}"
        case CheckNames(asked):
            return f"look at {', '.join(name for _, name in asked)}"
        case Forget(gone):
            return f"forget {gone.owner}"
    return type(step).__name__


# What each half plans.

TEXT = """\
global: {url: mail.example.net, certificate: GLOBAL}
acme: {terms_of_service_agreed: true, preflight: false}
services: {}
domains:
  a.example: {url: www.a.example, certificate: acme}
  b.example: {url: www.b.example, certificate: selfsigned}
  c.example: {url: www.c.example, certificate: {file: {certificate: c.pem, key: c.pem}}}
  d.example: {url: www.d.example}
  e.example: {url: www.e.example, certificate: hook}
"""


def stored(found: Site, *owners: str) -> dict[str, Bundle]:
    """Return bundles of some owners, as they are wanted."""
    now = Clock().now
    return {
        each.owner: replace(bundle(each, ends=now + 60 * DAY), authority=directory(found, each))
        for each in found.certificates
        if each.owner in owners
    }


def directory(found: Site, wanted: object) -> str:
    """Return the authority of what is wanted from one."""
    return found.acme.directory if getattr(wanted, "issuer", "") == "acme" else ""


@pytest.mark.parametrize(
    ("issuer", "there", "here", "elsewhere"),
    [
        ("acme", (), ["stand-in global", *("issue b.example", "issue c.example")], ["global", "a"]),
        ("selfsigned", (), ["issue global", "issue b.example", "issue c.example"], ["a"]),
        ("acme", ("global",), ["issue b.example", "issue c.example"], ["a"]),
        ("acme", ("a.example", "b.example"), ["stand-in global", "issue c.example"], ["global"]),
        ("acme", ("global", "a.example", "b.example"), ["issue c.example"], []),
    ],
)
def test_each_half_plans_its_own(
    ours: TrialInstallation,
    issuer: str,
    there: tuple[str, ...],
    here: list[str],
    elsewhere: list[str],
) -> None:
    found = site(TEXT.replace("GLOBAL", issuer))
    what = Observed(stored(found, *there), {}, {})
    assert words(plan_deployment(found, ours.parts, what)) == here
    orders = [f"issue {each if each == GLOBAL else f'{each}.example'}" for each in elsewhere]
    assert words(plan_orders(found, ours.parts, what)) == orders


def test_what_was_supplied_in_this_deployment_is_not_supplied_again(
    ours: TrialInstallation,
) -> None:
    found = site(TEXT.replace("GLOBAL", "selfsigned"))
    what = Observed({}, {}, {})
    again = plan_deployment(found, ours.parts, what, {"b.example", "c.example"})
    assert words(again) == ["issue global"]


def test_only_who_is_asked_for_is_ordered_and_nobody_twice(ours: TrialInstallation) -> None:
    found = site(TEXT.replace("GLOBAL", "acme"))
    what = Observed({}, {}, {})
    assert words(plan_orders(found, ours.parts, what, ["a.example"])) == ["issue a.example"]
    assert words(plan_orders(found, ours.parts, what, tried={"a.example"})) == ["issue global"]


def test_names_are_checked_right_before_their_orders(ours: TrialInstallation) -> None:
    found = site(TEXT.replace("GLOBAL", "acme").replace(", preflight: false", ""))
    what = Observed({}, {}, {})
    assert words(plan_orders(found, ours.parts, what)) == [
        "look at mail.example.net, www.a.example",
        *("issue global", "issue a.example"),
    ]


def test_what_ended_and_nobody_wants_is_forgotten_where_certificates_are_obtained(
    ours: TrialInstallation,
) -> None:
    found = site(TEXT.replace("GLOBAL", "acme"))
    gone = replace(
        stored(found, "a.example")["a.example"], owner="gone.example", not_after=Clock().now - DAY
    )
    what = Observed(stored(found, GLOBAL, "a.example") | {"gone.example": gone}, {}, {})
    assert words(plan_orders(found, ours.parts, what)) == ["forget gone.example"]
    assert "forget" not in " ".join(words(plan_deployment(found, ours.parts, what)))


def test_a_plan_shows_both_halves_in_their_order(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, A | B)
    plan = make_plan(ours.site, ours.parts, observe(ours.site, ours.parts))
    assert words(plan) == ["issue global", "issue b.example", "issue a.example"]


# What each half does.


def test_a_deployment_asks_no_authority(ours: TrialInstallation, ca: SmallAuthority) -> None:
    ours.model(ca, A | B)
    outcome = deploy(ours.site, ours.parts, SILENT)
    assert outcome.failures == []
    assert ours.parts.bundles.all().keys() == {GLOBAL, "b.example"}
    assert not ca.counts


def test_obtaining_touches_nothing_but_the_store(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, A | B)
    outcome = obtain(ours.site, ours.parts, SILENT)
    assert outcome.failures == []
    assert outcome.obtained == 1
    assert ours.parts.bundles.all().keys() == {"a.example"}
    assert [each.name for each in ours.layout.var.iterdir()] == ["store"]


def test_nothing_is_ordered_for_names_that_no_web_server_answers_for(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, A)
    challenge_answers.note_answers(
        ours.parts.own, "nginx", Answers(silent=frozenset({"www.a.example"}))
    )
    outcome = obtain(ours.site, ours.parts, SILENT)
    ((of, error),) = outcome.failures
    assert of == "a.example"
    assert isinstance(error, IssueFailed)
    assert error.what.endswith("does not answer challenges for www.a.example")
    assert "newOrder" not in ca.counts
    challenge_answers.note_answers(ours.parts.own, "nginx", None)
    assert obtain(ours.site, ours.parts, SILENT).obtained == 1  # by our own listener


def test_what_is_proven_by_dns_waits_for_no_web_server(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    program = ours.layout.root / "solver"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o700)
    solvers = {"dns": {"exec": {"program": str(program)}}}
    ours.model(ca, A, acme={"challenge": "dns-01"}, solvers=solvers)
    challenge_answers.note_answers(ours.parts.own, "nginx", Answers())
    obtain(ours.site, ours.parts, SILENT)
    assert ca.counts["newOrder"] == 1


def test_where_another_process_obtains_what_is_there_is_deployed(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    @contextmanager
    def taken() -> Iterator[None]:
        raise at_work()
        yield

    ours.model(ca, A | B)
    outcome = reconcile(ours.site, ours.parts, SILENT, alone=Alone(obtaining=taken))
    assert ours.parts.bundles.all().keys() == {GLOBAL, "b.example"}
    assert outcome.exit_code == 7
    assert not outcome.failures


def test_what_one_half_failed_at_is_no_matter_of_the_other(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    supplied = {"file": {"certificate": "none.pem", "key": "none.pem"}}
    more = {"c.example": {"url": "https://www.c.example", "certificate": supplied}}
    ca.rejecting.add("www.a.example")
    ours.model(ca, A | B | more)
    outcome = ours.round()
    assert [of for of, _ in outcome.failures] == ["c.example", "a.example"]
    assert ours.parts.bundles.failures().keys() == {"a.example", "c.example"}
    ours.model(ca, A | B)
    assert ours.round().failures == []
    assert ours.parts.bundles.failures().keys() == {"a.example"}  # it waits


def test_the_store_alone_is_enough_to_obtain(ours: TrialInstallation, ca: SmallAuthority) -> None:
    ours.model(ca, A)
    assert observe_store(ours.site, ours.parts).services == {}
    assert obtain(ours.site, ours.parts, SILENT).obtained == 1
    again = obtain(ours.site, ours.parts, SILENT)
    assert (again.obtained, again.done) == (0, [])


# For which names challenges are answered.


def test_what_is_answered_is_written_when_it_changes_and_else_not(ours: TrialInstallation) -> None:
    store = ours.parts.own
    assert challenge_answers.of_all(store) is None
    challenge_answers.note_answers(store, "nginx", answers({"b.example", "a.example"}))
    assert challenge_answers.of_all(store) == answers({"a.example", "b.example"})
    path = ours.layout.store / "host/answered/nginx"
    before = path.stat().st_mtime_ns
    challenge_answers.note_answers(store, "nginx", answers(["a.example", "b.example"]))
    assert path.stat().st_mtime_ns == before
    challenge_answers.note_answers(store, "nginx", None)
    assert challenge_answers.of_all(store) is None


def test_what_is_answered_is_told_apart_by_server(ours: TrialInstallation) -> None:
    challenge_answers.note_answers(ours.parts.own, "nginx", answers(["a.example"]))
    with pytest.raises(ValueError, match="answered"):  # what all share does not hold it
        challenge_answers.note_answers(ours.parts.store, "nginx", answers(["a.example"]))
    assert not [*ours.parts.own.store.keys("answered")]


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b'["a.example", 7]', b"[" * 5000])
def test_a_damaged_note_answers_for_nothing(ours: TrialInstallation, value: bytes) -> None:
    ours.parts.own.put("answered/nginx", value)
    assert challenge_answers.of_all(ours.parts.own) == Answers()


# In portions.


def test_what_is_ordered_in_portions_comes_whole_and_nothing_twice(
    ours: TrialInstallation, ca: SmallAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxygen.reconcile.PORTION", 0.3)
    many = {
        f"d{number}.example": {"url": f"https://www.d{number}.example", "certificate": "acme"}
        for number in range(60)
    }
    ca.rejecting.add("www.d7.example")
    ours.model(ca, many)
    outcome = ours.round()
    assert [of for of, _ in outcome.failures] == ["d7.example"]
    assert ours.parts.bundles.all().keys() == {GLOBAL, *many} - {"d7.example"}
    assert ca.counts["newOrder"] == 60


def test_told_to_stop_nothing_more_is_begun_and_what_was_not_is_no_failure(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, A)
    told = replace(SILENT, stop=lambda: True)
    outcome = obtain(ours.site, ours.parts, told)
    assert not outcome.failures
    assert "newOrder" not in ca.counts
    assert obtain(ours.site, ours.parts, SILENT).obtained == 1


# What a review found.


def test_what_stands_of_a_service_that_is_there_no_more_is_forgotten(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    challenge_answers.note_answers(ours.parts.own, "nginx", answers(["www.other.example"]))
    ours.model(ca, A)
    assert ours.round().failures == []
    assert challenge_answers.of_all(ours.parts.own) is None


def test_a_newer_site_that_another_process_deployed_stays(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, {})
    former = ours.site
    ours.model(ca, B)
    newer, deployed = ours.site, list[tuple[str, ...]]()

    def noted(found: Site) -> Site:
        deployed.append(tuple(each.key for each in found.domains))
        return found

    reconcile(former, ours.parts, SILENT, alone=Alone(latest=lambda _: newer, deployed=noted))
    assert deployed == [("b.example",)]


def test_a_portion_is_not_used_up_before_anything_is_ordered(
    ours: TrialInstallation, ca: SmallAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    polled = obtain_module.poll_renewals

    def slow(*given: Any) -> Observed:
        time.sleep(0.3)
        return polled(*given)

    monkeypatch.setattr("proxygen.reconcile.PORTION", 0.2)
    monkeypatch.setattr(obtain_module, "poll_renewals", slow)
    ours.model(ca, A)
    assert ours.round().obtained == 1


def test_a_name_that_nobody_came_to_check_is_not_ordered(
    ours: TrialInstallation, ca: SmallAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxygen.apply.orders.LOOKING", -1.0)
    ours.model(ca, A, acme={"preflight": True})
    obtain(ours.site, ours.parts, SILENT)
    assert "newOrder" not in ca.counts


def test_a_certificate_is_ordered_without_a_name_that_is_not_answered_for(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    more = {"extra_names": ["x.a.example"]}
    ours.model(ca, {"a.example": A["a.example"] | more})
    assert ours.round().failures == []
    ours.clock.now = ours.bundle("a.example").not_after - DAY
    challenge_answers.note_answers(ours.parts.own, "nginx", answers(["www.a.example"]))
    ((_, error),) = obtain(ours.site, ours.parts, SILENT).failures
    assert error.what.startswith("the authority refused www.a.example:")  # and nothing else
    assert ca.counts["newOrder"] == 2


def test_only_whose_certificate_is_asked_for_is_supplied(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, A | B)
    ours.round("a.example")
    assert ours.parts.bundles.all().keys() == {GLOBAL, "a.example"}


def test_a_failure_of_files_is_forgotten_when_they_are_as_they_were(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.clock.now = certificates.NOON
    leaf = certificates.leaf(certificates.root(), "www.c.example")
    files = {"certificate": "c.pem", "key": "k.pem"}
    wanted = {"url": "https://www.c.example", "certificate": {"file": files}}
    ours.model(ca, {"c.example": wanted})
    folder = ours.layout.config.parent
    good = certificates.pem(leaf.certificate)
    (folder / "k.pem").write_bytes(certificates.key_pem(leaf.key))
    (folder / "c.pem").write_bytes(good)
    assert ours.round().failures == []
    (folder / "c.pem").write_bytes(b"garbage")
    assert [of for of, _ in ours.round().failures] == ["c.example"]
    (folder / "c.pem").write_bytes(good)
    assert ours.round().failures == []
    assert not ours.parts.bundles.failures()


def test_files_that_cannot_be_used_are_tried_again_when_they_change_or_the_pause_is_over(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    files = {"certificate": "c.pem", "key": "k.pem"}
    wanted = {"url": "https://www.c.example", "certificate": {"file": files}}
    ours.model(ca, {"c.example": wanted})
    path = ours.layout.config.parent / "c.pem"
    path.write_bytes(b"garbage")
    path.with_name("k.pem").write_bytes(b"garbage")

    def deployed(*only: str) -> tuple[list[str], list[str], int]:
        outcome = deploy(ours.site, ours.parts, SILENT, only=only)
        failed, waiting = (of for of, _ in outcome.failures), (w.owner for w in outcome.waiting)
        return [*failed], [*waiting], ours.parts.bundles.failures()["c.example"].count

    assert deployed() == (["c.example"], [], 1)
    assert deployed() == ([], ["c.example"], 1)
    assert ours.round().exit_code == IssueFailed.exit_code
    plan = make_plan(ours.site, ours.parts, observe(ours.site, ours.parts))
    assert (words(plan), [each.owner for each in plan.waiting]) == ([], ["c.example"])
    assert deployed("c.example") == (["c.example"], [], 2)  # a person asks
    path.write_bytes(b"other garbage")
    assert deployed() == (["c.example"], [], 3)
    again = ours.parts.bundles.failures()["c.example"].again
    observed = observe(ours.site, ours.parts)
    assert wake_at(ours.site, observed, (), ours.clock.now) == again
    ours.clock.now = again
    assert deployed() == (["c.example"], [], 4)


def test_what_a_run_found_wrong_with_files_is_told_when_it_deploys_once_more(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    files = {"certificate": "c.pem", "key": "k.pem"}
    wanted = {"url": "https://www.c.example", "certificate": {"file": files}}
    ours.model(ca, A | {"c.example": wanted})
    outcome = ours.round()
    assert outcome.obtained
    assert [of for of, _ in outcome.failures] == ["c.example"]
    assert not outcome.waiting
    assert ours.parts.bundles.failures()["c.example"].count == 1


def test_a_web_server_that_says_nothing_answers_for_nobody_and_is_not_asked_for_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = Listener("127.0.0.1", server.getsockname()[1], False)
        with patience(0.1) as asked:
            many = [f"d{n}.example" for n in range(1000)]
            found = challenge_answers.ask_listener(listener, many, time.monotonic() + 60)
            assert found == Answers(silent=frozenset(many))
        assert len(asked) == 1


@contextmanager
def patience(seconds: float) -> Iterator[list[float]]:
    """Have connections that wait so long, and how often one was made."""
    made, connect = list[float](), http.client.HTTPConnection

    def connection(address: str, port: int, timeout: float) -> http.client.HTTPConnection:
        made.append(timeout)
        return connect(address, port, timeout=seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("http.client.HTTPConnection", connection)
        yield made


@pytest.mark.parametrize("broken", ["global: [", None])
def test_the_latest_site_is_the_one_that_is_kept_while_the_file_is_wrong(
    ours: TrialInstallation, ca: SmallAuthority, broken: str | None
) -> None:
    ours.model(ca, A)
    run, found = Run(ours.layout, ours.site, 0), list[Site]()

    def once(site: Site, parts: Installation, shown: Progress, alone: Alone) -> Outcome:
        ours.model(ca, A | B)
        applied_model.keep_model(parts.store, ours.site)  # as another process does that deployed it
        ours.layout.config.write_text(broken) if broken else ours.layout.config.unlink()
        found.append(alone.latest(site))
        return Outcome()

    run.whole(once, SILENT)
    assert [each.key for each in found[0].domains] == ["a.example", "b.example"]


# For which names a web server answers, asked and not.


@contextmanager
def web_root(ours: TrialInstallation) -> Iterator[None]:
    """Have a web server that answers challenges."""
    folder = ours.layout.challenges
    folder.mkdir(parents=True, exist_ok=True)

    class Files(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.path.rpartition("/")[2]
            found = [each.read_bytes() for each in folder.rglob("*") if each.name == wanted]
            self.send_response(200 if found else 404)
            self.send_header("content-length", str(len(b"".join(found))))
            self.end_headers()
            self.wfile.write(b"".join(found))

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", ours.http_port), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


MORE_NAMES = {"a.example": A["a.example"] | {"extra_names": ["x.a.example"]}}


def test_a_certificate_without_a_name_that_is_not_answered_for_is_ordered_once(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, MORE_NAMES)
    deploy(ours.site, ours.parts, SILENT)
    silent = frozenset({"x.a.example"})
    challenge_answers.note_answers(
        ours.parts.own, "nginx", Answers(frozenset({"www.a.example"}), silent)
    )
    with web_root(ours):
        for _ in range(3):
            found = obtain(ours.site, ours.parts, SILENT)
            assert found.failures == []
            assert found.observed is not None
            ours.clock.now += timedelta(minutes=2)
            assert wake_at(ours.site, found.observed, found.waiting, ours.clock.now) > (
                ours.clock.now
            )
        assert ca.counts["newOrder"] == 1
        challenge_answers.note_answers(
            ours.parts.own, "nginx", answers(["x.a.example", "www.a.example"])
        )
        assert obtain(ours.site, ours.parts, SILENT).obtained == 1
    assert set(ours.bundle("a.example").names) == {"www.a.example", "x.a.example"}


def test_what_failed_without_a_name_that_is_not_answered_for_has_its_pause(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, MORE_NAMES)
    challenge_answers.note_answers(ours.parts.own, "nginx", answers(["www.a.example"]))
    ca.rejecting.add("www.a.example")
    with web_root(ours):
        assert [of for of, _ in obtain(ours.site, ours.parts, SILENT).failures] == ["a.example"]
        again = obtain(ours.site, ours.parts, SILENT)
    assert ca.counts["newOrder"] == 1
    assert [(each.owner, each.code) for each in again.waiting] == [("a.example", "failed")]
    assert ours.parts.bundles.failures()["a.example"].count == 1


def test_a_renewal_waits_for_a_name_of_it_that_is_not_answered_for_until_the_end_is_near(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, MORE_NAMES)
    with web_root(ours):
        challenge_answers.note_answers(
            ours.parts.own, "nginx", answers(["x.a.example", "www.a.example"])
        )
        assert obtain(ours.site, ours.parts, SILENT).obtained == 1
        before = ours.bundle("a.example")
        ours.clock.now = before.not_before + before.lifetime * 0.7
        silent = frozenset({"x.a.example"})
        challenge_answers.note_answers(
            ours.parts.own, "nginx", Answers(frozenset({"www.a.example"}), silent)
        )
        (waits,) = obtain(ours.site, ours.parts, SILENT).waiting
        assert ours.bundle("a.example").digest == before.digest
        assert waits.until == warned_from(before)
        assert waits.words.startswith(
            "the web server does not answer challenges for x.a.example; ordered without them from "
        )
        ours.clock.now = warned_from(before)
        found = obtain(ours.site, ours.parts, SILENT)
    assert ours.bundle("a.example").names == ("www.a.example",)
    (note,) = found.notes
    assert "renewed without x.a.example, for which the web server does not answer" in note


def test_what_cannot_be_read_of_what_is_answered_stops_nothing(
    ours: TrialInstallation, ca: SmallAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours.model(ca, A)
    challenge_answers.note_answers(ours.parts.own, "nginx", answers(["www.a.example"]))
    get = FileStore.get

    def broken(store: FileStore, key: str) -> bytes | None:
        if "answered" in key:
            raise OSError(errno.EIO, "Input/output error")
        return get(store, key)

    monkeypatch.setattr(FileStore, "get", broken)
    assert (
        challenge_answers.of_all(ours.parts.own)
        == challenge_answers.answers_of(ours.parts.own, "nginx")
        == Answers()
    )
    assert deploy(ours.site, ours.parts, SILENT).failures == []
    assert not obtain(ours.site, ours.parts, SILENT).failures


class Probed(http.server.BaseHTTPRequestHandler):
    """Answers for names but the *wrong* ones; closes after *most*, without a word at *mute*."""

    protocol_version = "HTTP/1.1"
    most, delay, proxied = 10**9, 0.0, False
    wrong: Collection[str] = ()
    mute: Collection[str] = ()

    def setup(self) -> None:
        super().setup()
        self.asked = 0
        if self.proxied and not self.rfile.readline().startswith(b"PROXY"):
            raise ConnectionError

    def do_GET(self) -> None:
        time.sleep(self.delay)
        self.asked += 1
        if self.headers["host"] in self.mute:
            self.close_connection = True
            return
        self.send_response(404 if self.headers["host"] in self.wrong else 200)
        self.send_header("content-length", str(len(challenge_answers.PROBE_ANSWER)))
        if self.asked >= self.most:
            self.send_header("connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(challenge_answers.PROBE_ANSWER)

    def log_message(self, *args: Any) -> None:
        pass


class Quiet(http.server.ThreadingHTTPServer):
    """Tells nobody of connections that broke."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def probed(*, proxied: bool = False, **how: Any) -> Iterator[Listener]:
    """Have a web server that is asked for challenges."""
    server = Quiet(("127.0.0.1", 0), type("Kind", (Probed,), {"proxied": proxied, **how}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Listener("127.0.0.1", server.server_address[1], False, proxied)
    finally:
        server.shutdown()
        server.server_close()


MANY = tuple(f"n{number:03}.example" for number in range(200))


@pytest.mark.parametrize("proxied", [False, True])
def test_more_names_are_asked_for_than_a_connection_takes(proxied: bool) -> None:
    with probed(most=10, proxied=proxied) as listener:
        assert challenge_answers.ask_listener(listener, MANY, time.monotonic() + 60) == answers(
            MANY
        )


def test_a_name_that_is_wrong_or_closes_keeps_no_other_from_being_answered_for() -> None:
    bad = frozenset(MANY[:2]) | {MANY[50], MANY[199]}
    with probed(proxied=True, wrong=bad - {MANY[1]}, mute={MANY[1], MANY[50]}) as listener:
        found = challenge_answers.ask_listener(listener, MANY, time.monotonic() + 60)
    assert found == Answers(frozenset(MANY) - bad, bad)


def test_names_that_nobody_had_the_time_to_ask_for_are_neither_answered_for_nor_wrong() -> None:
    with probed(delay=0.05) as listener:
        found = challenge_answers.ask_listener(listener, MANY, time.monotonic() + 0.5)
        assert len(found.names) <= 11  # however busy the machine is: each takes 0.05 s
        assert not found.silent
        assert challenge_answers.ask_listener(listener, MANY, time.monotonic() - 1) == Answers()


@pytest.mark.parametrize(
    ("installed", "heard", "names", "silent", "order"),
    [
        pytest.param((), Answers(), "a", "s", "us", id="nobody came to ask"),
        pytest.param((), Answers(frozenset("s")), "as", "", "us", id="one is right by now"),
        pytest.param((), Answers(silent=frozenset("u")), "a", "su", "us", id="a new one is wrong"),
        pytest.param(("nginx",), Answers(frozenset("a")), "a", "s", "us", id="installed anew"),
        pytest.param(
            ("nginx",), Answers(silent=frozenset("a")), "", "as", "uas", id="and wrong since"
        ),
    ],
)
def test_what_was_known_of_a_name_that_is_not_asked_for_stays_and_new_ones_come_first(
    ours: TrialInstallation,
    monkeypatch: pytest.MonkeyPatch,
    installed: Collection[str],
    heard: Answers,
    names: str,
    silent: str,
    order: str,
) -> None:
    settings = ours.parts.services["nginx"].settings_type()
    state = ServiceState("nginx", settings, pid=7)
    what = Observed({}, {"nginx": state}, {})
    wanted = replace(WANTED, names=("a", "s", "u"))
    found = site(TEXT.replace("GLOBAL", "selfsigned"))
    domain = next(each for each in found.domains if each.key == "a.example")
    found = replace(found, domains=(replace(domain, certificate=wanted),))
    challenge_answers.note_answers(ours.parts.own, "nginx", Answers(frozenset("a"), frozenset("s")))
    asked = list[str]()

    def asking(listener: Listener, names: Collection[str], until: float) -> Answers:
        asked.append("".join(names))
        return Answers(heard.names & {*names}, heard.silent & {*names})

    monkeypatch.setattr(challenge_answers, "ask_listener", asking)
    note_answered(found, ours.parts, what, installed)
    assert challenge_answers.of_all(ours.parts.own) == Answers(frozenset(names), frozenset(silent))
    assert asked[-1] == order
    expected = Answers(frozenset("asu"))
    assert answers_after(found, ours.parts, what, ["nginx"]) == expected
    assert answers_after(found, ours.parts, replace(what, services={}), []) is None


def both_halves(site: Site, parts: Installation, shown: Progress, alone: Alone) -> Outcome:
    """Do what `proxygen apply` does."""
    return reconcile(site, parts, shown, alone=alone)


def killed_before(ours: TrialInstallation) -> Path:
    """Leave what a run leaves that was killed; return the secret that no facts name."""
    secret = ours.layout.store / "bundles/a.example" / f"{'0' * 64}"
    ours.parts.store.put(f"bundles/a.example/{'0' * 64}", b"key")
    ours.layout.lock.write_text("12345\n")
    return secret


def test_what_a_killed_run_left_goes_though_the_next_one_cannot_obtain(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, {})
    left = killed_before(ours)
    with lock.hold(ours.layout.obtaining):
        found = Run(ours.layout, ours.site, 0).whole(both_halves, SILENT)
        assert found.locked
    with lock.hold(ours.layout.lock):  # by now that tells of nobody who was killed
        assert left.exists()
    assert Run(ours.layout, ours.site, 0).whole(both_halves, SILENT).locked is None
    assert not left.exists()
    assert not ours.layout.untidy.exists()


def test_what_a_killed_run_left_goes_though_the_next_one_is_not_to_obtain(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, {})
    left = killed_before(ours)
    Run(ours.layout, ours.site, 0).whole(deploy_alone, SILENT)
    assert left.exists()
    Run(ours.layout, ours.site, 0).whole(both_halves, SILENT)
    assert not left.exists()


def test_what_was_just_deployed_is_told_though_nothing_was_obtained_since(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, {})
    deploy(ours.site, ours.parts, SILENT)
    before = obtain(ours.site, ours.parts, SILENT)  # nothing is due: the daemon keeps that
    ours.model(ca, B)
    deployed = deploy(ours.site, ours.parts, SILENT)
    told = join_halves(ours.site, ours.parts, deployed, before)
    assert told.observed
    assert "b.example" in told.observed.bundles


def test_what_the_dns_said_may_be_forgotten_while_it_is_asked_for(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.model(ca, {})

    class Forgetful(dict[object, Any]):
        """Forgets all at once, as another thread may have it do."""

        def __contains__(self, key: object) -> bool:
            found = super().__contains__(key)
            self.clear()
            return found

    found = ours.site
    parts = replace(ours.parts, resolvers=Forgetful())
    parts.resolver_for(found)
    assert parts.resolver_for(found)


# Files whose password is corrected.


@pytest.fixture
def supplied(ours: TrialInstallation, ca: SmallAuthority) -> Path:
    """Return the file with the wrong password of a supplied certificate, which was tried."""
    ours.clock.now = NOON
    leaf = certificates.leaf(certificates.root(), "www.c.example")
    folder = ours.layout.config.parent
    locked = BestAvailableEncryption(b"right")
    made = pkcs12.serialize_key_and_certificates(b"x", leaf.key, leaf.certificate, None, locked)
    (folder / "c.p12").write_bytes(made)
    place = folder / "password"
    place.write_bytes(b"wrong")
    place.chmod(0o600)
    file = {"certificate": "c.p12", "password": f"file:{place}"}
    ours.model(ca, {"c.example": {"url": "www.c.example", "certificate": {"file": file}}})
    for _ in range(4):
        assert [of for of, _ in ours.round().failures] == ["c.example"]
        ours.clock.now += DAY
    ours.clock.now -= DAY - timedelta(minutes=1)
    found = ours.round()
    assert found.failures == []
    assert [each.owner for each in found.waiting] == ["c.example"]  # nothing was corrected
    return place


def is_used(ours: TrialInstallation) -> bool:
    """Return whether a round uses what was supplied."""
    found = ours.round()
    return not found.failures and not found.waiting and ours.bundle("c.example").issuer == "file"


def test_a_corrected_password_is_tried_at_once(ours: TrialInstallation, supplied: Path) -> None:
    supplied.write_bytes(b"right")
    assert is_used(ours)
    supplied.write_bytes(b"wrong")
    assert ours.round().done == []  # what is stored serves, whatever the password is by now


def test_another_password_in_the_model_is_tried_at_once(
    ours: TrialInstallation, supplied: Path
) -> None:
    other = supplied.with_name("other")
    other.write_bytes(b"right")
    other.chmod(0o600)
    text = ours.layout.config.read_text()
    ours.layout.config.write_text(text.replace(f"file:{supplied}", f"file:{other}"))
    assert is_used(ours)


def test_a_failure_keeps_no_password(ours: TrialInstallation, supplied: Path) -> None:
    supplied.write_bytes(b"very-secret")
    ours.round()
    kept = [each.read_bytes() for each in ours.layout.store.rglob("*") if each.is_file()]
    assert not [each for each in kept if b"very-secret" in each]


def test_a_mail_about_supplied_files_tells_why_in_each_round(
    ours: TrialInstallation, ca: SmallAuthority
) -> None:
    ours.clock.now = NOON
    leaf = certificates.leaf(certificates.root(), "www.c.example")
    folder = ours.layout.config.parent
    file = {"certificate": "c.pem", "key": "k.pem"}
    ours.model(ca, {"c.example": {"url": "www.c.example", "certificate": {"file": file}}})
    (folder / "k.pem").write_bytes(certificates.key_pem(leaf.key))
    (folder / "c.pem").write_bytes(certificates.pem(leaf.certificate))
    assert ours.round().failures == []
    ours.clock.now = ours.bundle("c.example").not_after - 2 * DAY
    (folder / "c.pem").write_bytes(b"garbage")
    for _ in range(2):
        found = ours.round()
        seen = RoundResult(found.observed, tuple(found.failures), tuple(found.waiting))
        (alert,) = (
            each for each in alerts(ours.site, seen, ours.clock.now) if each.kind == "supplied"
        )
        assert alert.last_failure
        assert alert.last_failure.failure.final


# What Orders decides.

WANTED = next(
    replace(each, names=("www.a.example", "x.a.example"))
    for each in site(TEXT.replace("GLOBAL", "acme")).certificates
    if each.owner == "a.example"
)
FIRST, MORE = WANTED.names
STRICT = replace(WANTED, strict=True)


def orders(ours: TrialInstallation, tried: Tried) -> Orders:
    """Return who walks plans."""
    found, outcome = site(TEXT.replace("GLOBAL", "acme")), Outcome()
    issuance = Issuance(found, ours.parts, outcome, SILENT, lambda _: None)
    return Orders(found, ours.parts, outcome, SILENT, issuance, tried)


@pytest.mark.parametrize(
    ("wanted", "answers", "tried", "ordered", "failed", "waits"),
    [
        pytest.param(WANTED, None, (), [FIRST, MORE], [], [], id="no web server runs"),
        pytest.param(WANTED, {FIRST, MORE}, (), [FIRST, MORE], [], [], id="all are answered for"),
        pytest.param(WANTED, {FIRST}, (), [FIRST], [], [], id="but for an extra name"),
        pytest.param(STRICT, {FIRST}, (), [], ["a.example"], [], id="which must be in"),
        pytest.param(WANTED, {MORE}, (), [], ["a.example"], [], id="but for the URL's"),
        pytest.param(WANTED, set(), (), [], [], ["a.example"], id="nobody asked yet"),
        pytest.param(WANTED, {FIRST, MORE}, ("a.example",), [], [], [], id="tried in this run"),
        pytest.param(
            replace(WANTED, challenge=DNS), set(), (), [FIRST, MORE], [], [], id="by dns-01"
        ),
    ],
)
def test_what_is_ordered_of_what_is_due(
    ours: TrialInstallation,
    wanted: Certificate,
    answers: set[str] | None,
    tried: Collection[str],
    ordered: list[str],
    failed: list[str],
    waits: list[str],
) -> None:
    present = None
    if answers is not None:
        silent = {FIRST, MORE} - answers if answers else set[str]()
        present = Answers(frozenset(answers), frozenset(silent))
    found = site(TEXT.replace("GLOBAL", "selfsigned"))
    domain = next(each for each in found.domains if each.key == "a.example")
    found = replace(found, domains=(replace(domain, certificate=wanted),))
    what = Observed({}, {}, {}, answers=present)
    plan = plan_orders(found, ours.parts, what, tried=tried)
    due = [step for step in plan.steps if isinstance(step, Issue)]
    assert [name for step in due for name in step.certificate.names] == ordered
    left = tuple(each for each in wanted.names if each not in ordered) if due else ()
    assert tuple(name for step in due for name in step.left_out) == left
    assert tuple(name for step in due for name in step.unanswered) == left
    assert [of for of, _ in plan.failures] == failed
    assert [each.owner for each in plan.waiting] == waits


@pytest.mark.parametrize(
    ("answers", "before", "asked"),
    [
        pytest.param(None, (), [FIRST, MORE], id="no web server runs"),
        pytest.param({FIRST}, (), [FIRST, MORE], id="also at what is not answered for"),
        pytest.param({"www.b.example"}, (), [], id="not while none of an owner is"),
        pytest.param(None, (FIRST,), [MORE], id="at none twice in a run"),
    ],
)
def test_which_names_are_checked(
    ours: TrialInstallation, answers: set[str] | None, before: Collection[str], asked: list[str]
) -> None:
    tried = Tried(names={("a.example", name) for name in before})
    known = None if answers is None else Answers(frozenset(answers))
    look = CheckNames(tuple((WANTED, name) for name in WANTED.names))
    found = orders(ours, tried).names_to_check([look], Observed({}, {}, {}, answers=known))
    assert [name for _, name in found] == asked


@pytest.mark.parametrize(
    ("wanted", "refused", "before", "again"),
    [
        pytest.param(WANTED, (MORE,), [], True, id="an extra name"),
        pytest.param(WANTED, (FIRST,), [], False, id="the URL's name"),
        pytest.param(WANTED, (FIRST, MORE), [], False, id="both"),
        pytest.param(WANTED, (), [], False, id="none is named"),
        pytest.param(WANTED, ("www.other.example",), [], False, id="one that was not asked for"),
        pytest.param(STRICT, (MORE,), [], False, id="which must be in"),
        pytest.param(WANTED, (MORE,), [WANTED.names], False, id="the very same was asked before"),
        pytest.param(
            WANTED, (MORE,), [(FIRST, str(n)) for n in range(MOST_ORDERS - 1)], False, id="often"
        ),
    ],
)
def test_who_is_ordered_again_without_the_names_that_were_refused(
    ours: TrialInstallation,
    wanted: Certificate,
    refused: Collection[str],
    before: list[tuple[str, ...]],
    again: bool,
) -> None:
    tried = Tried(asked={"a.example": set(before)})
    walk = orders(ours, tried)
    failure = not_issued("no", refused=tuple(RefusedName(each, "", "no") for each in refused))
    step = Issue(wanted, Reason("absent", "no certificate yet"))
    assert walk.may_do_without(step, failure) == ("a.example" if again else None)
    assert wanted.names in tried.asked["a.example"]


# What a deployment comes to.


def running(name: str, pid: int | None, error: ServiceError | None = None) -> ServiceState:
    """Return the state of a service."""
    return ServiceState(name, ServiceSettings(), pid=pid, error=error)


@pytest.mark.parametrize(
    ("pid", "error", "failed", "told"),
    [
        pytest.param(7, None, (), [], id="runs"),
        pytest.param(None, None, (), ["nginx"], id="does not run"),
        pytest.param(None, None, ("nginx",), [], id="and what is told of it failed"),
        pytest.param(None, too_old("nginx"), (), [], id="cannot be worked with"),
    ],
)
def test_which_services_are_told_not_to_run(
    pid: int | None, error: ServiceError | None, failed: Collection[str], told: list[str]
) -> None:
    what = Observed({}, {"nginx": running("nginx", pid, error)}, {})
    failures = [(of, too_old(of)) for of in failed]
    assert [of for of, _ in stopped_services(what, failures)] == told


@pytest.mark.parametrize(
    ("former", "waiting", "failures", "left"),
    [
        pytest.param(("c.example",), ("c.example",), ["c.example"], [], id="tried before"),
        pytest.param((), ("c.example",), [], ["c.example"], id="tried by another run"),
        pytest.param(("c.example",), (), [], [], id="used since"),
        pytest.param(("nginx",), (), [], [], id="a service that took it since"),
    ],
)
def test_what_a_later_deployment_tells_of_a_former_one(
    former: Collection[str], waiting: Collection[str], failures: list[str], left: list[str]
) -> None:
    first, second = Outcome(notes=["said"]), Outcome(notes=["more"])
    for of in former:
        first.failed(of, not_issued("no"))
    found = {each: replace(WANTED, owner=each) for each in waiting}
    second.waiting = [
        PostponedOrder(each, NOON, "failed", failure("order-not-placed", Scope.OWNER))
        for each in found.values()
    ]
    carry_findings(first, second)
    assert [of for of, _ in second.failures] == failures
    assert [each.owner for each in second.waiting] == left
    assert second.notes == ["said", "more"]
