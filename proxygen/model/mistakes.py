"""pydantic's errors -> mistakes with a place, a reason and a remedy."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from proxygen import DOCUMENTS
from proxygen.credentials import HIDDEN, NOT_SHOWN, kind_of, may_be_secret, quote_value
from proxygen.errors import Mistake, did_you_mean, nearest_words
from proxygen.model.yaml import Document

Path = tuple[str | int, ...]

FURTHER_SERVICE = "the name of a further one begins with its kind, such as `postfix-out`"

WORD = re.compile(r"[a-z_-]{1,40}")
LIKE_A_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)+\.?")
"""A key that was meant as a host name, whatever is wrong with it."""
LIKE_BOOLEANS = ("yes", "no", "on", "off", "Yes", "No", "On", "Off", "y", "n")
MOST_KNOWN = 100
"""Known words that are compared and listed: a model may name thousands of backends."""

EXPECTED = {
    "bool_type": ("not a boolean", "write true or false"),
    "string_type": ("not a string", "put it in quotes if it is a number, true or false"),
    "int_type": ("not a whole number", "write a whole number"),
    "list_type": ("not a list", "write [a, b], or one `- item` a line"),
    "tuple_type": ("not a list", "write [a, b], or one `- item` a line"),
    "dict_type": ("not a mapping", "write `key: value` lines below the key, or {}"),
    "model_type": ("not a mapping", "write `key: value` lines below the key, or {}"),
}
LIMITS = {
    "greater_than_equal": ("is too small", "write at least {ge}"),
    "less_than_equal": ("is too large", "write at most {le}"),
    "too_short": ("has too few items", "write at least {min_length} item"),
    "too_long": ("has too many items", "write at most {max_length} items"),
}
"""The limits of the grammar, each with its remedy, in which pydantic's context is filled in."""


def mistakes_of(
    document: Document, error: ValidationError, grammar: type[BaseModel]
) -> Iterator[Mistake]:
    """Yield a mistake for each error of validating the document against *grammar*."""
    reading = DocumentMistakes(document, grammar)
    details = error.errors(include_url=False)
    reading.unsaid = {path for each in details if (path := reading.wrong_key(each))}
    for detail in details:
        if detail["type"] != "too_short" or not detail["input"]:  # only wrong items is not none
            yield reading.mistake(detail)


CODES = {"extra_forbidden": "unknown-field", "missing": "missing"}
"""The codes of mistakes by pydantic's error types; any other is ``value``."""


@dataclass
class DocumentMistakes:
    """Turns the errors of a document read against *grammar* into mistakes that show no secret.

    *unsaid* are the places of unknown keys, any of which may be a secret too.
    """

    document: Document
    grammar: type[BaseModel]
    unsaid: set[Path] = field(default_factory=set)

    @functools.cached_property
    def is_foreign(self) -> bool:
        """Whether the file is probably not a model: a required key is missing."""
        needed = schema_of(self.grammar).get("required", [])
        present = self.document.value
        return not all(name in present or nearest_words(name, present) for name in needed)

    def wrong_key(self, detail: ErrorDetails) -> Path | None:
        """Return the path of a key that must not be shown, None for any other error."""
        path = path_in(self.document.value, detail["loc"])
        if detail["type"] == "extra_forbidden" and path:
            known = known_fields(self.grammar, path[:-1])
            return None if is_misspelt(str(path[-1]), known) else path
        if detail["loc"][-1:] == ("[key]",) and path:
            return None if LIKE_A_NAME.fullmatch(str(path[-1])) else path
        return None

    def mistake(self, detail: ErrorDetails) -> Mistake:
        """Return the mistake for one error."""
        document = self.document
        path = path_in(document.value, detail["loc"])
        reason, remedy = mistake_words(detail, path, self.grammar, hide=self.hides(detail, path))
        at_key = detail["type"] == "extra_forbidden" or detail["loc"][-1:] == ("[key]",)
        where = document.key_origin(*path) if at_key and path else document.origin(*path)
        missing = detail["type"] == "missing"
        said = self.said(path)
        field = dotted_path([*said, detail["loc"][-1]] if missing else said)
        return Mistake(where, field, reason, remedy, code=CODES.get(detail["type"], "value"))

    def said(self, path: Path) -> Path:
        """Return a path with the keys that are not shown replaced by ``…``."""
        return tuple(
            HIDDEN if path[: index + 1] in self.unsaid else step for index, step in enumerate(path)
        )

    def hides(self, detail: ErrorDetails, path: Path) -> bool:
        """Return whether the value must not be shown: it is a secret's, or is beside one."""
        at_key = detail["loc"][-1:] == ("[key]",)
        return (
            self.is_foreign
            or path in self.unsaid
            or (not at_key and is_beside_secret(self.grammar, path))
        )


def path_in(value: Any, loc: Sequence[Any]) -> tuple[str | int, ...]:
    """Return pydantic's *loc* without the steps that are not in *value* (tags, keys)."""
    path: list[str | int] = []
    for step in loc:
        below = (isinstance(value, dict) and step in value) or (
            isinstance(value, list) and isinstance(step, int)
        )
        if below:
            path.append(step)
            value = value[step]
    return tuple(path)


def mistake_words(
    detail: ErrorDetails, path: Path, grammar: type[BaseModel], *, hide: bool
) -> tuple[str, str]:
    """Return reason and remedy of an error; *hide*: without the value."""
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    what = NOT_SHOWN if hide else quote_value(value)
    if "remedy" in context:
        return context["hidden" if hide else "reason"], context["remedy"]
    if kind == "extra_forbidden":
        known = known_fields(grammar, path[:-1])
        reason, remedy = unknown_field(str(path[-1]), known)
        if path[:-1] == ("services",) and not is_misspelt(str(path[-1]), known):
            remedy = f"write one of: {', '.join(known)}; {FURTHER_SERVICE}"
        return reason, remedy
    if kind == "missing":
        return f"`{detail['loc'][-1]}` is missing", f"add `{detail['loc'][-1]}:` here"
    if kind == "literal_error":
        return f"{what} is not allowed here", f"write {context['expected']}"
    if kind == "string_type" and is_secret(grammar, path):
        return f"{kind_of(value)} is not a string", "write env:NAME or file:PATH"
    if kind in EXPECTED:
        reason, remedy = EXPECTED[kind]
        small = type(value) is int and kind in ("bool_type", "string_type")
        said = what if small or value in LIKE_BOOLEANS else kind_of(value)
        return f"{said} is {reason}", remedy
    if kind in LIMITS:
        reason, remedy = LIMITS[kind]
        return f"{what} {reason}", remedy.format(**context)
    return f"{what} is not allowed here", f"see this field in {DOCUMENTS}/model.md"


def is_misspelt(name: str, known: Sequence[str]) -> bool:
    """Return whether a key is probably a known one, misspelt."""
    near = nearest_words(name, known[:MOST_KNOWN], alike=0.7)
    return bool(near) and bool(WORD.fullmatch(name)) and len(name) <= len(near[0]) + 3


def unknown_field(name: str, known: Sequence[str]) -> tuple[str, str]:
    """Return reason and remedy for an unknown field.

    Its name is shown only if it is a known one misspelt: otherwise it may be a secret, or the file
    may not be a model.
    """
    reason, remedy = unknown_name(name, known)
    return (reason if is_misspelt(name, known) else "unknown field"), remedy


def unknown_name(name: str, known: Sequence[str]) -> tuple[str, str]:
    """Return reason and remedy for an unknown name, with the nearest known one."""
    more = ", …" if len(known) > MOST_KNOWN else ""
    told = f"write one of: {', '.join(known[:MOST_KNOWN])}{more}" if known else "remove it"
    remedy = did_you_mean(name, known[:MOST_KNOWN], told)
    return f"unknown field `{as_key(name)[:80]}`", remedy


def as_key(name: str) -> str:
    """Return a key or name for a message; one that may be a secret is not shown."""
    return HIDDEN if ":" in name or " " in name or may_be_secret(name) else name


def is_secret(grammar: type[BaseModel], path: Path) -> bool:
    """Return whether a reference to a secret belongs at *path*."""
    return any(is_write_only(grammar, node) for node in nodes_at(grammar, path))


def is_beside_secret(grammar: type[BaseModel], path: Path) -> bool:
    """Return whether *path* is in a mapping that has secrets: one may be in the wrong field."""
    schema = schema_of(grammar)
    return any(
        is_write_only(grammar, below)
        for node in nodes_at(grammar, path[:-1])
        for form in expand_node(schema, node)
        for below in (*form.get("properties", {}).values(), form.get("additionalProperties"))
        if isinstance(below, dict)
    )


def is_write_only(grammar: type[BaseModel], node: Mapping[str, Any]) -> bool:
    """Return whether a schema node is a secret's: JSON Schema calls it ``writeOnly``."""
    return any(form.get("writeOnly") for form in expand_node(schema_of(grammar), node))


def nodes_at(grammar: type[BaseModel], path: Path) -> list[Mapping[str, Any]]:
    """Return the schema nodes that *grammar* has at *path*."""
    schema = schema_of(grammar)
    nodes: list[Mapping[str, Any]] = [schema]
    for step in path:
        nodes = [below for node in nodes for below in step_into(expand_node(schema, node), step)]
    return nodes


def known_fields(grammar: type[BaseModel], path: Path) -> list[str]:
    """Return the fields that *grammar* has at *path*, sorted."""
    schema = schema_of(grammar)
    return sorted(
        {
            name
            for node in nodes_at(grammar, path)
            for form in expand_node(schema, node)
            for name in form.get("properties", {})
        }
    )


@functools.lru_cache(maxsize=8)
def schema_of(grammar: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of *grammar*, made once: thousands of mistakes may ask for it."""
    return grammar.model_json_schema()


def expand_node(schema: Mapping[str, Any], node: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the forms of a schema node: references and alternatives resolved."""
    if "$ref" in node:
        return expand_node(schema, schema["$defs"][node["$ref"].rpartition("/")[2]])
    for word in ("anyOf", "oneOf", "allOf"):
        if word in node:
            return [form for part in node[word] for form in expand_node(schema, part)]
    return [dict(node)]


def step_into(forms: list[dict[str, Any]], step: str | int) -> Iterator[dict[str, Any]]:
    """Yield the schema nodes at *step*."""
    for form in forms:
        if step in form.get("properties", {}):
            yield form["properties"][step]
        elif further := further_node(form, step):
            yield further
        elif isinstance(form.get("additionalProperties"), dict):
            yield form["additionalProperties"]
        elif isinstance(step, int) and "items" in form:
            yield form["items"]


def further_node(form: Mapping[str, Any], step: str | int) -> dict[str, Any] | None:
    """Return the schema node of a field whose name is told by a pattern."""
    patterns: dict[str, dict[str, Any]] = form.get("patternProperties", {})
    return next((node for each, node in patterns.items() if re.search(each, str(step))), None)


def dotted_path(path: Sequence[str | int]) -> str:
    """Return a path as a field's name: ``domains.a.example.extra_names[0]``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{as_key(step)}" for step in path)
    return text.removeprefix(".")[:300]
