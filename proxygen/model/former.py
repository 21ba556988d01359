"""The files of the model as they were last right, and what stays as it was.

A file with a mistake is set aside: its domains stay as they were last right. A removal that may be
an accident is held back: what would be removed stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from proxygen.errors import Mistake
from proxygen.languages.lines import terminal_text


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the model: its *name* in messages, its *folder*, and its text.

    *home* is the folder without links and `..`, if that is known.
    """

    name: str
    folder: Path
    text: bytes
    home: str = ""

    @property
    def place(self) -> str:
        """Its path, the same wherever a command was started and however the path was spelled."""
        return f"{self.home or self.folder}/{self.name.rpartition('/')[2]}"


@dataclass(frozen=True, slots=True)
class Held:
    """The *domains* of a file that are held back, as they are in a *text* that it had before."""

    text: bytes
    domains: frozenset[str]


@dataclass(frozen=True, slots=True)
class FormerFile:
    """A file as it was last right, with the *mask* that included it (empty for the main file).

    *held* are earlier texts of which something is held back, the latest first; of a file that is
    gone nothing else is left. Those of the main file may be needed by what is held back of others.
    *released* are domains that somebody removes on purpose. *lost* are those that are not served
    although the file has them: it is set aside, and they no longer fit the other files.
    """

    source: Source
    mask: str = ""
    held: tuple[Held, ...] = ()
    released: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Former:
    """The model as it was last right: its main file, and the included ones by ``Source.place``.

    *serial* changes whenever something else is stored.
    """

    main: FormerFile | None = None
    files: Mapping[str, FormerFile] = field(default_factory=dict)
    serial: str = field(default="", compare=False)


NOTHING = Former()
"""What is known before anything was applied."""


def nowhere(folder: Path) -> bool:  # noqa: ARG001
    """Return False: the folder does not exist."""
    return False


@dataclass(frozen=True, slots=True)
class PastModel:
    """The model as it was last right, and how much of it counts.

    *confirmed*: a person confirms every removal. *is_there* returns whether a folder exists.
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
            return f"{self.file} is set aside; no earlier version of it was right"
        count = len(self.kept)
        stays = "its domain stays as it was when the file was last right"
        if count > 1:
            stays = f"its {count} domains stay as they were when the file was last right"
        return f"{self.file} is set aside: {stays}"

    def __str__(self) -> str:
        lost = f"; not served: {', '.join(self.lost[:MOST_NAMED])}" if self.lost else ""
        return terminal_text("\n".join([f"{self.words}{lost}", *map(str, self.mistakes)]))

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "file": self.file,
            "mistakes": [each.as_json() for each in self.mistakes],
            "kept": list(self.kept),
            "lost": list(self.lost),
        }


MOST_NAMED = 10
CONFIRM = (
    "if it is intended, run `proxygen apply --confirm-removal`; if not, put back what is missing"
)


class Why(StrEnum):
    """Why a removal is held back, as ``--json`` prints it."""

    MANY = "many"
    EMPTY = "empty"
    NO_FILES = "no-files"


WORDS = {
    Why.MANY: "many domains would be removed at once",
    Why.EMPTY: "the file had domains and has none now",
    Why.NO_FILES: "`include` finds no file where it found some before",
}


@dataclass(frozen=True, slots=True)
class Removal:
    """Domains of one file whose removal waits for a person's confirmation.

    The *lost* ones of them are not served, as what they need is gone.
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
            what += f"; not served, as what they need is gone: {', '.join(self.lost[:MOST_NAMED])}"
        return terminal_text(f"{what}\n  at: {self.file}\n  do: {CONFIRM}")

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "file": self.file,
            "domains": list(self.domains),
            "why": str(self.why),
            "lost": list(self.lost),
        }
