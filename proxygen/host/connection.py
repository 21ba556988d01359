"""Connections with one time limit for the whole exchange, name resolution included."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

Place = tuple[socket.AddressFamily, Any]
"""A family, and an address as sockets of it have it."""

SHORTEST = 0.001
"""A time limit of nothing would mean to wait for nothing at all."""


class TooMuch(Exception):
    """The other side sent more than any honest answer has.

    Not an OSError or ValueError: libraries would take it for an answer that was cut short.
    """


class Timed(socket.socket):
    """A socket with one time limit for everything that follows, not for each part of it.

    From ``settimeout`` on, it also accepts no more than *most* octets (TooMuch).
    """

    end: float | None = None
    most: int | None = None
    taken = 0

    def settimeout(self, seconds: float | None) -> None:
        """Begin an exchange that must end within so many seconds."""
        self.end = None if seconds is None else time.monotonic() + seconds
        self.taken = 0
        super().settimeout(seconds)

    def gettimeout(self) -> float | None:
        """Return how many seconds are left."""
        return None if self.end is None else max(self.end - time.monotonic(), SHORTEST)

    def hurry(self) -> None:
        """Limit the next step to the time that is left; raise TimeoutError if none is."""
        if self.end is not None:
            if (left := self.end - time.monotonic()) <= 0:
                raise TimeoutError("the time was over")
            super().settimeout(left)

    def count(self, octets: int) -> None:
        """Count received octets; raise TooMuch."""
        self.taken += octets
        if self.most is not None and self.taken > self.most:
            raise TooMuch(f"more than {self.most} octets")

    def connect(self, address: Any) -> None:
        """Connect."""
        self.hurry()
        super().connect(address)

    def recv(self, *arguments: int) -> bytes:
        """Return what comes next."""
        self.hurry()
        came = super().recv(*arguments)
        self.count(len(came))
        return came

    def recv_into(self, *arguments: Any) -> int:
        """Put what comes next into a buffer."""
        self.hurry()
        came = super().recv_into(*arguments)
        self.count(came)
        return came

    def send(self, *arguments: Any) -> int:
        """Send a part."""
        self.hurry()
        return super().send(*arguments)

    def sendall(self, *arguments: Any) -> None:
        """Send all."""
        self.hurry()
        super().sendall(*arguments)


class TimedTls(Timed, ssl.SSLSocket):
    """The same with TLS, whose handshake is a part of what the time is for."""

    def do_handshake(self, block: bool = False) -> None:
        """Agree on keys."""
        self.hurry()
        super().do_handshake(block)


def anywhere(address: str) -> bool:  # noqa: ARG001 - the contract's argument
    """Return True: any address may be connected to."""
    return True


def connect(
    host: str, port: int, seconds: float, allowed: Callable[[str], bool] = anywhere
) -> Timed:
    """Return a connection to the first address of a host that answers, within *seconds*.

    The time that is left becomes its limit. An address that is not *allowed* is skipped. Raise
    OSError: TimeoutError if the time is over, socket.gaierror for a host without any address.
    """
    end = time.monotonic() + seconds
    places = [each for each in places_of(host, port, seconds) if allowed(each[1][0])]
    failed: OSError = PermissionError(errno.EACCES, "it has no address that may be connected to")
    for index, place in enumerate(places):
        left = end - time.monotonic()
        try:
            connection = open_connection(place, left / (len(places) - index))
        except OSError as error:
            failed = error
            continue
        connection.settimeout(max(end - time.monotonic(), SHORTEST))
        return connection
    raise failed


def open_connection(place: Place, seconds: float) -> Timed:
    """Return a connection to one address."""
    family, address = place
    connection = Timed(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(max(seconds, SHORTEST))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


under_way: dict[tuple[str, int], Future[list[Place]]] = {}
"""The system's looks for addresses, which nobody can end: who asks the same waits for the same."""
guard = threading.Lock()


def places_of(host: str, port: int, seconds: float) -> list[Place]:
    """Return the addresses of a host according to the system's resolver.

    getaddrinfo(3) has time limits of its own, so it runs in a thread that may be left behind. Raise
    socket.gaierror, or TimeoutError after *seconds*.
    """
    key = (host, port)
    with guard:
        found = under_way.get(key)
        if found is None:
            found = under_way[key] = Future()
            threading.Thread(target=resolve_host, args=(key, found), daemon=True).start()
    try:
        return found.result(max(seconds, 0))
    except TimeoutError as error:
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from error


def resolve_host(key: tuple[str, int], found: Future[list[Place]]) -> None:
    """Ask the system for addresses."""
    failed: Exception | None = None
    places: list[Place] = []
    try:
        rows = socket.getaddrinfo(*key, type=socket.SOCK_STREAM)
        places = list(dict.fromkeys((row[0], row[4]) for row in rows))
    except UnicodeError as error:  # a label that is too long, or none
        failed = socket.gaierror(socket.EAI_NONAME, str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, who waits is told
        failed = error
    with guard:
        under_way.pop(key, None)
    if failed:
        found.set_exception(failed)
    else:
        found.set_result(places)
