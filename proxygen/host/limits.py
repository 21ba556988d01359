"""The limits of a process of ours that may be lost, and how it is asked (``Companion``)."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO


def limit_resources(*, memory: int, files: int) -> None:
    """Limit address space (octets) and open files of this process, and leave no core dump.

    A sandbox may forbid it, as may existing limits: time is limited from outside too.
    """
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NOFILE, files),
    ):
        with suppress(OSError, ValueError):
            resource.setrlimit(what, (most, most))


def allow_seconds(seconds: int) -> None:
    """Allow so many more seconds of processor time; then the process is killed (SIGXCPU)."""
    spent = sum(os.times()[:2])
    with suppress(OSError, ValueError):
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(spent) + 1 + seconds, most))


NOBODY = 65534


def be_nobody() -> None:
    """Continue as a user without rights on this host's files, if we are root."""
    if os.geteuid() == 0:
        with suppress(OSError):
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)


def read_questions(stream: BinaryIO, largest: int) -> Iterator[bytes]:
    """Yield each question of at most so many octets until there is none."""
    while size := int.from_bytes(stream.read(4), "big"):
        if size > largest:
            return
        yield stream.read(size)


def write_reply(stream: BinaryIO, answer: bytes) -> None:
    """Answer the last question."""
    stream.write(len(answer).to_bytes(4, "big") + answer)
    stream.flush()
