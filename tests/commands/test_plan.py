"""plan: a plan is printed in short, or with the diff of every file."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxygen.commands.plan import show
from proxygen.model.layout import Live
from proxygen.plan.rendering import Installation
from proxygen.plan.renewal import Reason
from proxygen.plan.steps import MOST_NAMED, Change, Install, Plan, Reload

NGINX = Installation(
    service="nginx",
    live=Live(Path("/live/nginx")),
    files={},
    links={},
    certificates={},
    pointer=None,
    parameters={},
    readers=None,
    endpoints=(),
    id="0",
)
NEW = Change("/etc/nginx/new.conf", None, "a\nb\n")
CHANGED = Change("/etc/nginx/it.conf", "a\nb\nb\nc\n", "c\nb\nd\n")
GONE = Change("/etc/nginx/old.conf", "a\n" * 1200, None)


def plan(*changes: Change) -> Plan:
    """Return a plan in which these files change."""
    return Plan((Install(NGINX, Reason("changed", "it differs"), changes), Reload("nginx")), ())


def printed(of: Plan, capsys: pytest.CaptureFixture[str], *, diffs: bool) -> list[str]:
    """Return what is printed of a plan."""
    show(of, diffs=diffs)
    return capsys.readouterr().out.splitlines()


def test_a_plan_in_short_names_the_files_and_counts_their_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert printed(plan(NEW, CHANGED, GONE), capsys, diffs=False) == [
        "install nginx: it differs",
        "    3 files:",
        "      /etc/nginx/new.conf (new, lines: 2)",
        "      /etc/nginx/it.conf (lines: 1 added, 2 removed)",
        "      /etc/nginx/old.conf (gone, lines: 1,200)",
        "reload nginx",
    ]
    assert printed(plan(NEW), capsys, diffs=False)[1] == "    1 file:"


def test_a_plan_in_short_stays_short(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(plan(*[NEW] * 1234), capsys, diffs=False)
    assert lines[1] == "    1,234 files:"
    assert lines[-2] == f"      and {1234 - MOST_NAMED:,} more"
    assert len(lines) == MOST_NAMED + 4


def test_a_step_that_changes_no_file_names_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(plan(), capsys, diffs=False) == ["install nginx: it differs", "reload nginx"]


def test_a_plan_in_full_has_the_diff_of_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(plan(NEW, CHANGED), capsys, diffs=True)
    assert lines[:6] == [
        "install nginx: it differs",
        "    --- /dev/null",
        "    +++ /etc/nginx/new.conf",
        "    @@ -0,0 +1,2 @@",
        "    +a",
        "    +b",
    ]
    assert "    +d" in lines
    assert "files:" not in "".join(lines)


def test_what_a_file_holds_is_printed_without_what_moves_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    odd = Change("/etc/\x1b[1mnginx", None, "\x1b[31m\n")
    for diffs in (False, True):
        assert "\x1b" not in "".join(printed(plan(odd), capsys, diffs=diffs))
