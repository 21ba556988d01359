"""The resolvers of this host, as ``/etc/resolv.conf`` names them (resolv.conf(5))."""

from __future__ import annotations

from pathlib import Path

RESOLV_CONF = Path("/etc/resolv.conf")
MOST = 3
"""More are not asked by the system either."""


def resolvers(path: Path = RESOLV_CONF, port: int = 53) -> tuple[tuple[str, int], ...]:
    """Return the addresses and ports, none when the file is not there."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    words = [line.split() for line in lines]
    found = [row[1] for row in words if len(row) > 1 and row[0] == "nameserver"]
    return tuple((address, port) for address in found[:MOST])
