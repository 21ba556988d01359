"""The key of an ACME account: ours, or one that another client made."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from josepy.b64 import b64decode
from josepy.jwa import ES256, ES384, ES512, RS256, JWASignature
from josepy.jwk import JWK, JWKEC, JWKRSA

from proxygen.errors import IssueFailed
from proxygen.failure import Scope, not_obtained
from proxygen.model.material import read_material
from proxygen.model.x509 import key_pem

LARGEST_KEY = 8 * 1024
"""Ours have 241 octets; RSA keys of 4096 bits have 3,300, as JWK 3,200."""
SMALLEST_RSA, LARGEST_RSA = 2048, 4096
CURVES: dict[str, tuple[type[ec.EllipticCurve], JWASignature]] = {
    "secp256r1": (ec.SECP256R1, ES256),
    "secp384r1": (ec.SECP384R1, ES384),
    "secp521r1": (ec.SECP521R1, ES512),
}
JWK_CURVES = {"P-256": "secp256r1", "P-384": "secp384r1", "P-521": "secp521r1"}
NUMBER = re.compile(r"[A-Za-z0-9_-]{1,700}", re.ASCII)


def account_key(pem: bytes) -> JWK | None:
    """Return the key of an account as it is stored (PEM), None for what is none."""
    if len(pem) > LARGEST_KEY:
        return None
    try:
        found = read_material([("the key", pem)], None)
    except IssueFailed:
        return None
    return signing_key(found.keys[0][1]) if len(found.keys) == 1 else None


def signing_key(key: PrivateKeyTypes) -> JWK | None:
    """Return a key to sign requests with, None for a kind that authorities do not take."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return JWKEC(key=key)
    if isinstance(key, rsa.RSAPrivateKey) and SMALLEST_RSA <= key.key_size <= LARGEST_RSA:
        return JWKRSA(key=key)
    return None


def signature_algorithm(key: JWK) -> JWASignature:
    """Return how a key signs (RFC 7518 section 3.1)."""
    if isinstance(key, JWKRSA):
        return RS256
    return CURVES[key.key.curve.name][1]


def key_of_client(content: bytes) -> bytes:
    """Return an account's key in a file of another client, PEM or JWK, as it is stored.

    Raise IssueFailed for anything else.
    """
    if len(content) > LARGEST_KEY:
        raise unusable_key(f"it is larger than {LARGEST_KEY // 1024} KiB")
    key = from_jwk(content) if content.lstrip().startswith(b"{") else from_pem(content)
    if signing_key(key) is None:
        raise unusable_key("it is of another kind")
    return key_pem(key)


def from_pem(content: bytes) -> PrivateKeyTypes:
    """Return the one private key in PEM or DER; raise IssueFailed."""
    try:
        found = read_material([("it", content)], None).keys
    except IssueFailed as error:
        raise unusable_key(error.what) from error
    if len(found) != 1:
        raise unusable_key("it does not hold one private key")
    return found[0][1]


def from_jwk(content: bytes) -> PrivateKeyTypes:
    """Return the private key in a JWK (RFC 7518 section 6), as certbot keeps it."""
    with suppress(ValueError, TypeError, LookupError, RecursionError):
        return Jwk(json.loads(content)).key
    raise unusable_key("it is no JWK of a private key")


class Jwk:
    """A JWK; its numbers are read where they are short enough."""

    def __init__(self, fields: object) -> None:
        if not isinstance(fields, dict):
            raise TypeError
        self.fields = fields

    @cached_property
    def key(self) -> PrivateKeyTypes:
        """The private key; raise ValueError or TypeError where there is none."""
        return self.of_rsa() if self.fields.get("kty") == "RSA" else self.of_curve()

    def number(self, name: str) -> int:
        """Return one of its numbers."""
        written = self.fields.get(name)
        if not isinstance(written, str) or not NUMBER.fullmatch(written):
            raise ValueError(name)
        return int.from_bytes(b64decode(written))

    def of_rsa(self) -> PrivateKeyTypes:
        """Return an RSA key."""
        public = rsa.RSAPublicNumbers(self.number("e"), self.number("n"))
        if public.n.bit_length() > LARGEST_RSA:
            raise ValueError("n")
        p, q, d, dp, dq, qi = map(self.number, ("p", "q", "d", "dp", "dq", "qi"))
        return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public).private_key()

    def of_curve(self) -> PrivateKeyTypes:
        """Return a key of an elliptic curve."""
        curve = CURVES[JWK_CURVES[str(self.fields.get("crv"))]][0]()
        public = ec.EllipticCurvePublicNumbers(self.number("x"), self.number("y"), curve)
        return ec.EllipticCurvePrivateNumbers(self.number("d"), public).private_key()


def unusable_key(words: str) -> IssueFailed:
    """Return the error for a file that is no key of an account."""
    return IssueFailed(
        not_obtained("account-key-unusable", Scope.AUTHORITY, words=words, final=True)
    )
