"""A file of the model -> what it says, and what is left of that without its mistakes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from proxygen.errors import MOST_MISTAKES, Mistake
from proxygen.model.former import Source as Source
from proxygen.model.mistakes import mistakes_of, path_in
from proxygen.model.portions import LONG, MOST_DOMAINS, crowded, head, portions
from proxygen.model.schema import Included, IncludeFields, Main, rest_type
from proxygen.model.yaml import MOST_INCLUDED_VALUES, MOST_KEYS, MOST_VALUES, Document, Map, parse

T = TypeVar("T", bound=BaseModel)
FieldPath = tuple[str | int, ...]

MOST_KEPT = 10 * MOST_MISTAKES
"""Mistakes of all files that are kept; of a file after these only its first one is."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that an `include` found and nobody can read; *words* are the system's own.

    *whole*: it is all that the `include` would name, which cannot be told. *home* is its folder as
    in ``Source``.
    """

    name: str
    words: str
    whole: bool = False
    home: str = ""

    @property
    def place(self) -> str:
        """Its path, as ``Source.place`` is; empty where that is not known."""
        return f"{self.home}/{self.name.rpartition('/')[2]}" if self.home else ""


Load = Callable[[str], Sequence[Source | Unreadable]]
"""From an `include` (a path or glob) to the files it names, sorted."""


@dataclass(slots=True)
class Read:
    """A file after reading: the document, and its content where the grammar accepts it."""

    document: Document
    folder: Path
    content: Included | None
    source: Source

    @property
    def name(self) -> str:
        """What messages call the file."""
        return self.document.name


@dataclass(slots=True)
class ReadBefore:
    """Files as they were read the last time; one that says the same is not read again."""

    former: dict[str, tuple[Source, type[BaseModel], Read]] = field(default_factory=dict)
    present: dict[str, tuple[Source, type[BaseModel], Read]] = field(default_factory=dict)

    def begin(self) -> None:
        """Begin a reading of all files; those that it does not come to are forgotten."""
        self.former, self.present = self.present, {}

    def file(self, source: Source, grammar: type[BaseModel], nth: int = 0) -> Read:
        """Return one file, read against *grammar*: the very same value while it says the same.

        *nth*: of several texts of the file, which one.
        """
        key = f"{source.name}\0{nth}" if nth else source.name
        known = self.present.get(key) or self.former.get(key)
        if known is None or known[:2] != (source, grammar):
            known = source, grammar, read_file(source, grammar)
        self.present[key] = known
        return known[2]


def read_file(source: Source, grammar: type[BaseModel]) -> Read:
    """Return one file, read against *grammar*; its mistakes are in its document."""
    most = MOST_VALUES if issubclass(grammar, Main) else MOST_INCLUDED_VALUES
    document = parse(source.name, source.text, most)
    if document.value is None and not document.mistakes and grammar is Included:
        document.value = Map()
    content: BaseModel | None = None
    if isinstance(document.value, Map):
        content = validated(document, grammar)
    elif not document.mistakes:
        document.mistake((0, 0), "this file holds no mapping", "begin with `global:`")
    known = content if isinstance(content, Included) else None
    return Read(document, source.folder, known, source)


def validated(document: Document, grammar: type[T]) -> T | None:
    """Return the content; what is wrong is noted, and left out so that the rest is looked at.

    None where nothing is left, or more mistakes are noted than are told. What is short has few.
    """
    if document.values < MOST_KEYS:
        return validated_portion(document, document.value, grammar)
    if crowded(document):
        return None
    content = validated_portion(document, head(document.value, grammar), grammar)
    found: dict[str, dict[str, Any]] = {}
    for word, portion in portions(document.value, grammar):
        if content is None or len(document.mistakes) > MOST_MISTAKES:
            return None
        if part := validated_portion(document, {word: portion}, LONG[word]):
            found.setdefault(word, {}).update(getattr(part, word))
    if content is None or len(document.mistakes) > MOST_MISTAKES:
        return None
    return content.model_copy(update=found) if found else content


def validated_portion(document: Document, portion: Mapping[str, Any], grammar: type[T]) -> T | None:
    """Return the content of a portion of the document, as ``validated`` does."""
    try:
        return grammar.model_validate(portion)
    except ValidationError as error:
        document.mistakes += islice(mistakes_of(document, error, grammar), MOST_MISTAKES + 1)
        return rest(portion, rest_type(grammar))


def rest(value: Any, grammar: type[T]) -> T | None:
    """Return what is left of a file when all is taken out that is wrong, None for nothing.

    A field goes alone; what cannot be without it goes with it, in the next round.
    """
    try:
        return grammar.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
    paths = [apart(path_in(value, each["loc"])) for each in details]
    return None if () in paths else rest(without(value, tree(paths)), grammar)


def apart(path: FieldPath) -> FieldPath:
    """Return what is taken out for a mistake at *path*: that field, or the whole backend.

    Whether a backend's upstreams and locations fit together can be told of all of them only.
    """
    fits = path[2:3] == ("locations",) and len(path) > 4 and path[4] != "upstream"
    return path if fits or path[:1] != ("backends",) else path[:2]


def tree(paths: Iterable[FieldPath]) -> dict[str | int, Any]:
    """Return *paths* as one tree; None stands at the end of each."""
    root: dict[str | int, Any] = {}
    for *above, last in paths:
        node: dict[str | int, Any] | None = root
        for step in above:
            node = None if node is None else node.setdefault(step, {})
        if node is not None:
            node[last] = None
    return root


def without(value: Any, wrong: Mapping[str | int, Any]) -> Any:
    """Return a copy of *value* without what stands at the ends of the tree *wrong*."""
    if not wrong:
        return value
    keys = value if isinstance(value, dict) else range(len(value))
    below = {key: wrong.get(key, RIGHT) for key in keys}
    kept = {key: without(value[key], each) for key, each in below.items() if each is not None}
    return kept if isinstance(value, dict) else list(kept.values())


RIGHT: Mapping[str | int, Any] = {}


@dataclass(slots=True)
class Size:
    """How much the files of a model hold that were read so far; *more* than is read, or not."""

    domains: int = 0
    values: int = 0
    mistakes: int = 0
    more: str = ""

    def add(self, read: Read) -> None:
        """Count a file; of one after very many mistakes only the first is kept."""
        self.domains += len(read.content.domains) if read.content else 0
        self.values += read.document.values
        self.mistakes += len(read.document.mistakes)
        if self.mistakes > MOST_KEPT:
            del read.document.mistakes[1:]
        if self.domains > MOST_DOMAINS:
            self.more = f"{MOST_DOMAINS:,} domains"
        elif self.values > MOST_VALUES:
            self.more = f"{MOST_VALUES:,} values"


@dataclass(slots=True)
class Inclusion:
    """What the main file includes: the *files* that could be read.

    *masks* tell by name which mask found a file, readable or not. *unread* has the mistake of each
    that cannot be read, *places* where those are, *untold* that of each mask which leads past too
    much to be looked at.
    *mistakes* are those of the main file: what it names is not there, and never was. *empty* are
    the masks that match nothing, *missing* those of them that are no globs and were there once.
    """

    files: list[Read] = field(default_factory=list)
    masks: dict[str, str] = field(default_factory=dict)
    unread: dict[str, Mistake] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    untold: dict[str, Mistake] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    empty: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)

    def finds_nothing(self, mask: str, told: Mistake, formerly: Collection[str]) -> None:
        """Note a mask that matches nothing; a path must be there, or once have been."""
        self.empty.add(mask)
        if is_glob(mask):
            return
        if mask in formerly:
            self.missing.add(mask)
        else:
            self.mistakes.append(told)


def read_included(
    first: Read, content: Main, load: Load, before: ReadBefore, formerly: Collection[str] = ()
) -> Inclusion:
    """Return what the main file includes; *formerly*: the masks that matched something before."""
    found, document, size = Inclusion(), first.document, Size()
    size.add(first)
    for index, (mask, _) in asked_for(content, document):
        sources = load(mask)
        if not sources:
            told = unreadable(document, index, f"{mask} cannot be read")
            found.finds_nothing(mask, told, formerly)
        for source in sources:
            if source.name in found.masks or source.name == document.name:
                continue
            found.masks[source.name] = mask
            if isinstance(source, Unreadable):
                told = unreadable(document, index, f"{source.name} cannot be read: {source.words}")
                if source.whole:
                    found.untold[mask] = told
                found.unread[source.name] = told
                found.places[source.name] = source.place
                continue
            if not size.more:
                size.add(read := before.file(source, Included))
            if size.more:
                what = f"{source.name} is not read: it makes more than {size.more}"
                found.unread[source.name] = unreadable(document, index, what)
                found.places[source.name] = source.place
            else:
                found.files.append(read)
    return found


def is_glob(mask: str) -> bool:
    """Return whether a mask may find nothing; a plain path must be there."""
    return bool(set(mask) & set("*?["))


def asked_for(content: Main, document: Document) -> Iterator[tuple[int, tuple[str, str | None]]]:
    """Yield mask and bound of each right `include`, with where it stands in the list."""
    right = [included_by(each) for each in content.include]  # what was typed may be a list
    listed = document.value.get("include") if right else []
    for index, typed in enumerate(listed):
        if isinstance(typed, Map):
            asked = typed.get("files"), typed.get("certificates")
        else:
            asked = typed, None
        if asked in right:
            yield index, asked


def included_by(each: str | IncludeFields) -> tuple[str, str | None]:
    """Return the mask of an `include`, and the folder to which its certificates are bounded."""
    return (each, None) if isinstance(each, str) else (each.files, each.certificates)


def unreadable(document: Document, index: int, what: str) -> Mistake:
    """Return the mistake of an `include` that leads to something that cannot be read."""
    return Mistake(
        document.origin("include", index),
        f"include[{index}]",
        what,
        "correct the path, which is relative to this file, or what stands there",
        code="include",
    )
