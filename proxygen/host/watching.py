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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchdog.observers.inotify_c import InotifyEvent, InotifyFD, Mask, WatchDescriptor

MOST_LINKS = 40
"""Symbolic links that are followed on one way, as in path_resolution(7)."""

Interest = dict[str, set[str] | None]
"""The names that matter in each folder, None if all do."""


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
        self.folders: dict[WatchDescriptor, str] = {}
        self.descriptors: dict[str, WatchDescriptor] = {}
        self.replaced: set[str] = set()
        self.moved = False
        self.reader = self.opened()

    def opened(self) -> InotifyFD | None:
        """Return what reads the kernel's events, None if it cannot."""
        try:
            from watchdog.observers.inotify_c import InotifyFD
            from watchdog.utils import UnsupportedLibcError
        except (ImportError, OSError) as error:
            self.without(OSError(errno.ENOSYS, str(error)))
            return None
        try:
            reader = InotifyFD()
        except (OSError, UnsupportedLibcError) as error:
            self.without(error if isinstance(error, OSError) else OSError(errno.ENOSYS, str(error)))
            return None
        reader.name = "watching"
        reader.start()
        return reader

    def without(self, error: OSError) -> None:
        """Tell, once, that something cannot be watched."""
        if not self.blind:
            self.blind = True
            self.lost(error)

    def close(self) -> None:
        """End."""
        if self.reader:
            self.reader.stop()
            self.reader.join(1)
            self.reader = None

    # What is watched.

    def look_at(self, files: frozenset[str], folders: frozenset[str]) -> None:
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
                if folder not in present or not replaced.isdisjoint(upwards(folder)):
                    self.let_go(self.reader, folder)
            for folder in sorted(present - self.descriptors.keys()):
                self.take(self.reader, folder)

    def again(self) -> None:
        """Let the next ``look_at`` look at every way anew."""
        with self.lock:
            self.moved = True
            self.replaced.add("/")

    def take(self, reader: InotifyFD, folder: str) -> None:
        """Watch a folder; one that went away meanwhile is no trouble."""
        from watchdog.observers.inotify_c import CallbackId

        try:
            number = reader.add_callback(os.fsencode(folder), mask(), self, CallbackId(id(self)))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                self.without(error)
            return
        if number < 0:  # the library says so instead of raising PermissionError
            self.without(PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder))
            return
        self.descriptors[folder] = number
        self.folders[number] = folder

    def let_go(self, reader: InotifyFD, folder: str) -> None:
        """Watch a folder no more."""
        from watchdog.observers.inotify_c import CallbackId

        number = self.descriptors.pop(folder)
        if self.folders.get(number) == folder:
            del self.folders[number]
            reader.remove_callbacks([(number, CallbackId(id(self)))])

    # What the reader calls, from its thread.

    def on_event(self, event: InotifyEvent) -> None:
        """Wake when the name matters."""
        name = os.fsdecode(event.name)
        with self.lock:
            folder = self.folders.get(event.wd)
            names = self.interest.get(folder, set()) if folder is not None else set()
            matters = names is None or name in names or not name
            if not matters or folder is None:
                return
            if event.is_create or event.is_delete or event.is_move or event.is_delete_self:
                self.moved = True
                self.replaced.add(joined(folder, name))
        self.wake()

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """Forget a folder that is gone; one of that name is watched when it is there again."""
        with self.lock:
            folder = self.folders.pop(wd, None)
            if folder is not None and self.descriptors.get(folder) == wd:
                del self.descriptors[folder]
            self.moved = True
        self.wake()

    def on_queue_overflow(self) -> None:
        """So much happened that the kernel forgot what: look at everything."""
        self.again()
        self.wake()


def mask() -> Mask:
    """Return the events that can change what a file is; reading it is none."""
    from watchdog.observers.inotify_c import InotifyConstants as On
    from watchdog.observers.inotify_c import Mask

    content = On.IN_MODIFY | On.IN_ATTRIB | On.IN_CLOSE_WRITE
    entries = On.IN_MOVE | On.IN_CREATE | On.IN_DELETE | On.IN_DELETE_SELF
    return Mask(content | entries | On.IN_ONLYDIR | On.IN_DONT_FOLLOW)


def interest_in(files: Iterable[str], folders: Iterable[str]) -> Interest:
    """Return the folders to watch for these files and folders, and which names matter there."""
    found: Interest = {}
    known: dict[str, str] = {}

    def matters(folder: str, name: str) -> None:
        names = found.setdefault(folder, set())
        if names is not None:
            names.add(name)

    for path in files:
        reached(path, matters, known)
    for path in folders:
        found[reached(path, matters, known)] = None
    return found


def reached(path: str, matters: Callable[[str, str], None], known: dict[str, str]) -> str:
    """Return where *path* leads to; tell of each (folder, name) that decides it.

    *known* spares ways that were gone before: those of the folders above.
    """
    above, name = os.path.split(path.rstrip("/"))
    if not name:
        return "/"
    if above not in known:
        known[above] = reached(above, matters, known)
    return followed(known[above], name, matters)


def followed(folder: str, name: str, matters: Callable[[str, str], None]) -> str:
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
        target = link_of(joined(folder, name))
        if target is None:
            folder = joined(folder, name)
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


def joined(folder: str, name: str) -> str:
    """Return the path of a name in a folder."""
    return os.path.join(folder, name) if name else folder  # noqa: PTH118


def upwards(folder: str) -> Iterator[str]:
    """Yield a folder and all above it."""
    yield folder
    while folder not in ("/", ""):
        folder = os.path.dirname(folder)  # noqa: PTH120
        yield folder
