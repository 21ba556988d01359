"""Puts key, leaf and chain together out of whatever files an administrator has."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes as PrivateKey

from proxygen.errors import IssueFailed
from proxygen.failure import Failure, NotObtained, Scope
from proxygen.model.certificate import KeyAndChain
from proxygen.model.material import (
    Material,
    file_names,
    material_refusal,
    read_material,
    unreadable_as,
)
from proxygen.model.x509 import (
    certificate_pem,
    der,
    identity_facts,
    is_issued_by,
    is_self_signed,
    key_pem,
    public_key,
    spki,
)


def assemble(contents: Sequence[tuple[str, bytes]], password: bytes | None = None) -> KeyAndChain:
    """Return key, leaf and chain from *contents*, pairs of file name and bytes.

    PEM blocks may be in any order in any of the files; PKCS#12 and DER are recognized by their
    content. The chain goes from issuer to issuer as far as certificates are there, without the
    root; other certificates are left out. Raise IssueFailed (final), which says which file is wrong
    and how.
    """
    material = read_material(contents, password)
    with unreadable_as("material-unreadable", files=file_names(contents)):
        key = the_key(material, contents)
        leaf = the_leaf(material, key, contents)
        chain = linked_chain(leaf, [certificate for _, certificate in material.certificates])
        return KeyAndChain(key_pem(key), b"".join(map(certificate_pem, chain)))


def the_key(material: Material, contents: Sequence[tuple[str, bytes]]) -> PrivateKey:
    """Return the one private key; the same key in two places counts once."""
    different = {spki(key.public_key()): key for _, key in material.keys}
    if not different:
        raise IssueFailed(absent_material("no-key", material, contents))
    if len(different) > 1:
        where = tuple(dict.fromkeys(file for file, _ in material.keys))
        raise IssueFailed(material_refusal("two-keys", files=where))
    return material.keys[0][1]


def the_leaf(
    material: Material, key: PrivateKey, contents: Sequence[tuple[str, bytes]]
) -> x509.Certificate:
    """Return the certificate of the key; the newest one if several were issued for it."""
    found = [certificate for _, certificate in material.certificates]
    if not found:
        raise IssueFailed(absent_material("no-certificate", material, contents))
    wanted = spki(key.public_key())
    candidates = [certificate for certificate in found if public_key(certificate) == wanted]
    if not candidates:
        parts = tuple(dict.fromkeys(starmap(certificate_part, material.certificates)))
        raise IssueFailed(
            material_refusal("no-certificate-of-key", parts, file=material.keys[0][0])
        )
    return max(candidates, key=lambda leaf: (leaf.not_valid_before_utc, der(leaf)))


def certificate_part(file: str, certificate: x509.Certificate) -> Failure:
    """Return which certificate a file holds, as part of a failure."""
    facts = {"file": file} | identity_facts(certificate)
    return Failure("certificate-there", Scope.OWNER, facts=tuple(facts.items()))


def absent_material(
    what: str, material: Material, contents: Sequence[tuple[str, bytes]]
) -> NotObtained:
    """Return the failure for a missing key or certificate; it names what was found instead."""
    others = ", ".join(material.others[:5])
    code = f"{what}-but" if others else f"{what}-found"
    return material_refusal(code, files=file_names(contents), others=others)


def linked_chain(
    leaf: x509.Certificate, others: Sequence[x509.Certificate]
) -> list[x509.Certificate]:
    """Return the leaf, its issuer, the issuer's issuer and so on, without a root."""
    chain = [leaf]
    while not is_self_signed(chain[-1]):
        issuers = [
            other for other in others if other not in chain and is_issued_by(chain[-1], other)
        ]
        if not issuers:
            return chain
        # A CA may be there both as a root and cross-signed: the one that lives longest serves.
        chain.append(max(issuers, key=lambda issuer: (issuer.not_valid_after_utc, der(issuer))))
    return chain[:-1] or chain
