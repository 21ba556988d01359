"""Log lines: one event a line, whatever stands in it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxygen.host import logs
from tests.live.processes import environment

HOSTILE = 'x\n<0>forged owner=b "\\ \x1b[2J\u202e\u2028\x85\ud800 end'


def record(name: str, level: int = logging.INFO, **fields: object) -> logging.LogRecord:
    """Return the record of one event."""
    made = logging.LogRecord("proxygen", level, "", 0, name, (), None)
    made.fields = fields
    made.created = 1_800_000_000.25
    return made


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a.example", "a.example"),
        ("two words", '"two words"'),
        ("", '""'),
        ('say "x"\\', '"say \\"x\\"\\\\"'),
        ("a=b", '"a=b"'),
        (("start", "due"), "start,due"),
        (1.25, "1.250"),
        (True, "True"),
        (datetime(2026, 12, 1, 3, 4, 5, 999, UTC), "2026-12-01T03:04:05+00:00"),
        ("Büro", '"Büro"'),
    ],
)
def test_values_are_quoted_where_they_hold_anything_unusual(value: object, shown: str) -> None:
    line = logs.LogfmtFormatter(journal=True).format(record("round_begun", because=value))
    assert line == f"<6>round_begun because={shown}"


def test_nothing_from_outside_can_forge_a_line_or_a_field() -> None:
    line = logs.LogfmtFormatter(journal=True).format(record("failed", owner=HOSTILE, what="said"))
    assert line.isprintable()
    assert line.startswith('<6>failed owner="x\\n<0>forged owner=b \\"')
    assert line.endswith(' end" what=said')


def test_json_is_one_ascii_object_a_line() -> None:
    fields: dict[str, Any] = {"owner": HOSTILE, "steps": 3, "because": ("a", "b"), "none": None}
    line = logs.JsonFormatter(journal=False).format(record("failed", logging.WARNING, **fields))
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2027-01-15T08:00:00.250+00:00",
        "level": "warning",
        "event": "failed",
        "owner": HOSTILE,
        "steps": 3,
        "because": ["a", "b"],
    }


def test_an_endless_value_is_bounded() -> None:
    assert (
        len(logs.LogfmtFormatter(journal=True).format(record("failed", what="x" * 10**6)))
        < 48 * 1024
    )


def test_a_line_for_people_begins_with_time_and_level() -> None:
    line = logs.LogfmtFormatter(journal=False).format(record("stopped", logging.ERROR))
    assert line == "2027-01-15T08:00:00.250+00:00 error stopped"


PROGRAM = """
import logging, os, sys
from proxygen.host import logs
environment = dict(os.environ)
if sys.argv[2] == "journal":
    status = os.fstat(2)
    environment["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
logs.start_logging("text", sys.argv[1], environment)
logs.log_event(logging.DEBUG, "detail")
logs.log_event(logging.INFO, "began", owner="a.example")
logging.getLogger("urllib3").warning("retrying %s", "https://x.example\\n<0>boo")
logging.getLogger("urllib3").info("chatter")
try:
    raise ZeroDivisionError("oh")
except ZeroDivisionError:
    logs.log_exception("round_failed", again_in=1.0)
"""


def said(level: str, where: str, tmp_path: Path) -> list[str]:
    """Return the lines that a program logs at a level."""
    command = [sys.executable, "-c", PROGRAM, level, where]
    surroundings = environment(JOURNAL_STREAM="1:2", PYTHONPATH=os.pathsep.join(sys.path))
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, env=surroundings, cwd=tmp_path
    )
    return run.stderr.splitlines()


def test_the_journal_is_told_priorities(tmp_path: Path) -> None:
    began, library, failed = said("info", "journal", tmp_path)
    assert began == "<6>began owner=a.example"
    assert library == '<4>log logger=urllib3 message="retrying https://x.example\\n<0>boo"'
    assert failed.startswith('<3>round_failed again_in=1.000 traceback="Traceback')
    assert failed.endswith('ZeroDivisionError: oh"')


def test_what_is_not_the_journal_is_told_times_and_levels(tmp_path: Path) -> None:
    began, *_ = said("info", "file", tmp_path)
    assert began.endswith(" info began owner=a.example")


def test_the_level_chooses_our_events_alone(tmp_path: Path) -> None:
    assert any("detail" in line for line in said("debug", "journal", tmp_path))
    assert not any("chatter" in line for line in said("debug", "journal", tmp_path))
    assert [line[:3] for line in said("error", "journal", tmp_path)] == ["<4>", "<3>"]
