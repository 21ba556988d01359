"""Failure: what went wrong, as a frozen value; sentences are made of it where a person reads.

A code says what happened, a scope whose matter it is, facts what differs from one time to the
next; *words* are the other side's own. What a person reads stands in ``languages/``, below
``failure.CODE``. A code is stored and compared, a sentence never is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from proxygen.credentials import conceal, concealed_words
from proxygen.languages import ENGLISH, load_phrases

Value = str | int | tuple[str, ...]
"""What a fact is: text, a number, or several names."""

Facts = tuple[tuple[str, Value], ...]

LONGEST_FACT, LONGEST_WORDS = 2_000, 65_536
"""Characters that are kept of a fact, and of what the other side said."""

MOST_VALUES, MOST_PARTS = 1_000, 100
"""Values of one fact, and parts of a failure, that are kept."""

MOST_LISTED = 10
"""Names that stand in a sentence; of more, one less, with how many there are besides."""

SAID = "said"
"""The code of a failure that holds its English sentences: one that is never stored."""

UNKNOWN = "unknown"
"""What one is told as whose code has no phrases: a later version stored it."""


class Scope(StrEnum):
    """Whose matter a failure is."""

    OWNER = "owner"
    """That of one certificate: its names, its files, its order."""
    AUTHORITY = "authority"
    """That of an authority, which can issue no certificate at present."""
    HOST = "host"
    """That of this machine: a disk, a program, its network."""
    SERVICE = "service"
    """That of nginx, postfix or dovecot here."""
    MODEL = "model"
    """That of the model, and of nobody's certificate alone."""
    COMMAND = "command"
    """That of who typed a command."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that went wrong; none of it holds a secret, whoever says it, and all is bounded.

    *of*: the key of what its scope says: an owner, a directory, a service; empty where it is not
    known, or is only one. *facts* stand in the order of their names. *where*: a place in the
    model, a path or URL. *parts*: the failures that this one consists of.

    What our own store holds of one was made so before, and is read as it is.
    """

    code: str
    scope: Scope
    of: str = ""
    facts: Facts = ()
    words: str = ""
    where: str = ""
    parts: tuple[Failure, ...] = ()

    def __post_init__(self) -> None:
        facts = sorted(((name, bounded_fact(value)) for name, value in self.facts), key=by_name)
        words = cut_text(self.words.strip(), LONGEST_WORDS, concealed_words) if self.words else ""
        object.__setattr__(self, "facts", tuple(facts))
        object.__setattr__(self, "words", words)
        object.__setattr__(self, "where", cut_text(self.where, LONGEST_FACT, conceal))
        object.__setattr__(self, "parts", self.parts[:MOST_PARTS])

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Return how one is read from a store: without concealing again, which takes long."""
        schema = handler(source)
        handler.resolve_ref_schema(schema)["post_init"] = False
        return schema

    @property
    def what(self) -> str:
        """What happened, in English."""
        return failure_words(self).what

    @property
    def remedy(self) -> str:
        """What to do about it, in English; empty for nothing that is known."""
        return failure_words(self).remedy

    def __str__(self) -> str:
        return failure_words(self).text

    def as_json(self) -> dict[str, Any]:
        """Return what programs decide by, as ``--json`` prints it."""
        return {
            "code": self.code,
            "scope": self.scope.value,
            "of": self.of or None,
            "facts": dict(self.facts),
            "parts": [part.as_json() for part in self.parts],
        }


@dataclass(frozen=True, slots=True)
class RefusedName:
    """A name that an authority refused: the type of its problem, and its own words.

    The type is empty where no proof for it could be published, so that nobody was asked; then
    *failure* tells why, and *words* are those of whoever was asked for that.
    """

    name: str
    problem: str
    words: str
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class NotObtained(Failure):
    """Why a certificate could not be obtained.

    *problem* is the type of the authority's problem document (RFC 8555 section 6.7);
    *retry_at* is the earliest moment at which trying again makes sense, if the authority
    named one; *final* means that it makes none before the model or the world has changed.
    *unproven* are the names whose validation failed, which authorities count; *refused* are all
    that the authority said something against, so that the others may do without them.
    """

    problem: str | None = None
    retry_at: datetime | None = None
    final: bool = False
    unproven: tuple[str, ...] = ()
    refused: tuple[RefusedName, ...] = ()

    @property
    def everybody(self) -> bool:
        """Whether the authority can issue no certificate at present, whatever the names are."""
        return self.scope is Scope.AUTHORITY


@dataclass(frozen=True, slots=True)
class FailureWords:
    """A failure in words for a person: what happened, where, what to do, and what others said.

    *words* are empty where what happened quotes them. Parts that no phrase names stand before them.
    """

    what: str
    where: str
    remedy: str
    words: str

    @property
    def text(self) -> str:
        """All of it, a line or more of each."""
        lines = [self.what]
        lines += [f"  at: {self.where}"] if self.where else []
        lines += [f"  do: {self.remedy}"] if self.remedy else []
        return "\n".join([*lines, *(f"  | {line}" for line in self.words.splitlines())])


F = TypeVar("F", bound=Failure)


def failure(
    code: str,
    scope: Scope,
    of: str = "",
    *,
    words: object = "",
    where: object = "",
    parts: tuple[Failure, ...] = (),
    **facts: Value,
) -> Failure:
    """Return a failure; *facts* are what its sentence names, by placeholder."""
    return Failure(code, scope, of, tuple(facts.items()), str(words), str(where or ""), parts)


def not_obtained(
    code: str,
    scope: Scope = Scope.OWNER,
    of: str = "",
    *,
    words: object = "",
    where: object = "",
    parts: tuple[Failure, ...] = (),
    problem: str | None = None,
    retry_at: datetime | None = None,
    final: bool = False,
    unproven: tuple[str, ...] = (),
    refused: tuple[RefusedName, ...] = (),
    **facts: Value,
) -> NotObtained:
    """Return why a certificate could not be obtained; *facts* are what its sentence names."""
    return NotObtained(
        code,
        scope,
        of,
        tuple(facts.items()),
        str(words),
        str(where or ""),
        parts,
        problem=problem,
        retry_at=retry_at,
        final=final,
        unproven=unproven,
        refused=refused,
    )


def refusal_of_name(name: str, failure: NotObtained) -> NotObtained:
    """Return a failure as the refusal of one name, of which nothing else was said."""
    why = Failure(*(getattr(failure, each.name) for each in fields(Failure)))
    return replace(failure, refused=(RefusedName(name, "", failure.words, why),))


def made_again(failure: F) -> F:
    """Return a failure that another process made, without the secrets that only this one knows."""
    return replace(failure, parts=tuple(map(made_again, failure.parts)))


def failure_with_place(failure: F, where: object) -> F:
    """Return a failure that tells where, unless it did."""
    return failure if failure.where or not where else replace(failure, where=str(where))


def typed_failure(
    what: str, remedy: str = "", *, words: str = "", where: object = "", scope: Scope = Scope.HOST
) -> Failure:
    """Return a failure with its English sentences, for who typed a command: never stored."""
    return Failure(SAID, scope, "", (("what", what), ("remedy", remedy)), words, str(where or ""))


def failure_words(failure: Failure, language: Mapping[str, str] | None = None) -> FailureWords:
    """Return a failure in words; *language* holds the phrases, in English without."""
    known = dict(failure.facts)
    if failure.code == SAID:
        return FailureWords(
            str(known.get("what", "?")),
            failure.where,
            str(known.get("remedy", "")),
            failure.words,
        )
    language = load_phrases(ENGLISH) if language is None else language
    code = failure.code if f"failure.{failure.code}.what" in language else UNKNOWN
    phrase = language[f"failure.{code}.what"]
    what = fill_phrase(phrase, "what", failure, language)
    quoting = "{words}" in phrase or ("{parts}" in phrase and failure.words in what)
    quoted = quoting and "\n" not in failure.words
    remedy = language.get(f"failure.{code}.remedy", "")
    rest = () if "{parts}" in phrase + remedy else failure.parts
    parts = [failure_words(part, language) for part in rest]
    below = [line for each in parts for line in (each.what, each.words)]
    below += [] if quoted else [failure.words]
    return FailureWords(
        what=what,
        where=failure.where,
        remedy=fill_phrase(remedy, "remedy", failure, language),
        words="\n".join(filter(None, below)),
    )


class Values(dict[str, str]):
    """What stands for the placeholders of a phrase; what was stored may lack one."""

    def __missing__(self, name: str) -> str:
        return "?"


def fill_phrase(phrase: str, of: str, failure: Failure, language: Mapping[str, str]) -> str:
    """Return a phrase with its placeholders filled in.

    ``{parts}`` is the same of every part, each once; ``{words}`` the first line of the words.
    """
    if "{" not in phrase:
        return phrase
    values = Values((name, fact_words(value, language)) for name, value in failure.facts)
    values |= {"code": failure.code, "of": failure.of, "where": failure.where}
    values["words"] = (failure.words.splitlines() or [""])[0]
    if "{parts}" in phrase:
        parts = (getattr(failure_words(part, language), of) for part in failure.parts)
        values["parts"] = "; ".join(dict.fromkeys(each for each in parts if each))
    return phrase.format_map(values).rstrip(" ;")


def fact_words(value: Value, language: Mapping[str, str]) -> str:
    """Return a fact for a sentence; of several names the first ones, with how many follow."""
    if not isinstance(value, tuple):
        return str(value)
    if len(value) <= MOST_LISTED:
        return f" {language['and']} ".join(", ".join(value).rsplit(", ", 1))
    rest = len(value) - MOST_LISTED + 1
    return f"{', '.join(value[: MOST_LISTED - 1])} {language['more.other'].format(number=rest)}"


def bounded_fact(value: Value) -> Value:
    """Return a fact without secrets, and not too long."""
    if isinstance(value, tuple):
        return tuple(cut_text(each, LONGEST_FACT, conceal) for each in value[:MOST_VALUES])
    return cut_text(value, LONGEST_FACT, conceal) if isinstance(value, str) else value


def cut_text(text: str, most: int, conceal: Callable[[str], str]) -> str:
    """Return the first characters of a text without secrets, nor a part of one that was cut.

    Twice as many are looked at. What stands at their end may be a part of a secret: it goes, also
    where so much before it was concealed that there would be room for it.
    """
    if len(text) <= 2 * most:
        return conceal(text)[:most]
    found = conceal(text[: 2 * most])
    return found[: max(0, min(most, len(found) - most))]


def by_name(fact: tuple[str, Value]) -> str:
    """Return by what facts are sorted: values may be of several types."""
    return fact[0]
