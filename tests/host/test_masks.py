"""What a mask names is found as glob does it, and within bounds whatever the folders hold."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest

from proxygen.errors import UsageError
from proxygen.host.masks import Search, folders, names

FILES = ("a.yaml", "b.yml", ".hidden.yaml", "d/a.yaml", "d/e/a.yaml", "d/.h/a.yaml", "x/e/b.yaml")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with a few files, and a link to one and to nowhere."""
    root = tmp_path / "place"
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("domains: {}")
    (tmp_path / "beside.yaml").write_text("domains: {}")
    (root / "d/link.yaml").symlink_to("a.yaml")
    (root / "d/nowhere.yaml").symlink_to("nothing")
    return root


@pytest.mark.parametrize(
    "mask",
    [
        *("a.yaml", "none.yaml", "*.yaml", "*.y*ml", "[ab].*", "?.yaml", ".*.yaml", "d", "."),
        *("d/*.yaml", "./d/*.yaml", "d//*.yaml", "*/a.yaml", "*/*/*.yaml", "*/e", "none/*.yaml"),
        *("../*.yaml", "d/../*.yaml", "**/*.yaml", "d/**/a.yaml", "**/e/*.yaml", "**/**/a.yaml"),
        *("**", "d/**", "a.yaml/*", "*" * 300 + "/[/*.yaml", "**/nowhere.yaml"),
    ],
)
def test_a_mask_names_what_glob_finds(place: Path, mask: str) -> None:
    found = {place / each for each in glob.glob(mask, root_dir=place, recursive=True)}  # noqa: PTH207
    if "**" in mask:  # which names every folder besides
        found = {each for each in found if not each.is_dir()}
    assert {place / each for each in names(place, mask)} == found
    absolute = {Path(each) for each in names(Path("/nowhere"), f"{place}/{mask}")}
    assert absolute == {Path(f"{place}/{each.relative_to(place)}") for each in found}


def test_links_back_up_are_not_gone_through(place: Path) -> None:
    for number in range(20):
        (place / f"d/l{number}").symlink_to(".")
    assert names(place, "**/a.yaml") == {"a.yaml", "d/a.yaml", "d/e/a.yaml"}
    assert folders(place, "d/**/*.yaml") == {"d/", "d/e/"}


def test_a_linked_folder_that_the_mask_names_is_gone_through(place: Path) -> None:
    (place / "panel").symlink_to("d")
    assert "panel/a.yaml" in names(place, "panel/*.yaml")
    assert names(place, "panel/**/a.yaml") == {"panel/a.yaml", "panel/e/a.yaml"}
    assert "panel/a.yaml" in names(place, "*/a.yaml")


def test_folders_below_are_looked_into_where_the_mask_ends_with_them(place: Path) -> None:
    assert folders(place, "d/**") == {"d/", "d/e/"}
    assert folders(place, "a.yaml") == set()


def test_too_many_names_are_a_mistake(place: Path) -> None:
    assert Search(str(place), "**/*.yaml", left=100).names()
    with pytest.raises(UsageError, match="the folders that it searches hold more than") as caught:
        Search(str(place), "**/*.yaml", left=10).names()
    assert caught.value.where == f"{place}/**/*.yaml"


def test_names_that_are_no_text_are_found(place: Path) -> None:
    (place / os.fsdecode(b"\xff.yaml")).write_text("domains: {}")
    assert os.fsdecode(b"\xff.yaml") in names(place, "*.yaml")
