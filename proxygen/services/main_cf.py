"""Reads and sets the parameters of main.cf without postfix's own programs (postconf(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

LEVEL = "smtpd_tls_security_level"
OURS = (
    "smtpd_tls_chain_files",
    LEVEL,
    "smtpd_tls_mandatory_protocols",
    "smtpd_tls_mandatory_exclude_ciphers",
    "tls_server_sni_maps",
    "tls_session_ticket_cipher",
)
"""The parameters that our template sets."""

SPACE = " \t\n\r\v\f"
"""Whitespace as postfix knows it; what Unicode adds to it is no end of a word there."""
ASSIGNMENT = re.compile(r"([^\s=#][^\s=]*)\s*(?:=\s*(.*))?", re.DOTALL | re.ASCII)


@dataclass(frozen=True, slots=True)
class Assignment:
    """One parameter with its value; *lines* are the numbers of its physical lines.

    Without ``=`` it has no value, and postfix refuses its whole configuration.
    """

    name: str
    value: str | None
    lines: tuple[int, ...]


def assignments(lines: list[str]) -> Iterator[Assignment]:
    """Yield the assignments in order."""
    for numbers in logical_lines(lines):
        yield from assignment(lines, numbers)


def logical_lines(lines: list[str]) -> Iterator[list[int]]:
    """Yield the numbers of the lines that belong together, in main.cf as in master.cf.

    A line that begins with whitespace continues the one before it; empty lines and comments are
    ignored, also between a line and its continuation.
    """
    numbers: list[int] = []
    for number, line in enumerate(lines):
        if not line.strip(SPACE) or line.lstrip(SPACE).startswith("#"):
            continue
        if numbers and line[0] not in SPACE:
            yield numbers
            numbers = []
        numbers.append(number)
    if numbers:
        yield numbers


def assignment(lines: list[str], numbers: list[int]) -> Iterator[Assignment]:
    """Yield the assignment on the lines of these *numbers*, if it is one."""
    found = ASSIGNMENT.fullmatch("".join(lines[number] for number in numbers))
    if found:
        value = None if found[2] is None else found[2].strip(SPACE)
        yield Assignment(found[1], value, tuple(numbers))


def parameters_in(text: str) -> dict[str, str | None]:
    """Return the parameters that *text* sets; if one is set twice, the last value counts.

    None stands for a name without ``=``, because of which postfix refuses the file.
    """
    return {each.name: each.value for each in assignments(text.split("\n"))}


def edited(text: str, changes: Mapping[str, str | None]) -> str:
    """Return *text* with parameters set, or removed where the value is None.

    The rest stays as it is to the letter, also parameters that have the wanted value already. One
    that is set several times is set in its first place alone: postfix warns of overridden entries.
    """
    lines = text.split("\n")
    values = {name: value for name, value in changes.items() if value is not None}
    written: dict[int, str] = {}
    gone: set[int] = set()
    for each in assignments(lines):
        if each.name in values:
            value = values.pop(each.name)
            if value != each.value:
                gone.update(each.lines)
                written[each.lines[0]] = f"{each.name} = {value}"
        elif each.name in changes:
            gone.update(each.lines)
    kept = [
        written.get(number, line)
        for number, line in enumerate(lines)
        if number in written or number not in gone
    ]
    if values:
        ended = kept[:-1] if kept[-1] == "" else kept
        kept = [*ended, *(f"{name} = {value}" for name, value in values.items()), ""]
    return "\n".join(kept)
