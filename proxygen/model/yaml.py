"""YAML text -> plain values that remember where they stand; every mistake with its place.

Only what a model needs is YAML here: one document of mappings with text keys, sequences and
scalars. Anchors, aliases, tags, duplicate keys and second documents are mistakes. Plain
scalars mean what YAML 1.2's core schema says, so ``yes`` and ``on`` are words, not booleans.
No mistake quotes the file: it may be none of ours, and hold secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from proxygen.errors import MOST_MISTAKES, Mistake, Origin

DEEPEST = 16
LARGEST_MAIN, LARGEST_INCLUDED = 32 * 1024 * 1024, 4 * 1024 * 1024
"""Octets of a file of the model; a domain with a certificate has some 150."""
MOST_VALUES, MOST_INCLUDED_VALUES = 2_000_000, 500_000
"""Values of a file of the model; a domain has some 5."""
MOST_KEYS = 1000
"""Keys of a mapping, other than the file itself, `domains` and `backends`."""
DEAR = 10
"""Values that an international name counts as besides itself."""
INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
BOOLEANS = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}

Place = tuple[int, int]
"""Line and column, from 0."""


class Map(dict[str, Any]):
    """A mapping; ``places[key]`` is where the key stands and where its value does."""

    __slots__ = ("places",)

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, tuple[Place, Place]] = {}


class Seq(list[Any]):
    """A sequence; ``places[index]`` is where the item stands."""

    __slots__ = ("places",)

    def __init__(self) -> None:
        super().__init__()
        self.places: list[Place] = []


class TooMany(Exception):
    """A file has more mistakes than are told, or more of something than is read."""


@dataclass(slots=True)
class Document:
    """One file: its *name* as messages show it, the *value* it holds, and its mistakes.

    *values*: how many values that has, all in all.
    """

    name: str
    value: Any = None
    mistakes: list[Mistake] = field(default_factory=list)
    values: int = 0

    def origin(self, *path: str | int) -> Origin:
        """Return where the value at *path* stands, or the nearest part above it that does."""
        node, place = self.value, (0, 0)
        for step in path:
            if isinstance(node, Map) and step in node:
                place = node.places[str(step)][1]
                node = node[str(step)]
            elif isinstance(node, Seq) and isinstance(step, int) and step < len(node):
                place, node = node.places[step], node[step]
        return self.at(place)

    def key_origin(self, *path: str | int) -> Origin:
        """Return where the key that ends *path* stands."""
        *above, key = path
        node = self.value
        for step in above:
            if isinstance(node, Map | Seq):
                try:
                    node = node[step]  # type: ignore[index]
                except (KeyError, IndexError, TypeError):
                    continue
        if isinstance(node, Map) and key in node:
            return self.at(node.places[str(key)][0])
        return self.origin(*path)

    def at(self, place: Place) -> Origin:
        """Return the origin for a place in this file."""
        return Origin(self.name, place[0] + 1, place[1] + 1)

    def mistake(self, place: Place, reason: str, remedy: str, what: str = "") -> None:
        """Note a mistake at *place*."""
        self.mistakes.append(Mistake(self.at(place), what, reason, remedy, code="yaml"))


def parse(name: str, text: str | bytes, most: int = MOST_VALUES) -> Document:
    """Return what the file says; an unreadable one has a mistake and the value None.

    So has one with more than *most* values: each takes some hundred octets, however short it is.
    International names count as more, as they take longer.
    """
    document = Document(name)
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        Builder(document, yaml.parse(text, Loader=yaml.CSafeLoader), most).build()
    except TooMany:
        document.value = None
    except UnicodeDecodeError as error:
        lines = error.object[: error.start].count(b"\n")
        document.mistake((lines, 0), "this is not UTF-8 text", "save the file as UTF-8")
    except yaml.reader.ReaderError as error:
        document.value = None
        document.mistake((0, 0), f"a character YAML forbids: {error.reason}", "remove it")
    except yaml.MarkedYAMLError as error:
        document.value = None
        mark = error.problem_mark or error.context_mark
        place = (mark.line, mark.column) if mark else (0, 0)
        said = "; ".join(part for part in (error.context, error.problem) if part)
        document.mistake(place, f"this is not YAML: {said}", "check indentation, colons and quotes")
    return document


class Builder:
    """Builds the values of one document from its events."""

    def __init__(self, document: Document, events: Iterator[Any], most: int) -> None:
        self.document = document
        self.events = events
        self.most = most

    def build(self) -> None:
        """Read all events; the first document is the value, a further one a mistake."""
        seen = False
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if seen:
                    self.mistake(event, "a second document in one file", "remove `---` and below")
                    return
                seen = True
                self.document.value = self.node(next(self.events), 0)

    def mistake(self, event: Any, reason: str, remedy: str, what: str = "") -> None:
        mark = event.start_mark
        self.document.mistake((mark.line, mark.column), reason, remedy, what)
        if len(self.document.mistakes) > MOST_MISTAKES:
            raise TooMany

    def count(self, event: Any, *words: Any) -> None:
        """Count one value more; what may be an international name takes as long as several."""
        dear = sum(isinstance(word, str) and is_international(word) for word in words)
        self.document.values += 1 + dear * DEAR
        if self.document.values > self.most:
            self.too_many(event, f"more than {self.most:,} values in one file")

    def too_many(self, event: Any, reason: str) -> NoReturn:
        """Note that there is more of something than is read."""
        self.mistake(event, reason, "divide it")
        raise TooMany

    def node(self, event: Any, depth: int) -> Any:
        """Return the value that begins with *event*."""
        if isinstance(event, yaml.AliasEvent):
            self.mistake(event, "an alias (`*`)", "write the value out; in quotes if it begins so")
            return None
        if event.anchor is not None:
            self.mistake(
                event,
                "an anchor (`&`)",
                IN_QUOTES,
            )
        if event.tag is not None and event.tag != "!":
            self.mistake(event, "a tag (`!`)", IN_QUOTES)
        if depth > DEEPEST:
            raise yaml.MarkedYAMLError(None, None, "nested too deeply", event.start_mark)
        if isinstance(event, yaml.ScalarEvent):
            return scalar(event.value) if event.implicit[0] else event.value
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(depth)
        return self.sequence(depth)

    def sequence(self, depth: int) -> Seq:
        values = Seq()
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            mark = event.start_mark
            values.places.append((mark.line, mark.column))
            values.append(self.node(event, depth + 1))
            self.count(event, values[-1])
        return values

    def mapping(self, depth: int) -> Map:
        values = Map()
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.key(event, depth)
            below = next(self.events)
            value = self.node(below, depth + 1)
            self.count(event, key, value)
            if key is None:
                continue
            at = (event.start_mark.line, event.start_mark.column)
            if len(values) == MOST_KEYS and depth > 1:
                self.too_many(event, f"more than {MOST_KEYS:,} keys in one mapping")
            if key in values:
                line = values.places[key][0][0] + 1
                self.mistake(event, f"this key stands here again, first in line {line}", AGAIN)
                continue
            values[key] = value
            values.places[key] = (at, (below.start_mark.line, below.start_mark.column))
        return values

    def key(self, event: Any, depth: int) -> str | None:
        if isinstance(event, yaml.ScalarEvent):
            self.node(event, depth + 1)
            return str(event.value)
        self.mistake(event, "a key that is not a word", "write a plain word before the colon")
        self.node(event, depth + 1)
        return None


AGAIN = "keep one of the two"
IN_QUOTES = "remove it; put a value that begins so in quotes"


def is_said(value: Any, key: str) -> bool:
    """Return whether a mapping, if it is one, says anything for a key."""
    return isinstance(value, Map) and value.get(key) is not None


def is_international(text: str) -> bool:
    """Return whether a text has letters beyond a to z, or is how a name with such is written."""
    return not text.isascii() or "xn--" in text


def scalar(text: str) -> Any:
    """Return what the plain scalar *text* means in YAML 1.2's core schema, floats aside."""
    if text in BOOLEANS:
        return BOOLEANS[text]
    if text in NULLS:
        return None
    return int(text) if INTEGER.fullmatch(text) else text
