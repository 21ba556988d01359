"""The loop: events, due times, and one round when there is a reason for it.

An event only wakes: files decide whether there is a reason, and the round decides from the whole
state what to do.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from proxygen.apply.mails import MailMemory
from proxygen.apply.outcome import Outcome
from proxygen.apply.unwritten import tell_unwritten
from proxygen.assemble import Installation
from proxygen.daemon import inputs
from proxygen.daemon.bell import Bell, Clock
from proxygen.daemon.calendar import CERTIFICATES, FILES, NEVER, Allowance, Calendar
from proxygen.daemon.figures import FigurePublisher
from proxygen.daemon.following import ModelFollower
from proxygen.daemon.log_lines import ERROR, INFO, WARNING, EventLog
from proxygen.daemon.obtaining import Obtainer, Start, side_by_side
from proxygen.daemon.outside import Outside
from proxygen.daemon.round import Round
from proxygen.daemon.upstreams import Upstreams
from proxygen.daemon.waiting_names import WaitingNames
from proxygen.errors import IssueFailed, LockHeld, ProxygenError
from proxygen.failure import Scope, failure
from proxygen.host import outage
from proxygen.host.logs import log_event, log_exception
from proxygen.host.memory import settle_memory
from proxygen.host.systemd import Manager
from proxygen.host.watching import Watching
from proxygen.languages.counts import counted_words
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.plan.steps import PostponedOrder
from proxygen.plan.wake import waiting_names, wake_at
from proxygen.reconcile import join_halves
from proxygen.texts.alerts import WrongModel
from proxygen.texts.bounds import MOST_TOLD

LOOK = 15.0
"""Seconds between looks at the services' processes and at a few of their endpoints."""
SECOND_LOOK = 2.0
"""Seconds after which what looked wrong is looked at again."""
SIGHTED, BLIND = 300.0, 10.0
"""Seconds between looks at all files, where the kernel tells of changes and where it does not."""
LOOKING_SHARE = 300
"""Looking at all files may take one part in so many of a core."""
FULL_DAY = timedelta(days=1)
NOT_ASKED = timedelta(minutes=10)
"""After which a certificate is looked at again that nobody was asked for."""
SILENCE = 1800.0
"""Seconds without progress after which a round hangs; an order is given up after 600 seconds."""


@dataclass(slots=True)
class Watch:
    """The daemon without its surroundings: ``step`` is called again and again.

    *clock* is its only clock, *bell* wakes it, *watching* rings that bell; *draw* is the only
    source of chance. *reasons* are those for the next round, *unserved* the services that were seen
    to serve something else. *installation* remember from round to round what they read. *proven*: a
    whole step was done, so an outage that was mailed is over. *tell_at* is when alerts are mailed
    that may be over before. *start_work* runs the obtaining of certificates beside the loop.
    *deployed* and *obtained* are the last outcomes of the halves; *arrived*: certificates wait to
    be deployed. *undone*: the latest deployment failed as a whole, after one that did not. *more*
    is when there is more to mail.
    """

    layout: Layout
    clock: Clock
    bell: Bell
    watching: Watching
    manager: Manager = field(default_factory=Manager)
    draw: Callable[[], float] = random.random
    lines: EventLog = field(default_factory=EventLog)
    memory: MailMemory = field(default_factory=partial(MailMemory, patient=True))

    start_work: Start = side_by_side
    figures: FigurePublisher = field(init=False)
    obtaining: Obtainer = field(init=False)
    following: ModelFollower = field(init=False)
    outside: Outside = field(init=False)
    upstreams: Upstreams = field(init=False)
    waiting: WaitingNames = field(init=False)
    calendar: Calendar = field(init=False)
    allowance: Allowance = field(init=False)
    reasons: dict[str, None] = field(default_factory=dict)
    unserved: set[str] = field(default_factory=set)
    installation: Installation | None = None
    deployed: Outcome = field(default_factory=Outcome)
    obtained: Outcome = field(default_factory=Outcome)
    arrived: bool = False
    undone: bool = False
    more: datetime | None = None
    started: bool = False
    proven: bool = False
    asked: bool = False
    stopping: bool = False
    waits_for_lock: bool = False
    began: float = 0.0
    progress_at: float = 0.0
    look_at: float = 0.0
    files_at: float = 0.0
    tell_at: float = NEVER

    def __post_init__(self) -> None:
        self.following = ModelFollower(self.layout, self.clock, self.watching, self.lines)
        self.outside = Outside(self.layout)
        self.obtaining = Obtainer(self.bell.wake, self.start_work)
        self.figures = FigurePublisher(self.layout)
        self.upstreams = Upstreams(self.clock)
        self.waiting = WaitingNames(self.layout, self.bell)
        self.calendar = Calendar(self.clock)
        self.allowance = Allowance(self.clock)

    # From any thread.

    def ask(self) -> None:
        """Ask for a round that reads everything again (SIGHUP)."""
        self.asked = True
        self.bell.wake()

    def stop(self) -> None:
        """Ask the loop to end: no more orders are begun, and no further round."""
        self.stopping = True
        self.bell.wake()

    def lively(self) -> bool:
        """Return whether the loop runs, and its round makes progress."""
        now, obtaining = self.clock.ticks(), self.obtaining
        hangs = obtaining.running and now - obtaining.progress_at >= SILENCE
        return now - self.progress_at < SILENCE and not hangs

    # The loop.

    def run(self) -> None:
        """Run until asked to stop."""
        while not self.stopping:
            self.bell.wait(self.safely())
        while self.obtaining.running:  # who is told to end it, whatever it does, ends us
            self.bell.wait(0.1)

    def safely(self) -> float:
        """Do one step; whatever goes wrong, the next one reads everything again."""
        try:
            return self.step()
        except Exception as error:  # noqa: BLE001 - a daemon that ends needs a person
            pause = self.give_up(error)
            self.following.seen.clear()
            self.reasons["again"] = None
            self.files_at = self.look_at = self.clock.ticks() + pause
            return pause

    def step(self) -> float:
        """Do what there is a reason for; return for how many seconds to wait for an event."""
        self.alive()
        if not self.started:
            self.start()
        if self.asked:
            self.start_again()
        self.notice()
        self.take_over()
        site = self.following.site
        if site and self.reasons and self.calendar.begins(self.reasons) <= self.clock.ticks():
            self.round(site)
        if self.may_obtain():
            self.obtain()
            self.take_over()
        if not self.proven:
            outage.note_end(self.layout)
            self.proven = True
        return self.wait()

    def alive(self) -> None:
        """Give a sign of life."""
        self.progress_at = self.clock.ticks()

    def obtains(self) -> None:
        """Give a sign of life of the work beside the loop."""
        self.obtaining.progress_at = self.clock.ticks()

    def start(self) -> None:
        """Read the model, begin to watch, and report that the daemon is ready.

        The first round comes after that, as it may be long and nothing waits for it: services serve
        what they were given before.
        """
        self.following.start()
        self.waiting.start()
        self.started = True
        self.reasons["start"] = None
        self.files_at = self.clock.ticks() + SIGHTED
        self.look_at = self.clock.ticks() + LOOK
        self.manager.ready()
        self.tell()

    def start_again(self) -> None:
        """Read everything again, as somebody asked for it, and report that to systemd."""
        log_event(INFO, "reloading")
        self.installation = None
        if self.obtaining.installation:
            self.obtaining.installation.resolvers.clear()
        self.upstreams.addresses.only(())
        self.following.anew()
        self.asked = False
        self.reasons["asked"] = None
        self.manager.ready()
        self.tell()

    def wait(self) -> float:
        """Return for how many seconds there is nothing to do."""
        now = self.clock.ticks()
        files = self.files_at
        if (burst := self.bell.left()) is not None:
            files = min(files, now + burst)
        moments = [self.calendar.next(), self.look_at, self.tell_at, self.upstreams.next()]
        if self.installation and not self.obtaining.running:
            moments.append(self.waiting.next())
        moments.append(max(files, now + self.allowance.left()))
        if self.reasons and self.following.site:
            moments.append(self.calendar.begins(self.reasons))
        if self.obtaining.wanted and not self.obtaining.running and self.is_deployed():
            moments.append(self.calendar.may_obtain_at)
        if self.obtaining.ended is not None or (self.arrived and CERTIFICATES not in self.reasons):
            moments.append(now)
        return 0.0 if self.asked or self.stopping else max(0.0, min(moments) - now)

    # What happened.

    def notice(self) -> None:
        """Look at everything that is due, and note the reasons for a round."""
        now = self.clock.ticks()
        if self.may_read_files() and (self.bell.heard() or now >= self.files_at):
            self.notice_files()
        if now >= self.look_at:
            self.notice_services()
        if self.arrived:
            self.arrived = False
            self.reasons[CERTIFICATES] = None
        for name in self.upstreams.changed():
            log_event(INFO, "addresses_changed", name=name)
            self.reasons[f"addresses of {name}"] = None
        if self.installation and not self.obtaining.running:
            self.notice_requests(self.installation)
        if now >= self.tell_at:
            self.tell_at = NEVER
            self.reasons["model"] = None
        for reason in self.calendar.reasons():
            if reason == "clock":
                log_event(WARNING, "clock_jumped", what="everything is read and decided again")
                if self.obtaining.installation:
                    self.obtaining.installation.resolvers.clear()
            self.reasons[reason] = None

    def may_read_files(self) -> bool:
        """Return whether changes of files have not taken too much time lately to handle more."""
        return not self.allowance.left()

    def notice_files(self) -> None:
        """Look for changes of all files."""
        spent = self.clock.spent()
        self.reasons |= dict.fromkeys(self.following.changes())
        for name in self.outside.changed():
            log_event(INFO, "service_files_changed", service=name)
            self.reasons[f"files of {name}"] = None
        self.tell()
        usual = BLIND if self.watching.blind else SIGHTED
        spent = self.clock.spent() - spent
        self.allowance.take(spent)
        self.files_at = self.clock.ticks() + max(usual, LOOKING_SHARE * spent)

    def notice_services(self) -> None:
        """Look at the services' processes, and probe a few places."""
        now = self.clock.ticks()
        for name, (former, pid) in self.outside.restarted().items():
            happened = "service_restarted" if pid else "service_ended"
            log_event(INFO if pid else WARNING, happened, service=name, former=former, pid=pid)
            self.reasons[f"{name} restarted" if pid else f"{name} ended"] = None
        for name in self.outside.sample(now):
            log_event(
                ERROR,
                "not_served",
                service=name,
                what="clients get another certificate",
            )
            self.unserved.add(name)
            self.reasons[f"{name} serves something else"] = None
        for name in self.outside.mended(now):
            log_event(INFO, "served_again", service=name)
            self.reasons[f"{name} serves what is wanted"] = None
        for name in self.outside.unasked:
            self.reasons[f"{name} was not probed everywhere"] = None
        self.look_at = now + (SECOND_LOOK if self.outside.suspect else LOOK)

    def notice_requests(self, installation: Installation) -> None:
        """Have names checked that clients ask for here although they wait for their DNS."""
        if not (asked := self.waiting.due()):
            return
        names = [name for each in asked.values() for name in each]
        log_event(INFO, "asked_for", names=tuple(names[:MOST_TOLD]), count=len(names))
        with suppress(OSError):  # then they are checked by the clock
            installation.names.check_now(asked, self.clock.now())
        if self.obtaining.installation:
            for resolver in list(self.obtaining.installation.resolvers.values()):
                for name in names:
                    resolver.forget(name)
        self.obtaining.wanted = True

    # The halves.

    def round(self, site: Site) -> None:
        """Deploy; whatever goes wrong, there is a next round."""
        reasons, self.reasons = self.reasons, {}
        unserved, self.unserved = self.unserved, set()
        self.obtaining.wanted |= reasons.keys() != {CERTIFICATES}
        self.began = self.clock.ticks()
        spent, before = self.clock.spent(), self.deployed.observed is not None
        try:
            given = self.installation, tuple(reasons), unserved
            installation, outcome = self.made().deploy(site, *given)
            self.installation, self.deployed = installation, outcome
            self.undone = False
            self.finish(self.following.site or site, installation)
            spent = self.clock.spent() - spent
            if not outcome.done:
                self.calendar.idle = spent
            if FILES & set(reasons):
                self.allowance.take(spent)
            return
        except LockHeld as error:
            self.wait_for_lock(error)
            self.reasons = reasons | self.reasons
        except Exception as error:  # noqa: BLE001 - a daemon that ends needs a person
            self.give_up(error)
            self.undone = before
            self.reasons["again"] = None
        finally:
            self.alive()
        self.unserved |= unserved

    def may_obtain(self) -> bool:
        """Return whether to obtain certificates now: once all changes are deployed."""
        ready = self.obtaining.wanted and not self.obtaining.running
        begun = self.installation is not None or self.undone
        return (
            ready
            and begun
            and self.is_deployed()
            and self.calendar.may_obtain_at <= self.clock.ticks()
        )

    def is_deployed(self) -> bool:
        """Return whether no change has to be deployed first; certificates may wait.

        A change that cannot be deployed at present keeps nobody from renewing.
        """
        others = self.reasons.keys() - {CERTIFICATES}
        return (self.undone or not others) and not self.stopping and self.obtaining.ended is None

    def obtain(self) -> None:
        """Begin to obtain what is due; a later step takes over the outcome."""
        site, made = self.following.site, self.made()
        if site is None:
            return
        self.obtaining.begin(
            lambda installation: made.obtain(site, installation), self.clock.ticks()
        )

    def take_over(self) -> None:
        """Take over the outcome of obtaining certificates, once it has ended."""
        ended = self.obtaining.result()
        if ended is None:
            return
        self.waiting.rest(self.clock.ticks() - self.obtaining.since)
        if isinstance(ended, LockHeld):
            self.calendar.obtaining_locked()
            self.obtaining.wanted = True
        elif isinstance(ended, Exception):
            self.say_failed(ended, self.calendar.obtaining_failed())
            self.obtaining.wanted = True
        else:
            self.calendar.obtaining_failures = 0
            former, self.obtained = self.obtained, ended
            self.lines.obtained(ended, self.clock.ticks() - self.obtaining.since)
            site = self.following.site
            installation = self.installation or (
                self.obtaining.installation if self.undone else None
            )
            if site is None or installation is None or self.arrived:
                return  # all of it is told after the next deployment
            if is_news(former, ended):
                self.told(site, installation)
            else:
                self.due(site, join_halves(site, installation, self.deployed, ended))

    def made(self) -> Round:
        """Return a round, connected with this loop."""
        return Round(
            *(self.layout, self.clock, self.lines, self.manager, self.memory),
            *(self.enough, self.hurry, self.leave),
            *(self.alive, self.obtains, self.come),
            *(self.upstreams.addresses, self.following.latest, self.following.keep),
        )

    def come(self, owner: str) -> None:
        """Note that somebody's certificate was stored; called from any thread."""
        self.obtained.settle(owner)
        self.arrived = True
        self.bell.wake()

    def enough(self) -> bool:
        """Return whether to begin no more orders: other things are due, or the daemon ends."""
        return self.stopping or self.asked or self.obtaining.wanted

    def leave(self) -> bool:
        """Return whether the daemon is to end."""
        return self.stopping

    def hurry(self) -> bool:
        """Return whether a round should end soon: for other work, or for changes."""
        if self.may_read_files() and self.bell.heard():
            spent = self.clock.spent()
            self.reasons |= dict.fromkeys(self.following.changes())
            self.allowance.take(self.clock.spent() - spent)
        return self.stopping or self.asked or bool(self.reasons)

    def wait_for_lock(self, error: LockHeld) -> None:
        """Wait until another run releases the lock."""
        if not self.waits_for_lock:
            log_event(INFO, "waiting_for_lock", what=error.what)
            self.manager.status(error.what)
        self.waits_for_lock = True
        self.calendar.locked()

    def give_up(self, error: Exception) -> float:
        """Log why a round failed; return after how many seconds the next one begins."""
        self.installation = None
        pause = self.calendar.failed()
        self.say_failed(error, pause)
        return pause

    def say_failed(self, error: Exception, pause: float) -> None:
        """Log why a half failed, and after how many seconds it is tried again."""
        if isinstance(error, ProxygenError | OSError):
            log_event(ERROR, "round_failed", what=str(error), again_in=pause)
        else:
            log_exception("round_failed", what=repr(error), again_in=pause)
        self.manager.status(f"a round failed: {error}; the next one begins in {pause:.0f} s")
        if isinstance(error, OSError):
            self.tell_of_the_disk(error)

    def tell_of_the_disk(self, error: OSError) -> None:
        """Mail an alert if nothing can be written, so that no round can be completed."""
        if self.following.site:
            given = (self.following.site, self.layout, self.clock.now, error, self.memory)
            for words in tell_unwritten(*given).warnings:
                log_event(WARNING, "warning", what=words)

    def finish(self, site: Site, installation: Installation) -> None:
        """Take over the outcome of a deployment."""
        deployed = self.deployed
        self.waits_for_lock = False
        self.outside.after(site, installation, deployed)
        if deployed.observed:
            self.upstreams.after(site, deployed.observed)
        self.following.services = inputs.of_services(self.layout, self.outside.services.values())
        trouble = any(not isinstance(error, IssueFailed) for _, error in deployed.failures)
        self.lines.deployed(deployed)
        self.told(site, installation)
        self.calendar.done(trouble=trouble)
        seconds = self.clock.ticks() - self.began
        self.calendar.lasted = seconds
        self.lines.ended(deployed, seconds, self.calendar.wake)
        settle_memory()

    def told(self, site: Site, installation: Installation) -> None:
        """Mail alerts, write figures, and find out when something is due."""
        now = self.clock.now()
        outcome = join_halves(site, installation, self.deployed, self.obtained)
        self.more = self.made().tell(site, installation, outcome)
        self.due(site, outcome)
        self.files_at = self.clock.ticks()
        if (left := self.memory.settling(now)) is not None:
            self.tell_at = self.clock.ticks() + left
        self.lines.outcome(outcome)
        self.figures.tell(site, installation, outcome, self.clock.ticks() - self.began)
        self.tell()

    def due(self, site: Site, outcome: Outcome) -> None:
        """Find out when something is due, or there is more to mail.

        While certificates are obtained, certificates that are due wake nobody.
        """
        now = self.clock.now()
        moments = [self.more] if self.more else []
        if self.obtaining.wanted or self.obtaining.running:
            moments.append(now + FULL_DAY)
        elif outcome.observed:
            waiting = [*outcome.waiting, *self.not_asked_for(site, outcome, now + NOT_ASKED)]
            moments.append(wake_at(site, outcome.observed, waiting, now))
        if outcome.observed:
            self.waiting.only(waiting_names(site, outcome.observed, now))
        self.calendar.due(min(moments, default=now), self.draw())
        self.manager.status(self.words())

    def not_asked_for(
        self, site: Site, outcome: Outcome, until: datetime
    ) -> Iterator[PostponedOrder]:
        """Yield the certificates that failed without an order, of which nothing is stored."""
        attempts = outcome.observed.failures if outcome.observed else {}
        failed = {of for of, _ in self.obtained.failures} - attempts.keys()
        for wanted in site.certificates if failed else ():
            if wanted.owner in failed:
                yield PostponedOrder(
                    wanted, until, "failed", failure("order-not-placed", Scope.OWNER)
                )

    def tell(self) -> None:
        """Report the state to systemd and in the figures."""
        self.tell_of_the_model()
        self.manager.status(self.words())

    def tell_of_the_model(self) -> None:
        """Note whether the model is right, and since when it is not."""
        wrong = "; ".join(sorted(self.lines.mistakes)[:MOST_TOLD])
        if not wrong:
            self.memory.wrong = None
        elif self.memory.wrong is None or self.memory.wrong.words != wrong:
            former = self.memory.wrong
            self.memory.wrong = WrongModel(former.since if former else self.clock.now(), wrong)
        site = self.following.site
        self.figures.model(right=not wrong and not (site and site.mistakes))

    def words(self) -> str:
        """Return the state in one line."""
        words = []
        if count := len(self.lines.mistakes):
            words.append(f"the model is wrong ({counted_words(count, 'mistake')})")
        if site := self.following.site:
            if site.set_aside:
                words.append(f"{counted_words(len(site.set_aside), 'included file')} set aside")
            if site.held_back:
                words.append("a removal is held back")
            words.append(counted_words(len(site.domains), "domain"))
        else:
            words.append("waiting until the model is corrected")
        if self.calendar.wake:
            words.append(f"next round: {self.calendar.wake:%Y-%m-%d %H:%M} UTC")
        return "; ".join(words)


def is_news(former: Outcome, latest: Outcome) -> bool:
    """Return whether obtaining certificates had a result that may be mailed."""
    came = latest.done or latest.failures or latest.terms or latest.notes
    return bool(came) or (former.failures, former.waiting) != (latest.failures, latest.waiting)
