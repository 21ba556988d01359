"""What is known of places before a change, and what counts as worse since."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from proxygen.apply.comparison import (
    LONGEST_ANSWER,
    MOST_BEFORE,
    SHORTEST_ANSWER,
    UNKNOWN,
    Baseline,
    is_worse,
    known_of,
    places_before,
    seen_before,
    worse_places,
)
from proxygen.apply.outcome import never_stop
from proxygen.apply.probe import Probed, failure_met
from proxygen.services import Endpoint
from tests.apply.test_probe import GREETINGS, Tls, at, listening, script, server, wanted
from tests.apply.test_probe import authority as authority

__all__ = ["server"]

ONE, OTHER = Probed("1" * 64), Probed("2" * 64)


def met(code: str, *, refused: bool = False) -> Probed:
    """Return what a client met instead of a certificate."""
    return Probed(None, failure_met(code), refused=refused)


PLAIN = met("starttls-missing")
ALERT = met("handshake-failed", refused=True)
BROKEN = met("handshake-failed")
SILENT, CLOSED, GONE = met("no-answer"), met("closed-before-tls"), met("not-connected")
BANNER = met("banner-refuses")


@pytest.mark.parametrize(
    ("before", "after", "worse"),
    [
        pytest.param(None, GONE, True, id="nobody knows"),
        pytest.param(ONE, ONE, False, id="the same certificate, which is not the wanted one"),
        pytest.param(ONE, OTHER, True, id="another certificate"),
        pytest.param(ONE, ALERT, True, id="no common cipher"),
        pytest.param(ONE, PLAIN, True, id="no STARTTLS any more"),
        pytest.param(ONE, GONE, True, id="refused"),
        pytest.param(ALERT, ALERT, False, id="no common cipher before"),
        pytest.param(ALERT, ONE, True, id="what was refused is shown a certificate"),
        pytest.param(ALERT, GONE, True, id="not even an alert"),
        pytest.param(BROKEN, ALERT, False, id="an alert where a handshake broke off"),
        pytest.param(PLAIN, PLAIN, False, id="no STARTTLS before"),
        pytest.param(PLAIN, ALERT, True, id="mail went in plain text, and TLS breaks off"),
        pytest.param(PLAIN, SILENT, True, id="mail went in plain text, and nothing answers"),
        pytest.param(SILENT, GONE, False, id="silent before, refused now"),
        pytest.param(GONE, SILENT, False, id="refused before, silent now"),
        pytest.param(BANNER, CLOSED, False, id="a banner that refuses, then none"),
        pytest.param(CLOSED, PLAIN, False, id="closed before, plain text now"),
        pytest.param(GONE, OTHER, False, id="nobody listened before"),
    ],
)
def test_what_is_worse_than_before(before: Probed | None, after: Probed, worse: bool) -> None:
    assert is_worse(before, after) is worse
    place = at(25, "smtp")
    known = Baseline({place: before}) if before else UNKNOWN
    assert bool(worse_places(known, ((place, after),))) is worse


def places(count: int, port: int = 443) -> Iterator[Endpoint]:
    """Return places of so many names at one listener."""
    for number in range(count):
        yield replace(at(port), server_name=f"d{number}.example")


def test_of_many_names_few_are_probed_before_and_of_every_listener_one() -> None:
    """A change of one of 10,000 domains stays as cheap as it was."""
    every = (*places(10_000), *places(3, 8443), at(25, "smtp"))
    chosen = places_before(every, MOST_BEFORE)
    assert len(chosen) <= MOST_BEFORE + 3
    assert {each.port for each in chosen} == {443, 8443, 25}
    assert set(places(MOST_BEFORE)) <= set(chosen)
    assert len(places_before(tuple(places(5)), MOST_BEFORE)) == 5
    assert places_before((), MOST_BEFORE) == []


def test_what_nobody_of_a_listener_met_is_known_of_all_its_names() -> None:
    first, second, third = places(3)
    known = known_of({first: GONE, second: SILENT})
    assert known.at(third) == GONE
    assert known.at(at(25, "smtp")) is None
    assert known_of({first: GONE, second: ONE}).at(third) is None


@pytest.mark.parametrize(
    ("seen", "seconds", "allowed"),
    [
        pytest.param(ONE, 0.01, SHORTEST_ANSWER, id="fast"),
        pytest.param(ONE, 6.1, pytest.approx(18.3), id="postscreen"),
        pytest.param(ONE, 19.0, LONGEST_ANSWER, id="bounded"),
        pytest.param(GONE, 0.01, LONGEST_ANSWER, id="none: as long as before"),
    ],
)
def test_an_answer_may_take_what_it_took_before(
    seen: Probed, seconds: float, allowed: float
) -> None:
    first, other = places(2)
    known = known_of({first: replace(seen, seconds=seconds)})
    assert known.timeout_of(first) == allowed
    assert known.timeout_of(other) == allowed
    assert known.timeout_of(at(25, "smtp")) == LONGEST_ANSWER


def test_what_was_refused_once_is_asked_once_more_before(server: Tls) -> None:
    count = iter(range(100))

    def act(connection: object) -> None:
        if next(count) > 0:
            server.shake(connection)  # type: ignore[arg-type]

    with listening(act) as port:
        place = wanted(port, server)
        assert seen_before([place], never_stop).seen == {place: Probed(server.fingerprint)}
    assert next(count) == 2


def test_what_serves_without_tls_is_asked_once(server: Tls) -> None:
    asked: list[None] = []
    plain = script(b"220 x\r\n", b"250 SIZE\r\n")

    def act(connection: object) -> None:
        asked.append(None)
        plain(connection)  # type: ignore[arg-type]

    with listening(act) as port:
        known = seen_before([at(port, "smtp")], never_stop)
    assert known.at(at(port, "smtp")) == Probed(
        None, failure_met("starttls-missing", command="STARTTLS")
    )
    assert len(asked) == 1


def test_nobody_is_asked_who_is_told_to_stop() -> None:
    assert seen_before([at(1)], lambda: True) is UNKNOWN


def test_slow_places_do_not_add_up(server: Tls) -> None:
    """Each waits until all others were connected to."""
    import threading

    meet = threading.Barrier(MOST_BEFORE, timeout=20)
    greeting = script(*GREETINGS["smtp"], then=server.shake)

    def act(connection: object) -> None:
        meet.wait()
        greeting(connection)  # type: ignore[arg-type]

    with ExitStack() as stack:
        ports = [stack.enter_context(listening(act)) for _ in range(MOST_BEFORE)]
        known = seen_before([at(port, "smtp") for port in ports], never_stop)
    assert {each.fingerprint for each in known.seen.values()} == {server.fingerprint}
