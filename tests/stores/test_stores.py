"""Every store passes the contract; that of one server keeps its values for root alone."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxygen.host import files
from proxygen.stores import Store
from proxygen.stores.filesystem import LARGEST, FileStore
from tests.standins import MemoryStore
from tests.stores.contract import Contract


class TestFileStore(Contract):
    """The store of one server."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return FileStore(tmp_path / "var/store")


class TestMemoryStore(Contract):
    """The stand-in for tests."""

    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()


@pytest.fixture(params=[0o000, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Have that umask for the time of a test."""
    former = os.umask(request.param)
    yield request.param
    os.umask(former)


def modes(folder: Path) -> dict[str, int]:
    """Return the mode of everything below a folder, and its own."""
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
        for path in (folder, *folder.rglob("*"))
    }


def test_keys_are_for_root_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    tmp_path.chmod(0o755)
    FileStore(tmp_path / "var/lib/store").put("bundles/a.example/d", b"secret")
    assert modes(tmp_path / "var") == {
        ".": 0o755,
        "lib": 0o755,
        "lib/store": 0o700,
        "lib/store/bundles": 0o700,
        "lib/store/bundles/a.example": 0o700,
        "lib/store/bundles/a.example/d": 0o600,
    }


def test_a_value_is_durable_before_it_is_in_place(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    store.put("a/b", b"first")
    calls = traced(tmp_path, "from pathlib import Path; from proxygen.stores.filesystem import "
                   "FileStore; FileStore(Path('store')).put('a/c', b'x')")  # fmt: skip
    order = [call for call in calls if call in ("fsync", "rename")]
    assert order == ["fsync", "rename", "fsync"]


def traced(folder: Path, program: str) -> list[str]:
    """Return the calls to fsync and rename of a program, in order."""
    hook = (
        "import os, sys, pathlib\n"
        "real = os.fsync\n"
        "os.fsync = lambda fd: (print('fsync'), real(fd))[1]\n"
        "move = os.rename\n"
        "os.rename = lambda *a, **k: (print('rename'), move(*a, **k))[1]\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", hook + program],
        cwd=folder,
        capture_output=True,
        check=True,
        text=True,
    )
    return run.stdout.split()


def test_a_new_folder_is_durable_with_its_first_value(tmp_path: Path) -> None:
    FileStore(tmp_path / "store").put("a/b", b"")
    calls = traced(tmp_path, "from pathlib import Path; from proxygen.stores.filesystem import "
                   "FileStore; FileStore(Path('store')).put('new/c', b'x')")  # fmt: skip
    assert calls == ["fsync", "fsync", "rename", "fsync"]


def test_a_half_written_file_is_never_listed_or_read(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("a/b", b"whole")
    for name in (".b.0123456789ab.new", ".b.new", ".x"):
        (tmp_path / "a" / name).write_bytes(b"ha")
    assert list(store.keys("a")) == ["a/b"]
    assert store.get("a/b") == b"whole"


def test_a_value_that_cannot_be_written_leaves_the_former_and_no_rest(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("a/b", b"former")
    with pytest.raises(TypeError):
        store.put("a/b", "no octets")  # type: ignore[arg-type]
    assert store.get("a/b") == b"former"
    assert files.names(tmp_path / "a") == ["b"]


def test_a_link_among_the_values_is_replaced_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"foreign")
    (tmp_path / "store/a").mkdir(parents=True)
    (tmp_path / "store/a/b").symlink_to(outside)
    FileStore(tmp_path / "store").put("a/b", b"ours")
    assert outside.read_bytes() == b"foreign"
    assert not (tmp_path / "store/a/b").is_symlink()


def settled(path: Path) -> files.Stamp:
    """Return the stamp of a file once there is one."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if stamp := files.stamp_of(path):
            return stamp
        time.sleep(0.02)
    raise AssertionError(f"{path} has no stamp")


def test_a_value_of_just_now_has_no_stamp_as_the_next_one_may_look_the_same(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("a/b", b"1")
    assert store.stamps("a") == {"a/b": None}
    stamp = settled(tmp_path / "a/b")
    assert store.stamps("a") == {"a/b": stamp} == store.stamps("a")


def test_a_value_replaced_in_place_with_its_time_put_back_is_told(tmp_path: Path) -> None:
    store, path = FileStore(tmp_path), tmp_path / "a/b"
    store.put("a/b", b"1")
    stamp = settled(path)
    status = path.stat()
    path.write_bytes(b"2")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert settled(path) != stamp


def test_a_value_larger_than_any_that_is_written_is_not_read(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("names/a.example", b"{}")
    os.truncate(tmp_path / "names/a.example", LARGEST + 1)
    with pytest.raises(OSError, match="too large"):
        store.get("names/a.example")
