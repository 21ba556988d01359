"""How much of a model is read: what is larger than anybody needs is told, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.test_cli import including, proxygen
from tests.commands.test_cli import root as root
from tests.live.needs import needs

MEBIBYTE = 1024 * 1024
MEMORY = 400 * MEBIBYTE


def numbered(begin: str, line: str, largest: int = 4 * MEBIBYTE) -> str:
    """Return a file as large as is read, of numbered lines."""
    size = len(line.format(1_000_000))
    return begin + "".join(line.format(each) for each in range((largest - len(begin)) // size))


@needs("prlimit")
@pytest.mark.parametrize(
    ("begin", "line"),
    [
        pytest.param("domains:\n", " {0}_:\n", id="names"),
        pytest.param("", "{0}:\n", id="unknown fields of the file"),
        pytest.param("domains:\n", " c{0}.example: {{x: 1}}\n", id="an unknown field each"),
        pytest.param(
            "domains:\n",
            " c{0}.example: {{" + ",".join(map(str, range(900))) + "}}\n",
            id="many unknown fields each",
        ),
        pytest.param("domains:\n c.example:\n", "  {0}:\n", id="many unknown fields of one"),
        pytest.param("global:\n", " {0}:\n", id="many below another word"),
        pytest.param(
            "domains:\n",
            " c{0}.example: {{extra_names: [" + ",".join("1" * 99) + "]}}\n",
            id="extra names",
        ),
        pytest.param("domains:\n", " c{0}.example:\n C{0}.example:\n", id="domains again"),
        pytest.param("domains:\n", " a{0}: " + "[" * 14 + "]" * 14 + "\n", id="lists in lists"),
        pytest.param("domains: [", "[],", id="empty lists"),
    ],
)
def test_the_worst_file_takes_little_memory(root: Path, begin: str, line: str) -> None:
    (including(root) / "a.yaml").write_text(numbered(begin, line))
    run = subprocess.run(
        [
            *("prlimit", f"--data={MEMORY}", sys.executable, "-m", "proxygen"),
            *("--root", str(root), "validate"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 3, run.stderr[-2000:]
    assert len(run.stderr) < 200_000


def told(root: Path, text: str) -> str:
    """Return what `validate` says against an included file."""
    folder = root / "etc/proxygen/domains.d"
    (folder if folder.is_dir() else including(root)).joinpath("a.yaml").write_text(text)
    run = proxygen("--root", root, "validate")
    assert run.returncode == 3, run.stderr
    return run.stderr


def test_a_mapping_has_at_most_a_thousand_keys(root: Path) -> None:
    fields = "".join(f"  x{each}: 1\n" for each in range(1001))
    said = told(root, f"domains:\n a.example:\n{fields}")
    assert "this mapping has more than 1,000 keys" in said
    assert "a.yaml:1003:3" in said
    assert "global: this mapping has more than 1,000 keys" in told(root, f"global:\n{fields}")


def test_a_file_has_at_most_so_many_values(root: Path) -> None:
    assert "the file has more than 500,000 values" in told(root, numbered("domains: [", "a,"))


@pytest.mark.parametrize("name", ["ü{0}.example", "xn--{0}-eva.example"])
def test_international_names_count_as_more(root: Path, name: str) -> None:
    few = "".join(f" {name.format(each)}:\n" for each in range(60_000))
    assert "the file has more than 500,000 values" in told(root, f"domains:\n{few}")


def test_the_domains_of_all_files_are_bounded(root: Path) -> None:
    folder = including(root)
    for each in "abcd":
        lines = "".join(f" {each}{number}.example:\n" for number in range(100_000))
        (folder / f"{each}.yaml").write_text(f"domains:\n{lines}")
    run = proxygen("--root", root, "validate")
    assert run.returncode == 3, run.stderr
    assert "a.yaml" not in run.stderr
    assert "b.yaml" not in run.stderr
    for each in "cd":
        assert (
            f"{each}.yaml was not read: with it the model has more than 250,000 domains"
            in run.stderr
        )


def test_the_octets_of_all_files_are_bounded(root: Path) -> None:
    folder = including(root)
    comments = numbered("", "# nothing\n")[: 4 * MEBIBYTE].ljust(4 * MEBIBYTE, "\n")
    for number in range(16):
        (folder / f"{number:02}.yaml").write_text(comments)
    assert proxygen("--root", root, "validate").returncode == 0
    for name in ("16", "17"):
        (folder / f"{name}.yaml").write_text("domains: {}\n")
    run = proxygen("--root", root, "validate")
    assert run.returncode == 3
    assert "15.yaml" not in run.stderr
    assert "16.yaml cannot be read: the files before it and this one have more" in run.stderr
    assert "17.yaml cannot be read" in run.stderr


def test_the_model_file_is_bounded(root: Path) -> None:
    model = root / "etc/proxygen/proxygen.yaml"
    with model.open("a") as file:
        file.truncate(32 * MEBIBYTE + 1)
    run = proxygen("--root", root, "validate")
    assert run.returncode == 2
    assert "is larger than 32 MiB" in run.stderr
    assert "do: move domains into files that `include` names" in run.stderr


def test_many_mistakes_of_very_many_files_are_kept_in_part(root: Path) -> None:
    folder = including(root)
    for each in range(30):
        (folder / f"{each:02}.yaml").write_text("".join(f"x{n}: 1\n" for n in range(200)))
    run = proxygen("--root", root, "validate")
    assert run.returncode == 3
    assert len([each for each in run.stderr.splitlines() if each.startswith("  at: ")]) == 300
    assert all(f"{each:02}.yaml" in run.stderr for each in (0, 1))


def test_a_name_that_one_file_claims_twice_is_anothers(root: Path) -> None:
    folder = including(root)
    claim = "{url: same.example}"
    (folder / "a.yaml").write_text(f"domains: {{a.example: {claim}, b.example: {claim}}}")
    (folder / "b.yaml").write_text(f"domains: {{c.example: {claim}}}")
    (folder / "c.yaml").write_text(f"domains: {{d.example: {claim}}}")
    run = proxygen("--root", root, "validate")
    assert run.returncode == 3, run.stderr
    assert "Traceback" not in run.stderr
    assert "a.yaml is set aside" in run.stderr
    assert "b.yaml is set aside" not in run.stderr
    assert "c.yaml is set aside" in run.stderr


def test_of_the_mistakes_that_set_many_files_aside_few_are_told(root: Path) -> None:
    folder = including(root)
    for each in range(30):
        (folder / f"{each:02}.yaml").write_text("".join(f"x{n}: 1\n" for n in range(50)))
    run = proxygen("--root", root, "plan")
    assert run.returncode == 9, run.stderr
    told = [line for line in run.stderr.splitlines() if line.startswith("  at: ")]
    assert len(told) <= 300 + 30
    assert all(f"{each:02}.yaml is set aside" in run.stderr for each in range(30))
