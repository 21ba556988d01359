"""A scripted DNS, and small web servers on loopback addresses of their own."""

from __future__ import annotations

import asyncio
import socketserver
import ssl
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from socket import AF_INET, AF_INET6

from proxygen.dns.answers import LookupResult, Reply, ReplyKind
from proxygen.names.states import Evidence, Finding
from proxygen.preflight import Asked, AuthorityIdentity, Beacon, Preflight

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LETSENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
ACCOUNT = "https://ca.test/account/1"
PRIVATE_CA = AuthorityIdentity("https://ca.test/directory", ("ca.test",), ACCOUNT)
NAME = "www.shop.example"
TOKEN, BODY = "a-token", "drawn-at-random"


class Dns:
    """Answers as *said*: records, a whole ``LookupResult``, or an error; None never answers."""

    def __init__(self, said: Mapping[tuple[str, str], object] | None = None) -> None:
        self.said = dict(said or {})
        self.asked: list[tuple[str, str]] = []

    async def resolve(self, name: str, rdtype: str) -> LookupResult:
        """Return what the script says, and no data for what it does not mention."""
        self.asked.append((name, rdtype))
        match self.said.get((name, rdtype), ()):
            case LookupResult() as found:
                return found
            case None:
                await asyncio.Event().wait()
            case Exception() as error:
                raise error
            case tuple() as records:
                kind = ReplyKind.ANSWER if records else ReplyKind.NO_DATA
                replies = (Reply("ns1.shop.example", kind, records),)
                return LookupResult(name, rdtype, records, zone="shop.example", replies=replies)
        raise AssertionError(f"{name} {rdtype}")


def leading_to(*addresses: str, name: str = NAME) -> Dns:
    """Return a DNS in which a name has these addresses."""
    six = tuple(each for each in addresses if ":" in each)
    four = tuple(each for each in addresses if ":" not in each)
    return Dns({(name, "A"): four, (name, "AAAA"): six})


def http(name: str = NAME, authority: AuthorityIdentity = PRIVATE_CA) -> Asked:
    """Return a name to be proven by http-01."""
    return Asked("shop.example", name, "http-01", (authority,))


def evidence_found(
    dns: Dns,
    asked: Asked | None = None,
    *,
    addresses: Collection[str] = (),
    beacon: Beacon | None = None,
    local: Collection[str] = (),
    public: Callable[[str], bool] = lambda _: True,
    patience: float = 5,
) -> Evidence:
    """Return what a look at one name finds; every address counts as public unless told."""
    found: list[Evidence] = []
    preflight = Preflight(
        dns,
        addresses,
        beacon,
        lambda: NOON,
        local=lambda: local,
        public=public,
        patience=patience,
    )
    preflight.check_names([asked or http()], lambda _, each: found.append(each), lambda: False)
    (evidence,) = found
    return evidence


def told(evidence: Evidence) -> list[tuple[str, bool]]:
    """Return the codes of what was found, and whether each is grave."""
    return [(each.code, each.grave) for each in evidence.findings]


def only(evidence: Evidence) -> Finding:
    """Return the only thing that was found."""
    (finding,) = evidence.findings
    return finding


Pieces = Iterable[bytes]
Script = Callable[[str], bytes | Pieces]


class Web(socketserver.ThreadingTCPServer):
    """Answers each request with what *script* makes of its head, in as many pieces as it likes.

    ``seen`` holds the heads, ``most`` the largest number of connections at once.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: str, port: int, script: Script, tls: ssl.SSLContext | None) -> None:
        self.address_family = AF_INET6 if ":" in address else AF_INET
        self.script = script
        self.tls = tls
        self.seen: list[str] = []
        self.now = self.most = 0
        self.lock = threading.Lock()
        super().__init__((address, port), Connection)

    def count(self, change: int) -> None:
        """Count an open connection."""
        with self.lock:
            self.now += change
            self.most = max(self.most, self.now)


class Connection(socketserver.StreamRequestHandler):
    """One connection."""

    server: Web

    def setup(self) -> None:
        if self.server.tls:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self) -> None:
        self.server.count(1)
        try:
            head = "".join(iter(lambda: self.rfile.readline().decode().rstrip("\r\n") + "\n", "\n"))
            self.server.seen.append(head)
            said = self.server.script(head)
            for piece in [said] if isinstance(said, bytes) else said:
                self.wfile.write(piece)
                self.wfile.flush()
        except OSError:
            return
        finally:
            self.server.count(-1)


@contextmanager
def web(
    address: str, port: int, script: Script, tls: ssl.SSLContext | None = None
) -> Iterator[Web]:
    """Run a web server."""
    with Web(address, port, script, tls) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def reply(status: str, body: str = "", *fields: str) -> bytes:
    """Return a whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", body]
    return "\r\n".join(lines).encode()


def right(head: str) -> bytes:
    """Answer the challenge, and nothing else."""
    ours = head.startswith(f"GET /.well-known/acme-challenge/{TOKEN} HTTP/1.1\n")
    return reply("200 OK", f"{BODY}\n") if ours else reply("404 Not Found")


def wrong(head: str) -> bytes:
    """Answer as another server does."""
    return reply("404 Not Found", "", "Server: Apache")
