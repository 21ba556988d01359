"""Keys, certificates and signing requests: read, described, made and compared."""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes as SigningKey,
)
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes as PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes as PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proxygen.errors import IssueFailed
from proxygen.model.certificate import (
    ADOPTED,
    GLOBAL,
    Authority,
    Bundle,
    Certificate,
    KeyAndChain,
    KeyType,
)
from proxygen.model.hosts import is_address
from proxygen.model.material import LARGEST, MOST_CERTIFICATES, material_refusal, unreadable_as

MOST_NAMES = 1000
LONGEST_COMMON_NAME = 64
DNS_NAME = re.compile(r"[a-z0-9*_-][a-z0-9._-]{0,252}")
CURVES: dict[KeyType, ec.EllipticCurve] = {
    KeyType.ECDSA_P256: ec.SECP256R1(),
    KeyType.ECDSA_P384: ec.SECP384R1(),
}
CURVE_NAMES = {"secp256r1": "p256", "secp384r1": "p384", "secp521r1": "p521"}
RSA_BITS = {KeyType.RSA_2048: 2048, KeyType.RSA_3072: 3072, KeyType.RSA_4096: 4096}
WEAK_HASHES = frozenset({"md5", "sha1"})
E = TypeVar("E", bound=x509.ExtensionType)
BACKDATED = timedelta(hours=1)
"""How long before now a self-signed certificate begins: a client's clock may be slow."""


def describe_bundle(
    pair: KeyAndChain,
    wanted: Certificate,
    authority: Authority | None = None,
    *,
    stand_in: bool = False,
) -> Bundle:
    """Return the facts about *pair*, which *authority* issued for *wanted*; raise IssueFailed."""
    return replace(
        facts_of_pair(pair, wanted.owner, wanted.issuer),
        authority=authority.directory if authority else "",
        profile=authority.profile if authority else "",
        stand_in=stand_in,
    )


def facts_of_pair(pair: KeyAndChain, owner: str, issuer: str) -> Bundle:
    """Return the facts that *pair* itself holds, for an owner; raise IssueFailed."""
    with unreadable_as("certificate-of-owner-unreadable", owner=owner):
        leaf = chain_of(pair)[0]
        return Bundle(
            owner=owner,
            names=covered_names(leaf),
            issuer=issuer,
            issued_by=attribute_words(leaf.issuer, NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME),
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
            serial=f"{leaf.serial_number:x}"[:64],
            fingerprint=leaf.fingerprint(SHA256()).hex(),
            spki=hashlib.sha256(spki(leaf.public_key())).hexdigest(),
            digest=hashlib.sha256(pair.pem).hexdigest(),
            key_type=key_kind(leaf.public_key()),
            identifier=unique_identifier(leaf),
        )


def facts_found(pair: KeyAndChain) -> Bundle:
    """Return what a pair tells that was found here; a stand-in where it is self-signed alone."""
    chain = chain_of(pair)
    alone = len(chain) == 1 and is_self_signed(chain[0])
    return replace(facts_of_pair(pair, GLOBAL, ADOPTED), stand_in=alone)


def unique_identifier(leaf: x509.Certificate) -> str:
    """Return the identifier by which renewal information is polled (RFC 9773 section 4.1).

    It consists of the key identifier of the issuer and the serial number as in DER; it is empty for
    a certificate without an authority key identifier.
    """
    issuer = extension_of(leaf, x509.AuthorityKeyIdentifier)
    if issuer is None or not issuer.key_identifier:
        return ""
    serial = leaf.serial_number
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")  # one bit more for the sign
    return f"{base64url(issuer.key_identifier)}.{base64url(octets)}"


def base64url(octets: bytes) -> str:
    """Return base64url without padding (RFC 4648 section 5)."""
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def new_key(key_type: KeyType) -> bytes:
    """Return a new private key as PKCS#8 PEM."""
    if bits := RSA_BITS.get(key_type):
        return key_pem(rsa.generate_private_key(public_exponent=65537, key_size=bits))
    return key_pem(ec.generate_private_key(CURVES[key_type]))


def key_type_of(pem: bytes) -> KeyType | None:
    """Return the type of a private key (PEM); None for a type that the model does not have."""
    try:
        return KeyType(key_kind(key_of(pem).public_key()))
    except (IssueFailed, ValueError):
        return None


def key_for(wanted: Certificate, former: KeyAndChain | None) -> bytes:
    """Return the former key if it is to be kept and has a wanted type, else a new one.

    If the model names no type, any type that an authority accepts is wanted.
    """
    found = key_type_of(former.key) if wanted.keep_key and former else None
    if former and found and (found == wanted.key_type or not wanted.key_type_said):
        return former.key
    return new_key(wanted.key_type)


def signing_request(key: bytes, names: Sequence[str]) -> bytes:
    """Return a certificate signing request for *names* as PEM; *key* is PEM too.

    The subject is empty: authorities take the names from the SANs, and the newer profiles
    refuse a common name.
    """
    builder = x509.CertificateSigningRequestBuilder(x509.Name([]))
    request = builder.add_extension(alternative_names(names), critical=False)
    return request.sign(signing_key(key), SHA256()).public_bytes(Encoding.PEM)


def self_signed(
    names: Sequence[str], key: bytes, now: datetime, lifetime: timedelta
) -> KeyAndChain:
    """Return a certificate for *names*, signed by its own *key* (PEM), from *now* on.

    Clients accept it only after they were told to trust it.
    """
    signer = signing_key(key)
    identifier = x509.SubjectKeyIdentifier.from_public_key(signer.public_key())
    builder = (
        x509.CertificateBuilder(subject_name(names), subject_name(names), signer.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(alternative_names(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(SIGNATURE_ONLY, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier(identifier.key_identifier, None, None), critical=False
        )
    )
    return KeyAndChain(key, certificate_pem(builder.sign(signer, SHA256())))


SIGNATURE_ONLY = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def subject_name(names: Sequence[str]) -> x509.Name:
    """Return the subject of a self-signed certificate; it must not be empty (RFC 5280 4.1.2.4)."""
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "proxygen self-signed")]
    if len(names[0]) <= LONGEST_COMMON_NAME and not is_address(names[0]):
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, names[0]))
    return x509.Name(attributes)


def alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    """Return *names* (A-labels, addresses) as SANs, each once."""
    return x509.SubjectAlternativeName(list(map(general_name, dict.fromkeys(names))))


def general_name(name: str) -> x509.GeneralName:
    """Return a name as a SAN (RFC 5280 section 4.2.1.6)."""
    return x509.IPAddress(ip_address(name)) if is_address(name) else x509.DNSName(name)


def signing_key(pem: bytes) -> SigningKey:
    """Return a private key that signs with SHA-256 (RSA, ECDSA); raise IssueFailed for another."""
    key = key_of(pem)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise IssueFailed(material_refusal("key-of-unknown-kind"))
    return key


def chain_of(pair: KeyAndChain) -> tuple[x509.Certificate, ...]:
    """Return the certificates of *pair*, at least one, leaf first; raise IssueFailed."""
    if len(pair.fullchain) > LARGEST:
        raise IssueFailed(material_refusal("large-chain", most=LARGEST // 1024))
    if pair.fullchain.count(b"-----BEGIN ") > MOST_CERTIFICATES:
        raise IssueFailed(material_refusal("many-in-chain", most=MOST_CERTIFICATES))
    with unreadable_as("chain-unreadable"):
        return tuple(x509.load_pem_x509_certificates(pair.fullchain))


def key_of(pem: bytes) -> PrivateKey:
    """Return the private key in *pem*, which is not encrypted; raise IssueFailed.

    The key is one of ours, or was validated when it was read, so the seconds that validating an RSA
    key takes are not spent again.
    """
    with unreadable_as("key-unreadable"):
        return load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)


def key_pem(key: PrivateKey) -> bytes:
    """Return a private key as PKCS#8 PEM, without a password."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM)


def der(certificate: x509.Certificate) -> bytes:
    """Return a certificate as DER, by which certificates are also sorted."""
    return certificate.public_bytes(Encoding.DER)


def spki(key: PublicKey) -> bytes:
    """Return the SubjectPublicKeyInfo of a public key as DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def public_key(certificate: x509.Certificate) -> bytes | None:
    """Return the SubjectPublicKeyInfo as DER, None if the key is of an unknown kind."""
    try:
        return spki(certificate.public_key())
    except Exception:  # noqa: BLE001 - the certificate comes from outside; see `readable`
        return None


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Return whether *certificate* names *issuer* as its issuer and was signed with its key.

    If the hash is weak, the key identifiers are compared instead: roots are still signed with such,
    and the library does not verify these signatures. ``verdicts`` refuses all others.
    """
    if certificate.issuer != issuer.subject:
        return False
    try:
        if has_weak_signature(certificate):
            return is_identified_by(certificate, issuer)
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 - whatever the reason, a client cannot verify it either
        return False
    return True


def has_weak_signature(certificate: x509.Certificate) -> bool:
    """Return whether it was signed with MD5 or SHA-1, which can be forged (RFC 9155)."""
    algorithm = certificate.signature_hash_algorithm
    return algorithm is not None and algorithm.name in WEAK_HASHES


def is_identified_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Return whether the key identifiers match, or one of them is missing."""
    authority = extension_of(certificate, x509.AuthorityKeyIdentifier)
    own = extension_of(issuer, x509.SubjectKeyIdentifier)
    named = authority.key_identifier if authority else None
    return named is None or own is None or named == own.digest


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Return whether the certificate is its own issuer."""
    return is_issued_by(certificate, certificate)


def extension_of(certificate: x509.Certificate, kind: type[E]) -> E | None:
    """Return the extension of that kind, None if the certificate has none."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the DNS names among the SANs, in lower case and sorted."""
    sans = extension_of(certificate, x509.SubjectAlternativeName)
    present = sans.get_values_for_type(x509.DNSName)[:MOST_NAMES] if sans else []
    return tuple(sorted(filter(DNS_NAME.fullmatch, {name.lower() for name in present})))


def covered_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the SANs by which clients recognise a server, sorted.

    DNS names are in lower case, addresses in their shortest form (RFC 5952). A DNS name spelled
    like an address is left out: clients compare addresses with addresses (RFC 9525 section 6.5).
    """
    sans = extension_of(certificate, x509.SubjectAlternativeName)
    addresses = sans.get_values_for_type(x509.IPAddress)[:MOST_NAMES] if sans else []
    hosts = {name for name in dns_names(certificate) if not name.rpartition(".")[2].isdigit()}
    return tuple(sorted({*hosts, *map(str, addresses)}))


def attribute_words(name: x509.Name, *oids: x509.ObjectIdentifier) -> str:
    """Return the first of the attributes *oids* in *name*, printable, at most 100 characters."""
    for oid in oids:
        for attribute in name.get_attributes_for_oid(oid):
            return "".join(filter(str.isprintable, str(attribute.value)))[:100]
    return ""


def identity_of(leaf: bytes) -> dict[str, str]:
    """Return ``identity_facts`` of a certificate in DER form; raise IssueFailed."""
    with unreadable_as("certificate-unreadable"):
        return identity_facts(x509.load_der_x509_certificate(leaf))


def identity_facts(certificate: x509.Certificate) -> dict[str, str]:
    """Return title, issuer and end of a certificate, as the facts of a failure."""
    return {
        "title": certificate_title(certificate),
        "issuer": attribute_words(
            certificate.issuer, NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME
        )
        or "?",
        "end": f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
    }


def certificate_title(certificate: x509.Certificate) -> str:
    """Return what messages call a certificate: its common name, or its first SAN."""
    common_name = attribute_words(
        certificate.subject, NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME
    )
    return common_name or next(iter(covered_names(certificate)), "") or "?"


def key_kind(key: PublicKey) -> str:
    """Return the type of a public key, as ``KeyType`` spells it if it is one."""
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa-{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ecdsa-{CURVE_NAMES.get(key.curve.name, key.curve.name)}"
    return type(key).__name__.removesuffix("PublicKey").lower()
