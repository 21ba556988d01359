"""status: every certificate, whence it is, how long it lasts, where it is served."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from proxygen import assemble
from proxygen.bundles import Attempt
from proxygen.errors import visible
from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.model.layout import Layout
from proxygen.model.site import Owner, Site
from proxygen.model.views import serving
from proxygen.observe import observe
from proxygen.plan.alerts import warnings
from proxygen.plan.observed import Observed
from proxygen.plan.renewal import renew_at


@dataclass(frozen=True, slots=True)
class Line:
    """What is to be said of one owner."""

    owner: Owner
    own: bool
    bundle: Bundle | None
    services: tuple[str, ...]
    attempt: Attempt | None

    def as_json(self, now: datetime) -> dict[str, Any]:
        """Return the line as ``--json`` prints it."""
        bundle, attempt, wanted = self.bundle, self.attempt, self.owner.certificate
        return {
            "owner": self.owner.key,
            "url": f"https://{self.owner.host}" if self.owner.host else None,
            "names": list(self.owner.names),
            "wanted": wanted.issuer if wanted else GLOBAL,
            "served_with": served_with(self),
            "certificate": {
                "names": list(bundle.names),
                "source": bundle.issuer,
                "authority": bundle.authority or None,
                "issuer": bundle.issued_by,
                "not_before": bundle.not_before.isoformat(),
                "not_after": bundle.not_after.isoformat(),
                "days_left": (bundle.not_after - now).days,
                "renew_at": renew_at(bundle).isoformat() if renews(bundle) else None,
                "serial": bundle.serial,
                "fingerprint": bundle.fingerprint,
                "key_type": bundle.key_type,
                "stand_in": bundle.stand_in,
            }
            if bundle
            else None,
            "services": list(self.services),
            "last_error": {
                "at": attempt.at.isoformat(),
                "since": attempt.since.isoformat(),
                "count": attempt.count,
                "what": attempt.what,
                "problem": attempt.problem,
                "words": attempt.words,
            }
            if attempt
            else None,
        }


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
    lines = list(gathered(site, observed, parts.bundles.attempts()))
    told = warnings(site, observed, now)
    if as_json:
        said = {"owners": [line.as_json(now) for line in lines], "warnings": list(told)}
        said["services"] = [service(name, observed) for name in observed.services]
        click.echo(json.dumps(said, indent=2))
        return 0
    click.echo(visible(table(lines, now)))
    for name in observed.services:
        click.echo(service_line(service(name, observed)))
    for warning in told:
        click.echo(f"warning: {warning}", err=True)
    return 0


Served = Mapping[str, Mapping[str, str]]
"""By service: what a client is shown for each name."""


def gathered(site: Site, observed: Observed, attempts: dict[str, Attempt]) -> list[Line]:
    """Return a line for every owner, the global one first."""
    served = {name: state.installed.served for name, state in sorted(observed.services.items())}
    shown = {name: set(names.values()) for name, names in served.items()}
    return [line(owner, observed, attempts.get(owner.key), served, shown) for owner in site.owners]


def line(
    owner: Owner,
    observed: Observed,
    attempt: Attempt | None,
    served: Served,
    shown: Mapping[str, set[str]],
) -> Line:
    """Return the line of one owner; the global certificate counts wherever it is shown."""
    own = serving(owner, observed.bundles)
    bundle = own or observed.bundles.get(GLOBAL)
    mark = bundle.fingerprint[:16] if bundle else ""
    services = tuple(
        name
        for name, names in served.items()
        if (mark in shown[name] if owner.key == GLOBAL else names.get(owner.host or "") == mark)
    )
    return Line(owner, own is not None, bundle, services, attempt if owner.certificate else None)


def renews(bundle: Bundle) -> bool:
    """Return whether proxygen renews it; a supplied one is the administrator's."""
    return bundle.issuer != "file"


def served_with(line: Line) -> str:
    """Return whose certificate serves the owner's URL."""
    if line.owner.host is None:
        return "global URL"
    if line.bundle is None:
        return "nothing yet"
    if line.bundle.stand_in:
        return "stand-in"
    return "own" if line.own else GLOBAL


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
        if attempt := lines[index - 1].attempt:
            times = (
                f", {attempt.count} times since {attempt.since:%Y-%m-%d %H:%M}"
                if attempt.count > 1
                else ""
            )
            words = [f"    last error {attempt.at:%Y-%m-%d %H:%M} UTC{times}: {attempt.what}"]
            words += [f"      | {each}" for each in attempt.words.splitlines()]
            text[index + 1 : index + 1] = words
    return "\n".join(text)


def cells(line: Line, now: datetime) -> tuple[str, ...]:
    """Return the columns of one line."""
    owner, bundle = line.owner, line.bundle
    url = owner.host or ""
    if extra := len(owner.extra_names):
        url += f" (+{extra})"
    if bundle is None or owner.host is None or not (line.own or owner.key == GLOBAL):
        return (owner.key, url, served_with(line), "", "", "", "", " ".join(line.services))
    renewal = f"{renew_at(bundle):%Y-%m-%d}" if renews(bundle) else "by you"
    left = bundle.not_after - now
    lasting = f"{left.days} d" if left.days >= 2 else f"{int(left.total_seconds() // 3600)} h"
    return (
        owner.key,
        url,
        served_with(line),
        bundle.issuer,
        bundle.issued_by,
        lasting,
        renewal,
        " ".join(line.services),
    )


def service(name: str, observed: Observed) -> dict[str, Any]:
    """Return what is to be said of one service."""
    state = observed.services[name]
    return {
        "service": name,
        "version": ".".join(map(str, state.facts.version)) if state.facts else None,
        "main": str(state.facts.main) if state.facts else None,
        "running": state.pid is not None,
        "set_up": state.installed.generation is not None,
        "error": state.error.as_json() if state.error else None,
    }


def service_line(said: dict[str, Any]) -> str:
    """Return one service as a line."""
    if said["error"]:
        return f"{said['service']}: {said['error']['what']}"
    running = "running" if said["running"] else "NOT RUNNING"
    ours = "set up by proxygen" if said["set_up"] else "not yet set up by proxygen"
    return f"{said['service']} {said['version']} ({said['main']}): {running}, {ours}"
