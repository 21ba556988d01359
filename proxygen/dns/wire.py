"""One question to one server: over UDP, and over TCP when the answer does not fit."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
from dns.message import Message

from proxygen.dns.answers import ReplyKind
from proxygen.dns.costs import LARGEST, TooHeavy, too_large, weigh_message
from proxygen.languages.lines import terminal_text
from proxygen.names.causes import Cause, Caused, cause

PAYLOAD = 1232
"""The largest UDP answer asked for: it is never cut into fragments (dnsflagday.net/2020)."""
DATAGRAM = 4096
UNSUPPORTED = frozenset({dns.rcode.FORMERR, dns.rcode.NOTIMP})
TRUNCATED = 0x02
"""TC, in the third octet of a message (RFC 1035 section 4.1.1)."""
ERRORS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.ECONNABORTED: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timed-out",
    errno.EHOSTUNREACH: "no-route",
    errno.ENETUNREACH: "no-network",
}
"""The codes of what the network says; other errors are told in the system's own words."""


@dataclass(frozen=True, slots=True)
class NameServer:
    """Where to ask."""

    host: str
    address: str
    port: int = 53

    def __str__(self) -> str:
        return f"{self.host} ({self.address})" if self.host else self.address


@dataclass(frozen=True, slots=True)
class DnsQuestion:
    """What to ask. *recursive* sets RD; *unchecked* sets CD: answer whatever DNSSEC says."""

    name: str
    rdtype: str
    recursive: bool = False
    unchecked: bool = False


@dataclass(frozen=True, slots=True)
class WireReply:
    """What a server said; without a *message*, *kind* and *why* tell what happened.

    *weight* is what it costs to read, about the number of its records.
    """

    server: NameServer
    message: Message | None
    kind: ReplyKind = ReplyKind.ANSWER
    why: Cause | None = None
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Came:
    """What came in answer to what was *asked*, not read yet."""

    server: NameServer
    asked: Message
    data: bytes
    weight: int


class NoAnswer(Caused):
    """What came is no answer to the question; *why* tells in what way."""


async def converse(
    server: NameServer, question: DnsQuestion, patience: float, again: Iterator[bool]
) -> Came | WireReply:
    """Return what *server* answers to *question*, asked once more while *again* says so.

    It is not read, only weighed: what would cost too much is no answer.
    """
    try:
        asked, data = await insist(server, question, patience, again)
        if data[3:4] and data[3] & 0x0F in UNSUPPORTED:  # older than EDNS (RFC 6891 section 7)
            asked = query_message(question, edns=False)
            data = await once(server, asked, patience)
        data, weight = weigh_message(data, asked.question[0].rdtype)
    except NoAnswer as broken:
        return WireReply(server, None, ReplyKind.BROKEN, broken.why)
    except TooHeavy as heavy:
        return WireReply(server, None, ReplyKind.BROKEN, cause("too-heavy", heavy.why))
    except TimeoutError:
        return WireReply(
            server, None, ReplyKind.SILENT, cause("no-answer", seconds=f"{patience:g}")
        )
    except OSError as error:
        return WireReply(server, None, ReplyKind.SILENT, network_cause(error))
    return Came(server, asked, data, weight)


def read_reply(came: Came) -> WireReply:
    """Return what came as what was said."""
    try:
        message = parse_reply(came.data, came.asked)
    except NoAnswer as broken:
        return WireReply(came.server, None, ReplyKind.BROKEN, broken.why, came.weight)
    return WireReply(came.server, message, weight=came.weight)


async def insist(
    server: NameServer, question: DnsQuestion, patience: float, again: Iterator[bool]
) -> tuple[Message, bytes]:
    """Ask until an answer comes: a datagram may be lost. Return what was asked with it."""
    while True:
        asked = query_message(question)
        try:
            return asked, await once(server, asked, patience)
        except TimeoutError:
            if not next(again, False):
                raise


def query_message(question: DnsQuestion, *, edns: bool = True) -> Message:
    """Return the message that asks *question*, with an identifier of its own."""
    flags = dns.flags.RD * question.recursive | dns.flags.CD * question.unchecked
    message = dns.message.make_query(question.name + ".", question.rdtype, flags=flags)
    if edns:
        message.use_edns(0, dns.flags.DO, PAYLOAD)
    return message


async def once(server: NameServer, asked: Message, patience: float) -> bytes:
    """Ask over UDP; ask again over TCP when the answer was truncated (RFC 7766 section 5)."""
    async with asyncio.timeout(patience):
        data = await by_datagram(server, asked)
    if not (data[2:3] and data[2] & TRUNCATED):
        return data
    try:
        async with asyncio.timeout(patience):
            return await by_stream(server, asked)
    except OSError as error:
        raise NoAnswer(cause("over-tcp", network_cause(error))) from error


async def by_datagram(server: NameServer, asked: Message) -> bytes:
    """Ask from a socket of its own: a port that nobody can guess (RFC 5452 section 9.2)."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel:
        channel.connect((server.address, server.port))
        channel.send(asked.to_wire())
        while True:
            data = await loop.sock_recv(channel, DATAGRAM)
            if data[:2] == asked.id.to_bytes(2):  # what others forge is passed over
                return data


async def by_stream(server: NameServer, asked: Message) -> bytes:
    """Ask over TCP, where the length stands before the message (RFC 1035 section 4.2.2).

    What is longer than any honest answer is not waited for; raise TooHeavy.
    """
    reader, writer = await asyncio.open_connection(server.address, server.port, limit=LARGEST)
    try:
        writer.write(asked.to_wire(prepend_length=True))
        length = int.from_bytes(await reader.readexactly(2))
        if length > LARGEST:
            raise too_large()
        return await reader.readexactly(length)
    except EOFError:
        raise NoAnswer(cause("cut-short")) from None
    finally:
        writer.transport.abort()


def parse_reply(data: bytes, asked: Message) -> Message:
    """Return the answer that *data* is; raise NoAnswer."""
    try:
        message = dns.message.from_wire(data, ignore_trailing=True)
        right = asked.is_response(message)
    except Exception as error:
        raise NoAnswer(cause("no-message", words=terminal_text(str(error))[:200])) from error
    if not right:
        raise NoAnswer(cause("other-question"))
    return message


def network_cause(error: OSError) -> Cause:
    """Return what an error of the network is."""
    if isinstance(error, ssl.SSLError):
        return cause("no-tls", words=getattr(error, "reason", "") or str(error))
    if code := ERRORS.get(error.errno or 0):
        return Cause(code)
    if isinstance(error, TimeoutError):
        return cause("in-time")
    if isinstance(error, ConnectionError) and not error.errno:  # as asyncio raises it
        return cause("reset")
    if error.errno is None or error.errno < 0:
        return cause("system", words=str(error) or type(error).__name__)
    name = errno.errorcode.get(error.errno, str(error.errno))
    return cause("system", errno=name, words=os.strerror(error.errno).lower())
