"""plan: what would be done and why, with diffs if wanted; nothing is touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import click

from proxygen.languages.counts import some_names
from proxygen.model.hosts import readable_name
from proxygen.model.layout import Layout
from proxygen.plan.steps import Forget, Install, Issue, Plan, ShownCertificate, Step
from proxygen.reports.by_cause import (
    failure_lines,
    failures_by_cause,
    names_by_cause,
    postponed_by_cause,
)
from proxygen.reports.document import json_document
from proxygen.reports.plan import PlanReport, plan_report
from proxygen.terminal.arguments import JSON, VERBOSE
from proxygen.terminal.outcome import show_groups, show_kept, show_warnings
from proxygen.terminal.printing import print_line, print_text
from proxygen.terminal.supplied import show_supplied

FEW = 3
"""Steps, or URLs, of a kind that are told one by one."""
MOST_SHOWN = 10
"""Lines about what clients receive."""


@click.command
@click.option("--diff", "diffs", is_flag=True, help="Show how every file changes.")
@VERBOSE
@JSON
@click.pass_obj
def command(layout: Layout, diffs: bool, verbose: bool, as_json: bool) -> int:
    """Show what `apply` would do, and why. Nothing is changed.

    Shows the steps with their reasons, which files change, and which certificate clients receive
    now and afterwards. With --diff it shows how every file changes. `apply` plans again after it
    obtained certificates; the files are shown as they are with the certificates of now.

    \b
    Exit codes:
      0  the plan is complete
      4  a service cannot be worked with
      5  a file or secret that the model names cannot be used
      8  a removal would be held back
      9  an included file with mistakes would be set aside
    """
    report = plan_report(layout)
    if as_json:
        click.echo(json_document(report.as_json(diffs=diffs)))
    else:
        print_plan(report.plan, diffs=diffs, verbose=verbose)
        show_problems(report, verbose)
    return report.exit_code


def print_plan(plan: Plan, *, diffs: bool, verbose: bool = False) -> None:
    """Print a plan for people, with *diffs* of all files or their names."""
    for step in plan.steps if verbose else ():
        show_step(step, diffs)
    for alike, group in groupby(plan.steps, key=kind_of) if not verbose else ():
        steps = [*group]
        if alike and len(steps) > FEW:
            print_line(steps_line(steps))
        else:
            for step in steps:
                show_step(step, diffs)
    for line in shown_lines(plan.shown, verbose=verbose):
        print_line(line)
    if plan.forecast:
        print_line(f"forecast: {plan.forecast}")
    if not plan.steps and not plan.failures:
        print_line("nothing to do")


def show_problems(report: PlanReport, verbose: bool) -> None:
    """Print what keeps the plan from more: names, pauses, files, what is set aside or held back."""
    names = {each.name for each in report.names}
    show_warnings(report.plan.warnings, verbose)
    show_groups(names_by_cause(report.names), verbose, "not ready: ")
    show_groups(postponed_by_cause(report.plan.waiting, names), verbose)
    show_kept((*report.held_back, *report.set_aside))
    for each in report.acme:
        print_text(str(each), err=True)
    show_supplied(report.files, verbose=verbose, err=True)
    for group in failures_by_cause(report.plan.failures):
        for line in failure_lines(group, verbose=verbose):
            print_text(line, err=True)


def show_step(step: Step, diffs: bool) -> None:
    """Print one step; of one that installs, the files below."""
    print_line(str(step))
    if isinstance(step, Install):
        for line in step.in_full() if diffs else step.in_short():
            print_line(f"    {line}")


def kind_of(step: Step) -> tuple[object, ...]:
    """Return what is the same for steps that differ in the certificate alone; empty for others."""
    match step:
        case Issue(certificate, reason, stand_in):
            return Issue, certificate.issuer, stand_in, reason.code, str(reason)
        case Forget(_, reason):
            return Forget, str(reason)
    return ()


def steps_line(steps: Sequence[Step]) -> str:
    """Return the line about steps of one kind."""
    what, why, owners = "", None, list[str]()
    for step in steps:
        match step:
            case Issue(certificate, reason):
                what, why = f"issue {len(steps):,} certificates ({certificate.issuer})", reason
                owners.append(readable_name(certificate.owner))
            case Forget(bundle, reason):
                what, why = f"forget {len(steps):,} certificates", reason
                owners.append(readable_name(bundle.owner))
    without = sum(isinstance(step, Issue) and bool(step.left_out) for step in steps)
    lacking = f"; {without:,} of them without names that are not ready" if without else ""
    return f"{what}: {why}: {some_names(owners)}{lacking}"


def shown_lines(shown: Iterable[ShownCertificate], *, verbose: bool) -> Iterator[str]:
    """Yield which certificate clients receive, in a line for those of whom the same is told."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for number, each in enumerate(shown):
        alike = each.services, each.now, each.then, each.later, number if verbose else 0
        found.setdefault(alike, []).append(readable_name(each.name))
    told = [*found.items()]
    for (services, now, then, later, _), names in told if verbose else told[:MOST_SHOWN]:
        after = f"; later: {later}" if later else ""
        whose = (
            f"{len(names):,} URLs ({some_names(names)})" if len(names) > FEW else ", ".join(names)
        )
        yield (
            f"clients of {whose} receive from {', '.join(services)}:"
            f" now: {now}; then: {then}{after}"
        )
    if not verbose and (more := sum(len(names) for _, names in told[MOST_SHOWN:])):
        yield f"… and of {more:,} more URLs: --verbose shows all"
