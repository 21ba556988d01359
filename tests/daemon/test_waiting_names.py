"""Names that wait: what the web server tells of requests for them, and what it cannot do."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxygen.daemon.bell import Bell
from proxygen.daemon.waiting_names import LONGEST_REST, ONCE, WaitingNames
from proxygen.model.layout import Layout
from tests.daemon.surroundings import HandedClock
from tests.live.machine import temporary_root
from tests.live.processes import until

LINE = "<190>Nov 30 12:00:00 proxygen: {}"
WAITING = {"www.a.example": "a.example", "www.b.example": "b.example", "192.0.2.1": "c.example"}


class Trial:
    """Names that wait below a root, with a clock that is turned by hand."""

    def __init__(self, root: Path) -> None:
        self.clock = HandedClock()
        self.layout = Layout(root, root / "proxygen.yaml")
        self.bell = Bell(self.clock.ticks)
        self.names = WaitingNames(self.layout, self.bell)

    @property
    def files(self) -> set[str]:
        """The names of the files that the web server sees."""
        return {each.name for each in self.layout.waiting_names.iterdir()}

    def hear(self, *names: str) -> None:
        """Have the web server tell of requests for these names."""
        for name in names:
            self.names.hear(LINE.format(name).encode())


@pytest.fixture
def trial() -> Iterator[Trial]:
    """Return names that are listened for; two have files."""
    with temporary_root() as root:
        made = Trial(root)
        made.names.start()
        made.names.only(WAITING)
        try:
            yield made
        finally:
            made.names.close()


def test_a_name_that_waits_is_to_be_checked_once_it_is_asked_for(trial: Trial) -> None:
    assert trial.names.due() == {}
    trial.hear("www.a.example")
    assert trial.bell.woken.is_set()
    assert trial.names.due() == {"a.example": ["www.a.example"]}
    assert trial.names.due() == {}


def test_the_web_server_is_told_of_nothing_for_a_minute_after_a_request(trial: Trial) -> None:
    assert trial.files == set(WAITING)
    trial.hear("www.a.example", "www.a.example")
    assert trial.files == set(WAITING) - {"www.a.example"}
    assert trial.names.due()
    trial.hear("www.a.example")
    assert trial.names.next() == pytest.approx(ONCE)
    trial.clock.go(ONCE - 1)
    assert trial.names.due() == {}
    trial.clock.go(1)
    assert trial.names.due() == {}
    assert trial.files == set(WAITING)
    trial.hear("www.a.example")
    assert trial.names.due() == {"a.example": ["www.a.example"]}


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"\n",
        b"\xff" * 2000,
        b"<190>Nov 30 12:00:00 proxygen: nobody.example",
        b"<190>Nov 30 12:00:00 proxygen: ../../etc/passwd",
        b"<190>Nov 30 12:00:00 proxygen: www.a.example/..",
        b"<190>Nov 30 12:00:00 proxygen: \x00",
    ],
)
def test_what_nobody_waits_for_is_not_remembered(trial: Trial, told: bytes) -> None:
    before = trial.files
    for _ in range(100):
        trial.names.hear(told)
    assert trial.names.due() == {}
    assert not trial.names.rests
    assert not trial.names.asked
    assert not trial.bell.woken.is_set()
    assert trial.files == before


def test_a_name_that_is_right_now_is_heard_no_more(trial: Trial) -> None:
    trial.hear("www.a.example")
    trial.names.only({"www.b.example": "b.example"})
    assert trial.files == {"www.b.example"}
    assert trial.names.due() == {}
    assert not trial.names.rests
    trial.hear("www.a.example")
    assert trial.names.due() == {}
    trial.names.only({})
    assert trial.files == set()


def test_an_address_is_called_as_nginx_calls_it(trial: Trial) -> None:
    trial.names.only({"2001:db8::1": "c.example"})
    assert trial.files == {"[2001:db8::1]"}
    trial.hear("[2001:db8::1]")
    assert trial.names.due() == {"c.example": ["2001:db8::1"]}
    assert trial.files == set()


def test_checks_that_take_long_are_not_begun_one_after_the_other(trial: Trial) -> None:
    trial.names.rest(30)
    trial.hear("www.a.example", "www.b.example")
    assert trial.names.due() == {}
    assert trial.names.next() == 60
    trial.clock.go(60)
    assert trial.names.due().keys() == {"a.example", "b.example"}
    trial.names.rest(100_000)
    trial.hear("192.0.2.1")
    trial.clock.go(LONGEST_REST)
    assert trial.names.due() == {"c.example": ["192.0.2.1"]}


def test_what_a_killed_daemon_left_is_gone(trial: Trial) -> None:
    again = WaitingNames(trial.layout, trial.bell)
    again.start()
    try:
        assert trial.files == set()
        again.only({"www.b.example": "b.example"})
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as web:
            web.connect(str(trial.layout.waiting_socket))
            web.send(LINE.format("www.b.example").encode())
        until(again.due, "the daemon to hear it")
    finally:
        again.close()
    assert trial.files == set()
    assert not trial.layout.waiting_socket.exists()


def test_a_daemon_that_ends_has_nothing_to_check_any_more(trial: Trial) -> None:
    """Its loop may look once more while the rest is put away."""
    trial.hear("www.a.example")
    trial.names.close()
    assert trial.names.due() == {}
    trial.clock.go(ONCE)
    assert trial.names.due() == {}
    assert trial.files == set()


def test_anybody_may_tell_but_nobody_may_list(trial: Trial) -> None:
    assert trial.layout.waiting_socket.stat().st_mode & 0o777 == 0o666
    assert trial.layout.waiting_names.stat().st_mode & 0o777 == 0o711


def test_a_place_that_cannot_be_is_no_reason_to_end(tmp_path: Path) -> None:
    made = Trial(tmp_path / ("x" * 120))
    made.names.start()
    made.names.only(WAITING)
    assert made.names.due() == {}
    made.names.close()
