"""Journal: several values in one file, from before they are put in their places until after.

A digest of the rest, a table of keys with lengths (JSON; null: to be deleted), then the octets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from pydantic import NonNegativeInt

from proxygen.stores import LARGEST
from proxygen.stores.codec import Codec

Table = list[tuple[str, NonNegativeInt | None]]
TABLE = Codec[Table](Table, largest=LARGEST)


def encode_journal(values: Mapping[str, bytes | None]) -> bytes:
    """Return values as they stand in a journal."""
    table = [(key, None if value is None else len(value)) for key, value in values.items()]
    octets = (value for value in values.values() if value is not None)
    rest = b"".join((TABLE.written(table), b"\n", *octets))
    return hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest


def decode_journal(content: bytes) -> dict[str, bytes | None]:
    """Return the values of a journal; none for what is damaged, as a disk may do it."""
    digest, _, rest = content.partition(b"\n")
    if hashlib.sha256(rest).hexdigest().encode() != digest:
        return {}
    table, _, octets = rest.partition(b"\n")
    values: dict[str, bytes | None] = {}
    at = 0
    for key, length in TABLE.read(table) or ():
        values[key] = None if length is None else octets[at : at + length]
        at += length or 0
    return values
