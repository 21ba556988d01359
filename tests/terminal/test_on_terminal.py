"""On a terminal: a bar on standard error that goes again, colours, and when there are none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxygen.stores.filesystem import FileStore
from proxygen.stores.names import NameStore
from tests.known_names import LATE, TEXT, A, waiting
from tests.terminal.on_terminal import on_terminal

MANY = 30
MODEL = """\
contact: hostmaster@example.net
global: {url: https://mail.example.net, certificate: selfsigned}
services: {}
domains:
""" + "".join(
    f"  d{each}.example: {{url: www.d{each}.example, certificate: selfsigned}}\n"
    for each in range(MANY)
)
CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root with a model of many domains."""
    (tmp_path / "etc/proxygen").mkdir(parents=True)
    (tmp_path / "etc/proxygen/proxygen.yaml").write_text(MODEL)
    return tmp_path


def screen(written: str) -> list[str]:
    """Return what stands on a terminal in the end, where lines are erased and written again."""
    lines = CONTROL.sub(lambda found: found[0] if found[0] == "\x1b[K" else "", written)
    return [line.rpartition("\x1b[K")[2].rpartition("\r")[2] for line in lines.split("\n")]


def test_long_work_has_a_bar_that_is_gone_in_the_end(root: Path) -> None:
    ran = on_terminal("--root", root, "apply")
    assert ran.code == 0, ran
    assert re.search(rf"certificates \[[#-]{{24}}\] \d+/{MANY + 1}", ran.terminal)
    shown = screen(ran.terminal)
    assert not [line for line in shown if "[" in line]
    assert [line for line in shown if line][-1] == f"{MANY + 1} steps done"


def test_the_bar_is_on_standard_error_alone(root: Path) -> None:
    ran = on_terminal("--root", root, "apply", out=False)
    assert "certificates [" in ran.terminal
    assert "\x1b" not in ran.piped
    assert ran.piped.endswith(f"{MANY + 1} steps done\n")


@pytest.mark.parametrize(
    ("how", "variables"),
    [
        pytest.param({"err": False}, {}, id="in a pipe"),
        pytest.param({}, {"TERM": "dumb"}, id="on a terminal that obeys nothing"),
    ],
)
def test_there_is_no_bar(root: Path, how: dict[str, bool], variables: dict[str, str]) -> None:
    ran = on_terminal("--root", root, "apply", **how, **variables)
    assert "[" not in ran.terminal + ran.piped
    assert "\x1b" not in ran.piped


def test_json_has_none(root: Path) -> None:
    ran = on_terminal("--root", root, "apply", "--json", out=False)
    assert ran.terminal == ""


@pytest.fixture
def waits(tmp_path: Path) -> Path:
    """Return a root with a name that is not ready."""
    (tmp_path / "etc/proxygen").mkdir(parents=True)
    (tmp_path / "etc/proxygen/proxygen.yaml").write_text(TEXT + "services: {}\n")
    NameStore(FileStore(tmp_path / "var/lib/proxygen/store")).note(A, [waiting()])
    return tmp_path


def test_words_of_a_state_have_their_colour(waits: Path) -> None:
    ran = on_terminal("--root", waits, "names", LATE)
    assert "\x1b[33mwaiting for DNS\x1b[0m" in ran.terminal
    ran = on_terminal("--root", waits, "status")
    assert "\x1b[33mnot ready: \x1b[0m" in ran.terminal
    assert "\x1b[31mnothing yet\x1b[0m" in ran.terminal


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "0"}, False),
        ({"TERM": "dumb"}, False),
    ],
    ids=str,
)
def test_who_wants_no_colours_has_none(
    waits: Path, variables: dict[str, str], coloured: bool
) -> None:
    ran = on_terminal("--root", waits, "status", **variables)
    assert bool(COLOUR.search(ran.terminal)) is coloured


def test_what_is_piped_has_no_colours(waits: Path) -> None:
    ran = on_terminal("--root", waits, "names", out=False)
    assert LATE in ran.piped
    assert "\x1b" not in ran.piped
