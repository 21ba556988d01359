"""Fingerprints tell whether content changed, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxygen.daemon.fingerprints import ABSENT, UNREADABLE, Fingerprints, differing_paths


def settle(path: Path) -> None:
    """Make a file as old as most are."""
    os.utime(path, (1_700_000_000, 1_700_000_000))


def test_touching_reading_and_rewriting_the_same_change_nothing(tmp_path: Path) -> None:
    path, known = tmp_path / "a", Fingerprints()
    path.write_text("x")
    before = known.of([str(path)])
    path.touch()
    path.chmod(0o600)
    path.write_text("x")
    new = tmp_path / "new"
    new.write_text("x")
    new.rename(path)
    assert not differing_paths(before, known.of([str(path)]))


def test_a_change_of_the_same_length_at_the_same_time_is_seen(tmp_path: Path) -> None:
    path, known = tmp_path / "a", Fingerprints()
    path.write_text("x")
    settle(path)
    before = known.of([str(path)])
    path.write_text("y")
    settle(path)
    assert differing_paths(before, known.of([str(path)])) == {str(path)}


def test_coming_and_going_are_changes(tmp_path: Path) -> None:
    path, known = tmp_path / "a", Fingerprints()
    absent = known.of([str(path)])
    assert absent == {str(path): ABSENT}
    path.write_text("x")
    present = known.of([str(path)])
    assert differing_paths(absent, present) == {str(path)}
    path.unlink()
    assert differing_paths(present, known.of([str(path)])) == {str(path)}
    assert not differing_paths(absent, {})


@pytest.mark.parametrize("kind", ["folder", "pipe", "circle", "below a file"])
def test_what_is_no_file_is_no_trouble(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "circle":
        path.symlink_to("a")
    else:
        path.write_text("x")
        path /= "b"
    shown = ABSENT if kind == "below a file" else UNREADABLE
    assert Fingerprints().of([str(path)]) == {str(path): shown}
