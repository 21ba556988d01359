"""What a run did, as commands print it in the end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

import click

from proxygen.errors import Coded, IssueFailed, NotServed
from proxygen.failure import Scope
from proxygen.languages.counts import counted_words
from proxygen.reports.by_cause import (
    AUTHORITY,
    CauseGroup,
    failure_lines,
    failures_by_cause,
    names_by_cause,
    postponed_by_cause,
    warning_lines,
    warnings_by_kind,
)
from proxygen.reports.document import json_document
from proxygen.terminal.colours import RED, YELLOW
from proxygen.terminal.printing import print_text

if TYPE_CHECKING:
    from proxygen.apply.outcome import Outcome
    from proxygen.model.former import Removal, SetAside
    from proxygen.texts.names import ModelName


def told_all(outcome: Outcome, *, as_json: bool, verbose: bool = False) -> int:
    """Print what a run did; return the exit code."""
    if as_json:
        click.echo(json_document(outcome.as_json()))
    else:
        print_summary(outcome, verbose=verbose)
    return outcome.exit_code


def print_summary(outcome: Outcome, *, verbose: bool = False) -> None:
    """Say in the end what failed, what is worth knowing, and that all is well when it is."""
    show_warnings(not_told_by_failures(outcome), verbose)
    show_names(not_refused_now(outcome), outcome.unchanged, verbose)
    show_groups(postponed_by_cause(outcome.waiting, causes_told(outcome)), verbose)
    show_kept((*outcome.held_back, *outcome.set_aside))
    if outcome.locked:
        print_text(f"no certificate was obtained: {outcome.locked}", err=True)
    if outcome.not_done:
        print_text(f"{summary_beginning(outcome)}:", err=True, colour=RED)
        for group in failures_by_cause(outcome.not_done):
            for line in failure_lines(group, verbose=verbose):
                print_text(line, err=True)
    elif outcome.done:
        print_text(f"{steps_in_words(outcome)} done")
    else:
        print_text("nothing to do now" if outcome.waiting else "nothing to do")


def causes_told(outcome: Outcome) -> set[str]:
    """Return for which names, and whether for authorities, it is told why they are postponed."""
    failures = (error.failure for _, error in outcome.failures)
    whole = {AUTHORITY for failure in failures if failure.scope is Scope.AUTHORITY}
    return whole | {each.name for each in outcome.names}


def not_told_by_failures(outcome: Outcome) -> Iterator[str]:
    """Yield the warnings, but those that say of a service what a failure tells."""
    unserved = {of for of, error in outcome.not_done if isinstance(error, NotServed)}
    told = {"refused": {of for of, _ in outcome.failures}}
    told |= dict.fromkeys(("not-running", "not-served"), unserved)
    for each in outcome.warnings:
        if not isinstance(each, Coded) or each.of not in told.get(each.code, ()):
            yield each


def is_unproven(warning: str) -> bool:
    """Return whether a warning is about a name that is not ready."""
    return isinstance(warning, Coded) and warning.code == "unproven"


def not_refused_now(outcome: Outcome) -> list[ModelName]:
    """Return the names that are not ready, but those of which a failure of this run tells."""
    failures = (error.failure for _, error in outcome.failures if isinstance(error, IssueFailed))
    refused = {each.name for failure in failures for each in failure.refused}
    return [each for each in outcome.names if each.name not in refused]


def show_warnings(warnings: Iterable[str], verbose: bool) -> None:
    """Print warnings, those of a kind together; what is said of names tells which are not ready."""
    others = (each for each in warnings if not is_unproven(each))
    for group in warnings_by_kind(others):
        for line in warning_lines(group, verbose=verbose):
            print_text(line, err=True, colour=YELLOW, first="warning: ")


def show_names(names: Collection[ModelName], unchanged: Collection[str], verbose: bool) -> None:
    """Print which names are not ready, by cause; those that are as at the last run, in one line."""
    new = [each for each in names if verbose or each.name not in unchanged]
    show_groups(names_by_cause(new), verbose, "not ready: ")
    if left := len(names) - len(new):
        more = " more" if new else ""
        what = f"1{more} name is" if left == 1 else f"{left:,}{more} names are"
        print_text(f"{what} not ready, as at the last run: see `proxygen names`", err=True)


def show_groups(groups: Iterable[CauseGroup], verbose: bool, first: str = "") -> None:
    """Print groups to standard error, *first* before the first line of each."""
    for group in groups:
        for number, line in enumerate(group.lines(verbose=verbose)):
            label = "" if number else first
            print_text(line, err=True, first=label, colour=YELLOW if label else None)


def show_kept(kept: Iterable[Removal | SetAside]) -> None:
    """Print which removals are held back, and which included files are set aside."""
    for each in kept:
        print_text(str(each), err=True)


def summary_beginning(outcome: Outcome) -> str:
    """Return how what is told of failures begins."""
    if outcome.failures:
        return f"{steps_in_words(outcome)} done; not done"
    done = f"{steps_in_words(outcome)} done" if outcome.done else "nothing to do"
    return f"{done}, but not all is served"


def steps_in_words(outcome: Outcome) -> str:
    """Return how many steps were done, in words."""
    return counted_words(len(outcome.done), "step")
