"""What others supplied is read by one process, and by another one when that is lost."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from proxygen.errors import IssueFailed
from proxygen.issuers import file_reader
from proxygen.issuers.file_apart import Apart, ReadUnfinished
from proxygen.stores.file_failures import Failures
from tests.certificates import NOON, intermediate, leaf, root
from tests.failures import no
from tests.standins import MemoryStore

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
        assert caught.value.failure.final
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


# Limits.


def test_the_process_may_take_so_much_memory_so_many_files_and_no_more() -> None:
    with Apart() as apart:
        apart.assemble([("a.pem", PAIR.pem)], None)
        held = {
            what: resource.prlimit(pid(apart), what)
            for what in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)
        }
        cpu, _ = resource.prlimit(pid(apart), resource.RLIMIT_CPU)
    assert held == {
        resource.RLIMIT_AS: (file_reader.MEMORY, file_reader.MEMORY),
        resource.RLIMIT_NOFILE: (file_reader.FILES, file_reader.FILES),
        resource.RLIMIT_CORE: (0, 0),
    }
    assert file_reader.SECONDS <= cpu <= file_reader.SECONDS + 60


def test_more_memory_than_that_is_not_to_be_had() -> None:
    program = (
        "from proxygen.issuers import file_reader\n"
        "file_reader.limit_resources(memory=file_reader.MEMORY, files=file_reader.FILES)\n"
        "bytearray(file_reader.MEMORY)\n"
    )
    run = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, check=False)
    assert b"MemoryError" in run.stderr


def test_files_that_take_too_much_memory_are_given_up_for_good_and_others_are_read() -> None:
    with Apart() as apart:
        apart.assemble([("a.pem", PAIR.pem)], None)
        present = psutil.Process(pid(apart)).memory_info().vms
        resource.prlimit(pid(apart), resource.RLIMIT_AS, (present, present))
        with pytest.raises(IssueFailed, match="too much memory") as caught:
            apart.assemble([("b.pem", PAIR.pem + b"#" * 1000 * 1000)], None)
        assert caught.value.failure.final
        assert "b.pem" in caught.value.what
        assert apart.assemble([("a.pem", PAIR.pem)], None) == PAIR


def test_files_that_take_too_long_by_the_clock_are_given_up_and_others_are_read() -> None:
    with Apart() as apart:
        apart.assemble([("a.pem", PAIR.pem)], None)
        former = pid(apart)
        os.kill(former, signal.SIGSTOP)
        apart.patience = 0.2
        with pytest.raises(ReadUnfinished, match="could not be read within 0 seconds") as caught:
            apart.assemble([("b.pem", PAIR.pem)], None)
        assert not caught.value.failure.final
        apart.patience = 60
        assert apart.assemble([("a.pem", PAIR.pem)], None) == PAIR
        assert pid(apart) != former
    with pytest.raises(ProcessLookupError):
        os.kill(former, 0)


def test_why_the_process_cannot_be_started_is_no_ones_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with Apart() as apart, pytest.raises(IssueFailed, match=r"a\.pem was not read") as caught:
        apart.assemble([("a.pem", PAIR.pem)], None)
    (part,) = caught.value.failure.parts
    assert (caught.value.words, part.code) == ("", "command-not-started")
    assert part.what in str(caught.value)


def test_who_was_told_to_stop_reads_nothing_more() -> None:
    apart = Apart()
    apart.companion.close()
    with pytest.raises(IssueFailed) as caught:
        apart.assemble([("a.pem", PAIR.pem)], None)
    assert (caught.value.failure.code, caught.value.words) == ("files-not-read", "")


def test_a_moment_without_a_zone_is_no_reason_to_leave_files_alone() -> None:
    store = MemoryStore()
    failures = Failures(store)
    failures.keep("a.example", "m", no(retry_at=NOON))
    assert failures.of("a.example", "m", NOON)
    kept = json.loads(store.get("unusable/a.example") or b"")
    kept["failure"]["retry_at"] = "2026-11-20T12:00:00"
    store.put("unusable/a.example", json.dumps(kept).encode())
    assert failures.of("a.example", "m", NOON) is None
