"""Journal: several values in one file, from before they are put in their places until after.

A digest of the rest, a table of keys with lengths (JSON; null: to be deleted), then the octets.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from pydantic import NonNegativeInt, TypeAdapter, ValidationError

TABLE = TypeAdapter(list[tuple[str, NonNegativeInt | None]])


def written(values: Mapping[str, bytes | None]) -> bytes:
    """Return values as they stand in a journal."""
    table = [(key, None if value is None else len(value)) for key, value in values.items()]
    octets = (value for value in values.values() if value is not None)
    rest = b"".join((json.dumps(table).encode(), b"\n", *octets))
    return hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest


def read(content: bytes) -> dict[str, bytes | None]:
    """Return the values of a journal; none for what is damaged, as a disk may do it."""
    digest, _, rest = content.partition(b"\n")
    if hashlib.sha256(rest).hexdigest().encode() != digest:
        return {}
    table, _, octets = rest.partition(b"\n")
    try:
        entries = TABLE.validate_json(table)
    except ValidationError:
        return {}
    values: dict[str, bytes | None] = {}
    at = 0
    for key, length in entries:
        values[key] = None if length is None else octets[at : at + length]
        at += length or 0
    return values
