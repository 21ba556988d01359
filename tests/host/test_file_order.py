"""The files of a configuration in the order in which they are read, and the place of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxygen.host.file_order import parts_in_order
from proxygen.services import FileOrder, dovecot


def order(folder: Path, **texts: str) -> FileOrder:
    """Write files, each by its name with ``__`` for a slash, and return the order to read them."""
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/')}.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    main = folder / "main.conf"
    return FileOrder(main, dovecot.pointer(main))


def read(asked: FileOrder) -> list[tuple[str, int, str]]:
    """Return the name, the first line and the text of each part that says something."""
    return [
        (each.path.name, each.line, "ours" if each.ours else each.text.strip())
        for each in parts_in_order(asked)
        if each.ours or each.text.strip()
    ]


def test_files_stand_where_they_are_included_and_ours_in_its_place(tmp_path: Path) -> None:
    asked = order(
        tmp_path,
        main="a\n!include conf.d/*.conf\nb\n\n!include_try local.conf\nc\n",
        **{"conf.d__10-ssl": "ten\n!include ../more.conf\nten\n", "conf.d__99-z": "z\n"},
        more="more",
        local="local",
    )
    expected = [
        ("main.conf", 1, "a"),
        ("10-ssl.conf", 1, "ten"),
        ("more.conf", 1, "more"),
        ("10-ssl.conf", 2, "ten"),
        ("99-proxygen.conf", 1, "ours"),
        ("99-z.conf", 1, "z"),
        ("main.conf", 2, "b"),
        ("local.conf", 1, "local"),
        ("main.conf", 5, "c"),
    ]
    assert read(asked) == expected
    (tmp_path / "conf.d/99-proxygen.conf").write_text("!include_try /nowhere\n")
    assert read(asked) == expected


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        ("conf.d/*.conf", True),
        ("conf.d/[0-9]*-*.conf", True),
        ("con?.d/99-proxygen.conf", True),
        ("{local.d,conf.d}/*.conf", True),
        ("conf.d/{10-ssl,99-proxygen}.conf", True),
        ("conf.d/10-*.conf", False),
        ("local.d/*.conf", False),
        ("conf.d", False),
    ],
)
def test_a_mask_names_ours_although_it_is_not_there(tmp_path: Path, mask: str, found: bool) -> None:
    asked = order(tmp_path, main=f"!include_try {mask}\n", **{"conf.d__10-ssl": "x"})
    assert any(each.ours for each in parts_in_order(asked)) is found


def test_what_cannot_be_read_has_no_text(tmp_path: Path) -> None:
    asked = order(tmp_path, main="!include_try folder\n!include_try gone.conf\nb\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "gone.conf").symlink_to("nowhere")
    assert read(asked) == [("main.conf", 2, "b")]
    assert read(FileOrder(tmp_path / "none.conf", asked.pointer)) == []


def test_files_that_include_each_other_come_to_an_end(tmp_path: Path) -> None:
    asked = order(tmp_path, main="!include main.conf\na\n")
    assert 0 < len(read(asked)) < 99
    twice = order(tmp_path, main="!include main.conf\n!include main.conf\na\n")
    assert parts_in_order(twice) == ()
