"""The lock that one run holds; it goes with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proxygen.errors import LockHeld
from proxygen.host import files


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock for a block; raise LockHeld at once while another run has it."""
    files.folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise LockHeld(
                f"another run of proxygen is at work (process {holder})",
                where=str(path),
                remedy="wait until it ends",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
