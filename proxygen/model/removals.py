"""Removals: what would go by a change, and which of it is held back until a person confirms it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from proxygen.errors import HeldBack
from proxygen.model.former import CONFIRM, Former, FormerFile, Held, Removal, Why
from proxygen.model.hosts import readable
from proxygen.model.schema import Included
from proxygen.model.site import Owner, Site
from proxygen.model.sources import Read, is_glob
from proxygen.model.yaml import LARGEST_MAIN

if TYPE_CHECKING:
    from proxygen.model.choosing import Choice, Placed

FEW = 5
"""Domains that may go at once."""
PART = 10
"""One part in so many of all domains may go at once."""
MOST_HELD = 8
"""Texts of a file, one after the other, of which something is held back."""


class Going(NamedTuple):
    """A domain that would go, and the text of its file that has it."""

    owner: Owner
    text: bytes


@dataclass(slots=True)
class Removing:
    """What a *site* lacks of what was there when the model was last right.

    *going* are the domains that would go, by file, *held_back* those of them that are held back,
    which *stay*. A domain goes when it is in the model no more, or when a name that it answered for
    is nobody's. *holders* tell by domain or name whose it is by now.
    """

    choice: Choice
    site: Site
    going: dict[str, list[Going]] = field(default_factory=dict)
    held_back: dict[str, Removal] = field(default_factory=dict)
    stay: dict[str, Owner] = field(default_factory=dict)
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
            if going := self.gone(name, each):
                self.going[name] = going
        if self.going and not self.choice.past.confirmed:
            self.total = sum(len(self.keys_once(name, each)) for name, each in former.items())
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
        if former.held:
            return True
        if name in self.choice.aside:
            return False
        now = self.present(name)
        return now is None or now.source.text != former.source.text

    def present(self, name: str) -> Read | None:
        """Return a file as it is."""
        return self.choice.first if name == self.main else self.choice.now.get(name)

    def domains_once(self, name: str, former: FormerFile) -> tuple[Owner, ...]:
        """Return the domains of a file as it was, without what was held back of it."""
        now = self.present(name)
        if now and now.source.text == former.source.text and name not in self.choice.aside:
            return owners(self.choice.placed_of(now))
        return self.domains_in(name, former, former.source.text)

    def domains_in(
        self, name: str, former: FormerFile, text: bytes, nth: int = 0
    ) -> tuple[Owner, ...]:
        """Return the domains of one of the texts that a file had."""
        content = self.choice.first.content
        grammar = type(content) if content and name == self.main else Included
        source = replace(former.source, name=name, text=text)
        read = self.choice.read_once.file(source, grammar, nth)
        return owners(self.choice.placed_of(read, once=True))

    def held_once(self, name: str, former: FormerFile) -> Iterator[Going]:
        """Yield what was held back of a file."""
        for nth, held in enumerate(former.held, 1):
            for each in self.domains_in(name, former, held.text, nth):
                if each.key in held.domains:
                    yield Going(each, held.text)

    def keys_once(self, name: str, former: FormerFile) -> set[str]:
        """Return the names of all domains that were there of a file."""
        keys = {each.key for each in self.domains_once(name, former)}
        return keys.union(*(each.domains for each in former.held))

    def gone(self, name: str, former: FormerFile) -> list[Going]:
        """Return the domains of a file that would go; not what somebody removes on purpose.

        A file that is set aside lacks nothing of what it was.
        """
        found: dict[str, Going] = {}
        text = former.source.text
        if name not in self.choice.aside:
            found = {
                each.key: Going(each, text)
                for each in self.domains_once(name, former)
                if self.is_gone(each, former.released)
            }
        for going in self.held_once(name, former):
            if self.is_gone(going.owner, former.released):
                found.setdefault(going.owner.key, going)
        return list(found.values())

    def is_gone(self, owner: Owner, released: Collection[str]) -> bool:
        """Return whether a domain would go, and not on purpose."""
        lost = any(not self.is_served(name, owner) for name in owner.names)
        absent = owner.key not in self.holders and not owner.names
        return (lost or absent) and owner.key not in released

    def is_served(self, name: str, owner: Owner) -> bool:
        """Return whether a name is somebody's, or that domain's by a wildcard."""
        wildcard = f"*.{name.partition('.')[2]}"
        return name in self.holders or self.holders.get(wildcard) == owner.key

    def decide(self, former: dict[str, FormerFile]) -> None:
        """Decide what is held back; of files that had the same, the first in order has it.

        A file that is gone may be one that is set aside and was never right: it was renamed.
        """
        count = sum(map(len, self.going.values()))
        many = count > FEW and count * PART > self.total
        left = self.masks_without_files()
        unknown = bool(self.choice.aside.keys() - self.choice.former.keys())
        for name in sorted(self.going, key=lambda each: Path(each).parts):
            going, known, now = self.going[name], former[name], self.present(name)
            aside = name in self.choice.aside
            if now and not aside and not self.choice.placed_of(now):
                why, held = Why.EMPTY, going
            elif now is None and not aside and known.mask in left:
                why, held = Why.NO_FILES, going
            elif many or (now is None and unknown):
                why, held = Why.MANY, going
            else:
                already = frozenset[str]().union(*(each.domains for each in known.held))
                why, held = Why.MANY, [each for each in going if each.owner.key in already]
            if keys := tuple(each.owner.key for each in held if self.keep(each.owner)):
                self.held_back[name] = Removal(name, keys, why)

    def masks_without_files(self) -> set[str]:
        """Return the masks that match nothing where they matched; not where one customer left.

        That one had the only file, with one domain, and the folder is still there.
        """
        files: dict[str, list[FormerFile]] = defaultdict(list)
        count: dict[str, int] = defaultdict(int)
        for name, each in self.choice.former.items():
            files[each.mask].append(each)
            count[each.mask] += len(self.going.get(name, ()))
        found = set()
        for mask in self.choice.found.empty & files.keys():
            folder = files[mask][0].source.folder
            left = is_glob(mask) and len(files[mask]) == 1 and count[mask] == 1
            if not left or not self.choice.past.is_there(folder):
                found.add(mask)
        return found

    def keep(self, owner: Owner) -> bool:
        """Have a domain stay, without what is somebody else's by now; return whether it can."""
        taken = owner.host and self.holders.get(owner.host, owner.key) != owner.key
        if taken or owner.key in self.stay:
            return False
        self.stay[owner.key] = stays = self.without_others(owner)
        self.holders |= dict.fromkeys((owner.key, *stays.names), owner.key)
        return True

    def held(self) -> Site:
        """Return the site with what is held back; raise HeldBack where that does not fit it."""
        if not self.held_back:
            return self.site
        for each in self.stay.values():
            self.fits(each)
        others = tuple(each for each in self.site.domains if each.key not in self.stay)
        removals = tuple(self.held_back.values())
        return replace(self.site, domains=(*others, *self.stay.values()), held_back=removals)

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
            held = self.held_of(name)
            if name in choice.aside:
                files[known.source.place] = replace(known, held=held)
            elif held and name not in choice.now:
                gone = replace(known.source, text=b"")
                files[known.source.place] = replace(known, source=gone, held=held)
        for name, read in choice.now.items():
            if name not in choice.aside:
                mask, held = choice.found.masks[name], self.held_of(name)
                files[read.source.place] = FormerFile(read.source, mask, held)
        return Former(FormerFile(choice.first.source, held=self.held_of(self.main)), files)

    def held_of(self, name: str) -> tuple[Held, ...]:
        """Return what is held back of a file, the latest first; within what is kept."""
        if name not in self.held_back:
            return ()
        texts: dict[bytes, set[str]] = {}
        for owner, text in self.going[name]:
            if owner.key in self.held_back[name].domains:
                texts.setdefault(text, set()).add(owner.key)
        held: list[Held] = []
        room = LARGEST_MAIN
        for text, keys in texts.items():
            room -= len(text)
            if room >= 0 and len(held) < MOST_HELD:
                held.append(Held(text, frozenset(keys)))
        return tuple(held)


def owners(placed: Iterable[Placed]) -> tuple[Owner, ...]:
    """Return the domains of which something right is left."""
    return tuple(each.owner for each in placed if each.owner)
