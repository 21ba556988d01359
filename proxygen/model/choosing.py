"""Chooses, for each included file, its present content or that of when it was last right.

A file with a mistake is set aside, and its content of when it was last right counts. A name that
two files claim stays with the one that had it, even if its removal is held back. What was last
right fits together, so this ends: a file falls back to its earlier content, and from there loses
single domains.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from itertools import islice
from pathlib import PurePath
from typing import NamedTuple

from proxygen.errors import MOST_MISTAKES, Mistake, ModelError, Origin
from proxygen.model import proofs, rules
from proxygen.model.former import CONFIRM, FormerFile, PastModel, SetAside, Source
from proxygen.model.placed import KEY, Earlier, Placed, PlacedOf
from proxygen.model.removals import HeldText, Removing
from proxygen.model.schema import Included
from proxygen.model.site import Owner, Site
from proxygen.model.sources import MOST_KEPT, Inclusion, ParsedFile, ReadBefore
from proxygen.model.yaml import Document, is_said

MOST_ROUNDS = 20
"""Looks at the whole after which nothing of a file with a mistake counts, so that it ends."""


class Holder(NamedTuple):
    """A claim: a file, with its present content or as it was (*once*), with one of its domains.

    *placed* is None for the global URL.
    """

    file: str
    placed: Placed | None
    once: bool

    @property
    def claims(self) -> tuple[str, ...]:
        """What it claims."""
        return self.placed.claims if self.placed else ()


Rank = tuple[int, tuple[str, ...]]
"""How good a claim is; the smallest rank is the best."""


@dataclass(slots=True)
class Choice:
    """Chooses what counts of each file. Files go by the name that messages have.

    *now* are the included files as they are, *former* as they were last right. *aside* are the
    mistakes of those set aside, of which *dropped* domains cannot stay either. *borne* are mistakes
    with which a file stays as it is, as it did not change and nobody else is to blame. *fatal* are
    those of the main file, *of_suffixes* those which the list of public suffixes makes, *alone*
    those that a file has whatever the main one says. *held* is what is held back, by what messages
    call that; its domains count instead of those of the same name. *tried* is of which domains it
    is known whether they fit the main file. *counting* are the domains that count, while nothing of
    that changes.
    """

    first: ParsedFile
    found: Inclusion
    past: PastModel
    bare: Site
    placed_of: PlacedOf
    read_once: ReadBefore
    is_public_suffix: Callable[[str], bool]
    earlier: Callable[[], Earlier]
    now: dict[str, ParsedFile] = field(default_factory=dict)
    former: dict[str, FormerFile] = field(default_factory=dict)
    aside: dict[str, list[Mistake]] = field(default_factory=dict)
    dropped: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    borne: dict[str, list[Mistake]] = field(default_factory=lambda: defaultdict(list))
    fatal: list[Mistake] = field(default_factory=list)
    of_suffixes: set[Mistake] = field(default_factory=set)
    alone: set[Mistake] = field(default_factory=set)
    held: dict[str, HeldText] = field(default_factory=dict)
    held_keys: frozenset[str] = frozenset()
    tried: set[tuple[object, ...]] = field(default_factory=set)
    rounds: int = 0
    counting: list[Holder] | None = None

    def __post_init__(self) -> None:
        """Know the files; those that cannot be read, or even be told, are set aside."""
        self.now = {each.name: each for each in self.found.files}
        names = {each.source.place: each.name for each in self.found.files}
        for name in self.found.unread:
            place = self.found.places.get(name) or place_of(name, self.first.source)
            names[place] = name
        for place, each in self.past.former.files.items():
            name = names.get(place, each.source.name)
            if name != each.source.name:
                each = replace(each, source=replace(each.source, name=name))
            self.former[name] = each
        self.aside = {name: [each] for name, each in self.found.unread.items()}
        for name, each in self.former.items():
            if each.mask in self.found.untold and name not in self.found.masks:
                self.aside[name] = []

    # What counts.

    def as_once(self, name: str) -> ParsedFile | None:
        """Return an included file as it was last right."""
        known = self.former.get(name)
        return self.read_once.file(known.source, Included) if known else None

    def chosen(self, name: str) -> ParsedFile | None:
        """Return the content of a file that counts."""
        if name == self.first.name:
            return self.first
        if name in self.held:
            return self.held[name].read
        return self.as_once(name) if name in self.aside else self.now[name]

    def files(self) -> Iterator[tuple[str, ParsedFile, bool]]:
        """Yield each file that counts, and whether it counts as it was last right."""
        yield self.first.name, self.first, False
        for name in dict.fromkeys([*self.found.masks, *self.aside]):
            if read := self.chosen(name):
                yield name, read, name in self.aside

    def placed(self) -> list[Holder]:
        """Return every domain that counts; the same object while the same ones do."""
        if self.counting is None:
            others = (each for each in self.living() if key_of(each) not in self.held_keys)
            self.counting = [*others, *self.holding()]
        return self.counting

    def living(self) -> Iterator[Holder]:
        """Yield every domain of the files that counts if nothing is held back."""
        for name, read, once in self.files():
            out = self.dropped.get(name, ())
            for each in self.placed_of(read, once=once):
                if each.key not in out:
                    yield Holder(name, each, once)

    def holding(self) -> Iterator[Holder]:
        """Yield the domains that are held back."""
        for name, held in self.held.items():
            out = self.dropped.get(name, ())
            there = (each for each in held.placed if each.key not in out)
            yield from (Holder(name, each, once=True) for each in there)

    def counts(self, holder: Holder) -> bool:
        """Return whether a domain still counts."""
        name, placed, once = holder
        if placed is None:
            return True
        if name in self.held:
            return placed.key not in self.dropped.get(name, ())
        if placed.key in self.held_keys:
            return False
        if name == self.first.name:
            return True
        return once == (name in self.aside) and placed.key not in self.dropped.get(name, ())

    def site(self) -> Site:
        """Return the site of what counts if nothing is held back.

        Of two files that claim one domain, it has the first one's.
        """
        return replace(self.bare, domains=owners_of(self.living()))

    def documents(self) -> dict[str, Document]:
        """Return what was typed in each file that counts."""
        return {name: read.document for name, read, _ in self.files()}

    # What is wrong.

    def settled(self, mistakes: Iterable[Mistake]) -> Site:
        """Return the site; *mistakes* are those of the main file.

        Everything that is wrong is reported, whatever counts in the end.
        """
        alone = list(self.of_files())
        self.leave_out_misfits()
        own = [*alone, *islice(self.of_clashes(self.clashes()), MOST_KEPT)]
        said = {(each.where.file, each.field) for _, each in own}
        said |= {(each.where.file, each.field) for each in mistakes}
        whole = [(each.where.file, each) for each in islice(self.of_the_whole(), MOST_KEPT)]
        told = own + [(name, each) for name, each in whole if (name, each.field) not in said]
        told += [(name, each) for name, many in self.aside.items() for each in many]
        self.fatal += [*mistakes, *(each for name, each in told if name == self.first.name)]
        if told and not self.fatal:
            self.choose(alone)
        if self.fatal:
            every = [*self.fatal, *(each for _, each in told)]
            raise ModelError(ordered_mistakes([*every, *self.told()]))
        removing = self.hold_back()
        if self.fatal:
            raise ModelError(ordered_mistakes([*self.fatal, *self.told()]))
        there = {name: {*many, *self.borne.get(name, ())} for name, many in self.aside.items()}
        told = [(name, each) for name, each in told if not self.is_anothers(name, each, there)]
        for name, each in told:
            if name in there and each not in there[name]:
                self.aside[name].append(each)
                there[name].add(each)
        site = replace(
            self.with_held(),
            mistakes=ordered_mistakes([*(each for _, each in told), *self.told()])[
                : MOST_MISTAKES + 1
            ],
            set_aside=tuple(self.set_aside()),
            held_back=tuple(removing.told(self.dropped)),
            missing=tuple(sorted(self.found.missing)),
        )
        return replace(site, right=removing.right(), past=self.past)

    def told(self) -> Iterator[Mistake]:
        """Yield the mistakes of files that are set aside, or stay as they are all the same."""
        for name, many in (*self.aside.items(), *self.borne.items()):
            if many is self.aside.get(name, many):
                yield from many

    def of_files(self) -> Iterator[tuple[str, Mistake]]:
        """Yield the mistakes of each present file by itself."""
        for name, read in ((self.first.name, self.first), *self.now.items()):
            if name != self.first.name:
                self.alone.update(read.document.mistakes)
                yield from ((name, each) for each in read.document.mistakes)
            for placed in self.placed_of(read):
                yield from ((name, each) for each in placed.mistakes)

    def of_the_whole(self) -> Iterator[Mistake]:
        """Yield the mistakes of the files together, except for double claims."""
        site, documents, main = self.site(), self.documents(), self.first.document
        yield from rules.rule_mistakes(site, main, documents)
        yield from proofs.name_mistakes(site, main, documents)
        suffixes = tuple(proofs.public_suffixes(site, documents, self.is_public_suffix))
        self.of_suffixes.update(suffixes)
        yield from suffixes
        yield from self.of_the_held()

    # Which files are set aside.

    def choose(self, own: Iterable[tuple[str, Mistake]]) -> None:
        """Set files aside until what counts is right."""
        self.blame_all(own)
        again = True
        while again and not self.fatal:
            self.rounds += 1
            self.part()
            if self.fatal:
                return
            self.leave_out_misfits()
            again = self.blame_all((each.where.file, each) for each in self.of_the_whole())

    def blame_all(self, mistakes: Iterable[tuple[str, Mistake]]) -> bool:
        """Do something about mistakes of what counts; return whether something else counts now.

        Of a file that one of them sets aside, the others are as good as settled, also those which
        others have because of it.
        """
        before, again = set(self.aside), False
        for name, each in mistakes:
            other = each.against.file if each.against else name
            if other != name and other in self.aside and other not in before:
                again = True
            elif name in self.aside and name not in before:
                if len(self.aside[name]) <= MOST_MISTAKES:
                    self.aside[name].append(each)
            else:
                again |= self.blame(name, each)
        return again

    def blame(self, name: str, mistake: Mistake) -> bool:
        """Do something about a mistake of a file; return whether something else counts now.

        What was right and did not change is wrong by somebody else's fault: of another file that
        did, or of the main one. Else our own rules are others now, and the file stays as it is.
        Of what only counts as it was, the domain goes, and what did not fit before is set aside.
        """
        if name == self.first.name:
            self.fatal.append(mistake)
        elif self.is_new(name):
            return self.put_aside(name, mistake)
        elif mistake not in self.borne[name]:
            if name not in self.aside and self.was_lost(name, mistake):
                return self.put_aside(name, mistake)
            if mistake.against and self.is_new(mistake.against.file):
                return self.put_aside(
                    mistake.against.file, reversed_mistake(mistake, mistake.against)
                )
            main = self.past.former.main
            same = main is not None and main.source.text == self.first.source.text
            ours = mistake in self.of_suffixes or mistake in self.alone
            if not ours and (name in self.aside or name in self.held):
                return self.leave_out(name, mistake)
            (self.borne[name] if ours or same else self.fatal).append(mistake)
        return False

    def leave_out(self, name: str, mistake: Mistake) -> bool:
        """Leave out the domain that does not fit what others say; return whether it was there."""
        read = self.chosen(name)
        every = self.held[name].placed if name in self.held else ()
        if read and name not in self.held:
            every = self.placed_of(read, once=True)
        if not (key := key_at(mistake.where, every)):
            self.borne[name].append(mistake)
            return False
        self.aside.get(name, []).append(mistake)
        self.dropped[name].add(key)
        self.counting = None
        return True

    def was_lost(self, name: str, mistake: Mistake) -> bool:
        """Return whether a mistake is that of a domain which was not there when last right."""
        former, now = self.former.get(name), self.now.get(name)
        if former is None or now is None or not former.lost:
            return False
        return key_at(mistake.where, self.placed_of(now)) in former.lost

    def is_new(self, name: str) -> bool:
        """Return whether a file counts with something else than what it said when last right."""
        former, now = self.former.get(name), self.now.get(name)
        if now is None or name in self.aside:
            return False
        return former is None or former.source.text != now.source.text

    def is_anothers(
        self, name: str, mistake: Mistake, there: Mapping[str, Collection[Mistake]]
    ) -> bool:
        """Return whether a mistake was found to be that of the other file that it is about."""
        other = mistake.against
        if other is None or other.file == name or other.file not in self.aside:
            return False
        return mistake not in there.get(name, self.borne.get(name, ()))

    def put_aside(self, name: str, mistake: Mistake) -> bool:
        """Set a file aside; return True, as something else counts now."""
        self.aside.setdefault(name, []).append(mistake)
        self.counting = None
        if self.rounds > MOST_ROUNDS and (once := self.as_once(name)):
            self.dropped[name] |= {each.key for each in self.placed_of(once, once=True)}
        return True

    # Double claims.

    def clashes(self) -> dict[str, list[Holder]]:
        """Return the claims of everything that is claimed more than once."""
        first: dict[str, Holder] = {}
        twice: dict[str, list[Holder]] = {}
        ours = Holder(self.first.name, None, once=False)
        for name in filter(None, self.bare.main.names):
            first[name] = ours
        for holder in self.placed():
            for claim in holder.claims:
                known = first.setdefault(claim, holder)
                if known is not holder:
                    twice.setdefault(claim, [known]).append(holder)
        return twice

    def of_clashes(self, twice: dict[str, list[Holder]]) -> Iterator[tuple[str, Mistake]]:
        """Yield the mistake of each claim but the best one."""
        for claim, holders in twice.items():
            best, *others = sorted(holders, key=lambda each: self.rank(claim, each))
            for each in others:
                yield each.file, self.clash(claim, each, best)

    def rank(self, claim: str, holder: Holder) -> Rank:
        """Return how good a claim is; the smallest rank is the best.

        The main file comes first, then the file that had it, then the first file in sorted order.
        """
        if holder.file == self.first.name:
            return 0, ()
        if holder.file in self.held:
            return 1, PurePath(holder.file).parts
        once = self.as_once(holder.file)
        had = once and any(claim in each.claims for each in self.placed_of(once, once=True))
        return 1 if had else 2, PurePath(holder.file).parts

    def clash(self, claim: str, holder: Holder, best: Holder) -> Mistake:
        """Return the mistake of a claim to what another one has."""
        placed, other = holder.placed, best.placed
        if placed is None:
            raise ValueError("nobody has a better claim than the global URL")
        if claim == KEY + placed.key:
            return twice_mistake(placed.typed, placed.where, other.where if other else placed.where)
        first = other.owner if other else self.bare.main
        if placed.owner is None or first is None:
            raise ValueError(f"{claim} is claimed by nobody")
        reads = (self.chosen(holder.file), self.chosen(best.file))
        documents = {read.name: read.document for read in reads if read}
        mistake = rules.two_owners(claim, placed.owner, first, documents)
        if best.file in self.held:
            return replace(mistake, remedy=f"remove the name here; {CONFIRM}")
        return mistake

    def part(self) -> None:
        """Part those who claim the same; the main file, or who had it, goes before mere order."""
        contested = self.clashes()
        if not contested:
            return
        claims: dict[str, list[Holder]] = defaultdict(list)
        for name in filter(None, self.bare.main.names):
            claims[name].append(Holder(self.first.name, None, once=False))
        for holder in self.placed():
            for claim in holder.claims:
                claims[claim].append(holder)
        left = [(self.best(claims[claim])(claim), claim) for claim in contested]
        heapify(left)
        while left and not self.fatal:
            _, claim = heappop(left)
            for holder in self.part_one(claim, claims[claim]):
                for each in holder.claims:
                    claims[each].append(holder)
                    heappush(left, (self.best(claims[each])(each), each))

    def best(self, holders: list[Holder]) -> Callable[[str], Rank]:
        """Return what returns the rank of the best of these who claim something."""
        there = [each for each in holders if self.counts(each)]
        return lambda claim: min((self.rank(claim, each) for each in there), default=(3, ()))

    def part_one(self, claim: str, holders: list[Holder]) -> list[Holder]:
        """Part those who claim one thing; return the domains that count by that.

        A file that claims it twice is set aside, and the next one has it.
        """
        found: list[Holder] = []
        best: Holder | None = None
        there = [each for each in holders if self.counts(each)]
        for each in sorted(there, key=lambda each: self.rank(claim, each)):
            if not self.counts(each):
                continue
            if best is None or not self.counts(best):
                best = each
            else:
                found += self.lose(claim, each, best)
        return found

    def lose(self, claim: str, loser: Holder, best: Holder) -> list[Holder]:
        """Take from a file what another has; return the domains that count by that."""
        name, placed, once = loser
        mistake = self.clash(claim, loser, best)
        if placed is None or name == self.first.name:
            self.fatal.append(mistake)
        elif not once:
            self.put_aside(name, mistake)
            read = self.as_once(name)
            every = self.placed_of(read, once=True) if read else ()
            back = (Holder(name, each, once=True) for each in every)
            return [each for each in back if self.counts(each)]
        elif best.file == self.first.name and placed.key not in self.keys_of_main():
            self.fatal.append(self.of_main(mistake, best))
        else:
            self.dropped[name].add(placed.key)
            self.counting = None
        return []

    def keys_of_main(self) -> set[str]:
        """Return the domains of the main file."""
        return {each.key for each in self.placed_of(self.first)}

    def of_main(self, mistake: Mistake, best: Holder) -> Mistake:
        """Return a mistake as one of the main file, which claims what an included file had."""
        where = best.placed.where if best.placed else self.bare.main.origin
        reason = f"this takes something from {mistake.where}: {mistake.reason}"
        remedy = "remove it at one of the places"
        if mistake.where.file in self.held:
            remedy = f"remove it here; {CONFIRM}"
        return replace(mistake, where=where, reason=reason, remedy=remedy)

    # What is held back.

    def hold_back(self) -> Removing:
        """Have what is held back count, and set aside who claims what it has; return all of it.

        Where that sets files aside, it may be less that would go.
        """
        removing = Removing(self, self.site())
        while True:
            self.held = {each.read.name: each for each in removing.texts}
            self.held_keys = frozenset(k.key for each in self.held.values() for k in each.placed)
            self.counting = None
            if not self.held:
                return removing
            before = len(self.aside)
            self.choose(())
            if self.fatal or len(self.aside) == before:
                return removing
            removing = Removing(self, self.site(), self.held_keys)

    def leave_out_misfits(self) -> None:
        """Leave out what counts as it was, and has not what it needs of the main file any more."""
        if not self.aside and not self.held:
            return
        once = [each for each in self.placed() if each.once and each[:2] not in self.tried]
        self.tried.update(each[:2] for each in once)
        of_files = [each for each in once if each.file not in self.held]
        of_held = [each for each in once if each.file in self.held]
        if of_files:
            self.leave_out_of(of_files, self.bare, self.first.document)
        if of_held:
            self.leave_out_of(of_held, self.earlier().site, self.earlier().document)

    def leave_out_of(self, holders: list[Holder], site: Site, main: Document) -> None:
        """Leave those domains out for which something is wrong that is not without them."""
        files = {self.first.name: self.first.document, main.name: main}
        files |= {name: read.document for name, read, once in self.files() if once}
        files |= {name: each.read.document for name, each in self.held.items()}

        def wrong(*domains: Owner) -> set[Mistake]:
            given = replace(site, domains=domains), main, files
            return {*rules.rule_mistakes(*given), *proofs.name_mistakes(*given)} - without

        without: set[Mistake] = set()
        without = wrong()
        all_there = all(is_there(owner, site) for owner in owners_of(holders))
        if all_there and not wrong(*owners_of(holders)):
            return
        self.counting = None
        for name, placed, _ in holders:
            if placed and placed.owner:
                mistakes = wrong(placed.owner)
                if mistakes or not is_there(placed.owner, site):
                    self.dropped[name].add(placed.key)
                    self.aside.get(name, []).extend(mistakes)

    def of_the_held(self) -> Iterator[Mistake]:
        """Yield what is wrong between that which is held back and the rest, double claims apart."""
        if not self.held:
            return
        site = replace(self.bare, domains=owners_of(self.placed()))
        documents = {name: each.read.document for name, each in self.held.items()}
        for each in proofs.of_others(site, {**self.documents(), **documents}):
            if each.where.file in self.held or (each.against and each.against.file in self.held):
                yield each

    def with_held(self) -> Site:
        """Return the site with what is held back, and with what that needs of the main file."""
        site = replace(self.bare, domains=owners_of(self.placed()))
        if not self.held:
            return site
        those, whole = owners_of(self.holding()), self.earlier().site
        named = {each.backend for each in those}
        wanted = [each.certificate for each in those if each.certificate]
        solvers = {each.solver for each in wanted}
        asking = any(each.authorities for each in wanted)
        by = whole if asking and not is_said(self.first.document.value, "acme") else site
        backends = {name: each for name, each in whole.backends.items() if name in named}
        writers = {name: each for name, each in whole.solvers.items() if name in solvers}
        return replace(
            site,
            backends=backends | site.backends,
            solvers=writers | site.solvers,
            authorities=by.authorities,
            preflight=by.preflight,
        )

    # What is told.

    def set_aside(self) -> Iterator[SetAside]:
        """Yield which files are set aside, and what that means for their domains.

        Each has one mistake at least; all together have few more than are told of a model.
        """
        left = MOST_MISTAKES
        told = {name: each for name, each in {**self.borne, **self.aside}.items() if each}
        for name in sorted(told, key=lambda each: PurePath(each).parts):
            lost = tuple(sorted(self.dropped.get(name, ())))
            many = ordered_mistakes(told[name])[: max(1, left)]
            left -= len(many)
            yield SetAside(name, many, self.kept_by(name), lost)

    def kept_by(self, name: str) -> tuple[str, ...]:
        """Return the domains that stay as they were; for a mask, those of all its files."""
        mask = self.found.masks.get(name, "")
        if mask not in self.found.untold:
            return self.kept(name)
        those = (each for each, once in self.former.items() if once.mask == mask)
        return tuple(key for each in those for key in self.kept(each))

    def kept(self, name: str) -> tuple[str, ...]:
        """Return the domains of a file that stay as they were."""
        read, once, out = self.chosen(name), name in self.aside, self.dropped.get(name, ())
        every = self.placed_of(read, once=once) if read else ()
        return tuple(each.key for each in every if each.owner and each.key not in out)


def key_of(holder: Holder) -> str:
    """Return which domain that is, empty for the global URL."""
    return holder.placed.key if holder.placed else ""


def key_at(where: Origin, every: Iterable[Placed]) -> str:
    """Return the domain of a file in which a place is, empty for none."""
    before = [each for each in every if each.where <= where]
    return max(before, key=lambda each: each.where).key if before else ""


def owners_of(holders: Iterable[Holder]) -> tuple[Owner, ...]:
    """Return the domains of which something right is left; of two with one name, the first."""
    owners: dict[str, Owner] = {}
    for _, each, _ in holders:
        if each and each.owner:
            owners.setdefault(each.key, each.owner)
    return tuple(owners.values())


def is_there(owner: Owner, site: Site) -> bool:
    """Return whether a site has the backend and the solver that a domain names."""
    solver = owner.certificate and owner.certificate.solver
    return owner.backend in (None, *site.backends) and solver in (None, *site.solvers)


def place_of(name: str, main: Source) -> str:
    """Return the path of an included file from its name in messages, which is relative."""
    above = PurePath(main.name).parent
    below = PurePath(name)
    return str(main.folder / below.relative_to(above)) if below.is_relative_to(above) else name


def reversed_mistake(mistake: Mistake, there: Origin) -> Mistake:
    """Return a mistake between two places as one of the other place, which changed."""
    what = f"this makes {mistake.where} wrong: {mistake.reason}"
    remedy = "remove it here, or correct the other place first"
    return Mistake(there, "", what, remedy, mistake.where, code=mistake.code)


def twice_mistake(typed: str, where: Origin, first: Origin) -> Mistake:
    """Return the mistake of a domain that is in two places."""
    reason = f"duplicate domain: it stands at {first} already"
    return Mistake(where, f"domains.{typed}", reason, "keep one of the two", first, code="twice")


def ordered_mistakes(mistakes: Iterable[Mistake]) -> tuple[Mistake, ...]:
    """Return the mistakes in the order of the files, each once."""
    return tuple(sorted(dict.fromkeys(mistakes), key=lambda mistake: mistake.where))
