"""The loop: what happened, what is due, and one round when there is reason for one.

An event only wakes: whether there is reason is decided by what the files hold, and what is to
be done by the round, from the whole state.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from proxygen.apply.mails import Memory
from proxygen.apply.outcome import Outcome
from proxygen.apply.unwritten import tell_unwritten
from proxygen.assemble import Parts
from proxygen.daemon import inputs
from proxygen.daemon.bell import Bell, Clock
from proxygen.daemon.calendar import CERTIFICATES, FILES, NEVER, Allowance, Calendar
from proxygen.daemon.figures import Figures
from proxygen.daemon.following import Following
from proxygen.daemon.log_lines import ERROR, INFO, WARNING, Lines
from proxygen.daemon.obtaining import Obtaining, Start, side_by_side
from proxygen.daemon.outside import Outside
from proxygen.daemon.round import Round
from proxygen.daemon.upstreams import Upstreams
from proxygen.errors import IssueFailed, LockHeld, ProxygenError
from proxygen.host import outage
from proxygen.host.logs import event, mishap
from proxygen.host.memory import settle
from proxygen.host.systemd import Manager
from proxygen.host.watching import Watching
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.plan.steps import Waiting
from proxygen.plan.wake import wake_at
from proxygen.reconcile import together
from proxygen.texts.alerts import Wrong
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

    *clock* is its only clock, *bell* what others wake it with, *watching* rings that bell;
    *draw* is the only chance. *reasons* are those for the next round, *unserved* the services
    that were seen to serve something else. *parts* know from round to round what they read.
    *proven*: a whole step was done, so an outage that people were told of is over. *tell_at* is
    when people are told of what may pass until then. *start_work* has certificates obtained, beside
    the loop; *deployed* and *obtained* are what the halves came to last, *arrived* certificates
    wait to be deployed. *undone*: the latest deployment failed as a whole, after one was done.
    *more* is when there is more to tell people.
    """

    layout: Layout
    clock: Clock
    bell: Bell
    watching: Watching
    manager: Manager = field(default_factory=Manager)
    draw: Callable[[], float] = random.random
    lines: Lines = field(default_factory=Lines)
    memory: Memory = field(default_factory=partial(Memory, patient=True))

    start_work: Start = side_by_side
    figures: Figures = field(init=False)
    obtaining: Obtaining = field(init=False)
    following: Following = field(init=False)
    outside: Outside = field(init=False)
    upstreams: Upstreams = field(init=False)
    calendar: Calendar = field(init=False)
    allowance: Allowance = field(init=False)
    reasons: dict[str, None] = field(default_factory=dict)
    unserved: set[str] = field(default_factory=set)
    parts: Parts | None = None
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
        self.following = Following(self.layout, self.clock, self.watching, self.lines)
        self.outside = Outside(self.layout)
        self.obtaining = Obtaining(self.bell.wake, self.start_work)
        self.figures = Figures(self.layout)
        self.upstreams = Upstreams(self.clock)
        self.calendar = Calendar(self.clock)
        self.allowance = Allowance(self.clock)

    # From any thread.

    def ask(self) -> None:
        """Ask for a round from the very beginning (SIGHUP)."""
        self.asked = True
        self.bell.wake()

    def stop(self) -> None:
        """Ask to end: no more orders are begun, and no other round."""
        self.stopping = True
        self.bell.wake()

    def lively(self) -> bool:
        """Return whether the loop goes round, or its round gets on."""
        now, obtaining = self.clock.ticks(), self.obtaining
        hangs = obtaining.running and now - obtaining.progress_at >= SILENCE
        return now - self.progress_at < SILENCE and not hangs

    # The loop.

    def run(self) -> None:
        """Go on until asked to stop."""
        while not self.stopping:
            self.bell.wait(self.safely())
        while self.obtaining.running:  # who is told to end it, whatever it does, ends us
            self.bell.wait(0.1)

    def safely(self) -> float:
        """Do one step; whatever goes wrong, there is a next one, that looks at everything anew."""
        try:
            return self.step()
        except Exception as error:  # noqa: BLE001 - a daemon that ends needs a person
            pause = self.give_up(error)
            self.following.seen.clear()
            self.reasons["again"] = None
            self.files_at = self.look_at = self.clock.ticks() + pause
            return pause

    def step(self) -> float:
        """Do what there is reason for; return for how many seconds to wait for an event."""
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
            outage.over(self.layout)
            self.proven = True
        return self.wait()

    def alive(self) -> None:
        """Give a sign of life."""
        self.progress_at = self.clock.ticks()

    def obtains(self) -> None:
        """Give a sign of life of what is done beside the loop."""
        self.obtaining.progress_at = self.clock.ticks()

    def start(self) -> None:
        """Read the model, watch, and say that we are ready, before a first round that may be long.

        Nothing waits for that round: services serve what they were given before.
        """
        self.following.start()
        self.started = True
        self.reasons["start"] = None
        self.files_at = self.clock.ticks() + SIGHTED
        self.look_at = self.clock.ticks() + LOOK
        self.manager.ready()
        self.tell()

    def start_again(self) -> None:
        """Read everything again, since somebody asks for it, and say so."""
        event(INFO, "reloading")
        self.parts = None
        if self.obtaining.parts:
            self.obtaining.parts.lookups.clear()
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
        """Look at everything of which it is time, and note what is a reason for a round."""
        now = self.clock.ticks()
        if self.may_look() and (self.bell.heard() or now >= self.files_at):
            self.notice_files()
        if now >= self.look_at:
            self.notice_services()
        if self.arrived:
            self.arrived = False
            self.reasons[CERTIFICATES] = None
        for name in self.upstreams.changed():
            event(INFO, "addresses_changed", name=name)
            self.reasons[f"addresses of {name}"] = None
        if now >= self.tell_at:
            self.tell_at = NEVER
            self.reasons["model"] = None
        for reason in self.calendar.reasons():
            if reason == "clock":
                event(WARNING, "clock_jumped", what="everything is looked at again")
                if self.obtaining.parts:
                    self.obtaining.parts.lookups.clear()
            self.reasons[reason] = None

    def may_look(self) -> bool:
        """Return whether changes of files did not take too much lately to look at more."""
        return not self.allowance.left()

    def notice_files(self) -> None:
        """Look at all files."""
        spent = self.clock.spent()
        self.reasons |= dict.fromkeys(self.following.changes())
        for name in self.outside.changed():
            event(INFO, "service_files_changed", service=name)
            self.reasons[f"files of {name}"] = None
        self.tell()
        usual = BLIND if self.watching.blind else SIGHTED
        spent = self.clock.spent() - spent
        self.allowance.take(spent)
        self.files_at = self.clock.ticks() + max(usual, LOOKING_SHARE * spent)

    def notice_services(self) -> None:
        """Look at the services from outside."""
        now = self.clock.ticks()
        for name, (former, pid) in self.outside.restarted().items():
            happened = "service_restarted" if pid else "service_ended"
            event(INFO if pid else WARNING, happened, service=name, former=former, pid=pid)
            self.reasons[f"{name} restarted" if pid else f"{name} ended"] = None
        for name in self.outside.sample(now):
            event(ERROR, "not_served", service=name, what="clients are shown something else")
            self.unserved.add(name)
            self.reasons[f"{name} serves something else"] = None
        for name in self.outside.mended(now):
            event(INFO, "served_again", service=name)
            self.reasons[f"{name} serves what is wanted"] = None
        for name in self.outside.unasked:
            self.reasons[f"{name} was not asked everywhere"] = None
        self.look_at = now + (SECOND_LOOK if self.outside.suspect else LOOK)

    # The halves.

    def round(self, site: Site) -> None:
        """Deploy; whatever goes wrong in it, the next round comes."""
        reasons, self.reasons = self.reasons, {}
        unserved, self.unserved = self.unserved, set()
        self.obtaining.wanted |= reasons.keys() != {CERTIFICATES}
        self.began = self.clock.ticks()
        spent, before = self.clock.spent(), self.deployed.observed is not None
        try:
            given = self.parts, tuple(reasons), unserved
            parts, outcome = self.made().deploy(site, *given)
            self.parts, self.deployed = parts, outcome
            self.undone = False
            self.finish(self.following.site or site, parts)
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
        """Return whether to obtain certificates now: once all that changed is deployed."""
        ready = self.obtaining.wanted and not self.obtaining.running
        begun = self.parts is not None or self.undone
        return (
            ready
            and begun
            and self.is_deployed()
            and self.calendar.may_obtain_at <= self.clock.ticks()
        )

    def is_deployed(self) -> bool:
        """Return whether nothing that changed is to be deployed first; certificates may wait.

        What cannot be deployed at present keeps nobody from renewing.
        """
        others = self.reasons.keys() - {CERTIFICATES}
        return (self.undone or not others) and not self.stopping and self.obtaining.ended is None

    def obtain(self) -> None:
        """Begin to obtain what is due; what comes of it is taken over by a later step."""
        site, made = self.following.site, self.made()
        if site is None:
            return
        self.obtaining.begin(lambda parts: made.obtain(site, parts), self.clock.ticks())

    def take_over(self) -> None:
        """Take over what came of obtaining certificates, once that has ended."""
        ended = self.obtaining.result()
        if ended is None:
            return
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
            parts = self.parts or (self.obtaining.parts if self.undone else None)
            if site is None or parts is None or self.arrived:
                return  # all of it is told after the next deployment
            if is_news(former, ended):
                self.told(site, parts)
            else:
                self.due(site, together(site, parts, self.deployed, ended))

    def made(self) -> Round:
        """Return a round, connected with this loop."""
        return Round(
            *(self.layout, self.clock, self.lines, self.manager, self.memory),
            *(self.enough, self.hurry, self.leave),
            *(self.alive, self.obtains, self.come),
            *(self.upstreams.addresses, self.following.latest, self.following.keep),
        )

    def come(self, owner: str) -> None:
        """Take in that somebody's certificate was stored, from any thread."""
        self.obtained.settle(owner)
        self.arrived = True
        self.bell.wake()

    def enough(self) -> bool:
        """Return whether to begin no more orders: others are due by now, or the daemon ends."""
        return self.stopping or self.asked or self.obtaining.wanted

    def leave(self) -> bool:
        """Return whether the daemon is to end."""
        return self.stopping

    def hurry(self) -> bool:
        """Return whether a round should come to its end: for ours, or for what changed."""
        if self.may_look() and self.bell.heard():
            spent = self.clock.spent()
            self.reasons |= dict.fromkeys(self.following.changes())
            self.allowance.take(self.clock.spent() - spent)
        return self.stopping or self.asked or bool(self.reasons)

    def wait_for_lock(self, error: LockHeld) -> None:
        """Wait for our turn."""
        if not self.waits_for_lock:
            event(INFO, "waiting_for_lock", what=error.what)
            self.manager.status(error.what)
        self.waits_for_lock = True
        self.calendar.locked()

    def give_up(self, error: Exception) -> float:
        """Say why a round could not be done; return after how many seconds the next try is."""
        self.parts = None
        pause = self.calendar.failed()
        self.say_failed(error, pause)
        return pause

    def say_failed(self, error: Exception, pause: float) -> None:
        """Say why a half could not be done, and after how many seconds the next try is."""
        if isinstance(error, ProxygenError | OSError):
            event(ERROR, "round_failed", what=str(error), again_in=pause)
        else:
            mishap("round_failed", what=repr(error), again_in=pause)
        self.manager.status(f"a round failed: {error}; the next try is in {pause:.0f} s")
        if isinstance(error, OSError):
            self.tell_of_the_disk(error)

    def tell_of_the_disk(self, error: OSError) -> None:
        """Tell people when nothing can be written, so that no round comes to its end."""
        if self.following.site:
            given = (self.following.site, self.layout, self.clock.now, error, self.memory)
            for words in tell_unwritten(*given).warnings:
                event(WARNING, "warning", what=words)

    def finish(self, site: Site, parts: Parts) -> None:
        """Take over what a deployment left."""
        deployed = self.deployed
        self.waits_for_lock = False
        self.outside.after(site, parts, deployed)
        if deployed.observed:
            self.upstreams.after(site, deployed.observed)
        self.following.services = inputs.of_services(self.layout, self.outside.services.values())
        trouble = any(not isinstance(error, IssueFailed) for _, error in deployed.failures)
        self.lines.deployed(deployed)
        self.told(site, parts)
        self.calendar.done(trouble=trouble)
        seconds = self.clock.ticks() - self.began
        self.calendar.lasted = seconds
        self.lines.ended(deployed, seconds, self.calendar.wake)
        settle()

    def told(self, site: Site, parts: Parts) -> None:
        """Tell people and others how things are by now, and find out when something is due."""
        now = self.clock.now()
        outcome = together(site, parts, self.deployed, self.obtained)
        self.more = self.made().tell(site, parts, outcome)
        self.due(site, outcome)
        self.files_at = self.clock.ticks()
        if (left := self.memory.settling(now)) is not None:
            self.tell_at = self.clock.ticks() + left
        self.lines.outcome(outcome)
        self.figures.tell(site, parts, outcome, self.clock.ticks() - self.began)
        self.tell()

    def due(self, site: Site, outcome: Outcome) -> None:
        """Find out when something is due, or there is more to tell people.

        While certificates are obtained nobody is woken because they are due.
        """
        now = self.clock.now()
        moments = [self.more] if self.more else []
        if self.obtaining.wanted or self.obtaining.running:
            moments.append(now + FULL_DAY)
        elif outcome.observed:
            waiting = [*outcome.waiting, *self.not_asked_for(site, outcome, now + NOT_ASKED)]
            moments.append(wake_at(site, outcome.observed, waiting, now))
        self.calendar.due(min(moments, default=now), self.draw())
        self.manager.status(self.words())

    def not_asked_for(self, site: Site, outcome: Outcome, until: datetime) -> Iterator[Waiting]:
        """Yield the certificates that failed without being asked for, of which nothing is kept."""
        attempts = outcome.observed.attempts if outcome.observed else {}
        failed = {of for of, _ in self.obtained.failures} - attempts.keys()
        for wanted in site.certificates if failed else ():
            if wanted.owner in failed:
                yield Waiting(wanted, until, "failed", "it was not asked for")

    def tell(self) -> None:
        """Tell how things are, whoever asks."""
        self.tell_of_the_model()
        self.manager.status(self.words())

    def tell_of_the_model(self) -> None:
        """Tell whether the model is right, and since when it is not."""
        wrong = "; ".join(sorted(self.lines.mistakes)[:MOST_TOLD])
        if not wrong:
            self.memory.wrong = None
        elif self.memory.wrong is None or self.memory.wrong.words != wrong:
            former = self.memory.wrong
            self.memory.wrong = Wrong(former.since if former else self.clock.now(), wrong)
        site = self.following.site
        self.figures.model(right=not wrong and not (site and site.mistakes))

    def words(self) -> str:
        """Return in one line how things are."""
        words = []
        if count := len(self.lines.mistakes):
            words.append(f"the model is wrong ({counted(count, 'mistake')})")
        if site := self.following.site:
            if site.set_aside:
                words.append(f"{counted(len(site.set_aside), 'included file')} set aside")
            if site.held_back:
                words.append("a removal is held back")
            words.append(counted(len(site.domains), "domain"))
        else:
            words.append("waiting until it is corrected")
        if self.calendar.wake:
            words.append(f"next: {self.calendar.wake:%Y-%m-%d %H:%M} UTC")
        return "; ".join(words)


def is_news(former: Outcome, latest: Outcome) -> bool:
    """Return whether anything came of obtaining certificates that people may be told of."""
    came = latest.done or latest.failures or latest.terms or latest.notes
    return bool(came) or (former.failures, former.waiting) != (latest.failures, latest.waiting)


def counted(number: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
