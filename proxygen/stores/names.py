"""Name book: what is known of the names that a certificate is to cover and does not, on any store.

``names/OWNER`` holds it for the names of an owner.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from proxygen.model.layout import file_stem
from proxygen.names.states import NameState, NameStates, due_state, hastened_state
from proxygen.stores import Store
from proxygen.stores.change import read_value
from proxygen.stores.codec import Codec


@dataclass(frozen=True, slots=True)
class Page:
    """What is stored about the names of one owner."""

    owner: str
    names: tuple[NameState, ...]


PAGE = Codec[Page](Page, sparse=True)  # most of what may be known is not known of most names


@dataclass(frozen=True, slots=True)
class UnwrittenNames:
    """What could not be stored of an owner's *names*, while what is stored of them is *former*."""

    former: bytes | None
    names: NameStates


class NameStore:
    """What is known of names, for many threads; pages that did not change are not read again.

    What could not be stored is known to this process, until another stores something.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lock = threading.Lock()
        self.read: dict[str, tuple[Hashable, Page]] = {}
        self.unwritten: dict[str, UnwrittenNames] = {}

    def all(self) -> dict[str, NameStates]:
        """Return what is known of the names of every owner; what is damaged is not known."""
        with self.lock:
            self.read = {
                key: page
                for key, stamp in self.store.stamps("names").items()
                if (page := self.page(key, stamp))
            }
            known = {page.owner: by_name(page) for _, page in self.read.values()}
            return known | {owner: self.states_of(owner) for owner in [*self.unwritten]}

    def page(self, key: str, stamp: Hashable) -> tuple[Hashable, Page] | None:
        """Return a page with its stamp, read where the stamp is another than before."""
        former = self.read.get(key)
        if former and stamp is not None and former[0] == stamp:
            return former
        found = PAGE.read(read_value(self.store, key))
        return (stamp, found) if found and key_of(found.owner) == key else None

    def of(self, owner: str) -> NameStates:
        """Return what is known of an owner's names."""
        with self.lock:
            return self.states_of(owner)

    def states_of(self, owner: str) -> NameStates:
        """Return what is known of an owner's names, stored or not; for who has the lock."""
        return self.names_in(owner, read_value(self.store, key_of(owner)))

    def names_in(self, owner: str, stored: bytes | None) -> NameStates:
        """Return what is known of an owner's names while that is stored of them."""
        if unwritten := self.unwritten.get(owner):
            if unwritten.former == stored:
                return unwritten.names
            del self.unwritten[owner]
        page = PAGE.read(stored)
        return by_name(page) if page and page.owner == owner else {}

    def note(self, owner: str, names: Iterable[NameState]) -> None:
        """Keep what became known of some names of an owner; raise OSError."""
        self.note_all({owner: names})

    def note_all(self, found: Mapping[str, Iterable[NameState]]) -> None:
        """Keep what became known of some names by their owner; raise OSError."""
        new = {owner: {each.name: each for each in names} for owner, names in found.items()}
        with self.lock:
            self.write({owner: partial(merge_states, names) for owner, names in new.items()})

    def forget(self, owner: str, names: Collection[str]) -> None:
        """Forget what is known of names: a certificate covers them, or nobody wants them."""
        with self.lock:
            self.write({owner: partial(states_without, frozenset(names))})

    def hasten(self, owner: str, now: datetime) -> None:
        """Have an owner's names looked at now, whatever became of them before."""
        with self.lock, suppress(OSError):  # this run knows it in any case
            self.write({owner: partial(all_hastened, now)})

    def check_now(self, names: Mapping[str, Collection[str]], now: datetime) -> None:
        """Have these names, by their owner, checked now; raise OSError."""
        with self.lock:
            self.write({of: partial(all_due, frozenset(each), now) for of, each in names.items()})

    def keep(self, owners: Mapping[str, Collection[str]]) -> None:
        """Forget all but these names of these owners."""
        for owner, known in self.all().items():
            if gone := known.keys() - set(owners.get(owner, ())):
                with suppress(OSError):  # a later run forgets them
                    self.forget(owner, gone)

    def write(self, changes: Mapping[str, Callable[[NameStates], NameStates]]) -> None:
        """Store what these make of what is known of owners' names; else it is remembered."""
        while True:
            former = {owner: read_value(self.store, key_of(owner)) for owner in changes}
            before = {owner: self.names_in(owner, each) for owner, each in former.items()}
            after = {owner: make(before[owner]) for owner, make in changes.items()}
            new = {owner: names for owner, names in after.items() if names != before[owner]}
            new |= {owner: after[owner] for owner in changes if owner in self.unwritten}
            try:
                if not new or self.put({owner: former[owner] for owner in new}, new):
                    break
            except OSError:
                for owner, names in new.items():
                    self.unwritten[owner] = UnwrittenNames(former[owner], names)
                raise
        for owner in new:
            self.unwritten.pop(owner, None)

    def put(self, former: Mapping[str, bytes | None], names: Mapping[str, NameStates]) -> bool:
        """Store names by owner where that is stored of them; return whether it was."""
        values = {key_of(owner): encode_page(owner, each) for owner, each in names.items()}
        return self.store.put_if({key_of(each): former[each] for each in former}, values)


def merge_states(new: NameStates, known: NameStates) -> NameStates:
    """Return what is known once *new* is."""
    return {**known, **new}


def all_hastened(now: datetime, known: NameStates) -> NameStates:
    """Return what is known of names that are all to be looked at now."""
    return {name: hastened_state(each, now) for name, each in known.items()}


def all_due(names: Collection[str], now: datetime, known: NameStates) -> NameStates:
    """Return what is known of names of which some are to be checked now."""
    return {name: due_state(each, now) if name in names else each for name, each in known.items()}


def states_without(names: Collection[str], known: NameStates) -> NameStates:
    """Return what is known of other names."""
    return {name: each for name, each in known.items() if name not in names}


def encode_page(owner: str, names: NameStates) -> bytes | None:
    """Return a page as it is stored, None for one on which nothing stands."""
    known = tuple(names[name] for name in sorted(names))
    return PAGE.written(Page(owner, known)) if known else None


def by_name(page: Page) -> NameStates:
    """Return what stands on a page by name."""
    return {each.name: each for each in page.names}


def key_of(owner: str) -> str:
    """Return the key of an owner's page in the store."""
    return f"names/{file_stem(owner)}"
