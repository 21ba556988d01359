"""From an authority's refusal to an error that a person can act on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from proxygen.errors import IssueFailed, RefusedName
from proxygen.issuers.acme_answers import UNTYPED, Problem
from proxygen.model.certificate import DNS, PERSIST
from proxygen.model.hosts import is_wildcard

MOST_WORDS = 100


class Refused(Exception):
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


class Over(Refused):
    """The order came to nothing: the next try needs a new one; *unproven*: as in IssueFailed."""

    def __init__(
        self, problem: Problem, unproven: tuple[str, ...] = (), advice: Advice = NO_ADVICE
    ) -> None:
        super().__init__(problem)
        self.unproven = unproven
        self.advice = advice


class Wrong(IssueFailed):
    """What the authority answered cannot be right: the order is given up."""


class Unfinished(IssueFailed):
    """The authority did not finish an order in time: the next run continues it."""


class Unseen(IssueFailed):
    """The authority, which works, does not show an order that it took before."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a type of problem means, what to do about it, and whether waiting cannot help."""

    says: str
    remedy: str
    final: bool = False


REACHED = Meaning(
    "it got another answer than ours at the name",
    "point every A and AAAA record of the name to this host, and let"
    " http://NAME/.well-known/acme-challenge/ on port 80 reach it",
)
CONTACT = Meaning("it does not accept the contact", "correct `contact`", final=True)
KEY = Meaning("it does not accept the key", "choose another `acme.key_type`", final=True)
NAME = Meaning(
    "it does not issue for such a name", "take the name out of the model, or correct it", final=True
)

NOT_SEEN = ("connection", "dns", "incorrectResponse", "unauthorized")
"""Types of problems that mean something else where a TXT record was to be seen."""
UNSEEN = Meaning(
    "it did not see our TXT record",
    "see that every name server of the domain, and of where `_acme-challenge` is delegated to,"
    " answers from outside and shows new records at once",
)
OF_NAMES = frozenset({"caa", "dns", "dnssec", "rejectedIdentifier", "unsupportedIdentifier"})
"""Types of problems that are about names, never about the account or a limit."""

MEANINGS = {
    "accountDoesNotExist": Meaning("it lost our account", "run proxygen again"),
    "alreadyReplaced": Meaning("it replaced the certificate before", "run proxygen again"),
    "badCSR": KEY,
    "badNonce": Meaning("it rejected our requests as repeated", "run proxygen again"),
    "badPublicKey": KEY,
    "badSignatureAlgorithm": KEY,
    "caa": Meaning(
        "a CAA record of the domain forbids this authority",
        "allow this authority in the CAA records of the domain and its parents, or remove them",
    ),
    "connection": Meaning(
        "it could not connect to the name's web server",
        "let port 80 of every A and AAAA address of the name reach this host: check these records,"
        " firewalls, and what stands in front",
    ),
    "dns": Meaning(
        "it could not look up the name",
        "publish A (and AAAA) records for the name that lead to this host, on every name server",
    ),
    "dnssec": Meaning(
        "the DNSSEC signatures of the domain are wrong",
        "repair the domain's DNSSEC (DS record, signatures), or take the DS record away",
    ),
    "externalAccountRequired": Meaning(
        "it wants accounts to be bound to one that exists there",
        "set `acme.external_account` to what the authority gave you",
        final=True,
    ),
    "incorrectResponse": REACHED,
    "invalidContact": CONTACT,
    "invalidProfile": Meaning(
        "it does not know the profile", "correct or remove `acme.profile`", final=True
    ),
    "malformed": Meaning("it did not understand the request", "see what it says below"),
    "rateLimited": Meaning(
        "a rate limit is reached", "nothing: try again later, not more often than it says"
    ),
    "rejectedIdentifier": NAME,
    "serverInternal": Meaning("it has trouble of its own", "try again later"),
    "tls": REACHED,
    "unauthorized": REACHED,
    "unsupportedContact": CONTACT,
    "unsupportedIdentifier": NAME,
    "userActionRequired": Meaning(
        "somebody must act first", "open {place}, agree to it, and run proxygen again", final=True
    ),
}
UNKNOWN = Meaning("see what it says below", "see the authority's documentation")
BANNED = Meaning(
    "it does not accept our account",
    "see what it says below; the account is kept in the store below `accounts/`",
)


GENERAL = frozenset(
    {
        *("accountDoesNotExist", "badNonce", "externalAccountRequired", "invalidContact"),
        *("invalidProfile", "serverInternal", "unsupportedContact", "userActionRequired"),
    }
)
"""Types of problems that any other certificate would meet as well."""

EXACT_SET = "exact set"
"""How Let's Encrypt names its limit of certificates for the same names."""


def unseen(url: str, refused: Refused) -> Unseen:
    """Return the error for an order that was begun and cannot be looked at.

    It is this order's trouble: others are asked for, and find out whether it is theirs as well.
    """
    return Unseen(
        "the authority does not show the order that was begun",
        where=url,
        retry_at=refused.retry_at,
        remedy="nothing: it is asked again, and after some times a new order is made",
        words=words(refused.problem),
    )


def of_names(names: tuple[str, ...], refused: Refused) -> IssueFailed:
    """Return the error for a certificate for *names*.

    It blames the names that the problem names, all of them when it names none.
    """
    leaves = tuple(refused.problem.leaves)
    blamed = tuple(dict.fromkeys(leaf.identifier.name for leaf in leaves if leaf.identifier))
    over = refused if isinstance(refused, Over) else None
    special = meanings_by(over.advice if over else NO_ADVICE)
    return failure(
        f"the authority refused {listed(blamed or names)}",
        refused,
        special if blamed else {**special, "unauthorized": BANNED},
        everybody=met_by_all(refused, names),
        unproven=over.unproven if over else (),
        refused=tuple(refused_names(names, refused.problem)),
    )


def refused_names(names: tuple[str, ...], problem: Problem) -> Iterator[RefusedName]:
    """Yield each of *names* that a problem says something against, once.

    A part without an identifier counts where it is of a type that is about names: Let's Encrypt
    names in the text alone what it refuses when that is one name.
    """
    said: dict[str, Problem] = {}
    for leaf in problem.leaves:
        for name in meant(names, leaf):
            said.setdefault(name, leaf)
    for name, leaf in said.items():
        kind = "" if leaf.type == UNTYPED else leaf.type
        yield RefusedName(name, kind, leaf.detail or leaf.title)


def meant(names: tuple[str, ...], leaf: Problem) -> tuple[str, ...]:
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


def meanings_by(advice: Advice) -> Mapping[str, Meaning]:
    """Return what problems mean where names were not to be proven over HTTP."""
    if PERSIST in advice.challenges:
        published = "; ".join(advice.records) or "the record that `proxygen dns` prints"
        remedy = f"publish on every name server of the domain: {published}"
        return dict.fromkeys(NOT_SEEN, Meaning("it did not see the record that allows us", remedy))
    return dict.fromkeys(NOT_SEEN, UNSEEN) if DNS in advice.challenges else {}


def of_account(refused: Refused, terms: str | None) -> IssueFailed:
    """Return the error for an account that was refused; *terms* is the URL of the terms."""
    special = {"malformed": CONTACT, "unauthorized": BANNED}
    place = terms or ""
    return failure("the authority refused the account", refused, special, place, everybody=True)


def failure(
    what: str, refused: Refused, special: Mapping[str, Meaning], terms: str = "", /, **more: Any
) -> IssueFailed:
    """Return *what* happened, what it means and the authority's own words.

    *special* meanings come before those that MEANINGS tells; *more* is for the error.
    """
    leaves = tuple(refused.problem.leaves)
    table = {**MEANINGS, **special}
    meanings = tuple(dict.fromkeys(table.get(leaf.kind, UNKNOWN) for leaf in leaves))
    place = refused.problem.instance or terms or "the page named below"
    return IssueFailed(
        f"{what}: {'; '.join(meaning.says for meaning in meanings)}",
        problem=None if leaves[0].type == UNTYPED else leaves[0].type,
        retry_at=refused.retry_at,
        final=all(meaning.final for meaning in meanings),
        remedy="; ".join(meaning.remedy for meaning in meanings).replace("{place}", place),
        words="\n".join(words(leaf) for leaf in leaves[:MOST_WORDS]),
        **more,
    )


@contextmanager
def for_everybody() -> Iterator[None]:
    """Mark what fails in a block as everybody's failure."""
    try:
        yield
    except IssueFailed as error:
        error.everybody = True
        raise


def met_by_all(refused: Refused, names: tuple[str, ...]) -> bool:
    """Return whether a request for any other names would be refused as well.

    An order that came to nothing is no such refusal: the authority works, and accepted it.
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


def may_be_replaces(refused: Refused) -> bool:
    """Return whether an order may have been refused because of what it replaces.

    RFC 9773 section 5 has ``alreadyReplaced`` for one of the reasons; for the others (another
    account's certificate, no name in common, one that is not known) any type may be used.
    """
    if refused.problem.kind == "alreadyReplaced":
        return True
    named = any(leaf.identifier for leaf in refused.problem.leaves)
    other = refused.problem.kind in {*GENERAL, "rateLimited"} or refused.status in (401, 429)
    return not (named or other or refused.status >= 500)


def words(problem: Problem) -> str:
    """Return one line: the name if there is one, the type, and the authority's own words."""
    name = f"{problem.identifier.name}: " if problem.identifier else ""
    kind = "" if problem.type == UNTYPED else f" ({problem.type})"
    return f"{name}{problem.detail or problem.title}{kind}"


def listed(names: tuple[str, ...]) -> str:
    """Return names for a sentence, at most three by name."""
    if len(names) > 3:
        return f"{', '.join(names[:2])} and {len(names) - 2} more names"
    return " and ".join(", ".join(names).rsplit(", ", 1))
