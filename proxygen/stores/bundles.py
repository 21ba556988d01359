"""Bundles: what was issued, on any store; this alone knows keys.

``certificates/TYPE/OWNER`` holds the facts (JSON) about an owner's certificate with a key of that
type and, by its digest, names the secret half, ``bundles/OWNER/DIGEST`` (PEM). Both are put at
once, and what they settle goes with that. A certificate is wanted with one type of key, so the one
that is saved takes the place of all others of its owner.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from proxygen.failure import NotObtained
from proxygen.model.certificate import Bundle, Certificate, KeyAndChain
from proxygen.model.layout import file_stem
from proxygen.plan.backoff import RememberedFailure, order_purpose, pause_after
from proxygen.plan.filing import filed_anew
from proxygen.stores import Store
from proxygen.stores.change import change_value, forget_values, read_value
from proxygen.stores.codec import Codec
from proxygen.stores.kinds import KEY_TYPES, type_part

DIGEST = re.compile("[0-9a-f]{64}")
SERIAL = re.compile("-?[0-9a-f]{1,64}")
KEY_END = b"-----END PRIVATE KEY-----\n"

BUNDLE = Codec[Bundle](Bundle)
ATTEMPT = Codec[RememberedFailure](RememberedFailure)


@dataclass(frozen=True, slots=True)
class StampedFacts:
    """Facts that were read when their value had *stamp*; *secret* is the key of the other half."""

    stamp: Hashable
    bundle: Bundle
    secret: str


class Bundles:
    """The bundles of one installation; facts that did not change are not read again."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.known: dict[str, StampedFacts] = {}

    def all(self) -> dict[str, Bundle]:
        """Return the facts of every stored bundle by owner.

        Unreadable ones are absent, and so are those whose key is gone: they are issued anew.
        """
        stamps = self.store.stamps("certificates").items()
        self.known = {key: each for key, stamp in stamps if (each := self.facts_below(key, stamp))}
        found = (self.with_secret(key, each) for key, each in self.known.items())
        return {each.owner: each for each in sorted(filter(None, found), key=order_of_bundle)}

    def with_secret(self, key: str, known: StampedFacts) -> Bundle | None:
        """Return what is known if its key is there, None otherwise.

        Where it is gone, another process may just have put a renewed one in its place.
        """
        if self.store.has(known.secret):
            return known.bundle
        again = self.facts_below(key, None)
        return again.bundle if again and self.store.has(again.secret) else None

    def facts_below(self, key: str, stamp: Hashable) -> StampedFacts | None:
        """Return the facts below a key, None for none; read where *stamp* is not the known one."""
        known = self.known.get(key)
        if known and stamp is not None and known.stamp == stamp:
            return known
        bundle = bundle_from(self.readable(key))
        if bundle is None or not kept_as(key, bundle):
            return None
        return StampedFacts(stamp, bundle, secret_key(bundle.owner, bundle.digest))

    def readable(self, key: str) -> bytes | None:
        """Return a stored value, None also for one that cannot be read."""
        return read_value(self.store, key)

    def tidy(self, owners: Iterable[str]) -> None:
        """Remove the secrets that no facts name, and what is kept for owners that are gone.

        Facts that cannot be read may name any secret of their owner: these stay.
        """
        secrets = list(self.store.keys("bundles"))  # before the facts: what comes meanwhile stays
        named: dict[str, set[str | None]] = {}
        for key in self.store.keys("certificates"):
            bundle = bundle_from(self.readable(key))
            secret = secret_key(bundle.owner, bundle.digest) if bundle else None
            named.setdefault(key.rpartition("/")[2], set()).add(secret)
        for key in secrets:
            if not {None, key} & named.get(key.split("/")[1], set()):
                forget_values(self.store, key)
        self.forget_others(owners, "orders", "attempts", "unusable")

    def facts(self, owner: str) -> Bundle | None:
        """Return the facts of an owner's stored bundle, None if there is none."""
        found = (self.facts_below(key, None) for key in facts_keys(owner))
        return max((each.bundle for each in found if each), key=order_of_bundle, default=None)

    def material(self, bundle: Bundle) -> KeyAndChain | None:
        """Return key and chain of a bundle, None if they are gone or not what was stored."""
        pem = self.store.get(secret_key(bundle.owner, bundle.digest))
        if pem is None or hashlib.sha256(pem).hexdigest() != bundle.digest:
            return None
        key, end, fullchain = pem.partition(KEY_END)
        return KeyAndChain(key + end, fullchain)

    def save(self, pair: KeyAndChain, bundle: Bundle) -> None:
        """Keep a pair and its facts, durably; what was there before is forgotten.

        The order and the last failure, too, but for what serves until the wanted one is there.
        """
        kept = False
        while not kept:
            values = {key: self.readable(key) for key in facts_keys(bundle.owner)}
            found = filter(None, map(bundle_from, values.values()))
            kept = self.store.put_if(values, values_of_bundle(pair, bundle, found))

    def save_first(self, pair: KeyAndChain, bundle: Bundle, former: Bundle | None) -> bool:
        """Keep a pair and its facts likewise, unless another came first; return whether it was.

        *former* is what was there when it was chosen, None: nothing of use.
        """
        while True:
            values = {key: self.readable(key) for key in facts_keys(bundle.owner)}
            found = [each for value in values.values() if (each := bundle_from(value))]
            others = (each for each in found if former is None or each.digest != former.digest)
            if any(self.store.has(secret_key(each.owner, each.digest)) for each in others):
                return False
            if self.store.put_if(values, values_of_bundle(pair, bundle, found)):
                return True

    def refile(self, wanted: Iterable[Certificate]) -> None:
        """Keep what an owner has where it is wanted now; see ``filed_anew``."""
        present = self.all()
        for bundle, former in filed_anew(wanted, present):
            if pair := self.material(former):
                self.save(pair, bundle)

    def note(self, bundle: Bundle, **known: Any) -> Bundle:
        """Keep what became *known* of a stored bundle, whose key and chain stay as they are.

        Return it as it is stored then. Where another process stored another one meanwhile, or
        forgot it, nothing is kept: what became known is of no use.
        """
        found = replace(bundle, **known)

        def with_known(stored: bytes | None) -> bytes | None:
            nonlocal found
            present = bundle_from(stored)
            if present is None or present.digest != bundle.digest:
                found = self.facts(bundle.owner) or bundle
                return stored
            found = replace(present, **known)
            return BUNDLE.written(found)

        change_value(self.store, facts_key(bundle), with_known)
        return found

    def forget(self, bundle: Bundle) -> None:
        """Remove a bundle with its key; nothing of an owner for whom another one is stored."""
        owner = bundle.owner
        gone = (*facts_keys(owner), secret_key(owner, bundle.digest), failure_key(owner))
        while True:
            former = {key: self.readable(key) for key in facts_keys(owner)}
            stored = (bundle_from(each) for each in former.values())
            if any(each and each.digest != bundle.digest for each in stored):
                return
            if self.store.put_if(former, dict.fromkeys(gone)):
                return

    def failed(
        self,
        wanted: Certificate,
        failure: NotObtained,
        now: datetime,
        draw: float,
        source: str = "",
    ) -> None:
        """Remember that obtaining *wanted* failed; *draw*, from 0 to 1, varies the pause.

        *source* is the mark of the files from which it was to come.
        """
        about = order_purpose(wanted)
        bundle = self.facts(wanted.owner)
        lifetime = bundle.lifetime if bundle else None

        def once_more(stored: bytes | None) -> bytes:
            former = of_purpose(ATTEMPT.read(stored), about)
            once = remembered_failure(wanted.owner, about, former, failure, now, draw, lifetime)
            return ATTEMPT.written(replace(once, source=source))

        change_value(self.store, failure_key(wanted.owner), once_more)

    def failures(self) -> dict[str, RememberedFailure]:
        """Return the last failure of every owner whose certificate could not be obtained."""
        return self.failures_below("attempts")

    def remember_failure(
        self,
        prefix: str,
        directory: str,
        failure: NotObtained,
        now: datetime,
        draw: float,
        about: str = "",
        lifetime: timedelta | None = None,
    ) -> None:
        """Remember why an authority is left alone.

        ``troubles``: it issues no certificates at present; ``looks``: it gives no renewal
        information. What fails while it is left alone was begun before, and is the same trouble.
        *about* tells how it was asked, *lifetime* is the shortest of the certificates from it.
        """

        def once_more(stored: bytes | None) -> bytes | None:
            former = of_purpose(ATTEMPT.read(stored), about)
            if former and former.holds(now):
                return stored
            return ATTEMPT.written(
                remembered_failure(directory, about, former, failure, now, draw, lifetime)
            )

        change_value(self.store, authority_key(prefix, directory), once_more)

    def settled(self, prefix: str, directory: str) -> None:
        """Forget why an authority was left alone: it answers."""
        if self.store.has(key := authority_key(prefix, directory)):
            forget_values(self.store, key)

    def forget_failure(self, owner: str, known: RememberedFailure | None = None) -> None:
        """Forget the last failure of an owner, for whom nothing of the kind is due any more.

        Where that is *known*, one that the other half, or another process, noted since stays.
        """

        def without(stored: bytes | None) -> bytes | None:
            return None if known in (None, ATTEMPT.read(stored)) else stored

        change_value(self.store, failure_key(owner), without)

    def forget_orders(self, owners: Iterable[str]) -> None:
        """Forget the orders, with their keys, of all but these owners."""
        self.forget_others(owners, "orders")

    def forget_others(self, owners: Iterable[str], *prefixes: str) -> None:
        """Forget what is kept below these prefixes for all but these owners."""
        if kept := [key for prefix in prefixes for key in self.store.keys(prefix)]:
            wanted = {file_stem(owner) for owner in owners}
            forget_values(self.store, *(key for key in kept if key.partition("/")[2] not in wanted))

    def failures_below(self, prefix: str) -> dict[str, RememberedFailure]:
        """Return the failures below *prefix* by what they are of."""
        found = (self.readable(key) for key in self.store.keys(prefix))
        return {each.of: each for value in found if (each := ATTEMPT.read(value))}


def values_of_bundle(
    pair: KeyAndChain, bundle: Bundle, former: Iterable[Bundle]
) -> dict[str, bytes | None]:
    """Return what is put, or forgotten, when a bundle is kept in the place of former ones."""
    owner = bundle.owner
    gone = [*facts_keys(owner), *(secret_key(each.owner, each.digest) for each in former)]
    if not bundle.is_interim:
        gone += [failure_key(owner), order_key(owner)]
    facts = BUNDLE.written(bundle)
    new = {secret_key(owner, bundle.digest): pair.pem, facts_key(bundle): facts}
    return dict.fromkeys(gone) | new


def facts_key(bundle: Bundle) -> str:
    return f"certificates/{type_part(bundle.key_type)}/{file_stem(bundle.owner)}"


def facts_keys(owner: str) -> list[str]:
    """Return where facts about an owner's certificates may be, whatever their keys are."""
    return [f"certificates/{each}/{file_stem(owner)}" for each in KEY_TYPES]


def order_of_bundle(bundle: Bundle) -> datetime:
    """Return by what the latest of an owner's bundles is told."""
    return bundle.not_before


def secret_key(owner: str, digest: str) -> str:
    return f"bundles/{file_stem(owner)}/{digest[:32]}"


def failure_key(owner: str) -> str:
    return f"attempts/{file_stem(owner)}"


def order_key(owner: str) -> str:
    return f"orders/{file_stem(owner)}"


def authority_key(prefix: str, directory: str) -> str:
    return f"{prefix}/{hashlib.sha256(directory.encode()).hexdigest()[:16]}"


def remembered_failure(
    of: str,
    about: str,
    former: RememberedFailure | None,
    failure: NotObtained,
    now: datetime,
    draw: float,
    lifetime: timedelta | None = None,
) -> RememberedFailure:
    """Return one failure more in a row."""
    count = former.count + 1 if former else 1
    return RememberedFailure(
        of=of,
        at=now,
        since=former.since if former else now,
        count=count,
        again=failure.retry_at or now + pause_after(count, draw, lifetime),
        failure=failure,
        purpose=about,
        asked=failure.retry_at is not None,
    )


def of_purpose(last_failure: RememberedFailure | None, about: str) -> RememberedFailure | None:
    """Return a failure if it was of the same, None otherwise."""
    return last_failure if last_failure and last_failure.purpose == about else None


def bundle_from(value: bytes | None) -> Bundle | None:
    """Return the facts that were stored; None for none, or for what is not ours."""
    found = BUNDLE.read(value)
    if found is None or not SERIAL.fullmatch(found.serial):
        return None
    digests = (found.digest, found.fingerprint, found.spki)
    return found if all(map(DIGEST.fullmatch, digests)) else None


def kept_as(key: str, bundle: Bundle) -> bool:
    """Return whether *key* is where such facts are kept."""
    try:
        return facts_key(bundle) == key
    except ValueError:
        return False
