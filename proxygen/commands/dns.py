"""dns: the records that the whole model needs, and what of them is missing now."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

import click

from proxygen import assemble
from proxygen.errors import UsageError, coded, words_json
from proxygen.host.suffixes import registered
from proxygen.languages.lines import visible
from proxygen.model.hosts import BadName, host_name, readable
from proxygen.model.layout import Layout
from proxygen.plan.records import (
    Presence,
    records,
    zone,
)
from proxygen.reports.dns import (
    Line,
    counted,
    line,
    looked,
    many,
    not_known,
    notes,
    number_missing,
    publishing,
)
from proxygen.reports.document import document
from proxygen.terminal import completion
from proxygen.terminal.arguments import owner


@click.command(short_help="Show the DNS records that the model needs.")
@click.argument("domains", nargs=-1, metavar="[DOMAIN]...", shell_complete=completion.domains)
@click.option("--zone", "as_zone", is_flag=True, help="Print a fragment of a zone file.")
@click.option("--missing", is_flag=True, help="Only what is missing now.")
@click.option("--look/--no-look", default=True, help="Whether to look what is there now.")
@click.option(
    "--strict-caa", "strict", is_flag=True, help="CAA records that name our account and challenge."
)
@click.option(
    "--delegate-to",
    "delegated",
    metavar="ZONE",
    help="With CNAME records that lead _acme-challenge of each name for dns-01 into ZONE.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(
    layout: Layout,
    domains: tuple[str, ...],
    as_zone: bool,
    missing: bool,
    look: bool,
    strict: bool,
    delegated: str | None,
    as_json: bool,
) -> int:
    """Show the DNS records that the whole model needs, and whether they are there now.

    With a DOMAIN (or `global`) only those of its names. Nothing is written anywhere. Of what
    could not be looked up nobody knows whether it is there: it is told apart, and is not among
    what --missing shows. The exit code is 0 whatever is missing or unknown.
    """
    if missing and not look:
        raise UsageError("what is missing is seen by looking", remedy="leave out --no-look")
    site = assemble.site(layout)
    now = datetime.now(UTC)
    parts = assemble.parts(layout, lambda: now)
    only = {owner(each, site) for each in domains}
    seen = looked(site, parts, only) if look else None
    told = publishing(site, parts, seen, strict=strict, zone=host(delegated))
    every = [line(each, seen, told) for each in records(site, told, only)]
    lines = [each for each in every if each.presence is Presence.MISSING] if missing else every
    remarks = (*notes(site, told, seen), *coded("not-looked-up", not_known(every)))
    if as_json:
        found = {
            "at": now.isoformat(),
            "addresses": list(told.addresses),
            "notes": [*map(words_json, remarks)],
            "missing": number_missing(every),
            "unknown": len(every) if seen is None else counted(every, Presence.UNKNOWN),
            "records": [each.as_json() for each in lines],
        }
        click.echo(document(found))
    elif as_zone:
        heading = f"records that the model needs, {now:%Y-%m-%d %H:%M} UTC"
        click.echo(
            visible(zone([each.record for each in lines], registered, (heading, *remarks))),
            nl=False,
        )
    else:
        if lines:
            click.echo(visible(table(lines)))
        click.echo(summary(lines, every))
        for each in remarks:
            click.echo(visible(f"note: {each}"), err=True)
    return 0


def host(typed: str | None) -> str | None:
    """Return the name of a zone that was typed; raise UsageError for what is none."""
    try:
        return host_name(typed) if typed else None
    except BadName as error:
        raise UsageError(f"{typed}: {error.reason}", remedy=error.remedy) from error


def summary(shown: Collection[Line], every: Collection[Line]) -> str:
    """Return how many of the records are *shown*, are missing, and are unknown."""
    missing, unknown = number_missing(every), counted(every, Presence.UNKNOWN)
    more = f", {unknown:,} unknown" if unknown else ""
    if not any(each.presence for each in every):
        return many(len(every))
    if shown:
        told = "unknown whether missing" if missing is None else f"{missing:,} missing{more}"
        return f"{many(len(shown))}, {told}"
    return f"nothing is known to be missing{more}" if unknown else "nothing is missing"


HEADINGS = ("NAME", "TYPE", "VALUE", "FOR", "NOW")


def table(lines: list[Line]) -> str:
    """Return a line for each record."""
    looked = any(each.presence for each in lines)
    rows = [HEADINGS[: None if looked else -1], *(cells(each, looked=looked) for each in lines)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def cells(each: Line, *, looked: bool) -> tuple[str, ...]:
    """Return the columns of one record."""
    record = each.record
    whose = readable(record.owners[0]) + (
        f" (+{len(record.owners) - 1})" if len(record.owners) > 1 else ""
    )
    known = (readable(record.name), record.type, record.value, whose)
    if not looked:
        return known
    now = f"; now {each.now}" if each.now else ""
    return (*known, f"{each.presence or ''}{now}")
