"""status: every certificate, whence it is, how long it lasts, where it is served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from proxygen import assemble
from proxygen.languages.lines import visible
from proxygen.model.certificate import ADOPTED, GLOBAL, Bundle
from proxygen.model.hosts import readable
from proxygen.model.layout import Layout
from proxygen.names.states import State
from proxygen.observe.site import observe
from proxygen.plan.backoff import Attempt
from proxygen.plan.compare import issues
from proxygen.plan.renewal import SHORT, renew_at
from proxygen.reports.document import document
from proxygen.reports.status import (
    Line,
    Mail,
    everything,
    forecast_of,
    gathered,
    next_attempt,
    renews,
    runs,
    scheduled_of,
    served_with,
    service,
    troubles,
    with_hooks,
)
from proxygen.texts.names import shown
from proxygen.texts.warnings import warnings

if TYPE_CHECKING:
    from proxygen.apply.hooks import Ran


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(layout: Layout, as_json: bool) -> int:
    """Show every certificate and service.

    Of a certificate: source, issuer, time left, renewal, where it is installed, last error.
    Nothing is connected to. The exit code is 0 also when a certificate is missing.
    """
    site = assemble.site(layout)
    now = datetime.now(UTC)
    parts = assemble.parts(layout, lambda: now)
    observed = observe(site, parts)
    due, unprovable = issues(site, observed, now)
    scheduled = scheduled_of(due, unprovable, site, parts, observed)
    lines = with_hooks(gathered(site, observed, due, scheduled, now), parts)
    mail = Mail.of(parts)
    told = warnings(site, observed, now)
    if as_json:
        said = everything(site, observed, lines, scheduled, now)
        said |= {"mail": mail.as_json(), "daemon": runs(layout)}
        click.echo(document(said))
        return 0
    click.echo(visible(table(lines, now)))
    for name in observed.services:
        click.echo(service_line(service(name, observed)))
    for wrong in (*site.held_back, *site.set_aside):
        click.echo(str(wrong))
    for each in troubles(site, observed, now):
        click.echo(visible(trouble_line(each, now)))
    if mail.waiting:
        click.echo(visible(mail.line(now)))
    if expected := forecast_of(site, scheduled):
        click.echo(f"still to come: {expected}")
    for warning in told:
        click.echo(f"warning: {warning}", err=True)
    return 0


def trouble_line(trouble: Attempt, now: datetime) -> str:
    """Return one authority's trouble as a line."""
    times = "once" if trouble.count == 1 else f"{trouble.count} times in a row"
    then = next_attempt(trouble.again, now)
    return f"authority {trouble.of}: failed {times}: {trouble.failure.what}; {then}"


def renewed_by(bundle: Bundle) -> str:
    """Return when proxygen renews it, to the minute where that matters, or who does."""
    if renews(bundle):
        day = f"{renew_at(bundle):%Y-%m-%d}"
        return day if bundle.lifetime >= SHORT else f"{renew_at(bundle):%Y-%m-%d %H:%M}"
    if bundle.issuer == ADOPTED:
        return "is replaced"
    return "brought by `proxygen hook`" if bundle.issuer == "hook" else "by you"


def source(bundle: Bundle) -> str:
    """Return whence a certificate is."""
    both = bundle.adopted and bundle.issuer != ADOPTED
    return f"{bundle.issuer}, {ADOPTED}" if both else bundle.issuer


HEADINGS = ("OWNER", "URL", "CERTIFICATE", "SOURCE", "ISSUED BY", "LEFT", "RENEWS", "SERVED BY")


def table(lines: list[Line], now: datetime) -> str:
    """Return the lines as a table, the last error below its line."""
    rows = [HEADINGS, *(cells(line, now) for line in lines)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(HEADINGS))]
    text = [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    for index in range(len(lines), 0, -1):
        text[index + 1 : index + 1] = below(lines[index - 1], now)
    return "\n".join(text)


def below(line: Line, now: datetime) -> list[str]:
    """Return what stands below a line: the last error, what it waits for, hooks that failed."""
    return [*held_up(line, now), *left_out(line), *failed_hooks(line.hooks)]


def left_out(line: Line) -> Iterator[str]:
    """Yield which names no certificate covers: how many wait, and why the first one does.

    Not a name alone for which the certificate waits: that is told already.
    """
    waits = line.waiting.name if line.waiting else ""
    for state in (State.FAILED, State.WAITING, State.MOVED):
        found = [each for each in line.unproven if each.state is state]
        if [each.name for each in found] == [waits]:
            continue
        if found:
            number = f"{len(found)} of {len(line.owner.names)} names"
            names = shown([each.name for each in found], most=1)
            yield f"    {found[0].title}: {number}: {names}: {found[0].words}"


def held_up(line: Line, now: datetime) -> list[str]:
    """Return the last error and the next attempt, or what it waits for."""
    attempt, waiting = line.attempt, line.waiting
    wait = f"waits until {waiting.until:%Y-%m-%d %H:%M} UTC: {waiting.words}" if waiting else ""
    if attempt is None:
        return [f"    {wait}"] if wait else []
    since = (
        f", {attempt.count} times since {attempt.since:%Y-%m-%d %H:%M}" if attempt.count > 1 else ""
    )
    said = [f"    last error {attempt.at:%Y-%m-%d %H:%M} UTC{since}: {attempt.failure.what}"]
    said += [f"      | {each}" for each in attempt.failure.words.splitlines()]
    other = waiting is not None and waiting.code != "failed"
    return [*said, f"      {wait if other else next_attempt(attempt.again, now)}"]


def failed_hooks(ran: Iterable[Ran]) -> Iterator[str]:
    """Yield a line for each hook whose last run failed, with the end of what it said."""
    last = {(each.event, each.hook): each for each in ran}
    for each in last.values():
        if each.failure:
            said = [line for line in each.words.splitlines() if line.strip()][-1:]
            words = "".join(f": {line.strip()[:300]}" for line in said)
            yield f"    {each}, {each.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC{words}"


def cells(line: Line, now: datetime) -> tuple[str, ...]:
    """Return the columns of one line."""
    owner, bundle = line.owner, line.bundle
    url, key = readable(owner.host or ""), readable(owner.key)
    if extra := len(owner.extra_names):
        url += f" (+{extra})"
    if bundle is None or owner.host is None or not (line.own or owner.key == GLOBAL):
        return (key, url, served_with(line), "", "", "", "", " ".join(line.services))
    left = bundle.not_after - now
    lasting = f"{left.days} d" if left.days >= 2 else f"{int(left.total_seconds() // 3600)} h"
    return (
        key,
        url,
        served_with(line),
        source(bundle),
        bundle.issued_by,
        lasting,
        renewed_by(bundle),
        " ".join(line.services),
    )


def service_line(said: dict[str, Any]) -> str:
    """Return one service as a line."""
    if said["error"]:
        return f"{said['service']}: {said['error']['what']}"
    running = "running" if said["running"] else "NOT RUNNING"
    ours = "set up by proxygen" if said["set_up"] else "not yet set up by proxygen"
    obstacle = f"; {said['in_the_way']}" if said["in_the_way"] else ""
    return f"{said['service']} {said['version']} ({said['main']}): {running}, {ours}{obstacle}"
