"""What a run did is told once for each, however many failed."""

from __future__ import annotations

from proxygen.apply.outcome import Outcome
from tests.counting import grows_with_the_work
from tests.failures import not_issued

MANY = 2_000


def test_a_later_failure_takes_the_place_of_a_former_one_and_what_is_done_has_none() -> None:
    outcome = Outcome()
    for of in ("a.example", "b.example", "c.example"):
        outcome.failed(of, not_issued("no"))
    outcome.failed("a.example", not_issued("still not"))
    outcome.settle("b.example")
    outcome.settle("d.example")
    outcome.failures.append(("e.example", not_issued("no")))
    outcome.settle("e.example")
    assert [(of, error.words) for of, error in outcome.failures] == [
        ("c.example", "no"),
        ("a.example", "still not"),
    ]


def test_many_failures_cost_what_they_are() -> None:
    def fail(some: int) -> None:
        outcome = Outcome()
        for number in range(some):
            outcome.failed(f"d{number}.example", not_issued("no"))
            outcome.settle(f"e{number}.example")
        assert len(outcome.failures) == some

    assert grows_with_the_work(fail, MANY)
