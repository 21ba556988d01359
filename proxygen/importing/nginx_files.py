"""The files of nginx's configuration, read within bounds."""

from __future__ import annotations

from pathlib import Path

from proxygen.host import files
from proxygen.importing.nginx_directives import UNREAD
from proxygen.importing.reading import MOST_TROUBLES, system_words
from proxygen.languages.lines import terminal_text
from proxygen.observe.answers import LARGEST_CONFIGURATION
from proxygen.plan.rendering import HEADER

MOST_FILES = 50_000
"""How many files nginx's configuration may include: they may include each other."""


class NginxFiles:
    """Reads nginx's configuration: as much as any has, and none of proxygen's own.

    A file that is not read counts as UNREAD, is one of *missed*, and a trouble.
    """

    def __init__(self, folder: Path, troubles: list[str]) -> None:
        self.folder = folder
        self.troubles = troubles
        self.left = LARGEST_CONFIGURATION
        self.files = MOST_FILES
        self.missed: list[Path] = []

    def __call__(self, mask: Path) -> list[tuple[Path, str]]:
        """Return the files that a mask names, with their texts."""
        try:
            paths = files.matching_paths(self.folder / mask)
            if not paths:
                files.names((self.folder / mask).parent)  # is it that nobody may read it?
        except (OSError, ValueError) as error:
            return [self.unread(self.folder / mask, system_words(error))]
        found = list[tuple[Path, str]]()
        for path in paths:
            text, why = self.text(path)
            self.files -= 1
            self.left -= len(text)
            if self.left < 0 or self.files < 0:
                return [*found, self.unread(path, "nginx's configuration is too large")]
            found.append(self.unread(path, why) if why else (path, text))
        return found

    def text(self, path: Path) -> tuple[str, str]:
        """Return the text of a file, empty for one of proxygen's, and why it is not read."""
        try:
            text = files.text(path) or ""
        except (OSError, ValueError) as error:
            return "", system_words(error)
        return "" if text.startswith(HEADER) else text, ""

    def unread(self, path: Path, why: str) -> tuple[Path, str]:
        """Note why a file is not read; return it as one of which nobody knows what it says."""
        if len(self.missed) < MOST_TROUBLES:
            self.missed.append(path)
        words = f"{terminal_text(str(path))} cannot be read: {why}"
        if words not in self.troubles and len(self.troubles) < MOST_TROUBLES:
            self.troubles.append(words)
        return path, UNREAD
