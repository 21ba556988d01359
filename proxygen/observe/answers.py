"""What services and their files answer to the questions of a service's description."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from proxygen.host import files, processes
from proxygen.plan.rendering import HEADER
from proxygen.services import (
    Answer,
    Command,
    Question,
    Reading,
)

LARGEST_CONFIGURATION = 64 * 1024 * 1024
"""Octets of a service's configuration with all that it includes: 20,000 sites of others."""


def answers(questions: Mapping[str, Question]) -> dict[str, Answer]:
    """Return the answers to questions, commands run side by side."""
    commands = {key: each for key, each in questions.items() if isinstance(each, Command)}
    readings = {key: each for key, each in questions.items() if isinstance(each, Reading)}
    return processes.run_all(commands) | {key: read(each) for key, each in readings.items()}


def read(question: Reading) -> Answer:
    """Return a file's text as an answer, followed by those of the files that it includes."""
    try:
        text = files.text(question.path)
        if text is None:
            return Answer(1, "", f"{question.path} is not there")
        if question.in_place:
            return Answer(0, in_place(text, question, Budget()), "")
        texts = chain([text], included(text, question, set()))
        return Answer(0, "\n".join(bounded(texts, question.path)), "")
    except OSError as error:
        return Answer(1, "", f"{error.filename or question.path}: {error.strerror}")


def bounded(texts: Iterable[str], path: Path) -> Iterator[str]:
    """Yield the texts of a configuration; raise OSError where it is larger than any is."""
    left = LARGEST_CONFIGURATION
    for text in texts:
        left -= len(text)
        if left < 0:
            most = f"more than {LARGEST_CONFIGURATION >> 20} MiB with what it includes"
            raise OSError(errno.EFBIG, most, str(path))
        yield text


def included(text: str, question: Reading, seen: set[Path]) -> Iterator[str]:
    """Yield the texts of all files that *text* includes, each once, but none of proxygen's own.

    *seen* are those that were yielded: files may include each other.
    """
    if question.include is None:
        return
    for match in re.finditer(question.include, text, re.DOTALL):
        found = files.matching(question.path.parent / match["mask"]) if match["mask"] else []
        for path in found:
            below = None if path in seen else files.text(path)
            seen.add(path)
            if below and not below.startswith(HEADER):
                yield below
                yield from included(below, question, seen)


DEEPEST = 16
"""How deep files may include each other."""


@dataclass(slots=True)
class Budget:
    """How much may still be included."""

    left: int = LARGEST_CONFIGURATION


def in_place(text: str, question: Reading, budget: Budget, depth: int = 0) -> str:
    """Return *text* with the files that it includes in place, but without proxygen's own."""

    def texts(match: re.Match[str]) -> str:
        if not match["mask"]:
            return match[0]
        found = files.matching(question.path.parent / match["mask"])
        below = [in_place(each, question, budget, depth + 1) for each in map(theirs, found) if each]
        return "\n".join(below)

    budget.left -= len(text)
    if question.include is None or depth == DEEPEST or budget.left < 0:
        return ""
    return re.sub(question.include, texts, text, flags=re.DOTALL)


def theirs(path: Path) -> str:
    """Return the text of an included file; empty for one of proxygen's, or that is none."""
    try:
        text = files.text(path) if path.is_file() else None
    except OSError:
        return ""
    return text if text and not text.startswith(HEADER) else ""
