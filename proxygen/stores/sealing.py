"""Sealing: values that who keeps them can neither read nor move to another key.

A sealed value is a header (version, id of the key that sealed it, serial, nonce) and AES-256-GCM of
the value. Header and full key are authenticated with it. Each class of values has keys of its own:
whoever has those of one class opens, and seals, no value of another.
"""

from __future__ import annotations

import binascii
import errno
import hashlib
import os
import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = 1
HEADER = struct.Struct(">B8sQ12s")
NONCE, KEY, TAG = 12, 32, 16
LATEST_SERIAL = 2**63 - 1
MOST_KEYS = 100


class SealingClass(StrEnum):
    """Who may open a value: ``global``, all servers; ``domains``, those that serve the domains'
    URLs; ``secrets``, those that obtain certificates."""

    GLOBAL = "global"
    DOMAINS = "domains"
    SECRETS = "secrets"


OWNERS_PART: Mapping[str, int] = {
    "attempts": 1,
    "bundles": 1,
    "certificates": 2,
    "names": 1,
    "unusable": 1,
}
"""The kinds of which each owner has values, and which part of a key is the owner."""
FOR_ALL = frozenset({"looks", "mail-probe", "mail-trouble", "model", "troubles", "version"})
"""The kinds that every server reads: none of them holds a key."""
GLOBAL_OWNER = "global"


def class_of(key: str) -> SealingClass:
    """Return the class of a key of the store; whatever is not known is for the fewest."""
    parts = key.split("/")
    if parts[0] in FOR_ALL:
        return SealingClass.GLOBAL
    if (at := OWNERS_PART.get(parts[0])) is None or len(parts) <= at:
        return SealingClass.SECRETS
    return SealingClass.GLOBAL if parts[at] == GLOBAL_OWNER else SealingClass.DOMAINS


class KeyMissing(OSError):
    """A value cannot be opened, or none sealed, as this host does not have the key for it."""

    def __init__(self, of: SealingClass, key: str, known: bytes = b"") -> None:
        told = f"with the id {known.hex()} " if known else ""
        super().__init__(errno.ENOKEY, f"no key {told}for values of the class `{of}`", key)


class SealBroken(OSError):
    """A value is not what was sealed for its key: it was damaged, moved there, or forged."""

    def __init__(self, key: str) -> None:
        super().__init__(errno.EBADMSG, "not what was sealed for this key", key)


@dataclass(frozen=True, slots=True)
class SealHeader:
    """What stands before a sealed value; later values of a key have larger serials."""

    key_id: bytes
    serial: int
    nonce: bytes = field(repr=False)

    @property
    def octets(self) -> bytes:
        """The header as it is stored."""
        return HEADER.pack(VERSION, self.key_id, self.serial, self.nonce)


def header_in(sealed: bytes) -> SealHeader | None:
    """Return the header of a sealed value, None for what is none."""
    if len(sealed) < HEADER.size + TAG:
        return None
    version, key_id, serial, nonce = HEADER.unpack_from(sealed)
    if version != VERSION or serial > LATEST_SERIAL:
        return None
    return SealHeader(key_id, serial, nonce)


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A key of a class; it is never shown."""

    of: SealingClass
    key: bytes = field(repr=False)

    @property
    def id(self) -> bytes:
        """What tells it from others, and nothing about it."""
        return key_id(self.key)


@cache
def key_id(key: bytes) -> bytes:
    """Return the id of a key."""
    return hashlib.sha256(b"proxygen sealing key\0" + key).digest()[:8]


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys that a host has; of each class the first seals, and all open."""

    keys: tuple[SealingKey, ...]

    def seal(self, full: str, of: SealingClass, value: bytes, serial: int) -> bytes:
        """Return a value sealed for its *full* key; raise KeyMissing."""
        keys = self.of_class(of)
        if not keys:
            raise KeyMissing(of, full)
        header = SealHeader(keys[0].id, serial, os.urandom(NONCE))
        secret = AESGCM(keys[0].key).encrypt(header.nonce, value, bound_to(header, full))
        return header.octets + secret

    def unseal(self, full: str, of: SealingClass, sealed: bytes) -> bytes:
        """Return what was sealed for that key; raise KeyMissing or SealBroken."""
        header = header_in(sealed)
        if header is None:
            raise SealBroken(full)
        key = next((each.key for each in self.of_class(of) if each.id == header.key_id), None)
        if key is None:
            raise KeyMissing(of, full, header.key_id)
        try:
            return AESGCM(key).decrypt(header.nonce, sealed[HEADER.size :], bound_to(header, full))
        except InvalidTag:
            raise SealBroken(full) from None

    def require_key(self, full: str, of: SealingClass, sealed: bytes | None) -> None:
        """Raise KeyMissing for a sealed value that this host has no key for."""
        header = header_in(sealed or b"")
        if header and header.key_id not in {each.id for each in self.of_class(of)}:
            raise KeyMissing(of, full, header.key_id)

    def is_current(self, of: SealingClass, sealed: bytes) -> bool:
        """Return whether a value was sealed by the key that seals now: `reseal` passes it over."""
        header, keys = header_in(sealed), self.of_class(of)
        return bool(header and keys and header.key_id == keys[0].id)

    def of_class(self, of: SealingClass) -> tuple[SealingKey, ...]:
        """Return the keys of a class in their order."""
        return tuple(each for each in self.keys if each.of == of)

    def only(self, *classes: SealingClass) -> Keyring:
        """Return the keys of these classes, as a host of fewer roles has them."""
        return Keyring(tuple(each for each in self.keys if each.of in classes))


def bound_to(header: SealHeader, full: str) -> bytes:
    """Return what is authenticated with a value."""
    return header.octets + full.encode()


def next_serial(former: bytes | None, milliseconds: int) -> int:
    """Return the serial of the value that takes the place of a sealed one.

    It is the time, so that it grows where a value was forgotten meanwhile, and larger than the
    former one's in any case, as clocks differ. Who keeps the values can write the latest serial
    into one: what takes its place has the same, and can be opened.
    """
    header = header_in(former or b"")
    return min(max(milliseconds, header.serial + 1 if header else 0), LATEST_SERIAL)


def is_older(sealed: bytes, present: bytes) -> bool:
    """Return whether a sealed value is one that the *present* one took the place of."""
    new, old = header_in(sealed), header_in(present)
    return bool(new and old and new.serial < old.serial)


def new_keyring() -> Keyring:
    """Return a new key for each class."""
    return Keyring(tuple(SealingKey(each, os.urandom(KEY)) for each in SealingClass))


HEAD = "# Sealing keys of proxygen: CLASS KEY. Of each class the first seals, and all open.\n"


def keyring_text(keyring: Keyring) -> str:
    """Return keys as their file has them."""
    lines = (f"{each.of} {b64encode(each.key).decode()}\n" for each in keyring.keys)
    return HEAD + "".join(lines)


def keyring_in(content: bytes) -> Keyring:
    """Return the keys in a file; raise ValueError that names the line, and shows nothing of it."""
    keys: list[SealingKey] = []
    for number, line in enumerate(content.decode("ascii", "replace").splitlines(), 1):
        if not (words := line.partition("#")[0].split()):
            continue
        if len(words) != 2 or words[0] not in list(SealingClass):
            raise ValueError(f"line {number} is not `CLASS KEY`: {', '.join(SealingClass)}")
        keys.append(SealingKey(SealingClass(words[0]), key_in(words[1], number)))
    if len(keys) > MOST_KEYS:
        raise ValueError(f"more than {MOST_KEYS} keys")
    if len(set(keys)) < len(keys) or len({each.key for each in keys}) < len(keys):
        raise ValueError("the same key is there twice")
    return Keyring(tuple(keys))


def key_in(word: str, number: int) -> bytes:
    """Return a key as it stands in its file; raise ValueError."""
    try:
        found = b64decode(word, validate=True)
    except (ValueError, binascii.Error):
        found = b""
    if len(found) != KEY:
        raise ValueError(f"the key in line {number} is not {KEY} octets in base64")
    return found
