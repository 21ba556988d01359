"""What others supplied is read by one process, and by another one when that is lost."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import pytest

from proxygen.errors import IssueFailed
from proxygen.issuers.file_apart import Apart
from tests.certificates import intermediate, leaf, root

CA = intermediate(root())
PAIR = leaf(CA, "a.example").pair(CA)


def pid(apart: Apart) -> int:
    assert apart.companion.process
    return apart.companion.process.pid


def test_one_process_reads_many_files_and_none_before_the_first() -> None:
    with Apart() as apart:
        assert apart.companion.process is None
        assert apart.assemble([("a.pem", PAIR.pem)], None) == PAIR
        first = pid(apart)
        with pytest.raises(IssueFailed, match=r"b\.pem is empty") as caught:
            apart.assemble([("b.pem", b"")], None)
        assert caught.value.final
        assert apart.assemble([("c.pem", PAIR.pem)], b"not needed") == PAIR
        assert pid(apart) == first
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_a_process_that_was_ended_is_no_files_fault() -> None:
    with Apart() as apart:
        apart.assemble([("a.pem", PAIR.pem)], None)
        os.kill(pid(apart), signal.SIGTERM)
        with suppress(IssueFailed):  # where it was asked just before it ended
            assert apart.assemble([("a.pem", PAIR.pem)], None) == PAIR
        assert apart.assemble([("a.pem", PAIR.pem)], None) == PAIR
