"""Places that answer slowly: the loop waits for none, and their answers count all the same."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from proxygen.apply import looks
from proxygen.apply.probe import AT_ONCE, Probed
from proxygen.daemon import outside as outside_module
from proxygen.daemon import slow_places
from proxygen.daemon.outside import MISSED, Outside
from proxygen.daemon.slow_places import SlowPlaces
from proxygen.model.layout import Layout
from proxygen.services import Endpoint
from tests.apply.test_probe import Tls, at, listening, server, wanted
from tests.apply.test_probe import authority as authority
from tests.live.processes import until
from tests.models import FOLDER

__all__ = ["server"]

GENEROUS = 20.0
SEEN = Probed("1" * 64)


class Held:
    """Answers to probes, held back until *gate* is opened."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.probed: list[Endpoint] = []

    def probe(self, endpoint: Endpoint) -> Probed:
        """Answer once it is time."""
        self.probed.append(endpoint)
        self.gate.wait(GENEROUS)
        return SEEN


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    made = Held()
    monkeypatch.setattr(slow_places, "probe", made.probe)
    yield made
    made.gate.set()


def test_an_answer_is_taken_once_and_by_who_asks_for_its_place(held: Held) -> None:
    slow, first, second = SlowPlaces(), at(1), at(2)
    slow.ask([first, second])
    assert slow.take([first, second]) == {}
    held.gate.set()
    until(lambda: len(slow.seen) == 2, "both answers")
    assert slow.take([second, at(3)]) == {second: SEEN}
    assert slow.take([first, second]) == {first: SEEN}
    assert not slow.asked


def test_a_place_is_not_asked_again_while_it_lets_us_wait(held: Held) -> None:
    slow = SlowPlaces()
    for _ in range(3):
        slow.ask([at(1)])
    until(lambda: held.probed, "a probe")
    assert len(slow.asked) == 1
    held.gate.set()
    until(lambda: slow.seen, "its answer")
    assert held.probed == [at(1)]
    slow.ask([at(1)])
    until(lambda: len(held.probed) == 2, "the next probe")


def test_of_many_places_no_more_are_asked_at_a_time_than_by_a_round(held: Held) -> None:
    slow = SlowPlaces()
    slow.ask(replace(at(1), server_name=f"d{number}.example") for number in range(1000))
    until(lambda: len(held.probed) == AT_ONCE, "probes")
    assert len(slow.asked) == AT_ONCE


def test_a_probe_that_breaks_is_not_in_the_way_of_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow, told = SlowPlaces(), threading.Event()

    def broken(_: Endpoint) -> Probed:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(threading, "excepthook", lambda _: told.set())
    monkeypatch.setattr(slow_places, "probe", broken)
    slow.ask([at(1)])
    until(told.is_set, "the end of the thread")
    assert not slow.asked


def test_a_host_without_a_thread_to_spare_goes_on(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowPlaces()

    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        slow.ask([at(1), at(2)])
    assert not slow.asked
    held.gate.set()
    slow.ask([at(1)])
    until(lambda: slow.seen, "the answer of the next time")


@contextmanager
def slow_place(tls: Tls) -> Iterator[tuple[int, threading.Event]]:
    """Have a place whose clients wait until the event is set, then get its certificate."""
    gate = threading.Event()

    def act(connection: socket.socket) -> None:
        gate.wait(GENEROUS)
        tls.shake(connection)

    with listening(act) as port:
        try:
            yield port, gate
        finally:
            gate.set()


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Outside:
    """Return a watch over a service that runs, which waits for nobody."""
    monkeypatch.setattr(looks, "PATIENCE", 0.1)
    monkeypatch.setattr(outside_module, "PATIENCE", 0.1)
    return Outside(Layout(FOLDER, FOLDER / "proxygen.yaml"), pids={"test": 1})


def test_a_slow_place_that_is_right_is_nothing_to_tell(outside: Outside, server: Tls) -> None:
    with slow_place(server) as (port, gate):
        outside.endpoints = outside.sockets = (wanted(port, server),)
        assert not outside.sample(0.0)
        assert not outside.suspect
        gate.set()
        until(lambda: outside.slow.seen, "its answer")
        assert not outside.sample(15.0)
        assert not outside.doubtful


def test_a_slow_place_that_is_wrong_is_told_after_the_second_time(
    outside: Outside, server: Tls
) -> None:
    other = replace(server.bundle, fingerprint="2" * 64)
    with slow_place(server) as (port, gate):
        outside.endpoints = outside.sockets = (replace(at(port), bundle=other),)
        outside.sockets_at = float("inf")
        assert not outside.sample(0.0)
        gate.set()
        until(lambda: outside.slow.seen, "its answer")
        assert not outside.late()
        assert outside.doubtful == set(outside.endpoints)
        until(lambda: outside.slow.seen, "its second answer")
        assert outside.late() == {"test"}
        assert not outside.doubtful


def test_a_slow_place_that_was_missed_and_is_right_now_is_seen_so(
    outside: Outside, server: Tls
) -> None:
    """Looks at places in turn come in between, and are answered by the same place."""
    with slow_place(server) as (port, gate):
        place = wanted(port, server)
        outside.endpoints, outside.missed = (place,), (place,)
        assert not outside.mended(0.0)
        assert outside.missed == (place,)
        gate.set()
        until(lambda: outside.slow.seen, "its answer")
        gate.clear()
        outside.sample(15.0)
        assert outside.mended(MISSED) == {"test"}
        assert not outside.missed
