"""Forward: a store of a former version is read as the newest one, and brought to it at once.

A step reads a store of its version and returns what is to be put. All steps are put together, or
none of them; until then what they make stands over the store, for who only reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from proxygen.failure import Scope, failure
from proxygen.stores import VERSION, VERSION_KEY, Store, Values, former_names
from proxygen.stores.change import read_value
from proxygen.stores.keyspace import HOST
from proxygen.stores.kinds import type_part
from proxygen.stores.overlay import Overlay

Step = Callable[[Overlay], dict[str, bytes | None]]


class Forward(Overlay):
    """A store that may be of a former version; the first who writes brings it forward."""

    def __init__(self, store: Store) -> None:
        self.noted = store.get(VERSION_KEY)
        self.is_behind = is_behind(self.noted)
        self.is_read = False
        super().__init__(store, {})

    def over(self) -> Values:
        """Return what the store will hold, nothing once it does: another may bring it forward.

        The store is read for that once, when something of it is asked for.
        """
        if self.is_behind and self.store.get(VERSION_KEY) != self.noted:
            self.is_behind, self.values = False, {}
        if self.is_behind and not self.is_read:
            self.values, self.is_read = values_forward(self.store, self.noted), True
        return self.values

    def bring(self) -> None:
        """Bring the store forward, unless it is there; raise OSError if it cannot be written."""
        while self.is_behind:
            self.store.put_if({VERSION_KEY: self.noted}, values_forward(self.store, self.noted))
            if self.store.get(VERSION_KEY) != self.noted:
                self.is_behind, self.values = False, {}

    def put(self, key: str, value: bytes) -> None:
        """Keep *value*, durably."""
        self.bring()
        self.store.put(key, value)

    def delete(self, key: str) -> None:
        """Forget the value."""
        if self.has(key):
            self.bring()
            self.store.delete(key)

    def put_all(self, values: Values) -> None:
        """Keep several values or none, durably."""
        self.bring()
        self.store.put_all(values)

    def put_if(self, former: Values, values: Values) -> bool:
        """Keep several values or none if those of *former* are still that."""
        self.bring()
        return self.store.put_if(former, values)


def version_in(noted: bytes | None) -> str:
    """Return the version that is noted; that of a store without one is 1."""
    return "1" if noted is None else noted.decode("ascii", "backslashreplace").strip()


def is_known(noted: bytes | None) -> bool:
    """Return whether a store of that version is understood."""
    return version_in(noted) in map(str, range(1, VERSION + 1))


def is_behind(noted: bytes | None) -> bool:
    """Return whether a store is of a former version."""
    return is_known(noted) and version_in(noted) != str(VERSION)


def values_forward(store: Store, noted: bytes | None) -> dict[str, bytes | None]:
    """Return what is to be put into a store of that version to make it one of the newest."""
    values: dict[str, bytes | None] = {}
    for step in STEPS[int(version_in(noted)) - 1 :]:
        values |= step(Overlay(store, values))
    return values | {VERSION_KEY: f"{VERSION}\n".encode()}


def to_keyspaces(store: Overlay) -> dict[str, bytes | None]:
    """From 1 to 2: what is a host's own stands apart."""
    return dict(moved_kinds(store, "hooks", "former"))


def moved_kinds(store: Overlay, *kinds: str) -> Iterator[tuple[str, bytes | None]]:
    """Yield what moves these kinds to the host's own part."""
    for kind in kinds:
        for key in store.keys(kind):
            yield f"{HOST}/{key.removesuffix('.json')}", store.get(key)
            yield key, None


def to_key_types(store: Overlay) -> dict[str, bytes | None]:
    """From 2 to 3: facts about certificates stand apart by the type of their key."""
    return dict(typed_facts(store))


def typed_facts(store: Overlay) -> Iterator[tuple[str, bytes | None]]:
    """Yield what moves facts to the folder of their type; damaged ones, too, as they may be."""
    for key in [key for key in store.keys("certificates") if key.count("/") == 1]:
        value = read_value(store, key)
        yield f"certificates/{type_part(key_type_in(value))}/{key.partition('/')[2]}", value or b""
        yield key, None


def key_type_in(facts: bytes | None) -> str:
    """Return the type of key that facts tell, empty if they tell none."""
    try:
        found = json.loads(facts or b"")
    except (ValueError, RecursionError):
        return ""
    return str(found.get("key_type", "")) if isinstance(found, dict) else ""


def to_codes(store: Overlay) -> dict[str, bytes | None]:
    """From 3 to 4: failures have codes; those of files are found out anew."""
    values: dict[str, bytes | None] = dict.fromkeys(store.keys("unusable"))
    for kind, scope in FAILED.items():
        for key in store.keys(kind):
            values[key] = coded_failure(read_value(store, key), scope)
    if trouble := read_value(store, MAIL):
        values[MAIL] = coded_failure(trouble, "host")
    runs = {key: read_value(store, key) or b"" for key in store.keys(f"{HOST}/hooks/runs")}
    return values | {key: coded_runs(each) for key, each in runs.items() if b'"problem"' in each}


MAIL = "mail-trouble"
FAILED = {"attempts": "owner", "troubles": "authority", "looks": "authority"}
"""The kinds of values that tell of a failure, each with its scope."""


def coded_failure(value: bytes | None, scope: str) -> bytes | None:
    """Return an attempt with a failure in the place of its sentences, which become words."""
    try:
        found = json.loads(value or b"")
    except (ValueError, RecursionError):
        return value
    if not isinstance(found, dict) or "failure" in found:
        return value
    what, words, _ = (str(found.pop(name, "") or "") for name in ("what", "words", "remedy"))
    said, problem = "\n".join(filter(None, (what, words))), found.pop("problem", None)
    why = {"code": "noted-before", "scope": scope, "words": safe_words(said), "problem": problem}
    return json.dumps(found | {"failure": why}).encode()


def safe_words(said: str) -> str:
    """Return words as a failure that is made now would have them."""
    return failure("noted-before", Scope.OWNER, words=said).words


def to_causes(store: Overlay) -> dict[str, bytes | None]:
    """From 4 to 5: what was found about names is told by codes, not by sentences."""
    return dict(former_names.pages_forward(store))


def coded_runs(value: bytes) -> bytes:
    """Return how hooks went likewise."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        return value
    return json.dumps([coded_run(each) for each in found]).encode()


def coded_run(ran: dict[str, Any]) -> dict[str, Any]:
    """Return how one run of a hook went likewise."""
    said = str(ran.get("problem", "") or "")
    why = {"code": "noted-before", "scope": "host", "words": safe_words(said)} if said else None
    return {name: each for name, each in ran.items() if name != "problem"} | {"failure": why}


STEPS: tuple[Step, ...] = (to_keyspaces, to_key_types, to_codes, to_causes)
