"""Between: an HTTPS server that passes requests on to Pebble, and may change what is said."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.live.authority import Authority, write_private
from tests.live.pebble import LOCALHOST, Pebble

NOT_PASSED_ON = {"connection", "transfer-encoding", "content-length", "keep-alive"}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the authority."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        """The JSON object that it is."""
        return dict(json.loads(self.body))

    def saying(self, **fields: Any) -> Reply:
        """Return the same answer with other fields in its JSON object."""
        return replace(self, body=json.dumps({**self.said, **fields}).encode())

    def without(self, field: str) -> Reply:
        """Return the same answer without a field of its JSON object."""
        said = self.said
        said.pop(field, None)
        return replace(self, body=json.dumps(said).encode())

    def with_header(self, name: str, value: str) -> Reply:
        """Return the same answer with one more header."""
        return replace(self, headers={**self.headers, name: value})


@dataclass
class Hold:
    """Stops one kind of request, before Pebble sees it or before its answer is passed on."""

    step: str
    moment: str
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def stop(self, step: str, moment: str) -> None:
        """Wait for the release if it is this request's turn."""
        if (step, moment) == (self.step, self.moment):
            self.reached.set()
            self.released.wait(30)


class Between:
    """Stands between a client and Pebble while the ``with`` block runs.

    A step is the first part of a request's path: dir, nonce-plz, sign-me-up, order-plz, authZ,
    chalZ, finalize-order, my-order, certZ, my-account. *tamper* is given the step and Pebble's
    answer, and returns what the client is told. *instead* is given the step and what was signed
    in the request, and returns what the client is told without Pebble's knowing, or None.
    *tamper_path* is like *tamper*, and is given the whole path. A request whose nonce Pebble
    rejected comes again: its answer is passed on as it is, and the request is not counted.
    """

    def __init__(self, pebble: Pebble, folder: Path) -> None:
        self.pebble = pebble
        self.folder = folder
        self.tamper: Callable[[str, Reply], Reply] = lambda _, reply: reply
        self.tamper_path: Callable[[str, Reply], Reply] = lambda _, reply: reply
        self.instead: Callable[[str, dict[str, Any]], Reply | None] = lambda _, signed: None
        self.hold: Hold | None = None
        self.seen: list[tuple[str, float]] = []
        self.signed: list[tuple[str, dict[str, Any]]] = []

    @property
    def directory(self) -> str:
        """The URL of the directory; Pebble names all others after it."""
        return f"https://{LOCALHOST}:{self.server.server_port}/dir"

    @property
    def trusted_root(self) -> Path:
        """The root of its certificate."""
        return self.folder / "between-root.pem"

    def times(self, step: str) -> list[float]:
        """Return when the requests of a step came, on the monotonic clock."""
        return [when for seen, when in self.seen if seen == step]

    def sent(self, step: str) -> list[dict[str, Any]]:
        """Return what was signed in the requests of a step."""
        return [payload for seen, payload in self.signed if seen == step]

    def __enter__(self) -> Self:
        authority = Authority("Between")
        issued = authority.issue("localhost", LOCALHOST)
        self.trusted_root.write_bytes(authority.root_pem)
        write_private(self.folder / "between.pem", issued.key + issued.fullchain)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "between.pem")
        self.server = Server((LOCALHOST, 0), handler(self))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.hold:
            self.hold.released.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Return what the client is told."""
        step = path.split("/")[1]
        came = (step, time.monotonic())
        self.seen.append(came)
        payload = signed_in(body)
        if (reply := self.instead(step, payload)) is not None:
            self.signed.append((step, payload))
            return reply
        if self.hold:
            self.hold.stop(step, "before")
        reply = self.passed_on(method, path, headers, body)
        if b":badNonce" in reply.body:
            self.seen.remove(came)
            return reply
        self.signed.append((step, payload))
        if self.hold:
            self.hold.stop(step, "after")
        return self.tamper_path(path, self.tamper(step, reply))

    def passed_on(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Return Pebble's answer; the Host stays, as URLs are made and signed with it."""
        context = ssl.create_default_context(cafile=str(self.pebble.trusted_root))
        port = self.pebble.ports[0]
        connection = http.client.HTTPSConnection(LOCALHOST, port, timeout=20, context=context)
        try:
            connection.request(method, path, body or None, headers)
            reply = connection.getresponse()
            kept = {n: v for n, v in reply.getheaders() if n.lower() not in NOT_PASSED_ON}
            return Reply(reply.status, kept, reply.read())
        finally:
            connection.close()


def signed_in(body: bytes) -> dict[str, Any]:
    """Return the JSON object that is signed in a request; empty for none."""
    payload = json.loads(body)["payload"] if body else ""
    return dict(json.loads(urlsafe_b64decode(payload + "==") or b"{}"))


class Server(ThreadingHTTPServer):
    """Ends with its block, whatever a client that was killed left open."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients are killed on purpose."""


def handler(between: Between) -> type[BaseHTTPRequestHandler]:
    """Return what serves one connection."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            reply = between.answer(self.command, self.path, dict(self.headers.items()), body)
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    return Handler
