"""Long mappings of a file in portions, so that all errors of one validation fit in memory.

pydantic keeps some thousand octets for each error before the first can be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from pydantic import BaseModel

from proxygen.errors import MOST_MISTAKES
from proxygen.model.schema import BackendFields, Included, SchemaPart
from proxygen.model.types import Name
from proxygen.model.yaml import MOST_KEYS, NOT_A_MODEL, Document, Map

PORTION = 64
"""Domains or backends that are validated at once."""
MOST_DOMAINS = 250_000
"""Domains that a model may have, in all files together."""


class Backends(SchemaPart):
    """Some of the backends of the model file."""

    backends: dict[Name, BackendFields]


LONG: Mapping[str, type[BaseModel]] = {"domains": Included, "backends": Backends}
"""The mappings that may be very long, each with the grammar of a portion."""


def crowded_keys(document: Document) -> list[str]:
    """Return the top-level keys whose mappings are too long, and note a mistake for each.

    Mappings further down are bounded while the file is parsed.
    """
    value = document.value
    long = {key: len(below) for key, below in value.items() if isinstance(below, Map)}
    found = [key for key, count in long.items() if count > most_keys(key)]
    for key in found[: MOST_MISTAKES + 1]:
        reason = f"this mapping has more than {most_keys(key):,} keys"
        document.mistake(value.places[key][0], reason, NOT_A_MODEL, key)
    return found


def most_keys(key: str) -> int:
    """Return how many keys the mapping below a top-level key may have."""
    return MOST_DOMAINS if key in LONG else MOST_KEYS


def head_of_file(value: Map, grammar: type[BaseModel]) -> dict[str, Any]:
    """Return the top level of a file: long mappings emptied, and of unknown keys the first ones."""
    known = {field.alias or name for name, field in grammar.model_fields.items()}
    unknown = set(islice((key for key in value if key not in known), MOST_MISTAKES + 1))
    apart = long_mappings(value, grammar)
    return {
        key: {} if key in apart else below
        for key, below in value.items()
        if key in known or key in unknown
    }


def long_mappings(value: Map, grammar: type[BaseModel]) -> dict[str, Map]:
    """Return the mappings of a file that are longer than a portion."""
    return {
        word: below
        for word in LONG
        if word in grammar.model_fields
        and isinstance(below := value.get(word), Map)
        and len(below) > PORTION
    }


def portions(value: Map, grammar: type[BaseModel]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the long mappings of a file in portions, each with its key."""
    for word, below in long_mappings(value, grammar).items():
        items = iter(below.items())
        while portion := dict(islice(items, PORTION)):
            yield word, portion
