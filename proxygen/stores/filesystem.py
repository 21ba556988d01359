"""The store of one server: a folder for root alone, a file a value.

What writes holds the lock of the folder for the moment in which a file takes its name; who reads
waits for nobody. Several values stand in a journal first, which takes its name in one instant:
from then on they count, and who reads finds them there. Whoever writes next puts them in their
places, should who began it have been killed.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType

from proxygen.host import files, lock
from proxygen.stores import LARGEST, PutsIf, Values, journal
from proxygen.stores.change import read_value
from proxygen.stores.overlay import keys_together, values_below

PART = r"[a-zA-Z0-9_*-][a-zA-Z0-9._*-]{0,219}"
LARGEST_JOURNAL = 4 * LARGEST
"""Octets of values that are put at once: at most a whole model."""
JOURNAL = ".journal"
PATIENCE = 120.0
"""Seconds for which others may be at work; a model of 100,000 files is put in its place in less."""
NAME = re.compile(PART)
KEY = re.compile(f"{PART}(?:/{PART})*")
Put = Callable[[], object]
"""What gives a file that is written its name, or takes it from one that is to be deleted."""


class FileStore(PutsIf):
    """Keeps each value in a file of mode 0600 below *root*, itself of mode 0700."""

    def __init__(self, root: Path, patience: float = PATIENCE) -> None:
        self.root = root
        self.patience = patience
        self.largest = LARGEST_JOURNAL
        self.journal = root / JOURNAL
        self.place_of_journal = str(self.journal)
        self.queue = threading.Lock()
        self.known: tuple[files.Stamp | None, Values] | None = None

    def get(self, key: str) -> bytes | None:
        """Return the value, None if there is none."""
        place = self.place(key)
        begun = self.begun()
        if key in begun:
            return begun[key]
        with suppress(IsADirectoryError):  # of other keys
            return files.read(Path(place), LARGEST)
        return None

    def has(self, key: str) -> bool:
        """Return whether there is a value."""
        place = self.place(key)
        begun = self.begun()
        return begun[key] is not None if key in begun else is_value(place)

    def put_if(self, former: Values, values: Values) -> bool:
        """Keep several values or none if those of *former* are still that."""
        for key in (*former, *values):
            self.place(key)
        if len(values) > 1:
            return self.put_several(former, values)
        for key, value in values.items():
            return self.put_one(former, key, value)
        return self.holds(former)

    def settle(self) -> None:
        """Put in their places what a killed run began to; raise OSError if that cannot be."""
        if self.begun():
            with self.turn():
                pass  # who has a turn finishes it

    def put_one(self, former: Values, key: str, value: bytes | None) -> bool:
        """Put or delete one value, which takes its name, or loses it, in one instant."""
        if value is None and not former and not self.has(key):
            return True
        with self.beside(key, value) as put, self.turn():
            if not self.holds(former):
                return False
            put()
        self.sync(key)
        return True

    def put_several(self, former: Values, values: Values) -> bool:
        """Put or delete several values, which are in the journal until all are in their places.

        All is written before it is our turn, so that others wait for names alone. Where no more
        than one is to be changed, as there is nothing to delete, no journal is needed.
        """
        with ExitStack() as stack:
            puts = {key: stack.enter_context(self.beside(key, values[key])) for key in values}
            likely = self.changed(values)
            begin = stack.enter_context(self.journal_of(likely))
            with self.turn():
                if not self.holds(former):
                    return False
                self.require_places(values)
                if (changed := self.changed(values)) != likely:
                    begin = stack.enter_context(self.journal_of(changed))
                if len(changed) > 1:
                    self.begin(begin)
                    with suppress(OSError):  # they count already; who writes next goes on with it
                        self.finish(puts)
                    return True
                for key in changed:
                    puts[key]()
            self.sync(*changed)
        return True

    @contextmanager
    def journal_of(self, values: Values) -> Iterator[Put]:
        """Have for a block what puts several values into the journal; one needs none."""
        if len(values) <= 1:
            yield lambda: None
            return
        content = journal.encode_journal(values)
        if len(content) > self.largest:
            raise OSError(errno.EFBIG, "too large", str(self.journal))
        self.make_folder(self.root)
        with new_value(self.journal, content) as put:
            yield put

    def begin(self, put: Put) -> None:
        """Have the journal count, durably."""
        put()
        try:
            files.sync_folder(self.root)
        except OSError:
            self.journal.unlink()
            raise

    def changed(self, values: Values) -> Values:
        """Return what is to be put, or deleted as it is there."""
        return {
            key: value
            for key, value in values.items()
            if value is not None or is_value(self.place(key))
        }

    @contextmanager
    def beside(self, key: str, value: bytes | None) -> Iterator[Put]:
        """Have for a block what puts a value in its place, or deletes it, in one instant.

        It is written at once, unless it is to stand in a folder in whose place a value is yet.
        """
        path = self.path(key)
        if value is not None and any(map(self.is_file, path.relative_to(self.root).parents)):
            yield lambda: self.put_now(key, value)
            return
        if value is not None:
            self.make_folder(path.parent)
        with new_value(path, value) as put:
            yield put

    def put_now(self, key: str, value: bytes | None) -> None:
        """Put a value in its place, or delete it."""
        if value is not None:
            self.make_folder(self.path(key).parent)
        with new_value(self.path(key), value) as put:
            put()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Be the only one who writes for a block; what others began is finished before."""
        if not self.queue.acquire(timeout=self.patience):
            raise OSError(errno.EBUSY, "another thread is writing there", str(self.root))
        try:
            self.make_folder(self.root)
            with lock.of_folder(self.root, self.patience):
                self.finish()
                yield
        finally:
            self.queue.release()

    def holds(self, former: Values) -> bool:
        """Return whether each of these values is still that."""
        return all(read_value(self, key) == value for key, value in former.items())

    def begun(self) -> Values:
        """Return the values that count and are not in their places yet, as those of a killed run.

        They may all be there by now; then there is no journal any more, and so it is.
        """
        if not os.access(self.place_of_journal, os.F_OK):  # quicker than stat, for ten thousands
            return {}
        stamp, known = files.stamp_of(self.journal), self.known
        if known and stamp is not None and known[0] == stamp:
            return known[1]
        found = journal.decode_journal(files.read(self.journal, LARGEST_JOURNAL) or b"")
        found = found if all(map(KEY.fullmatch, found)) else {}
        self.known = stamp, found
        return found

    def finish(self, written: Mapping[str, Put] = MappingProxyType({})) -> None:
        """Put what is in the journal in its places, if there is one; deletions go first.

        What is *written* beside its place already is not written again.
        """
        if not (values := self.begun()):
            self.journal.unlink(missing_ok=True)  # damaged
            return
        for key in sorted(values, key=lambda key: values[key] is not None):
            try:
                written.get(key, partial(self.put_now, key, values[key]))()
            except FileNotFoundError:  # swept as if a killed run had left it
                self.put_now(key, values[key])
        self.sync(*values)
        self.journal.unlink()
        files.sync_folder(self.root)

    def sync(self, *keys: str) -> None:
        """Make durable that files have, or do not have, their names."""
        for folder in {self.path(key).parent for key in keys}:
            if folder.is_dir():
                files.sync_folder(folder)

    def require_places(self, values: Values) -> None:
        """Raise OSError if a value cannot have its place, as a folder is there, or a value."""
        for key, value in values.items():
            path = self.path(key)
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            above = [] if value is None else list(path.relative_to(self.root).parents)[:-1]
            for folder in map(str, above):
                stays = folder not in values and is_value(self.place(folder))
                if stays or values.get(folder) is not None:
                    words = os.strerror(errno.ENOTDIR)
                    raise NotADirectoryError(errno.ENOTDIR, words, str(path))

    def is_file(self, folder: Path) -> bool:
        """Return whether a value is where a folder is to be."""
        return is_value(f"{self.root}/{folder}")

    def make_folder(self, path: Path) -> None:
        """Make sure that a folder is there, for root alone, and those above it."""
        if not path.is_dir():
            below = path.relative_to(self.root)
            for folder in reversed([below, *below.parents]):
                files.folder(self.root / folder, 0o700)

    def keys(self, prefix: str) -> Iterator[str]:
        """Return the keys below the folder *prefix*; files being written are not seen."""
        begun = self.begun_below(prefix)
        found = (key for key, _ in self.entries(prefix))
        return iter(keys_together(found, begun)) if begun else found

    def stamps(self, prefix: str) -> dict[str, files.Stamp | None]:
        """Return a stamp of each file below the folder *prefix*, none of what is in the journal."""
        begun = self.begun_below(prefix)
        found = {key: files.stamp_of(entry) for key, entry in self.entries(prefix)}
        if not begun:
            return found
        return {key: None if key in begun else found[key] for key in keys_together(found, begun)}

    def begun_below(self, prefix: str) -> Values:
        """Return what of the journal is below a folder."""
        self.place(prefix)
        return values_below(self.begun(), prefix)

    def entries(self, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Yield each key below the folder *prefix* with its file, sorted."""
        for entry in files.entries(self.path(prefix)):
            if NAME.fullmatch(entry.name) is None:
                continue
            key = f"{prefix}/{entry.name}"
            if entry.is_dir():
                yield from self.entries(key)
            else:
                yield key, entry

    def path(self, key: str) -> Path:
        """Return the file of a key."""
        return Path(self.place(key))

    def place(self, key: str) -> str:
        """Return the path of a key; a key that could leave the folder is our own bug."""
        if KEY.fullmatch(key) is None:
            raise ValueError(f"not a key of a store: {key!r}")
        return f"{self.root}/{key}"


@contextmanager
def new_value(path: Path, value: bytes | None) -> Iterator[Put]:
    """Have for a block what puts a value in its place, or deletes it, in one instant."""
    if value is None:
        yield partial(forget_file, path)
        return
    with files.beside(path, value) as temporary:
        yield lambda: temporary.rename(path)


def forget_file(path: Path) -> None:
    """Remove a file; do nothing if there is none."""
    with suppress(NotADirectoryError):
        path.unlink(missing_ok=True)


def is_value(place: str) -> bool:
    """Return whether a value is at a path."""
    try:
        return stat.S_ISREG(os.stat(place).st_mode)  # noqa: PTH116 ten thousands
    except OSError:
        return False
