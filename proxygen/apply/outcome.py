"""Outcome: what a run did; Progress: who is told how it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from proxygen.apply.issue import Result
from proxygen.errors import (
    HELD_BACK,
    SET_ASIDE,
    Bug,
    IssueFailed,
    LockHeld,
    NotServed,
    ProxygenError,
    ServiceError,
    words_json,
)
from proxygen.model.former import Removal, SetAside
from proxygen.plan.observed import Observed
from proxygen.plan.steps import PostponedOrder
from proxygen.texts.bounds import bounded_warnings
from proxygen.texts.names import ModelName

SEVERITY = (Bug, ServiceError, LockHeld, IssueFailed, NotServed)
"""Which failure gives the exit code where there are several: what was not done comes first."""

Say = Callable[[str], None]
Count = Callable[[str, int, int], None]
NAMES = "names checked"
"""What is counted while names are checked."""

TOLD_LATER = FAILED, NOT_READY = "failed", "not-ready"
"""The codes of what is said of a failure when it happens: a run tells it again in the end."""


@dataclass(slots=True)
class Outcome:
    """What was done: the words of each step, and each failure with what it concerns.

    *stopped* are services with which all was done, but that do not run, each with the error that
    says so. *waiting* are certificates that are due but must wait, *before* the generation of each
    service that was changed which served when that began. *observed* is what is there in the end.
    *terms* are new terms of service (URL) by the directory of the authority whose they are,
    *notes* what else is worth a warning. *obtained* counts the certificates that were stored.
    *set_aside* are included files with mistakes, *held_back* removals that wait for a person.
    *locked*: another process obtains certificates, so this one did not. *names* are those that are
    not ready, of which *unchanged* stand as they did before the run.
    """

    done: list[str] = field(default_factory=list)
    failures: list[tuple[str, ProxygenError]] = field(default_factory=list)
    stopped: list[tuple[str, NotServed]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    waiting: list[PostponedOrder] = field(default_factory=list)
    before: dict[str, str | None] = field(default_factory=dict)
    terms: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    obtained: int = 0
    observed: Observed | None = None
    set_aside: tuple[SetAside, ...] = ()
    held_back: tuple[Removal, ...] = ()
    locked: LockHeld | None = None
    names: tuple[ModelName, ...] = ()
    unchanged: frozenset[str] = frozenset()
    failed_of: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def settle(self, of: str) -> None:
        """Forget the failure of something that was done in the end.

        Ten thousand may fail: this does not look at them all.
        """
        if len(self.failed_of) != len(self.failures):
            self.failed_of = {each for each, _ in self.failures}
        if of in self.failed_of:
            self.failures = [(each, error) for each, error in self.failures if each != of]
            self.failed_of.discard(of)

    def failed(self, of: str, error: ProxygenError) -> None:
        """Note a failure; a later one about the same replaces it."""
        self.settle(of)
        self.failures.append((of, error))
        self.failed_of.add(of)

    @property
    def not_done(self) -> list[tuple[str, ProxygenError]]:
        """What is not as wanted in the end, by what it concerns."""
        return [*self.failures, *self.stopped]

    @property
    def exit_code(self) -> int:
        """Return the exit code of the gravest failure, 0 without any.

        A certificate that waits because it failed before is still one that was not obtained.
        """
        found = self.not_done
        kinds = {kind for kind in SEVERITY if any(isinstance(e, kind) for _, e in found)}
        if any(each.code in ("failed", "authority", "names") for each in self.waiting):
            kinds.add(IssueFailed)
        if self.locked:
            kinds.add(LockHeld)
        gravest = (kind.exit_code for kind in SEVERITY if kind in kinds)
        return next(gravest, HELD_BACK if self.held_back else SET_ASIDE if self.set_aside else 0)

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as ``--json`` prints it."""
        return {
            "done": [*map(words_json, self.done)],
            "failures": [{"of": what} | error.as_json() for what, error in self.not_done],
            "warnings": [*map(words_json, bounded_warnings(self.warnings))],
            "postponed": [each.as_json() for each in self.waiting],
            "set_aside": [each.as_json() for each in self.set_aside],
            "held_back": [each.as_json() for each in self.held_back],
            "locked": self.locked.as_json() if self.locked else None,
            "exit_code": self.exit_code,
        }


def never_stop() -> bool:
    """Return False: nothing asks to stop."""
    return False


def tell_nobody(*told: object) -> None:
    """Do nothing with what is reported."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Who is told how it goes: *say* gets a line per step, *count* what is done, and of how many.

    *stop* tells whether to begin no more orders; *result* gets each certificate. *leave* tells,
    also from other threads, whether to end hooks that run.
    """

    say: Say
    count: Count
    stop: Callable[[], bool] = never_stop
    result: Callable[[Result], None] = tell_nobody
    leave: Callable[[], bool] = never_stop


SILENT = Progress(tell_nobody, tell_nobody)
