"""Finds the parts of a configuration that a service refuses, by asking with and without them.

Parts that its words name are suspected first; if they name none, halves are left out in turn.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from proxygen.apply.service import LiveService, SwitchTarget
from proxygen.host import files
from proxygen.model.layout import certificate_file
from proxygen.model.site import Site
from proxygen.observe.installed import LEFT_OUT
from proxygen.plan.culprits import facts_without, may_leave_out, parts_of
from proxygen.plan.left_out import ConfigurationPart, LeftOut, PartKind
from proxygen.plan.rendering import Rendering
from proxygen.services import EVERYWHERE, Additions, Facts, additions_of
from proxygen.stores.bundles import Bundles

LONGEST = 300.0
"""Seconds of asking after which nothing is left out: the change as a whole is refused."""
PROVEN_ONE_BY_ONE = 16
"""Parts that are found of which each is taken in once more, to see that it is refused."""

SUSPECTED = (
    (PartKind.ADDITIONS,),
    (PartKind.TEMPLATES,),
    (PartKind.CERTIFICATE, PartKind.BACKEND),
    (PartKind.OWNER,),
)
"""In which order kinds of parts are left out that the service does not name."""

ConfigurationParts = frozenset[ConfigurationPart]
NONE: ConfigurationParts = frozenset()


class TookTooLong(Exception):
    """Asking took too long to go on."""


@dataclass(slots=True)
class Culprits:
    """Asks one service about configurations without some parts.

    *facts* are those with all parts, *render* returns what it should have for facts, and *alive* is
    called with each question.
    """

    service: LiveService
    site: Site
    bundles: Bundles
    facts: Facts
    render: Callable[[Facts], Rendering]
    alive: Callable[[], None]
    until: float = field(default_factory=lambda: time.monotonic() + LONGEST)
    asked: dict[ConfigurationParts, str | None] = field(default_factory=dict)
    accused: dict[ConfigurationPart, str] = field(default_factory=dict)
    damaged: frozenset[str] = frozenset()

    def found(self) -> tuple[LeftOut, ...] | None:
        """Return the parts that are refused, none if everything is accepted.

        None if the configuration is refused for something else, or nobody knows for what.
        """
        try:
            if self.words(NONE) is None or self.is_healed():
                return ()
            if self.service.refusal_without_ours() is not None:
                return None
            named = self.named()
            culprits = named if self.words(named) is None else self.halved(named)
            culprits = self.necessary_parts(culprits)
            return tuple(self.refused(part, culprits) for part in sorted(culprits)) or None
        except TookTooLong:
            return None
        finally:
            self.service.generations.purge_refused()

    def words(self, out: ConfigurationParts) -> str | None:
        """Return why it refuses its configuration without some parts, None if it does not."""
        if out not in self.asked:
            if time.monotonic() > self.until:
                raise TookTooLong
            self.alive()
            self.asked[out] = self.ask(out)
        return self.asked[out]

    def ask(self, out: ConfigurationParts) -> str | None:
        """Build what the service should have without some parts, and have it checked."""
        wanted = self.render(
            facts_without(self.facts, out, self.site, self.service.state.installed)
        )
        folder = self.service.live.generations
        before = set(files.names(folder))
        generation = self.service.generations.build(wanted, self.bundles, self.damaged)
        try:
            return self.service.refusal(SwitchTarget(generation, wanted.parameters))
        finally:
            if generation not in before:
                files.remove(folder / generation)

    def is_healed(self) -> bool:
        """Return whether it accepts everything once damaged files of ours are written again."""
        self.damaged = self.service.generations.damaged(self.render(self.facts))
        if not self.damaged:
            return False
        self.asked.clear()
        return self.words(NONE) is None

    # Suspects.

    def suspects(self) -> Iterator[ConfigurationPart]:
        """Yield the parts that may be left out."""
        bundles = self.bundles.all()
        for part in parts_of(self.site, bundles, self.facts, self.service.name):
            if may_leave_out(part, self.service.state.installed):
                yield part

    def named(self) -> ConfigurationParts:
        """Return the parts that the service names, one after the other, until it accepts the rest.

        Or until it names none any more.
        """
        out, suspects = NONE, tuple(self.suspects())
        while words := self.words(out):
            accused = [each for each in suspects if each not in out and self.names(words, each)]
            if not accused:
                break
            out |= {accused[0]}
            self.accused[accused[0]] = words
        return out

    def names(self, words: str, part: ConfigurationPart) -> bool:
        """Return whether the service's words name a part."""
        match part.kind:
            case PartKind.ADDITIONS:
                return f"/additions/{part.version}/" in words
            case PartKind.CERTIFICATE:
                return f"/{certificate_file(part.name, part.version)}" in words
            case PartKind.BACKEND:
                return f"proxygen.{part.name}." in words
        return False

    def halved(self, named: ConfigurationParts) -> ConfigurationParts:
        """Return the parts that have to be left out besides those *named*, found by halves.

        One kind after the other, as a certificate is suspected before the whole owner is.
        """
        suspects = [each for each in self.suspects() if each not in named]
        groups = [tuple(each for each in suspects if each.kind in kinds) for kinds in SUSPECTED]
        several = [sum(groups[:count], ()) for count in range(2, len(groups) + 1)]
        for group in (*groups, *several):
            if group and self.words(named | frozenset(group)) is None:
                return named | self.narrowed(named, group)
        return NONE

    def narrowed(
        self, out: ConfigurationParts, group: Sequence[ConfigurationPart]
    ) -> ConfigurationParts:
        """Return which parts of a group must be left out besides *out*, so that it is accepted."""
        if not group or self.words(out) is None:
            return NONE
        if len(group) == 1:
            return frozenset(group)
        first, second = group[: len(group) // 2], group[len(group) // 2 :]
        found = self.narrowed(out | frozenset(second), first)
        return found | self.narrowed(out | found, second)

    def necessary_parts(self, culprits: ConfigurationParts) -> ConfigurationParts:
        """Return those of a few parts without which the others would not suffice."""
        if len(culprits) <= PROVEN_ONE_BY_ONE:
            for part in sorted(culprits):
                if self.words(culprits - {part}) is None:
                    culprits -= {part}
        return culprits

    def refused(self, part: ConfigurationPart, culprits: ConfigurationParts) -> LeftOut:
        """Return a part with why it is refused: the words when the others were left out."""
        alone = self.asked.get(culprits - {part}) or self.accused.get(part)
        words = alone or self.words(culprits - {part}) or ""
        said = original_words(words, self.service, additions_of(self.facts))
        own = [line for line in said.splitlines() if part.name and part.name in line]
        return LeftOut(part, said, place_in("\n".join(own) or said))


def original_words(words: str, service: LiveService, additions: Mapping[str, Additions]) -> str:
    """Return words about stored directives as if they were about the administrator's files."""
    for scope, each in additions.items():
        folder = service.local / scope if scope != EVERYWHERE else service.local
        words = words.replace(str(service.live.additions / each.digest), str(folder))
    return words


def place_in(words: str) -> str:
    """Return the place (FILE:LINE) that words name, empty for none."""
    found = re.search(r" in (/\S+:\d+)", words)
    return found[1] if found else ""


def note_refused(service: LiveService, refused: Collection[LeftOut]) -> bool:
    """Note which parts a service refuses; return whether that is something else than before."""
    path = service.live.folder / LEFT_OUT
    if not refused:
        there = path.exists()
        path.unlink(missing_ok=True)
        return there
    parts = {each.part for each in service.state.left_out}
    text = json.dumps({"left_out": [each.as_json() for each in refused]}).encode()
    if files.read(path) != text:
        files.write(path, text)
    return parts != {each.part for each in refused}
