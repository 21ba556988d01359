"""Turns an authority's refusal into an error that a person can act on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from proxygen.errors import IssueFailed
from proxygen.failure import Failure, NotObtained, RefusedName, Scope, not_obtained
from proxygen.issuers.acme_answers import UNTYPED, Problem
from proxygen.model.certificate import DNS, PERSIST
from proxygen.model.hosts import is_wildcard

MOST_WORDS = 100


class AuthorityRefused(Exception):
    """The authority answered with a problem document; it stays inside the ACME modules."""

    def __init__(self, problem: Problem, status: int = 0, retry_at: datetime | None = None) -> None:
        super().__init__(f"{status} {problem.type}: {problem.detail}")
        self.problem = problem
        self.status = status
        self.retry_at = retry_at


@dataclass(frozen=True, slots=True)
class Advice:
    """What helps to say why names were not proven: by which *challenges* that was tried.

    *records* are those that dns-persist-01 wants to see, as lines of a zone file.
    """

    challenges: frozenset[str] = frozenset()
    records: tuple[str, ...] = ()


NO_ADVICE = Advice()


class Over(AuthorityRefused):
    """The order has ended without a certificate: the next try needs a new one.

    *unproven* is as in IssueFailed.
    """

    def __init__(
        self, problem: Problem, unproven: tuple[str, ...] = (), advice: Advice = NO_ADVICE
    ) -> None:
        super().__init__(problem)
        self.unproven = unproven
        self.advice = advice


class WrongAnswer(IssueFailed):
    """An answer of the authority cannot be right: the order is given up."""


class Unfinished(IssueFailed):
    """The authority did not finish an order in time: the next run continues it."""


class Unseen(IssueFailed):
    """The authority works, but does not show an order that it accepted before."""


REACHED, CONTACT, KEY, NAME = "acme-other-answer", "acme-contact", "acme-key", "acme-name"
UNSEEN, NO_RECORD, UNKNOWN = "acme-txt-unseen", "acme-persist-unseen", "acme-other"
BANNED, TO_DO = "acme-banned", "acme-user-action"

NOT_SEEN = ("connection", "dns", "incorrectResponse", "unauthorized")
"""Types of problems that mean something else where a TXT record was to be seen."""
OF_NAMES = frozenset({"caa", "dns", "dnssec", "rejectedIdentifier", "unsupportedIdentifier"})
"""Types of problems that are about names, never about the account or a limit."""

MEANINGS = {
    "accountDoesNotExist": "acme-account-lost",
    "alreadyReplaced": "acme-replaced",
    "badCSR": KEY,
    "badNonce": "acme-nonce",
    "badPublicKey": KEY,
    "badSignatureAlgorithm": KEY,
    "caa": "acme-caa",
    "connection": "acme-connection",
    "dns": "acme-dns",
    "dnssec": "acme-dnssec",
    "externalAccountRequired": "acme-binding",
    "incorrectResponse": REACHED,
    "invalidContact": CONTACT,
    "invalidProfile": "acme-profile",
    "malformed": "acme-malformed",
    "rateLimited": "acme-rate-limit",
    "rejectedIdentifier": NAME,
    "serverInternal": "acme-internal",
    "tls": REACHED,
    "unauthorized": REACHED,
    "unsupportedContact": CONTACT,
    "unsupportedIdentifier": NAME,
    "userActionRequired": TO_DO,
}
"""From the type of a problem (RFC 8555 section 6.7) to the code of what it means."""

FINAL = frozenset({CONTACT, KEY, NAME, "acme-binding", "acme-profile", TO_DO})
"""Where waiting cannot help."""


GENERAL = frozenset(
    {
        *("accountDoesNotExist", "badNonce", "externalAccountRequired", "invalidContact"),
        *("invalidProfile", "serverInternal", "unsupportedContact", "userActionRequired"),
    }
)
"""Types of problems that any other certificate would meet as well."""

EXACT_SET = "exact set"
"""How Let's Encrypt names its limit of certificates for the same names."""


def order_unseen(url: str, refused: AuthorityRefused) -> NotObtained:
    """Return the failure of an order that was begun and cannot be fetched.

    It concerns this order: others are made, and show whether they have the same problem.
    """
    said, retry_at = problem_words(refused.problem), refused.retry_at
    return not_obtained("order-not-shown", where=url, retry_at=retry_at, words=said)


def of_names(names: tuple[str, ...], refused: AuthorityRefused) -> NotObtained:
    """Return why there is no certificate for *names*.

    It blames the names that the problem names, or all of them if it names none.
    """
    leaves = tuple(refused.problem.leaves)
    blamed = tuple(dict.fromkeys(leaf.identifier.name for leaf in leaves if leaf.identifier))
    over = refused if isinstance(refused, Over) else None
    advice = over.advice if over else NO_ADVICE
    special = meanings_by(advice)
    return replace(
        problem_failure(
            "names-refused",
            Scope.AUTHORITY if met_by_all(refused, names) else Scope.OWNER,
            refused,
            special if blamed else {**special, "unauthorized": BANNED},
            advice=advice,
        ),
        facts=(("names", blamed or names),),
        unproven=over.unproven if over else (),
        refused=tuple(refused_names(names, refused.problem)),
    )


def refused_names(names: tuple[str, ...], problem: Problem) -> Iterator[RefusedName]:
    """Yield each of *names* that a problem says something against, once.

    A subproblem without an identifier counts if its type is about names: Let's Encrypt names a
    single refused name only in the text.
    """
    said: dict[str, Problem] = {}
    for leaf in problem.leaves:
        for name in names_meant(names, leaf):
            said.setdefault(name, leaf)
    for name, leaf in said.items():
        kind = "" if leaf.type == UNTYPED else leaf.type
        yield RefusedName(name, kind, leaf.detail or leaf.title)


def names_meant(names: tuple[str, ...], leaf: Problem) -> tuple[str, ...]:
    """Return which of *names* a problem is about.

    An identifier that was ordered for a wildcard alone may come without its ``*.``.
    """
    if leaf.identifier:
        own = leaf.identifier.name
        return tuple(name for name in (own, f"*.{own}") if name in names)[:1]
    if leaf.kind not in OF_NAMES:
        return ()
    text = f"{leaf.title} {leaf.detail}".lower()
    hosts = text.replace("*.", "*_")  # a wildcard is no mention of its parent
    return tuple(name for name in names if mentioned_in(text if is_wildcard(name) else hosts)(name))


def meanings_by(advice: Advice) -> Mapping[str, str]:
    """Return what problems mean where names were not to be proven over HTTP."""
    if PERSIST in advice.challenges:
        return dict.fromkeys(NOT_SEEN, NO_RECORD)
    return dict.fromkeys(NOT_SEEN, UNSEEN) if DNS in advice.challenges else {}


def of_account(refused: AuthorityRefused, terms: str | None) -> NotObtained:
    """Return why an account was refused; *terms* is the URL of the terms."""
    special = {"malformed": CONTACT, "unauthorized": BANNED}
    return problem_failure("account-refused", Scope.AUTHORITY, refused, special, terms or "")


def problem_failure(
    code: str,
    scope: Scope,
    refused: AuthorityRefused,
    special: Mapping[str, str],
    terms: str = "",
    advice: Advice = NO_ADVICE,
) -> NotObtained:
    """Return a failure whose parts are what the problem means, with the authority's own words.

    *special* meanings come before those that MEANINGS tells.
    """
    leaves = tuple(refused.problem.leaves)
    table = {**MEANINGS, **special}
    codes = tuple(dict.fromkeys(table.get(leaf.kind, UNKNOWN) for leaf in leaves))
    place = refused.problem.instance or terms
    return not_obtained(
        code,
        scope,
        parts=tuple(problem_meaning(each, scope, place, advice) for each in codes),
        problem=None if leaves[0].type == UNTYPED else leaves[0].type,
        retry_at=refused.retry_at,
        final=all(each in FINAL for each in codes),
        words="\n".join(problem_words(leaf) for leaf in leaves[:MOST_WORDS]),
    )


def problem_meaning(code: str, scope: Scope, place: str, advice: Advice) -> Failure:
    """Return what a problem means: with the *place* to go to, or the records that were missing."""
    if code == TO_DO and place:
        return Failure("acme-user-action-at", scope, facts=(("place", place),))
    if code == NO_RECORD and advice.records:
        records = "; ".join(advice.records)
        return Failure("acme-persist-unseen-records", scope, facts=(("records", records),))
    return Failure(code, scope)


@contextmanager
def for_everybody() -> Iterator[None]:
    """Mark what fails in a block as a failure for everybody."""
    try:
        yield
    except IssueFailed as error:
        raise IssueFailed(replace(error.failure, scope=Scope.AUTHORITY)) from error


def met_by_all(refused: AuthorityRefused, names: tuple[str, ...]) -> bool:
    """Return whether a request for any other names would be refused as well.

    An order that ended without a certificate is no such refusal: the authority works, and accepted
    it.
    """
    leaves = tuple(refused.problem.leaves)
    if isinstance(refused, Over) or any(leaf.identifier for leaf in leaves):
        return False
    return refused.status >= 500 or all(is_general(leaf, refused.status, names) for leaf in leaves)


def is_general(problem: Problem, status: int, names: tuple[str, ...]) -> bool:
    """Return whether a problem is about the authority or the account."""
    text = f"{problem.title} {problem.detail}".lower()
    if problem.kind == "rateLimited" or status == 429:
        return EXACT_SET not in text and not any(map(mentioned_in(text), with_parents(names)))
    if problem.kind == "unauthorized":  # RFC 8555 section 7.3.6: 401 for a deactivated account
        return status == 401 or "account" in text
    return problem.kind in GENERAL


def with_parents(names: tuple[str, ...]) -> set[str]:
    """Return names and the domains above them, without the topmost."""
    parts = (name.removeprefix("*.").split(".") for name in names)
    return {".".join(each[start:]) for each in parts for start in range(len(each) - 1)}


def mentioned_in(text: str) -> Callable[[str], bool]:
    """Return what tells whether a text names a domain, not merely one above or below it."""
    return lambda domain: bool(
        re.search(rf"(?<![\w-])(?<!\w\.){re.escape(domain)}(?![\w-]|\.\w)", text)
    )


def may_be_replaces(refused: AuthorityRefused) -> bool:
    """Return whether an order may have been refused because of what it replaces.

    RFC 9773 section 5 has ``alreadyReplaced`` for one of the reasons; for the others (another
    account's certificate, no name in common, one that is not known) any type may be used.
    """
    if refused.problem.kind == "alreadyReplaced":
        return True
    named = any(leaf.identifier for leaf in refused.problem.leaves)
    other = refused.problem.kind in {*GENERAL, "rateLimited"} or refused.status in (401, 429)
    return not (named or other or refused.status >= 500)


def problem_words(problem: Problem) -> str:
    """Return one line: the name if there is one, the type, and the authority's own words."""
    name = f"{problem.identifier.name}: " if problem.identifier else ""
    kind = "" if problem.type == UNTYPED else f" ({problem.type})"
    return f"{name}{problem.detail or problem.title}{kind}"
