"""Bar: what it says, how long the rest takes, and that nothing of it is left."""

from __future__ import annotations

import io
import threading

import pytest

from proxygen.terminal import bar
from proxygen.terminal.bar import CLEAR, Bar, duration_words


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock."""
    return Clock()


@pytest.fixture
def screen() -> io.StringIO:
    """Return what stands for a terminal."""
    return io.StringIO()


@pytest.fixture
def shown(screen: io.StringIO, clock: Clock) -> Bar:
    """Return a bar on it."""
    return Bar(screen, clock)


def last(screen: io.StringIO) -> str:
    """Return what the last line of the terminal shows."""
    return screen.getvalue().rpartition(CLEAR)[2]


def test_it_shows_how_many_are_done_and_how_long_the_rest_takes(
    shown: Bar, screen: io.StringIO, clock: Clock
) -> None:
    shown.count("certificates", 0, 1000)
    assert last(screen) == f"certificates [{'-' * 24}] 0/1,000"
    clock.now += 60
    shown.fail()
    shown.count("certificates", 250, 1000)
    assert last(screen) == (
        f"certificates [{'#' * 6}{'-' * 18}] 250/1,000  1 failed  about 3 min left"
    )


def test_other_work_is_forecast_by_its_own_pace(
    shown: Bar, screen: io.StringIO, clock: Clock
) -> None:
    shown.count("names checked", 0, 100)
    clock.now += 600
    shown.fail()
    shown.count("names checked", 99, 100)
    shown.count("certificates", 0, 100)
    clock.now += 10
    shown.count("certificates", 10, 100)
    assert last(screen).endswith("10/100  about 90 s left")


def test_nothing_is_forecast_before_it_is_known(
    shown: Bar, screen: io.StringIO, clock: Clock
) -> None:
    shown.count("names checked", 0, 10)
    clock.now += 1
    shown.count("names checked", 1, 10)
    assert last(screen).endswith(" 1/10")


def test_what_is_counted_by_many_threads_never_goes_back(shown: Bar) -> None:
    shown.count("places probed", 0, 64)
    threads = [
        threading.Thread(target=shown.count, args=("places probed", each, 64))
        for each in reversed(range(1, 64))
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert shown.done == 63


def test_lines_stand_above_it_and_nothing_is_left_of_it(shown: Bar, screen: io.StringIO) -> None:
    shown.count("certificates", 1, 2)
    before = len(screen.getvalue())
    shown.above(lambda: screen.write("issued\n") and None)
    assert screen.getvalue()[before:].startswith(f"{CLEAR}issued\n{CLEAR}certificates [")
    shown.count("certificates", 2, 2)
    assert last(screen) == ""
    shown.count("certificates", 0, 2)
    shown.close()
    shown.draw()
    assert last(screen) == ""


def test_it_is_never_wider_than_the_terminal(
    shown: Bar, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bar, "USUAL_COLUMNS", 20)
    shown.count("certificates", 1, 1000)
    assert last(screen) == "certificates [-----"


def test_where_nobody_listens_any_more_the_work_goes_on(clock: Clock) -> None:
    closed = io.StringIO()
    shown = Bar(closed, clock)
    closed.close()
    shown.count("certificates", 1, 2)
    shown.close()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (2e5, "2 d")],
)
def test_how_long_a_time_is(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words
