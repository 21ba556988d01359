"""Where a new file of the model may appear is known before it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxygen.daemon.inputs import own_files, searched_folders


@pytest.mark.parametrize(
    ("mask", "folders"),
    [
        ("one.yaml", set()),
        ("there/one.yaml", set()),
        ("*.yaml", {"."}),
        ("domains.d/*.yaml", {"domains.d"}),
        ("later.d/*.yaml", {"later.d"}),
        ("panel/*/model.yaml", {"panel", "panel/a", "panel/b"}),
        ("panel/*/more/*.yaml", {"panel", "panel/a", "panel/b", "panel/a/more"}),
        ("panel/**/*.yaml", {"panel", "panel/a", "panel/b", "panel/a/more"}),
    ],
)
def test_every_folder_that_a_mask_looks_into_is_known(
    mask: str, folders: set[str], tmp_path: Path
) -> None:
    for name in ("domains.d", "panel/a/more", "panel/b", "other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "panel/file").write_text("x")
    found = {str(each.relative_to(tmp_path)) for each in searched_folders(tmp_path, mask)}
    assert found == folders


def test_of_a_services_own_files_those_of_its_main_files_kind_count(tmp_path: Path) -> None:
    for name in ("nginx.conf", "mime.types", "conf.d/a.conf", "conf.d/b.old", "x/y/z.conf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    found = [
        Path(each).relative_to(tmp_path).as_posix() for each in own_files(tmp_path / "nginx.conf")
    ]
    assert found == ["nginx.conf", "conf.d/a.conf"]
