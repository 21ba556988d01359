"""Names wanted, proven and issued: one bad name never costs the others."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from proxygen.apply.outcome import Outcome
from proxygen.names.states import State, state_of
from proxygen.stores import Values
from tests.conftest import require
from tests.live import small_authority_answers
from tests.live import small_authority_rules as rules
from tests.live.installation import Clock, TrialInstallation, at, challenge_port
from tests.live.nameserver import NameServer, zone_text
from tests.live.small_authority import SmallAuthority

HERE, ELSEWHERE = "127.0.0.1", "127.0.0.9"
URL, AUTO, IMAP = "www.a.example", "autodiscover.a.example", "imap.a.example"
NAMES = {URL, AUTO, IMAP}
A = {"url": f"https://{URL}", "extra_names": [AUTO, IMAP], "certificate": "acme"}
B = {"url": "https://www.b.example", "certificate": "acme"}
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Scene:
    """An installation, the authority it asks, and the name server that both ask."""

    def __init__(self, here: TrialInstallation, authority: SmallAuthority, dns: NameServer) -> None:
        self.here = here
        self.authority = authority
        self.dns = dns

    def model(self, a: dict[str, Any] | None = None, **more: Any) -> None:
        """Write a model with two domains, the first as given."""
        acme = {"preflight": True, "validation_port": self.here.http_port} | more.pop("acme", {})
        self.here.model(
            self.authority,
            {"a.example": A | (a or {}), "b.example": B},
            acme=acme,
            addresses=more.pop("addresses", [HERE]),
            resolvers=[f"{self.dns.address}:{self.dns.port}"],
            **more,
        )

    def lead(self, *names: str, to: str = HERE) -> None:
        """Have names lead to an address; an empty one: they do not exist any more."""
        for name in names:
            self.dns.set(name, "A", *([to] if to else []), ttl=1)
        self.here.parts.resolvers.clear()

    def round(self, after: timedelta = timedelta(0), *only: str) -> Outcome:
        """Let time pass, then run a round."""
        self.here.clock.advance(after)
        self.here.parts.resolvers.clear()
        return self.here.round(*only)

    def issued(self, owner: str = "a.example") -> set[str]:
        """Return the names of an owner's certificate."""
        return set(self.here.bundle(owner).names)

    def state(self, name: str) -> State:
        """Return the state of a name of the first domain."""
        known = self.here.parts.names.of("a.example").get(name)
        bundle = self.here.parts.bundles.facts("a.example")
        return state_of(name, bundle, known, self.here.clock.now)

    @property
    def orders(self) -> int:
        """How many orders the authority saw."""
        return len(self.authority.orders)


@pytest.fixture
def scene(root: Path) -> Iterator[Scene]:
    """Return a scene in which nothing leads anywhere but the second domain."""
    require(("named",))
    clock = Clock()
    zone = zone_text("example", f"ns1 A {HERE}", f"www.b 1 A {HERE}")
    with (
        challenge_port() as port,
        NameServer(root, {"example": zone}, dynamic=["example"]) as dns,
        SmallAuthority(root, clock=clock, http_port=port) as authority,
    ):
        yield Scene(TrialInstallation(root, clock, port), authority, dns)


def words(outcome: Outcome) -> str:
    """Return all that a round warns of."""
    return "\n".join(outcome.warnings)


def test_a_name_that_cannot_be_proven_is_left_out_and_checked_again(scene: Scene) -> None:
    scene.model()
    scene.lead(URL, IMAP)
    outcome = scene.round()
    assert outcome.exit_code == 0
    assert scene.issued() == {URL, IMAP}
    assert scene.state(AUTO) is State.WAITING
    assert f"{AUTO}" in words(outcome)
    for _ in range(5):
        scene.round(30 * MINUTE)
    assert scene.orders == 2
    scene.lead(AUTO)
    scene.round(30 * MINUTE)
    assert scene.issued() == NAMES
    assert scene.orders == 3


def test_without_the_name_of_the_url_nothing_is_ordered_and_nobody_else_waits(scene: Scene) -> None:
    scene.model()
    scene.lead(AUTO, IMAP)
    outcome = scene.round()
    assert scene.issued("b.example") == {"www.b.example"}
    assert scene.here.parts.bundles.facts("a.example") is None
    assert [each.code for each in outcome.waiting] == ["names"]
    assert outcome.exit_code == 5
    assert scene.orders == 1
    scene.lead(URL)
    scene.round(2 * MINUTE)
    assert scene.issued() == NAMES


def test_with_strict_names_it_is_all_or_nothing(scene: Scene) -> None:
    scene.model({"strict_names": True})
    scene.lead(URL, IMAP)
    assert scene.round().exit_code == 5
    assert scene.here.parts.bundles.facts("a.example") is None
    scene.lead(AUTO)
    scene.round(2 * MINUTE)
    assert scene.issued() == NAMES


def test_late_names_join_together(scene: Scene) -> None:
    scene.model()
    scene.lead(URL)
    scene.round()
    scene.lead(AUTO)
    scene.round(2 * MINUTE)
    assert scene.issued() == {URL}, "it waits a moment for the other one"
    scene.lead(IMAP)
    scene.round(3 * MINUTE)
    assert scene.issued() == NAMES
    assert scene.orders == 3


def test_a_new_name_in_the_model_is_checked_at_once(scene: Scene) -> None:
    scene.model({"extra_names": []})
    scene.lead(URL, AUTO, IMAP)
    scene.round()
    scene.model()
    scene.round()
    assert scene.issued() == NAMES


def test_a_name_that_skips_the_preflight_is_asked_for_in_any_case(scene: Scene) -> None:
    scene.model({"skip_preflight": [AUTO]})
    scene.lead(URL, IMAP)
    scene.round()
    assert scene.issued() == NAMES


def test_what_an_authority_refuses_is_left_out_of_the_next_try(scene: Scene) -> None:
    scene.model()
    scene.lead(*NAMES)
    scene.authority.failing[AUTO] = "connection"
    outcome = scene.round()
    assert outcome.exit_code == 0
    assert not outcome.failures
    assert scene.issued() == {URL, IMAP}
    assert scene.state(AUTO) is State.FAILED
    assert [set(each.names) for each in scene.authority.orders if URL in each.names] == [
        NAMES,
        {URL, IMAP},
    ]


def test_a_refusal_teaches_the_preflight(scene: Scene) -> None:
    """All looks good, but the authority knows better: it is asked ever less often."""
    scene.model()
    scene.lead(*NAMES)
    scene.authority.failing[AUTO] = "connection"
    scene.round()
    orders = scene.orders
    scene.round(30 * timedelta(seconds=1))
    assert scene.orders == orders
    scene.round(MINUTE)
    assert scene.orders == orders + 1, "once more after a minute"
    scene.round(5 * MINUTE)
    assert scene.orders == orders + 1, "and not before ten more"
    del scene.authority.failing[AUTO]
    scene.round(10 * MINUTE)
    assert scene.issued() == NAMES


def test_a_changed_dns_is_worth_another_order(scene: Scene) -> None:
    scene.model()
    scene.lead(*NAMES)
    scene.authority.failing[AUTO] = "connection"
    scene.round()
    scene.round(2 * MINUTE)
    scene.round(15 * MINUTE)
    del scene.authority.failing[AUTO]
    scene.round(20 * MINUTE)
    assert scene.state(AUTO) is State.FAILED
    scene.dns.set(AUTO, "A", ttl=1)
    scene.dns.set(AUTO, "CNAME", f"{URL}.", ttl=1)
    scene.round(20 * MINUTE)
    assert scene.state(AUTO) is State.ISSUED


def test_a_person_has_names_checked_and_asked_for_at_once(scene: Scene) -> None:
    scene.model()
    scene.lead(URL, IMAP)
    scene.round()
    scene.lead(AUTO)
    scene.round()
    assert scene.issued() == {URL, IMAP}
    scene.round(timedelta(0), "a.example")
    assert scene.issued() == NAMES


def test_a_name_that_moved_away_is_dropped_at_the_renewal_and_said_once(scene: Scene) -> None:
    scene.model()
    scene.lead(*NAMES)
    scene.round()
    orders = scene.orders
    scene.lead(AUTO, to=ELSEWHERE)
    scene.round(61 * DAY)
    renewed_b = scene.orders
    assert renewed_b == orders + 1, "the other domain is renewed, this one waits for the name"
    assert scene.issued() == NAMES
    scene.round(2 * DAY)
    assert scene.orders == renewed_b
    said = scene.round(DAY + HOUR)
    assert scene.issued() == {URL, IMAP}
    assert f"renewed without {AUTO}" in words(said)
    assert scene.state(AUTO) is State.MOVED
    for _ in range(3):
        assert AUTO not in words(scene.round(DAY + 3 * HOUR))
    scene.lead(AUTO)
    scene.round(DAY + 3 * HOUR)
    assert scene.issued() == NAMES, "it came back"


def test_near_the_end_a_renewal_waits_for_no_name(scene: Scene) -> None:
    scene.model()
    scene.lead(*NAMES)
    scene.round()
    scene.lead(AUTO, to="")
    scene.round(86 * DAY)
    assert scene.issued() == {URL, IMAP}


def test_without_a_preflight_refusals_alone_decide(scene: Scene) -> None:
    scene.model(acme={"preflight": False})
    scene.authority.failing[AUTO] = "dns"
    scene.round()
    assert scene.issued() == {URL, IMAP}
    del scene.authority.failing[AUTO]
    scene.round(2 * MINUTE)
    assert scene.issued() == NAMES


def test_a_refused_name_whose_records_always_differ_is_asked_for_ever_less_often(
    scene: Scene,
) -> None:
    scene.model()
    scene.lead(*NAMES)
    scene.authority.failing[AUTO] = "connection"
    scene.round()
    orders = scene.orders
    for minutes in range(60):
        scene.dns.set(AUTO, "CAA", f'0 iodef "mailto:{minutes}@a.example"', ttl=1)
        scene.round(MINUTE)
    assert orders < scene.orders <= orders + 12


def test_an_authority_that_refuses_one_name_at_a_time_holds_nobody_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some orders of one certificate the round goes on; the next one finds the rest."""

    def first_alone(names: tuple[str, ...], rejecting: Collection[str]) -> None:
        rules.check_rejected(names, [name for name in names if name in rejecting][:1])

    monkeypatch.setattr(small_authority_answers, "check_rejected", first_alone)
    bad = [f"bad{number}.a.example" for number in range(6)]
    scene.model({"extra_names": bad})
    scene.lead(URL, *bad)
    scene.authority.rejecting |= set(bad)
    scene.round()
    assert [name for name in bad if scene.state(name) is State.FAILED] == bad[:4]
    for _ in range(10):
        scene.round(MINUTE)
    assert scene.issued() == {URL}


def test_a_person_need_not_wait_for_names_to_gather(scene: Scene) -> None:
    scene.model()
    scene.lead(URL)
    scene.round()
    scene.lead(AUTO)
    scene.round(timedelta(0), "a.example")
    assert scene.issued() == {URL, AUTO}


def test_a_clock_that_was_a_year_off_postpones_nothing(scene: Scene) -> None:
    scene.model()
    scene.lead(URL, IMAP)
    for jump in (365 * DAY, -365 * DAY):
        scene.round(jump)
    scene.lead(AUTO)
    scene.round(4 * MINUTE)
    assert scene.issued() == NAMES


def test_what_a_fallback_refuses_is_left_out_while_the_first_authority_is_down(
    scene: Scene, tmp_path: Path
) -> None:
    with SmallAuthority(
        tmp_path, clock=scene.here.clock, http_port=scene.here.http_port
    ) as fallback:
        scene.model(acme={"fallback": at(fallback)})
        scene.lead(*NAMES)
        scene.authority.away = "503"
        fallback.failing[AUTO] = "connection"
        scene.round()
        assert scene.issued() == {URL, IMAP}
        assert scene.here.bundle("a.example").authority == fallback.directory


def test_killed_when_a_name_was_given_up_it_is_known_to_have_moved(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.model()
    scene.lead(*NAMES)
    scene.round()
    scene.lead(AUTO, to=ELSEWHERE)
    scene.round(81 * DAY)
    store, put_if = scene.here.parts.store, scene.here.parts.store.put_if

    def killed(former: Values, values: Values) -> bool:
        put = put_if(former, values)
        facts = values.get("certificates/ecdsa-p256/a.example")
        if facts is not None and AUTO.encode() not in facts:
            raise KeyboardInterrupt
        return put

    monkeypatch.setattr(type(store), "put_if", lambda _, *values: killed(*values))
    with pytest.raises(KeyboardInterrupt):
        scene.round(4 * DAY)
    monkeypatch.undo()
    assert scene.issued() == {URL, IMAP}
    assert scene.state(AUTO) is State.MOVED


def test_names_that_left_the_model_are_not_kept(scene: Scene) -> None:
    scene.model()
    scene.lead(URL)
    scene.round()
    assert scene.here.parts.names.of("a.example")
    scene.model({"extra_names": []})
    scene.round()
    assert not scene.here.parts.names.of("a.example")


def test_a_changed_model_has_waiting_names_checked_at_once(scene: Scene) -> None:
    scene.model()
    scene.lead(URL, IMAP)
    scene.lead(AUTO, to=ELSEWHERE)
    scene.round()
    for _ in range(12):
        scene.round(DAY)
    orders = scene.orders
    scene.lead(AUTO)
    scene.round()
    assert scene.orders == orders, "the next look is not due for hours"
    scene.model(addresses=[HERE, "192.0.2.1"])
    scene.round()
    assert scene.issued() == NAMES
