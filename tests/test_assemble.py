"""The files of a model are read again when they changed, and only then."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from proxygen import assemble
from proxygen.errors import IssueFailed
from proxygen.host import files
from proxygen.model.certificate import Secret
from proxygen.model.layout import Layout
from proxygen.model.sources import Source, UnreadableFile

MASK = "d/*.yaml"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Return an installation whose model has two included files, written a while ago."""
    (tmp_path / "d").mkdir()
    for name in ("a", "b"):
        (tmp_path / f"d/{name}.yaml").write_text(f"domains: {{{name}.example: {{}}}}\n")
    settled(tmp_path / "d/b.yaml")
    return Layout(tmp_path, tmp_path / "proxygen.yaml")


def settled(path: Path) -> None:
    """Wait until a file was not written just now."""
    end = time.monotonic() + 10
    while files.stamp_of(path) is None and time.monotonic() < end:
        time.sleep(0.02)


def texts(layout: Layout, known: assemble.ModelFiles) -> list[bytes]:
    """Return what the included files hold."""
    found = assemble.include_reader(layout, known)(MASK)
    return [each.text for each in found if isinstance(each, Source)]


def test_a_file_that_did_not_change_is_not_read_again(layout: Layout) -> None:
    known = assemble.ModelFiles()
    first = assemble.include_reader(layout, known)(MASK)
    again = assemble.include_reader(layout, known)(MASK)
    assert len(again) == 2
    assert all(each is before for each, before in zip(again, first, strict=True))


def test_a_file_rewritten_in_place_with_its_time_put_back_is_read_again(layout: Layout) -> None:
    known, path = assemble.ModelFiles(), layout.root / "d/a.yaml"
    before, status = texts(layout, known), path.stat()
    path.write_bytes(before[0].replace(b"a.example", b"c.example"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert texts(layout, known) == [before[0].replace(b"a.example", b"c.example"), before[1]]


def test_a_file_written_twice_at_once_is_read_twice(layout: Layout) -> None:
    known, path = assemble.ModelFiles(), layout.root / "d/a.yaml"
    for text in (b"1", b"2", b"3"):
        path.write_bytes(text)
        assert texts(layout, known)[0] == text


def test_files_that_join_leave_or_cannot_be_read_are_told(layout: Layout) -> None:
    known = assemble.ModelFiles()
    before = texts(layout, known)
    (layout.root / "d/0.yaml").write_bytes(b"new")
    assert texts(layout, known) == [b"new", *before]
    (layout.root / "d/0.yaml").unlink()
    (layout.root / "d/a.yaml").unlink()
    assert texts(layout, known) == before[1:]
    (layout.root / "d/a.yaml").mkdir()
    first, _ = assemble.include_reader(layout, known)(MASK)
    assert isinstance(first, UnreadableFile)


def test_a_mask_that_the_model_names_no_more_is_forgotten(layout: Layout) -> None:
    known = assemble.ModelFiles()
    texts(layout, known)
    assemble.include_reader(layout, known)
    assert not known.found


def test_a_value_is_made_again_once_what_it_follows_from_differs() -> None:
    made: list[int] = []
    latest = assemble.Latest()
    for given in (1, 1, 2, 1):
        latest.of("it", given, partial(made.append, given))
    assert made == [1, 2, 1]


# Secrets.


def test_a_secret_is_what_a_file_or_a_variable_holds_without_its_line_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_bytes(b" hunter2\r\n")
    monkeypatch.setenv("PROXYGEN_SECRET", "hunter2")
    assert assemble.read_secret(Secret("file", str(tmp_path / "secret"))) == b" hunter2"
    assert assemble.read_secret(Secret("env", "PROXYGEN_SECRET")) == b"hunter2"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda path: None, "does not exist", id="missing"),
        pytest.param(Path.touch, "is empty", id="empty"),
        pytest.param(lambda path: path.write_bytes(b"\n"), "is empty", id="an empty line"),
        pytest.param(lambda path: path.symlink_to("/proc/kmsg"), "is empty", id="kernel"),
        pytest.param(os.mkfifo, "it is a pipe, not a regular file", id="pipe"),
        pytest.param(Path.mkdir, "Is a directory", id="folder"),
        pytest.param(lambda path: path.symlink_to(path), "symbolic links", id="circle"),
        pytest.param(lambda path: path.write_bytes(b"x" * 65 * 1024), "too large", id="large"),
    ],
)
def test_a_secret_that_cannot_be_had_is_told_and_never_waited_for(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    path = tmp_path / "secret"
    make(path)
    with pytest.raises(IssueFailed, match=words) as caught:
        assemble.read_secret(Secret("file", str(path)))
    assert f"file:{path}" in caught.value.what
    assert caught.value.failure.final
