"""plan: a plan is printed in short, or with the diff of every file."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxygen.commands.plan import MOST_SHOWN, print_plan
from proxygen.errors import Coded, Origin
from proxygen.model.certificate import Certificate
from proxygen.model.layout import Live
from proxygen.plan.rendering import Rendering
from proxygen.plan.renewal import Reason
from proxygen.plan.steps import MOST_NAMED, Change, Install, Issue, Plan, Reload, ShownCertificate

HERE = Origin("proxygen.yaml", 1, 1)

NGINX = Rendering(
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
    print_plan(of, diffs=diffs)
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


def issues(count: int) -> Plan:
    """Return a plan that issues so many certificates for one reason, and the global one."""
    first = Issue(Certificate("global", ("mail.example.net",), "acme", HERE), Reason("due", "due"))
    more = (
        Issue(
            Certificate(f"d{each}.example", (f"www.d{each}.example",), "acme", HERE),
            Reason("absent", "no certificate yet"),
            left_out=("late.example",) if each == 0 else (),
        )
        for each in range(count)
    )
    return Plan((first, *more), ())


@pytest.mark.parametrize("count", [30, 1000])
def test_steps_that_differ_in_the_certificate_alone_are_one_line(
    count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed(issues(count), capsys, diffs=False) == [
        "issue the certificate of global (acme): due",
        f"issue {count:,} certificates (acme): no certificate yet: d0.example, d1.example, "
        f"d2.example and {count - 3:,} more; 1 of them without names that are not ready",
    ]
    print_plan(issues(count), diffs=False, verbose=True)
    assert len(capsys.readouterr().out.splitlines()) == count + 1


def test_few_steps_are_told_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(printed(issues(3), capsys, diffs=False)) == 4


def test_what_clients_receive_is_a_line_for_all_of_whom_the_same_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now, then, later = Coded("nothing", "nothing"), Coded("the global one", "valid"), None
    same = [
        ShownCertificate(f"{e}", f"www.d{e}.example", ("nginx",), now, then, later)
        for e in range(30)
    ]
    own = ShownCertificate(
        "x", "www.x.example", ("nginx", "postfix"), now, then, Coded("a new one", "new")
    )
    of = Plan((), (), shown=(*same, own))
    assert printed(of, capsys, diffs=False)[:2] == [
        "clients of 30 URLs (www.d0.example, www.d1.example, www.d2.example and 27 more) receive "
        "from nginx: now: nothing; then: the global one",
        "clients of www.x.example receive from nginx, postfix: now: nothing; then: the global one; "
        "later: a new one",
    ]
    other = [
        ShownCertificate(f"{e}", f"{e}", ("nginx",), now, Coded(f"{e}", "own")) for e in range(1000)
    ]
    lines = printed(Plan((), (), shown=tuple(other)), capsys, diffs=False)
    assert lines[MOST_SHOWN] == "… and of 990 more URLs: --verbose shows all"
    assert len(lines) == MOST_SHOWN + 2
