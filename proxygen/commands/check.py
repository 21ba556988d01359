"""check: one line and an exit code for a monitoring system (Nagios, Icinga, Checkmk, …)."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from proxygen import assemble
from proxygen.assemble import Parts
from proxygen.commands.status import scheduled_of
from proxygen.errors import ModelError, ProxygenError, visible
from proxygen.host import files, processes
from proxygen.letterbox import Letterbox
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.observe import observe
from proxygen.plan.compare import issues
from proxygen.plan.health import (
    Finding,
    Level,
    Limits,
    critical_from,
    findings,
    first_to_end,
    warning_from,
)
from proxygen.plan.observed import Observed
from proxygen.plan.units import DAEMON, MARK

LONGEST_LINE = 300
LONGEST_DETAIL = 500
MOST_DETAILS = 20
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Result:
    """How it is, in one word, with what is wrong and the figures by name."""

    level: Level
    found: tuple[Finding, ...]
    figures: dict[str, str]
    well: str = ""

    @property
    def line(self) -> str:
        """What stands before the figures; bounded, and without what parts the two."""
        words = self.found[0].words if self.found else self.well
        more = f" (and {len(self.found) - 1} more)" if len(self.found) > 1 else ""
        return f"PROXYGEN {self.level.name} - {plain(words, LONGEST_LINE)}{more}"

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "state": self.level.name,
            "exit_code": int(self.level),
            "line": self.line,
            "findings": [{"state": each.level.name, "words": each.words} for each in self.found],
            "figures": {name: float(each.split(";")[0]) for name, each in self.figures.items()},
        }

    def __str__(self) -> str:
        figures = " ".join(f"{name}={value}" for name, value in self.figures.items())
        lines = [f"{self.line} | {figures}" if figures else self.line]
        shown = self.found[:MOST_DETAILS] if len(self.found) > 1 else ()
        lines += [f"{each.level.name}: {plain(each.words, LONGEST_DETAIL)}" for each in shown]
        if len(self.found) > MOST_DETAILS:
            lines.append(f"and {len(self.found) - MOST_DETAILS} more")
        return "\n".join(lines)


def plain(words: str, longest: int) -> str:
    """Return words as one bounded line without a bar, after which figures stand."""
    line = visible(" ".join(words.split())).replace("|", "/")
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


class Plugin(click.Command):
    """A command whose mistakes of use are UNKNOWN: 2 would be CRITICAL to the monitoring."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Return what is left of the arguments; a UsageError ends with 3."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            click.echo(f"PROXYGEN UNKNOWN - {plain(error.format_message(), LONGEST_LINE)}")
            raise SystemExit(int(Level.UNKNOWN)) from error


DAYS = click.FloatRange(0, 10_000)


@click.command(cls=Plugin)
@click.option("--warning", metavar="DAYS", type=DAYS, help="WARNING so long before an end.")
@click.option("--critical", metavar="DAYS", type=DAYS, help="CRITICAL so long before an end.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(layout: Layout, warning: float | None, critical: float | None, as_json: bool) -> int:
    """Tell a monitoring system how the certificates are.

    Prints one line with performance data, and details below it. The exit code is 0 (OK),
    1 (WARNING), 2 (CRITICAL) or 3 (UNKNOWN), as Nagios and its kin want it. Nothing is
    connected to. Without limits a certificate's last 5 days, or the last 20 % of a shorter
    life, are a WARNING, and the last 2 days (8 %) are CRITICAL.
    """
    limits = Limits(days(warning), days(critical))
    result = looked(layout, limits, datetime.now(UTC))
    click.echo(json.dumps(result.as_json(), indent=2) if as_json else str(result))
    return int(result.level)


def days(given: float | None) -> timedelta | None:
    """Return a number of days as a time, None where none was given."""
    return None if given is None else given * DAY


def looked(layout: Layout, limits: Limits, now: datetime) -> Result:
    """Return how it is; what keeps us from knowing is UNKNOWN, and never a traceback."""
    try:
        site = assemble.site(layout)
        parts = assemble.parts(layout, lambda: now)
        return judged(site, parts, limits)
    except ModelError as error:
        first = error.mistakes[0]
        goes_on = runs(layout) and (layout.watch / "model.json").is_file()
        consequence = "the daemon goes on with the last right one" if goes_on else "nothing is done"
        count = "1 mistake" if len(error.mistakes) == 1 else f"{len(error.mistakes)} mistakes"
        words = f"the model has {count}, {consequence}: {first.where}: {first.reason}"
        return Result(Level.CRITICAL, (Finding(Level.CRITICAL, words),), {})
    except ProxygenError as error:
        words = f"{error.what}; {error.remedy}" if error.remedy else error.what
    except PermissionError as error:
        words = f"{error.filename}: {error.strerror}; run it as root"
    except Exception as error:  # noqa: BLE001 - whatever it is, the monitoring reads one line
        words = f"the state cannot be read: {error!r}"
    return Result(Level.UNKNOWN, (Finding(Level.UNKNOWN, words),), {})


def judged(site: Site, parts: Parts, limits: Limits) -> Result:
    """Return how it is, from what is stored and what runs."""
    now, observed = parts.now(), observe(site, parts)
    found = (*no_daemon(parts.layout), *findings(site, observed, now, limits), *letters(parts))
    level = max((each.level for each in found), default=Level.OK)
    figures = measured(site, observed, parts, limits)
    count = len(list(site.certificates))
    first = first_to_end(site, observed)
    well = f"{count} {'certificate' if count == 1 else 'certificates'}"
    if first:
        well += f", the first ends in {(first.not_after - now).days} days ({first.owner})"
    return Result(level, found, figures, well)


def measured(site: Site, observed: Observed, parts: Parts, limits: Limits) -> dict[str, str]:
    """Return the figures by name, as ``value;warning;critical;minimum;maximum``."""
    now = parts.now()
    wanted = {each.owner for each in site.certificates}
    due = issues(site, observed, now)
    scheduled = scheduled_of(due, site, parts, observed)
    counts = {
        "certificates": len(wanted),
        "due": len(due),
        "failing": len(wanted & observed.attempts.keys()),
        "waiting": len(scheduled.waiting),
        "unserved": sum(each.installed.unserved for each in observed.services.values()),
    }
    figures = {name: f"{count};;;0" for name, count in counts.items()}
    if first := first_to_end(site, observed):
        ends = first.not_after
        moments = (
            ends - now,
            ends - warning_from(first, limits),
            ends - critical_from(first, limits),
        )
        # Rounded down, as the words are: 4.99 days are not 5.
        left, warned, critical = (f"{moment // (DAY / 100) / 100:.2f}" for moment in moments)
        # Fewer days than so many are bad: a range without its lower end (guidelines, 2.5).
        figures["days_left"] = f"{left};{warned}:;{critical}:"
    return figures


def no_daemon(layout: Layout) -> tuple[Finding, ...]:
    """Tell when the daemon is set up, but does not run."""
    unit = files.text(layout.host("/etc/systemd/system") / DAEMON[0]) or ""
    if not unit.startswith(MARK):
        return ()
    if runs(layout):
        return ()
    return (Finding(Level.CRITICAL, "the daemon (proxygen.service) does not run"),)


def runs(layout: Layout) -> bool:
    """Return whether the daemon runs.

    It holds this lock, with its process id in it; its program is ours, or Python's.
    """
    programs = ("proxygen", str(Path(sys.executable).resolve()))
    return any(processes.master(layout.watch / "lock", program) for program in programs)


def letters(parts: Parts) -> tuple[Finding, ...]:
    """Tell when messages wait for a mail server."""
    if count := len(Letterbox(parts.store).waiting()):
        words = "1 message waits" if count == 1 else f"{count} messages wait"
        return (Finding(Level.WARNING, f"{words} for the mail server"),)
    return ()
