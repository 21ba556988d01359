"""Whether a server on this host could listen somewhere."""

from __future__ import annotations

import re
import socket
from pathlib import Path

PLACE = re.compile(r"\[?([0-9a-fA-F.:]+?)\]?:([0-9]{1,5})")
"""An address with a port, as nginx writes it: 127.0.0.1:80 or [::1]:80."""

UNIX = "unix:"


def is_free(place: str) -> bool:
    """Return whether nobody listens at a place, and a server could.

    A place that cannot be understood is not free: nobody knows.
    """
    if place.startswith(UNIX):
        return not Path(place.removeprefix(UNIX)).exists()
    found = PLACE.fullmatch(place)
    if found is None or int(found[2]) > 65535:
        return False
    address, port = found[1], int(found[2])
    return all(bindable(kind, address, port) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM))


def bindable(kind: socket.SocketKind, address: str, port: int) -> bool:
    """Return whether a socket of a kind gets an address and port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, kind) as trial:
            if kind == socket.SOCK_STREAM:  # as nginx does; connections that end are no listeners
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            trial.bind((address, port))
    except OSError:
        return False
    return True
