"""The resolvers of this host, as ``/etc/resolv.conf`` names them (resolv.conf(5))."""

from __future__ import annotations

from pathlib import Path

from proxygen.host import files

RESOLV_CONF = Path("/etc/resolv.conf")
LARGEST = 1024 * 1024
MOST = 3
"""More are not asked by the system either."""


def system_resolvers(path: Path = RESOLV_CONF, port: int = 53) -> tuple[tuple[str, int], ...]:
    """Return the addresses and ports, none when the file is not there."""
    try:
        lines = (files.read(path, LARGEST) or b"").decode("utf-8", "replace").splitlines()
    except OSError:
        return ()
    words = [line.split() for line in lines]
    found = [row[1] for row in words if len(row) > 1 and row[0] == "nameserver"]
    return tuple((address, port) for address in found[:MOST])
