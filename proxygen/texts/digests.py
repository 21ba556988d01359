"""Digests: who is mailed what now. One per recipient and day, urgent alerts at once, none twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from proxygen.model.certificate import Bundle
from proxygen.model.site import Owner, Site
from proxygen.texts.alerts import CERTIFICATE, OF_NAMES, ONCE, Alert, RoundResult, next_day


@dataclass(frozen=True, slots=True)
class Item:
    """An alert that was mailed: its *mark*, and the last *day* (YYYY-MM-DD)."""

    mark: str
    day: str


@dataclass(frozen=True, slots=True)
class ToldAlerts:
    """The alerts that one *recipient* was mailed and that still last, by ``Alert.key``.

    *day* is that of the last message and *good_day* that of the last one with good news only;
    *count* numbers the messages, so that no two have one identity.
    """

    recipient: str
    day: str = ""
    good_day: str = ""
    count: int = 0
    items: Mapping[str, Item] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Solved:
    """An alert (*key*) that is over; *bundle* is the certificate that is there now."""

    key: str
    owner: Owner | None = None
    bundle: Bundle | None = None

    @property
    def kind(self) -> str:
        """The kind of the alert."""
        return self.key.partition(":")[0]

    @property
    def of(self) -> str:
        """The owner, service or directory that the alert was about."""
        return self.key.partition(":")[2]


@dataclass(frozen=True, slots=True)
class MailReader:
    """A recipient with their language; an *operator* receives everything.

    Others receive alerts about the domains whose contact they are, without places in the model.
    """

    address: str
    language: str
    operator: bool

    @property
    def key(self) -> str:
        """By what addresses are compared: capital letters make no second recipient."""
        return self.address.casefold()


@dataclass(frozen=True, slots=True)
class Digest:
    """One mail: its reader, alerts, and what is solved; *then* is noted once it is delivered.

    *id* is the same when the same mail is sent again after a crash.
    """

    reader: MailReader
    alerts: tuple[Alert, ...]
    solved: tuple[Solved, ...]
    then: ToldAlerts
    id: str

    @property
    def untold(self) -> ToldAlerts:
        """What is noted of a reader when the mail was given up.

        Daily alerts come on the next day in any case; the others are still news.
        """
        news = {each.key for each in self.alerts if not each.daily}
        items = {key: item for key, item in self.then.items.items() if key not in news}
        return replace(self.then, items=items)


@dataclass(frozen=True, slots=True)
class MailPlan:
    """What is mailed now.

    *digests* are what is to be sent, *gone* the recipients of whom nothing needs to be known
    any more, *later* is when something comes up that waits for the next day, and *nobody* are
    the alerts for which the model names no contact.
    """

    digests: tuple[Digest, ...] = ()
    gone: tuple[str, ...] = ()
    later: datetime | None = None
    nobody: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True)
class DigestQuestion:
    """All that decides about one reader: their alerts, and what they were mailed *before*."""

    reader: MailReader
    alerts: tuple[Alert, ...]
    before: ToldAlerts
    owners: Mapping[str, Owner]
    result: RoundResult
    now: datetime

    @property
    def today(self) -> str:
        """The current day as it is noted."""
        return self.now.date().isoformat()


def plan_mails(
    site: Site,
    result: RoundResult,
    alerts: tuple[Alert, ...],
    told: Mapping[str, ToldAlerts],
    now: datetime,
) -> MailPlan:
    """Return what is mailed now; *told* is what was mailed before, by recipient
    (``MailReader.key``).

    *now* is in the host's time zone: its midnight begins a new day.
    """
    if not alerts and not told:
        return MailPlan()
    owners = {owner.key: owner for owner in site.owners}
    audience: dict[str, MailReader] = {}
    theirs: dict[str, list[Alert]] = {key: [] for key in told}
    nobody = []
    for alert in alerts:
        readers = audience_of(alert, site)
        for reader in readers:
            audience.setdefault(reader.key, reader)
            theirs.setdefault(reader.key, []).append(alert)
        if not readers:
            nobody.append(alert)
    for reader in former_readers(told, owners, site):
        audience.setdefault(reader.key, reader)
    questions = [
        DigestQuestion(
            audience[key], tuple(mine), told.get(key, ToldAlerts(key)), owners, result, now
        )
        for key, mine in theirs.items()
        if key in audience
    ]
    questions.sort(key=lambda each: not each.reader.operator)
    digests = tuple(digest for each in questions if (digest := told_now(each)))
    return MailPlan(
        digests=digests,
        gone=(
            *(key for key in told if key not in audience and not is_fresh(told[key], now)),
            *filter(None, map(reader_to_forget, questions)),
        ),
        later=next_day(now) if any(map(has_more_tomorrow, questions)) else None,
        nobody=tuple(nobody),
    )


def readers_of(owner: Owner | None, site: Site) -> Iterator[MailReader]:
    """Yield the readers of alerts about an owner, or (None) about no certificate."""
    if site.contact:
        yield MailReader(site.contact, site.language, operator=True)
    contact = owner.contact if owner else None
    if owner and contact and (not site.contact or contact.casefold() != site.contact.casefold()):
        yield MailReader(contact, owner.language, operator=False)


def audience_of(alert: Alert, site: Site) -> tuple[MailReader, ...]:
    """Return the readers of an alert; one that is the domain's own matter has only its contact."""
    readers = tuple(readers_of(alert.owner, site))
    contacts = tuple(each for each in readers if not each.operator)
    return contacts if alert.is_theirs and contacts else readers


def former_readers(
    told: Mapping[str, ToldAlerts], owners: Mapping[str, Owner], site: Site
) -> Iterator[MailReader]:
    """Yield the readers who were mailed something and are still in the model."""
    for record in told.values():
        about = (owners.get(key.partition(":")[2]) for key in record.items)
        for owner in (None, *about):
            yield from (each for each in readers_of(owner, site) if each.key == record.recipient)


def told_now(asked: DigestQuestion) -> Digest | None:
    """Return the mail to one reader, None for none.

    After the first mail of a day, only a new urgent alert is sent, and good news once;
    everything else waits for the next day.
    """
    before, first = asked.before, asked.before.day != asked.today
    due = tuple(each for each in asked.alerts if is_due(each, asked))
    good = tuple(solved_alerts(asked))
    alarm = any(each.at_once and is_news(each, before) for each in due)
    news = due if first or alarm else ()
    if not news and not (good and (first or before.good_day != asked.today)):
        return None
    said = (
        *(asked.reader.key, asked.today, before.count),
        *([(each.key, each.mark) for each in news], [each.key for each in good]),
    )
    ident = hashlib.sha256(repr(said).encode()).hexdigest()[:32]
    return Digest(asked.reader, news, good, told_after(asked, news, good), ident)


def is_news(alert: Alert, before: ToldAlerts) -> bool:
    """Return whether an alert was not mailed before."""
    item = before.items.get(alert.key)
    if item and alert.kind == "moved":
        return not set(alert.mark.split()) <= set(item.mark.split())
    return item is None or item.mark != alert.mark


def is_due(alert: Alert, asked: DigestQuestion) -> bool:
    """Return whether to mail an alert today: it is news, or its repetition is due."""
    if is_news(alert, asked.before):
        return True
    if alert.every == ONCE:
        return False
    told = day_of(asked.before.items[alert.key])
    return told is None or not 0 <= (asked.now.date() - told).days < alert.every


def day_of(item: Item) -> date | None:
    """Return the day of an item, None for a damaged one."""
    try:
        return date.fromisoformat(item.day)
    except ValueError:
        return None


def told_after(
    asked: DigestQuestion, news: tuple[Alert, ...], good: tuple[Solved, ...]
) -> ToldAlerts:
    """Return what is noted of a reader once the mail is delivered."""
    before, today = asked.before, asked.today
    over = {each.key for each in good}
    kept = {key: item for key, item in before.items.items() if key not in over}
    return ToldAlerts(
        recipient=before.recipient,
        day=today,
        good_day=before.good_day if news else today,
        count=before.count + 1,
        items={key: item for key, item in kept.items() if not is_moot(key, asked)}
        | {each.key: Item(each.mark, today) for each in news},
    )


def has_more_tomorrow(asked: DigestQuestion) -> bool:
    """Return whether there is something to mail on the next day."""
    if any(each.daily for each in asked.alerts):
        return True
    digest = told_now(asked)
    rest = any(is_due(each, asked) for each in asked.alerts) or any(solved_alerts(asked))
    return rest and digest is None


def is_fresh(record: ToldAlerts, now: datetime) -> bool:
    """Return whether a record without items only says that a mail was sent today."""
    return not record.items and record.day == now.date().isoformat()


def reader_to_forget(asked: DigestQuestion) -> str | None:
    """Return the recipient if nothing needs to be noted any more and their day is over, or None."""
    before = asked.before
    needed = [key for key in before.items if not is_moot(key, asked)]
    if asked.alerts or needed or not before.day or before.day == asked.today:
        return None
    return before.recipient


def solved_alerts(asked: DigestQuestion) -> Iterator[Solved]:
    """Yield the alerts that a reader was mailed and that are over."""
    if not asked.before.items:
        return
    holds = {each.key for each in asked.alerts}
    for key in asked.before.items:
        if key not in holds and not is_moot(key, asked) and is_solved(key, asked):
            of = key.partition(":")[2]
            observed = asked.result.observed
            bundle = observed.bundles.get(of) if observed else None
            yield Solved(key, asked.owners.get(of), bundle)


def is_moot(key: str, asked: DigestQuestion) -> bool:
    """Return whether an alert no longer concerns the reader, as its subject left the model."""
    kind, _, of = key.partition(":")
    observed, owner = asked.result.observed, asked.owners.get(of)
    if kind == CERTIFICATE or kind in OF_NAMES:
        return not (owner and owner.certificate and is_told(asked.reader, owner))
    if kind == "unserved":
        return observed is not None and of not in observed.services
    return kind not in ("store", "model", "aside", "held", "terms")


def is_told(reader: MailReader, owner: Owner) -> bool:
    """Return whether a reader receives alerts about an owner's certificate."""
    return reader.operator or (owner.contact is not None and owner.contact.casefold() == reader.key)


def is_solved(key: str, asked: DigestQuestion) -> bool:
    """Return whether an alert is known to be over; one that is only sent once never is."""
    kind, _, of = key.partition(":")
    result, owner = asked.result, asked.owners.get(of)
    if kind == "store":
        return not result.unwritable
    if kind in ("model", "aside", "held"):
        return {"model": result.wrong, "aside": result.aside, "held": result.held}[kind] is None
    if result.observed is None:
        return False
    if kind == "unserved":
        return result.observed.services[of].error is None
    bundle = result.observed.bundles.get(of)
    if bundle is None or bundle.stand_in:
        return False
    if kind == "names":
        return owner is not None and all(map(bundle.covers, owner.names))
    return kind == CERTIFICATE
