"""Removals: what would go by a change, and which of it is held back until a person confirms it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from proxygen.errors import HeldBack
from proxygen.model.former import CONFIRM, Former, FormerFile, Removal, Why
from proxygen.model.hosts import readable
from proxygen.model.schema import Included
from proxygen.model.site import Owner, Site
from proxygen.model.sources import Read, is_glob

if TYPE_CHECKING:
    from proxygen.model.choosing import Choice

FEW = 5
"""Domains that may go at once."""
PART = 10
"""One part in so many of all domains may go at once."""


@dataclass(slots=True)
class Removing:
    """What a *site* lacks of what was there when the model was last right.

    *going* are the domains that would go, by file, *held* those of them that are held back. A
    domain goes when it is in the model no more, or when a name that it answered for is nobody's.
    """

    choice: Choice
    site: Site
    going: dict[str, list[Owner]] = field(default_factory=dict)
    held_back: dict[str, Removal] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    total: int = 0

    def __post_init__(self) -> None:
        """Find what would go, and decide what is held back."""
        former = dict(self.formerly())
        changed = {name: each for name, each in former.items() if self.is_changed(name, each)}
        if not changed:
            return
        self.holders = {each.key: each.key for each in self.site.owners}
        self.holders |= {name: each.key for each in self.site.owners for name in each.names}
        for name, each in changed.items():
            if going := [*self.gone(self.domains_once(name, each), each.released)]:
                self.going[name] = going
        if self.going and not self.choice.past.confirmed:
            self.total = sum(len(self.domains_once(name, each)) for name, each in former.items())
            self.decide(former)

    @property
    def main(self) -> str:
        """How the main file is called."""
        return self.choice.first.name

    def formerly(self) -> Iterator[tuple[str, FormerFile]]:
        """Yield every file that was there."""
        if main := self.choice.past.former.main:
            yield self.main, main
        yield from self.choice.former.items()

    def is_changed(self, name: str, former: FormerFile) -> bool:
        """Return whether a file may lack something: not one that counts as it was."""
        if name in self.choice.aside:
            return False
        now = self.present(name)
        return now is None or now.source.text != former.source.text

    def present(self, name: str) -> Read | None:
        """Return a file as it is."""
        return self.choice.first if name == self.main else self.choice.now.get(name)

    def domains_once(self, name: str, former: FormerFile) -> tuple[Owner, ...]:
        """Return the domains of a file as it was."""
        now = self.present(name)
        if now and now.source.text == former.source.text and name not in self.choice.aside:
            placed = self.choice.placed_of(now)
        else:
            content = self.choice.first.content
            grammar = type(content) if content and name == self.main else Included
            read = self.choice.read_once.file(replace(former.source, name=name), grammar)
            placed = self.choice.placed_of(read, once=True)
        return tuple(each.owner for each in placed if each.owner)

    def gone(self, once: Iterable[Owner], released: Collection[str]) -> Iterator[Owner]:
        """Yield the domains that would go; not those that somebody removes on purpose."""
        for each in once:
            lost = [name for name in each.names if not self.is_served(name)]
            absent = each.key not in self.holders and not each.names
            if (lost or absent) and each.key not in released:
                yield each

    def is_served(self, name: str) -> bool:
        """Return whether a name is somebody's, be it by a wildcard."""
        return name in self.holders or f"*.{name.partition('.')[2]}" in self.holders

    def decide(self, former: dict[str, FormerFile]) -> None:
        """Decide what is held back."""
        count = sum(map(len, self.going.values()))
        many = count > FEW and count * PART > self.total
        left = self.masks_without_files(count)
        for name, going in self.going.items():
            known, now = former[name], self.present(name)
            if now and not self.choice.placed_of(now):
                why, held = Why.EMPTY, going
            elif now is None and known.mask in left:
                why, held = Why.NO_FILES, going
            elif many:
                why, held = Why.MANY, going
            else:
                why, held = Why.MANY, [each for each in going if each.key in known.held]
            if held := [each for each in held if self.may_stay(each)]:
                self.held_back[name] = Removal(name, tuple(each.key for each in held), why)

    def masks_without_files(self, count: int) -> set[str]:
        """Return the masks that match nothing where they matched; not where one customer left.

        That one had the only file, with one domain, and the folder is still there.
        """
        files: dict[str, list[FormerFile]] = defaultdict(list)
        for each in self.choice.former.values():
            files[each.mask].append(each)
        found = set()
        for mask in self.choice.found.empty & files.keys():
            folder = files[mask][0].source.folder
            left = is_glob(mask) and len(files[mask]) == 1 and count == 1
            if not left or not self.choice.past.is_there(folder):
                found.add(mask)
        return found

    def may_stay(self, owner: Owner) -> bool:
        """Return whether nobody else has the name of a domain's URL by now."""
        return owner.host is None or self.holders.get(owner.host, owner.key) == owner.key

    def held(self) -> Site:
        """Return the site with what is held back; raise HeldBack where that does not fit it."""
        if not self.held_back:
            return self.site
        going = {each.key: each for many in self.going.values() for each in many}
        keys = [key for each in self.held_back.values() for key in each.domains]
        stay = {key: self.without_others(going[key]) for key in keys}
        for each in stay.values():
            self.fits(each)
        others = tuple(each for each in self.site.domains if each.key not in stay)
        removals = sorted(self.held_back.values(), key=lambda each: Path(each.file).parts)
        return replace(self.site, domains=(*others, *stay.values()), held_back=tuple(removals))

    def without_others(self, owner: Owner) -> Owner:
        """Return a domain without the names that somebody else has by now."""
        names = [each for each in owner.names if self.holders.get(each, owner.key) == owner.key]
        if len(names) == len(owner.names):
            return owner
        wanted = owner.certificate and replace(owner.certificate, names=tuple(names))
        return replace(owner, extra_names=tuple(names[1:]), certificate=wanted)

    def fits(self, owner: Owner) -> None:
        """Raise HeldBack where the main file no longer has what a domain needs."""
        wanted = owner.certificate
        lacks = None
        if owner.backend and owner.backend not in self.site.backends:
            lacks = f"backend {owner.backend}"
        elif wanted and wanted.solver and wanted.solver not in self.site.solvers:
            lacks = f"solver {wanted.solver}"
        if lacks:
            first = next(iter(self.held_back.values()))
            raise HeldBack(
                f"{str(first).partition(chr(10))[0]}; nothing was touched, as {readable(owner.key)}"
                f" needs the {lacks}, which is to go as well",
                where=owner.origin,
                remedy=CONFIRM,
            )

    def right(self) -> Former:
        """Return what is to be kept of the files once the site was applied."""
        choice, files = self.choice, {}
        for name, known in choice.former.items():
            if name in choice.aside:
                files[known.source.place] = known
            elif name in self.held_back:
                held = frozenset(self.held_back[name].domains)
                files[known.source.place] = replace(known, held=held)
        for name, read in choice.now.items():
            if name not in choice.aside and name not in self.held_back:
                files[read.source.place] = FormerFile(read.source, choice.found.masks[name])
        main = FormerFile(choice.first.source)
        once = choice.past.former.main
        if once and self.main in self.held_back:
            main = replace(once, held=frozenset(self.held_back[self.main].domains))
        return Former(main, files)
