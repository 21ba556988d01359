"""Executables of a folder: in order, and only those that nobody else can change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxygen.errors import ServiceError
from proxygen.host.executables import Executables, executable_target, find_executables


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder of hooks."""
    path = tmp_path / "hooks" / "deploy.d"
    path.mkdir(parents=True)
    return path


def program(path: Path, mode: int = 0o755) -> Path:
    """Write a program."""
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def test_programs_come_in_the_order_of_their_names(folder: Path) -> None:
    names = ("20-second", "10-first.sh", "Z", "a.py")
    for name in names:
        program(folder / name)
    assert [each.name for each in find_executables(folder).programs] == sorted(names)


def test_no_folder_and_an_empty_one_are_no_programs(folder: Path) -> None:
    assert find_executables(folder) == find_executables(folder / "missing") == Executables()


@pytest.mark.parametrize(
    "name",
    [".hidden", ".x.swp", "x~", "x.bak", "x.dpkg-old", "x.rpmnew", "#x#", "README", "README.md"],
)
def test_what_editors_and_packages_leave_is_no_program(folder: Path, name: str) -> None:
    program(folder / name)
    assert find_executables(folder) == Executables()


def test_a_file_that_is_not_executable_is_told(folder: Path) -> None:
    program(folder / "x", 0o644)
    (folder / "below").mkdir()
    answer = find_executables(folder)
    assert not answer.programs
    (warning,) = answer.warnings
    assert f"{folder / 'x'} is not run: it is not executable" in warning


@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_a_program_that_others_may_change_is_refused(folder: Path, mode: int) -> None:
    program(folder / "evil", mode)
    good = program(folder / "good")
    answer = find_executables(folder)
    assert answer.programs == (good,)
    assert f"mode {mode:04o}" in answer.warnings[0]


@pytest.mark.parametrize("which", ["hooks", "hooks/deploy.d"])
def test_a_folder_that_others_may_change_is_refused_whole(folder: Path, which: str) -> None:
    program(folder / "x")
    (folder.parents[1] / which).chmod(0o777)
    answer = find_executables(folder)
    assert not answer.programs
    assert "chmod go-w" in answer.warnings[0]


def test_a_link_is_judged_by_where_it_leads(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = folder / "x"
    link.symlink_to(program(outside / "x"))
    assert find_executables(folder).programs == (link,)
    outside.chmod(0o777)
    assert "users other than its owner" in find_executables(folder).warnings[0]
    outside.chmod(0o755)
    assert executable_target(link) == outside / "x"
    (outside / "x").unlink()
    assert "No such file" in find_executables(folder).warnings[0]


@pytest.mark.parametrize("above", ["a", "a/b"])
@pytest.mark.parametrize("linked", [False, True])
def test_every_folder_on_the_way_counts(tmp_path: Path, above: str, linked: bool) -> None:
    deep = tmp_path / "a" / "b" / "hooks" / "deploy.d"
    deep.mkdir(parents=True)
    place = tmp_path / "etc" / "deploy.d"
    place.mkdir(parents=True)
    path = program(deep / "x")
    if linked:
        path = place / "x"
        path.symlink_to(deep / "x")
    assert find_executables(path.parent).programs == (path,)
    (tmp_path / above).chmod(0o777)
    refused = find_executables(path.parent)
    assert not refused.programs
    assert f"users other than its owner may write to {tmp_path / above} " in refused.warnings[0]
    with pytest.raises(ServiceError, match="users other than its owner"):
        executable_target(path)


def test_a_link_on_the_way_through_a_folder_of_others_counts(tmp_path: Path) -> None:
    folder, real, open_one = (tmp_path / name for name in ("deploy.d", "real", "open"))
    for each in (folder, real, open_one):
        each.mkdir()
    program(real / "x")
    (open_one / "x").symlink_to(real / "x")
    (folder / "x").symlink_to(Path("..") / "open" / "x")
    assert executable_target(folder / "x") == real / "x"
    open_one.chmod(0o777)
    assert f"may write to {open_one}" in find_executables(folder).warnings[0]


def test_links_in_a_circle_are_told(folder: Path) -> None:
    (folder / "x").symlink_to("y")
    (folder / "y").symlink_to("x")
    answer = find_executables(folder)
    assert not answer.programs
    assert "Too many levels of symbolic links" in answer.warnings[0]


def test_a_sticky_folder_above_is_no_danger_but_that_of_the_program_is(tmp_path: Path) -> None:
    sticky = tmp_path / "tmp"
    inner = sticky / "hooks" / "deploy.d"
    inner.mkdir(parents=True)
    sticky.chmod(0o1777)
    path = program(inner / "x")
    assert find_executables(inner).programs == (path,)
    inner.chmod(0o1777)
    assert "no hook is run" in find_executables(inner).warnings[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_link_of_another_user_is_refused(folder: Path, tmp_path: Path) -> None:
    link = folder / "x"
    link.symlink_to(program(tmp_path / "x"))
    os.chown(link, 12345, 12345, follow_symlinks=False)
    assert "another user" in find_executables(folder).warnings[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_program_of_another_user_is_refused(folder: Path) -> None:
    os.chown(program(folder / "x"), 12345, 12345)
    assert "another user" in find_executables(folder).warnings[0]
