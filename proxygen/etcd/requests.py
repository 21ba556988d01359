"""Requests: conditions and operations of a transaction, as etcd's JSON gateway wants them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from proxygen.etcd.answers import encoded

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Transaction:
    """If all *conditions* hold, *then* is done at once, otherwise *otherwise*."""

    conditions: tuple[Json, ...] = ()
    then: tuple[Json, ...] = ()
    otherwise: tuple[Json, ...] = ()

    def as_json(self) -> Json:
        """Return it as the gateway wants it."""
        return {
            "compare": list(self.conditions),
            "success": list(self.then),
            "failure": list(self.otherwise),
        }


def value_is(key: str, value: bytes) -> Json:
    """Return the condition that a key has a value."""
    return condition(key, "VALUE", "value", encoded(value))


def is_absent(key: str) -> Json:
    """Return the condition that there is no such key."""
    return created_at(key, 0)


def created_at(key: str, revision: int) -> Json:
    """Return the condition that a key was created at a revision."""
    return condition(key, "CREATE", "create_revision", str(revision))


def changed_at(key: str, revision: int) -> Json:
    """Return the condition that a key was last changed at a revision; 0: that there is none."""
    return condition(key, "MOD", "mod_revision", str(revision))


def condition(key: str, target: str, name: str, value: str) -> Json:
    """Return the condition that something of a key is that."""
    return {"key": encoded(key), "target": target, "result": "EQUAL", name: value}


def to_put(key: str, value: bytes, lease: int = 0) -> Json:
    """Return the operation that puts a value."""
    return {"request_put": put_request(key, value, lease)}


def to_delete(key: str, end: str = "") -> Json:
    """Return the operation that deletes a key, or all from it up to *end*."""
    return {"request_delete_range": range_request(key, end)}


def to_read(key: str, *, keys_only: bool = False) -> Json:
    """Return the operation that reads a key."""
    return {"request_range": range_request(key) | ({"keys_only": True} if keys_only else {})}


def put_request(key: str, value: bytes, lease: int = 0) -> Json:
    """Return the request that puts a value, which goes with a lease if one is given."""
    request: Json = {"key": encoded(key), "value": encoded(value)}
    return request | ({"lease": str(lease)} if lease else {})


def range_request(key: str, end: str = "") -> Json:
    """Return the request for a key, or for all from it up to *end*."""
    return {"key": encoded(key)} | ({"range_end": encoded(end)} if end else {})


def end_of(prefix: str) -> str:
    """Return the first key after all that begin with a prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def exists(key: str) -> Json:
    """Return the condition that there is such a key, whatever it holds."""
    return {"key": encoded(key), "target": "VERSION", "result": "GREATER", "version": "0"}


def unchanged_since(revision: int, start: str, end: str) -> Json:
    """Return the condition that no key of a range was put after a revision."""
    return {
        "key": encoded(start),
        "range_end": encoded(end),
        "target": "MOD",
        "result": "LESS",
        "mod_revision": str(revision + 1),
    }
