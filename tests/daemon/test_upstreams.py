"""The daemon looks up names of upstream servers, without waiting for them."""

from __future__ import annotations

from dataclasses import replace

from proxygen.daemon.upstreams import OFTEN, SELDOM, SOON, Upstreams
from proxygen.host.addresses import Addresses
from proxygen.plan.observed import Observed, ServiceState
from proxygen.services import ServiceSettings
from tests.daemon.surroundings import HandedClock
from tests.models import SMALLEST, site
from tests.services.test_nginx import FACTS

SITE = site(
    SMALLEST
    + """\
domains: {a.example: {url: www.a.example, backend: one}}
backends: {one: {upstreams: {web: ["http://app:1"]}}}
"""
)


class Told:
    """What names stand for, and how often that was asked."""

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = ()
        self.count = 0

    def __call__(self, name: str) -> tuple[str, ...]:
        """Return the addresses."""
        self.count += 1
        return self.addresses


def names_changed(upstreams: Upstreams, seconds: float, clock: HandedClock) -> list[str]:
    """Let time pass; return the names that changed since."""
    clock.go(seconds)
    first = upstreams.changed()
    upstreams.addresses.wait({"app"})
    return first + upstreams.changed()


def written(upstreams: Upstreams, *addresses: str) -> None:
    """Have a round write these addresses."""
    facts = replace(FACTS, addresses={"app": addresses} if addresses else {})
    upstreams.after(
        SITE, Observed({}, {"nginx": ServiceState("nginx", ServiceSettings(), facts)}, {})
    )


def test_a_name_without_an_address_is_looked_up_soon_then_now_and_then() -> None:
    told, clock = Told(), HandedClock()
    upstreams = Upstreams(clock, Addresses(told))
    written(upstreams)
    assert not names_changed(upstreams, SOON - 1, clock)
    assert told.count == 0
    for count, pause in enumerate((1.0, 2 * SOON, 4 * SOON, OFTEN, OFTEN), 1):
        assert not names_changed(upstreams, pause, clock)
        assert told.count == count
    told.addresses = ("10.0.0.1",)
    assert names_changed(upstreams, OFTEN, clock) == ["app"]
    written(upstreams, "10.0.0.1")
    assert not names_changed(upstreams, OFTEN, clock)


def test_a_name_that_goes_keeps_what_was_written() -> None:
    told, clock = Told(), HandedClock()
    upstreams = Upstreams(clock, Addresses(told))
    written(upstreams, "10.0.0.1")
    assert not names_changed(upstreams, OFTEN, clock)
    assert told.count == 1


def test_addresses_that_always_change_are_followed_less_and_less_often() -> None:
    told, clock = Told(), HandedClock()
    upstreams = Upstreams(clock, Addresses(told))
    written(upstreams, "10.0.0.1")
    pauses, passed = [], 0.0
    while len(pauses) < 7:
        told.addresses = (f"10.0.1.{len(pauses)}",)
        passed += OFTEN / 2
        if names_changed(upstreams, OFTEN / 2, clock):
            pauses.append(passed)
            passed = 0.0
            written(upstreams, *told.addresses)
    assert pauses[:4] == [OFTEN, 2 * OFTEN, 4 * OFTEN, 8 * OFTEN]
    assert pauses[-1] == SELDOM


def test_what_the_model_names_no_more_is_looked_up_no_more() -> None:
    told, clock = Told(), HandedClock()
    upstreams = Upstreams(clock, Addresses(told))
    written(upstreams, "10.0.0.1")
    upstreams.after(site(SMALLEST), Observed({}, {}, {}))
    assert not names_changed(upstreams, OFTEN, clock)
    assert told.count == 0
    assert upstreams.next() == float("inf")
