"""Bundles: what was issued, on any store; this alone knows keys.

``certificates/OWNER`` holds the facts (JSON) and, by its digest, names the secret half,
``bundles/OWNER/DIGEST`` (PEM). The secret is written first and the facts last, so facts never
lead to a pair that is not there whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from proxygen.errors import IssueFailed
from proxygen.model.certificate import Bundle, Certificate, KeyAndChain
from proxygen.model.layout import stem
from proxygen.stores import Store

T = TypeVar("T")
DIGEST = re.compile("[0-9a-f]{64}")
KEY_END = b"-----END PRIVATE KEY-----\n"


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last failure to obtain an owner's certificate, since when, and how often in a row."""

    owner: str
    at: datetime
    since: datetime
    count: int
    what: str
    words: str
    problem: str | None


BUNDLE = TypeAdapter(Bundle)
ATTEMPT = TypeAdapter(Attempt)


class Bundles:
    """The bundles of one installation."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def all(self) -> dict[str, Bundle]:
        """Return the facts of every stored bundle by owner.

        Unreadable ones are absent, and so are those whose key is gone: they are issued anew.
        """
        return {
            bundle.owner: bundle
            for key in self.store.keys("certificates")
            if (bundle := bundle_from(self.readable(key)))
            and kept_as(key, bundle.owner)
            and self.store.has(secret_key(bundle.owner, bundle.digest))
        }

    def readable(self, key: str) -> bytes | None:
        """Return a stored value, None also for one that cannot be read."""
        try:
            return self.store.get(key)
        except OSError:
            return None

    def tidy(self, owners: Iterable[str]) -> None:
        """Remove the secrets that no facts name, and what is kept for owners that are gone.

        Facts that cannot be read may name any secret of their owner: these stay.
        """
        named = {}
        for key in self.store.keys("certificates"):
            bundle = bundle_from(self.readable(key))
            named[key.partition("/")[2]] = bundle and secret_key(bundle.owner, bundle.digest)
        for key in list(self.store.keys("bundles")):
            if named.get(key.split("/")[1], "") not in (None, key):
                self.store.delete(key)
        wanted = {stem(owner) for owner in owners}
        for key in (*self.store.keys("orders"), *self.store.keys("attempts")):
            if key.partition("/")[2] not in wanted:
                self.store.delete(key)

    def facts(self, owner: str) -> Bundle | None:
        """Return the facts of an owner's stored bundle, None when there is none."""
        bundle = bundle_from(self.readable(facts_key(owner)))
        return bundle if bundle and bundle.owner == owner else None

    def material(self, bundle: Bundle) -> KeyAndChain | None:
        """Return key and chain of a bundle, None when they are gone or not what was stored."""
        pem = self.store.get(secret_key(bundle.owner, bundle.digest))
        if pem is None or hashlib.sha256(pem).hexdigest() != bundle.digest:
            return None
        key, end, fullchain = pem.partition(KEY_END)
        return KeyAndChain(key + end, fullchain)

    def save(self, pair: KeyAndChain, bundle: Bundle) -> None:
        """Keep a pair and its facts, durably; what was there before is forgotten."""
        former = self.facts(bundle.owner)
        self.store.put(secret_key(bundle.owner, bundle.digest), pair.pem)
        self.store.put(facts_key(bundle.owner), facts_of(bundle))
        self.store.delete(attempt_key(bundle.owner))
        if former and former.digest != bundle.digest:
            self.store.delete(secret_key(former.owner, former.digest))

    def forget(self, bundle: Bundle) -> None:
        """Remove a bundle with its key."""
        self.store.delete(facts_key(bundle.owner))
        self.store.delete(secret_key(bundle.owner, bundle.digest))
        self.store.delete(attempt_key(bundle.owner))

    def failed(self, wanted: Certificate, error: IssueFailed, now: datetime) -> None:
        """Remember that obtaining *wanted* failed."""
        former = attempt_from(self.readable(attempt_key(wanted.owner)))
        attempt = Attempt(
            owner=wanted.owner,
            at=now,
            since=former.since if former else now,
            count=former.count + 1 if former else 1,
            what=error.what,
            words=error.words,
            problem=error.problem,
        )
        self.store.put(attempt_key(wanted.owner), json.dumps(asdict(attempt), default=str).encode())

    def attempts(self) -> dict[str, Attempt]:
        """Return the last failure of every owner whose certificate could not be obtained."""
        found = (self.readable(key) for key in self.store.keys("attempts"))
        return {each.owner: each for value in found if (each := attempt_from(value))}


def facts_key(owner: str) -> str:
    return f"certificates/{stem(owner)}"


def secret_key(owner: str, digest: str) -> str:
    return f"bundles/{stem(owner)}/{digest[:32]}"


def attempt_key(owner: str) -> str:
    return f"attempts/{stem(owner)}"


def facts_of(bundle: Bundle) -> bytes:
    """Return the facts as they are stored."""
    return json.dumps(asdict(bundle), default=str).encode()


def bundle_from(value: bytes | None) -> Bundle | None:
    """Return the facts that were stored; None for none, or for what is not ours."""
    bundle = read(BUNDLE, value)
    if bundle is None or not DIGEST.fullmatch(bundle.digest):
        return None
    return bundle if bundle.not_before.tzinfo and bundle.not_after.tzinfo else None


def attempt_from(value: bytes | None) -> Attempt | None:
    """Return the failure that was stored; None for none, or for what is not ours."""
    attempt = read(ATTEMPT, value)
    return attempt if attempt and attempt.at.tzinfo and attempt.since.tzinfo else None


def read(stored: TypeAdapter[T], value: bytes | None) -> T | None:
    """Return a stored value, every field of its type; one that is damaged harms no other."""
    try:
        return stored.validate_json(value or b"", strict=True)
    except ValidationError:
        return None


def kept_as(key: str, owner: str) -> bool:
    """Return whether *key* is where the facts about *owner* are kept."""
    try:
        return facts_key(owner) == key
    except ValueError:
        return False
