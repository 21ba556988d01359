"""Name book: what is known of the names that a certificate is to cover and does not, on any store.

``names/OWNER`` holds it for the names of an owner.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pydantic import TypeAdapter, ValidationError

from proxygen.model.layout import stem
from proxygen.names.states import Known, Names, hastened
from proxygen.stores import Store
from proxygen.stores.change import readable


@dataclass(frozen=True, slots=True)
class Page:
    """What is stored about the names of one owner."""

    owner: str
    names: tuple[Known, ...]


PAGE = TypeAdapter(Page)
ZERO = timedelta(0)
EMPTY = (None, "", ())
"""What every field is that has nothing, unless it must be there."""


@dataclass(frozen=True, slots=True)
class Unwritten:
    """What could not be stored of an owner's *names*, while what is stored of them is *former*."""

    former: bytes | None
    names: Names


class NameBook:
    """What is known of names, for many threads; pages that did not change are not read again.

    What could not be stored is known to this process, until another stores something.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lock = threading.Lock()
        self.read: dict[str, tuple[Hashable, Page]] = {}
        self.unwritten: dict[str, Unwritten] = {}

    def all(self) -> dict[str, Names]:
        """Return what is known of the names of every owner; what is damaged is not known."""
        with self.lock:
            self.read = {
                key: page
                for key, stamp in self.store.stamps("names").items()
                if (page := self.page(key, stamp))
            }
            known = {page.owner: by_name(page) for _, page in self.read.values()}
            return known | {owner: self.known(owner) for owner in [*self.unwritten]}

    def page(self, key: str, stamp: Hashable) -> tuple[Hashable, Page] | None:
        """Return a page with its stamp, read where the stamp is another than before."""
        former = self.read.get(key)
        if former and stamp is not None and former[0] == stamp:
            return former
        found = page_from(readable(self.store, key))
        return (stamp, found) if found and key_of(found.owner) == key else None

    def of(self, owner: str) -> Names:
        """Return what is known of an owner's names."""
        with self.lock:
            return self.known(owner)

    def known(self, owner: str) -> Names:
        """Return what is known of an owner's names, stored or not; for who has the lock."""
        return self.names_in(owner, readable(self.store, key_of(owner)))

    def names_in(self, owner: str, stored: bytes | None) -> Names:
        """Return what is known of an owner's names while that is stored of them."""
        if unwritten := self.unwritten.get(owner):
            if unwritten.former == stored:
                return unwritten.names
            del self.unwritten[owner]
        page = page_from(stored)
        return by_name(page) if page and page.owner == owner else {}

    def note(self, owner: str, names: Iterable[Known]) -> None:
        """Keep what became known of some names of an owner; raise OSError."""
        self.note_all({owner: names})

    def note_all(self, found: Mapping[str, Iterable[Known]]) -> None:
        """Keep what became known of some names by their owner; raise OSError."""
        new = {owner: {each.name: each for each in names} for owner, names in found.items()}
        with self.lock:
            self.write({owner: partial(merged, names) for owner, names in new.items()})

    def forget(self, owner: str, names: Collection[str]) -> None:
        """Forget what is known of names: a certificate covers them, or nobody wants them."""
        with self.lock:
            self.write({owner: partial(without, frozenset(names))})

    def hasten(self, owner: str, now: datetime) -> None:
        """Have an owner's names looked at now, whatever became of them before."""
        with self.lock, suppress(OSError):  # this run knows it in any case
            self.write({owner: partial(all_hastened, now)})

    def keep(self, owners: Mapping[str, Collection[str]]) -> None:
        """Forget all but these names of these owners."""
        for owner, known in self.all().items():
            if gone := known.keys() - set(owners.get(owner, ())):
                with suppress(OSError):  # a later run forgets them
                    self.forget(owner, gone)

    def write(self, changes: Mapping[str, Callable[[Names], Names]]) -> None:
        """Store what these make of what is known of owners' names; else it is remembered."""
        while True:
            former = {owner: readable(self.store, key_of(owner)) for owner in changes}
            before = {owner: self.names_in(owner, each) for owner, each in former.items()}
            after = {owner: make(before[owner]) for owner, make in changes.items()}
            new = {owner: names for owner, names in after.items() if names != before[owner]}
            new |= {owner: after[owner] for owner in changes if owner in self.unwritten}
            try:
                if not new or self.put({owner: former[owner] for owner in new}, new):
                    break
            except OSError:
                for owner, names in new.items():
                    self.unwritten[owner] = Unwritten(former[owner], names)
                raise
        for owner in new:
            self.unwritten.pop(owner, None)

    def put(self, former: Mapping[str, bytes | None], names: Mapping[str, Names]) -> bool:
        """Store names by owner where that is stored of them; return whether it was."""
        values = {key_of(owner): written(owner, each) for owner, each in names.items()}
        return self.store.put_if({key_of(each): former[each] for each in former}, values)


def merged(new: Names, known: Names) -> Names:
    """Return what is known once *new* is."""
    return {**known, **new}


def all_hastened(now: datetime, known: Names) -> Names:
    """Return what is known of names that are all to be looked at now."""
    return {name: hastened(each, now) for name, each in known.items()}


def without(names: Collection[str], known: Names) -> Names:
    """Return what is known of other names."""
    return {name: each for name, each in known.items() if name not in names}


def written(owner: str, names: Names) -> bytes | None:
    """Return a page as it is stored, None for one on which nothing stands."""
    page = Page(owner, tuple(names[name] for name in sorted(names)))
    found = asdict(page, dict_factory=told)
    return json.dumps(found, default=str).encode() if names else None


def told(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return what of a value is written: not what is empty, as most is of most names."""
    return {name: value for name, value in pairs if value not in EMPTY}


def by_name(page: Page) -> Names:
    """Return what stands on a page by name."""
    return {each.name: each for each in page.names}


def key_of(owner: str) -> str:
    """Return the key of an owner's page in the store."""
    return f"names/{stem(owner)}"


def page_from(value: bytes | None) -> Page | None:
    """Return a stored page, its moments in UTC; None for none, or for what is not ours."""
    try:
        page = PAGE.validate_json(value or b"", strict=True)
        return Page(page.owner, tuple(map(in_utc, page.names)))
    except (ValidationError, ValueError, OverflowError):
        return None


def in_utc(known: Known) -> Known:
    """Return what is known with its moments in UTC; raise ValueError for one without a zone."""
    if all(map(is_utc, moments_of(known))):  # as we write them
        return known
    evidence, refusal = known.evidence, known.refusal
    if evidence:
        evidence = replace(evidence, at=utc(evidence.at))
    if refusal:
        moments = (utc(refusal.at), utc(refusal.since), utc(refusal.again))
        at, since, again = moments
        refusal = replace(refusal, at=at, since=since, again=again)
    return replace(
        known,
        look_at=utc(known.look_at),
        evidence=evidence,
        refusal=refusal,
        bad_since=known.bad_since and utc(known.bad_since),
        ready_since=known.ready_since and utc(known.ready_since),
        dropped=known.dropped and utc(known.dropped),
    )


def moments_of(known: Known) -> Iterator[datetime]:
    """Yield all moments of what is known."""
    yield known.look_at
    if known.evidence:
        yield known.evidence.at
    if refusal := known.refusal:
        yield from (refusal.at, refusal.since, refusal.again)
    yield from (each for each in (known.bad_since, known.ready_since, known.dropped) if each)


def is_utc(moment: datetime) -> bool:
    """Return whether a moment is in UTC; raise ValueError for one that is none of ours."""
    if moment.tzinfo is None or not 1970 < moment.year < 9990:
        raise ValueError("no moment of ours")
    return moment.utcoffset() == ZERO


def utc(moment: datetime) -> datetime:
    """Return a moment in UTC; raise ValueError for one that is none of ours."""
    return moment if is_utc(moment) else moment.astimezone(UTC)
