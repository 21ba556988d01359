"""Mails alerts after each round, decided from the whole state."""

from __future__ import annotations

import errno
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from proxygen import assemble, registry
from proxygen.apply.outcome import Outcome, never_stop
from proxygen.assemble import Installation
from proxygen.errors import Coded, LockHeld, ProxygenError, ServiceError, StoreFailed
from proxygen.failure import Failure, Scope, failure
from proxygen.failure import failure_words as in_words
from proxygen.host import languages, lock, outage, templates
from proxygen.model.site import Site
from proxygen.notifiers import Sending, Undelivered
from proxygen.observe.services import states_with_notes
from proxygen.plan.backoff import LONGEST, pause_after
from proxygen.plan.observed import Observed
from proxygen.stores.outbox import DeliveryFailure, Outbox, QueuedMail, UnwrittenValue, mails_wait
from proxygen.texts.alerts import Alert, RoundResult, WrongModel, alerts, next_alert
from proxygen.texts.digests import Digest, Item, ToldAlerts, plan_mails
from proxygen.texts.mails import Mail, Sender, mail_of

UNWRITABLE = frozenset(
    {errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EIO}
)
"""The system's errors when a disk is full, read-only or broken, or a folder not writable."""

KEPT = timedelta(days=5)
"""How long a mail that cannot be delivered is kept (RFC 5321 section 4.5.4.1)."""

LONGEST_TRIED = 3
"""Failures after which the pauses grow no more: a warning should not wait for a day."""

MOST_SECONDS = 120
"""After which no further letter is written or sent in a round; the next round goes on."""

PORTION = 50
"""How many letters are written before they are sent, in one session."""

AFTER_A_BUG = timedelta(hours=1)
BESIDE = timedelta(minutes=1)
"""How soon to tell what is left when another process told people at the same time."""

SETTLING = timedelta(seconds=10)
"""How long something must last that is over once a program has written a file."""

MOST_WORDS = 20
"""Removals or mistakes that a mail tells of."""

Stop = Callable[[], bool]


@dataclass(slots=True)
class MailMemory:
    """What the daemon remembers from round to round, as only a running process knows it.

    *wrong*: the model on the disk is wrong while the last right version stays in force.
    *unwritten*: what could not be stored. *patient*: what may be over in a moment is not reported
    at once, such as a file that is being written; *since* when it is so.
    """

    wrong: WrongModel | None = None
    unwritten: dict[str, UnwrittenValue] = field(default_factory=dict)
    patient: bool = False
    since: dict[str, datetime] = field(default_factory=dict)

    def settled(self, kind: str, words: str, now: datetime) -> WrongModel | None:
        """Return what is wrong once it has lasted, None until then, or if nothing is."""
        if not words:
            self.since.pop(kind, None)
            return None
        since = self.since.setdefault(kind, now)
        return WrongModel(since, words) if now - since >= SETTLING or not self.patient else None

    def settling(self, now: datetime) -> float | None:
        """Return after how many seconds something has lasted that may be over before; or None."""
        left = (since + SETTLING - now for since in self.since.values())
        return min((each.total_seconds() for each in left if each > timedelta()), default=None)


def send_mails(
    site: Site,
    installation: Installation,
    outcome: Outcome,
    memory: MailMemory | None = None,
    stop: Stop = never_stop,
) -> datetime | None:
    """Mail alerts; return when there may be more to mail, or None.

    What cannot be delivered becomes a warning of the outcome, and a later call tries again. Only
    one process does this at a time; what another one mails now is left for later. *stop* tells
    whether to send no more mails.
    """
    try:
        with lock.hold(installation.layout.telling, instead=False):  # what obtains may hold that
            return run_round(site, installation, outcome, memory or MailMemory(), stop)
    except LockHeld:
        keep_terms(installation, outcome, memory or MailMemory())
        return installation.now().astimezone() + BESIDE


def keep_terms(installation: Installation, outcome: Outcome, memory: MailMemory) -> None:
    """Store new terms of service until they are mailed: the authority tells them only once."""
    outbox = Outbox(installation.store, memory.unwritten)
    outbox.change_terms(lambda kept: kept | outcome.terms)


def run_round(
    site: Site, installation: Installation, outcome: Outcome, memory: MailMemory, stop: Stop
) -> datetime | None:
    """Mail alerts, while no other process does."""
    outage.note_contact(installation.layout, site.contact)
    outbox = Outbox(installation.store, memory.unwritten)
    round_ = MailRound(
        site, installation, outcome, memory, outbox, installation.now().astimezone(), stop
    )
    try:
        return round_.run()
    except Exception as error:  # noqa: BLE001 - whatever it is, the round was done
        round_.bug("not all mails were written", error)
        return round_.now + AFTER_A_BUG


@dataclass(slots=True)
class MailRound:
    """One round of mailing; *now* is in the host's time zone.

    *due* are the digests that are not delivered yet, and *posted* their mails in the outbox, both
    by recipient; *news*: one of them was added just now. *failed* are recipients whose mail could
    not be written, which is a bug of ours.
    """

    site: Site
    installation: Installation
    outcome: Outcome
    memory: MailMemory
    outbox: Outbox
    now: datetime
    stop: Stop
    deadline: float = field(default_factory=lambda: time.monotonic() + MOST_SECONDS)
    due: dict[str, Digest] = field(default_factory=dict)
    posted: dict[str, QueuedMail] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    news: bool = False

    def run(self) -> datetime | None:
        """Find out what to mail, put it into the outbox, and deliver what is there."""
        self.outbox.catch_up(self.enough)
        told = self.outbox.told()
        observed = self.observed()
        result = self.round_result(observed, told)
        found = alerts(self.site, result, self.now)
        now = plan_mails(self.site, result, found, told, self.now)
        self.outcome.warnings += (*alert_lines(found), *unheard_alerts(now.nobody))
        self.each(self.outbox.forget, now.gone)
        soon = self.hand_out(now.digests if self.site.notifiers else ())
        coming = next_alert(self.site, observed, self.now) if observed else None
        return min((each for each in (now.later, soon, coming) if each), default=None)

    def enough(self) -> bool:
        """Return whether to leave the rest to the next round."""
        return self.stop() or time.monotonic() > self.deadline

    def each(self, do: Callable[[str], None], recipients: Iterable[str]) -> None:
        """Do something about each recipient until it is enough."""
        for recipient in recipients:
            do(recipient)
            if self.enough():
                return

    def terms(self, told: Mapping[str, ToldAlerts]) -> dict[str, str]:
        """Return the new terms of service that the contact was not told of yet.

        They are kept until then: the authority's issuer speaks of them once.
        """
        before = told.get((self.site.contact or "").casefold())
        items = before.items if before else {}
        asked = {each.directory for each in self.site.authorities}
        return self.outbox.change_terms(
            lambda kept: {
                directory: url
                for directory, url in (kept | self.outcome.terms).items()
                if directory in asked and not is_told(items.get(f"terms:{directory}"), url)
            }
        )

    def observed(self) -> Observed | None:
        """Return what was observed, with what this round itself changed of it."""
        observed, installation = self.outcome.observed, self.installation
        if observed is None:
            return None
        services = states_with_notes(observed.services, installation.layout)
        if not self.outcome.failures:
            return replace(observed, services=services)
        attempts, troubles = (
            installation.bundles.failures(),
            installation.bundles.failures_below("troubles"),
        )
        return replace(observed, services=services, failures=attempts, authority_failures=troubles)

    def round_result(
        self, observed: Observed | None, told: Mapping[str, ToldAlerts]
    ) -> RoundResult:
        """Return the round as far as people are told of it."""
        failures = tuple(self.outcome.failures)
        unwritable = next(filter(None, (not_written(error) for _, error in failures)), None)
        was = any(key.startswith("store:") for each in told.values() for key in each.items)
        if was and not unwritable:
            self.outbox.writable()
        return RoundResult(
            observed=observed,
            failures=failures,
            waiting=tuple(self.outcome.waiting),
            unwritable=unwritable
            or (store_failure(self.outbox.error) if self.outbox.error else None),
            wrong=self.memory.wrong,
            terms=self.terms(told),
            aside=self.settled("aside", [str(each) for each in self.site.set_aside]),
            held=self.settled("held", [str(each) for each in self.site.held_back]),
        )

    def settled(self, kind: str, every: Sequence[str]) -> WrongModel | None:
        """Return what stays as it was, once that has lasted."""
        more = len(every) - MOST_WORDS
        words = [*every[:MOST_WORDS], *([f"and {more} more"] if more > 0 else [])]
        return self.memory.settled(kind, "\n".join(words), self.now)

    def hand_out(self, digests: Sequence[Digest]) -> datetime | None:
        """Deliver a letter for each digest; return when to go on with those that are left.

        A portion is written, then sent, so that neither a slow disk nor a slow mail server holds
        up everything else: what is not written yet was not told, and comes with the next round.
        """
        former = self.outbox.waiting()
        self.due = {each.reader.key: each for each in digests}
        self.each(self.outbox.drop, former.keys() - self.due.keys())
        if not digests:
            self.outbox.note_delivery_failure(None)
        for first in range(0, len(digests), PORTION):
            self.put_in(digests[first : first + PORTION], former)
            if again := self.deliver():
                return again
            if self.enough():
                break
        return min(map(self.again, self.due), default=None)

    def again(self, recipient: str) -> datetime:
        """Return when to go on with somebody who was not told yet."""
        if recipient in self.failed:
            return self.now + AFTER_A_BUG
        waiting = self.posted.get(recipient)
        return (waiting.again if waiting else None) or self.now + self.pause(1)

    def put_in(self, digests: Iterable[Digest], former: Mapping[str, QueuedMail]) -> None:
        """Put letters into the letterbox until it is enough.

        A letter that says the same as the *former* one stays as it is, so that it has the same
        identity; another one takes its place.
        """
        self.news = False
        for digest in digests:
            try:
                self.put_one_in(digest, former.get(digest.reader.key))
            except Exception as error:  # noqa: BLE001 - whatever it is, the others are told
                self.failed.add(digest.reader.key)
                self.bug(f"no mail was written to {digest.reader.address}", error)
            if self.enough():
                return

    def put_one_in(self, digest: Digest, former: QueuedMail | None) -> None:
        """Put one letter into the letterbox, unless it is there already."""
        waiting = former
        if waiting is None or waiting.mail.id != digest.id:
            since, count = (former.since, former.count) if former else (self.now, 0)
            waiting = QueuedMail(self.written(digest), since, count)
            self.outbox.post(waiting)
            self.news = True
        self.posted[digest.reader.key] = waiting

    def written(self, digest: Digest) -> Mail:
        """Return a digest as a letter; an administrator's broken template stops no alarm."""
        language = languages.load(digest.reader.language)
        sender = Sender(str(self.site.main.host), self.site.contact)
        try:
            return mail_of(digest, language, self.installation.templates, sender, self.now)
        except ServiceError as error:
            self.warn(error)
            return mail_of(digest, language, templates.own_templates(), sender, self.now)

    def deliver(self) -> datetime | None:
        """Deliver the letters whose time has come; return when to try again if none can be."""
        trouble = self.outbox.delivery_failure()
        if trouble and not self.news and self.now < trouble.again <= self.now + LONGEST:
            return trouble.again
        ready = [each.mail for each in self.posted.values() if self.is_ready(each)]
        try:
            self.send(ready)
        except Undelivered as error:
            count = trouble.count + 1 if trouble else 1
            trouble = DeliveryFailure(count, self.now + self.pause(count), error.failure)
            self.warn(error, mails_wait(len(self.due)))
            self.outbox.note_delivery_failure(trouble)
            self.each(self.give_up, tuple(self.posted))
            return trouble.again if self.due else None
        if trouble and ready:
            self.outbox.note_delivery_failure(None)
        return None

    def is_ready(self, waiting: QueuedMail) -> bool:
        """Return whether a letter is to be tried now; no pause is longer than the longest."""
        again = waiting.again
        return again is None or not self.now < again <= self.now + LONGEST

    def send(self, letters: list[Mail]) -> None:
        """Hand letters to the notifiers; raise Undelivered if one takes none at present."""
        sending = Sending(str(self.site.main.host), self.site.folder, assemble.read_secret)
        for word, settings in self.site.notifiers.items() if letters else ():
            results = registry.notifiers()[word].deliver(letters, settings, sending)
            with closing(results):
                for each, error in results:
                    self.settle(each, error)
                    if self.enough():
                        break

    def settle(self, sent: Mail, error: Undelivered | None) -> None:
        """Note what became of one letter: delivered, given up, or to be tried again."""
        recipient = sent.recipient.casefold()
        waiting = self.posted.get(recipient)
        if error:
            self.warn(error)
        if waiting is None:
            return
        if error is None or error.final:
            digest = self.due[recipient]
            self.over(recipient, digest.untold if error else digest.then)
            return
        count = waiting.count + 1
        again = self.now + self.pause(count)
        self.posted[recipient] = QueuedMail(sent, waiting.since, count, again)
        self.outbox.post(self.posted[recipient])
        self.give_up(recipient)

    def over(self, recipient: str, told: ToldAlerts) -> None:
        """Note what somebody knows, by which the letter goes."""
        self.outbox.note(told)
        del self.posted[recipient], self.due[recipient]

    def give_up(self, recipient: str) -> None:
        """Keep no letter for ever; what holds then is told again on the next day."""
        waiting, digest = self.posted[recipient], self.due[recipient]
        if self.now - waiting.since > KEPT:
            self.over(recipient, digest.untold)
            words = (
                f"a mail to {digest.reader.address} could not be delivered for {KEPT.days} days"
                f" and was deleted: {waiting.mail.subject}"
            )
            self.outcome.warnings.append(Coded(words, "message-dropped", digest.reader.address))

    def pause(self, count: int) -> timedelta:
        """Return how long to wait after that many failures in a row."""
        return pause_after(min(count, LONGEST_TRIED), self.installation.draw())

    def bug(self, what: str, error: Exception) -> None:
        """Warn of a bug of ours."""
        words = "".join(traceback.format_exception(error))
        told = f"a bug of proxygen: {what}: {error!r}\n{words}"
        self.outcome.warnings.append(Coded(told, "bug"))

    def warn(self, error: ProxygenError, more: str = "") -> None:
        """Add an error to the warnings, on one line."""
        text = in_words(error.failure)
        parts = (text.what, " ".join(text.words.split()), text.remedy, more)
        words = "; ".join(part for part in parts if part)
        self.outcome.warnings.append(Coded(words, error.code))


def is_told(item: Item | None, mark: str) -> bool:
    """Return whether somebody was told of something with that mark."""
    return item is not None and item.mark == mark


def not_written(error: ProxygenError) -> Failure | None:
    """Return why something could not be stored, None if a failure has another cause."""
    if isinstance(error, StoreFailed):
        return error.failure
    cause = error.__cause__
    return (
        store_failure(cause) if isinstance(cause, OSError) and cause.errno in UNWRITABLE else None
    )


def store_failure(words: object) -> Failure:
    """Return the failure for what could not be stored, in the system's words."""
    return failure("nothing-stored", Scope.HOST, words=words)


def alert_lines(found: Iterable[Alert]) -> Iterator[str]:
    """Yield a line for each alert that no other output tells."""
    for alert in found:
        if alert.kind == "terms":
            yield Coded(f"{alert.of} has new terms of service: {alert.words}", "terms", alert.of)
        elif alert.kind == "model" and alert.since:
            since = f"{alert.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            words = f"the model has been wrong since {since}; the last right version stays in force"
            yield Coded(words, "model")


def unheard_alerts(nobody: tuple[Alert, ...]) -> Iterator[str]:
    """Yield a warning if there are alerts and nobody to mail them to."""
    if nobody:
        what = "1 alert is" if len(nobody) == 1 else f"{len(nobody)} alerts are"
        words = f"{what} not mailed to anybody, as the model has no `contact`; add one"
        yield Coded(words, "nobody-warned")
