"""Reads what doveconf prints: settings, and blocks with settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class DovecotBlock:
    """A block of dovecot's configuration: ``kind name { settings and further blocks }``."""

    kind: str = ""
    name: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    blocks: list[DovecotBlock] = field(default_factory=list)

    def named(self, kind: str) -> Iterator[DovecotBlock]:
        """Return the blocks of *kind* in it."""
        return (block for block in self.blocks if block.kind == kind)

    def words(self, setting: str) -> list[str]:
        """Return a list: ``a = b, c`` as 2.3 prints it, or 2.4's block ``a { b = yes }``."""
        found = re.split(r"[\s,]+", self.settings.get(setting, ""))
        for block in self.named(setting):
            found += [name for name, value in block.settings.items() if value == "yes"]
        return [word for word in found if word]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip()


def parse_doveconf(text: str) -> DovecotBlock:
    """Return the output of ``doveconf``: one setting, one ``{`` or one ``}`` a line.

    Other lines, such as those of a value of several lines, are ignored.
    """
    root = DovecotBlock()
    open_blocks = [root]
    for line in map(str.strip, text.splitlines()):
        if line == "}":
            open_blocks = open_blocks[:-1] or [root]
        elif found := re.fullmatch(r"(\w+) *= *(.*)", line):
            open_blocks[-1].settings[found[1]] = unquote_value(found[2])
        elif found := re.fullmatch(r"(\w+)(?: +(.*?))? *\{", line):
            block = DovecotBlock(found[1], unquote_value(found[2] or ""))
            open_blocks[-1].blocks.append(block)
            open_blocks.append(block)
    return root


def unquote_value(value: str) -> str:
    """Return *value* without its quotes."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value
