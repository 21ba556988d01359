"""One round of the daemon: under the lock, with a way to stop it and to repair what serves."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from proxygen import assemble
from proxygen.apply.issue import Result
from proxygen.apply.service import LiveService
from proxygen.apply.walk import Outcome, Progress
from proxygen.assemble import Parts
from proxygen.errors import ServiceError
from proxygen.host import files, lock
from proxygen.host.addresses import Addresses
from proxygen.host.logs import event
from proxygen.host.systemd import Manager
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.observe import UNSERVED
from proxygen.plan.observed import Observed
from proxygen.plan.steps import Install, Issue, Plan
from proxygen.reconcile import reconcile
from proxygen.stores import Store
from proxygen.tell import Memory, tell
from proxygen.watch.bell import Clock
from proxygen.watch.lines import DEBUG, INFO, WARNING, Lines


@dataclass(frozen=True, slots=True)
class Round:
    """What every round is given; *memory* is that of what people are told.

    *enough* tells whether to begin no more orders, *hurry* whether to send no more letters,
    *leave* whether to end at once what hooks do, and *alive* is told of progress. *addresses* look
    up names.
    """

    layout: Layout
    clock: Clock
    lines: Lines
    manager: Manager
    memory: Memory
    enough: Callable[[], bool]
    hurry: Callable[[], bool]
    leave: Callable[[], bool]
    alive: Callable[[], None]
    addresses: Addresses
    latest: Callable[[Store], Site | None]
    keep: Callable[[Store, Site], None]

    def run(
        self,
        site: Site,
        former: Parts | None,
        reasons: Collection[str],
        unserved: Collection[str],
    ) -> tuple[Parts, Outcome, datetime | None]:
        """Do one round, and return when there is more to tell; raise LockHeld while another runs.

        The *former* parts give on what they know. *unserved* are services that were seen to
        serve something else: they are looked at whatever else there is to do, and reloaded where
        nothing else would repair them.
        """
        with lock.held(self.layout.lock) as killed:
            assemble.bring_forward(self.layout)
            site = self.latest(assemble.opened(self.layout)) or site
            event(INFO, "round_begun", because=tuple(reasons))
            self.manager.status(f"a round is under way: {', '.join(reasons)}")
            parts = assemble.parts(self.layout, self.clock.now, former, self.addresses)
            if killed:
                parts.bundles.tidy(each.key for each in site.owners)
            for name in unserved:
                note_unserved(self.layout, name)
            mending = Mending(parts, unserved)
            outcome = reconcile(site, parts, self.progress(parts), worth=mending.first)
            self.keep(parts.store, site)
            return parts, outcome, tell(site, parts, outcome, self.memory, self.sent_enough)

    def sent_enough(self) -> bool:
        """Return whether to send no more letters; each one is progress."""
        self.alive()
        return self.hurry()

    def progress(self, parts: Parts) -> Progress:
        """Return who is told how it goes."""

        def say(words: str) -> None:
            self.alive()
            hook = words.startswith("hook ")
            event(INFO if hook else DEBUG, "hook" if hook else "step", what=words)

        def count(done: int, of: int) -> None:
            self.alive()
            event(DEBUG, "certificates", done=done, of=of)
            self.manager.status(f"obtaining certificates: {done:,} of {of:,}")

        def result(found: Result) -> None:
            self.lines.certificate(found, parts.bundles)

        return Progress(say, count, self.enough, result, self.leave)


def note_unserved(layout: Layout, name: str) -> None:
    """Note that clients of a service do not see what is wanted, so that the round looks."""
    folder = layout.live(name).folder
    if folder.is_dir():
        files.write(folder / UNSERVED, b"")


@dataclass(slots=True)
class Mending:
    """Reloads the services that serve something else although their files are as wanted.

    One that was started, or reloaded, while its files were different serves those.
    """

    parts: Parts
    unserved: Collection[str]

    def first(self, plan: Plan, observed: Observed) -> bool:
        """Look at the first plan that is about services; each plan is worth walking."""
        if self.unserved and not any(isinstance(step, Issue) for step in plan.steps):
            installs = (step for step in plan.steps if isinstance(step, Install))
            installed = {step.installation.service for step in installs}
            for name in sorted(set(self.unserved) - installed):
                self.reload(name, observed)
            self.unserved = ()
        return True

    def reload(self, name: str, observed: Observed) -> None:
        """Reload one service that runs."""
        state = observed.services.get(name)
        if state is None or state.facts is None or state.pid is None:
            return
        try:
            LiveService(state, self.parts).reload()
        except ServiceError as error:
            event(WARNING, "reload_failed", service=name, what=error.what, words=error.words)
        else:
            event(INFO, "reloaded", service=name, reason="it served something else")
