"""YAML text -> plain values that remember where they were written; each mistake with its place.

A model needs a part of YAML: one document of mappings with string keys, sequences and scalars.
Anchors, aliases, tags, duplicate keys and second documents are mistakes. A plain scalar means
what YAML 1.2's core schema says (section 10.3), so ``yes`` and ``on`` are strings, not booleans.
No mistake quotes the file, which may not be a model at all and may hold secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from proxygen.errors import MOST_MISTAKES, Mistake, Origin
from proxygen.model import yaml_refusals
from proxygen.model.yaml_refusals import (
    ALIAS,
    ANCHOR,
    ASTERISK,
    MERGE,
    QUOTES,
    TAG,
    Place,
    YamlRefusal,
)

DEEPEST = 16
LARGEST_MAIN, LARGEST_INCLUDED = 32 * 1024 * 1024, 4 * 1024 * 1024
"""Octets that a file of the model may have; a domain with a certificate takes some 150."""
MOST_VALUES, MOST_INCLUDED_VALUES = 2_000_000, 500_000
"""Values that a file of the model may have; a domain has some 5."""
MOST_KEYS = 1000
"""Keys that a mapping may have, other than the file itself, `domains` and `backends`."""
DEAR = 10
"""What a value that may be an internationalized name counts in addition: it takes longer."""
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


class Map(dict[str, Any]):
    """A mapping; ``places[key]`` are the places of the key and of its value."""

    __slots__ = ("places",)

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, tuple[Place, Place]] = {}


class Seq(list[Any]):
    """A sequence; ``places[index]`` is the place of the item."""

    __slots__ = ("places",)

    def __init__(self) -> None:
        super().__init__()
        self.places: list[Place] = []


class TooMany(Exception):
    """A file exceeds a limit, so the rest of it is not read."""


@dataclass(slots=True)
class Document:
    """One file: its *name* as messages show it, the *value* it holds, and its mistakes.

    *values* counts all values in it, however deep.
    """

    name: str
    value: Any = None
    mistakes: list[Mistake] = field(default_factory=list)
    values: int = 0

    def origin(self, *path: str | int) -> Origin:
        """Return the place of the value at *path*, or of the nearest value above that exists."""
        node, place = self.value, (0, 0)
        for step in path:
            if isinstance(node, Map) and step in node:
                place = node.places[str(step)][1]
                node = node[str(step)]
            elif isinstance(node, Seq) and isinstance(step, int) and step < len(node):
                place, node = node.places[step], node[step]
        return self.at(place)

    def key_origin(self, *path: str | int) -> Origin:
        """Return the place of the key that ends *path*; without that key, as ``origin``."""
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
        """Return a place in this file as an origin, which counts from 1."""
        return Origin(self.name, place[0] + 1, place[1] + 1)

    def mistake(self, place: Place, reason: str, remedy: str, what: str = "") -> None:
        """Note a mistake at *place*; *what* is the field."""
        self.mistakes.append(Mistake(self.at(place), what, reason, remedy, code="yaml"))

    def refuse(self, found: YamlRefusal) -> None:
        """Note why the YAML library reads no further; there is no value then."""
        self.value = None
        self.mistake(found.place, found.reason, found.remedy)


def parse_document(name: str, text: str | bytes, most: int = MOST_VALUES) -> Document:
    """Return the document in *text*; one that cannot be read has a mistake and the value None.

    So has one with more than *most* values: each takes some hundred octets, however short it is.
    Internationalized names count as several, as they take longer.
    """
    document = Document(name)
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        document.refuse(yaml_refusals.not_utf_8(error))
        return document
    try:
        Builder(document, yaml.parse(text, Loader=yaml.CSafeLoader), most).build()
    except TooMany:
        document.value = None
    except yaml.reader.ReaderError:
        document.refuse(yaml_refusals.forbidden_character(text))
    except yaml.MarkedYAMLError as error:
        document.refuse(yaml_refusals.yaml_refusal(error, text))
    return document


class Builder:
    """Builds the values of one document from its events."""

    def __init__(self, document: Document, events: Iterator[Any], most: int) -> None:
        self.document = document
        self.events = events
        self.most = most

    def build(self) -> None:
        """Read all events; the first document is the value, a second one is a mistake."""
        seen = False
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if seen:
                    self.mistake(event, "a second YAML document begins here", ONE_DOCUMENT)
                    return
                seen = True
                self.document.value = self.node(next(self.events), 0)

    def mistake(self, event: Any, reason: str, remedy: str, what: str = "") -> None:
        mark = event.start_mark
        self.document.mistake((mark.line, mark.column), reason, remedy, what)
        if len(self.document.mistakes) > MOST_MISTAKES:
            raise TooMany

    def count(self, event: Any, *words: Any) -> None:
        """Count a value; a word that may be an internationalized name counts as several."""
        dear = sum(isinstance(word, str) and is_international(word) for word in words)
        self.document.values += 1 + dear * DEAR
        if self.document.values > self.most:
            self.too_many(event, f"the file has more than {self.most:,} values", SPLIT)

    def too_many(self, event: Any, reason: str, remedy: str) -> NoReturn:
        """Note that the file exceeds a limit, and stop reading it."""
        self.mistake(event, reason, remedy)
        raise TooMany

    def node(self, event: Any, depth: int) -> Any:
        """Return the value that begins with *event*."""
        if isinstance(event, yaml.AliasEvent):
            self.mistake(event, ALIAS, ASTERISK)
            return None
        if event.anchor is not None:
            self.mistake(event, ANCHOR, QUOTES)
        if event.tag is not None and event.tag != "!":
            self.mistake(event, TAG, QUOTES)
        if depth > DEEPEST:
            self.too_many(event, f"this is nested more than {DEEPEST} levels deep", NOT_A_MODEL)
        if isinstance(event, yaml.ScalarEvent):
            return scalar_value(event.value) if event.implicit[0] else event.value
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
            if key == "<<" and isinstance(below, yaml.AliasEvent):
                self.mistake(event, MERGE, "write out the keys that it stands for")
                continue
            value = self.node(below, depth + 1)
            self.count(event, key, value)
            if key is None:
                continue
            at = (event.start_mark.line, event.start_mark.column)
            if len(values) == MOST_KEYS and depth > 1:
                what = f"this mapping has more than {MOST_KEYS:,} keys"
                self.too_many(event, what, NOT_A_MODEL)
            if key in values:
                line = values.places[key][0][0] + 1
                self.mistake(event, f"duplicate key: it stands in line {line} already", AGAIN)
                continue
            values[key] = value
            values.places[key] = (at, (below.start_mark.line, below.start_mark.column))
        return values

    def key(self, event: Any, depth: int) -> str | None:
        if isinstance(event, yaml.ScalarEvent):
            self.node(event, depth + 1)
            return str(event.value)
        if isinstance(event, yaml.AliasEvent):
            self.node(event, depth + 1)
            return None
        self.mistake(event, "a list or a mapping stands in the place of a key", PLAIN_KEY)
        self.node(event, depth + 1)
        return None


AGAIN = "keep one of the two"
ONE_DOCUMENT = "remove the line `---`, or put what follows it into a file of its own"
SPLIT = "move domains into files that `include` names"
NOT_A_MODEL = "remove what does not belong to a model"
PLAIN_KEY = "write a plain word before the colon; put a key that begins with `[` or `{` in quotes"


def is_said(value: Any, key: str) -> bool:
    """Return whether *value* is a mapping that has a value other than null for a key."""
    return isinstance(value, Map) and value.get(key) is not None


def is_international(text: str) -> bool:
    """Return whether a text may be an internationalized name, in U-labels or A-labels."""
    return not text.isascii() or "xn--" in text


def scalar_value(text: str) -> Any:
    """Return what the plain scalar *text* means in YAML 1.2's core schema; floats stay strings."""
    if text in BOOLEANS:
        return BOOLEANS[text]
    if text in NULLS:
        return None
    return int(text) if INTEGER.fullmatch(text) else text
