"""Answered: the names for which a web server was seen to answer the challenges of http-01.

``answered/SERVICE`` in a host's own part holds them, so that servers are told apart: an order is
placed once a deployed configuration answers for its names. Without any such value no web server of
the host answers, and proxygen does so itself.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from pydantic import TypeAdapter, ValidationError

from proxygen.stores import Store

PREFIX = "answered"
NAMES = TypeAdapter(frozenset[str])


def names(own: Store) -> frozenset[str] | None:
    """Return the names that web servers answer for; None where there is none that would."""
    found = [known for key in own.keys(PREFIX) if (known := noted(own, key)) is not None]
    return frozenset().union(*found) if found else None


def of(own: Store, service: str) -> frozenset[str] | None:
    """Return the names that one service was seen to answer for, None where it does not run."""
    return noted(own, key_of(service))


def note(own: Store, service: str, present: Collection[str] | None) -> None:
    """Keep for which names a service answers, None: it does not run; what is known is not kept."""
    known = of(own, service)
    if known == (None if present is None else frozenset(present)):
        return
    if present is None:
        own.delete(key_of(service))
    else:
        own.put(key_of(service), json.dumps(sorted(present)).encode())


def noted(own: Store, key: str) -> frozenset[str] | None:
    """Return what stands below a key; what is damaged names nothing."""
    value = own.get(key)
    if value is None:
        return None
    try:
        return NAMES.validate_json(value, strict=True)
    except ValidationError:
        return frozenset()


def key_of(service: str) -> str:
    """Return the key of what one service answers for."""
    return f"{PREFIX}/{service}"
