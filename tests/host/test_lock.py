"""One run at a time; the lock goes with the process, however that ends."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxygen.errors import LockHeld
from proxygen.host import files, lock
from tests.failures import at_work
from tests.live.processes import until

HOLDER = """
import sys, time
from pathlib import Path
from proxygen.host import files, lock
with lock.hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_is_exclusive_and_names_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "var/lock"
    with lock.hold(path):
        with pytest.raises(LockHeld) as caught, lock.hold(path):
            pass
        assert f"process {path.read_text().strip()})" in caught.value.what
    with lock.hold(path):
        pass


def test_the_lock_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock.hold(tmp_path / "lock"):
        raise ZeroDivisionError
    with lock.hold(tmp_path / "lock"):
        pass


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(LockHeld, match=f"process {holder.pid}"), lock.hold(path):
                pass
        finally:
            holder.kill()
    until(lambda: taken(path), "the lock of a killed process")


def test_what_a_process_was_writing_goes_though_nobody_asked_yet_how_it_ended(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(["true"]) as gone:
        os.waitid(os.P_PID, gone.pid, os.WEXITED | os.WNOWAIT)
        theirs, ours = tmp_path / f".a.{gone.pid}.0123.new", files.unfinished_name(tmp_path / "a")
        for each in (theirs, ours):
            each.write_bytes(b"")
        files.sweep(tmp_path)
        assert (theirs.exists(), ours.exists()) == (False, True)


def taken(path: Path) -> bool:
    """Return whether the lock can be taken now."""
    try:
        with lock.hold(path):
            return True
    except LockHeld:
        return False


def test_what_an_old_holder_left_in_the_file_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"\xff\x1b[2J" * 1000)
    with lock.hold(tmp_path / "lock"):
        assert (tmp_path / "lock").read_text().strip().isdigit()


def test_what_a_killed_run_was_writing_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "store/bundles/.abc.0123456789ab.new"
    left.parent.mkdir(parents=True)
    left.write_text("half a key")
    with lock.hold(tmp_path / "lock"):
        assert left.exists()  # the former run, if any, ended by itself
    (tmp_path / "lock").write_text("12345\n")
    with lock.hold(tmp_path / "lock"):
        assert not left.exists()


def test_what_a_living_process_is_writing_stays(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("12345\n")
    (tmp_path / "store").mkdir()
    with files.beside(tmp_path / "store/a.example", b"whole") as new:
        with lock.hold(tmp_path / "lock") as killed:
            assert killed
        new.rename(tmp_path / "a.example")
    assert (tmp_path / "a.example").read_bytes() == b"whole"


def test_what_a_killed_process_with_our_number_was_writing_is_removed(tmp_path: Path) -> None:
    left, ours = (
        tmp_path / f".a.{os.getpid()}.0123456789ab.new",
        files.unfinished_name(tmp_path / "a"),
    )
    for each in (left, ours):
        each.write_bytes(b"")
    files.sweep(tmp_path)  # in a container a daemon has the same number after each start
    assert (left.exists(), ours.exists()) == (False, True)


def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no file be made."""
    really = os.open

    def refuses(path: object, flags: int, *more: int, **where: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return really(path, flags, *more, **where)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuses)


def test_two_locks_without_files_keep_nobody_from_telling_of_the_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_room(monkeypatch)
    with lock.hold(tmp_path / "obtaining"):
        with pytest.raises(LockHeld), lock.hold(tmp_path / "obtaining"):
            pass
        with lock.hold(tmp_path / "telling", instead=False) as killed:
            assert not killed
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_another_run_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-P", "-c", HOLDER.replace("60", "0.5"), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with lock.wait_and_hold(path, 20) as killed:
            assert not killed
            assert not taken(path)
    assert taken(path)


def test_the_lock_is_waited_for_so_long_and_no_longer(tmp_path: Path) -> None:
    with (
        lock.hold(tmp_path / "lock"),
        pytest.raises(LockHeld),
        lock.wait_and_hold(tmp_path / "lock", 0.3),
    ):
        pass


def test_an_error_within_the_block_is_no_reason_to_wait_again(tmp_path: Path) -> None:
    with pytest.raises(LockHeld, match="process 7"), lock.wait_and_hold(tmp_path / "lock", 20):
        raise at_work()


@pytest.mark.parametrize(
    "left", [b"", b"\xff\x1b[2J", "\u0661\n".encode(), b"12345678901234567890"]
)
def test_a_holder_without_a_number_is_told_as_what_is_known_of_it(
    tmp_path: Path, left: bytes
) -> None:
    path = tmp_path / "lock"
    with lock.hold(path):
        path.write_bytes(left)
        with pytest.raises(LockHeld) as caught, lock.hold(path):
            pass
    assert caught.value.what == f"another process holds the lock {path}"
    assert f"fuser -v {path}" in caught.value.remedy
