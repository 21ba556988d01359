"""What a change would remove, and which of it is held back until a person confirms it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from proxygen.errors import Mistake
from proxygen.model.former import Former, FormerFile, Held, PastModel, Removal, Why
from proxygen.model.placed import Earlier, Placed, PlacedOf
from proxygen.model.schema import Included
from proxygen.model.site import Owner, Site
from proxygen.model.sources import Inclusion, ParsedFile, ReadBefore, is_glob
from proxygen.model.yaml import LARGEST_MAIN

FEW = 5
"""Domains that may go at once."""
PART = 10
"""One part in so many of all domains may go at once."""
MOST_HELD = 8
"""Texts of a file, one after the other, of which something is held back."""


class Going(NamedTuple):
    """A domain that would be removed, and the text of its file that has it."""

    owner: Owner
    text: bytes


class HeldText(NamedTuple):
    """An earlier text of a file, and the domains in it that are held back."""

    read: ParsedFile
    placed: tuple[Placed, ...]


class Counting(Protocol):
    """What counts of each file, as far as removals depend on it (``choosing.Choice``)."""

    first: ParsedFile
    found: Inclusion
    past: PastModel
    placed_of: PlacedOf
    read_once: ReadBefore
    now: dict[str, ParsedFile]
    former: dict[str, FormerFile]
    aside: dict[str, list[Mistake]]
    dropped: dict[str, set[str]]

    @property
    def earlier(self) -> Callable[[], Earlier]:
        """What the main file said before and says no more."""


@dataclass(slots=True)
class Removing:
    """What a *site* lacks of what was there when the model was last right.

    *already* are domains that are held back whatever else goes. *going* are the domains that would
    go, by file, *held_back* those of them that are held back, each with the names that *stay* with
    it. A domain goes when it is in the model no more, or when a name that it answered for is
    nobody's, or somebody's in another file. *holders* tell by name whose it is by now, and in which
    file, *had* whose it was. *texts* are those in which what is held back stands.
    """

    choice: Counting
    site: Site
    already: Collection[str] = ()
    going: dict[str, list[Going]] = field(default_factory=dict)
    held_back: dict[str, Removal] = field(default_factory=dict)
    stay: dict[str, frozenset[str]] = field(default_factory=dict)
    keys: frozenset[str] = frozenset()
    holders: dict[str, tuple[str, str]] = field(default_factory=dict)
    had: dict[str, str] = field(default_factory=dict)
    total: int = 0
    texts: tuple[HeldText, ...] = ()

    def __post_init__(self) -> None:
        """Find what would go, and decide what is held back."""
        if self.choice.past.confirmed:
            return
        former = dict(self.formerly())
        changed = {name: each for name, each in former.items() if self.is_changed(name, each)}
        if not changed:
            return
        self.find_holders(former)
        for name, each in changed.items():
            if going := self.gone(name, each):
                self.going[name] = going
        if self.going:
            self.total = sum(len(self.keys_once(name, each)) for name, each in former.items())
            self.decide(former)
            self.texts = tuple(self.held_texts())

    def find_holders(self, former: Mapping[str, FormerFile]) -> None:
        """Find out whose each name is, and whose it was, held back only if nobody else's.

        A domain that is held back counted, not another one of the same name.
        """
        self.keys = frozenset(each.key for each in self.site.owners)
        for each in self.site.owners:
            self.holders |= dict.fromkeys(each.names, (each.key, each.origin.file))
        held = {key for file in former.values() for each in file.held for key in each.domains}
        for name, file in former.items():
            for each in self.domains_once(name, file):
                for one in each.names if each.key not in held else ():
                    self.had.setdefault(one, each.key)
        for name, file in former.items():
            for going in self.held_once(name, file):
                for one in going.owner.names:
                    self.had.setdefault(one, going.owner.key)

    @property
    def main(self) -> str:
        """The name of the main file."""
        return self.choice.first.name

    def formerly(self) -> Iterator[tuple[str, FormerFile]]:
        """Yield every file that existed."""
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

    def present(self, name: str) -> ParsedFile | None:
        """Return a file as it is now."""
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
        source = replace(former.source, name=name, text=text)
        read = self.choice.read_once.file(source, self.grammar(name), nth)
        return owners(self.choice.placed_of(read, once=True))

    def grammar(self, name: str) -> type[Included]:
        """Return the type of a file."""
        content = self.choice.first.content
        return type(content) if content and name == self.main else Included

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
                if self.is_gone(name, each, former.released)
            }
        for going in self.held_once(name, former):
            if self.is_gone(name, going.owner, former.released):
                found.setdefault(going.owner.key, going)
        return list(found.values())

    def is_gone(self, file: str, owner: Owner, released: Collection[str]) -> bool:
        """Return whether a domain of a file would go, and not on purpose."""
        if owner.key in released:
            return False
        if not owner.names:
            return owner.key not in self.keys
        rest = self.rest(file, owner)
        return owner.host in rest and not all(self.is_served(name, owner) for name in rest)

    def rest(self, file: str, owner: Owner) -> list[str]:
        """Return the names of a domain that nobody else had, nor has by the same file now."""
        had = (name for name in owner.names if self.had.get(name) == owner.key)
        mine = (owner.key, file)
        return [name for name in had if not is_anothers(self.holders.get(name), mine)]

    def is_served(self, name: str, owner: Owner) -> bool:
        """Return whether a domain has a name, be it by a wildcard."""
        wildcard = f"*.{name.partition('.')[2]}"
        return any(self.holders.get(each, ("",))[0] == owner.key for each in (name, wildcard))

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
                already = frozenset(self.already).union(*(each.domains for each in known.held))
                why, held = Why.MANY, [each for each in going if each.owner.key in already]
            if keys := tuple(each.owner.key for each in held if self.keep(name, each.owner)):
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

    def keep(self, file: str, owner: Owner) -> bool:
        """Have a domain stay, without what is somebody else's by now; return whether it can."""
        if owner.key in self.stay:
            return False
        self.stay[owner.key] = frozenset(self.rest(file, owner))
        return True

    def held_texts(self) -> Iterator[HeldText]:
        """Yield the texts in which what is held back stands, by the main file as it was as well."""
        for name in self.held_back:
            known = self.known(name)
            those = (each for each in self.held_of(name) if each.domains)
            for nth, held in enumerate(those, 1):
                called = f"{name} (held back{f', {nth}' if nth > 1 else ''})"
                source = replace(known.source, name=called, text=held.text)
                read = self.choice.read_once.file(source, self.grammar(name))
                every = self.choice.earlier().placed_of(read, known.mask)
                kept = (each for each in every if each.key in held.domains)
                yield HeldText(read, tuple(map(self.trimmed, kept)))

    def known(self, name: str) -> FormerFile:
        """Return a file as it was."""
        main = self.choice.past.former.main
        return main if main and name == self.main else self.choice.former[name]

    def trimmed(self, placed: Placed) -> Placed:
        """Return a domain with the names that stay with it."""
        owner = placed.owner
        if owner is None or self.stay[placed.key].issuperset(owner.names):
            return placed
        names = tuple(each for each in owner.names if each in self.stay[placed.key])
        wanted = owner.certificate and replace(owner.certificate, names=names)
        return replace(placed, owner=replace(owner, extra_names=names[1:], certificate=wanted))

    def told(self, dropped: Mapping[str, Collection[str]]) -> Iterator[Removal]:
        """Yield what is held back; *dropped* are domains by what messages call their texts."""
        out = {key for each in self.texts for key in dropped.get(each.read.name, ())}
        for removal in self.held_back.values():
            yield replace(removal, lost=tuple(key for key in removal.domains if key in out))

    def right(self) -> Former:
        """Return what is to be kept of the files once the site was applied."""
        choice, files = self.choice, {}
        for name, known in choice.former.items():
            held = self.held_of(name)
            if name in choice.aside:
                lost = frozenset(choice.dropped.get(name, ()))
                files[known.source.place] = replace(known, held=held, lost=lost)
            elif name not in choice.now and (held or known.mask in choice.found.missing):
                gone = replace(known.source, text=b"")
                files[known.source.place] = replace(known, source=gone, held=held)
        for name, read in choice.now.items():
            if name not in choice.aside:
                mask, held = choice.found.masks[name], self.held_of(name)
                files[read.source.place] = FormerFile(read.source, mask, held)
        return Former(FormerFile(choice.first.source, held=self.held_of(self.main)), files)

    def held_of(self, name: str) -> tuple[Held, ...]:
        """Return what is held back of a file, the latest first; within what is kept.

        Of the main one also what is needed of it by others.
        """
        texts: dict[bytes, set[str]] = {}
        if name == self.main and self.held_back:
            texts = {text: set() for text in self.choice.earlier().texts}
        removal = self.held_back.get(name)
        keys = frozenset(removal.domains) if removal else frozenset()
        for owner, text in self.going.get(name, ()):
            if owner.key in keys:
                texts.setdefault(text, set()).add(owner.key)
        held: list[Held] = []
        room = LARGEST_MAIN
        for text, those in sorted(texts.items(), key=lambda each: self.age(name, each[0])):
            room -= len(text)
            if room >= 0 and len(held) < MOST_HELD:
                held.append(Held(text, frozenset(those)))
        return tuple(held)

    def age(self, name: str, text: bytes) -> int:
        """Return how many texts a file had after that one, as far as is known."""
        known = self.known(name)
        return [known.source.text, *(each.text for each in known.held)].index(text)


def is_anothers(holder: tuple[str, str] | None, mine: tuple[str, str]) -> bool:
    """Return whether a name is another domain's of the same file; each is a domain and a file."""
    return holder is not None and holder[0] != mine[0] and holder[1] == mine[1]


def owners(placed: Iterable[Placed]) -> tuple[Owner, ...]:
    """Return the domains of which something right is left."""
    return tuple(each.owner for each in placed if each.owner)
