"""Certificates of every kind, made on the spot."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proxygen.model.certificate import KeyAndChain

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SERVER = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
CLIENT = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
DEFAULT = object()


BITS = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def usage(**true: bool) -> x509.KeyUsage:
    """Return a key usage in which only the named bits are set."""
    return x509.KeyUsage(**dict.fromkeys(BITS, False) | true)


SIGNS = usage(digital_signature=True)
SIGNS_CERTIFICATES = usage(key_cert_sign=True, crl_sign=True)


@functools.cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the RSA key of that size, made once: they take long."""
    return rsa.generate_private_key(65537, bits)


def ec_key() -> ec.EllipticCurvePrivateKey:
    """Return a new P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Any) -> bytes:
    """Return a key as PKCS#8 PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pem(*certificates: x509.Certificate) -> bytes:
    """Return certificates as PEM."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key."""

    key: Any
    certificate: x509.Certificate

    def pair(self, *chain: Issued) -> KeyAndChain:
        """Return what a server would present, with *chain* behind."""
        rest = [issuer.certificate for issuer in chain]
        return KeyAndChain(key_pem(self.key), pem(self.certificate, *rest))


def make(
    common_name: str,
    issuer: Issued | None = None,
    *,
    names: Sequence[str] = (),
    key: Any = None,
    ca: bool | None = False,
    path_length: int | None = None,
    start: datetime = NOON - DAY,
    end: datetime = NOON + 30 * DAY,
    key_usage: Any = DEFAULT,
    purposes: x509.ExtendedKeyUsage | None = None,
    hash_with: Any = DEFAULT,
    identifiers: bool = True,
) -> Issued:
    """Return a certificate signed by *issuer*, or by itself.

    It has the *identifiers* of its key and its issuer's, which RFC 5280 section 4.2.1 wants.
    """
    key = key or ec_key()
    signer = issuer.key if issuer else key
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(issuer.certificate.subject if issuer else own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    if identifiers:
        own_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(own_id, critical=False)
        builder = builder.add_extension(issuer_id, critical=False)
    if names:
        sans = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(sans, critical=False)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
    if key_usage is DEFAULT:
        key_usage = SIGNS_CERTIFICATES if ca else SIGNS
    for extension in filter(None, (key_usage, purposes)):
        # RFC 5280 section 4.2.1.3: a CA's key usage should be critical.
        builder = builder.add_extension(extension, critical=extension is key_usage)
    algorithm = SHA256() if hash_with is DEFAULT else hash_with
    return Issued(key, builder.sign(signer, algorithm))


def root(**more: Any) -> Issued:
    """Return a root CA."""
    return make("Root", ca=True, **more)


def intermediate(issuer: Issued, name: str = "Intermediate", **more: Any) -> Issued:
    """Return a CA below *issuer*."""
    return make(name, issuer, ca=True, **more)


def leaf(issuer: Issued | None, *names: str, **more: Any) -> Issued:
    """Return a server's certificate for *names*."""
    return make(names[0], issuer, names=names, **{"purposes": SERVER} | more)


def openssl(*arguments: str | Path) -> bytes:
    """Run the openssl program and return what it says."""
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


def by_openssl(
    folder: Path, issuer: Issued | None, common_name: str, digest: str, *extensions: str
) -> Issued:
    """Return a certificate made by the openssl program, which signs with weak hashes too."""
    own, ca = folder / f"{common_name}.key", folder / "issuer.pem"
    own.write_bytes(key_pem(key := ec_key()))
    signer: list[str | Path] = []
    if issuer:
        ca.write_bytes(key_pem(issuer.key) + pem(issuer.certificate))
        signer = ["-CA", ca, "-CAkey", ca]
    made = openssl(
        *("req", "-x509", "-new", "-key", own, "-subj", f"/CN={common_name}", digest),
        *(*signer, "-days", "1000"),
        *(word for extension in extensions for word in ("-addext", extension)),
    )
    return Issued(key, x509.load_pem_x509_certificate(made))
