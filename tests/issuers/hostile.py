"""A hostile authority: it speaks TLS, and then whatever a test likes, as slowly as it likes."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.live.authority import Authority, write_private

Says = Callable[["Client"], None]
"""What it does with a connection; nothing of it outlives the ``with`` block."""


class Client:
    """A connection to it."""

    def __init__(self, connection: socket.socket, over: threading.Event) -> None:
        self.connection = connection
        self.over = over

    def heard(self) -> bytes:
        """Return the head of a request."""
        head = b""
        while b"\r\n\r\n" not in head and (more := self.connection.recv(4096)):
            head += more
        return head

    def say(self, *words: bytes) -> None:
        """Send words."""
        for each in words:
            self.connection.sendall(each)

    def drip(self, words: bytes, pause: float = 0.02) -> None:
        """Send words again and again, one at a time, until the block is over."""
        while not self.over.wait(pause):
            self.say(words)

    def flood(self, words: bytes) -> None:
        """Send words again and again, as fast as they are taken."""
        while not self.over.is_set():
            self.say(words * 100)

    def wait(self) -> None:
        """Say nothing more."""
        self.over.wait()


class HostileAuthority:
    """What runs: its address, root, and how many connections there were."""

    def __init__(self, folder: Path, address: str, says: Says, *, tls: bool = True) -> None:
        authority = Authority("Hostile")
        issued = authority.issue("localhost", address)
        self.trusted_root = folder / f"hostile-{address}.pem"
        self.trusted_root.write_bytes(authority.root_pem)
        key = folder / f"hostile-{address}.key"
        write_private(key, issued.key + issued.fullchain)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(key)
        self.says = says
        self.tls = tls
        self.connections = 0
        self.over = threading.Event()
        self.listening = socket.create_server((address, 0))
        self.port = self.listening.getsockname()[1]
        self.url = f"https://{address}:{self.port}"

    @property
    def directory(self) -> str:
        """The URL of its directory."""
        return f"{self.url}/dir"

    def accept(self) -> None:
        """Take connections until the socket is closed."""
        with suppress(OSError):
            while True:
                connection, _ = self.listening.accept()
                self.connections += 1
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        """Do what it does with a connection."""
        with suppress(OSError), connection:
            connection.settimeout(60)
            if not self.tls:
                self.says(Client(connection, self.over))
                return
            with self.context.wrap_socket(connection, server_side=True) as secured:
                self.says(Client(secured, self.over))


@contextmanager
def hostile(
    folder: Path, says: Says, *, address: str = "127.0.0.1", tls: bool = True
) -> Iterator[HostileAuthority]:
    """Have a hostile authority on loopback while the block runs."""
    authority = HostileAuthority(folder, address, says, tls=tls)
    threading.Thread(target=authority.accept, daemon=True).start()
    try:
        yield authority
    finally:
        authority.over.set()
        authority.listening.shutdown(socket.SHUT_RDWR)
        authority.listening.close()
