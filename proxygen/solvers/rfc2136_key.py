"""A TSIG key as it is handed out: the bare secret, or a key file as tsig-keygen(8) writes it."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

from proxygen.errors import IssueFailed
from proxygen.failure import not_obtained

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


def read_key(content: bytes, name: str | None, algorithm: str | None) -> Key:
    """Return the key in *content*; what the model says of it must agree. Raise IssueFailed."""
    text = content.decode("ascii", "replace").strip()
    clauses = CLAUSE.findall(
        COMMENT.sub(lambda found: found[1] or " ", text) if "{" in text else ""
    )
    if not clauses:
        if name is None:
            raise IssueFailed(not_obtained("tsig-key-without-name", final=True))
        return Key(name.rstrip("."), algorithm or USUAL, decode_secret(text))
    written, fields = choose_clause(clauses, name)
    said = dict(FIELD.findall(fields))
    kind = said.get("algorithm", "").lower()
    if algorithm and kind and kind != algorithm:
        code = "tsig-other-algorithm"
        raise IssueFailed(not_obtained(code, final=True, there=kind, here=algorithm))
    return Key(
        written.rstrip("."), kind or algorithm or USUAL, decode_secret(said.get("secret", ""))
    )


def choose_clause(clauses: list[tuple[str, str]], name: str | None) -> tuple[str, str]:
    """Return the clause with the key of that name, or the only one."""
    if name is None and len(clauses) == 1:
        return clauses[0]
    found = [one for one in clauses if name and is_same_name(one[0], name)]
    if not found:
        names = tuple(written for written, _ in clauses)
        raise IssueFailed(not_obtained("tsig-other-keys", final=True, names=names))
    return found[0]


def is_same_name(one: str, other: str) -> bool:
    """Return whether two names of keys are the same domain name."""
    return one.rstrip(".").lower() == other.rstrip(".").lower()


def decode_secret(secret: str) -> bytes:
    """Return the octets of a secret; raise IssueFailed for what is no base64.

    Python before 3.13 takes more padding than there is to fill.
    """
    given = "".join(secret.split())
    try:
        octets = b"" if len(given) % 4 else base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if not octets:
        raise IssueFailed(not_obtained("tsig-no-base64", final=True))  # it is never quoted
    return octets
