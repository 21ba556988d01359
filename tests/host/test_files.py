"""Files: whole or not at all, with their mode from the first moment on."""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxygen.host import files


def mode(path: Path) -> int:
    """Return the permission bits of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Have that umask for the time of a test."""
    former = os.umask(request.param)
    yield request.param
    os.umask(former)


# Reading.


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert files.read(tmp_path / "missing") is None
    assert files.read(tmp_path / "file/below") is None
    assert files.read(tmp_path / "missing/below") is None
    assert files.text(tmp_path / "missing") is None


def test_only_a_regular_file_is_read_and_nothing_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for name in ("fifo", "folder", "socket"):
            with pytest.raises(OSError, match=r".") as caught:
                files.read(tmp_path / name)
            assert caught.value.strerror
    for device in ("/dev/zero", "/dev/null"):
        with pytest.raises(OSError, match="not a regular file"):
            files.read(Path(device))


def test_a_fifo_with_a_writer_is_refused_too(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    os.write(writer, b"evil")
    try:
        with pytest.raises(OSError, match="not a regular file"):
            files.read(fifo)
    finally:
        os.close(reader)
        os.close(writer)


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert files.read(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="too large") as caught:
        files.read(tmp_path / "file", 4)
    assert caught.value.errno == errno.EFBIG


KINDS = {
    "fifo": os.mkfifo,
    "loop": lambda path: path.symlink_to(path),
    "folder": Path.mkdir,
    "terminal": lambda path: path.symlink_to("/dev/tty"),
    "zero": lambda path: path.symlink_to("/dev/zero"),
    "disk": lambda path: os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 250)),
    "kernel": lambda path: path.symlink_to("/proc/kmsg"),
    "empty": Path.touch,
    "giant": lambda path: (path.touch(), os.truncate(path, 1 << 40)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_opened_before_it_is_known_to_be_a_regular_file_worth_reading(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / kind
    try:
        KINDS[kind](path)
    except PermissionError:
        pytest.skip("devices cannot be made here")
    flags, opened = [], os.open

    def noted(path: str, flag: int, mode: int = 0o777) -> int:
        flags.append(flag)
        return opened(path, flag, mode)

    monkeypatch.setattr(os, "open", noted)
    if kind in ("kernel", "empty"):
        assert files.read(path) == b""
    else:
        with pytest.raises(OSError, match=r".") as caught:
            files.read(path)
        assert caught.value.strerror
        assert caught.value.filename == str(path) or kind == "loop"
    if kind != "giant":
        assert files.read_added(path, 0) == ""
    assert flags
    assert all(flag & os.O_PATH for flag in flags)


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 300, "/".join(["x" * 200] * 30)])
def test_what_can_be_no_path_is_an_error_of_the_system(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match=r".") as caught:
        files.read(tmp_path / name)
    assert caught.value.strerror
    assert not files.is_regular(tmp_path / name)
    assert files.stamp_of(tmp_path / name) is None
    assert files.size(tmp_path / name) == 0


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], times: int) -> None:
    """Have something happen so often when a part of a file was read."""
    left, read = iter(range(times)), os.read

    def reading(descriptor: int, size: int) -> bytes:
        part = read(descriptor, size)
        if next(left, None) is not None:
            act()
        return part

    monkeypatch.setattr(os, "read", reading)


def grow(path: Path) -> None:
    """Write one octet more."""
    with path.open("ab") as file:
        file.write(b"+")


def test_a_file_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"begun")
    meanwhile(monkeypatch, lambda: grow(path), 1)
    assert files.read(path) == b"begun+"


def test_a_file_that_changes_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"begun")
    meanwhile(monkeypatch, lambda: grow(path), 1000)
    with pytest.raises(OSError, match="changes while it is read") as caught:
        files.read(path)
    assert caught.value.filename == str(path)


def test_a_file_that_another_one_replaces_or_that_vanishes_was_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"former")
    meanwhile(monkeypatch, lambda: files.write(path, b"next"), 1)
    assert files.read(path) == b"former"
    meanwhile(monkeypatch, path.unlink, 1)
    assert files.read(path) == b"next"
    assert files.read(path) is None


def test_files_that_belong_together_are_read_as_of_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = tmp_path / "certificate", tmp_path / "key"

    def renew() -> None:
        files.write(key, b"new")
        files.write(certificate, b"new")

    certificate.write_bytes(b"old")
    key.write_bytes(b"old")
    meanwhile(monkeypatch, renew, 1)
    assert files.read_together((certificate, key)) == (b"new", b"new")
    meanwhile(monkeypatch, renew, 1000)
    with pytest.raises(OSError, match="changes while it is read"):
        files.read_together((certificate, key))


def test_without_proc_what_was_found_is_opened_by_its_path_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_bytes(b"content")
    other.write_bytes(b"other")
    opened = os.open

    def without_proc(place: str | Path, flags: int, mode: int = 0o777) -> int:
        if str(place).startswith("/proc/"):
            raise FileNotFoundError(errno.ENOENT, "no /proc")
        if not flags & os.O_PATH and other.exists() and files.is_regular(tmp_path / "swap"):
            other.replace(path)
        return opened(place, flags, mode)

    monkeypatch.setattr(os, "open", without_proc)
    assert files.read(path) == b"content"
    (tmp_path / "swap").touch()
    with pytest.raises(OSError, match="changes while it is read"):
        files.read(path)


def test_a_copy_has_mode_and_times_and_is_of_a_regular_file(tmp_path: Path) -> None:
    path, target = tmp_path / "file", tmp_path / "copy"
    path.write_bytes(b"content")
    path.chmod(0o640)
    os.utime(path, ns=(1, 2))
    files.copy(path, target)
    assert (target.read_bytes(), mode(target), target.stat().st_mtime_ns) == (b"content", 0o640, 2)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="a pipe"):
        files.copy(tmp_path / "fifo", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_text_that_is_not_utf8_survives_a_round_trip(tmp_path: Path) -> None:
    octets = bytes(range(1, 256))
    (tmp_path / "file").write_bytes(octets)
    text = files.text(tmp_path / "file")
    assert text is not None
    files.replace_text(tmp_path / "file", text)
    assert (tmp_path / "file").read_bytes() == octets


# Writing.


@pytest.mark.parametrize("asked", [0o600, 0o640, 0o644])
def test_a_file_has_its_mode_whatever_the_umask(tmp_path: Path, umask: int, asked: int) -> None:
    files.write(tmp_path / "file", b"secret", asked)
    assert mode(tmp_path / "file") == asked
    assert files.names(tmp_path) == ["file"]


def test_a_file_is_never_open_to_others_before_it_has_its_content(
    tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    created = os.open
    monkeypatch.setattr(
        os,
        "open",
        lambda path, flags, mode=0o777: seen.append((flags, mode)) or created(path, flags, mode),
    )
    files.write(tmp_path / "file", b"secret", 0o644)
    flags, at_creation = seen[0]
    assert at_creation == 0o600
    assert flags & os.O_EXCL
    assert flags & os.O_NOFOLLOW


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to groups")
def test_a_group_may_read_a_file_that_is_for_it(tmp_path: Path) -> None:
    files.write(tmp_path / "file", b"", 0o640, 12345)
    assert (tmp_path / "file").stat().st_gid == 12345
    assert mode(tmp_path / "file") == 0o640


def test_writing_replaces_a_link_and_does_not_follow_it(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"foreign")
    (tmp_path / "file").symlink_to("outside")
    files.write(tmp_path / "file", b"ours")
    assert (tmp_path / "outside").read_bytes() == b"foreign"
    assert (tmp_path / "file").read_bytes() == b"ours"


def test_a_reader_sees_the_former_or_the_new_content_whole(tmp_path: Path) -> None:
    contents = (b"a" * 300_000, b"b" * 100_000)
    path = tmp_path / "file"
    files.write(path, contents[0])
    seen: set[bytes | None] = set()
    done = threading.Event()
    reader = threading.Thread(
        target=lambda: [seen.add(files.read(path)) for _ in iter(done.is_set, True)]
    )
    reader.start()
    for number in range(100):
        files.write(path, contents[number % 2])
    done.set()
    reader.join()
    assert seen <= set(contents)


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        files.write(tmp_path / "folder", b"x")
    with pytest.raises(IsADirectoryError):
        files.link(tmp_path / "folder", "x")
    with pytest.raises(FileNotFoundError):
        files.write(tmp_path / "missing/file", b"x")
    assert files.names(tmp_path) == ["folder"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_replacing_text_keeps_mode_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "main.cf"
    path.write_text("before")
    os.chown(path, 1234, 2345)
    path.chmod(0o640)
    files.replace_text(path, "after")
    status = path.stat()
    assert (path.read_text(), stat.S_IMODE(status.st_mode)) == ("after", 0o640)
    assert (status.st_uid, status.st_gid) == (1234, 2345)


def test_a_new_configuration_file_is_readable_by_all(tmp_path: Path, umask: int) -> None:
    files.replace_text(tmp_path / "new", "x")
    assert mode(tmp_path / "new") == 0o644


# Folders, links, removal.


def test_folders_above_are_open_and_the_folder_has_its_mode(tmp_path: Path, umask: int) -> None:
    tmp_path.chmod(0o711)
    files.folder(tmp_path / "a/b/c", 0o700)
    assert [mode(tmp_path / each) for each in ("a", "a/b", "a/b/c")] == [0o755, 0o755, 0o700]
    assert mode(tmp_path) == 0o711


def test_a_private_folder_is_never_open_to_others(
    tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    make = os.mkdir
    monkeypatch.setattr(os, "mkdir", lambda path, mode: seen.append(mode) or make(path, mode))
    files.folder(tmp_path / "a/b", 0o700)
    assert seen == [0o700, 0o700]


def test_a_folder_that_is_there_gets_its_mode_and_keeps_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o777)
    (tmp_path / "a/file").touch()
    files.folder(tmp_path / "a", 0o711)
    files.folder(tmp_path / "a", 0o711)
    assert mode(tmp_path / "a") == 0o711
    assert files.names(tmp_path / "a") == ["file"]


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(OSError, match=r"."):
        files.folder(tmp_path / "a/b")
    assert (tmp_path / "a").is_file()


def test_a_link_is_replaced_in_one_rename(tmp_path: Path) -> None:
    files.link(tmp_path / "current", "one")
    files.link(tmp_path / "current", "two")
    assert files.link_target(tmp_path / "current") == "two"
    assert files.names(tmp_path) == ["current"]
    assert files.link_target(tmp_path / "missing") is None
    (tmp_path / "file").touch()
    assert files.link_target(tmp_path / "file") is None


def test_removing_a_link_leaves_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").touch()
    (tmp_path / "link").symlink_to("folder")
    files.remove(tmp_path / "link")
    assert files.names(tmp_path) == ["folder"]
    files.remove(tmp_path / "folder")
    files.remove(tmp_path / "folder")
    files.remove(tmp_path / "missing/file")
    assert files.names(tmp_path) == []
    assert files.names(tmp_path / "missing") == []


def test_a_temporary_file_is_private_and_goes_also_after_an_error(
    tmp_path: Path, umask: int
) -> None:
    file = tmp_path / "file"
    with pytest.raises(ZeroDivisionError), files.temporary_file(file, "x") as path:  # noqa: PT012
        assert (mode(path), path.read_text()) == (0o600, "x")
        raise ZeroDivisionError
    assert files.names(tmp_path) == []


def test_a_new_file_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    former = os.umask(0)
    try:
        files.create(tmp_path / "new", b"secret")
    finally:
        os.umask(former)
    assert (tmp_path / "new").read_bytes() == b"secret"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


@pytest.mark.parametrize("target", ["there", "nowhere"])
def test_a_new_file_takes_no_other_ones_place(tmp_path: Path, target: str) -> None:
    (tmp_path / "there").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(target)
    for name in ("there", "link"):
        with pytest.raises(FileExistsError):
            files.create(tmp_path / name, b"secret")
    assert (tmp_path / "there").read_bytes() == b"mine"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 100_000])
def test_a_damaged_note_is_an_empty_one(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "note").write_bytes(text)
    assert files.read_note(tmp_path / "note") == {}


def test_what_is_read_within_a_folder_stands_there_wherever_links_lead(tmp_path: Path) -> None:
    folder, outside = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    outside.mkdir()
    (folder / "a").write_bytes(b"a")
    (outside / "b").write_bytes(b"b")
    (folder / "link").symlink_to(outside / "b")
    (folder / "sub").symlink_to(outside)
    (tmp_path / "by-link").symlink_to(folder)
    assert files.read(folder / "a", within=folder) == b"a"
    assert files.read(tmp_path / "by-link/a", within=folder) == b"a"
    assert files.read(folder / "a", within=tmp_path / "by-link") == b"a"
    for path in ("link", "sub/b", "../out/b"):
        with pytest.raises(PermissionError, match="it is not in"):
            files.read(folder / path, within=folder)


def test_a_path_that_leads_elsewhere_after_it_was_opened_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "out").write_bytes(b"out")
    (folder / "a").symlink_to(tmp_path / "out")
    descriptor = os.open(folder / "a", os.O_RDONLY)
    try:
        (folder / "a").unlink()
        (folder / "a").write_bytes(b"harmless")
        with pytest.raises(PermissionError):
            files.require_within(descriptor, folder / "a", folder)
    finally:
        os.close(descriptor)
