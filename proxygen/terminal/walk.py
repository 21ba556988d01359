"""One run of a command, each of its halves under a lock of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from proxygen import assemble
from proxygen.apply.mails import tell
from proxygen.apply.outcome import Outcome, Progress
from proxygen.apply.tidying import note_killed, tidy
from proxygen.apply.unwritten import tell_unwritten
from proxygen.assemble import Parts
from proxygen.errors import (
    Coded,
    LockHeld,
    ProxygenError,
)
from proxygen.host import lock
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.reconcile import Alone
from proxygen.reports import metrics
from proxygen.stores import applied
from proxygen.terminal.outcome import told_all
from proxygen.terminal.printing import echo, progress

Once = Callable[[Site, Parts, Progress, Alone], Outcome]
"""What does one run; the site is the latest one."""

LONGEST_DEPLOYMENT = 600.0
"""Seconds for which another process may deploy while something of ours waits for that."""


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


@contextmanager
def undisturbed(layout: Layout) -> Iterator[None]:
    """Have a block that no daemon undoes; raise LockHeld while one runs."""
    path = layout.watch / "lock"
    if not path.parent.is_dir():
        yield
        return
    try:
        with lock.held(path):
            yield
    except LockHeld as error:
        if error.where != str(path):
            raise
        raise LockHeld(replace(error.failure, code="daemon-would-undo")) from error
