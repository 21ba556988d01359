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
from proxygen.model.schema import Included, IncludeFields, Main, rest_type
from proxygen.model.yaml import Document, Map, parse

T = TypeVar("T", bound=BaseModel)
FieldPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that an `include` found and nobody can read; *words* are the system's own.

    *whole*: it is all that the `include` would name, which cannot be told.
    """

    name: str
    words: str
    whole: bool = False


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

    def file(self, source: Source, grammar: type[BaseModel]) -> Read:
        """Return one file, read against *grammar*: the very same value while it says the same."""
        known = self.former.get(source.name)
        if known is None or known[:2] != (source, grammar):
            known = source, grammar, read_file(source, grammar)
        self.present[source.name] = known
        return known[2]


def read_file(source: Source, grammar: type[T]) -> Read:
    """Return one file, read against *grammar*; its mistakes are in its document."""
    document = parse(source.name, source.text)
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
    """Return the content; what is wrong is noted, and left out so that the rest is looked at."""
    try:
        return grammar.model_validate(document.value)
    except ValidationError as error:
        document.mistakes += islice(mistakes_of(document, error, grammar), MOST_MISTAKES + 1)
        if error.error_count() > MOST_MISTAKES:
            return None
        return rest(document.value, rest_type(grammar))


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
class Inclusion:
    """What the main file includes: the *files* that could be read.

    *masks* tell by name which mask found a file, readable or not. *unread* has the mistake of each
    that cannot be read, *untold* that of each mask which leads past too much to be looked at.
    *mistakes* are those of the main file: what it names is not there, and never was. *empty* are
    the masks that match nothing.
    """

    files: list[Read] = field(default_factory=list)
    masks: dict[str, str] = field(default_factory=dict)
    unread: dict[str, Mistake] = field(default_factory=dict)
    untold: dict[str, Mistake] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    empty: set[str] = field(default_factory=set)


def read_included(
    first: Read, content: Main, load: Load, before: ReadBefore, formerly: Collection[str] = ()
) -> Inclusion:
    """Return what the main file includes; *formerly*: the masks that matched something before."""
    found, document = Inclusion(), first.document
    for index, (mask, _) in asked_for(content, document):
        sources = load(mask)
        if not sources:
            found.empty.add(mask)
            if not is_glob(mask) and mask not in formerly:
                found.mistakes.append(unreadable(document, index, f"{mask} cannot be read"))
        for source in sources:
            if source.name in found.masks or source.name == document.name:
                continue
            if isinstance(source, Source):
                found.masks[source.name] = mask
                found.files.append(before.file(source, Included))
                continue
            told = unreadable(document, index, f"{source.name} cannot be read: {source.words}")
            if source.whole:
                found.untold[mask] = told
            found.masks[source.name] = mask
            found.unread[source.name] = told
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
    )
