"""The files of a model are read again when they changed, and only then."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import pytest

from proxygen import assemble
from proxygen.host import files
from proxygen.model.layout import Layout
from proxygen.model.sources import Source, Unreadable

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
    found = assemble.including(layout, known)(MASK)
    return [each.text for each in found if isinstance(each, Source)]


def test_a_file_that_did_not_change_is_not_read_again(layout: Layout) -> None:
    known = assemble.ModelFiles()
    first = assemble.including(layout, known)(MASK)
    again = assemble.including(layout, known)(MASK)
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
    first, _ = assemble.including(layout, known)(MASK)
    assert isinstance(first, Unreadable)


def test_a_mask_that_the_model_names_no_more_is_forgotten(layout: Layout) -> None:
    known = assemble.ModelFiles()
    texts(layout, known)
    assemble.including(layout, known)
    assert not known.found


def test_a_value_is_made_again_once_what_it_follows_from_differs() -> None:
    made: list[int] = []
    latest = assemble.Latest()
    for given in (1, 1, 2, 1):
        latest.of("it", given, partial(made.append, given))
    assert made == [1, 2, 1]
