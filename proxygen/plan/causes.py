"""Causes: why something is so, as a code with its facts; sentences are made of it elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from proxygen.plan.language import one_line

MOST = 10
"""Causes of one thing that are kept."""

WORDS = "words"
"""The fact that is the other side's own words; all others are proxygen's."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something is so: *code* names the sentence, *facts* what stands in it.

    *because* tells in turn why that is so, for a sentence that holds others.
    """

    code: str
    facts: tuple[tuple[str, str], ...] = ()
    because: tuple[Cause, ...] = ()

    def without(self, names: Collection[str]) -> Cause:
        """Return it without some of its facts, nor those of its own causes."""
        inner = tuple(each.without(names) for each in self.because)
        return Cause(self.code, left(self.facts, names), inner)

    def get(self, fact: str) -> str:
        """Return a fact, empty for none."""
        return dict(self.facts).get(fact, "")


def cause(code: str, *because: Cause | None, **facts: str) -> Cause:
    """Return a cause; what others said in its facts is bounded and made printable."""
    return Cause(code, bounded(facts), some(because))


def some(causes: Collection[Cause | None]) -> tuple[Cause, ...]:
    """Return causes as they are kept: those that are known, and not too many."""
    return tuple(each for each in causes if each is not None)[:MOST]


def bounded(facts: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return facts as they are kept."""
    return tuple((name, one_line(value)) for name, value in facts.items())


def left(facts: tuple[tuple[str, str], ...], names: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Return facts without some of them."""
    return tuple(fact for fact in facts if fact[0] not in names)
