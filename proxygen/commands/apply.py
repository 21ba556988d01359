"""apply: make what is into what the model says."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from proxygen import assemble
from proxygen.apply.mails import tell
from proxygen.apply.outcome import SILENT, Outcome, Progress, nothing
from proxygen.apply.tidying import note_killed, tidy
from proxygen.apply.unwritten import tell_unwritten
from proxygen.assemble import Parts
from proxygen.errors import (
    Coded,
    IssueFailed,
    NotServed,
    ProxygenError,
    UsageError,
    did_you_mean,
)
from proxygen.host import lock
from proxygen.model.certificate import GLOBAL
from proxygen.model.hosts import BadName, host_name
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.model.types import seconds
from proxygen.names.states import State
from proxygen.plan.schedule import told
from proxygen.plan.steps import Waiting
from proxygen.reconcile import Alone, reconcile
from proxygen.reports import metrics
from proxygen.reports.document import document
from proxygen.stores import applied
from proxygen.terminal import completion
from proxygen.texts.names import named

Once = Callable[[Site, Parts, Progress, Alone], Outcome]
"""What does one run; the site is the latest one."""

LONGEST_DEPLOYMENT = 600.0
"""Seconds for which another process may deploy while something of ours waits for that."""

JUST_NOW = timedelta(days=1)
"""How long a name may have been in trouble for `--wait-dns` to wait for it unless it is named."""


def duration(context: click.Context, option: click.Parameter, typed: str | None) -> int:  # noqa: ARG001
    """Return the seconds that were typed, such as ``10m``; 0 for none."""
    try:
        return seconds(typed) if typed else 0
    except BadName as error:
        raise click.BadParameter(f"{error.reason}; {error.remedy}") from error


@click.command
@click.argument("domains", nargs=-1, metavar="[DOMAIN]...", shell_complete=completion.domains)
@click.option(
    "--wait-dns",
    metavar="TIME",
    callback=duration,
    help="Wait so long (30s, 10m, 1h) for DNS changes that were just made.",
)
@click.option(
    "--confirm-removal",
    is_flag=True,
    help="Remove what is gone from the model, be it ever so much.",
)
@click.option(
    "--wait-lock",
    metavar="TIME",
    callback=duration,
    help="Wait so long while another run is at work, instead of ending with 7.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(
    layout: Layout,
    domains: tuple[str, ...],
    wait_dns: int,
    confirm_removal: bool,
    wait_lock: int,
    as_json: bool,
) -> int:
    """Make nginx, postfix and dovecot match the model.

    Installs, reloads and verifies what changed, obtains the certificates that are due, then
    installs these. With a
    DOMAIN (or `global`) only its certificate is obtained; the configuration is made for all.
    Exit code 4: a service refused and its former state is back; 5: a certificate could not be
    obtained, everything else is done; 6: done, but not served as wanted; 7: another run is at work,
    or obtains certificates: what was there is served; 8: done, but a removal is
    held back until it is confirmed; 9: done, but an included file is set aside for its mistakes.
    """
    site = assemble.site(layout, confirmed=confirm_removal)
    only = tuple(owner(domain, site) for domain in domains)

    def once(latest: Site, parts: Parts, shown: Progress, alone: Alone) -> Outcome:
        return reconcile(latest, parts, shown, only, alone)

    outcome = run_of(layout, site, once, quiet=as_json, wait=wait_lock)
    site = over(layout, site)
    until, chosen, joined = time.monotonic() + wait_dns, only, set[str]()
    while (left := until - time.monotonic()) > 0:
        right = dns_awaited(layout, site, chosen, left, quiet=as_json)
        late = set(joining(layout, site, chosen)) - {of for of, _ in outcome.failures} - joined
        joined |= late
        if not (right := right | late):
            break
        only = tuple(sorted(right))
        outcome = both(outcome, run_of(layout, site, once, quiet=as_json, wait=wait_lock), right)
    return told_all(outcome, as_json=as_json)


def both(first: Outcome, second: Outcome, owners: Collection[str]) -> Outcome:
    """Return what two rounds did, of which the second obtained for some *owners* only."""
    others = [
        (of, error)
        for of, error in first.failures
        if isinstance(error, IssueFailed) and of not in owners
    ]
    second.done[:0] = first.done
    second.failures[:0] = others
    second.waiting[:0] = [each for each in first.waiting if each.owner not in owners]
    return second


def dns_awaited(
    layout: Layout, site: Site, owners: tuple[str, ...], most: float, *, quiet: bool
) -> set[str]:
    """Wait until the DNS of names is right; return the owners of those for which it became so.

    Nobody is kept from a round meanwhile.
    """
    from proxygen.apply.preflight import Looking, awaited, in_trouble, listens

    parts = assemble.parts(layout, now)
    asked = in_trouble(site, parts, owners, now() - JUST_NOW)
    say = nothing if quiet else echo
    if asked:
        say(f"waiting up to {lasting(round(most))} for the DNS of {many(len(asked))}")
    right = awaited(Looking(site, parts, listens(site, parts)), asked, most, say)
    if asked and not right:
        say(f"the DNS of {many(len(asked))} is not right yet; `proxygen names` tells what is wrong")
    return right


def joining(layout: Layout, site: Site, owners: Collection[str]) -> Iterator[str]:
    """Yield the owners, among *owners* if any, of which a certificate lacks a name that is ready.

    Alone it would wait for others; somebody who waits does not want that.
    """
    parts = assemble.parts(layout, now)
    for each in named(site, parts.bundles.all(), parts.names.all(), now()):
        chosen = not owners or each.owner.key in owners
        ready = each.state is State.READY and each.known and each.known.ready_since
        if chosen and ready and each.bundle:
            yield each.owner.key


def lasting(seconds: int) -> str:
    """Return how long a time is that was typed."""
    minutes, rest = divmod(seconds, 60)
    return f"{seconds} s" if rest or not minutes else f"{minutes} min"


def many(count: int) -> str:
    """Return so many names in words."""
    return "1 name" if count == 1 else f"{count:,} names"


def run(
    layout: Layout,
    site: Site,
    once: Once,
    *,
    as_json: bool,
    wait: float = 0,
) -> int:
    """Do one run under the locks, tell people and print it; return the exit code.

    *wait*: for how many seconds another run may still hold a lock.
    """
    return told_all(run_of(layout, site, once, quiet=as_json, wait=wait), as_json=as_json)


def run_of(layout: Layout, site: Site, once: Once, *, quiet: bool, wait: float = 0) -> Outcome:
    """Do one run under the locks, and tell people; its progress is shown unless *quiet*."""
    try:
        with progress(quiet=quiet) as shown:
            return Run(layout, site, wait).whole(once, shown)
    except OSError as error:
        for words in tell_unwritten(site, layout, now, error).warnings:
            echo(f"warning: {words}", err=True)
        raise


def latest(layout: Layout, site: Site) -> Site:
    """Return the site, read anew if it was read before another run kept something."""
    past = site.past
    if applied.serial(assemble.opened(layout)) == past.former.serial:
        return site
    return assemble.site(layout, confirmed=past.confirmed)


def over(layout: Layout, site: Site) -> Site:
    """Return a site for a second round: what was confirmed is over, and what is kept is known."""
    kept = applied.former(assemble.opened(layout), site.past.former)
    return replace(site, past=replace(site.past, former=kept, confirmed=False))


def told_all(outcome: Outcome, *, as_json: bool) -> int:
    """Print what a run did; return the exit code."""
    if as_json:
        click.echo(document(outcome.as_json()))
    else:
        summary(outcome)
    return outcome.exit_code


@dataclass(slots=True)
class Run:
    """One run of a command, each of its halves under a lock of its own.

    *wait*: for how many seconds another process may hold a lock at first. A deployment later on
    waits for others, since something is to be deployed.
    """

    layout: Layout
    site: Site
    wait: float
    begun: bool = False
    made: Parts | None = None

    @property
    def parts(self) -> Parts:
        """What the run works with; opens the store when first asked for."""
        if self.made is None:
            self.made = assemble.parts(self.layout, now)
        return self.made

    def whole(self, once: Once, shown: Progress) -> Outcome:
        """Do it, and tell people."""
        began = time.monotonic()
        with self.deploying():  # who finds another run at work begins nothing
            self.site = self.latest(self.site)
        alone = Alone(self.deploying, self.obtaining, self.deployed, self.latest)
        outcome = once(self.site, self.parts, shown, alone)
        tell(self.site, self.parts, outcome)
        took = timedelta(seconds=time.monotonic() - began)
        tell_figures(self.site, self.parts, outcome, took)
        return outcome

    @contextmanager
    def deploying(self) -> Iterator[None]:
        """Have a block be the only one that deploys on this host."""
        wait = max(self.wait, LONGEST_DEPLOYMENT) if self.begun else self.wait
        with lock.awaited(self.layout.lock, wait) as killed:
            if not self.begun:
                assemble.bring_forward(self.layout)
            if killed:
                note_killed(self.layout)
            self.begun = True
            yield

    @contextmanager
    def obtaining(self) -> Iterator[None]:
        """Have a block be the only one that obtains certificates."""
        with lock.awaited(self.layout.obtaining, self.wait) as killed:
            tidy(self.site, self.parts, killed=killed)
            yield

    def deployed(self, site: Site) -> Site:
        """Keep the model by which the services were set up just now; what was confirmed is over."""
        kept = applied.keep(self.parts.store, site)
        self.site = replace(site, past=replace(site.past, former=kept, confirmed=False))
        return self.site

    def latest(self, site: Site) -> Site:
        """Return the site, read anew where another run has kept something since it was read."""
        try:
            return latest(self.layout, site)
        except ProxygenError:
            if self.made is None:
                raise
            return assemble.last_right(self.layout) or site


def now() -> datetime:
    """Return the time of day."""
    return datetime.now(UTC)


def tell_figures(site: Site, parts: Parts, outcome: Outcome, took: timedelta) -> None:
    """Write the figures for Prometheus where the model wants them; a failure is a warning."""
    if site.metrics.file is None:
        return
    try:
        if figures := metrics.figures(site, parts, outcome, took):
            metrics.write(parts.layout, figures)
    except ProxygenError as error:
        outcome.warnings.append(Coded(str(error), "metrics"))


def owner(typed: str, site: Site) -> str:
    """Return the owner that was typed; raise UsageError for one that the model has not."""
    try:
        name = typed if typed == GLOBAL else host_name(typed)
    except BadName as error:
        near = did_you_mean(typed, (each.key for each in site.owners), error.remedy)
        raise UsageError(f"{typed}: {error.reason}", remedy=near) from error
    if name in {each.key for each in site.owners}:
        return name
    whose = next((each.key for each in site.owners if name in each.names), None)
    every = (each.key for each in site.owners)
    near = did_you_mean(name, every, "write it as in `domains:`")
    remedy = f"{typed} is a name of {whose}: write that" if whose else near
    raise UsageError(f"the model has no domain {typed}", remedy=remedy)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """Have a progress bar on a terminal, else a line a step."""
    if quiet:
        yield SILENT
    elif sys.stderr.isatty():
        with bar() as shown:
            yield shown
    else:
        yield Progress(echo, nothing)


@contextmanager
def bar() -> Iterator[Progress]:
    """Have a progress bar of the certificates, with the steps scrolling above it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("certificates"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    with Bar(*columns, console=console, transient=True) as shown:
        task = shown.add_task("", total=None, visible=False)

        def count(done: int, of: int) -> None:
            shown.update(task, completed=done, total=of, visible=True)

        yield Progress(unheard(console.print), count)


def unheard(say: Callable[..., None]) -> Callable[..., None]:
    """Return *say* such that it is no reason to stop the work when nobody listens any more."""

    def quietly(*words: Any, **how: Any) -> None:
        with suppress(OSError):
            say(*words, **how)

    return quietly


echo = unheard(click.echo)


def summary(outcome: Outcome) -> None:
    """Say in the end what failed, what is worth knowing, and that all is well when it is."""
    for warning in (each for each in outcome.warnings if not is_told(each, outcome)):
        echo(f"warning: {warning}", err=True)
    waiting(outcome)
    as_it_was(outcome)
    if outcome.locked:
        echo(f"no certificate was obtained: {outcome.locked}", err=True)
    if outcome.not_done:
        echo(f"{beginning(outcome)}:", err=True)
        for error, whose in alike(outcome).items():
            echo(f"{whose}: {error}", err=True)
    elif outcome.done:
        echo(f"{steps(outcome)} done")
    else:
        echo("nothing to do now" if outcome.waiting else "nothing to do")


def is_told(warning: str, outcome: Outcome) -> bool:
    """Return whether a failure tells what a warning says of a service."""
    if not isinstance(warning, Coded):
        return False
    if warning.code == "refused":
        return warning.of in {of for of, _ in outcome.failures}
    unserved = {of for of, error in outcome.not_done if isinstance(error, NotServed)}
    return warning.code in ("not-running", "not-served") and warning.of in unserved


def as_it_was(found: Outcome | Site) -> None:
    """Say which removals wait for a person, and which included files are set aside."""
    for each in (*found.held_back, *found.set_aside):
        echo(str(each), err=True)


def beginning(outcome: Outcome) -> str:
    """Return how what is told of failures begins."""
    if outcome.failures:
        return f"{steps(outcome)} done; not done"
    done = f"{steps(outcome)} done" if outcome.done else "nothing to do"
    return f"{done}, but not all is served"


def alike(outcome: Outcome) -> dict[str, str]:
    """Return whose failure it is by what is to be said of it, as one cause may be everybody's."""
    found: dict[str, list[str]] = {}
    for what, error in outcome.not_done:
        found.setdefault(str(error), []).append(what)
    return {
        words: ", ".join(of[:3]) + (f" and {len(of) - 3} more" if len(of) > 3 else "")
        for words, of in found.items()
    }


def waiting(outcome: Outcome) -> None:
    """Say which certificates wait, and how a person can have one tried now."""
    for words in told(outcome.waiting):
        echo(words, err=True)
    failed = next((each for each in outcome.waiting if may_hasten(each)), None)
    if failed:
        echo(f"  do: `proxygen apply {failed.owner}` tries it now", err=True)


def may_hasten(each: Waiting) -> bool:
    """Return whether a person may have a certificate tried before its pause is over."""
    return each.code in ("failed", "authority") and not each.asked


def steps(outcome: Outcome) -> str:
    """Return how many steps were done, in words."""
    return "1 step" if len(outcome.done) == 1 else f"{len(outcome.done)} steps"
