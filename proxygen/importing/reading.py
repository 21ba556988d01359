"""Files of others: bounded, decoded, taken apart as data; what cannot be read is noted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proxygen.host import files

LARGEST = 256 * 1024
MOST_ENTRIES = 20_000
MOST_TROUBLES = 50
LONGEST_PATH = 1000
LONGEST_VALUE = 4 * 1024
MOST_VARIABLES = 1000
"""Of a shell script: with each as long as it may be they are 4 MiB."""

ASSIGNMENT = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=
        (?:'(?P<single>[^'\n]*)'|"(?P<double>[^"\n]*)"|(?P<bare>[^\s'"#;]*))[ \t]*(?:[#;].*)?$""",
    re.MULTILINE | re.VERBOSE,
)
VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


class ClientFiles:
    """Reads what others wrote, and notes what it could not."""

    def __init__(self) -> None:
        self.troubles: list[str] = []

    def note_unreadable(self, words: str) -> None:
        """Note what could not be read."""
        if len(self.troubles) < MOST_TROUBLES:
            self.troubles.append(words)

    def text(self, path: Path) -> str:
        """Return a file's text; empty where there is none, or none that can be read."""
        try:
            content = files.read(path, LARGEST)
        except OSError as error:
            self.note_unreadable(f"{path} cannot be read: {error.strerror or error}")
            return ""
        try:
            return (content or b"").decode()
        except UnicodeDecodeError:
            self.note_unreadable(f"{path} is no text in UTF-8")
            return ""

    def fields(self, path: Path) -> dict[str, Any]:
        """Return the JSON object in a file; empty where there is none."""
        text = self.text(path)
        try:
            found = json.loads(text) if text else {}
        except (ValueError, RecursionError):
            self.note_unreadable(f"{path} is no JSON")
            return {}
        if not isinstance(found, dict):
            self.note_unreadable(f"{path} is no JSON object")
            return {}
        return found

    def variables(self, path: Path, known: dict[str, str] | None = None) -> dict[str, str]:
        """Return the assignments in a shell script, which is not executed.

        A value with a variable has it replaced where that was set before, and is left out where
        the shell would do anything else with it.
        """
        found = dict(known or {})
        for match in ASSIGNMENT.finditer(self.text(path)):
            value = match["single"]
            if value is None:
                written = match["double"] if match["double"] is not None else match["bare"] or ""
                value = expand_variables(written, found)
            if value is None or len(value) > LONGEST_VALUE:
                found.pop(match["name"], None)  # what it was before counts no more
            elif match["name"] in found or len(found) < MOST_VARIABLES:
                found[match["name"]] = value
            else:
                self.note_unreadable(f"{path} has more than {MOST_VARIABLES} variables")
                break
        return found

    def is_folder(self, path: Path) -> bool:
        """Return whether a folder is there; a trouble tells where that cannot be seen."""
        try:
            return path.is_dir()
        except (OSError, ValueError) as error:
            self.note_unreadable(f"{str(path)!a} cannot be read: {system_words(error)}")
            return False

    def below(self, folder: Path) -> Iterator[Path]:
        """Yield what a folder holds, sorted, as far as it can be named in a model."""
        try:
            names = files.names(folder)
        except (OSError, ValueError) as error:
            self.note_unreadable(f"{str(folder)!a} cannot be read: {system_words(error)}")
            return
        if len(names) > MOST_ENTRIES:
            self.note_unreadable(
                f"{folder} has more than {MOST_ENTRIES} entries; the rest is passed over"
            )
        for name in names[:MOST_ENTRIES]:
            if is_nameable(folder / name):
                yield folder / name
            else:
                self.note_unreadable(
                    f"{folder}: {name!a} is passed over, as it can be no path here"
                )

    def pair(self, certificate: str | Path, key: str | Path, where: str) -> bool:
        """Return whether both are files to be named in a model; a trouble tells why not."""
        for path in map(Path, (certificate, key)):
            if not path.is_absolute() or not is_nameable(path):
                self.note_unreadable(f"{where}: {str(path)!a} is no path that a model can name")
                return False
            if not files.is_regular(path):
                self.note_unreadable(f"{where}: {path} is not there, or no regular file")
                return False
        return True


def expand_variables(written: str, known: dict[str, str]) -> str | None:
    """Return a value with its variables replaced, None where more than that is in it."""
    if re.search(r"[`\\]|\$\(|\$\{[^}]*[^A-Za-z0-9_}][^}]*\}", written):
        return None
    names = [first or second for first, second in VARIABLE.findall(written)]
    if any(name not in known for name in names):
        return None
    if len(written) + sum(len(known[name]) for name in names) > 2 * LONGEST_VALUE:
        return None
    return VARIABLE.sub(lambda match: known[match[1] or match[2]], written)


def system_words(error: Exception) -> str:
    """Return why something cannot be read, in the system's own words."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def is_nameable(path: Path) -> bool:
    """Return whether a path can stand in a model, in a comment and in a command."""
    text = str(path)
    return text.isprintable() and len(text) <= LONGEST_PATH


def is_plain(name: str) -> bool:
    """Return whether a word that somebody wrote may be one part of a path."""
    return bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,200}", name))


def is_url(text: object) -> bool:
    """Return whether it is the URL of a directory as a model takes it."""
    return isinstance(text, str) and bool(
        re.fullmatch(r"https://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~/-]*)?", text)
    )


def mail_address(text: object) -> str:
    """Return a mail address that a client noted, empty for anything else."""
    plain = str(text).removeprefix("mailto:") if isinstance(text, str) else ""
    return plain if re.fullmatch(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,250}", plain) else ""
