"""nginx's configuration -> directives, each with its arguments, its block, and its place."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from proxygen.services.service_includes import ENTERS, LEAVES, Include

TOKEN = re.compile(
    r"""(?:[ \t\r\n]++|\#[^\n]*+)*+"""
    r"""(?:"(?P<double>(?:\\.|[^"\\])*+)"?|'(?P<single>(?:\\.|[^'\\])*+)'?"""
    r"""|(?P<mark>[{};])|(?P<word>(?:\$\{++|\\.|[^ \t\r\n;{\\])++)|\\|\Z)""",
    re.DOTALL,
)
"""A word of nginx's (``ngx_conf_read_token``) with the space and the comments before it.

In a word no quote, ``#`` or ``}`` means anything, and ``{`` does not after ``$``.
"""
ESCAPED = re.compile(r"""\\(["'\\trn])""")
PLAIN = re.compile(r"[A-Za-z0-9_/.*-]+")
MEANT = {"t": "\t", "r": "\r", "n": "\n"}
OF_LUA = re.compile(
    r"""--\[(?P<comment>=*)\[.*?(?:\](?P=comment)\]|\Z)|--[^\n]*"""
    r"""|\[(?P<long>=*)\[.*?(?:\](?P=long)\]|\Z)"""
    r"""|"(?:\\.|[^"\\\n])*+"?|'(?:\\.|[^'\\\n])*+'?|(?P<brace>[{}])|[^-\["'{}]++|.""",
    re.DOTALL,
)
LUA = "_by_lua_block"
"""The end of the names of directives whose block is no configuration."""
DEEPEST = 64
"""How deep blocks may stand in each other; what is deeper is passed over."""


@dataclass(frozen=True)
class NginxText:
    """A text, and the file in which it stands."""

    text: str
    file: str

    @cached_property
    def ends(self) -> list[int]:
        """Where its lines end."""
        return [found.start() for found in re.finditer("\n", self.text)]

    def place(self, line: int) -> str:
        """Return FILE:LINE of a line, which may be one of an included file."""
        if ENTERS not in self.text:
            return f"{self.file}:{line}"
        file, at = self.places[line - 1]
        return f"{file}:{at}"

    @cached_property
    def places(self) -> list[tuple[str, int]]:
        """The file of each line, and which it is there; behind an include goes on its line."""
        found, above, file, at, goes_on = list[tuple[str, int]](), [], self.file, 0, False
        for line in self.text.split("\n"):
            if line.startswith(ENTERS):
                above.append((file, at))
                file, at, goes_on = line.removeprefix(ENTERS), 0, False
            elif line.startswith(LEAVES) and above:
                file, at = above.pop()
                goes_on = True
            else:
                at, goes_on = at if goes_on else at + 1, False
            found.append((file, at))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Directive:
    """A directive with its arguments, and what stands in its block.

    It stands at text[start:end] of its source, with its ``;`` or ``{``.
    """

    name: str
    arguments: tuple[str, ...]
    source: NginxText = field(repr=False)
    start: int
    end: int
    block: list[Directive] = field(default_factory=list)

    @property
    def line(self) -> int:
        """The line in which it begins, from 1."""
        return bisect_left(self.source.ends, self.start) + 1

    @property
    def last_line(self) -> int:
        """The line of its ``;`` or ``{``, which nginx tells when it refuses a directive."""
        return bisect_left(self.source.ends, self.end) + 1

    @property
    def where(self) -> str:
        """FILE:LINE."""
        return self.source.place(self.line)

    def all(self, name: str) -> list[Directive]:
        """Return the directives of that name in its block."""
        return [each for each in self.block if each.name == name]

    def below(self, *path: str) -> list[Directive]:
        """Return the directives that a path of names leads to."""
        found = [self]
        for name in path:
            found = [each for above in found for each in above.all(name)]
        return found

    def first(self, name: str) -> str:
        """Return the first argument of the first directive of that name, empty without one."""
        return next((each.arguments[0] for each in self.all(name) if each.arguments), "")


def parse_configuration(text: str, file: str = "") -> Directive:
    """Return a configuration as one block; what cannot be read is passed over."""
    source = NginxText(text, file)
    root = Directive("", (), source, 0, len(text))
    blocks, words, start, at = [root], list[str](), 0, 0
    while (found := TOKEN.match(text, at)) and found.end() > at:
        at, kind = found.end(), found.lastgroup
        if kind != "mark":
            if kind:
                start = start if words else found.start(kind) - (kind != "word")
                words.append(unescape_word(found[kind]))
            continue
        mark = found["mark"]
        if mark != "}" and words:
            directive = Directive(words[0], tuple(words[1:]), source, start, at)
            if len(blocks) <= DEEPEST:
                blocks[-1].block.append(directive)
            if mark == "{" and words[0].endswith(LUA):
                at = end_of_lua(text, at)
            elif mark == "{":
                blocks.append(directive)
        elif mark == "{":
            blocks.append(Directive("", (), source, at - 1, at))
        elif mark == "}" and len(blocks) > 1:
            blocks.pop()
        words = []
    return root


def unescape_word(written: str) -> str:
    """Return a word as nginx takes it: a backslash before anything else stays."""
    if "\\" not in written:
        return written
    return ESCAPED.sub(lambda match: MEANT.get(match[1], match[1]), written)


def write_word(word: str) -> str:
    """Return how a word is written."""
    if PLAIN.fullmatch(word):
        return word
    return '"{}"'.format(word.replace("\\", "\\\\").replace('"', '\\"'))


def end_of_lua(text: str, at: int) -> int:
    """Return where a block of Lua ends that begins at *at*: behind the brace that closes it."""
    depth = 1
    for found in OF_LUA.finditer(text, at):
        if found["brace"]:
            depth += 1 if found["brace"] == "{" else -1
            if not depth:
                return found.end()
    return len(text)


def directives_below(above: Directive) -> Iterator[Directive]:
    """Yield all that stands in a block, in order, each before what stands in its own."""
    for each in above.block:
        yield each
        yield from directives_below(each)


def include_places(text: str) -> Iterator[Include]:
    """Yield where a configuration includes files."""
    return includes_of(parse_configuration(text)) if "include" in text else iter(())


def includes_of(root: Directive) -> Iterator[Include]:
    """Yield where a configuration that was read includes files."""
    for each in directives_below(root):
        if each.name == "include" and len(each.arguments) == 1:
            yield Include(each.start, each.end, each.arguments[0])
