"""The lock that one run holds; it goes with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from proxygen.errors import LockHeld
from proxygen.host import files

LOOKS = 0.1
"""Seconds after which a lock is tried again; it cannot be waited for with an end."""


@contextmanager
def awaited(path: Path, seconds: float) -> Iterator[bool]:
    """Hold the lock for a block, as ``held``; wait for another run so long, then LockHeld."""
    end = time.monotonic() + seconds
    with ExitStack() as stack:
        while True:
            try:
                killed = stack.enter_context(held(path))
                break
            except LockHeld:
                if time.monotonic() > end:
                    raise
            time.sleep(LOOKS)
        yield killed


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold the lock for a block; raise LockHeld at once while another run has it.

    The process id stands in the file as long as the block runs. One that is found there is of a
    run that was killed: the block is given True, and the files that the run was writing are
    removed from the folder of the lock.
    """
    if not path.parent.is_dir():  # one that is there keeps its mode
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
        killed = os.fstat(descriptor).st_size > 0
        if killed:
            files.sweep(path.parent)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        try:
            yield killed
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)
