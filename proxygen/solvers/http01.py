"""http-01 (RFC 8555 section 8.3): answers as files for the nginx that runs, or by a listener."""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Network
from pathlib import Path
from typing import ClassVar, Self

from proxygen.errors import IssueFailed
from proxygen.failure import NotObtained, Scope, not_obtained
from proxygen.host import files
from proxygen.stores.challenge_answers import PROBE_PLACE

PLACE = ".well-known/acme-challenge"
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}", re.ASCII)
ANSWER = re.compile(r"[A-Za-z0-9_.-]{1,400}", re.ASCII)
STALE = timedelta(days=1)

LONGEST_REQUEST = 8 * 1024
MOST_CLIENTS = 32
MOMENT = 0.05
"""Seconds in which the thread of a connection that was ended makes room."""
WEB = re.compile(rb"(GET|HEAD) /\.well-known/acme-challenge/([A-Za-z0-9_-]{1,200}) HTTP/1\.[01]\r?")


class Webroot:
    """Presents answers as files below *folder*, which the web server serves as its root.

    *presented* are the answers of this process that are there, wherever they are.
    """

    presented: ClassVar[set[Path]] = set()
    notes: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.swept = False
        self.lock = threading.Lock()

    @property
    def place(self) -> Path:
        """The folder of the answers."""
        return self.folder / PLACE

    def present(self, name: str, token: str, key_authorization: str) -> None:
        """Write the answer, readable by all; the first call removes what is stale."""
        check_answer(name, token, key_authorization)
        try:
            self.prepare()
            self.presented.add(self.place / token)
            files.write(self.place / token, key_authorization.encode(), 0o644)
        except OSError as error:
            code, place = "challenge-not-written", self.place
            raise IssueFailed(
                not_obtained(code, Scope.HOST, where=place, name=name, words=error)
            ) from error

    def settle(self, answers: Sequence[tuple[str, str]]) -> None:
        """Return: what is presented is visible."""

    def cleanup(self, name: str, token: str) -> None:  # noqa: ARG002 - the contract's argument
        """Remove the answer."""
        if TOKEN.fullmatch(token):
            with contextlib.suppress(OSError):  # `sweep` comes later; the certificate is here
                (self.place / token).unlink(missing_ok=True)
                self.presented.discard(self.place / token)

    @classmethod
    def withdraw(cls) -> None:
        """Remove every answer of this process, which is about to end."""
        for path in list(cls.presented):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def prepare(self) -> None:
        """Make the folders, and remove once what a killed run left."""
        with self.lock:
            for folder in (self.folder, self.place.parent, self.place):
                files.folder(folder, 0o755)
            if not self.swept:
                self.sweep(datetime.now(UTC))
                self.swept = True

    def sweep(self, now: datetime) -> None:
        """Remove answers that are older than a day; the one that servers are asked for stays."""
        for name in files.names(self.place):
            if name == Path(PROBE_PLACE).name:
                continue
            with contextlib.suppress(FileNotFoundError):
                file = self.place / name
                if now - datetime.fromtimestamp(file.lstat().st_mtime, UTC) > STALE:
                    files.remove(file)


@dataclass(eq=False, slots=True)
class Visit:
    """A client's connection and where it comes from; it is *idle* until its request is there."""

    connection: socket.socket
    origin: str
    idle: bool = True


class Visits:
    """The connections that are open, never more than *most*."""

    def __init__(self, most: int) -> None:
        self.free = threading.BoundedSemaphore(most)
        self.lock = threading.Lock()
        self.open: list[Visit] = []

    def enter(self, visit: Visit) -> None:
        """Let one more in; when all places are taken the oldest idle one ends.

        That is one of those who have the most: who asks once is not pushed out by who asks for all.
        """
        while not self.free.acquire(blocking=False):
            self.end_oldest()
            if self.free.acquire(timeout=MOMENT):
                break
        with self.lock:
            self.open.append(visit)

    def end_oldest(self) -> None:
        """Let go of the oldest idle connection of those who have the most; its thread ends."""
        with self.lock:
            idle = [each for each in self.open if each.idle]
            if not idle:
                return  # all are being answered, which takes a moment
            count = Counter(each.origin for each in idle)
            oldest = max(idle, key=lambda each: count[each.origin])  # the first of the largest
            oldest.idle = False
            with contextlib.suppress(OSError):
                oldest.connection.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Let go of all that are idle: who is silent holds up nobody."""
        with self.lock:
            for each in self.open:
                if each.idle:
                    with contextlib.suppress(OSError):
                        each.connection.shutdown(socket.SHUT_RDWR)

    def leave(self, visit: Visit) -> None:
        """Make room."""
        with self.lock:
            self.open.remove(visit)
        self.free.release()


class Http01Listener:
    """Presents answers by listening itself, for a host on which no web server does.

    It listens from the first answer on to the end of its ``with`` block, and knows nothing but
    the answers: there is no folder that a request could reach. *patience*: the seconds in which
    a client must have sent its request, and then have read the answer. Who is silent does not
    keep the authority out: where there are too many, one of them has to go.
    """

    notes: tuple[str, ...] = ()

    def __init__(
        self, port: int, addresses: tuple[str, ...] = ("0.0.0.0", "::"), patience: float = 10
    ) -> None:
        self.port = port
        self.patience = patience
        self.addresses = addresses
        self.answers: dict[str, bytes] = {}
        self.sockets: tuple[socket.socket, ...] = ()
        self.lock = threading.Lock()
        self.visits = Visits(MOST_CLIENTS)
        self.threads = ThreadPoolExecutor(MOST_CLIENTS + len(addresses), "http-01")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with self.lock:
            for listening in self.sockets:
                with contextlib.suppress(OSError):
                    listening.shutdown(socket.SHUT_RDWR)
                listening.close()
            self.sockets = ()
        self.visits.end()
        self.threads.shutdown(wait=True)

    def present(self, name: str, token: str, key_authorization: str) -> None:
        """Answer requests for *token* from now on; raise IssueFailed if the port is taken."""
        check_answer(name, token, key_authorization)
        with self.lock:
            if not self.sockets:
                self.sockets = open_sockets(self.addresses, self.port)
                for listening in self.sockets:
                    self.threads.submit(self.accept, listening)
            self.answers[token] = key_authorization.encode()

    def settle(self, answers: Sequence[tuple[str, str]]) -> None:
        """Return: what is presented is visible."""

    def cleanup(self, name: str, token: str) -> None:  # noqa: ARG002 - the contract's argument
        """Answer no more."""
        self.answers.pop(token, None)

    def accept(self, listening: socket.socket) -> None:
        """Serve clients until the socket is closed."""
        while True:
            try:
                connection, address = listening.accept()
            except OSError as error:
                if listening.fileno() < 0 or error.errno == errno.EINVAL:
                    return
                time.sleep(0.1)  # no descriptors left, or a client that was gone at once
                continue
            self.visits.enter(visit := Visit(connection, client_network(address[0])))
            self.threads.submit(self.serve, visit)

    def serve(self, visit: Visit) -> None:
        """Answer one request and close."""
        client = visit.connection
        try:
            with client, contextlib.suppress(OSError):
                line = request_line(client, time.monotonic() + self.patience)
                visit.idle = False
                client.settimeout(self.patience)
                client.sendall(self.reply(line))
                client.shutdown(socket.SHUT_WR)
        finally:
            self.visits.leave(visit)

    def reply(self, line: bytes) -> bytes:
        """Return the whole answer to a request line."""
        asked = WEB.fullmatch(line)
        body = self.answers.get(asked[2].decode()) if asked else None
        status = b"404 Not Found" if body is None else b"200 OK"
        head = (
            b"HTTP/1.1 %b\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(body or b""))
        )
        return head + (body or b"" if asked and asked[1] == b"GET" else b"")


def check_answer(name: str, token: str, key_authorization: str) -> None:
    """Raise IssueFailed for a token or answer with other characters than base64url and a dot.

    The token comes from the authority and becomes a file name.
    """
    if not TOKEN.fullmatch(token) or not ANSWER.fullmatch(key_authorization):
        raise IssueFailed(not_obtained("token-no-base64url", name=name))


def request_line(client: socket.socket, deadline: float) -> bytes:
    """Return the first line once the whole head arrived; empty if it is none, or too late."""
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        left = deadline - time.monotonic()
        if left <= 0 or len(head) > LONGEST_REQUEST:
            return b""
        client.settimeout(left)
        piece = client.recv(4096)
        if not piece:
            return b""
        head += piece
    return head.split(b"\n", 1)[0]


def client_network(address: str) -> str:
    """Return what a client's address has in common with others that it may have: its network."""
    if ":" not in address:
        return address
    return str(IPv6Network((address.partition("%")[0], 64), strict=False))


def open_sockets(addresses: tuple[str, ...], port: int) -> tuple[socket.socket, ...]:
    """Return a listening socket per address; one family may be missing on this host."""
    sockets: list[socket.socket] = []
    failed: OSError | None = None
    for address in addresses:
        try:
            sockets.append(listening_on(address, port))
        except OSError as error:
            failed = error
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                break
    else:
        if sockets:
            return tuple(sockets)
    for one in sockets:
        one.close()
    raise IssueFailed(port_taken(port, failed))


def listening_on(address: str, port: int) -> socket.socket:
    """Return a listening socket; raise OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opening = socket.socket(family, socket.SOCK_STREAM)
    try:
        opening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opening.bind((address, port))
        opening.listen(128)
    except BaseException:
        opening.close()
        raise
    return opening


def port_taken(port: int, error: OSError | None) -> NotObtained:
    """Return the failure for a port that cannot be listened on."""
    forbidden = error is not None and error.errno == errno.EACCES
    there = () if forbidden else tuple(port_holders(port))
    code = "port-forbidden" if forbidden else "port-taken-by" if there else "port-taken"
    return not_obtained(code, Scope.HOST, port=port, holders=there, words=error or "")


def port_holders(port: int) -> Iterator[str]:
    """Return the programs that listen on *port*, as far as this user may know."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        pids = {
            one.pid
            for one in psutil.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid
        }
        for pid in sorted(pids):
            yield f"{psutil.Process(pid).name()}, process {pid}"
