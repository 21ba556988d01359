"""One question to one server: over UDP, and over TCP when the answer does not fit."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
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

from proxygen.errors import visible
from proxygen.lookup.answers import Kind

PAYLOAD = 1232
"""The largest UDP answer asked for: it is never cut into fragments (dnsflagday.net/2020)."""
DATAGRAM = 4096
UNSUPPORTED = frozenset({dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS})
UNROUTED = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL})


@dataclass(frozen=True, slots=True)
class Server:
    """Where to ask."""

    host: str
    address: str
    port: int = 53

    def __str__(self) -> str:
        return f"{self.host} ({self.address})" if self.host else self.address


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask. *recursive* sets RD; *unchecked* sets CD: answer whatever DNSSEC says."""

    name: str
    rdtype: str
    recursive: bool = False
    unchecked: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What a server said; without a *message*, *kind* and *words* tell what happened."""

    server: Server
    message: Message | None
    kind: Kind = Kind.ANSWER
    words: str = ""


class NoAnswer(Exception):
    """What came is no answer to the question; the words tell why."""


async def converse(
    server: Server, question: Question, patience: float, again: Iterator[bool]
) -> Said:
    """Return what *server* says to *question*, asked once more while *again* says so."""
    try:
        message = await insist(server, question, patience, again)
        if message.rcode() in UNSUPPORTED:  # older than EDNS (RFC 6891 section 7)
            message = await once(server, query(question, edns=False), patience)
    except NoAnswer as broken:
        return Said(server, None, Kind.BROKEN, str(broken))
    except TimeoutError:
        return Said(server, None, Kind.SILENT, f"no answer within {patience:g} s")
    except OSError as error:
        return Said(server, None, Kind.SILENT, reason(error))
    return Said(server, message)


async def insist(
    server: Server, question: Question, patience: float, again: Iterator[bool]
) -> Message:
    """Ask until an answer comes: a datagram may be lost."""
    while True:
        try:
            return await once(server, query(question), patience)
        except TimeoutError:
            if not next(again, False):
                raise


def query(question: Question, *, edns: bool = True) -> Message:
    """Return the message that asks *question*, with an identifier of its own."""
    message = dns.message.make_query(question.name + ".", question.rdtype)
    message.flags = dns.flags.Flag(0)
    if question.recursive:
        message.flags |= dns.flags.RD
    if question.unchecked:
        message.flags |= dns.flags.CD
    if edns:
        message.use_edns(0, dns.flags.DO, PAYLOAD)
    return message


async def once(server: Server, asked: Message, patience: float) -> Message:
    """Ask over UDP; ask again over TCP when the answer was truncated (RFC 7766 section 5)."""
    async with asyncio.timeout(patience):
        message = await by_datagram(server, asked)
    if not message.flags & dns.flags.TC:
        return message
    try:
        async with asyncio.timeout(patience):
            return await by_stream(server, asked)
    except OSError as error:
        words = f"its answer does not fit into a datagram, and over TCP: {reason(error)}"
        raise NoAnswer(words) from error


async def by_datagram(server: Server, asked: Message) -> Message:
    """Ask from a socket of its own: a port that nobody can guess (RFC 5452 section 9.2)."""
    loop = asyncio.get_running_loop()
    with datagrams(server.address) as channel:
        channel.connect((server.address, server.port))
        channel.send(asked.to_wire())
        while True:
            data = await loop.sock_recv(channel, DATAGRAM)
            if data[:2] == asked.id.to_bytes(2):  # what others forge is passed over
                return parsed(data, asked)


def datagrams(address: str) -> socket.socket:
    """Return a socket that waits for nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)


async def by_stream(server: Server, asked: Message) -> Message:
    """Ask over TCP, where the length stands before the message (RFC 1035 section 4.2.2)."""
    reader, writer = await asyncio.open_connection(server.address, server.port)
    try:
        writer.write(asked.to_wire(prepend_length=True))
        length = int.from_bytes(await reader.readexactly(2))
        return parsed(await reader.readexactly(length), asked)
    except EOFError:
        raise NoAnswer("the connection ended before the answer did") from None
    finally:
        writer.close()


def parsed(data: bytes, asked: Message) -> Message:
    """Return the answer that *data* is; raise NoAnswer."""
    try:
        message = dns.message.from_wire(data, ignore_trailing=True)
        right = asked.is_response(message)
    except Exception as error:
        raise NoAnswer(f"what came is no DNS message: {visible(str(error))[:200]}") from error
    if not right:
        raise NoAnswer("what came answers another question")
    return message


def reason(error: OSError) -> str:
    """Return an error of the network in the system's words."""
    return os.strerror(error.errno).lower() if error.errno else str(error) or "no answer in time"


def routed(address: str) -> bool:
    """Return whether this host has a route to *address*; nothing is sent."""
    if ":" not in address:
        return True
    try:
        with datagrams(address) as channel:
            channel.connect((address, 53))
    except OSError as error:
        return error.errno not in UNROUTED
    return True
