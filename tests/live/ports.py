"""Free loopback ports that no other run on this machine is given."""

from __future__ import annotations

import random
import socket

LOWEST, HIGHEST = 10_000, 32_000
"""Below the ports that the kernel hands to outgoing connections and to binds of port 0."""

held: dict[int, socket.socket] = {}


def reserve() -> int:
    """Return a free port, kept from other runs until ``release`` or the end of this process.

    A configuration names ports long before a program listens on them, so binding port 0 and
    closing it again would hand the same port to somebody else meanwhile.
    """
    for port in random.sample(range(LOWEST, HIGHEST), 500):
        if claim(port):
            return port
    raise OSError("no free loopback port was found")


def release(*ports: int) -> None:
    """Give *ports* back; nothing happens for one that is not held."""
    for port in ports:
        if mark := held.pop(port, None):
            mark.close()


def claim(port: int) -> bool:
    """Hold *port* if nobody does. The mark is an abstract socket: it leaves no file behind."""
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mark.bind(f"\0proxygen-tests-port-{port}")
        bind_once(port)
    except OSError:
        mark.close()
        return False
    held[port] = mark
    return True


def bind_once(port: int) -> None:
    """Raise OSError when a program uses *port* on the loopback address."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram,
    ):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stream.bind(("127.0.0.1", port))
        datagram.bind(("127.0.0.1", port))
