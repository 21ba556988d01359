"""A command on a terminal: what it writes there, and what it writes elsewhere."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command printed on the terminal, and on what was not one; its exit code."""

    terminal: str
    piped: str
    code: int


def on_terminal(*arguments: object, out: bool = True, err: bool = True, **variables: str) -> Ran:
    """Run the command line with standard output, and standard error, on a terminal or not."""
    ours, theirs = pty.openpty()
    usual = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "proxygen", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=theirs if out else writing,
        stderr=theirs if err else writing,
        env={**usual, "TERM": "xterm", **variables},
    )
    os.close(theirs)
    os.close(writing)
    piped = subprocess.Popen(["cat"], stdin=reading, stdout=subprocess.PIPE)
    os.close(reading)
    found = b""
    while more := read(ours):
        found += more
    os.close(ours)
    rest, _ = piped.communicate()
    return Ran(found.decode().replace("\r\n", "\n"), rest.decode(), process.wait())


def read(descriptor: int) -> bytes:
    """Return what comes next on a terminal, nothing once all who wrote have ended."""
    try:
        return os.read(descriptor, 65536)
    except OSError:  # EIO: nobody has the other side any more
        return b""
