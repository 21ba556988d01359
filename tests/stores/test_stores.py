"""Every store passes the contract; that of one server keeps its values for root alone."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from proxygen.host import files
from proxygen.stores import Store, Values, journal
from proxygen.stores.filesystem import JOURNAL, LARGEST, FileStore
from proxygen.stores.forward import Forward
from proxygen.stores.keyspace import Keyspace
from tests.standins import MemoryStore
from tests.stores.contract import Contract
from tests.stores.killing import killed

Opened = tuple[Store, Callable[[], Store]]


class TestFileStore(Contract):
    """The store of one server."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return FileStore(tmp_path / "var/store")

    @pytest.fixture
    def another(self, tmp_path: Path) -> Callable[[], Opened]:
        def new() -> Opened:
            root = Path(tempfile.mkdtemp(dir=tmp_path)) / "store"
            return FileStore(root), lambda: FileStore(root)

        return new

    def killed(self, store: Store, at: int, do: Callable[[Store], object]) -> bool:
        """Do something in a process that is killed before its change *at*."""
        return killed(store, at, do)


class TestKeyspace(TestFileStore):
    """A part of a store."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return self.part(FileStore(tmp_path / "var/store"))

    @pytest.fixture
    def another(self, tmp_path: Path) -> Callable[[], Opened]:
        def new() -> Opened:
            root = Path(tempfile.mkdtemp(dir=tmp_path)) / "store"
            return self.part(FileStore(root)), lambda: self.part(FileStore(root))

        return new

    def part(self, store: Store) -> Store:
        """Return a part in which every kind of the suite may be."""
        return Keyspace(store, ("a", "a-b", "ab", "b", "bundles", "d", "g", "nothing"), "host/")


class TestForward(TestFileStore):
    """A store that nobody has brought forward."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return Forward(FileStore(tmp_path / "var/store"))

    @pytest.fixture
    def another(self, tmp_path: Path) -> Callable[[], Opened]:
        def new() -> Opened:
            root = Path(tempfile.mkdtemp(dir=tmp_path)) / "store"
            return Forward(FileStore(root)), lambda: Forward(FileStore(root))

        return new


class TestMemoryStore(Contract):
    """The stand-in for tests."""

    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()

    @pytest.fixture
    def another(self) -> Callable[[], Opened]:
        def new() -> Opened:
            store = MemoryStore()
            return store, lambda: store

        return new


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


BEFORE = {"a/b": b"1", "a/c": b"2"}
AFTER = {"a/b": b"one", "d/e": b"three"}
CHANGE = {**AFTER, "a/c": None}


def values_of(store: Store) -> dict[str, bytes]:
    """Return the values of which these tests speak."""
    found = {key: store.get(key) for key in {**BEFORE, **AFTER}}
    assert {*store.keys("a"), *store.keys("d")} == {key for key in found if store.has(key)}
    return {key: value for key, value in found.items() if value is not None}


def test_killed_before_each_of_its_changes_several_values_are_put_or_none(tmp_path: Path) -> None:
    found: list[dict[str, bytes]] = []
    for at in count(1):
        root = tmp_path / str(at)
        FileStore(root).put_all(BEFORE)
        if not killed(FileStore(root), at, lambda store: store.put_all(CHANGE)):
            break
        found.append(values_of(FileStore(root)))
        begun = (root / JOURNAL).exists()
        assert values_of(FileStore(root)) == found[-1], "reading changes nothing"
        assert (root / JOURNAL).exists() == begun
        FileStore(root).put("g", b"")
        assert values_of(FileStore(root)) == found[-1]
        assert not (root / JOURNAL).exists()
        assert values_in_places(root) == {**found[-1], "g": b""}
    assert found.count(AFTER) > 3
    assert found.count(BEFORE) > 3
    assert found == [BEFORE] * found.count(BEFORE) + [AFTER] * found.count(AFTER)


def values_in_places(root: Path) -> dict[str, bytes]:
    """Return what stands in the files that have their names."""
    found = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".new")
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def test_what_follows_a_killed_run_may_be_killed_too(tmp_path: Path) -> None:
    """Whoever finishes what another began is killed at each of its changes, in turn."""
    FileStore(tmp_path).put_all(BEFORE)
    at = next(
        at
        for at in count(1)
        if not killed(FileStore(tmp_path), at, lambda store: store.put_all(CHANGE))
        or (tmp_path / JOURNAL).exists()
    )
    for next_one in count(1):
        if not killed(FileStore(tmp_path), next_one, lambda store: store.put("g", b"")):
            break
        assert values_of(FileStore(tmp_path)) == AFTER
    assert (at, next_one) > (3, 3)
    assert values_in_places(tmp_path) == {**AFTER, "g": b""}


def test_what_a_killed_run_began_is_settled_without_writing_anything_else(tmp_path: Path) -> None:
    FileStore(tmp_path).settle()
    assert not list(tmp_path.iterdir())
    FileStore(tmp_path).put_all(BEFORE)
    (tmp_path / JOURNAL).write_bytes(journal.encode_journal(CHANGE))
    FileStore(tmp_path).settle()
    assert values_in_places(tmp_path) == AFTER


def test_several_values_count_from_when_they_are_all_durable(tmp_path: Path) -> None:
    """One write of the folder tells of the journal before any value takes its name."""
    program = (
        "from pathlib import Path; from proxygen.stores.filesystem import FileStore\n"
        "store = FileStore(Path('store')); store.put_all({'a/b': b'1', 'a/c': b'2'})\n"
        "print('then'); store.put_all({'a/b': b'3', 'a/c': b'4'})"
    )
    calls = traced(tmp_path, program)
    written, named = ["fsync"] * 3, ["rename", "fsync"]
    assert calls[calls.index("then") + 1 :] == [*written, *named, "rename", *named, "fsync"]


def test_what_cannot_be_put_in_its_place_after_all_counts_and_is_put_there_later(
    tmp_path: Path,
) -> None:
    store = FileStore(tmp_path)
    store.put_all(BEFORE)
    (tmp_path / JOURNAL).write_bytes(journal.encode_journal(CHANGE))
    (tmp_path / "d/e").mkdir(parents=True)  # somebody made a folder there
    assert values_of_journal(store) == AFTER
    with pytest.raises(IsADirectoryError, match="d/e"):
        store.put("g", b"")
    assert values_of_journal(store) == AFTER
    (tmp_path / "d/e").rmdir()
    store.put("g", b"")
    assert values_in_places(tmp_path) == {**AFTER, "g": b""}


def values_of_journal(store: Store) -> dict[str, bytes]:
    """Return the values of which these tests speak, whatever stands in the places of others."""
    found = {key: store.get(key) for key in {**BEFORE, **AFTER}}
    return {key: value for key, value in found.items() if value is not None}


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: content[:-1], id="cut off"),
        pytest.param(lambda content: content.replace(b"three", b"thrEE"), id="an octet"),
        pytest.param(lambda content: digested(b"[1]\n"), id="another table"),
        pytest.param(lambda content: digested(b'[["../x", 1]]\ny'), id="a key that is none"),
        pytest.param(lambda content: digested(b'[["a/b", -1]]\ny'), id="a length that is none"),
    ],
)
def test_a_damaged_journal_counts_for_nothing(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    store = FileStore(tmp_path)
    store.put_all(BEFORE)
    (tmp_path / JOURNAL).write_bytes(damage(journal.encode_journal(CHANGE)))
    assert values_of(store) == BEFORE
    store.put("g", b"")
    assert values_in_places(tmp_path) == {**BEFORE, "g": b""}


def digested(rest: bytes) -> bytes:
    """Return something with its digest, as a journal has it."""
    return hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest


@pytest.mark.parametrize(
    ("values", "error"),
    [
        pytest.param({"a/b/c": b"", "d": b""}, NotADirectoryError, id="below a value"),
        pytest.param({"d": b"", "d/e": b""}, OSError, id="below one of them"),
        pytest.param({"a": b"", "d": b""}, IsADirectoryError, id="in place of others"),
        pytest.param({"d": b"", "a": None}, IsADirectoryError, id="to delete others"),
    ],
)
def test_values_that_cannot_all_have_a_place_are_refused_and_none_is_put(
    tmp_path: Path, values: Values, error: type[OSError]
) -> None:
    store = FileStore(tmp_path)
    store.put_all(BEFORE)
    with pytest.raises(error):
        store.put_all(values)
    assert values_in_places(tmp_path) == BEFORE


def test_more_than_a_whole_model_is_not_put_at_once(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.largest = 1000
    with pytest.raises(OSError, match="too large"):
        store.put_all({"a": b"x" * 500, "b": b"x" * 500})
    assert values_in_places(tmp_path) == {}


WRITER = """
import sys, time
from pathlib import Path
from proxygen.host import lock
with lock.of_folder(Path(sys.argv[1]), 60):
    print("held", flush=True)
    time.sleep(600)
"""


def test_who_writes_waits_for_another_process_only_so_long_and_who_reads_does_not(
    tmp_path: Path,
) -> None:
    store = FileStore(tmp_path, patience=0.2)
    store.put_all(BEFORE)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        for change in ({"a/b": b""}, CHANGE):
            with pytest.raises(OSError, match=r"another process has been writing .*"):
                store.put_all(change)
        assert values_of(store) == BEFORE
        other.kill()
    store.put_all(CHANGE)
    assert values_of(store) == AFTER


COUNTER = """
import sys
from pathlib import Path
from proxygen.stores.filesystem import FileStore
store = FileStore(Path(sys.argv[1]))
for _ in range(25):
    while True:
        former = store.get("a/b")
        now = b"%d" % (int(former or 0) + 1)
        values = {"a/b": now, "c/d": now} if int(now) % 2 else {"a/b": now}
        if store.put_if({"a/b": former}, values):
            break
"""


def test_processes_that_change_the_same_value_lose_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COUNTER, str(tmp_path)]
    counting = [subprocess.Popen(command) for _ in range(3)]
    assert [each.wait() for each in counting] == [0, 0, 0]
    store = FileStore(tmp_path)
    assert (store.get("a/b"), store.get("c/d")) == (b"75", b"75")
