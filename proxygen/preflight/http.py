"""One HTTP request over one connection to one address; what comes back is bounded."""

from __future__ import annotations

import asyncio
import ssl
from asyncio import StreamReader
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

from proxygen import __version__
from proxygen.languages.lines import terminal_text
from proxygen.model.hosts import BadName, host_name, is_address
from proxygen.names.causes import Cause, Caused, cause

HEAD = 16 * 1024
BODY = 1024
LONGEST_LOCATION = 2000
LONGEST_SERVER = 60
PORTS = {"http": 80, "https": 443}
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Astray(Caused):
    """What came is not what an authority would go on with; *why* tells in what way."""


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """What to ask for."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as a URL and the field Host name them (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What a server answered."""

    status: int
    server: str
    location: str
    body: bytes

    @property
    def cause(self) -> Cause:
        """What was answered instead of a file."""
        known = self.status in HTTPStatus.__members__.values()
        status = f"{self.status} {HTTPStatus(self.status).phrase}" if known else str(self.status)
        if self.server:
            return cause("answered-by", status=status, server=self.server)
        return cause("answered", status=status)


async def ask(
    reader: StreamReader, writer: asyncio.StreamWriter, target: RequestTarget
) -> HttpResponse:
    """Send the request and read the answer; raise Astray or OSError."""
    writer.write(
        f"GET {target.path} HTTP/1.1\r\n"
        f"Host: {target.authority}\r\n"
        f"User-Agent: proxygen/{__version__}\r\n"
        "Accept: */*\r\n"
        "Connection: close\r\n\r\n".encode("ascii")
    )
    try:
        return await answer(reader)
    except EOFError:
        raise Astray(cause("cut-short")) from None
    except asyncio.LimitOverrunError:
        raise Astray(cause("long-head", size=str(HEAD // 1024))) from None
    except ValueError:
        raise Astray(cause("no-web-server")) from None


async def answer(reader: StreamReader) -> HttpResponse:
    """Read an answer (RFC 9112); raise EOFError, LimitOverrunError, ValueError."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.splitlines()
    version, status, *_ = first.split(" ", 2)
    if version not in ("HTTP/1.1", "HTTP/1.0") or len(status) != 3:
        raise ValueError(version)
    pairs = (line.partition(":") for line in lines)
    fields = {name.lower(): value.strip() for name, _, value in pairs}
    return HttpResponse(
        int(status),
        terminal_text(fields.get("server", "")[:LONGEST_SERVER]),
        fields.get("location", ""),
        await body(reader, fields),
    )


async def body(reader: StreamReader, fields: dict[str, str]) -> bytes:
    """Read the beginning of a body, no more than one octet too much."""
    if "chunked" in fields.get("transfer-encoding", "").lower():
        return await chunks(reader)
    length = fields.get("content-length", "")
    short = length.isdecimal() and len(length) < 5
    return await up_to(reader, min(int(length), BODY + 1) if short else BODY + 1)


async def chunks(reader: StreamReader) -> bytes:
    """Read the beginning of a chunked body (RFC 9112 section 7.1)."""
    read = b""
    while len(read) <= BODY:
        size = int((await reader.readline()).split(b";")[0], 16)
        if size <= 0:
            break
        read += await up_to(reader, min(size, BODY + 1 - len(read)))
        await reader.readline()
    return read


async def up_to(reader: StreamReader, most: int) -> bytes:
    """Read until there are *most* octets, or no more."""
    read = b""
    while len(read) < most and (piece := await reader.read(most - len(read))):
        read += piece
    return read


def redirect_target(target: RequestTarget, location: str, ports: frozenset[int]) -> RequestTarget:
    """Return where a redirect leads; raise Astray if no authority follows it.

    The value becomes a request line of ours, so nothing but printable ASCII passes.
    """
    if not is_plain_location(location):
        raise Astray(cause("no-url"))
    try:
        parts = urlsplit(urljoin(str(target), location))
        port = parts.port or PORTS[parts.scheme]
        host = parts.hostname or ""
        host = host if is_address(host) else host_name(host)
    except (BadName, KeyError, ValueError):
        raise Astray(cause("off-web", place=shorten_text(location))) from None
    if port not in ports:
        raise Astray(cause("other-port", port=str(port)))
    query = f"?{parts.query}" if parts.query else ""
    return RequestTarget(parts.scheme, host, port, f"{parts.path or '/'}{query}")


def is_plain_location(location: str) -> bool:
    """Return whether the value of a field can be a URL."""
    printable = location.isascii() and location.isprintable() and " " not in location
    return bool(location) and printable and len(location) <= LONGEST_LOCATION


def shorten_text(text: str, most: int = 100) -> str:
    """Return *text* for a sentence."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


@cache  # it takes a moment to make
def trusting_context() -> ssl.SSLContext:
    """Return a context that takes any certificate, as authorities do behind redirects.

    A name whose certificate is wrong or missing is just what is to be repaired.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
