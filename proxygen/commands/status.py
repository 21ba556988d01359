"""status: every certificate and service, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from proxygen.model.certificate import ADOPTED, GLOBAL, Bundle
from proxygen.model.hosts import readable_name
from proxygen.model.layout import Layout
from proxygen.names.states import State
from proxygen.plan.backoff import RememberedFailure
from proxygen.plan.renewal import SHORT, renew_at
from proxygen.reports.by_cause import (
    AUTHORITY,
    failed_orders_by_cause,
    hooks_by_cause,
    names_by_cause,
    next_try,
    postponed_by_cause,
)
from proxygen.reports.document import json_document
from proxygen.reports.status import (
    OwnerLine,
    StatusReport,
    is_renewed,
    served_with,
    service_words,
    status_report,
)
from proxygen.terminal.arguments import JSON, VERBOSE
from proxygen.terminal.bar import duration_words
from proxygen.terminal.outcome import show_groups, show_kept, show_warnings
from proxygen.terminal.printing import print_line
from proxygen.terminal.tables import table_lines


@click.command
@VERBOSE
@JSON
@click.pass_obj
def command(layout: Layout, verbose: bool, as_json: bool) -> int:
    """Show every certificate and service.

    For each owner: which certificate its URL is served with, the source of the certificate, its
    issuer, the time left, its renewal, and the services that have it. Then the problems, by cause.
    No service is connected to. The exit code is 0 even if a certificate is missing.
    """
    report = status_report(layout, datetime.now(UTC))
    if as_json:
        click.echo(json_document(report.as_json()))
    else:
        print_report(report, verbose=verbose)
    return 0


def print_report(report: StatusReport, *, verbose: bool) -> None:
    """Print a report for people."""
    for line in table_lines(HEADINGS, (status_cells(line, report.at) for line in report.lines)):
        click.echo(line)
    for name in report.observed.services:
        print_line(service_line(service_words(name, report.observed)))
    show_kept((*report.held_back, *report.set_aside))
    show_problems(report, verbose)
    for each in report.failing:
        print_line(authority_line(each, report.at))
    if report.mail.waiting:
        print_line(report.mail.line(report.at))
    if report.forecast:
        print_line(f"still to come: {report.forecast}")
    show_warnings(report.warnings, verbose)


def show_problems(report: StatusReport, verbose: bool) -> None:
    """Print what is wrong with names and certificates, and which hooks failed, by cause."""
    unproven = [each for line in report.lines for each in line.names_left_out]
    moved = [each for each in unproven if each.state is State.MOVED]
    others = [each for each in unproven if each.state is not State.MOVED]
    attempts = [line.last_failure for line in report.lines if line.last_failure]
    failed = {each.of for each in attempts}
    waits = [line.postponed for line in report.lines if line.postponed]
    waits = [each for each in waits if not (each.code == "failed" and each.owner in failed)]
    ran = [(line.owner.key, each) for line in report.lines for each in failed_hooks(line)]
    show_groups(names_by_cause(others), verbose, "not ready: ")
    show_groups(names_by_cause(moved), verbose, "moved away: ")
    show_groups(failed_orders_by_cause(attempts, report.at), verbose, "not obtained: ")
    show_groups(postponed_by_cause(waits, {AUTHORITY, *(each.name for each in unproven)}), verbose)
    show_groups(hooks_by_cause(ran), verbose)


def failed_hooks(line: OwnerLine) -> Iterator[Any]:
    """Yield the last run of each hook, of those that failed."""
    last = {(each.event, each.hook): each for each in line.hooks}
    yield from (each for each in last.values() if each.failure)


def authority_line(failed: RememberedFailure, now: datetime) -> str:
    """Return one authority's failure as a line."""
    times = "once" if failed.count == 1 else f"{failed.count} times in a row"
    then = next_try(failed.again, now)
    return f"authority {failed.of}: failed {times}: {failed.failure.what}; {then}"


HEADINGS = ("OWNER", "URL", "CERTIFICATE", "SOURCE", "ISSUED BY", "LEFT", "RENEWS", "SERVED BY")


def status_cells(line: OwnerLine, now: datetime) -> tuple[str, ...]:
    """Return the columns of one line."""
    owner, bundle = line.owner, line.bundle
    more = f" (+{len(owner.extra_names)})" if owner.extra_names else ""
    about = readable_name(owner.key), f"{readable_name(owner.host or '')}{more}", served_with(line)
    services = " ".join(line.services)
    if bundle is None or owner.host is None or not (line.own or owner.key == GLOBAL):
        return (*about, "", "", "", "", services)
    left = max(0.0, (bundle.not_after - now).total_seconds())
    return (
        *about,
        source_words(bundle),
        bundle.issued_by,
        duration_words(left) if left else "ended",
        renewed_by(bundle),
        services,
    )


def renewed_by(bundle: Bundle) -> str:
    """Return when proxygen renews it, to the minute where that matters, or who does."""
    if is_renewed(bundle):
        day = f"{renew_at(bundle):%Y-%m-%d}"
        return day if bundle.lifetime >= SHORT else f"{renew_at(bundle):%Y-%m-%d %H:%M}"
    if bundle.issuer == ADOPTED:
        return "is replaced"
    return "by `proxygen hook`" if bundle.issuer == "hook" else "by you"


def source_words(bundle: Bundle) -> str:
    """Return where a certificate comes from."""
    both = bundle.adopted and bundle.issuer != ADOPTED
    return f"{bundle.issuer}, {ADOPTED}" if both else bundle.issuer


def service_line(about: dict[str, Any]) -> str:
    """Return one service as a line."""
    if about["error"]:
        return f"{about['service']}: {about['error']['what']}"
    running = "running" if about["running"] else "NOT RUNNING"
    ours = "set up by proxygen" if about["set_up"] else "not yet set up by proxygen"
    left_out = about["not_verified"]
    unproven = f"; not verified, as the model says: {', '.join(left_out)}" if left_out else ""
    obstacle = f"; {about['in_the_way']}" if about["in_the_way"] else ""
    what = f"{about['service']} {about['version']} ({about['main']})"
    return f"{what}: {running}, {ours}{unproven}{obstacle}"
