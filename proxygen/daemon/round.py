"""The two halves as the daemon runs them: each under its lock, with a way to stop it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from proxygen import assemble
from proxygen.apply.hooks import HOOK_RAN
from proxygen.apply.issue import Result
from proxygen.apply.mails import MailMemory, send_mails
from proxygen.apply.outcome import Outcome, Progress, tell_nobody
from proxygen.apply.tidying import note_killed, tidy_up
from proxygen.assemble import Installation
from proxygen.daemon.bell import Clock
from proxygen.daemon.log_lines import DEBUG, INFO, EventLog
from proxygen.deploy import deploy
from proxygen.errors import Coded
from proxygen.host import files, lock
from proxygen.host.addresses import Addresses
from proxygen.host.logs import log_event
from proxygen.host.systemd import Manager
from proxygen.model.certificate import Bundle
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.observe.installed import UNSERVED
from proxygen.obtain import obtain
from proxygen.plan.compare import reloaded_again
from proxygen.stores import Store


@dataclass(frozen=True, slots=True)
class Round:
    """What every round is given; *memory* is that of mailed alerts.

    *enough* tells whether to begin no more orders, *hurry* whether to send no more mails, *leave*
    whether to end hooks at once. *alive* is called for progress of a deployment, *obtains* for that
    of obtaining, *came* for each certificate that was stored. *addresses* look up names.
    """

    layout: Layout
    clock: Clock
    lines: EventLog
    manager: Manager
    memory: MailMemory
    enough: Callable[[], bool]
    hurry: Callable[[], bool]
    leave: Callable[[], bool]
    alive: Callable[[], None]
    obtains: Callable[[], None]
    came: Callable[[str], None]
    addresses: Addresses
    latest: Callable[[Store], Site | None]
    keep: Callable[[Store, Site], None]

    def deploy(
        self,
        site: Site,
        former: Installation | None,
        reasons: Collection[str],
        unserved: Collection[str],
    ) -> tuple[Installation, Outcome]:
        """Deploy; raise LockHeld while another run does.

        The *former* parts hand on what they know. *unserved* are services that were seen to serve
        something else: they are probed whatever else there is to do, and reloaded if nothing else
        would repair them.
        """
        with lock.hold(self.layout.lock) as killed:
            assemble.bring_forward(self.layout)
            if killed:
                note_killed(self.layout)
            site = self.latest(assemble.shared_store(self.layout)) or site
            log_event(INFO, "round_begun", because=tuple(reasons))
            self.manager.status(f"a round is under way: {', '.join(reasons)}")
            installation = assemble.build_installation(
                self.layout, self.clock.now, former, self.addresses
            )
            for name in unserved:
                note_unserved(self.layout, name)
            outcome = deploy(
                site,
                installation,
                self.progress(installation, self.alive, tell_nobody, self.leave),
                unserved,
            )
            for name in unserved:
                if reloaded_again(name) in outcome.done:
                    log_event(INFO, "reloaded", service=name, reason="it served something else")
            self.keep(installation.store, site)
            return installation, outcome

    def obtain(self, site: Site, former: Installation | None) -> tuple[Installation, Outcome]:
        """Obtain what is due; raise LockHeld while another process does."""
        with lock.hold(self.layout.obtaining) as killed:
            installation = assemble.build_installation(self.layout, self.clock.now, former)
            tidy_up(site, installation, killed=killed)
            return installation, obtain(
                site,
                installation,
                self.progress(installation, self.obtains, self.came, self.enough),
            )

    def tell(self, site: Site, installation: Installation, outcome: Outcome) -> datetime | None:
        """Mail alerts; return when there is more to mail."""
        return send_mails(site, installation, outcome, self.memory, self.sent_enough)

    def sent_enough(self) -> bool:
        """Return whether to send no more mails; each one is progress."""
        self.alive()
        return self.hurry()

    def progress(
        self,
        installation: Installation,
        alive: Callable[[], None],
        came: Callable[[str], None],
        stop: Callable[[], bool],
    ) -> Progress:
        """Return who is told how it goes; *came* gets each owner whose certificate was stored."""

        def say(words: str) -> None:
            alive()
            hook = isinstance(words, Coded) and words.code == HOOK_RAN
            log_event(INFO if hook else DEBUG, "hook" if hook else "step", what=words)

        def count(what: str, done: int, of: int) -> None:
            alive()
            log_event(DEBUG, "progress", what=what, done=done, of=of)
            self.manager.status(f"{what}: {done:,} of {of:,}")

        def result(found: Result) -> None:
            self.lines.certificate(found, installation.bundles)
            if isinstance(found[1], Bundle):
                came(found[1].owner)

        return Progress(say, count, stop, result, self.leave)


def note_unserved(layout: Layout, name: str) -> None:
    """Note that clients of a service see something wrong, so that the round probes it."""
    folder = layout.live(name).folder
    if folder.is_dir():
        files.write(folder / UNSERVED, b"")
