"""Processes that are killed right before one of their changes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TypeVar

T = TypeVar("T")
CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod")


def ends(event: str, _: object, at: Iterator[int], last: int) -> None:
    """End the process right before its change *last*, as SIGKILL does."""
    if event in CHANGES and next(at) == last:
        os._exit(9)


def killed(store: T, at: int, do: Callable[[T], object]) -> bool:
    """Do something in a process that is killed before its change *at*; return whether it was."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            sys.addaudithook(partial(ends, at=count(1), last=at))
            do(store)
            os._exit(0)
        os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code != 1, "it failed"
    return code != 0
