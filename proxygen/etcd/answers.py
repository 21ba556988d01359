"""Answers: what etcd's JSON gateway says, as values; bounded before it is parsed.

Numbers of 64 bits are texts in JSON, and what is zero or empty is left out.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

Json = dict[str, Any]

LARGEST_ANSWER = 8 * 1024 * 1024
"""Octets of an answer: a value has at most 1.5 MiB, and pages are made to fit."""
LONGEST_SAID = 500
NUMBER = re.compile(r"-?[0-9]{1,20}")
"""A number of 64 bits as text."""


class Code(IntEnum):
    """The codes of gRPC by which errors are told apart, as their texts differ between releases."""

    UNKNOWN = 2
    INVALID = 3
    LATE = 4
    NOT_FOUND = 5
    EXISTS = 6
    FORBIDDEN = 7
    FULL = 8
    PRECONDITION = 9
    COMPACTED = 11
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class EtcdError(OSError):
    """Something that was asked of etcd was not done."""


class EtcdAway(EtcdError):
    """No member answered. *unsure*: what was asked may have been done all the same."""

    def __init__(self, words: str, *, unsure: bool = False) -> None:
        super().__init__(words)
        self.unsure = unsure


class EtcdTooMuch(EtcdError):
    """A member answered with more than anything that was asked of it has."""


class EtcdRefused(EtcdError):
    """etcd refused what was asked, with a code."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(f"etcd refused: {words} (code {code})")
        self.code = code


class EtcdCompacted(EtcdError):
    """A watch began before what etcd still remembers; *revision* is the oldest that it has."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"etcd remembers nothing before revision {revision}")
        self.revision = revision


@dataclass(frozen=True, slots=True)
class EtcdEntry:
    """A key with its value, and the revisions at which it was created and last changed."""

    key: str
    value: bytes = field(repr=False)
    created: int
    changed: int


@dataclass(frozen=True, slots=True)
class Listing:
    """Keys in their order as they were at one *revision* of the cluster with that id."""

    revision: int
    cluster: str
    entries: tuple[EtcdEntry, ...]


@dataclass(frozen=True, slots=True)
class Transacted:
    """What became of a transaction: whether its conditions held, and what was read in it."""

    succeeded: bool
    revision: int
    read: tuple[EtcdEntry | None, ...]


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """How a member is: *size* is that of its database, *in_use* what of it holds values."""

    version: str
    revision: int
    size: int
    in_use: int
    cluster: str
    leader: str


@dataclass(frozen=True, slots=True)
class EtcdChange:
    """A key that was put, or deleted (None), at a revision."""

    key: str
    value: bytes | None = field(repr=False)
    revision: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed, complete up to *revision*."""

    revision: int
    cluster: str
    changes: tuple[EtcdChange, ...]


def parsed(body: bytes) -> Json:
    """Return the JSON object in an answer; raise EtcdError for anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EtcdError("etcd answered with something that is no JSON") from error
    if not isinstance(found, dict):
        raise EtcdError("etcd answered with something that is no JSON object")
    return found


def refused(status: int, body: bytes) -> EtcdRefused:
    """Return the error in an answer that is no success."""
    try:
        found = parsed(body)
    except EtcdError:
        found = {}
    return refused_by(found, f"HTTP status {status}")


def refused_by(found: Json, otherwise: str = "no reason is told") -> EtcdRefused:
    """Return the error that etcd tells of in an answer, or within a stream."""
    inner = found.get("error")
    told = inner if isinstance(inner, dict) else found
    code = told.get("code", told.get("grpc_code", Code.UNKNOWN))
    words = told.get("message") or told.get("error") or otherwise
    return EtcdRefused(code if isinstance(code, int) else Code.UNKNOWN, str(words)[:LONGEST_SAID])


def number(found: Mapping[str, Any], name: str) -> int:
    """Return a number of an answer, 0 if it is left out; raise EtcdError for anything else."""
    value = found.get(name, 0)
    if isinstance(value, str) and NUMBER.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise EtcdError(f"etcd answered with a {name} that is no number")
    return value


def octets(found: Mapping[str, Any], name: str) -> bytes:
    """Return octets of an answer, none if they are left out; raise EtcdError for anything else."""
    value = found.get(name, "")
    try:
        return b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise EtcdError(f"etcd answered with a {name} that is not base64") from error


def part(found: Mapping[str, Any], name: str) -> Json:
    """Return an object within an answer, an empty one if it is left out."""
    value = found.get(name, {})
    if not isinstance(value, dict):
        raise EtcdError(f"etcd answered with a {name} that is no object")
    return value


def parts(found: Mapping[str, Any], name: str) -> list[Json]:
    """Return a list of objects within an answer, an empty one if it is left out."""
    value = found.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise EtcdError(f"etcd answered with {name} that are no list of objects")
    return value


def key_of_entry(found: Json) -> str:
    """Return a key as text; one that is not ours may be no text at all."""
    return octets(found, "key").decode("utf-8", "backslashreplace")


def entry_in(found: Json) -> EtcdEntry:
    """Return a key with its value."""
    return EtcdEntry(
        key_of_entry(found),
        octets(found, "value"),
        number(found, "create_revision"),
        number(found, "mod_revision"),
    )


def header_of(found: Json) -> tuple[int, str]:
    """Return the revision of the store, and the id of its cluster, when an answer was made."""
    header = part(found, "header")
    return number(header, "revision"), str(header.get("cluster_id", ""))[:40]


def listing_in(found: Json) -> Listing:
    """Return the keys of an answer to a range."""
    revision, cluster = header_of(found)
    return Listing(revision, cluster, tuple(map(entry_in, parts(found, "kvs"))))


def transacted_in(found: Json) -> Transacted:
    """Return what became of a transaction; of each range in it the first key."""
    ranges = [
        part(each, "response_range")
        for each in parts(found, "responses")
        if "response_range" in each
    ]
    read = [parts(each, "kvs") for each in ranges]
    first = tuple(entry_in(each[0]) if each else None for each in read)
    return Transacted(found.get("succeeded") is True, header_of(found)[0], first)


def status_in(found: Json) -> MemberStatus:
    """Return how a member is."""
    revision, cluster = header_of(found)
    size = number(found, "dbSize")
    return MemberStatus(
        str(found.get("version", ""))[:40],
        revision,
        size,
        number(found, "dbSizeInUse"),
        cluster,
        str(found.get("leader", ""))[:40],
    )


def changes_in(events: list[Json]) -> tuple[EtcdChange, ...]:
    """Return the changes that a watch tells of."""
    return tuple(map(change_in, events))


def change_in(event: Json) -> EtcdChange:
    """Return one change."""
    found = part(event, "kv")
    value = None if event.get("type") == "DELETE" else octets(found, "value")
    return EtcdChange(key_of_entry(found), value, number(found, "mod_revision"))


def encoded(value: str | bytes) -> str:
    """Return a key or value as requests have it."""
    return b64encode(value.encode() if isinstance(value, str) else value).decode("ascii")
