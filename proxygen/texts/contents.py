"""Contents: the words of a mail, alert by alert; nothing of its layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from proxygen.failure import SAID, Failure, failure_words
from proxygen.languages.language import Language
from proxygen.languages.lines import as_sentence, one_line, terminal_text
from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.model.hosts import readable_name
from proxygen.model.site import Owner
from proxygen.names.states import NameState
from proxygen.plan.renewal import SUPPLIED
from proxygen.texts.alerts import Alert
from proxygen.texts.digests import Digest, Solved
from proxygen.texts.remedies import REASONS, THEIRS, NameWords

MOST_DETAILED, MOST_LISTED = 40, 200
"""Alerts with every fact, and how many more by their title alone."""

MOST_QUOTED, LONGEST_QUOTED = 15, 300
"""Lines that are quoted from others, and the length of each."""

MOST_NAMES = 20
"""Names of one owner that are listed with their findings."""

GRAVE, WARNING, NOTE = "#c0392b", "#d98c00", "#3973ac"
"""Colours: something does not work, soon will not, or is only information."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing to know, with its name."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One alert: its title, its facts, and what others said about it (*quote*)."""

    title: str
    colour: str
    facts: tuple[Fact, ...] = ()
    heading: str = ""
    quote: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """All that a mail says, each text one paragraph; *good* is what is solved."""

    subject: str
    opening: tuple[str, ...]
    good: tuple[str, ...]
    entries: tuple[Entry, ...]
    closing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wording:
    """The words for one reader; an *operator* can act, and is told places in the model."""

    language: Language
    operator: bool
    host: str
    now: datetime

    def entry(self, alert: Alert) -> Entry:
        """Return the entry about one alert."""
        return Entry(
            title=self.about(alert, "title"),
            colour=self.colour(alert),
            facts=tuple(self.facts(alert)),
            heading=self.language.say("label.quote"),
            quote=self.quote(alert),
        )

    def about(self, alert: Alert, part: str) -> str:
        """Return the title or subject of an alert."""
        left = self.language.lasting(alert.bundle.not_after - self.now) if alert.bundle else ""
        url = url_of(alert.owner)
        values = {"url": url, "left": left, "service": alert.of, "directory": alert.of}
        return self.language.say(f"{part}.{self.situation(alert)}", **values)

    def situation(self, alert: Alert) -> str:
        """Return the last part of the keys of the phrases about an alert."""
        if alert.bundle and alert.bundle.not_after <= self.now:
            return f"{alert.kind}_ended"
        if alert.kind in ("renewal", "missing") and alert.last_failure is None:
            return f"{alert.kind}_waiting"
        return alert.kind

    def colour(self, alert: Alert) -> str:
        """Return the colour that shows how serious an alert is."""
        if alert.kind in ("terms", "moved"):
            return NOTE
        if alert.kind in ("names", "aside", "held"):
            return WARNING
        return WARNING if alert.bundle and alert.bundle.not_after > self.now else GRAVE

    def facts(self, alert: Alert) -> Iterator[Fact]:
        """Yield the facts of an alert."""
        if alert.owner:
            yield from self.concerning(alert.owner, alert)
        else:
            yield from self.other(alert)
        yield self.fact("remedy", self.remedy(alert))
        if alert.owner and self.operator:
            yield self.fact("place", str(alert.owner.origin))

    def concerning(self, owner: Owner, alert: Alert) -> Iterator[Fact]:
        """Yield the facts about a certificate, a missing certificate, or names."""
        if alert.of_names:
            yield from self.left_out(owner, alert)
            return
        if alert.bundle:
            yield from self.certificate(owner, alert.bundle)
        else:
            yield from self.missing(owner, alert)
        if is_obtained(alert):
            yield from self.failure_facts(alert)
        elif alert.last_failure and self.operator:
            yield self.fact("reason", self.sentence(alert.last_failure.failure))

    def other(self, alert: Alert) -> Iterator[Fact]:
        """Yield the facts of an alert that is not about a certificate."""
        if alert.kind == "terms":
            yield self.fact("terms", one_line(alert.words))
        elif alert.since:
            yield self.fact("since", self.language.moment(alert.since))
        if alert.failure and alert.failure.code != SAID:
            yield self.fact("reason", self.sentence(alert.failure))
        yield self.fact("means", self.language.say(f"means.{alert.kind}"))

    def sentence(self, failure: Failure) -> str:
        """Return what happened, as a sentence in the reader's language."""
        return as_sentence(failure_words(failure, self.language.phrases).what, failure.of)

    def certificate(self, owner: Owner, bundle: Bundle) -> Iterator[Fact]:
        """Yield whose certificate it is, and until when it is valid."""
        ended = bundle.not_after <= self.now
        yield self.fact("url", url_of(owner))
        yield self.fact("names", self.language.listed(tuple(map(readable_name, owner.names))))
        yield self.fact("ended" if ended else "ends", self.language.moment(bundle.not_after))
        means = f"means.{self.whose(owner)}{'_ended' if ended else ''}"
        yield self.fact("means", self.language.say(means))

    def missing(self, owner: Owner, alert: Alert) -> Iterator[Fact]:
        """Yield whose certificate was never obtained, and since when it should be there."""
        yield self.fact("url", url_of(owner))
        yield self.fact("names", self.language.listed(tuple(map(readable_name, owner.names))))
        if alert.since:
            yield self.fact("since", self.language.moment(alert.since))
        yield self.fact("means", self.language.say(f"means.{self.whose(owner)}_missing"))

    def left_out(self, owner: Owner, alert: Alert) -> Iterator[Fact]:
        """Yield which names a certificate does not cover, and of each what was found."""
        names = tuple(readable_name(each.name) for each in alert.name_states)
        yield self.fact("url", url_of(owner))
        yield self.fact("names", self.language.listed(names))
        if alert.since:
            yield self.fact("since", self.language.moment(alert.since))
        yield self.fact("means", self.language.say(f"means.{alert.kind}"))
        for each in alert.name_states[:MOST_NAMES]:
            told = self.name_words.reason(each)
            remedy = "" if alert.kind == "moved" else f" {self.name_words.remedy(each)}"
            yield Fact(readable_name(each.name), f"{told}{remedy}")

    @property
    def name_words(self) -> NameWords:
        """The words about names in this language."""
        return NameWords(self.language, self.host)

    def whose(self, owner: Owner) -> str:
        """Return the key of the phrases about the effect on clients: ``global`` or by reader."""
        if owner.key == GLOBAL:
            return GLOBAL
        return "operator" if self.operator else "contact"

    def failure_facts(self, alert: Alert) -> Iterator[Fact]:
        """Yield what was tried, why it failed, and when it is tried again."""
        say = self.language.say
        yield self.fact("tried", self.tried(alert))
        if alert.last_failure and self.operator:
            yield self.fact("reason", self.sentence(alert.last_failure.failure))
        elif alert.last_failure:
            yield self.fact("reason", say(f"reason.{reason_key(alert)}"))
        for each in alert.name_states[:MOST_NAMES]:
            yield self.fact("reason", self.name_words.reason(each))
        again = alert.again
        when = self.language.moment(again) if again else say("next.soon")
        yield self.fact("next", when)

    def tried(self, alert: Alert) -> str:
        """Return how often it was tried, and since when."""
        last_failure, language = alert.last_failure, self.language
        if alert.name_states:
            return language.say("tried.names", name=readable_name(alert.name_states[0].name))
        if last_failure is None:
            return language.say(f"tried.{'waiting' if alert.limited else 'nothing'}")
        since, last = language.moment(last_failure.since), language.moment(last_failure.at)
        if not alert.everybody:
            return language.count("tried.own", last_failure.count, since=since, last=last)
        times = language.count("times", last_failure.count)
        return language.say("tried.everybody", authority=last_failure.of, since=since, times=times)

    def remedy(self, alert: Alert) -> str:
        """Return what the reader can do."""
        if alert.of_names:
            key = "names_contact" if alert.kind == "names" and not self.operator else alert.kind
        elif alert.name_states:
            return self.dns(alert.name_states)
        elif is_obtained(alert):
            key = renewal_remedy(alert)
            if key not in THEIRS and not self.operator:
                key = "contact"
        elif alert.owner:
            key = supplied_remedy(alert, operator=self.operator)
        else:
            key = alert.kind
        known = self.own_remedy(alert, key) if self.operator else ""
        return known or self.language.say(f"remedy.{key}", host=self.host)

    def own_remedy(self, alert: Alert, key: str) -> str:
        """Return the remedy of the failure itself; empty where a general phrase is better.

        That is so for names: the phrase says where their records must point.
        """
        failure = alert.last_failure.failure if alert.last_failure else alert.failure
        if failure is None or failure.code == SAID or key in THEIRS:
            return ""
        return as_sentence(failure_words(failure, self.language.phrases).remedy)

    def dns(self, known: tuple[NameState, ...]) -> str:
        """Return what to do about names without which a certificate is not ordered."""
        texts = [self.name_words.remedy(each) for each in known[:MOST_NAMES]]
        if self.operator:
            texts.append(self.language.say("remedy.forward", name=known[0].name))
        return " ".join(dict.fromkeys(texts))

    def quote(self, alert: Alert) -> tuple[str, ...]:
        """Return what others said: all of it for the operator, else what the authority said.

        Words that are not the authority's may name files of this host.
        """
        if alert.failure and alert.failure.code == SAID:
            return quoted_lines(str(alert.failure))
        if alert.failure:
            return quoted_lines(failure_words(alert.failure, self.language.phrases).words)
        if alert.kind in ("model", "aside", "held"):
            return quoted_lines(alert.words)
        if alert.last_failure is None:
            return ()
        if self.operator:
            return quoted_lines(
                failure_words(alert.last_failure.failure, self.language.phrases).words
            )
        theirs = (
            alert.last_failure.failure.problem
            and not alert.everybody
            and reason_key(alert) in THEIRS
        )
        return quoted_lines(alert.last_failure.failure.words) if theirs else ()

    def fact(self, label: str, text: str) -> Fact:
        """Return a fact with its name in the reader's language."""
        return Fact(self.language.say(f"label.{label}"), text)

    def good(self, solved: Solved) -> str:
        """Return the sentence about an alert that is solved."""
        ends = self.language.moment(solved.bundle.not_after) if solved.bundle else ""
        values = {"url": url_of(solved.owner), "ends": ends, "service": solved.of}
        return self.language.say(f"solved.{solved.kind}", **values)


def content(
    digest: Digest, language: Language, host: str, contact: str | None, now: datetime
) -> Content:
    """Return all that one mail says."""
    operator = digest.reader.operator
    wording = Wording(language, operator, host, now)
    detailed, rest = digest.alerts[:MOST_DETAILED], digest.alerts[MOST_DETAILED:]
    entries = [wording.entry(each) for each in detailed]
    good = tuple(map(wording.good, digest.solved))
    more = len(good) - MOST_LISTED
    return Content(
        subject=subject(digest, wording),
        opening=tuple(opening_paragraphs(digest, wording)),
        good=(*good[:MOST_LISTED], *([language.count("more", more)] if more > 0 else [])),
        entries=(*entries, *([further_alerts(rest, wording)] if rest else [])),
        closing=tuple(closing_paragraphs(digest, wording, contact)),
    )


def subject(digest: Digest, wording: Wording) -> str:
    """Return the subject: the only alert, or how many there are."""
    language = wording.language
    if digest.alerts:
        if len(digest.alerts) == 1:
            return wording.about(digest.alerts[0], "subject")
        return language.say("subject.many", number=len(digest.alerts))
    first = digest.solved[0]
    values = {"url": url_of(first.owner), "service": first.of}
    what = language.say(f"solved_what.{first.kind}", **values)
    return language.count("subject.solved", len(digest.solved), what=what)


def opening_paragraphs(digest: Digest, wording: Wording) -> Iterator[str]:
    """Yield why the reader receives this mail."""
    language = wording.language
    if digest.reader.operator:
        yield language.say("greeting.operator", host=wording.host)
    else:
        owners = [each.owner for each in digest.alerts] + [each.owner for each in digest.solved]
        about = (readable_name(each.key) for each in owners if each)
        domains = language.listed(tuple(dict.fromkeys(about)), most=5)
        yield language.say("greeting.contact", domains=domains, host=wording.host)
    if digest.alerts and digest.solved:
        yield language.say("greeting.solved")


def further_alerts(rest: tuple[Alert, ...], wording: Wording) -> Entry:
    """Return the entry that lists the alerts beyond MOST_DETAILED."""
    lines = tuple(wording.about(each, "title") for each in rest[:MOST_LISTED])
    more = len(rest) - MOST_LISTED
    language = wording.language
    return Entry(
        title=language.say("title.more"),
        colour=wording.colour(rest[0]),
        heading=language.count("more", len(rest)),
        facts=(wording.fact("means", language.say("means.more")),) if wording.operator else (),
        quote=(*lines, *([language.count("more", more)] if more > 0 else [])),
    )


def closing_paragraphs(digest: Digest, wording: Wording, contact: str | None) -> Iterator[str]:
    """Yield the lines of the footer."""
    say = wording.language.say
    if any(each.daily for each in digest.alerts):
        yield say("footer.operator" if wording.operator else "footer.contact")
    else:
        if any(each.every for each in digest.alerts):
            yield say("footer.weekly")
        if wording.operator:
            yield say("footer.operator_solved")
    if contact and not wording.operator:
        yield say("footer.contact_reply", contact=contact)
    yield say("footer.automatic", host=wording.host)


def url_of(owner: Owner | None) -> str:
    """Return an owner's URL."""
    if owner is None:
        return ""
    return f"https://{readable_name(owner.host)}" if owner.host else readable_name(owner.key)


def is_obtained(alert: Alert) -> bool:
    """Return whether it is about a certificate that proxygen obtains itself."""
    wanted = alert.owner.certificate if alert.owner else None
    return wanted is not None and wanted.issuer not in SUPPLIED


def reason_key(alert: Alert) -> str:
    """Return the key of the phrases about the reason of a failure."""
    kind = ((alert.last_failure.failure.problem if alert.last_failure else None) or "").rpartition(
        ":"
    )[2]
    if alert.everybody and kind == "unauthorized":
        return "account"
    return REASONS.get(kind, "away" if alert.everybody else "other")


def renewal_remedy(alert: Alert) -> str:
    """Return the key of the remedy for a renewal that fails or is postponed."""
    if alert.last_failure:
        known = reason_key(alert)
        return known if known in THEIRS else "other"
    return "waiting" if alert.limited else "untried"


def supplied_remedy(alert: Alert, *, operator: bool) -> str:
    """Return the key of the remedy for a supplied certificate that expires soon."""
    wanted = alert.owner.certificate if alert.owner else None
    hook = wanted is not None and wanted.issuer == "hook"
    if operator and hook:
        return "missing_hook" if alert.bundle is None else "supplied_hook"
    if operator:
        return "supplied"
    return "contact" if hook else "supplied_contact"


def quoted_lines(words: str) -> tuple[str, ...]:
    """Return the words of others as printable, bounded lines without secrets."""
    lines = [terminal_text(line).strip()[:LONGEST_QUOTED] for line in words[:20_000].splitlines()]
    kept = tuple(line for line in lines if line)
    return (*kept[:MOST_QUOTED], "…") if len(kept) > MOST_QUOTED else kept
