"""Names that wait for their DNS: the web server tells that a client asked for one of them here.

That is a sign that the DNS was changed, and no more: a client may ask for whatever it likes. The
check that follows decides.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from proxygen.daemon.bell import Bell
from proxygen.daemon.log_lines import WARNING
from proxygen.host import files
from proxygen.host.logs import log_event
from proxygen.model.layout import Layout

ONCE = 60.0
"""Seconds after which a request for the same name counts again."""
REST, LONGEST_REST = 2.0, 120.0
"""Seconds between checks that clients ask for: twice as long as the last one took, at most."""
LONGEST_DATAGRAM = 1024
AT_ONCE, BREATH = 100, 0.2
"""Datagrams that are read one after the other, and the seconds of rest after them."""


@dataclass(eq=False, slots=True)
class WaitingNames:
    """The names that wait, by *owners*, for the web server as files, and those that were asked for.

    Of a name that was asked for the file is gone for a minute, so that the web server itself tells
    of no further request. *rests* are the names for which that is so, with its end. Nobody may be
    told of anything before *free_at*.
    """

    layout: Layout
    bell: Bell
    owners: Mapping[str, str] = field(default_factory=dict)
    rests: dict[str, float] = field(default_factory=dict)
    asked: dict[str, None] = field(default_factory=dict)
    free_at: float = 0.0
    listening: socket.socket | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    opened: ClassVar[set[WaitingNames]] = set()

    def start(self) -> None:
        """Listen for the web server; where that is not possible, names are checked by the clock."""
        place = self.layout.waiting_socket
        try:
            self.clear()
            files.folder(place.parent, 0o755)
            files.folder(self.layout.waiting_names, 0o711)
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.listening = listening
            self.opened.add(self)
            listening.bind(str(place))
            place.chmod(0o666)
        except OSError as error:
            self.close()
            log_event(WARNING, "not_told_of_requests", what=f"{place}: {error.strerror or error}")
            return
        threading.Thread(target=self.listen, args=[listening], name="asked", daemon=True).start()

    def close(self) -> None:
        """Have nobody told of anything more."""
        with self.lock:
            self.owners, self.rests, self.asked = {}, {}, {}
            listening, self.listening = self.listening, None
        if listening is not None:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)  # who listens hears that it is over
            listening.close()
            with suppress(OSError):
                self.clear()
        self.opened.discard(self)

    @classmethod
    def withdraw(cls) -> None:
        """Close all of this process, which is about to end."""
        for each in list(cls.opened):
            each.close()

    def clear(self) -> None:
        """Remove the socket, and the files of all names."""
        for path in (*self.shown(), self.layout.waiting_socket):
            path.unlink(missing_ok=True)

    def shown(self) -> Iterator[Path]:
        """Yield the files of names that are there."""
        folder = self.layout.waiting_names
        return (folder / name for name in files.names(folder))

    def listen(self, listening: socket.socket) -> None:
        """Hear what the web server tells, not all of it if it is very much."""
        with suppress(OSError):  # it was closed
            while True:
                for _ in range(AT_ONCE):
                    self.hear(listening.recv(LONGEST_DATAGRAM))
                time.sleep(BREATH)

    def hear(self, told: bytes) -> None:
        """Take one message: a line of syslog (RFC 3164) that ends with the name."""
        name = told.rstrip(b"\n").rpartition(b" ")[2].decode("ascii", "replace").strip("[]")
        with self.lock:
            if name not in self.owners or name in self.rests:
                return
            self.rests[name] = self.bell.ticks() + ONCE
            self.asked[name] = None
            with suppress(OSError):
                self.file_of(name).unlink(missing_ok=True)
        self.bell.wake()

    def file_of(self, name: str) -> Path:
        """Return the file of a name, called as nginx has it from requests."""
        return self.layout.waiting_names / (f"[{name}]" if ":" in name else name)

    def only(self, owners: Mapping[str, str]) -> None:
        """Have these names wait, and no others."""
        with self.lock:
            if self.listening is None:
                return
            gone, self.owners = self.owners.keys() - owners.keys(), dict(owners)
            self.rests = {name: until for name, until in self.rests.items() if name in owners}
            self.asked = {name: None for name in self.asked if name in owners}
            with suppress(OSError):  # names without a file are checked by the clock
                for name in gone:
                    self.file_of(name).unlink(missing_ok=True)
                self.show(owners.keys() - self.rests.keys())

    def show(self, names: Collection[str]) -> None:
        """Make the files of names that are not there."""
        there = {path.name for path in self.shown()} if names else set()
        for path in map(self.file_of, names):
            if path.name not in there:
                path.touch(0o644)

    def due(self) -> dict[str, list[str]]:
        """Return the names to check that were asked for, by owner, each once."""
        now = self.bell.ticks()
        with self.lock:
            if over := [name for name, until in self.rests.items() if until <= now]:
                for name in over:
                    del self.rests[name]
                with suppress(OSError):
                    self.show([name for name in over if name in self.owners])
            if now < self.free_at:
                return {}
            asked, self.asked = self.asked, {}
            found: dict[str, list[str]] = {}
            for name in asked:
                found.setdefault(self.owners[name], []).append(name)
            return found

    def next(self) -> float:
        """Return when there is next something to do."""
        with self.lock:
            moments = [*self.rests.values(), *([self.free_at] if self.asked else ())]
        return min(moments, default=float("inf"))

    def rest(self, seconds: float) -> None:
        """Have nothing checked for a while after a check that took so many seconds."""
        self.free_at = self.bell.ticks() + min(max(REST, 2 * seconds), LONGEST_REST)
