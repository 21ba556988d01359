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
from itertools import islice
from typing import Any, ClassVar, Self

from proxygen.credentials import conceal
from proxygen.failure import (
    SAID,
    Failure,
    NotObtained,
    Scope,
    failure_words,
    not_obtained,
    typed_failure,
)
from proxygen.languages.lines import terminal_text

HELD_BACK, SET_ASIDE = 8, 9
"""What a command ends with that did all it could: a removal waits, an included file is wrong."""


NEAR_ENOUGH = 0.6
MOST_COMPARED = 10_000
"""Known words that an unknown one is compared with: a model may have very many domains."""


def nearest_words(
    word: str, known: Iterable[str], most: int = 1, alike: float = NEAR_ENOUGH
) -> list[str]:
    """Return the known words nearest to an unknown one, at most so many, the nearest first.

    *alike*: how much of it must be the same, from 0 to 1.
    """
    import difflib

    return difflib.get_close_matches(word[:80], list(islice(known, MOST_COMPARED)), most, alike)


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """Return what to do about an unknown word: the nearest known one, *otherwise* without any."""
    near = nearest_words(word, known)
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


def coded_words(code: str, told: Iterable[str], of: str = "") -> Iterator[Coded]:
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
        return terminal_text(f"{field}{self.reason}\n  at: {self.where}\n  do: {self.remedy}")

    def as_json(self) -> dict[str, Any]:
        """Return the mistake as ``proxygen validate --json`` prints it."""
        return {
            "code": self.code,
            "file": self.where.file,
            "line": self.where.line,
            "column": self.where.column,
            "field": conceal(self.field),
            "reason": conceal(self.reason),
            "remedy": conceal(self.remedy),
        }


class ProxygenError(Exception):
    """Carries a failure to where something can be done about it, and nothing besides.

    Nothing of it changes: who knows more raises another one, of a failure that was replaced.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "error"
    """What kind of error it is, for programs."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)

    @property
    def failure(self) -> Failure:
        """What went wrong."""
        found: Failure = self.args[0]
        return found

    @property
    def what(self) -> str:
        """What happened, in English."""
        return self.failure.what

    @property
    def where(self) -> str:
        """A place in the model, a path or URL; empty for none."""
        return self.failure.where

    @property
    def remedy(self) -> str:
        """What to do about it, in English; empty for nothing that is known."""
        return self.failure.remedy

    @property
    def words(self) -> str:
        """What the other side said."""
        return self.failure.words

    def __str__(self) -> str:
        return terminal_text(failure_words(self.failure).text)

    def as_json(self) -> dict[str, Any]:
        """Return the error as ``--json`` prints it."""
        text = failure_words(self.failure)
        return {
            "code": self.code,
            "what": text.what,
            "where": text.where or None,
            "remedy": text.remedy or None,
            "words": self.words or text.words or None,
            "failure": None if self.failure.code == SAID else self.failure.as_json(),
        }


class UsageError(ProxygenError):
    """The command line asks for something that is not there.

    Told to who typed it, and to nobody else: it may have its English sentences with it.
    """

    exit_code = 2
    code = "usage"

    def __init__(
        self,
        failure: Failure | str,
        *,
        where: Origin | str | None = None,
        remedy: str = "",
        words: str = "",
    ) -> None:
        if isinstance(failure, str):
            failure = typed_failure(failure, remedy, words=words, where=where, scope=Scope.COMMAND)
        super().__init__(failure)


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
            count = f"more than {MOST_MISTAKES} mistakes (the first ones are shown)"
        super().__init__(
            typed_failure(f"the model has {count}; nothing was changed", scope=Scope.MODEL)
        )
        self.mistakes = mistakes[:MOST_MISTAKES]

    def __str__(self) -> str:
        return "\n".join([*map(str, self.mistakes), self.what])

    def as_json(self) -> dict[str, Any]:
        return super().as_json() | {"mistakes": [mistake.as_json() for mistake in self.mistakes]}


class ServiceError(ProxygenError):
    """A service refused, or cannot be worked with."""

    exit_code = 4
    code = "service"


class ServiceUnreadable(ServiceError):
    """A service refuses its configuration when it is asked about it; ours may be the reason."""

    code = "unreadable"


class CheckFailed(ServiceError):
    """A service refused the new configuration, which is not in place."""

    code = "refused"


class IssueFailed(ProxygenError):
    """A certificate could not be obtained."""

    exit_code = 5
    code = "not-obtained"

    def __init__(self, failure: NotObtained) -> None:
        super().__init__(failure)

    @property
    def failure(self) -> NotObtained:
        """Why."""
        found: NotObtained = self.args[0]
        return found

    def as_json(self) -> dict[str, Any]:
        retry_at = self.failure.retry_at.isoformat() if self.failure.retry_at else None
        return super().as_json() | {"problem": self.failure.problem, "retry_at": retry_at}


class StoreFailed(IssueFailed):
    """Nothing can be stored, so nothing can be obtained: a disk is full, or a folder refuses."""

    code = "not-stored"


class Bug(ProxygenError):
    """One domain's work met a bug of ours; the others went on. *words* hold the traceback."""

    code = "bug"

    def __init__(self, error: str, *, words: str) -> None:
        super().__init__(not_obtained("bug", words=words, error=error))

    @property
    def failure(self) -> NotObtained:
        """What happened: it is kept as the other reasons why a domain got nothing."""
        found: NotObtained = self.args[0]
        return found


class NotServed(ProxygenError):
    """Everything was done, but a client does not see what is wanted."""

    exit_code = 6
    code = "not-served"


class LockHeld(ProxygenError):
    """Another run is at work."""

    exit_code = 7
    code = "lock-held"
