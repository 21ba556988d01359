"""What is printed of a run in the end: each thing once, by cause, what did not change in a line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxygen.apply.outcome import Outcome
from proxygen.errors import Coded, IssueFailed
from proxygen.failure import RefusedName, Scope, not_obtained
from proxygen.terminal.outcome import not_told_by_failures, print_summary
from tests.counting import grows_with_the_work
from tests.failures import not_issued, unserved
from tests.known_names import URN, refused, waiting
from tests.reports.test_by_cause import host, states, waits


def printed(
    outcome: Outcome, capsys: pytest.CaptureFixture[str], *, verbose: bool = False
) -> tuple[list[str], list[str]]:
    """Return the lines on standard output, and on standard error."""
    print_summary(outcome, verbose=verbose)
    shown = capsys.readouterr()
    return shown.out.splitlines(), shown.err.splitlines()


@pytest.mark.parametrize("count", [1, 30, 1000])
def test_names_that_are_not_ready_are_a_line_however_many(
    count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tuple(states(*(waiting(host(each)) for each in range(count))))
    warnings = [Coded(f"{each.name}: waiting for DNS", "unproven", each.name) for each in names]
    waiting_ = [waits(0, "names", f"{host(0)} cannot be proven", name=host(0))]
    out, err = printed(Outcome(names=names, warnings=[*warnings], waiting=waiting_), capsys)
    assert out == ["nothing to do now"]
    assert err[0].startswith("not ready: ")
    assert [err[1]] == err[1:]
    assert "as www.d0.example is not ready" in err[1]


def test_names_that_are_as_at_the_last_run_are_a_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = tuple(states(*(waiting(host(each)) for each in range(312))))
    same = frozenset(each.name for each in names)
    _, err = printed(Outcome(names=names, unchanged=same), capsys)
    assert err == ["312 names are not ready, as at the last run: see `proxygen names`"]
    _, err = printed(Outcome(names=names, unchanged=same - {host(0)}), capsys)
    assert [each.partition(":")[0] for each in err] == [
        "not ready",
        "311 more names are not ready, as at the last run",
    ]
    _, err = printed(Outcome(names=names, unchanged=same), capsys, verbose=True)
    assert len(err) == 313
    _, err = printed(Outcome(names=names[:1], unchanged=same), capsys)
    assert err == ["1 name is not ready, as at the last run: see `proxygen names`"]


def test_a_name_of_which_a_failure_tells_is_not_told_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (name,) = states(refused(host(0), f"{URN}:connection"))
    said = RefusedName(name.name, f"{URN}:connection", "no")
    error = IssueFailed(not_obtained("names-refused", names=(name.name,), refused=(said,)))
    outcome = Outcome(names=(name,), failures=[("d0.example", error)])
    _, err = printed(outcome, capsys)
    assert err[0] == "0 steps done; not done:"
    assert err[1].startswith("d0.example: the authority refused www.d0.example")
    assert not [line for line in err if line.startswith("not ready")]


def test_what_a_failure_tells_is_no_warning_besides(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(
        failures=[("nginx", unserved()), ("a.example", not_issued("no"))],
        warnings=[Coded("nginx did not serve what is wanted", "not-served", "nginx")],
    )
    _, err = printed(outcome, capsys)
    assert "\n".join(err).count("nginx: ") == 1
    assert "did not serve" not in "\n".join(err)


def test_what_was_done_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(Outcome(done=["one"]), capsys) == (["1 step done"], [])
    assert printed(Outcome(done=["one"] * 1200), capsys) == (["1,200 steps done"], [])
    assert printed(Outcome(), capsys) == (["nothing to do"], [])


def test_the_url_of_a_challenge_stands_in_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://{host(0)}/.well-known/acme-challenge/token"
    known = refused(host(0), f"{URN}:connection")
    assert known.refusal
    told = replace(known.refusal, words=f"Fetching {url}: Timeout during connect")
    names = tuple(states(replace(known, refusal=told)))
    _, err = printed(Outcome(names=names), capsys)
    assert err == [
        f"not ready: {host(0)}: the authority refused it: Fetching http://{host(0)}/…: "
        "Timeout during connect"
    ]


def test_why_an_authority_cannot_be_used_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    words = "the ACME directory https://ca/dir cannot be used: no answer"
    waiting_ = [waits(each, "authority", words) for each in range(40)]
    _, err = printed(Outcome(waiting=waiting_), capsys)
    assert err[0].startswith("40 certificates are postponed ")
    assert "as their authority cannot be used: d0.example" in err[0]
    assert err[2:] == [f"  | {words}"]
    failed = IssueFailed(not_obtained("no-nonce", Scope.AUTHORITY, "https://ca/dir"))
    _, err = printed(Outcome(waiting=waiting_, failures=[("a.example", failed)]), capsys)
    assert words not in "\n".join(err)


def test_many_warnings_and_failures_cost_what_they_are() -> None:
    def summarize(count: int) -> None:
        names = [f"d{each}.example" for each in range(count)]
        outcome = Outcome(
            failures=[(of, not_issued("no")) for of in names],
            warnings=[Coded(f"{of} expires", "ending", of) for of in names],
        )
        assert len([*not_told_by_failures(outcome)]) == count

    assert grows_with_the_work(summarize, 400)
