"""Parameters: the few that are ours in a file that is not, and what they were before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from proxygen.host import files
from proxygen.services import SetsParameters

Values = Mapping[str, str | None]
"""Parameters by name; None: not set."""


class Note(Protocol):
    """One value that outlives us."""

    def get(self) -> bytes | None:
        """Return it, None if there is none."""

    def put(self, value: bytes) -> None:
        """Keep it, durably."""

    def delete(self) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a service that has no includes, in its main file.

    *note* is where we note the administrator's value of each, and ours; the text of the main
    file before proxygen, and the hash of the text that proxygen left. Once somebody else edited
    the file, the text is of no use any more. *live* is the folder to which only parameters of
    ours lead. None of the service's programs is asked, so that none has to agree.
    """

    service: SetsParameters
    main: Path
    live: Path
    note: Note

    def set(self, values: Mapping[str, str]) -> None:
        """Set parameters, and give back those of ours that are not among them any more."""
        if not values and not self.noted():
            return
        text = self.with_values(values)
        self.write(self.next_note(values) | {"left": digest(text)})
        self.replace(text)

    def with_values(self, values: Mapping[str, str]) -> str:
        """Return the text of the main file as it is to be once *values* are set."""
        return self.edited(self.changes(values))

    def changes(self, values: Mapping[str, str]) -> Values:
        """Return *values*, and what those were before that are ours but not wanted any more.

        One that has another value than ours was set by somebody else since, and stays; one that
        was damaged does not.
        """
        noted, present = self.noted(), self.present()
        ours = noted.get("ours", {})
        gone = {
            name: former
            for name, former in noted.get("parameters", {}).items()
            if name not in values
            and (
                (name in present and present[name] is None)
                or fold_value(present.get(name)) in (fold_value(former), fold_value(ours.get(name)))
            )
        }
        return gone | dict(values)

    def give_back(self) -> None:
        """Make the main file what it was before proxygen."""
        self.replace(self.given_back())
        self.note.delete()

    def given_back(self) -> str:
        """Return the text of the main file without ours.

        To the letter where nobody else changed it since, else parameter by parameter. Without
        the note all that can be done is to unset what leads to us.
        """
        noted, text = self.noted(), self.text()
        if not noted:
            return self.edited(dict.fromkeys(self.leading_to_us()))
        if "text" in noted and (text == noted["text"] or noted["left"] == digest(text)):
            return str(noted["text"])
        return self.edited(self.changes({}))

    def is_there(self) -> bool:
        """Return whether anything of ours is in the main file, or noted."""
        return bool(self.noted() or self.leading_to_us())

    def next_note(self, values: Mapping[str, str]) -> dict[str, Any]:
        """Return the note as it is to be once *values* are set."""
        noted, text = self.noted(), self.text()
        known = noted.get("parameters", {})
        former = self.former(values)
        next_one: dict[str, Any] = {
            "parameters": {name: known.get(name, former[name]) for name in values},
            "ours": dict(values),
        }
        untouched = noted.get("left") == digest(text) or noted.get("text") == text
        if not noted and not self.leading_to_us():
            next_one["text"] = text
        elif "text" in noted and untouched:
            next_one["text"] = noted["text"]
        return next_one

    def former(self, values: Mapping[str, str]) -> Values:
        """Return what each parameter was before it was ours.

        Where the note was lost, one that leads to us was not set for all that is known; the
        others may have been the administrator's, and stay as they are.
        """
        present = self.present()
        return {
            name: None if str(self.live) in (present.get(name) or "") else present.get(name)
            for name in values
        }

    def leading_to_us(self) -> list[str]:
        """Return the parameters that lead to us, of those that we set."""
        present, ours = self.present(), self.service.OURS
        return [name for name in ours if str(self.live) in (present.get(name) or "")]

    def present(self) -> Values:
        """Return what the main file sets; None: a name without a value."""
        return self.service.parameters_in(self.text())

    def edited(self, changes: Values) -> str:
        """Return the text of the main file with changes made."""
        return self.service.edited(self.text(), changes)

    def replace(self, text: str) -> None:
        """Put *text* in the main file's place, which keeps its mode, owner, and being a link."""
        main = self.main.resolve()
        for left in main.parent.glob(f".{main.name}.*.new"):  # by a run that was killed
            left.unlink(missing_ok=True)
        if text != self.text():
            files.replace_text(main, text)

    def text(self) -> str:
        """Return the main file as it is."""
        return files.text(self.main) or ""

    def noted(self) -> dict[str, Any]:
        """Return the note, empty before the first, or when it is no note of ours."""
        found = files.noted_in(self.note.get())
        parts = (found.get("parameters"), found.get("ours"))
        whole = all(isinstance(part, dict) for part in parts) and isinstance(found.get("left"), str)
        return found if whole else {}

    def write(self, noted: Mapping[str, Any]) -> None:
        """Write the note, for root alone."""
        self.note.put(json.dumps(noted, indent=1).encode())


def fold_value(value: str | None) -> str | None:
    """Return a value as one line with single spaces, however it was broken into lines."""
    return None if value is None else " ".join(value.split())


def digest(text: str) -> str:
    """Return the hash of a file's text."""
    return hashlib.sha256(files.encode_text(text)).hexdigest()
