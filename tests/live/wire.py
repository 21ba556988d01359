"""Wire: a TCP proxy that delays what passes, holds it, or cuts connections."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

LOCALHOST = "127.0.0.1"


class Wire:
    """Stands between clients and a port of this machine while the ``with`` block runs.

    *delay* is how many seconds later each piece is passed on; while *held*, nothing is, and the
    connections stay open. *lose_answer_to*: a request with these octets reaches the other side,
    and its connection is cut before the answer.
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self.delay = 0.0
        self.going = threading.Event()
        self.going.set()
        self.ended = threading.Event()
        self.lose_answer_to = b""
        self.lost = 0
        self.connections: list[tuple[socket.socket, socket.socket]] = []
        self.doomed: set[socket.socket] = set()

    @property
    def port(self) -> int:
        """Where clients connect to."""
        return int(self.server.getsockname()[1])

    @property
    def url(self) -> str:
        """The same as an endpoint without TLS."""
        return f"http://{LOCALHOST}:{self.port}"

    def hold(self) -> None:
        """Pass nothing on from now on."""
        self.going.clear()

    def release(self) -> None:
        """Pass on again, also what was held."""
        self.going.set()

    def cut(self) -> None:
        """End all connections."""
        for both in self.connections:
            for each in both:
                close(each)
        self.connections.clear()

    def __enter__(self) -> Self:
        self.server = socket.create_server((LOCALHOST, 0))
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.ended.set()
        self.release()
        close(self.server)
        self.cut()

    def serve(self) -> None:
        """Accept connections until the end."""
        with suppress(OSError):
            while not self.ended.is_set():
                client, _ = self.server.accept()
                self.pass_on(client)

    def pass_on(self, client: socket.socket) -> None:
        """Connect a client to the other side."""
        try:
            there = socket.create_connection((LOCALHOST, self.target), timeout=10)
        except OSError:
            close(client)
            return
        there.settimeout(None)
        self.connections.append((client, there))
        for source, sink in ((client, there), (there, client)):
            threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()

    def pump(self, source: socket.socket, sink: socket.socket) -> None:
        """Pass on what comes from one side."""
        with suppress(OSError):
            while piece := source.recv(65536):
                self.ended.wait(self.delay)
                self.going.wait()
                if self.ended.is_set() or sink in self.doomed:
                    self.lost += 1
                    break
                if self.lose_answer_to and self.lose_answer_to in piece:
                    self.doomed.add(source)
                sink.sendall(piece)
        close(source)
        close(sink)


def close(connection: socket.socket) -> None:
    """End a connection, whoever waits for it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
