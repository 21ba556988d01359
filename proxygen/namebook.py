"""Name book: what is known of the names that a certificate is to cover and does not, on any store.

``names/OWNER`` holds it for all names of an owner of which one is in trouble. That names are
ready is known to this process alone: another one looks again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from proxygen.model.layout import stem
from proxygen.plan.names import Known, Names, hastened
from proxygen.stores import Store


@dataclass(frozen=True, slots=True)
class Page:
    """What is stored about the names of one owner."""

    owner: str
    names: tuple[Known, ...]


PAGE = TypeAdapter(Page)


class NameBook:
    """What is known of names, for many threads; pages that did not change are not read again."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lock = threading.Lock()
        self.read: dict[str, tuple[Hashable, Page]] = {}
        self.ready: dict[str, Names] = {}
        self.unwritten: dict[str, Names] = {}

    def all(self) -> dict[str, Names]:
        """Return what is known of the names of every owner; what is damaged is not known."""
        with self.lock:
            self.read = {
                key: page
                for key, stamp in self.store.stamps("names").items()
                if (page := self.page(key, stamp))
            }
            pages = {page.owner: by_name(page) for _, page in self.read.values()}
            owners = {**self.ready, **pages, **self.unwritten}
            return {owner: self.together(owner, pages.get(owner, {})) for owner in owners}

    def together(self, owner: str, stored: Names) -> Names:
        """Return what is known of an owner's names; a page knows better than a mere memory.

        But for what could not be written: that is all there is to know.
        """
        if owner in self.unwritten:
            return self.unwritten[owner]
        return {**self.ready.get(owner, {}), **stored}

    def page(self, key: str, stamp: Hashable) -> tuple[Hashable, Page] | None:
        """Return a page with its stamp, read where the stamp is another than before."""
        former = self.read.get(key)
        if former and stamp is not None and former[0] == stamp:
            return former
        found = page_from(self.stored(key))
        return (stamp, found) if found and key_of(found.owner) == key else None

    def stored(self, key: str) -> bytes | None:
        """Return a stored value, None also for one that cannot be read."""
        try:
            return self.store.get(key)
        except OSError:
            return None

    def of(self, owner: str) -> Names:
        """Return what is known of an owner's names."""
        page = page_from(self.stored(key_of(owner)))
        return self.together(owner, by_name(page) if page and page.owner == owner else {})

    def note(self, owner: str, names: Iterable[Known]) -> None:
        """Keep what became known of some names of an owner; raise OSError."""
        with self.lock:
            self.write(owner, {**self.of(owner), **{each.name: each for each in names}})

    def forget(self, owner: str, names: Collection[str]) -> None:
        """Forget what is known of names: a certificate covers them, or nobody wants them."""
        with self.lock:
            known = self.of(owner)
            if known.keys() & set(names):
                rest = {name: each for name, each in known.items() if name not in names}
                self.write(owner, rest)

    def hasten(self, owner: str, now: datetime) -> None:
        """Have an owner's names looked at now, whatever became of them before."""
        if known := self.of(owner):
            with suppress(OSError):  # this run knows it in any case
                self.note(owner, [hastened(each, now) for each in known.values()])

    def keep(self, owners: Mapping[str, Collection[str]]) -> None:
        """Forget all but these names of these owners."""
        for owner, known in self.all().items():
            if gone := known.keys() - set(owners.get(owner, ())):
                with suppress(OSError):  # a later run forgets them
                    self.forget(owner, gone)

    def write(self, owner: str, known: Names) -> None:
        """Store what is known where one name is in trouble; else remember it."""
        key = key_of(owner)
        self.ready.pop(owner, None)
        self.unwritten[owner] = known
        if any(not each.is_plain for each in known.values()):
            page = Page(owner, tuple(known[name] for name in sorted(known)))
            self.store.put(key, json.dumps(asdict(page), default=str).encode())
        elif self.store.has(key):
            self.store.delete(key)
        del self.unwritten[owner]
        if plain := {name: each for name, each in known.items() if each.is_plain}:
            self.ready[owner] = plain


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
        return replace(page, names=tuple(map(in_utc, page.names)))
    except (ValidationError, ValueError, OverflowError):
        return None


def in_utc(known: Known) -> Known:
    """Return what is known with its moments in UTC; raise ValueError for one without a zone."""
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


def utc(moment: datetime) -> datetime:
    """Return a moment in UTC; raise ValueError for one that is none of ours."""
    if moment.tzinfo is None or not 1970 < moment.year < 9990:
        raise ValueError("no moment of ours")
    return moment.astimezone(UTC)
