"""dns: the records that the whole model needs, and what of them is missing now."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from proxygen import assemble
from proxygen.errors import UsageError
from proxygen.host.suffixes import registered_domain
from proxygen.languages.lines import terminal_text
from proxygen.model.hosts import BadName, host_name, readable_name
from proxygen.model.layout import Layout
from proxygen.plan.records import Presence, zone_fragment
from proxygen.reports.dns import (
    DnsReport,
    RecordLine,
    count_records,
    dns_report,
    number_missing,
    records_in_words,
)
from proxygen.reports.document import json_document
from proxygen.terminal import completion
from proxygen.terminal.arguments import JSON, typed_owner
from proxygen.terminal.printing import print_line, print_text
from proxygen.terminal.progress import show_progress
from proxygen.terminal.tables import table_lines


@click.command(short_help="Show the DNS records that the model needs.")
@click.argument(
    "domains", nargs=-1, metavar="[DOMAIN]...", shell_complete=completion.complete_domains
)
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
    into = typed_zone(delegated)
    site = assemble.read_site(layout)
    now = datetime.now(UTC)
    installation = assemble.build_installation(layout, lambda: now)
    only = {typed_owner(each, site) for each in domains}
    with show_progress(quiet=as_json) as shown:
        counting = shown.count if check else None
        report = dns_report(
            *(site, installation, only), check=counting, strict=strict, zone=into, missing=missing
        )
    if as_json:
        click.echo(json_document(report.as_json()))
    elif as_zone:
        heading = f"records that the model needs, {now:%Y-%m-%d %H:%M} UTC"
        found = [each.record for each in report.lines]
        text = zone_fragment(found, registered_domain, (heading, *report.notes))
        click.echo(terminal_text(text), nl=False)
    else:
        print_report(report)
    return 0


def print_report(report: DnsReport) -> None:
    """Print a report for people."""
    if report.lines:
        headings = HEADINGS if report.is_checked else HEADINGS[:-1]
        for line in table_lines(
            headings, (record_cells(each)[: len(headings)] for each in report.lines)
        ):
            click.echo(line)
    print_line(records_summary(report))
    for each in report.notes:
        print_text(f"note: {each}", err=True)


def typed_zone(typed: str | None) -> str | None:
    """Return the name of a zone that was typed; raise UsageError for what is none."""
    try:
        return host_name(typed) if typed else None
    except BadName as error:
        raise UsageError(f"{typed}: {error.reason}", remedy=error.remedy) from error


def records_summary(report: DnsReport) -> str:
    """Return how many of the records are shown, are missing, and are unknown."""
    missing, unknown = number_missing(report.every), count_records(report.every, Presence.UNKNOWN)
    more = f", {unknown:,} unknown" if unknown else ""
    if not report.is_checked:
        return records_in_words(len(report.every))
    if report.lines:
        told = "unknown whether missing" if missing is None else f"{missing:,} missing{more}"
        return f"{records_in_words(len(report.lines))}, {told}"
    return f"nothing is known to be missing{more}" if unknown else "nothing is missing"


HEADINGS = ("NAME", "TYPE", "VALUE", "FOR", "NOW")


def record_cells(each: RecordLine) -> tuple[str, ...]:
    """Return the columns of one record."""
    record = each.record
    more = f" (+{len(record.owners) - 1})" if len(record.owners) > 1 else ""
    whose = f"{readable_name(record.owners[0])}{more}"
    now = f"; now {each.now}" if each.now else ""
    present = f"{each.presence or ''}{now}"
    return readable_name(record.name), record.type, record.value, whose, present
