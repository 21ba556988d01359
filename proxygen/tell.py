"""Tell people what is worth a message: after each round, from the whole state."""

from __future__ import annotations

import errno
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from proxygen import assemble, registry
from proxygen.apply.walk import Outcome, never
from proxygen.assemble import Parts
from proxygen.errors import ProxygenError, ServiceError, StoreFailed
from proxygen.host import languages, templates
from proxygen.letterbox import Letterbox, Trouble, Unwritten, Waiting
from proxygen.model.site import Site
from proxygen.notifiers import Sending, Undelivered
from proxygen.observe import UNSERVED
from proxygen.plan.alarms import Alert, Seen, Wrong, alerts, upcoming
from proxygen.plan.backoff import LONGEST, pause
from proxygen.plan.digests import Digest, Told, telling
from proxygen.plan.letters import TEMPLATE, Letter, Sender, letter
from proxygen.plan.observed import Observed

UNWRITABLE = frozenset(
    {errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EIO}
)
"""What the system says when a disk or a folder takes nothing."""

KEPT = timedelta(days=5)
"""How long a letter that cannot be delivered is kept (RFC 5321 section 4.5.4.1)."""

LONGEST_TRIED = 3
"""Failures after which the pauses grow no more: a warning should not wait for a day."""

MOST_SECONDS = 120
"""After which no further letter is sent in a round; the next round goes on."""

AFTER_A_BUG = timedelta(hours=1)

Stop = Callable[[], bool]


@dataclass(slots=True)
class Memory:
    """What the daemon keeps from round to round, for what only a running process knows.

    *wrong*: the model on the disk is wrong while the last good one goes on. *terms*: new terms
    of service (URL) of authorities, by directory. *unwritten*: what could not be stored.
    """

    wrong: Wrong | None = None
    terms: dict[str, str] = field(default_factory=dict)
    unwritten: Unwritten = field(default_factory=dict)


def tell(
    site: Site,
    parts: Parts,
    outcome: Outcome,
    memory: Memory | None = None,
    stop: Stop = never,
) -> datetime | None:
    """Tell people what is worth a message; return when there may be more to tell, or None.

    What cannot be delivered is a warning of the outcome, and tried again by a later call: one
    after another, never two at a time. *stop* tells whether to send no more letters.
    """
    memory = memory or Memory()
    memory.terms |= outcome.terms
    box = Letterbox(parts.store, memory.unwritten)
    round_ = Round(site, parts, outcome, memory, box, parts.now().astimezone(), stop)
    try:
        return round_.tell()
    except Exception as error:  # noqa: BLE001 - whatever it is, the round was done
        words = "".join(traceback.format_exception(error))
        outcome.warnings.append(f"a bug of proxygen: nobody was told anything: {error!r}\n{words}")
        return round_.now + AFTER_A_BUG


@dataclass(slots=True)
class Round:
    """One round of telling; *now* is in the host's time zone.

    *posted* are the letters in the letterbox by recipient; *news*: one of them came just now.
    """

    site: Site
    parts: Parts
    outcome: Outcome
    memory: Memory
    box: Letterbox
    now: datetime
    stop: Stop
    posted: dict[str, Waiting] = field(default_factory=dict)
    news: bool = False

    def tell(self) -> datetime | None:
        """Find out what is to be told, put it into the letterbox, and deliver what is there."""
        self.box.catch_up()
        told = self.box.told()
        observed = self.observed()
        seen = self.seen(observed, told)
        found = alerts(self.site, seen, self.now)
        now = telling(self.site, seen, found, told, self.now)
        self.outcome.warnings += (*said(found), *unheard(now.nobody))
        for recipient in now.gone:
            self.box.forget(recipient)
        due = self.put_in(now.digests)
        soon = self.deliver(due) if due else None
        coming = upcoming(self.site, observed, self.now) if observed else None
        return min((each for each in (now.later, soon, coming) if each), default=None)

    def observed(self) -> Observed | None:
        """Return what was observed, with what this round itself changed of it."""
        observed, parts = self.outcome.observed, self.parts
        if observed is None:
            return None
        services = {
            name: replace(state, installed=replace(state.installed, unserved=unserved))
            if (unserved := (parts.layout.live(name).folder / UNSERVED).exists())
            is not state.installed.unserved
            else state
            for name, state in observed.services.items()
        }
        if not self.outcome.failures:
            return replace(observed, services=services)
        attempts, troubles = parts.bundles.attempts(), parts.bundles.held("troubles")
        return replace(observed, services=services, attempts=attempts, troubles=troubles)

    def seen(self, observed: Observed | None, told: Mapping[str, Told]) -> Seen:
        """Return the round as far as people are told of it."""
        failures = tuple(self.outcome.failures)
        unwritable = next(filter(None, (not_written(error) for _, error in failures)), "")
        was = any(key.startswith("store:") for each in told.values() for key in each.items)
        if was and not unwritable:
            self.box.writable()
        return Seen(
            observed=observed,
            failures=failures,
            waiting=tuple(self.outcome.waiting),
            unwritable=unwritable or self.box.error,
            wrong=self.memory.wrong,
            terms=self.memory.terms,
        )

    def put_in(self, digests: Iterable[Digest]) -> dict[str, Digest]:
        """Put a letter for each digest into the letterbox, and take out what is no more so.

        Return the digests by recipient. A letter that says the same stays as it is, so that
        it has the same identity; another one takes its place.
        """
        former = self.box.waiting()
        due = {each.reader.key: each for each in digests}
        for recipient in former.keys() - due.keys():
            self.box.drop(recipient)
        for recipient, digest in due.items():
            waiting = former.get(recipient)
            if waiting is None or waiting.letter.id != digest.id:
                since = waiting.since if waiting else self.now
                waiting = Waiting(self.written(digest), since, waiting.count if waiting else 0)
                self.box.post(waiting)
                self.news = True
            self.posted[recipient] = waiting
        return due

    def written(self, digest: Digest) -> Letter:
        """Return a digest as a letter; an administrator's broken template stops no alarm."""
        language = languages.load(digest.reader.language)
        sender = Sender(str(self.site.main.host), self.site.contact)
        try:
            template = self.parts.templates.templates[TEMPLATE]
            return letter(digest, language, template, sender, self.now)
        except ServiceError as error:
            self.warn(error)
            own = templates.load(self.parts.layout.var / "none").templates[TEMPLATE]
            return letter(digest, language, own, sender, self.now)

    def deliver(self, due: Mapping[str, Digest]) -> datetime | None:
        """Deliver the letters whose time has come; return when to try the others again."""
        trouble = self.box.trouble()
        if trouble and not self.news and self.now < trouble.again <= self.now + LONGEST:
            return trouble.again
        ready = [each.letter for each in self.posted.values() if self.is_ready(each)]
        try:
            self.send(ready, due)
        except Undelivered as error:
            count = trouble.count + 1 if trouble else 1
            trouble = Trouble(count, self.now + self.pause(count))
            many = len(self.posted)
            self.warn(error, "1 message waits" if many == 1 else f"{many} messages wait")
            self.box.troubled(trouble)
            self.give_up(due)
            return trouble.again if self.posted else None
        if trouble:
            self.box.troubled(None)
        agains = (each.again or self.now + self.pause(1) for each in self.posted.values())
        return min(agains, default=None)

    def is_ready(self, waiting: Waiting) -> bool:
        """Return whether a letter is to be tried now; no pause is longer than the longest."""
        again = waiting.again
        return again is None or not self.now < again <= self.now + LONGEST

    def send(self, letters: list[Letter], due: Mapping[str, Digest]) -> None:
        """Hand letters to the notifiers; raise Undelivered when one takes none at present."""
        sending = Sending(str(self.site.main.host), self.site.folder, assemble.secret)
        deadline = time.monotonic() + MOST_SECONDS
        for word, settings in self.site.notifiers.items() if letters else ():
            results = registry.notifiers()[word].deliver(letters, settings, sending)
            with closing(results):
                for each, error in results:
                    self.settle(due[each.recipient.casefold()], each, error)
                    if self.stop() or time.monotonic() > deadline:
                        break

    def settle(self, digest: Digest, sent: Letter, error: Undelivered | None) -> None:
        """Note what became of one letter: delivered, given up, or to be tried again."""
        recipient = digest.reader.key
        waiting = self.posted.get(recipient)
        if error:
            self.warn(error)
        if waiting is None:
            return
        if error is None or error.final:
            self.over(digest)
            return
        count = waiting.count + 1
        again = self.now + self.pause(count)
        self.posted[recipient] = Waiting(sent, waiting.since, count, again)
        self.box.post(self.posted[recipient])
        self.give_up({recipient: digest})

    def over(self, digest: Digest) -> None:
        """Note that somebody knows; only then the letter goes."""
        self.box.note(digest.then)
        self.box.drop(digest.reader.key)
        self.posted.pop(digest.reader.key, None)

    def give_up(self, due: Mapping[str, Digest]) -> None:
        """Keep no letter for ever; what holds then is told again on the next day."""
        for recipient, digest in due.items():
            waiting = self.posted.get(recipient)
            if waiting and self.now - waiting.since > KEPT:
                self.over(digest)
                self.outcome.warnings.append(
                    f"a message to {digest.reader.address} could not be delivered for "
                    f"{KEPT.days} days and was dropped: {waiting.letter.subject}"
                )

    def pause(self, count: int) -> timedelta:
        """Return how long to wait after that many failures in a row."""
        return pause(min(count, LONGEST_TRIED), self.parts.draw())

    def warn(self, error: ProxygenError, more: str = "") -> None:
        """Add an error to the warnings, on one line."""
        parts = (error.what, " ".join(error.words.split()), error.remedy, more)
        self.outcome.warnings.append("; ".join(part for part in parts if part))


def not_written(error: ProxygenError) -> str:
    """Return why something could not be stored, empty where a failure has another cause."""
    if isinstance(error, StoreFailed):
        return error.what
    cause = error.__cause__
    return str(cause) if isinstance(cause, OSError) and cause.errno in UNWRITABLE else ""


def said(found: Iterable[Alert]) -> Iterator[str]:
    """Yield a line for each alert that no other output tells."""
    for alert in found:
        if alert.kind == "terms":
            yield f"{alert.of} has new terms of service: {alert.words}"
        elif alert.kind == "model" and alert.since:
            since = f"{alert.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            yield f"the model has been wrong since {since}; the last good one goes on"


def unheard(nobody: tuple[Alert, ...]) -> Iterator[str]:
    """Yield that there is something to tell, and nobody to tell it to."""
    if nobody:
        what = "1 thing is" if len(nobody) == 1 else f"{len(nobody)} things are"
        yield f"{what} worth a message, but nobody is warned: the model has no `contact`"
