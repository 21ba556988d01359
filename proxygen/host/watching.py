"""Watching: the folders on the way to files, so that a change of what these are wakes us.

The kernel watches folders (inotify(7)). A file is reached through every folder and symbolic
link on its way, and any of them can be put elsewhere: all of them are watched, each for the one
name that matters in it. What is not there yet is waited for where it would appear.

Watchdog's own observers have a thread for each folder, of which there may be thousands, tell half
a second late that a name was moved away, and do not tell that the kernel forgot events. So its
reader of the kernel's events is used, which is below them (pyproject.toml keeps its version).
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator

from proxygen.host.inotify import ENTRIES, FORGOTTEN, OVERFLOW, EventReader

MOST_LINKS = 40
"""Symbolic links that are followed on one way, as in path_resolution(7)."""

Interest = dict[str, set[str] | None]
"""The names that matter in each folder, None if all do."""

REFUSALS = {
    errno.ENOSPC: "the limit of inotify watches is reached",
    errno.EMFILE: "the limit of inotify instances or of open files is reached",
}
"""What the kernel means, where its own words speak of a disk or of files (inotify(7))."""


class Watching:
    """Watches; *wake* is called, from a thread, when a name that matters was touched.

    *lost* is told once why something cannot be watched; from then on ``blind`` is set, and who
    wants to know of changes has to look again and again.
    """

    def __init__(self, wake: Callable[[], None], lost: Callable[[OSError], None]) -> None:
        self.wake = wake
        self.lost = lost
        self.blind = False
        self.lock = threading.Lock()
        self.wanted: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
        self.interest: Interest = {}
        self.folders: dict[int, set[str]] = {}
        self.descriptors: dict[str, int] = {}
        self.replaced: set[str] = set()
        self.moved = False
        self.reader = self.opened()
        if self.reader:
            self.reader.start()

    def opened(self) -> EventReader | None:
        """Return what reads the kernel's events, None if it cannot."""
        try:
            return EventReader(self.on_event, self.on_end)
        except OSError as error:
            self.without(error)
            return None

    def without(self, error: OSError, folder: str | None = None) -> None:
        """Tell, once, that something cannot be watched."""
        if not self.blind:
            self.blind = True
            words = REFUSALS.get(error.errno or 0) or error.strerror or str(error)
            self.lost(OSError(error.errno, words, folder))

    def close(self) -> None:
        """End."""
        with self.lock:
            reader, self.reader = self.reader, None
            if reader:
                reader.stop()
        if reader:
            reader.join(1)

    # What is watched.

    def watch(self, files: frozenset[str], folders: frozenset[str]) -> None:
        """Watch these files, and whatever happens in these folders, and nothing else.

        Absolute paths; what is not there is waited for. Cheap while nothing was put elsewhere.
        """
        with self.lock:
            if self.reader is None or (self.wanted == (files, folders) and not self.moved):
                return
            if not self.reader.is_alive():
                self.without(OSError(errno.EPIPE, "the reader of the kernel's events has ended"))
            self.moved = False
            replaced, self.replaced = self.replaced, set()
            self.wanted = files, folders
            self.interest = interest_in(files, folders)
            present = {each for each in self.interest if os.path.isdir(each)}  # noqa: PTH112
            for folder in list(self.descriptors):
                if folder not in present or not replaced.isdisjoint(folders_upwards(folder)):
                    self.let_go(self.reader, folder)
            for folder in sorted(present - self.descriptors.keys()):
                self.take(self.reader, folder)

    def again(self) -> None:
        """Let the next ``look_at`` look at every way anew."""
        with self.lock:
            self.moved = True
            self.replaced.add("/")

    def take(self, reader: EventReader, folder: str) -> None:
        """Watch a folder; one that went away meanwhile is no trouble."""
        try:
            number = reader.add(folder)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                self.without(error, folder)
            return
        self.descriptors[folder] = number
        self.folders.setdefault(number, set()).add(folder)

    def let_go(self, reader: EventReader, folder: str) -> None:
        """Watch a folder no more, unless it is watched by another path too (a bind mount)."""
        number = self.descriptors.pop(folder)
        self.folders[number].discard(folder)
        if not self.folders[number]:
            del self.folders[number]
            reader.remove(number)

    # What the reader calls, from its thread.

    def on_event(self, number: int, kind: int, name: str) -> None:
        """Take one event."""
        if kind & OVERFLOW:
            self.on_queue_overflow()
        elif kind & FORGOTTEN:
            self.on_folder_forgotten(number)
        else:
            self.on_name_touched(number, kind, name)

    def on_name_touched(self, number: int, kind: int, name: str) -> None:
        """Wake when the name matters."""
        with self.lock:
            touched = [each for each in self.folders.get(number, ()) if self.matters(each, name)]
            if kind & ENTRIES and touched:
                self.moved = True
                self.replaced |= {join_path(each, name) for each in touched}
        if touched:
            self.wake()

    def matters(self, folder: str, name: str) -> bool:
        """Return whether a name matters in a folder; the folder itself does (no name)."""
        names = self.interest.get(folder, set())
        return names is None or name in names or not name

    def on_folder_forgotten(self, number: int) -> None:
        """Forget a folder that is gone; one of that name is watched when it is there again."""
        with self.lock:
            gone = self.folders.pop(number, set())
            for folder in gone:
                del self.descriptors[folder]
            self.moved = self.moved or bool(gone)
        if gone:
            self.wake()

    def on_queue_overflow(self) -> None:
        """So much happened that the kernel forgot what: look at everything."""
        self.again()
        self.wake()

    def on_end(self) -> None:
        """Tell that nothing is read any more, unless it was asked for."""
        with self.lock:
            if self.reader:
                self.reader = None
                self.without(OSError(errno.EPIPE, "the kernel's events are read no more"))


def interest_in(files: Iterable[str], folders: Iterable[str]) -> Interest:
    """Return the folders to watch for these files and folders, and which names matter there."""
    found: Interest = {}
    known: dict[str, str] = {}

    def matters(folder: str, name: str) -> None:
        names = found.setdefault(folder, set())
        if names is not None:
            names.add(name)

    for path in files:
        reached_path(path, matters, known)
    for path in folders:
        found[reached_path(path, matters, known)] = None
    return found


def reached_path(path: str, matters: Callable[[str, str], None], known: dict[str, str]) -> str:
    """Return where *path* leads to; tell of each (folder, name) that decides it.

    *known* spares ways that were gone before: those of the folders above.
    """
    above, name = os.path.split(path.rstrip("/"))
    if not name:
        return "/"
    if above not in known:
        known[above] = reached_path(above, matters, known)
    return follow_name(known[above], name, matters)


def follow_name(folder: str, name: str, matters: Callable[[str, str], None]) -> str:
    """Return where a name in a real folder leads to, through symbolic links."""
    left = [name]
    for _ in range(MOST_LINKS * 64):
        if not left:
            break
        name = left.pop()
        if name in ("", "."):
            continue
        if name == "..":
            folder = os.path.dirname(folder)  # noqa: PTH120 texts: ten thousands of them
            continue
        matters(folder, name)
        target = link_of(join_path(folder, name))
        if target is None:
            folder = join_path(folder, name)
            continue
        if target.startswith("/"):
            folder = "/"
        left += reversed(target.split("/"))
    return folder


def link_of(path: str) -> str | None:
    """Return what a symbolic link says, None for anything else."""
    try:
        return os.readlink(path)  # noqa: PTH115 texts: ten thousands of them
    except OSError:
        return None


def join_path(folder: str, name: str) -> str:
    """Return the path of a name in a folder."""
    return os.path.join(folder, name) if name else folder  # noqa: PTH118


def folders_upwards(folder: str) -> Iterator[str]:
    """Yield a folder and all above it."""
    yield folder
    while folder not in ("/", ""):
        folder = os.path.dirname(folder)  # noqa: PTH120
        yield folder
