"""What happens in folders, as the kernel tells it (inotify(7)), read by one thread."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress

from inotify_simple import INotify, flags

ENTRIES: int = flags.MOVED_FROM | flags.MOVED_TO | flags.CREATE | flags.DELETE | flags.DELETE_SELF
"""Events after which a name may stand for another file or folder than before."""
CONTENT: int = flags.MODIFY | flags.ATTRIB | flags.CLOSE_WRITE
"""Events that can change what a file says; reading it is none."""
OVERFLOW: int = flags.Q_OVERFLOW
"""The kernel's queue was full, and events were lost; of no folder."""
FORGOTTEN: int = flags.IGNORED
"""The last event of a folder: it is watched no more."""
WATCHED: int = CONTENT | ENTRIES | flags.ONLYDIR | flags.DONT_FOLLOW


class EventReader(threading.Thread):
    """Calls *handle* with the number of a folder, the kind of an event (bits) and a name.

    The name is empty for an event of the folder itself. *ended* is called when the thread ends,
    asked to or not; nothing may be watched or stopped after that. The constructor raises OSError
    when the kernel has no instance left.
    """

    def __init__(self, handle: Callable[[int, int, str], None], ended: Callable[[], None]) -> None:
        super().__init__(name="watching", daemon=True)
        self.handle = handle
        self.ended = ended
        self.bell = os.eventfd(0)
        try:
            self.inotify = INotify()
        except OSError:
            os.close(self.bell)
            raise

    def add(self, folder: str) -> int:
        """Watch a folder and return its number; one that has two paths has one number.

        Raise OSError when there is no such folder, or the kernel refuses.
        """
        number: int = self.inotify.add_watch(folder, WATCHED)
        return number

    def remove(self, number: int) -> None:
        """Watch a folder no more; its last events may still come."""
        with suppress(OSError):  # the folder is gone, and its event not read yet
            self.inotify.rm_watch(number)

    def stop(self) -> None:
        """Ask the thread to end; it closes what it has open."""
        os.eventfd_write(self.bell, 1)

    def run(self) -> None:
        """Read events until asked to stop."""
        poller = select.poll()
        poller.register(self.inotify, select.POLLIN)
        poller.register(self.bell, select.POLLIN)
        try:
            while self.bell not in dict(poller.poll()):
                for number, kind, _, name in self.inotify.read(timeout=0):
                    self.handle(number, kind, name)
        finally:
            self.ended()
            self.inotify.close()
            os.close(self.bell)
