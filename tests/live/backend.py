"""Backend: a small HTTP server that tells what it was asked; it stands behind nginx."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self

WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What a server appends to the key it answers (RFC 6455 section 1.3)."""


class Backend:
    """Answers every request with a JSON object: ``backend``, ``method``, ``host``, ``path``,
    ``headers`` and ``length`` of the body; a websocket gets back each byte it sends.

    ``seen`` holds ``METHOD HOST PATH`` of every request so far. *status* answers all of them
    with another code, such as 502 for a server that is in trouble.
    """

    def __init__(self, name: str = "backend", *, status: int = 200) -> None:
        self.name = name
        self.status = status
        self.seen: list[str] = []
        self.server = Listener(("127.0.0.1", 0), Handler)
        self.server.backend = self
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.server_address[1])

    @property
    def url(self) -> str:
        """What an upstream of the model names."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Listener(ThreadingHTTPServer):
    """Its sockets; a connection that is kept alive does not hold up the end of a test."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    backend: Backend


class Handler(BaseHTTPRequestHandler):
    """One connection from nginx."""

    protocol_version = "HTTP/1.1"
    timeout: ClassVar[int] = 30
    server: Listener

    def answer(self) -> None:
        """Answer any method, or become a websocket."""
        host = self.headers.get("Host", "")
        self.server.backend.seen.append(f"{self.command} {host} {self.path}")
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.echo()
        else:
            self.tell(host)

    def __getattr__(self, name: str) -> Any:
        """Answer each method that http.server asks for as ``do_METHOD``."""
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def tell(self, host: str) -> None:
        """Say what was asked."""
        told = {
            "backend": self.server.backend.name,
            "method": self.command,
            "host": host,
            "path": self.path,
            "headers": {key.lower(): value for key, value in self.headers.items()},
            "length": self.length(),
        }
        body = json.dumps(told).encode()
        self.send_response(self.server.backend.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def length(self) -> int:
        """Read the body to its end and return its length."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return self.chunks()
        left = size = int(self.headers.get("Content-Length", "0"))
        while left > 0 and (part := self.rfile.read(min(left, 65_536))):
            left -= len(part)
        return size - left

    def chunks(self) -> int:
        """Read a chunked body (RFC 9112 section 7.1) and return its length."""
        total = 0
        while size := int(self.rfile.readline().split(b";")[0], 16):
            total += len(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return total

    def echo(self) -> None:
        """Accept the websocket, then send back every byte that comes."""
        key = self.headers.get("Sec-WebSocket-Key", "").encode()
        digest = hashlib.sha1(key + WEBSOCKET_GUID).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.end_headers()
        self.close_connection = True
        while part := self.connection.recv(4096):
            self.connection.sendall(part)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: ``seen`` tells."""
