"""Causes: why something is so, as a code with its facts; sentences are made of it elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from proxygen.languages.lines import one_line

MOST = 10
"""Causes of one thing that are kept."""

CHANGING = frozenset({"words"})
"""Facts that are the other side's own words: others each time, although nothing changed."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something is so: *code* names the sentence, *facts* what stands in it.

    *because* tells in turn why that is so, for a sentence that holds others.
    """

    code: str
    facts: tuple[tuple[str, str], ...] = ()
    because: tuple[Cause, ...] = ()

    @property
    def compared(self) -> tuple[object, ...]:
        """What of it is the same as long as nothing changed: others may say the same otherwise."""
        return self.code, own_facts(self.facts), [each.compared for each in self.because]

    def get(self, fact: str) -> str:
        """Return a fact, empty for none."""
        return dict(self.facts).get(fact, "")


class Caused(Exception):
    """What cannot go on; *why* tells who catches it."""

    def __init__(self, why: Cause) -> None:
        super().__init__(why)
        self.why = why


def cause(code: str, *because: Cause | None, **facts: str) -> Cause:
    """Return a cause; what others said in its facts is bounded and made printable."""
    return Cause(code, bounded_facts(facts), bounded_causes(because))


def bounded_causes(causes: Collection[Cause | None]) -> tuple[Cause, ...]:
    """Return causes as they are kept: those that are known, and not too many."""
    return tuple(each for each in causes if each is not None)[:MOST]


def bounded_facts(facts: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return facts as they are kept."""
    return tuple((name, one_line(value)) for name, value in facts.items())


def own_facts(facts: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Return the facts that are proxygen's."""
    return [fact for fact in facts if fact[0] not in CHANGING]
