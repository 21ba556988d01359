"""One run of a command, each of its halves under a lock of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from proxygen import assemble
from proxygen.apply.mails import send_mails
from proxygen.apply.outcome import Outcome, Progress
from proxygen.apply.tidying import note_killed, tidy_up
from proxygen.apply.unwritten import tell_unwritten
from proxygen.assemble import Installation
from proxygen.errors import (
    Coded,
    LockHeld,
    ProxygenError,
)
from proxygen.host import lock
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.observe.site import stored_names
from proxygen.plan.observed import Observed
from proxygen.reconcile import Alone
from proxygen.reports import metrics
from proxygen.reports.by_cause import Causes, name_causes
from proxygen.stores import applied_model
from proxygen.terminal.outcome import show_warnings, told_all
from proxygen.terminal.progress import show_progress
from proxygen.texts.names import not_ready

Once = Callable[[Site, Installation, Progress, Alone], Outcome]
"""What does one run; the site is the latest one."""


@dataclass(frozen=True, slots=True)
class Show:
    """How a run is printed: as JSON, or for people, *verbose* or not."""

    as_json: bool
    verbose: bool = False


LONGEST_DEPLOYMENT = 600.0
"""Seconds for which another process may deploy while something of ours waits for that."""


def run_once(
    layout: Layout,
    site: Site,
    once: Once,
    *,
    show: Show,
    wait: float = 0,
    asked: Collection[str] = (),
) -> int:
    """Do one run under the locks, tell people and print it; return the exit code.

    *wait*: for how many seconds another run may still hold a lock. *asked*: for which owners a
    person asks, of whom everything is told.
    """
    outcome = run_of(layout, site, once, show=show, wait=wait, asked=asked)
    return told_all(outcome, as_json=show.as_json, verbose=show.verbose)


def run_of(
    layout: Layout,
    site: Site,
    once: Once,
    *,
    show: Show,
    wait: float = 0,
    asked: Collection[str] = (),
) -> Outcome:
    """Do one run under the locks, and tell people; its progress is shown unless as JSON."""
    try:
        with show_progress(quiet=show.as_json, verbose=show.verbose) as shown:
            return Run(layout, site, wait, asked).whole(once, shown)
    except OSError as error:
        show_warnings(tell_unwritten(site, layout, time_of_day, error).warnings, show.verbose)
        raise


def latest_site(layout: Layout, site: Site) -> Site:
    """Return the site, read anew if it was read before another run kept something."""
    past = site.past
    if applied_model.applied_serial(assemble.shared_store(layout)) == past.former.serial:
        return site
    return assemble.read_site(layout, confirmed=past.confirmed)


def site_for_second_round(layout: Layout, site: Site) -> Site:
    """Return a site for a second round: what was confirmed is over, and what is kept is known."""
    kept = applied_model.former_model(assemble.shared_store(layout), site.past.former)
    return replace(site, past=replace(site.past, former=kept, confirmed=False))


@dataclass(slots=True)
class Run:
    """One run of a command, each of its halves under a lock of its own.

    *wait*: for how many seconds another process may hold a lock at first. A deployment later on
    waits for others, since something is to be deployed. *asked*: for which owners a person asks.
    """

    layout: Layout
    site: Site
    wait: float
    asked: Collection[str] = ()
    begun: bool = False
    made: Installation | None = None

    @property
    def installation(self) -> Installation:
        """What the run works with; opens the store when first asked for."""
        if self.made is None:
            self.made = assemble.build_installation(self.layout, time_of_day)
        return self.made

    def whole(self, once: Once, shown: Progress) -> Outcome:
        """Do it, and tell people."""
        began = time.monotonic()
        with self.deploying():  # who finds another run at work begins nothing
            self.site = self.latest(self.site)
            before = self.causes()
        alone = Alone(self.deploying, self.obtaining, self.deployed, self.latest)
        outcome = once(self.site, self.installation, shown, alone)
        same = name_causes(outcome.names) & before
        outcome.unchanged = frozenset(name for of, name, _ in same if of not in self.asked)
        send_mails(self.site, self.installation, outcome)
        took = timedelta(seconds=time.monotonic() - began)
        tell_figures(self.site, self.installation, outcome, took)
        return outcome

    def causes(self) -> Causes:
        """Return which names are not ready, and why."""
        known = stored_names(self.site, self.installation)
        if not known:
            return frozenset()
        present = Observed(self.installation.bundles.all(), {}, {}, names=known)
        return name_causes(not_ready(self.site, present, time_of_day()))

    @contextmanager
    def deploying(self) -> Iterator[None]:
        """Have a block be the only one that deploys on this host."""
        wait = max(self.wait, LONGEST_DEPLOYMENT) if self.begun else self.wait
        with lock.wait_and_hold(self.layout.lock, wait) as killed:
            if not self.begun:
                assemble.bring_forward(self.layout)
            if killed:
                note_killed(self.layout)
            self.begun = True
            yield

    @contextmanager
    def obtaining(self) -> Iterator[None]:
        """Have a block be the only one that obtains certificates."""
        with lock.wait_and_hold(self.layout.obtaining, self.wait) as killed:
            tidy_up(self.site, self.installation, killed=killed)
            yield

    def deployed(self, site: Site) -> Site:
        """Keep the model by which the services were set up just now; what was confirmed is over."""
        kept = applied_model.keep_model(self.installation.store, site)
        self.site = replace(site, past=replace(site.past, former=kept, confirmed=False))
        return self.site

    def latest(self, site: Site) -> Site:
        """Return the site, read anew where another run has kept something since it was read."""
        try:
            return latest_site(self.layout, site)
        except ProxygenError:
            if self.made is None:
                raise
            return assemble.last_right(self.layout) or site


def time_of_day() -> datetime:
    """Return the time of day."""
    return datetime.now(UTC)


def tell_figures(site: Site, installation: Installation, outcome: Outcome, took: timedelta) -> None:
    """Write the figures for Prometheus where the model wants them; a failure is a warning."""
    if site.metrics.file is None:
        return
    try:
        if figures := metrics.round_figures(site, installation, outcome, took):
            metrics.write_figures(installation.layout, figures)
    except ProxygenError as error:
        outcome.warnings.append(Coded(str(error), "metrics"))


@contextmanager
def without_daemon(layout: Layout) -> Iterator[None]:
    """Have a block that no daemon undoes; raise LockHeld while one runs."""
    path = layout.watch / "lock"
    if not path.parent.is_dir():
        yield
        return
    try:
        with lock.hold(path):
            yield
    except LockHeld as error:
        if error.where != str(path):
            raise
        raise LockHeld(replace(error.failure, code="daemon-would-undo")) from error
