"""Parameters: the few that are ours in a file that is not, and what they were before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxygen.errors import ServiceError
from proxygen.host import files, processes, staging
from proxygen.services import Command, Facts

Values = Mapping[str, str | None]
"""Parameters by name; None: not set."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a service that has no includes.

    *note* is where we note the administrator's value of each, and ours; the text of the main
    file before proxygen, and the hash of the text that proxygen left. Once somebody else edited
    the file, the text is of no use any more. *live* is the folder to which only parameters of
    ours lead. The service's own program edits a copy, which then takes the file's place at once.
    """

    module: Any
    facts: Facts
    live: Path
    note: Path

    def set(self, values: Mapping[str, str]) -> None:
        """Set parameters, and give back those of ours that are not among them any more."""
        if not values and not self.noted():
            return
        text = self.with_changes(self.changes(values))
        self.write(self.next_note(values) | {"left": digest(text)})
        self.replace(text)

    def change(self, main: Path, changes: Values) -> None:
        """Make changes in a copy of the configuration."""
        values = {name: value for name, value in changes.items() if value is not None}
        absent = [name for name, value in changes.items() if value is None]
        if values:
            must(self.module.set_parameters(self.facts, main, values), main)
        if absent:
            must(self.module.unset_parameters(self.facts, main, absent), main)

    def changes(self, values: Mapping[str, str]) -> Values:
        """Return *values*, and what those were before that are ours but not wanted any more.

        One that has another value than ours was set by somebody else since, and stays.
        """
        noted, present = self.noted(), self.facts.parameters
        ours = noted.get("ours", {})
        gone = {
            name: former
            for name, former in noted.get("parameters", {}).items()
            if name not in values and present.get(name) in (former, ours.get(name))
        }
        return gone | dict(values)

    def give_back(self) -> None:
        """Make the main file what it was before proxygen.

        To the letter where nobody else changed it since, else parameter by parameter. Without
        the note all that can be done is to unset what leads to us.
        """
        noted, text = self.noted(), self.text()
        if not noted:
            present = self.facts.parameters
            leading = {name: None for name, value in present.items() if str(self.live) in value}
            self.replace(self.with_changes(leading))
        elif text != noted.get("text"):
            whole = "text" in noted and noted["left"] == digest(text)
            self.replace(noted["text"] if whole else self.with_changes(self.changes({})))
        files.remove(self.note)

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
        if not noted and not self.led_to_us():
            next_one["text"] = text
        elif "text" in noted and untouched:
            next_one["text"] = noted["text"]
        return next_one

    def former(self, values: Mapping[str, str]) -> Values:
        """Return what each parameter was before it was ours.

        Where the note was lost, one that leads to us was not set for all that is known; the
        others may have been the administrator's, and stay as they are.
        """
        present = self.facts.parameters
        return {
            name: None if str(self.live) in present.get(name, "") else present.get(name)
            for name in values
        }

    def led_to_us(self) -> bool:
        """Return whether the main file had parameters of ours when it was looked at."""
        return any(str(self.live) in value for value in self.facts.parameters.values())

    def with_changes(self, changes: Values) -> str:
        """Return the text of the main file with changes made."""
        with staging.copied(self.facts.main, self.live / "check") as copy:
            self.change(copy, changes)
            return files.text(copy) or ""

    def replace(self, text: str) -> None:
        """Put *text* in the main file's place, which keeps its mode, owner, and being a link."""
        main = self.facts.main.resolve()
        for left in main.parent.glob(f".{main.name}.*.new"):  # by a run that was killed
            left.unlink(missing_ok=True)
        if text != self.text():
            files.replace_text(main, text)

    def text(self) -> str:
        """Return the main file as it is."""
        return files.text(self.facts.main) or ""

    def noted(self) -> dict[str, Any]:
        """Return the note, empty before the first, or when it is no note of ours."""
        found = files.noted(self.note)
        parts = (found.get("parameters"), found.get("ours"))
        whole = all(isinstance(part, dict) for part in parts) and isinstance(found.get("left"), str)
        return found if whole else {}

    def write(self, noted: Mapping[str, Any]) -> None:
        """Write the note, for root alone."""
        files.folder(self.note.parent.parent, 0o700)
        files.folder(self.note.parent, 0o700)
        files.write(self.note, json.dumps(noted, indent=1).encode())


def must(command: Command, main: Path) -> None:
    """Run a command that has to succeed."""
    answer = processes.run(command)
    if answer.code != 0:
        raise ServiceError(
            f"`{' '.join(command.argv[:3])}` failed", where=str(main), words=answer.words
        )


def digest(text: str) -> str:
    """Return the hash of a file's text."""
    return hashlib.sha256(files.encoded(text)).hexdigest()
