"""Parameters: the few that are ours in a file that is not, and what they were before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxygen.errors import ServiceError
from proxygen.host import files, processes
from proxygen.services import Command, Facts


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a service that has no includes; *note* is where we note what they were.

    The note holds the administrator's value of each (None: it was not set) and ours, the text of
    the main file before proxygen, and the hash of the text that proxygen left. Once somebody
    else *edited* the file, the text is of no use any more.
    """

    module: Any
    facts: Facts
    note: Path

    def set(self, values: Mapping[str, str]) -> None:
        """Set parameters; what they were is noted before, durably."""
        if not values:
            return
        noted = self.noted()
        former = {name: self.facts.parameters.get(name) for name in values}
        noted["parameters"] = former | noted.get("parameters", {})
        noted["ours"] = noted.get("ours", {}) | dict(values)
        if not noted.keys() & {"text", "edited"}:
            noted["text"] = self.text()
        elif noted.get("left") != digest(self.text()):
            noted.pop("text", None)
            noted["edited"] = True
        self.write(noted)
        self.set_in(self.facts.main, values)
        self.write(noted | {"left": digest(self.text())})

    def set_in(self, main: Path, values: Mapping[str, str]) -> None:
        """Set parameters in a configuration, be it a copy; nothing is noted."""
        if values:
            self.must(self.module.set_parameters(self.facts, main, values))

    def give_back(self) -> None:
        """Make the main file what it was before proxygen.

        Where nobody else changed it since, to the letter; else parameter by parameter.
        """
        noted = self.noted()
        if not noted:
            return
        if "text" in noted and noted.get("left") == digest(self.text()):
            files.replace_text(self.facts.main, noted["text"])
        else:
            self.give_back_each(noted["parameters"], noted["ours"])
        files.remove(self.note)

    def give_back_each(self, former: Mapping[str, str | None], ours: Mapping[str, str]) -> None:
        """Give every parameter the value that it had, and none to those that had none.

        One that has another value than ours was set by somebody else since, and stays.
        """
        present = self.facts.parameters
        still = {
            name: value
            for name, value in former.items()
            if present.get(name) in (value, ours[name])
        }
        values = {name: value for name, value in still.items() if value is not None}
        absent = [name for name, value in still.items() if value is None]
        if values:
            self.must(self.module.set_parameters(self.facts, self.facts.main, values))
        if absent:
            self.must(self.module.unset_parameters(self.facts, self.facts.main, absent))

    def text(self) -> str:
        """Return the main file as it is."""
        return files.text(self.facts.main) or ""

    def noted(self) -> dict[str, Any]:
        """Return the note, empty before the first."""
        found: dict[str, Any] = json.loads(files.read(self.note) or b"{}")
        return found

    def write(self, noted: Mapping[str, Any]) -> None:
        """Write the note, for root alone."""
        files.write(self.note, json.dumps(noted, indent=1).encode())

    def must(self, command: Command) -> None:
        """Run a command that has to succeed."""
        answer = processes.run(command)
        if answer.code != 0:
            raise ServiceError(
                f"`{' '.join(command.argv[:3])}` failed",
                where=str(self.facts.main),
                words=answer.words,
            )


def digest(text: str) -> str:
    """Return the hash of a file's text."""
    return hashlib.sha256(files.encoded(text)).hexdigest()
