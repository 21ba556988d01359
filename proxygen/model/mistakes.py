"""What pydantic found wrong -> mistakes with a place, a reason and a remedy."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from proxygen import DOCUMENTS
from proxygen.errors import Mistake, did_you_mean
from proxygen.model.yaml import Document

MOST_KNOWN = 100
"""Known words that are compared and told: a model may name thousands of backends."""

EXPECTED = {
    "bool_type": ("not a boolean", "write true or false"),
    "string_type": ("not a text", "write a word; put numbers and true/false in quotes"),
    "int_type": ("not a whole number", "write a whole number"),
    "list_type": ("not a list", "write a list: [a, b], or one `- item` a line"),
    "tuple_type": ("not a list", "write a list: [a, b], or one `- item` a line"),
    "dict_type": ("not a mapping", "write `key: value` lines, or {}"),
    "model_type": ("not a mapping", "write `key: value` lines, or {}"),
}
LIMITS = {
    "greater_than_equal": ("is too small", "write at least {ge}"),
    "less_than_equal": ("is too large", "write at most {le}"),
    "too_short": ("is not enough", "write at least {min_length} item"),
    "too_long": ("has too many items", "write at most {max_length} of them"),
}
"""What the grammar bounds: each with its remedy, filled in with pydantic's context."""


def mistakes_of(
    document: Document, error: ValidationError, grammar: type[BaseModel]
) -> Iterator[Mistake]:
    """Yield a mistake for each error that validating the document against *grammar* gave."""
    for detail in error.errors(include_url=False):
        if detail["type"] != "too_short" or not detail["input"]:  # only wrong items is not none
            yield mistake_of(document, detail, grammar)


def mistake_of(document: Document, detail: ErrorDetails, grammar: type[BaseModel]) -> Mistake:
    """Return one error as a mistake."""
    path = path_in(document.value, detail["loc"])
    reason, remedy = words(detail, path, grammar)
    at_key = detail["type"] == "extra_forbidden" or detail["loc"][-1:] == ("[key]",)
    where = document.key_origin(*path) if at_key and path else document.origin(*path)
    missing = detail["type"] == "missing"
    return Mistake(where, dotted([*path, detail["loc"][-1]] if missing else path), reason, remedy)


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


def words(
    detail: ErrorDetails, path: Sequence[str | int], grammar: type[BaseModel]
) -> tuple[str, str]:
    """Return reason and remedy."""
    kind, context = detail["type"], detail.get("ctx", {})
    if "remedy" in context:
        return context["reason"], context["remedy"]
    if kind == "extra_forbidden":
        return unknown(str(path[-1]), known_fields(grammar, path[:-1]))
    if kind == "missing":
        return f"`{detail['loc'][-1]}` is missing", "add it"
    if kind == "literal_error":
        return f"{shown(detail['input'])} is not known here", f"write {context['expected']}"
    if kind in EXPECTED:
        reason, remedy = EXPECTED[kind]
        return f"{shown(detail['input'])} is {reason}", remedy
    if kind in LIMITS:
        reason, remedy = LIMITS[kind]
        return f"{shown(detail['input'])} {reason}", remedy.format(**context)
    return f"{shown(detail['input'])} cannot stand here", f"see its row in {DOCUMENTS}/model.md"


def shown(value: Any) -> str:
    """Return a value as a message shows it, bounded."""
    if isinstance(value, dict | list | tuple):
        what = "mapping" if isinstance(value, dict) else "list"
        return f"a {what}" if value else f"an empty {what}"
    if value is None:
        return "an empty value"
    return repr(value)[:80] if not isinstance(value, bool) else str(value).lower()


def unknown(name: str, known: Sequence[str]) -> tuple[str, str]:
    """Return reason and remedy for an unknown field, with the nearest known one."""
    more = ", …" if len(known) > MOST_KNOWN else ""
    told = f"known here: {', '.join(known[:MOST_KNOWN])}{more}"
    remedy = did_you_mean(name, known[:MOST_KNOWN], told)
    return f"unknown field `{as_key(name)[:80]}`", remedy


def as_key(name: str) -> str:
    """Return a key as it is shown; what no key of ours looks like is not.

    It may be a line of a file that was taken for a model, such as one with passwords.
    """
    return "…" if ":" in name or " " in name else name


def known_fields(grammar: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Return the fields that *grammar* knows at *path*, found in its JSON Schema."""
    schema = schema_of(grammar)
    nodes = [schema]
    for step in path:
        nodes = [below for node in nodes for below in step_into(expanded(schema, node), step)]
    return sorted(
        {
            name
            for node in nodes
            for form in expanded(schema, node)
            for name in form.get("properties", {})
        }
    )


@functools.lru_cache(maxsize=8)
def schema_of(grammar: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of *grammar*, made once: thousands of mistakes may ask for it."""
    return grammar.model_json_schema()


def expanded(schema: Mapping[str, Any], node: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the forms that a schema node can take: references and alternatives resolved."""
    if "$ref" in node:
        return expanded(schema, schema["$defs"][node["$ref"].rpartition("/")[2]])
    for word in ("anyOf", "oneOf", "allOf"):
        if word in node:
            return [form for part in node[word] for form in expanded(schema, part)]
    return [dict(node)]


def step_into(forms: list[dict[str, Any]], step: str | int) -> Iterator[dict[str, Any]]:
    """Yield the schema of what stands at *step*."""
    for form in forms:
        if step in form.get("properties", {}):
            yield form["properties"][step]
        elif isinstance(form.get("additionalProperties"), dict):
            yield form["additionalProperties"]
        elif isinstance(step, int) and "items" in form:
            yield form["items"]


def dotted(path: Sequence[str | int]) -> str:
    """Return a path as a field's name: ``domains.a.example.extra_names[0]``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{as_key(step)}" for step in path)
    return text.removeprefix(".")[:300]
