"""One order: who is waited for, and for how long."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from proxygen.issuers.acme_answers import Authorization, Challenge, Identifier, Status
from proxygen.issuers.acme_order import Course, Proof
from proxygen.solvers.dnspersist01 import PersistentRecord
from tests.issuers.at_pebble import QUICK, wanted


class Slow(PersistentRecord):
    """Takes a while until its answers are visible, and notes which."""

    def __init__(self) -> None:
        self.asked: list[Sequence[tuple[str, str]]] = []

    def settle(self, answers: Sequence[tuple[str, str]]) -> None:
        self.asked.append(answers)
        threading.Event().wait(0.05)


def proof(name: str, solver: Slow) -> Proof:
    """Return how a name is proven."""
    identifier = Identifier.of(name)
    one = Authorization(identifier=identifier, status=Status.PENDING, challenges=())
    return Proof("https://ca.example/a", one, Challenge(type="dns-01", token=name), solver)


def test_name_servers_that_take_their_time_do_not_use_up_the_authoritys() -> None:
    first, second = Slow(), Slow()
    asked = wanted("a.example")
    course = Course(None, "https://ca.example/o", asked, {}, lambda: datetime.now(UTC), QUICK)  # type: ignore[arg-type]
    before = course.deadline
    course.settle([proof("a", first), proof("b", second), proof("c", first)])
    assert first.asked == [[("a", "a"), ("c", "c")]]  # all at once
    assert second.asked == [[("b", "b")]]
    assert course.deadline >= before + 0.1
