"""check: one line and an exit code for a monitoring system (Nagios, Icinga, Checkmk, …)."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import click

from proxygen.model.layout import Layout
from proxygen.reports.check import DAY, Result, check_result
from proxygen.reports.document import json_document
from proxygen.reports.health import (
    ExpiryThresholds,
    HealthFinding,
    Level,
)
from proxygen.terminal.arguments import JSON

MOST_DAYS = 10_000


class Plugin(click.Command):
    """A command whose mistakes of use are UNKNOWN: 2 would be CRITICAL to the monitoring."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Return what is left of the arguments; a UsageError ends with 3."""
        as_json = "--json" in args
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            found = HealthFinding(Level.UNKNOWN, "usage", error.format_message())
            print_result(Result(Level.UNKNOWN, (found,), {}), as_json=as_json)
            raise SystemExit(int(Level.UNKNOWN)) from error


def print_result(result: Result, *, as_json: bool) -> None:
    """Print how it is."""
    click.echo(json_document(result.as_json()) if as_json else str(result))


def typed_days(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:
    """Return a number of days as a time; raise UsageError for what is none."""
    if value is None:
        return None
    with suppress(ValueError):
        if 0 <= float(value) <= MOST_DAYS:
            return float(value) * DAY
    what = f"{param.opts[0]} {value}: not a number of days (0 to {MOST_DAYS})"
    raise click.UsageError(what, ctx)


@click.command(cls=Plugin)
@click.option(
    "--warning",
    metavar="DAYS",
    callback=typed_days,
    help="WARNING this many days before a certificate ends.",
)
@click.option(
    "--critical",
    metavar="DAYS",
    callback=typed_days,
    help="CRITICAL this many days before a certificate ends.",
)
@JSON
@click.pass_obj
def command(
    layout: Layout, warning: timedelta | None, critical: timedelta | None, as_json: bool
) -> int:
    """Report the state to a monitoring system (Nagios plugin).

    Prints one line with performance data, and details below it. The exit code is 0 (OK),
    1 (WARNING), 2 (CRITICAL) or 3 (UNKNOWN). No service is connected to. By default, a
    certificate is a WARNING in its last 5 days (or the last 20 % of a shorter lifetime), and
    CRITICAL in its last 2 days (8 %).
    """
    result = check_result(layout, ExpiryThresholds(warning, critical), datetime.now(UTC))
    print_result(result, as_json=as_json)
    return int(result.level)
