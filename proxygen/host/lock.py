"""The lock that one run holds; the system releases it however the process ends."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from proxygen.errors import LockHeld
from proxygen.failure import Scope, failure
from proxygen.host import files

LOOKS, FIRST_LOOK = 0.1, 0.0005
"""Seconds after which a lock is tried again; it cannot be waited for with an end. A folder's is
held for moments, so that it is tried sooner at first."""
PROCESS = re.compile(rb"([0-9]{1,10})\n")
UNWRITABLE = frozenset({errno.EROFS, errno.ENOSPC, errno.EDQUOT})
"""Why a lock's file can be neither made nor written to, although it may be locked."""


@contextmanager
def wait_and_hold(path: Path, seconds: float) -> Iterator[bool]:
    """Hold the lock for a block, as ``hold``; wait so long for another run, then raise LockHeld."""
    end = time.monotonic() + seconds
    with ExitStack() as stack:
        while True:
            try:
                killed = stack.enter_context(hold(path))
                break
            except LockHeld:
                if time.monotonic() > end:
                    raise
            time.sleep(LOOKS)
        yield killed


@contextmanager
def hold(path: Path, *, instead: bool = True) -> Iterator[bool]:
    """Hold the lock for a block; raise LockHeld at once if another run has it.

    The process id is in the file as long as the block runs. An id found there is of a run that was
    killed: the block gets True, and the files that the run was writing are removed from the folder
    of the lock. A full disk is no reason not to hold it: people must be told of that. *instead*: if
    there is no file, its folder is locked, which is allowed for one lock in it; otherwise there is
    no lock.
    """
    descriptor, writable = open_lock(path, instead=instead)
    try:
        if not taken_at_once(descriptor):
            raise lock_held(path, holder(descriptor))
        if not writable:
            yield False
            return
        killed = os.fstat(descriptor).st_size > 0
        if killed:
            files.sweep(path.parent)
        note(descriptor, f"{os.getpid()}\n")
        try:
            yield killed
        finally:
            note(descriptor, "")
    finally:
        os.close(descriptor)


@contextmanager
def of_folder(path: Path, seconds: float) -> Iterator[None]:
    """Hold the lock of an existing folder for a block, against processes and threads.

    Wait for that many seconds; then raise OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    end, pause = time.monotonic() + seconds, FIRST_LOOK
    try:
        while not taken_at_once(descriptor):
            if time.monotonic() > end:
                words = f"another process has been writing there for {seconds:.0f} s"
                raise OSError(errno.EBUSY, words, str(path))
            time.sleep(pause)
            pause = min(2 * pause, LOOKS)
        yield
    finally:
        os.close(descriptor)


def taken_at_once(descriptor: int) -> bool:
    """Take the lock of an open file unless another has it; return whether it is ours."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def open_lock(path: Path, *, instead: bool) -> tuple[int, bool]:
    """Return a descriptor to lock, and whether it may be written to.

    Where nothing may be, it is of the file all the same, or while there is none of its folder
    *instead*, or of what nobody else has.
    """
    if not path.parent.is_dir():  # one that is there keeps its mode
        files.folder(path.parent)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), True
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
    with suppress(FileNotFoundError):
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC), False
    if not instead:
        return os.memfd_create(path.name, os.MFD_CLOEXEC), False
    return os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), False


def note(descriptor: int, words: str) -> None:
    """Put words in place of what the file holds, where the disk takes them."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, words.encode(), 0)


def holder(descriptor: int) -> str:
    """Return the process id that a lock's file holds, empty for none."""
    try:
        found = PROCESS.fullmatch(os.pread(descriptor, 20, 0))
    except OSError:  # the folder is locked instead
        return ""
    return found[1].decode() if found else ""


def lock_held(path: Path, process: str) -> LockHeld:
    """Return the error for a lock that another process has."""
    if process:
        return LockHeld(failure("run-at-work", Scope.HOST, where=path, process=process))
    return LockHeld(failure("lock-held", Scope.HOST, where=path))
