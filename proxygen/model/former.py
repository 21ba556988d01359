"""Former: the files of the model as they were last right, and what stays as it was.

A file with a mistake is set aside: its domains stay as they were last right. A removal that may be
an accident is held back: what would go stays as it was last right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from proxygen.errors import Mistake
from proxygen.languages.lines import visible


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the model: its *name* as messages show it, its *folder*, and what it holds.

    *home* is the folder without links and `..`, where that is known.
    """

    name: str
    folder: Path
    text: bytes
    home: str = ""

    @property
    def place(self) -> str:
        """Its path, the same wherever a command was started and however that was spelled."""
        return f"{self.home or self.folder}/{self.name.rpartition('/')[2]}"


@dataclass(frozen=True, slots=True)
class Held:
    """The *domains* of a file that are held back, as they stand in a *text* that it had before."""

    text: bytes
    domains: frozenset[str]


@dataclass(frozen=True, slots=True)
class FormerFile:
    """A file as it was last right, and the *mask* by which it was included, none for the main one.

    *held* is what it had before that and is held back, the latest first; of a file that is gone
    nothing else is left. What the main one had may be needed by what is held back of others.
    *released* are domains that somebody removes on purpose, *lost* those that are not there though
    the file has them, as it is set aside and they do not fit what others say any more.
    """

    source: Source
    mask: str = ""
    held: tuple[Held, ...] = ()
    released: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Former:
    """The model as it was last right: its main file, and the included ones by ``Source.place``.

    *serial* is another one whenever something else is kept.
    """

    main: FormerFile | None = None
    files: Mapping[str, FormerFile] = field(default_factory=dict)
    serial: str = field(default="", compare=False)


NOTHING = Former()
"""What is known before anything was applied."""


def nowhere(folder: Path) -> bool:  # noqa: ARG001
    """Return that a folder is not there."""
    return False


@dataclass(frozen=True, slots=True)
class Past:
    """What counts of the past: the model as it was last right.

    *confirmed*: a person confirms every removal. *is_there* tells of a folder whether it is there.
    """

    former: Former = NOTHING
    confirmed: bool = False
    is_there: Callable[[Path], bool] = nowhere


@dataclass(frozen=True, slots=True)
class SetAside:
    """An included file that is set aside for its mistakes.

    *kept* are its domains that stay as they were last right, *lost* those that cannot.
    """

    file: str
    mistakes: tuple[Mistake, ...]
    kept: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What it means for its domains."""
        if not self.kept:
            return f"{self.file} is set aside; nothing in it was right before"
        count = len(self.kept)
        stays = "its domain stays as it was"
        if count > 1:
            stays = f"its {count} domains stay as they were"
        return f"{self.file} is set aside: {stays} last right"

    def __str__(self) -> str:
        lost = f"; not there: {', '.join(self.lost[:MOST_NAMED])}" if self.lost else ""
        return visible("\n".join([f"{self.words}{lost}", *map(str, self.mistakes)]))

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "file": self.file,
            "mistakes": [each.as_json() for each in self.mistakes],
            "kept": list(self.kept),
            "lost": list(self.lost),
        }


MOST_NAMED = 10
CONFIRM = "if it is meant: `proxygen apply --confirm-removal`; if not, put back what is missing"


class Why(StrEnum):
    """Why a removal is held back, as ``--json`` has it."""

    MANY = "many"
    EMPTY = "empty"
    NO_FILES = "no-files"


WORDS = {
    Why.MANY: "so much would go at once",
    Why.EMPTY: "the file had domains, and has none",
    Why.NO_FILES: "no file is found any more where there were some",
}


@dataclass(frozen=True, slots=True)
class Removal:
    """Domains of one file that would go, and stay as they were until a person confirms it.

    The *lost* of them cannot stay: nothing says any more what they need.
    """

    file: str
    domains: tuple[str, ...]
    why: Why
    lost: tuple[str, ...] = ()

    def __str__(self) -> str:
        named = ", ".join(self.domains[:MOST_NAMED])
        more = len(self.domains) - MOST_NAMED
        rest = f" and {more} more" if more > 0 else ""
        many = "1 domain" if len(self.domains) == 1 else f"{len(self.domains)} domains"
        what = f"the removal of {many} is held back: {WORDS[self.why]}: {named}{rest}"
        if self.lost:
            what += f"; not there, for want of what they need: {', '.join(self.lost[:MOST_NAMED])}"
        return visible(f"{what}\n  at: {self.file}\n  do: {CONFIRM}")

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "file": self.file,
            "domains": list(self.domains),
            "why": str(self.why),
            "lost": list(self.lost),
        }
