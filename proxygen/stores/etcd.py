"""The store of several servers: etcd, a key a value; it passes what it is given on as it is.

Below the place of an installation stand:

- ``store/KEY``: a value, or where its parts are if it is too large for one key;
- ``store.parts/HASH/ID/NUMBER``: the parts of large values, put before what names them;
- ``store.journal``: values that are put at once and are too many, or too large, for a transaction:
  they count once it is there, and who reads finds them in it. Whoever writes next puts them in
  their places, should who began it have been killed;
- ``store.marks/ID``: what tells a writer that a transaction was its own (``Mark``);
- ``orderer``: whoever may write where a *term* is given, which is the revision at which it was
  created.
"""

from __future__ import annotations

import errno
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from pydantic import NonNegativeInt

from proxygen.etcd.answers import Code, EtcdEntry, EtcdRefused, Json, Listing, Transacted
from proxygen.etcd.client import EtcdClient
from proxygen.etcd.requests import (
    Transaction,
    changed_at,
    created_at,
    end_of,
    exists,
    is_absent,
    to_delete,
    to_put,
    to_read,
    unchanged_since,
    value_is,
)
from proxygen.stores import LARGEST, PutsIf, Values, journal
from proxygen.stores.codec import Codec
from proxygen.stores.filesystem import KEY, LARGEST_JOURNAL
from proxygen.stores.overlay import keys_together, values_below

PART = 512 * 1024
"""Octets of a value that stand in one key; etcd takes 1.5 MiB in one request."""
MOST_OCTETS = 1024 * 1024
MOST_KEYS = 40
"""Octets and keys of one transaction: etcd takes 128 operations, and a key may need three."""
MOST_COMPARED, LARGEST_COMPARED = 80, 64 * 1024
"""Values that are conditions of a transaction themselves; of more, or larger ones, the revision."""
TRIES = 200
LEASE, RENEWED = 900, 300.0
"""Seconds that marks outlive their writer, and after which a writer makes new ones."""
WHOLE, IN_PARTS = b"\0", b"\1"


@dataclass(frozen=True, slots=True)
class PartsNote:
    """Where the parts of a large value are, and what they make."""

    id: str
    count: NonNegativeInt
    size: NonNegativeInt
    digest: str


PARTS = Codec[PartsNote](PartsNote, largest=4096)


@dataclass(frozen=True, slots=True)
class EtcdOperations:
    """What a transaction does, and what must be there for it."""

    operations: tuple[Json, ...]
    needed: tuple[Json, ...] = ()


class TermOver(OSError):
    """Another node orders now: nothing more is written by who did it in the former term."""

    def __init__(self, key: str) -> None:
        super().__init__(errno.EPERM, "another node has the right to write now", key)


class PartsGone(OSError):
    """A large value was replaced while it was read, or is damaged."""


@dataclass(slots=True)
class Mark:
    """A key that one writer alone puts, with each of its transactions, as something new.

    A transaction is on the condition that the mark is as its writer left it. So one that is asked
    again, because no answer came, is not done twice; and where it is refused, the mark tells
    whether that is because it was done before. etcd forgets marks a while after their writer ended.
    """

    key: str
    lease: int
    changed: int = 0
    word: bytes = b""


@dataclass
class Marks:
    """The marks of a process, for as many threads as write at the same time."""

    client: EtcdClient
    place: str
    lease: int = 0
    granted: float = 0.0
    free: list[Mark] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def one(self) -> Iterator[Mark]:
        """Have a mark for a block; after an error nobody has it again."""
        mark = self.taken()
        yield mark
        with self.lock:
            if mark.lease == self.lease:
                self.free.append(mark)

    def taken(self) -> Mark:
        """Return a mark that nobody else uses, with a new word."""
        with self.lock:
            if not self.lease or time.monotonic() - self.granted > RENEWED:
                self.free.clear()
                self.lease, self.granted = self.client.grant(LEASE), time.monotonic()
            mark = (
                self.free.pop()
                if self.free
                else Mark(f"{self.place}{secrets.token_hex(12)}", self.lease)
            )
        mark.word = secrets.token_bytes(12)
        return mark

    def forget(self) -> None:
        """Make new ones the next time: etcd knows the present ones no more."""
        with self.lock:
            self.lease = 0


class EtcdStore(PutsIf):
    """Keeps values below the *place* of an installation, such as ``/proxygen/NAME/``.

    With a *term*, each write is on the condition that it is not over; raises TermOver where it is.
    """

    def __init__(
        self, client: EtcdClient, place: str, term: Callable[[], int] | None = None
    ) -> None:
        self.client = client
        self.place = place
        self.term = term
        self.values = f"{place}store/"
        self.parts = f"{place}store.parts/"
        self.journal = f"{place}store.journal"
        self.orderer = f"{place}orderer"
        self.marks = Marks(client, f"{place}store.marks/")
        self.known: tuple[int, Values] | None = None

    def get(self, key: str) -> bytes | None:
        """Return the value, None if there is none."""
        full = self.full(key)
        for _ in range(TRIES):
            found = self.client.transact(Transaction((), (to_read(full), self.read_journal)))
            entry, begun = found.read
            try:
                if begun and key in (values := self.begun(begun)):
                    return values[key]
                return self.loaded(entry) if entry else None
            except PartsGone:
                again = self.client.get(full)
                if begun is None and again and entry and again.changed == entry.changed:
                    raise
        raise PartsGone(errno.EBUSY, "replaced all the time", key)

    def has(self, key: str) -> bool:
        """Return whether there is a value."""
        read = (to_read(self.full(key), keys_only=True), self.read_journal)
        entry, begun = self.client.transact(Transaction((), read)).read
        if begun and key in (values := self.begun(begun)):
            return values[key] is not None
        return entry is not None

    def put_if(self, former: Values, values: Values) -> bool:
        """Keep several values or none if those of *former* are still that."""
        for key in (*former, *values):
            self.full(key)
        for _ in range(TRIES):
            conditions = self.conditions(former)
            if conditions is None:
                return False
            done, certain = self.written(conditions, values)
            if done:
                return True
            if certain and not needs_reading(former):
                return False
        raise OSError(errno.EBUSY, "others write there all the time", self.place)

    def keys(self, prefix: str) -> Iterator[str]:
        """Return the keys below the folder *prefix*, sorted part by part."""
        return iter(self.listed(prefix))

    def stamps(self, prefix: str) -> Mapping[str, Hashable]:
        """Return for each key the revision at which it was last changed."""
        return self.listed(prefix)

    def listed(self, prefix: str) -> dict[str, int | None]:
        """Return the keys below a folder with their revisions, None for those in the journal."""
        for _ in range(TRIES):
            listing = self.client.below(f"{self.full(prefix)}/", keys_only=True)
            with suppress(PartsGone):  # the journal was finished meanwhile: list again
                return self.listed_over(
                    listing, values_below(self.begun_at(listing.revision), prefix)
                )
        raise OSError(errno.EBUSY, "others write there all the time", self.place)

    def listed_over(self, listing: Listing, over: Values) -> dict[str, int | None]:
        """Return the keys of a listing, over which others stand."""
        found = {each.key.removeprefix(self.values): each.changed for each in listing.entries}
        names = keys_together(filter(KEY.fullmatch, found), over)
        return {key: None if key in over else found[key] for key in names}

    def begun_at(self, revision: int) -> Values:
        """Return what was in the journal at a revision; raise PartsGone if that cannot be told."""
        try:
            entry = self.client.get(self.journal, revision=revision)
        except EtcdRefused as error:
            if error.code != Code.COMPACTED:
                raise
            raise PartsGone(errno.EBUSY, "compacted", self.journal) from error
        return self.begun(entry) if entry else {}

    def written(self, conditions: tuple[Json, ...], values: Values) -> tuple[bool, bool]:
        """Put values on conditions; return whether it was done, and whether that is certain."""
        if fits(values):
            made = [self.value_operations(key, value) for key, value in values.items()]
            return self.done(conditions, together(made))
        content = journal.encode_journal(values)
        if len(content) > LARGEST_JOURNAL:
            raise OSError(errno.EFBIG, "too large", self.place)
        done, certain = self.done(conditions, self.put_operations(self.journal, content))
        if done:
            with suppress(OSError):  # they count already; who writes next goes on with it
                self.settle()
        return done, certain

    def value_operations(self, key: str, value: bytes | None) -> EtcdOperations:
        """Return how a value is put or deleted, with the parts of what was there."""
        full = self.full(key)
        if value is None:
            return EtcdOperations((to_delete(full), self.delete_parts(full)))
        return self.put_operations(full, value)

    def put_operations(self, full: str, value: bytes) -> EtcdOperations:
        """Return how a value is put, whose parts are put now if it is large."""
        if len(value) <= PART:
            return EtcdOperations((to_put(full, WHOLE + value), self.delete_parts(full)))
        note, folder = self.put_parts(full, value), self.folder_of(full)
        own = f"{folder}{note.id}/"
        operations = (
            to_put(full, IN_PARTS + PARTS.written(note)),
            to_delete(folder, own),
            to_delete(end_of(own), end_of(folder)),
        )
        return EtcdOperations(operations, (exists(f"{own}{0:06}"),))

    def put_parts(self, full: str, value: bytes) -> PartsNote:
        """Put the parts of a value, which count for nothing until something names them."""
        if len(value) > LARGEST_JOURNAL + LARGEST:
            raise OSError(errno.EFBIG, "too large", full)
        digest = hashlib.sha256(value).hexdigest()
        count = -(-len(value) // PART)
        note = PartsNote(secrets.token_hex(8), count, len(value), digest)
        for number in range(count):
            part = value[number * PART : (number + 1) * PART]
            self.client.put(f"{self.folder_of(full)}{note.id}/{number:06}", part)
        return note

    def delete_parts(self, full: str) -> Json:
        """Return the operation that deletes the parts of a value."""
        folder = self.folder_of(full)
        return to_delete(folder, end_of(folder))

    def folder_of(self, full: str) -> str:
        """Return below what the parts of a value are."""
        return f"{self.parts}{hashlib.sha256(full.encode()).hexdigest()[:32]}/"

    def loaded(self, entry: EtcdEntry) -> bytes:
        """Return a value, put together; raise PartsGone."""
        kind, content = entry.value[:1], entry.value[1:]
        if kind == WHOLE:
            return content
        note = PARTS.read(content) if kind == IN_PARTS else None
        if note is None or note.size > LARGEST_JOURNAL + LARGEST:
            raise PartsGone(errno.EBADMSG, "not a value of ours", entry.key)
        below = f"{self.folder_of(entry.key)}{note.id}/"
        found = b"".join(each.value for each in self.client.below(below).entries)
        if hashlib.sha256(found).hexdigest() != note.digest:
            raise PartsGone(errno.EBADMSG, "parts of it are gone", entry.key)
        return found

    def conditions(self, former: Values) -> tuple[Json, ...] | None:
        """Return the conditions that values are still that, None if they are not now."""
        if not needs_reading(former):
            return tuple(
                is_absent(self.full(key))
                if value is None
                else value_is(self.full(key), WHOLE + value)
                for key, value in former.items()
            )
        revision = self.client.below(self.orderer, keys_only=True).revision
        for key, value in former.items():
            if not self.is_still(key, value):
                return None
        marks = self.marks.place  # as each transaction, one that deletes too, puts one
        return tuple(unchanged_since(revision, each, end_of(each)) for each in (self.values, marks))

    def is_still(self, key: str, value: bytes | None) -> bool:
        """Return whether a value is that; None also for one that is damaged."""
        try:
            return self.get(key) == value
        except PartsGone:
            return value is None

    def done(self, conditions: tuple[Json, ...], what: EtcdOperations) -> tuple[bool, bool]:
        """Do something on conditions; return whether it was done, and whether that is certain.

        Where it is not, nothing was done, for a reason that may be none the next time. Raise
        TermOver.
        """
        term = self.term() if self.term else None
        with self.marks.one() as mark:
            found = self.transacted(conditions, what, mark, term)
            marked, begun, orderer = found.read if not found.succeeded else (None, None, None)
            if found.succeeded:
                mark.changed = found.revision
                return True, True
            if marked and marked.value == mark.word:  # it was done before, and no answer came
                mark.changed = marked.changed
                return True, True
        if term is not None and (orderer is None or orderer.created != term):
            raise TermOver(self.orderer)
        if begun:
            self.settle()
        if (marked.changed if marked else 0) != mark.changed:
            self.marks.forget()
            return False, False
        return False, not begun and not what.needed

    def transacted(
        self, conditions: tuple[Json, ...], what: EtcdOperations, mark: Mark, term: int | None
    ) -> Transacted:
        """Do something with a mark, if nobody's journal is there and the term is not over."""
        fence = () if term is None else (created_at(self.orderer, term),)
        free = (is_absent(self.journal), changed_at(mark.key, mark.changed))
        return self.client.transact(
            Transaction(
                (*conditions, *what.needed, *fence, *free),
                (*what.operations, to_put(mark.key, mark.word, mark.lease)),
                (to_read(mark.key), self.read_journal, to_read(self.orderer, keys_only=True)),
            )
        )

    @property
    def read_journal(self) -> Json:
        """The operation that reads the journal."""
        return to_read(self.journal)

    def begun(self, entry: EtcdEntry) -> Values:
        """Return the values of a journal that is there; none if it is gone by now, or damaged."""
        known = self.known
        if known and known[0] == entry.changed:
            return known[1]
        try:
            found = journal.decode_journal(self.loaded(entry))
        except PartsGone:
            again = self.client.get(self.journal)
            if again and again.changed == entry.changed:
                return {}
            raise
        found = found if all(map(KEY.fullmatch, found)) else {}
        self.known = entry.changed, found
        return found

    def settle(self) -> None:
        """Put what is in the journal in its places, if there is one, and remove it."""
        entry = self.client.get(self.journal)
        if entry is None:
            return
        there = changed_at(self.journal, entry.changed)
        try:
            values = self.begun(entry)
        except PartsGone:  # others have finished it
            return
        for portion in portions(values):
            what = together([self.value_operations(*each) for each in portion.items()])
            found = self.client.transact(Transaction((there, *what.needed), what.operations))
            if not found.succeeded:
                return  # others have finished it, or are about to
        gone = (to_delete(self.journal), self.delete_parts(self.journal))
        self.client.transact(Transaction((there,), gone))

    def full(self, key: str) -> str:
        """Return a key as etcd has it; one that could leave its place is our own bug."""
        if KEY.fullmatch(key) is None:
            raise ValueError(f"not a key of a store: {key!r}")
        return self.values + key


def together(several: Iterable[EtcdOperations]) -> EtcdOperations:
    """Return several operations as one."""
    made = tuple(several)
    return EtcdOperations(
        tuple(each for one in made for each in one.operations),
        tuple(each for one in made for each in one.needed),
    )


def fits(values: Values) -> bool:
    """Return whether values can be put by one transaction."""
    sizes = [min(len(value or b""), PART) for value in values.values()]
    return len(sizes) <= MOST_KEYS and sum(sizes) <= MOST_OCTETS


def needs_reading(former: Values) -> bool:
    """Return whether values are too many, or too large, to be conditions themselves."""
    size = sum(len(value or b"") for value in former.values())
    return len(former) > MOST_COMPARED or size > LARGEST_COMPARED


def portions(values: Values) -> Iterator[dict[str, bytes | None]]:
    """Yield values in portions that fit into a transaction each; deletions go first."""
    ordered = sorted(values.items(), key=lambda each: each[1] is not None)
    portion: dict[str, bytes | None] = {}
    for key, value in ordered:
        if portion and not fits({**portion, key: value}):
            yield portion
            portion = {}
        portion[key] = value
    if portion:
        yield portion
