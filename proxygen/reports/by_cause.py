"""By cause: what is wrong with many names and certificates, told once for each reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from proxygen.errors import OTHER, Coded, ProxygenError
from proxygen.failure import Failure, Scope, Value, failure_words
from proxygen.languages.counts import MOST_NAMED, some_names
from proxygen.languages.lines import one_line
from proxygen.model.hosts import readable_name

if TYPE_CHECKING:
    from proxygen.apply.hooks import Ran
    from proxygen.plan.backoff import RememberedFailure
    from proxygen.plan.steps import PostponedOrder
    from proxygen.texts.names import ModelName

MOST_QUOTED = 3
"""Lines that are quoted of what the other side said about one of many."""

SEVERAL_NAMES = {
    "nxdomain": "do not exist in the DNS",
    "no-delegation": "are in domains that are not registered, or not delegated",
    "no-address": "have neither an A nor an AAAA record",
    "servers-silent": "have name servers that do not answer",
    "servers-lame": "have name servers that do not serve their zone",
    "servfail": "have name servers that answer with an error",
    "dnssec": "fail DNSSEC validation",
    "differing": "have name servers that give different answers",
    "cname-loop": "have CNAME records that lead in a circle",
    "chain-too-long": "have too many CNAME records in a row",
    "elsewhere": "lead elsewhere",
    "not-answered": "lead here, but port 80 does not answer the challenge",
    "private": "have an address that cannot be reached from the internet",
    "caa": "have CAA records that do not allow the authority",
    "caa-lookup": "have CAA records that cannot be looked up",
    "acme-challenge": "need a DNS record that cannot be written",
    "persist": "lack the TXT record that proves them",
    "web-server": "get no answer to challenges from the web server here",
    "unproven": "could not be proven to the authority",
    "refused": "were refused by the authority",
    "refused:dns": "were refused: the authority could not look them up",
    "refused:dnssec": "were refused: the authority could not validate their DNSSEC signatures",
    "refused:connection": "were refused: the authority could not connect to their web server",
    "refused:unauthorized": "were refused: the authority received another answer than ours",
    "refused:incorrectResponse": "were refused: the authority received another answer than ours",
    "refused:caa": "were refused: their CAA records do not allow the authority",
    "refused:rateLimited": "were refused: a rate limit of the authority is reached",
    "refused:rejectedIdentifier": "were refused: the authority does not issue for them",
}
"""What is said of several names, by the code of ``cause_of``."""

OTHERWISE = "are not ready"
"""What is said of names whose cause has no words here; the details have them."""

SEVERAL_WARNINGS = {
    "ended": "certificates have expired: {names}",
    "ending": "certificates expire soon and have not been renewed: {names}",
    "hook-awaited": "domains wait until another ACME client calls `proxygen hook` with their "
    "certificates: {names}",
    "not-covered": "domains are served with the global certificate, which does not cover their "
    "names, so browsers warn until they have one of their own, or their names are added to it: "
    "{names}",
    "renewed-without": "names are left out of renewed certificates, as they cannot be proven: "
    "{names}",
}
"""What is said of several owners or names that a warning is about, by its code."""


@dataclass(frozen=True, slots=True)
class CauseGroup:
    """What has one cause: *words* begin with what it is, *each* is a name with its details.

    *remedy* and *quoted* are told once, below; empty for none.
    """

    words: str
    each: tuple[tuple[str, str], ...]
    remedy: str = ""
    quoted: tuple[str, ...] = ()

    @property
    def names(self) -> str:
        """The first names, and how many more there are."""
        return some_names([name for name, _ in self.each])

    def lines(self, *, verbose: bool = False) -> Iterator[str]:
        """Yield it for people: one line, or with *verbose* one more for each name."""
        if len(self.each) == 1:
            name, details = self.each[0]
            yield f"{name}: {details}" if name else details
        elif verbose:
            yield f"{len(self.each):,} {self.words}:"
            yield from (f"  {name}: {details}" for name, details in self.each)
        else:
            yield f"{len(self.each):,} {self.words}: {self.names}"
        yield from self.below()

    def below(self) -> Iterator[str]:
        """Yield what to do, and what the other side said."""
        if self.remedy:
            yield f"  do: {self.remedy}"
        yield from (f"  | {line}" for line in self.quoted)


# Names that are not ready.


def cause_of(named: ModelName) -> str:
    """Return why a name is not ready, in a word that is the same for all with that cause."""
    name_state = named.name_state
    if name_state and name_state.obstacle and not named.is_unchecked:
        return name_state.obstacle.code
    if name_state and name_state.refusal:
        if not name_state.refusal.problem:
            return "unproven"
        kind = f"refused:{name_state.refusal.problem.rpartition(':')[2]}"
        return kind if kind in SEVERAL_NAMES else "refused"
    return "web-server" if named.is_silent else ""


def names_by_cause(names: Iterable[ModelName]) -> list[CauseGroup]:
    """Return a group for each cause, the largest first."""
    found: dict[str, list[ModelName]] = {}
    for each in names:
        found.setdefault(cause_of(each), []).append(each)
    groups = sorted(found.items(), key=lambda item: -len(item[1]))
    return [
        CauseGroup(
            f"names {SEVERAL_NAMES.get(cause, OTHERWISE)}",
            tuple((readable_name(each.name), each.words) for each in group),
        )
        for cause, group in groups
    ]


def causes_in_short(names: Iterable[ModelName]) -> str:
    """Return how many names have which cause, in one line; empty without any."""
    groups = names_by_cause(names)
    return "; ".join(f"{len(each.each):,} {each.words.partition(' ')[2]}" for each in groups)


Causes = frozenset[tuple[str, str, str]]


def name_causes(names: Iterable[ModelName]) -> Causes:
    """Return owner, name and cause of names, by which it is seen what changed."""
    return frozenset((each.owner.key, each.name, cause_of(each)) for each in names)


# Warnings.


def warnings_by_kind(warnings: Iterable[str]) -> Iterator[CauseGroup]:
    """Yield the warnings, those of a kind as one; of each, whom it is about."""
    found: dict[str, list[Coded]] = {}
    for number, each in enumerate(dict.fromkeys(warnings)):
        warning = each if isinstance(each, Coded) else Coded(each)
        alone = f"{number}" if warning.code == OTHER else warning.code
        found.setdefault(alone, []).append(warning)
    for code, group in found.items():
        yield CauseGroup(code, tuple((readable_name(each.of), str(each)) for each in group))


def warning_lines(group: CauseGroup, *, verbose: bool = False) -> Iterator[str]:
    """Yield the lines of warnings of one kind: one, or the first ones where they have no words."""
    several = len(group.each) > 1 and not verbose
    if several and group.words in SEVERAL_WARNINGS and all(of for of, _ in group.each):
        phrase = SEVERAL_WARNINGS[group.words].format(names=group.names)
        yield f"{len(group.each):,} {phrase}"
        return
    told = group.each[:MOST_NAMED] if several else group.each
    yield from (details for _, details in told)
    if more := len(group.each) - len(told):
        yield f"… and {more:,} more of this kind: --verbose shows all"


# Certificates that are postponed, or that could not be obtained.

AUTHORITY = "authority"
"""The code of a PostponedOrder for an authority; among what is told, that its failure is."""

WHY_POSTPONED = {
    "failed": "after failures of earlier runs",
    "names": "as names are not ready",
    "limit": "as {words}",
    "authority": "as their authority cannot be used",
}
"""Why several certificates are postponed, by the code of a PostponedOrder."""


def postponed_by_cause(
    waiting: Iterable[PostponedOrder], told: Collection[str] = ()
) -> Iterator[CauseGroup]:
    """Yield the certificates that are postponed, by cause; *told* are names whose cause is told.

    AUTHORITY among them tells that failures of authorities are, too.

    What failed at earlier runs is one group whatever failed, as those runs told it.
    """
    found: dict[tuple[str, str], list[PostponedOrder]] = {}
    for each in waiting:
        words = "" if each.code in ("failed", "names") else each.words
        found.setdefault((each.code, words), []).append(each)
    for (code, words), group in found.items():
        about = tuple((readable_name(each.owner), one_postponed(each, told)) for each in group)
        until = f"postponed {moments_in_words(each.until for each in group)}"
        why = WHY_POSTPONED.get(code, "{words}").format(words=words)
        hasten = code in ("failed", "authority") and not all(each.asked for each in group)
        first = next((each.owner for each in group if not each.asked), "")
        remedy = f"`proxygen apply {first}` tries it now" if hasten else ""
        quoted = (words,) if code == AUTHORITY and AUTHORITY not in told else ()
        yield CauseGroup(
            f"certificates are {until}, {why}", about, remedy, quoted[: len(group) - 1]
        )


def one_postponed(each: PostponedOrder, told: Collection[str]) -> str:
    """Return until when one certificate is postponed, and why."""
    why = f": {each.words}"
    if each.code == "names" and each.name in told:
        why = f", as {readable_name(each.name)} is not ready"
    elif each.code == AUTHORITY and AUTHORITY in told:
        why = ", as its authority cannot be used"
    return f"postponed until {moment_words(each.until)}{why}"


def moments_in_words(moments: Iterable[datetime]) -> str:
    """Return from the first to the last of moments, in words."""
    every = sorted(moments)
    if moment_words(every[0]) == moment_words(every[-1]):
        return f"until {moment_words(every[0])}"
    return f"(the first until {moment_words(every[0])}, the last until {moment_words(every[-1])})"


def moment_words(at: datetime) -> str:
    """Return a moment to the minute."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def failures_by_cause(failures: Iterable[tuple[str, ProxygenError]]) -> Iterator[CauseGroup]:
    """Yield what was not done, by cause; what is the same for all is told once."""
    return by_failure((of, str(error), error.failure) for of, error in failures)


def failed_orders_by_cause(
    attempts: Iterable[RememberedFailure], now: datetime
) -> Iterator[CauseGroup]:
    """Yield the certificates that could not be obtained lately, by cause."""
    groups = by_failure((each.of, last_error(each, now), each.failure) for each in attempts)
    return (
        replace(each, words=f"certificates could not be obtained: {each.words}") for each in groups
    )


def last_error(last_failure: RememberedFailure, now: datetime) -> str:
    """Return when and why a certificate could not be obtained, and when it is tried again."""
    often = (
        f", {last_failure.count} times since {moment_words(last_failure.since)}"
        if last_failure.count > 1
        else ""
    )
    what = f"last error {moment_words(last_failure.at)}{often}: {last_failure.failure.what}"
    return f"{what}; {next_try(last_failure.again, now)}"


def next_try(again: datetime, now: datetime) -> str:
    """Return when it is tried again, in words."""
    return "next attempt now" if again <= now else f"next attempt {moment_words(again)}"


def by_failure(items: Iterable[tuple[str, str, Failure]]) -> Iterator[CauseGroup]:
    """Yield groups of failures with one cause; of each, whom it is about, its text, the failure."""
    found: dict[object, list[tuple[str, str, Failure]]] = {}
    for of, text, failure in items:
        found.setdefault(kind_of(failure), []).append((of, text, failure))
    for group in found.values():
        about = tuple((readable_name(of), text) for of, text, _ in group)
        yield group_of_failures([failure for _, _, failure in group], about)


def kind_of(failure: Failure) -> object:
    """Return what is the same for failures that have one cause: codes, and where it happened.

    Services are few: of those only what is the same word by word, and what to do about it.
    """
    text = failure_words(failure) if failure.scope is Scope.SERVICE else None
    same = text and (text.what, text.remedy)
    return failure.code, failure.where, same, *sorted({each.code for each in failure.parts})


def group_of_failures(
    failures: Sequence[Failure], about: tuple[tuple[str, str], ...]
) -> CauseGroup:
    """Return the group of failures that may differ in whom they are about, and what was said."""
    first = failures[0]
    same = all(each == first for each in failures)
    facts = tuple((name, of_all(name, failures)) for name, _ in first.facts)
    of = first.of if len({each.of for each in failures}) == 1 else "…"
    text = failure_words(first if same else replace(first, of=of, facts=facts))
    words = text.words.splitlines()
    more = ["…"] if len(words) > MOST_QUOTED else []
    return CauseGroup(text.what, about, text.remedy, (*map(one_line, words[:MOST_QUOTED]), *more))


def of_all(fact: str, failures: Sequence[Failure]) -> Value:
    """Return a fact of several failures: what it is for all, else what stands for it."""
    values = {value for each in failures for name, value in each.facts if name == fact}
    if len(values) == 1:
        return values.pop()
    return "their names" if fact == "names" else "…"


def failure_lines(group: CauseGroup, *, verbose: bool = False) -> Iterator[str]:
    """Yield the lines of failures of one cause: whom they are about first."""
    if len(group.each) == 1 or verbose:
        yield from (f"{of}: {text}" for of, text in group.each)
    else:
        yield f"{group.names}: {group.words}"
        yield from group.below()


# Hooks.


def hooks_by_cause(ran: Iterable[tuple[str, Ran]]) -> Iterator[CauseGroup]:
    """Yield the hooks that failed, by hook and failure; of each, for whom it ran."""
    found: dict[str, list[tuple[str, Ran]]] = {}
    for of, each in ran:
        why = each.failure.what if each.failure else ""
        found.setdefault(f"{each.event}.d/{each.hook}: {why}", []).append((of, each))
    for what, group in found.items():
        about = tuple((readable_name(of), hook_failed(each)) for of, each in group)
        yield CauseGroup(f"runs of the hook {what}", about)


def hook_failed(ran: Ran) -> str:
    """Return how a hook failed, with the end of what it said."""
    lines = [line for line in ran.words.splitlines() if line.strip()][-1:]
    return f"{ran}, {moment_words(ran.at.astimezone(UTC))}" + "".join(
        f": {one_line(e)}" for e in lines
    )
