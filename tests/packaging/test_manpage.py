"""The man page: all that --help prints, and man's own opinion of it."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from types import ModuleType

import pytest

from proxygen.cli import entry
from tests.live.needs import needs
from tests.test_docs import COMMANDS, commands, options

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def text(manpage: ModuleType) -> str:
    """Return the page."""
    page: str = manpage.page(entry, "0.1.0", NOON, COMMANDS)
    return page


@pytest.fixture(scope="module")
def rendered(text: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the page as man shows it, in one line."""
    path = tmp_path_factory.mktemp("man") / "proxygen.8"
    path.write_text(text)
    run = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "--", path],
        env={
            "PATH": "/usr/bin:/bin",
            "MANWIDTH": "2000",
            "LC_ALL": "C.UTF-8",
            "MAN_KEEP_FORMATTING": "",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stderr == ""
    return one_line(run.stdout)


def one_line(text: str) -> str:
    """Return text without its line breaks, backticks and marks for click."""
    return re.sub(r"\s+", " ", text.replace("\b", "").replace("`", ""))


@needs("man")
def test_man_shows_every_word_of_the_help(rendered: str) -> None:
    for name, command in commands():
        assert f"proxygen {name} " in rendered
        assert one_line(str(command.help)).strip() in rendered, name
        for option in options(command):
            assert option in rendered


@needs("man")
def test_man_shows_the_exit_codes_of_the_documents(rendered: str) -> None:
    codes = set(re.findall(r"(?m)^\| (\d+) \|", COMMANDS))
    told = rendered.partition(" EXIT STATUS ")[2].partition(" FILES ")[0]
    assert set(re.findall(r"(?:^| )(\d+) (?=[a-z])", told)) == codes


def test_the_page_says_what_it_is_of_in_one_line(text: str) -> None:
    assert ".SH NAME\nproxygen \\- keep the TLS certificates" in text


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (".so /etc/passwd", r"\&.so /etc/passwd"),
        ("a-b `c-d` \\x", r"a\-b \fBc\-d\fR \ex"),
        ("`x` first", r"\fBx\fR first"),
        ("'s", r"\(aqs"),
    ],
)
def test_no_text_is_taken_for_a_request(manpage: ModuleType, typed: str, shown: str) -> None:
    assert manpage.marked(typed) == shown


def test_a_paragraph_that_click_leaves_as_it_is_keeps_its_lines(manpage: ModuleType) -> None:
    assert [*manpage.paragraphs("a\nb\n\n\b\nc\nd")] == ["a b", ".PP", ".nf", "c", "d", ".fi"]
