"""By cause: what is wrong with one, with thirty and with a thousand, in few lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from proxygen.apply.change import not_running
from proxygen.errors import Coded, IssueFailed, ProxygenError
from proxygen.failure import RefusedName, Scope, failure, not_obtained, typed_failure
from proxygen.model.certificate import Certificate
from proxygen.names.states import Answers, NameState, State
from proxygen.plan.backoff import RememberedFailure
from proxygen.plan.steps import PostponedOrder
from proxygen.reports.by_cause import (
    SEVERAL_NAMES,
    CauseGroup,
    causes_in_short,
    failed_orders_by_cause,
    failure_lines,
    failures_by_cause,
    name_causes,
    names_by_cause,
    postponed_by_cause,
    warning_lines,
    warnings_by_kind,
)
from proxygen.texts.names import ModelName, model_names
from tests.certificates import NOON
from tests.failures import no, not_issued, unserved
from tests.known_names import FINDINGS, NOT_GRAVE, URN, finding, refused, waiting
from tests.models import site

HOUR = timedelta(hours=1)
LIMITS = "the rate limits of https://ca/dir have been reached"


def model(count: int) -> str:
    """Return a model of so many domains, each with one name for which an authority is asked."""
    lines = "".join(
        f"  d{each}.example: {{url: www.d{each}.example, certificate: acme}}\n"
        for each in range(count)
    )
    return (
        "global: {url: mail.example.net, certificate: selfsigned}\n"
        f"acme: {{terms_of_service_agreed: true}}\ndomains:\n{lines}"
    )


def host(number: int) -> str:
    """Return the name of a domain's URL."""
    return f"www.d{number}.example"


def states(*known: NameState, answers: Answers | None = None) -> list[ModelName]:
    """Return how the first names of the domains stand."""
    book = {f"d{number}.example": {each.name: each} for number, each in enumerate(known)}
    every = model_names(site(model(len(known))), {}, book, NOON, answers)
    return [each for each in every if each.owner.key != "global"]


def lines(groups: Iterable[CauseGroup], *, verbose: bool = False) -> list[str]:
    """Return all lines of groups."""
    return [line for each in groups for line in each.lines(verbose=verbose)]


def test_one_name_is_told_with_its_details() -> None:
    assert lines(names_by_cause(states(waiting(host(0))))) == [
        "www.d0.example: the A record 198.51.100.7 points to another server (404 Not Found)"
    ]


@pytest.mark.parametrize("count", [30, 1000])
def test_many_names_are_a_line_for_each_cause_the_largest_first(count: int) -> None:
    away = [waiting(host(each)) for each in range(count - 4)]
    gone = [waiting(host(each), finding("no-address")) for each in range(count - 4, count - 2)]
    no_ = [refused(host(each), f"{URN}:connection") for each in range(count - 2, count)]
    every = states(*away, *gone, *no_)
    assert lines(names_by_cause(every)) == [
        f"{count - 4:,} names lead elsewhere: www.d0.example, www.d1.example, www.d2.example"
        f" and {count - 7:,} more",
        f"2 names have neither an A nor an AAAA record: {host(count - 4)}, {host(count - 3)}",
        "2 names were refused: the authority could not connect to their web server: "
        f"{host(count - 2)}, {host(count - 1)}",
    ]
    verbose = lines(names_by_cause(every), verbose=True)
    assert len(verbose) == count + 3
    assert verbose[1].startswith("  www.d0.example: the A record 198.51.100.7 points to another")
    assert causes_in_short(every) == (
        f"{count - 4:,} lead elsewhere; 2 have neither an A nor an AAAA record; "
        "2 were refused: the authority could not connect to their web server"
    )


@pytest.mark.parametrize("code", sorted(FINDINGS.keys() - NOT_GRAVE - {"unknown"}))
def test_every_finding_because_of_which_names_wait_has_its_words(code: str) -> None:
    assert code in SEVERAL_NAMES


def test_what_a_later_version_found_has_some_too() -> None:
    found = [waiting(host(each), replace(finding("caa"), code="later")) for each in range(2)]
    assert lines(names_by_cause(states(*found))) == [
        "2 names are not ready: www.d0.example, www.d1.example"
    ]


def test_a_name_for_which_the_web_server_does_not_answer_is_not_ready() -> None:
    known = [NameState(host(each), NOON + HOUR) for each in range(3)]
    answers = Answers(frozenset({host(1)}), frozenset({host(0)}))
    silent, ready, unasked = states(*known, answers=answers)
    assert (silent.state, silent.title) == (State.WAITING, "waiting for the web server")
    assert silent.words == "the web server here does not answer challenges for it"
    assert silent.needs_attention
    assert (ready.state, ready.answered) == (State.READY, True)
    assert (unasked.state, unasked.answered) == (State.READY, None)
    assert lines(names_by_cause([silent, replace(silent, name=host(9))])) == [
        "2 names get no answer to challenges from the web server here: "
        "www.d0.example, www.d9.example"
    ]


def test_what_changed_is_seen_by_the_cause() -> None:
    before = name_causes(states(waiting(host(0)), waiting(host(1))))
    after = name_causes(states(waiting(host(0)), waiting(host(1), finding("no-address"))))
    assert {name for _, name, _ in before & after} == {host(0)}


# Warnings.


def warned(warnings: Iterable[str], *, verbose: bool = False) -> list[str]:
    """Return all lines of warnings."""
    groups = warnings_by_kind(warnings)
    return [line for each in groups for line in warning_lines(each, verbose=verbose)]


def test_warnings_of_a_kind_are_one_line_and_each_is_told_once() -> None:
    ended = [Coded(f"the certificate of d{each} ended", "ended", f"d{each}") for each in range(5)]
    others = [Coded("nginx is not running", "not-running", "nginx"), "it rains", "it rains"]
    assert warned([*ended, *others]) == [
        "5 certificates have expired: d0, d1, d2 and 2 more",
        "nginx is not running",
        "it rains",
    ]
    blocks = [Coded(f"nginx: a server block {each}", "two-server-blocks") for each in range(1000)]
    assert warned(blocks)[2:] == [blocks[2], "… and 997 more of this kind: --verbose shows all"]
    assert len(warned(blocks, verbose=True)) == 1000
    assert warned(ended, verbose=True) == list(ended)
    assert warned(ended[:1]) == list(ended[:1])


# Certificates.


def wanted(number: int) -> Certificate:
    """Return a certificate of the model."""
    return next(
        each for each in site(model(number + 1)).certificates if each.owner == f"d{number}.example"
    )


def waits(number: int, code: str, words: str, **more: object) -> PostponedOrder:
    """Return a certificate that is postponed, each an hour longer."""
    until = NOON + (number + 1) * HOUR
    return PostponedOrder(wanted(number), until, code, typed_failure(words), **more)  # type: ignore[arg-type]


def test_certificates_that_are_postponed_for_the_same_are_one_line() -> None:
    failed = [waits(each, "failed", f"after 1 failure: {each}") for each in range(5)]
    limited = [waits(each, "limit", LIMITS) for each in range(5, 7)]
    assert lines(postponed_by_cause([*failed, *limited])) == [
        "5 certificates are postponed (the first until 2026-11-20 13:00 UTC, the last until "
        "2026-11-20 17:00 UTC), after failures of earlier runs: d0.example, d1.example, "
        "d2.example and 2 more",
        "  do: `proxygen apply d0.example` tries it now",
        "2 certificates are postponed (the first until 2026-11-20 18:00 UTC, the last until "
        f"2026-11-20 19:00 UTC), as {LIMITS}: d5.example, d6.example",
    ]


def test_one_certificate_is_told_until_when_and_why() -> None:
    assert lines(postponed_by_cause([waits(0, "failed", "after 1 failure: no")])) == [
        "d0.example: postponed until 2026-11-20 13:00 UTC: after 1 failure: no",
        "  do: `proxygen apply d0.example` tries it now",
    ]
    asked = waits(0, "failed", "after 1 failure: no", asked=True)  # the authority named the moment
    assert len(lines(postponed_by_cause([asked]))) == 1


def test_why_a_name_is_not_ready_is_not_told_again_of_its_certificate() -> None:
    one = waits(0, "names", f"{host(0)} cannot be proven: it leads elsewhere", name=host(0))
    assert lines(postponed_by_cause([one], {host(0)})) == [
        "d0.example: postponed until 2026-11-20 13:00 UTC, as www.d0.example is not ready"
    ]
    assert "it leads elsewhere" in lines(postponed_by_cause([one]))[0]


def refusal(number: int) -> IssueFailed:
    """Return the refusal of a name that the authority could not connect to."""
    words = f"Fetching http://{host(number)}/.well-known/acme-challenge/{number}: refused"
    part = failure("acme-connection", Scope.OWNER, host(number))
    return IssueFailed(
        not_obtained(
            "names-refused",
            names=(host(number),),
            parts=(part,),
            words=words,
            refused=(RefusedName(host(number), f"{URN}:connection", words),),
        )
    )


def failed(failures: Iterable[tuple[str, ProxygenError]], *, verbose: bool = False) -> list[str]:
    """Return all lines of failures."""
    groups = failures_by_cause(failures)
    return [line for each in groups for line in failure_lines(each, verbose=verbose)]


@pytest.mark.parametrize("count", [30, 1000])
def test_orders_that_failed_for_the_same_are_told_once(count: int) -> None:
    failures = [(f"d{each}.example", refusal(each)) for each in range(count)]
    told = failed([*failures, ("nginx", unserved())])
    assert told[0] == (
        f"d0.example, d1.example, d2.example and {count - 3:,} more: the authority refused their "
        "names: it could not connect to the web server of the name"
    )
    assert told[1].startswith("  do: port 80 of every A and AAAA address")
    assert told[2].startswith("  | ")
    assert told[3].startswith("nginx: ")
    assert len(failed(failures)) == 3
    verbose = "\n".join(failed(failures, verbose=True))
    assert all(f"d{each}.example: " in verbose for each in range(count))


def test_one_that_failed_is_told_with_all_that_is_known() -> None:
    (text,) = failed([("a.example", not_issued("no"))])
    assert text == f"a.example: {not_issued('no')}"


def test_what_is_the_same_for_several_is_told_as_it_is() -> None:
    told = failed([("a.example", not_issued("no")), ("b.example", not_issued("no"))])
    assert "\n".join(told) == f"a.example, b.example: {not_issued('no')}"


def test_failures_of_former_runs_are_told_with_the_next_try() -> None:
    def attempt(number: int) -> RememberedFailure:
        of = f"d{number}.example"
        return RememberedFailure(of, NOON, NOON - HOUR, 2, NOON + HOUR, no(f"it is {number}"))

    assert lines(failed_orders_by_cause([attempt(0)], NOON))[0] == (
        "d0.example: last error 2026-11-20 12:00 UTC, 2 times since 2026-11-20 11:00 UTC: "
        f"{no('it is 0').what}; next attempt 2026-11-20 13:00 UTC"
    )
    many = lines(failed_orders_by_cause(map(attempt, range(40)), NOON))
    assert many[0].startswith("40 certificates could not be obtained: ")
    assert many[0].endswith(": d0.example, d1.example, d2.example and 37 more")
    assert len(many) <= 5


def test_each_service_is_told_by_itself_with_what_to_do_about_it() -> None:
    found = failures_by_cause((name, not_running(name)) for name in ("nginx", "postfix"))
    told = [line for group in found for line in failure_lines(group)]
    assert len(told) == 2
    assert all(
        f"systemctl start {name}" in line
        for name, line in zip(("nginx", "postfix"), told, strict=True)
    )
