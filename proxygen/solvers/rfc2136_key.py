"""A TSIG key as it is handed out: the bare secret, or a key file as tsig-keygen(8) writes it."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

from proxygen.errors import IssueFailed

CLAUSE = re.compile(r'key\s+"?([^\s"{;]{1,253})"?\s*\{([^{}]{0,4000})\}\s*;?', re.ASCII)
FIELD = re.compile(r'(algorithm|secret)\s+"?([^\s";]{1,1000})"?\s*;', re.ASCII)
COMMENT = re.compile(r'("[^"\n]*")|(?<![^\s;{}])//[^\n]*|#[^\n]*|/\*.*?\*/', re.DOTALL)
"""Or a quoted text, which stays: base64 has slashes."""
USUAL = "hmac-sha256"


@dataclass(frozen=True, slots=True)
class Key:
    """A TSIG key (RFC 8945)."""

    name: str
    algorithm: str
    secret: bytes = field(repr=False)


def key(content: bytes, name: str | None, algorithm: str | None) -> Key:
    """Return the key in *content*; what the model says of it must agree. Raise IssueFailed."""
    text = content.decode("ascii", "replace").strip()
    clauses = CLAUSE.findall(
        COMMENT.sub(lambda found: found[1] or " ", text) if "{" in text else ""
    )
    if not clauses:
        if name is None:
            raise unusable("its name is not known", "add `key_name`")
        return Key(name.rstrip("."), algorithm or USUAL, decoded(text))
    written, fields = chosen(clauses, name)
    said = dict(FIELD.findall(fields))
    kind = said.get("algorithm", "").lower()
    if algorithm and kind and kind != algorithm:
        raise unusable(f"it is for {kind}, the model says {algorithm}", "correct `algorithm`")
    return Key(written.rstrip("."), kind or algorithm or USUAL, decoded(said.get("secret", "")))


def chosen(clauses: list[tuple[str, str]], name: str | None) -> tuple[str, str]:
    """Return the clause with the key of that name, or the only one."""
    if name is None and len(clauses) == 1:
        return clauses[0]
    found = [one for one in clauses if name and same(one[0], name)]
    if not found:
        names = ", ".join(written for written, _ in clauses)
        raise unusable(f"the key file holds {names}", "name one of them in `key_name`")
    return found[0]


def same(one: str, other: str) -> bool:
    """Return whether two names of keys are the same domain name."""
    return one.rstrip(".").lower() == other.rstrip(".").lower()


def decoded(secret: str) -> bytes:
    """Return the octets of a secret; raise IssueFailed for what is no base64.

    Python before 3.13 takes more padding than there is to fill.
    """
    given = "".join(secret.split())
    try:
        octets = b"" if len(given) % 4 else base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if not octets:
        raise unusable(
            "its secret is not base64", "write the secret, or the key file, as it was made"
        )
    return octets


def unusable(why: str, remedy: str) -> IssueFailed:
    """Return the error for a key that cannot be used; the secret is never quoted."""
    return IssueFailed(f"the TSIG key cannot be used: {why}", remedy=remedy, final=True)
