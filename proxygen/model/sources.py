"""A file of the model -> its content, and what is left of it without its mistakes."""

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
from proxygen.model.portions import LONG, MOST_DOMAINS, crowded_keys, head_of_file, portions
from proxygen.model.schema import Included, IncludeFields, Main, rest_type
from proxygen.model.yaml import (
    MOST_INCLUDED_VALUES,
    MOST_KEYS,
    MOST_VALUES,
    Document,
    Map,
    parse_document,
)

T = TypeVar("T", bound=BaseModel)
FieldPath = tuple[str | int, ...]

MOST_KEPT = 10 * MOST_MISTAKES
"""Mistakes that are kept of all files; beyond that, one per file."""


@dataclass(frozen=True, slots=True)
class UnreadableFile:
    """A file that an `include` names and that cannot be read; *words* are the system's own.

    *remedy* says what to do. *whole*: it stands for all files of the `include`, which cannot be
    listed. *home* is its folder as in ``Source``.
    """

    name: str
    words: str
    whole: bool = False
    home: str = ""
    remedy: str = "make it readable for root, or take it out of `include`"

    @property
    def place(self) -> str:
        """Its path without links, as ``Source.place``; empty if that is not known."""
        return f"{self.home}/{self.name.rpartition('/')[2]}" if self.home else ""


Load = Callable[[str], Sequence[Source | UnreadableFile]]
"""From an `include` (a path or glob) to the files that it names, sorted."""


@dataclass(slots=True)
class ParsedFile:
    """A file that was read: the document, and its content if the grammar accepts it."""

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
    """Files as they were read the last time; one with the same text is not parsed again."""

    former: dict[str, tuple[Source, type[BaseModel], ParsedFile]] = field(default_factory=dict)
    present: dict[str, tuple[Source, type[BaseModel], ParsedFile]] = field(default_factory=dict)

    def begin(self) -> None:
        """Begin to read all files; those that are not asked for this time are forgotten."""
        self.former, self.present = self.present, {}

    def file(self, source: Source, grammar: type[BaseModel], nth: int = 0) -> ParsedFile:
        """Return one file, read against *grammar*; the same object while its text is the same.

        *nth* tells several texts of one file apart.
        """
        key = f"{source.name}\0{nth}" if nth else source.name
        known = self.present.get(key) or self.former.get(key)
        if known is None or known[:2] != (source, grammar):
            known = source, grammar, read_file(source, grammar)
        self.present[key] = known
        return known[2]


def read_file(source: Source, grammar: type[BaseModel]) -> ParsedFile:
    """Return one file, read against *grammar*; its mistakes are in the document."""
    most = MOST_VALUES if issubclass(grammar, Main) else MOST_INCLUDED_VALUES
    document = parse_document(source.name, source.text, most)
    if document.value is None and not document.mistakes and grammar is Included:
        document.value = Map()
    content: BaseModel | None = None
    if isinstance(document.value, Map):
        content = validate_content(document, grammar)
    elif not document.mistakes:
        begin = "begin with `global:`" if issubclass(grammar, Main) else "begin with `domains:`"
        empty = document.value is None
        document.mistake((0, 0), "the file is empty" if empty else "this is not a mapping", begin)
    known = content if isinstance(content, Included) else None
    return ParsedFile(document, source.folder, known, source)


def validate_content(document: Document, grammar: type[T]) -> T | None:
    """Return the content; note what is wrong and leave it out, so that the rest is checked too.

    None if nothing is left, or if there are more mistakes than are reported. A short file is
    validated at once, as it has few.
    """
    if document.values < MOST_KEYS:
        return validated_portion(document, document.value, grammar)
    if crowded_keys(document):
        return None
    content = validated_portion(document, head_of_file(document.value, grammar), grammar)
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
    """Return the content of a portion of the document, as ``validate_content`` does."""
    try:
        return grammar.model_validate(portion)
    except ValidationError as error:
        document.mistakes += islice(mistakes_of(document, error, grammar), MOST_MISTAKES + 1)
        return content_without_mistakes(portion, rest_type(grammar))


def content_without_mistakes(value: Any, grammar: type[T]) -> T | None:
    """Return what is left of a file without what is wrong in it, None for nothing.

    A field is left out alone; what cannot be without it follows in the next round.
    """
    try:
        return grammar.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
    paths = [path_to_leave_out(path_in(value, each["loc"])) for each in details]
    return (
        None
        if () in paths
        else content_without_mistakes(value_without(value, paths_as_tree(paths)), grammar)
    )


def path_to_leave_out(path: FieldPath) -> FieldPath:
    """Return what is left out for a mistake at *path*: that field, or the whole backend.

    Whether a backend's upstreams and locations fit together can only be told of all of them.
    """
    fits = path[2:3] == ("locations",) and len(path) > 4 and path[4] != "upstream"
    return path if fits or path[:1] != ("backends",) else path[:2]


def paths_as_tree(paths: Iterable[FieldPath]) -> dict[str | int, Any]:
    """Return *paths* as one tree of mappings; None marks the end of each."""
    root: dict[str | int, Any] = {}
    for *above, last in paths:
        node: dict[str | int, Any] | None = root
        for step in above:
            node = None if node is None else node.setdefault(step, {})
        if node is not None:
            node[last] = None
    return root


def value_without(value: Any, wrong: Mapping[str | int, Any]) -> Any:
    """Return a copy of *value* without what is at the ends of the tree *wrong*."""
    if not wrong:
        return value
    keys = value if isinstance(value, dict) else range(len(value))
    below = {key: wrong.get(key, RIGHT) for key in keys}
    kept = {key: value_without(value[key], each) for key, each in below.items() if each is not None}
    return kept if isinstance(value, dict) else list(kept.values())


RIGHT: Mapping[str | int, Any] = {}


@dataclass(slots=True)
class Size:
    """How much the files that were read hold; *more* names the limit that they exceed."""

    domains: int = 0
    values: int = 0
    mistakes: int = 0
    more: str = ""

    def add(self, read: ParsedFile) -> None:
        """Count a file; after very many mistakes only the first of each file is kept."""
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
    file that cannot be read, *places* has the paths of those. *untold* has the mistake of each mask
    that matches too many names to be listed.
    *mistakes* are those of the main file: a path in it does not exist, and never did. *empty* are
    the masks that match nothing; *missing* are the paths among them that existed once.
    """

    files: list[ParsedFile] = field(default_factory=list)
    masks: dict[str, str] = field(default_factory=dict)
    unread: dict[str, Mistake] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    untold: dict[str, Mistake] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    empty: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)

    def finds_nothing(self, mask: str, told: Mistake, formerly: Collection[str]) -> None:
        """Note a mask that matches nothing; a path without wildcards must exist or have existed."""
        self.empty.add(mask)
        if is_glob(mask):
            return
        if mask in formerly:
            self.missing.add(mask)
        else:
            self.mistakes.append(told)


def read_included(
    first: ParsedFile, content: Main, load: Load, before: ReadBefore, formerly: Collection[str] = ()
) -> Inclusion:
    """Return what the main file includes; *formerly* are masks that matched before."""
    found, document, size = Inclusion(), first.document, Size()
    size.add(first)
    for index, (mask, _) in asked_for(content, document):
        sources = load(mask)
        if not sources:
            told = unreadable_include(document, index, f"{mask} does not exist", CREATE)
            found.finds_nothing(mask, told, formerly)
        for source in sources:
            if source.name in found.masks or source.name == document.name:
                continue
            found.masks[source.name] = mask
            if isinstance(source, UnreadableFile):
                what = f"{source.name} cannot be read: {source.words}"
                told = unreadable_include(document, index, what, source.remedy)
                if source.whole:
                    found.untold[mask] = told
                found.unread[source.name] = told
                found.places[source.name] = source.place
                continue
            if not size.more:
                size.add(read := before.file(source, Included))
            if size.more:
                what = f"{source.name} was not read: with it the model has more than {size.more}"
                found.unread[source.name] = unreadable_include(document, index, what, "remove some")
                found.places[source.name] = source.place
            else:
                found.files.append(read)
    return found


def is_glob(mask: str) -> bool:
    """Return whether a mask has wildcards, and so may match nothing."""
    return bool(set(mask) & set("*?["))


def asked_for(content: Main, document: Document) -> Iterator[tuple[int, tuple[str, str | None]]]:
    """Yield mask and bound of each valid `include`, with its index in the list."""
    right = [included_by(each) for each in content.include]  # of the typed ones, some may be wrong
    listed = document.value.get("include") if right else []
    for index, typed in enumerate(listed):
        if isinstance(typed, Map):
            asked = typed.get("files"), typed.get("certificates")
        else:
            asked = typed, None
        if asked in right:
            yield index, asked


def included_by(each: str | IncludeFields) -> tuple[str, str | None]:
    """Return the mask of an `include`, and the folder in which its certificates must be."""
    return (each, None) if isinstance(each, str) else (each.files, each.certificates)


CREATE = "create it, or correct the path, which is relative to the folder of this file"


def unreadable_include(document: Document, index: int, what: str, remedy: str) -> Mistake:
    """Return the mistake of an `include` that names something that cannot be read."""
    return Mistake(
        document.origin("include", index),
        f"include[{index}]",
        what,
        remedy,
        code="include",
    )
