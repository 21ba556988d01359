"""Looks up names as this host resolves them (/etc/hosts, then the DNS), bounded in time.

nginx resolves a name when it starts, and does not start if it cannot. So the names of upstream
servers are resolved here, and nginx gets addresses only.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

SILENCE = 5.0
"""Seconds without an answer after which no more are waited for."""
LONGEST = 30.0
"""Seconds after which no more are waited for although some come."""
AT_ONCE = 32
MOST = 64
"""Addresses of one name that are used."""
UNANSWERED = "no answer in time"

Ask = Callable[[str], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class HostAddresses:
    """The addresses of a name, IPv4 first; without any, *trouble* tells why. *at* is when."""

    addresses: tuple[str, ...]
    trouble: str
    at: float


def system_addresses(name: str) -> tuple[str, ...]:
    """Return the addresses from the system's resolver, which nginx asks too; raise OSError.

    Addresses that are valid only with a network interface (fe80::1%eth0) are left out, as nginx
    cannot parse them.
    """
    told = socket.getaddrinfo(
        name.encode(), None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    found = {str(told_address[0]) for *_, told_address in told}
    usable = [ipaddress.ip_address(each) for each in found if "%" not in each]
    ordered = sorted(usable, key=lambda each: (each.version, int(each)))
    return tuple(map(str, ordered[:MOST]))


@dataclass(slots=True)
class Addresses:
    """Looks names up, many side by side, and remembers the answers.

    The system's resolver has no deadline, so it is called in threads that nobody waits for longer
    than told. A name that hangs is not looked up again meanwhile, and there are never more than
    AT_ONCE threads. Any thread may ask.
    """

    ask: Ask = system_addresses
    ticks: Callable[[], float] = time.monotonic
    changed: threading.Condition = field(default_factory=threading.Condition)
    waiting: deque[str] = field(default_factory=deque)
    asked: set[str] = field(default_factory=set)
    found: dict[str, HostAddresses] = field(default_factory=dict)
    threads: int = 0

    def of(self, names: Collection[str], age: float = 0.0) -> dict[str, HostAddresses]:
        """Return what is known of names, looked up unless that was done in the last *age* seconds.

        A name without an answer in time has UNANSWERED as its trouble; a later answer is
        remembered.
        """
        with self.changed:
            now = self.ticks()
            due = {name for name in names if not self.fresh(name, now - age)}
        self.begin(due)
        self.wait(due)
        with self.changed:
            late = HostAddresses((), UNANSWERED, self.ticks())
            for name in due & self.asked:
                self.found[name] = late
            return {name: self.found.get(name, late) for name in names}

    def fresh(self, name: str, since: float) -> bool:
        """Return whether a name was looked up after that moment."""
        return name in self.found and self.found[name].at > since

    def begin(self, names: Collection[str]) -> None:
        """Have names looked up without waiting for it."""
        with self.changed:
            new = [name for name in names if name not in self.asked]
            self.asked.update(new)
            self.waiting.extend(new)
            for _ in range(min(AT_ONCE - self.threads, len(new))):
                threading.Thread(target=self.work, daemon=True).start()
                self.threads += 1

    def wait(self, names: set[str]) -> None:
        """Wait until names are looked up, while answers come, and not too long."""
        end = self.ticks() + LONGEST
        with self.changed:
            while not self.asked.isdisjoint(names) and (left := end - self.ticks()) > 0:
                if not self.changed.wait(min(SILENCE, left)):
                    return

    def work(self) -> None:
        """Look up one name after the other until none waits."""
        while True:
            with self.changed:
                if not self.waiting:
                    self.threads -= 1
                    return
                name = self.waiting.popleft()
            addresses, trouble = self.answer(name)
            with self.changed:
                self.asked.discard(name)
                self.found[name] = HostAddresses(addresses, trouble, self.ticks())
                self.changed.notify_all()

    def answer(self, name: str) -> tuple[tuple[str, ...], str]:
        """Return the addresses of a name, or why there are none."""
        try:
            addresses = self.ask(name)
        except (OSError, ValueError) as error:  # ValueError: what is no name at all
            return (), str(getattr(error, "strerror", None) or error)
        return addresses, "" if addresses else "it has no address that nginx can parse"

    def only(self, names: Collection[str]) -> None:
        """Forget all names but these."""
        with self.changed:
            self.found = {name: each for name, each in self.found.items() if name in names}
