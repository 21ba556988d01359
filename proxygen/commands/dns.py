"""dns: the records that the whole model needs, and what of them is missing now."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from proxygen import assemble
from proxygen.errors import UsageError
from proxygen.host.suffixes import registered
from proxygen.languages.lines import visible
from proxygen.model.hosts import BadName, host_name, readable
from proxygen.model.layout import Layout
from proxygen.plan.records import Presence, zone
from proxygen.reports.dns import DnsReport, Line, counted, dns_report, many, number_missing
from proxygen.reports.document import document
from proxygen.terminal import completion
from proxygen.terminal.arguments import JSON, owner
from proxygen.terminal.printing import echo, print_line
from proxygen.terminal.progress import progress
from proxygen.terminal.tables import table


@click.command(short_help="Show the DNS records that the model needs.")
@click.argument("domains", nargs=-1, metavar="[DOMAIN]...", shell_complete=completion.domains)
@click.option("--zone", "as_zone", is_flag=True, help="Print the records as lines of a zone file.")
@click.option("--missing", is_flag=True, help="Show only the records that are missing now.")
@click.option(
    "--check/--no-check", default=True, help="Whether to check which records are there now."
)
@click.option(
    "--strict-caa", "strict", is_flag=True, help="Name our account and challenge in CAA records."
)
@click.option(
    "--delegate-to",
    "delegated",
    metavar="ZONE",
    help="Add CNAME records that lead _acme-challenge of each name for dns-01 into ZONE.",
)
@JSON
@click.pass_obj
def command(
    layout: Layout,
    domains: tuple[str, ...],
    as_zone: bool,
    missing: bool,
    check: bool,
    strict: bool,
    delegated: str | None,
    as_json: bool,
) -> int:
    """Show the DNS records that the model needs, and whether they are there now.

    If you name a DOMAIN (or `global`), only the records of its names. Nothing is changed. A record
    that could not be looked up is neither missing nor there: it is counted as unknown, and
    --missing leaves it out. The exit code is 0 whatever is missing or unknown.
    """
    if missing and not check:
        raise UsageError("--missing needs the check", remedy="leave out --no-check")
    into = host(delegated)
    site = assemble.site(layout)
    now = datetime.now(UTC)
    parts = assemble.parts(layout, lambda: now)
    only = {owner(each, site) for each in domains}
    with progress(quiet=as_json) as shown:
        counting = shown.count if check else None
        report = dns_report(
            *(site, parts, only), check=counting, strict=strict, zone=into, missing=missing
        )
    if as_json:
        click.echo(document(report.as_json()))
    elif as_zone:
        heading = f"records that the model needs, {now:%Y-%m-%d %H:%M} UTC"
        found = [each.record for each in report.lines]
        text = zone(found, registered, (heading, *report.notes))
        click.echo(visible(text), nl=False)
    else:
        show(report)
    return 0


def show(report: DnsReport) -> None:
    """Print a report for people."""
    if report.lines:
        headings = HEADINGS if report.is_checked else HEADINGS[:-1]
        for line in table(headings, (cells(each)[: len(headings)] for each in report.lines)):
            click.echo(line)
    print_line(summary(report))
    for each in report.notes:
        echo(f"note: {each}", err=True)


def host(typed: str | None) -> str | None:
    """Return the name of a zone that was typed; raise UsageError for what is none."""
    try:
        return host_name(typed) if typed else None
    except BadName as error:
        raise UsageError(f"{typed}: {error.reason}", remedy=error.remedy) from error


def summary(report: DnsReport) -> str:
    """Return how many of the records are shown, are missing, and are unknown."""
    missing, unknown = number_missing(report.every), counted(report.every, Presence.UNKNOWN)
    more = f", {unknown:,} unknown" if unknown else ""
    if not report.is_checked:
        return many(len(report.every))
    if report.lines:
        told = "unknown whether missing" if missing is None else f"{missing:,} missing{more}"
        return f"{many(len(report.lines))}, {told}"
    return f"nothing is known to be missing{more}" if unknown else "nothing is missing"


HEADINGS = ("NAME", "TYPE", "VALUE", "FOR", "NOW")


def cells(each: Line) -> tuple[str, ...]:
    """Return the columns of one record."""
    record = each.record
    more = f" (+{len(record.owners) - 1})" if len(record.owners) > 1 else ""
    whose = f"{readable(record.owners[0])}{more}"
    now = f"; now {each.now}" if each.now else ""
    present = f"{each.presence or ''}{now}"
    return readable(record.name), record.type, record.value, whose, present
