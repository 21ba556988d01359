"""The answers of services, and of their files, to the questions of a service's description."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from proxygen.host import files, processes
from proxygen.host.file_order import parts_in_order
from proxygen.plan.rendering import HEADER
from proxygen.services import (
    Answer,
    Command,
    FileOrder,
    Question,
    Reading,
)
from proxygen.services.service_includes import ENTERS, LEAVES, spelled_out

LARGEST_CONFIGURATION = 64 * 1024 * 1024
"""Octets of a service's configuration with all that it includes: 20,000 sites of others."""
COST = 256
"""Octets for which a file counts that is included, if only to include others."""
DEEPEST = 16
"""How deep files may include each other."""


def answer_questions(questions: Mapping[str, Question]) -> dict[str, Answer]:
    """Return the answers to questions; commands run side by side."""
    commands = {key: each for key, each in questions.items() if isinstance(each, Command)}
    readings = {key: each for key, each in questions.items() if isinstance(each, Reading)}
    orders = {key: each for key, each in questions.items() if isinstance(each, FileOrder)}
    return (
        processes.run_all(commands)
        | {key: read_file_answer(each) for key, each in readings.items()}
        | {key: Answer(0, "", "", parts_in_order(each)) for key, each in orders.items()}
    )


def read_file_answer(question: Reading) -> Answer:
    """Return a file's text as an answer, followed by those of the files that it includes."""
    try:
        text = files.text(question.path)
        if text is None:
            return Answer(1, "", f"{question.path} does not exist")
        return Answer(0, IncludeExpander(question).whole(text), "")
    except OSError as error:
        return Answer(1, "", f"{error.filename or question.path}: {error.strerror}")


@dataclass(slots=True)
class IncludeExpander:
    """Puts the texts of included files behind the directives that include them, within bounds.

    *known* are those that were read; none of proxygen's own has a text.
    """

    question: Reading
    left: int = LARGEST_CONFIGURATION
    known: dict[Path, str] = field(default_factory=dict)

    def whole(self, text: str, depth: int = 0) -> str:
        """Return a file's text with all that it includes; raise OSError if that is too much.

        What is *repeated* ends there instead.
        """
        self.left -= len(text) + COST
        if self.left < 0 and self.question.repeated:
            return ""
        if self.left < 0:
            size = f"{LARGEST_CONFIGURATION >> 20} MiB"
            most = f"the configuration has more than {size} with its includes"
            raise OSError(errno.EFBIG, most, str(self.question.path))
        if self.question.includes is None or depth == DEEPEST:
            return text
        return spelled_out(text, self.question.includes, partial(self.behind, depth=depth + 1))

    def behind(self, words: str, mask: str, depth: int) -> str:
        """Return an include, and behind it the texts of the files that it includes."""
        found = files.matching_paths(self.question.path.parent / mask)
        texts = ((path, text) for path in found if (text := self.text(path)))
        return "\n".join(
            (words, *(self.placed(path, self.whole(text, depth)) for path, text in texts))
        )

    def placed(self, path: Path, text: str) -> str:
        """Return the text of an included file, between comments that tell its path if need be."""
        return f"{ENTERS}{path}\n{text}\n{LEAVES}\n" if self.question.placed else text

    def text(self, path: Path) -> str:
        """Return the text of an included file; empty for one of proxygen's, and the next time."""
        if path in self.known:
            return self.known[path] if self.question.repeated else ""
        text = files.text(path) or ""
        self.known[path] = "" if text.startswith(HEADER) else text
        return self.known[path]
