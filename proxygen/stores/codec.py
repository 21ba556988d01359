"""Codec: what is kept as JSON in a store, written and read in one way, whatever its kind.

A value that is damaged, of another type, or too large is as if there were none: it harms no other.
A field that a later version adds has a default, and one that is not known is passed over. Where
that is not enough, the store becomes one of a new version (``forward.py``).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator, core_schema

T = TypeVar("T")

LARGEST = 64 * 1024 * 1024
"""Octets of a value that are parsed."""
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9990, 1, 1, tzinfo=UTC)
AT_UTC = timedelta(0)


class Codec(Generic[T]):
    """Writes and reads values of one type: a frozen dataclass, a model, or a collection of these.

    Reading is strict: no text is taken for a number. Moments must have a time zone, and come in
    UTC. With *sparse*, what a field is by default is not written.
    """

    def __init__(self, of: Any, *, largest: int = LARGEST, sparse: bool = False) -> None:
        self.of = of
        self.largest = largest
        self.sparse = sparse

    def written(self, value: T) -> bytes:
        """Return a value as it is stored."""
        return self.adapter.dump_json(value, exclude_defaults=self.sparse)

    def read(self, value: bytes | None) -> T | None:
        """Return what was stored, None for none and for what cannot be used."""
        if not value or len(value) > self.largest:
            return None
        try:
            found: T = self.validator.validate_json(value, strict=True)
        except (ValidationError, OverflowError):
            return None
        return found

    @cached_property
    def adapter(self) -> TypeAdapter[T]:
        """What knows the type; made when it is needed, as that takes a moment."""
        return TypeAdapter(self.of)

    @cached_property
    def validator(self) -> SchemaValidator:
        """What reads the type, with moments in UTC."""
        return SchemaValidator(in_utc(self.adapter.core_schema))


def in_utc(schema: Any) -> Any:
    """Return a schema of pydantic by which every moment in a value is brought to UTC."""
    if isinstance(schema, list | tuple):
        return type(schema)(map(in_utc, schema))
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "datetime":
        return core_schema.no_info_after_validator_function(utc_moment, schema)
    return {name: in_utc(each) for name, each in schema.items()}


def utc_moment(at: datetime) -> datetime:
    """Return a moment in UTC; raise OverflowError or ValueError for none of ours.

    At the edges of time nothing can be added to a moment, so the latest is LATEST: a certificate
    without an end is said to end in 9999 (RFC 5280 section 4.1.2.5).
    """
    if at.utcoffset() == AT_UTC and EARLIEST < at < LATEST:  # as we write them
        return at
    if at.tzinfo is None or at.astimezone(UTC) < EARLIEST:
        raise ValueError("no moment of ours")
    return min(at.astimezone(UTC), LATEST)
