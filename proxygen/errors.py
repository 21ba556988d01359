"""What can go wrong, as one tree; each kind has its exit code.

ProxygenError             1  never raised itself; an error that is not in this tree is our bug
├── UsageError            2  the command line asks for something that is not there
├── ModelError            3  the model is wrong; nothing was touched
├── ServiceError          4  a service refused, or cannot be worked with
│   ├── Unreadable        4  a service refuses its configuration when it is asked about it
│   └── CheckFailed       4  a service refused the new configuration
├── IssueFailed           5  a certificate could not be obtained
│   └── StoreFailed       5  nothing can be stored
├── NotServed             6  done, but a client does not see what is wanted
├── LockHeld              7  another run is at work
└── Bug                   1  a bug of ours in one domain's work; the others went on
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, ClassVar, Self

from proxygen.credentials import concealed, concealed_words

HELD_BACK, SET_ASIDE = 8, 9
"""What a command ends with that did all it could: a removal waits, an included file is wrong."""


def visible(text: str) -> str:
    """Return *text* as it may go to a terminal: no credential, what is not printable is escaped.

    Lines and tabs stay. Names of files and fields, and other programs' words, are quoted in
    messages; escape sequences and bidirectional marks in them would rewrite what is read.
    """
    text = concealed(text)
    if text.isprintable():
        return text
    return "".join(
        each if each in "\n\t" or each.isprintable() else ascii(each)[1:-1] for each in text
    )


NEAR_ENOUGH = 0.6
MOST_COMPARED = 10_000
"""Known words that an unknown one is compared with: a model may have very many domains."""


def nearest(
    word: str, known: Iterable[str], most: int = 1, alike: float = NEAR_ENOUGH
) -> list[str]:
    """Return the known words nearest to an unknown one, at most so many, the nearest first.

    *alike*: how much of it must be the same, from 0 to 1.
    """
    import difflib

    return difflib.get_close_matches(word[:80], list(islice(known, MOST_COMPARED)), most, alike)


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """Return what to do about an unknown word: the nearest known one, *otherwise* without any."""
    near = nearest(word, known)
    return f"did you mean `{near[0]}`?" if near else otherwise


OTHER = "other"
"""The code of words that have none of their own."""


class Coded(str):
    """Words for people, with a *code* for programs, and whom they concern (*of*).

    It is these words wherever words are wanted, so that nobody on the way has to know of the code.
    """

    code: str
    of: str

    def __new__(cls, words: str, code: str = OTHER, of: str = "") -> Self:
        """Return words with their code."""
        made = super().__new__(cls, words)
        made.code, made.of = code, of
        return made


def coded(code: str, told: Iterable[str], of: str = "") -> Iterator[Coded]:
    """Yield words with a code; those that have one keep it."""
    return (each if isinstance(each, Coded) else Coded(each, code, of) for each in told)


def words_json(words: str) -> dict[str, str | None]:
    """Return words as ``--json`` prints them."""
    code, of = (words.code, words.of) if isinstance(words, Coded) else (OTHER, "")
    return {"code": code, "of": of or None, "words": str(words)}


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where a value was written: *line* and *column* count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in the model: where, in which field, why, and what to do about it.

    *against* is the other place, where a mistake is between what stands in two. *code* says for
    programs what kind of mistake it is.
    """

    where: Origin
    field: str
    reason: str
    remedy: str
    against: Origin | None = dataclasses.field(default=None, compare=False)
    code: str = dataclasses.field(default=OTHER, compare=False)

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        return visible(f"{field}{self.reason}\n  at: {self.where}\n  do: {self.remedy}")

    def as_json(self) -> dict[str, Any]:
        """Return the mistake as ``proxygen validate --json`` prints it."""
        return {
            "code": self.code,
            "file": self.where.file,
            "line": self.where.line,
            "column": self.where.column,
            "field": concealed(self.field),
            "reason": concealed(self.reason),
            "remedy": concealed(self.remedy),
        }


class ProxygenError(Exception):
    """What happened, where it stands, what to do, and the other program's own words.

    None of it holds a secret, whoever says it.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "error"
    """What kind of error it is, for programs."""

    def __init__(
        self,
        what: str,
        *,
        where: Origin | str | None = None,
        remedy: str = "",
        words: str = "",
    ) -> None:
        what = concealed(what)
        super().__init__(what)
        self.what = what
        self.where = concealed(where) if isinstance(where, str) else where
        self.remedy = concealed(remedy)
        self.words = concealed_words(words.strip())

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  at: {self.where}")
        if self.remedy:
            lines.append(f"  do: {self.remedy}")
        if self.words:
            lines.extend(f"  | {line}" for line in self.words.splitlines())
        return visible("\n".join(lines))

    def as_json(self) -> dict[str, Any]:
        """Return the error as ``--json`` prints it."""
        return {
            "code": self.code,
            "what": self.what,
            "where": str(self.where) if self.where else None,
            "remedy": self.remedy or None,
            "words": self.words or None,
        }


class UsageError(ProxygenError):
    """The command line asks for something that is not there."""

    exit_code = 2
    code = "usage"


MOST_MISTAKES = 300
"""Mistakes that are told of a model: nobody corrects more at a time."""


class ModelError(ProxygenError):
    """The model is wrong; *mistakes* holds every one, in the order of the files.

    Of more than MOST_MISTAKES it holds the first ones.
    """

    exit_code = 3
    code = "model"

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        if len(mistakes) > MOST_MISTAKES:
            count = f"more than {MOST_MISTAKES} mistakes, of which the first are told"
        super().__init__(f"the model has {count}; nothing was touched")
        self.mistakes = mistakes[:MOST_MISTAKES]

    def __str__(self) -> str:
        return "\n".join([*map(str, self.mistakes), self.what])

    def as_json(self) -> dict[str, Any]:
        return super().as_json() | {"mistakes": [mistake.as_json() for mistake in self.mistakes]}


class ServiceError(ProxygenError):
    """A service refused, or cannot be worked with."""

    exit_code = 4
    code = "service"


class Unreadable(ServiceError):
    """A service refuses its configuration when it is asked about it; ours may be the reason."""

    code = "unreadable"


class CheckFailed(ServiceError):
    """A service refused the new configuration, which is not in place."""

    code = "refused"


@dataclass(frozen=True, slots=True)
class RefusedName:
    """A name that an authority refused: the type of its problem, and its own words.

    The type is empty where no proof for it could be published, so that nobody was asked.
    """

    name: str
    problem: str
    words: str


class IssueFailed(ProxygenError):
    """A certificate could not be obtained.

    *problem* is the type of the authority's problem document (RFC 8555 section 6.7);
    *retry_at* is the earliest moment at which trying again makes sense, if the authority
    named one; *final* means that it makes none before the model or the world has changed.
    *everybody* tells that the authority issues for nobody at present, whatever the names are;
    *unproven* are the names whose validation failed, which authorities count; *refused* are all
    that the authority said something against, so that the others may do without them.
    """

    exit_code = 5
    code = "not-obtained"

    def __init__(
        self,
        what: str,
        *,
        problem: str | None = None,
        retry_at: datetime | None = None,
        final: bool = False,
        everybody: bool = False,
        unproven: tuple[str, ...] = (),
        refused: tuple[RefusedName, ...] = (),
        **more: Any,
    ) -> None:
        super().__init__(what, **more)
        self.problem = problem
        self.retry_at = retry_at
        self.final = final
        self.everybody = everybody
        self.unproven = unproven
        self.refused = refused

    def as_json(self) -> dict[str, Any]:
        retry_at = self.retry_at.isoformat() if self.retry_at else None
        return super().as_json() | {"problem": self.problem, "retry_at": retry_at}


class StoreFailed(IssueFailed):
    """Nothing can be stored, so nothing can be obtained: a disk is full, or a folder refuses."""

    code = "not-stored"


class Bug(ProxygenError):
    """One domain's work met a bug of ours; the others went on. *words* hold the traceback."""

    code = "bug"

    def __init__(self, what: str, *, words: str) -> None:
        super().__init__(what, remedy="report it with these words", words=words)


class NotServed(ProxygenError):
    """Everything was done, but a client does not see what is wanted."""

    exit_code = 6
    code = "not-served"


class LockHeld(ProxygenError):
    """Another run is at work."""

    exit_code = 7
    code = "lock-held"
