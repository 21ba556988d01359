"""Authority: a small CA that makes the certificates which administrators supply as files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.live.processes import made

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
CA_USAGE = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
LEAF_USAGE = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
HOUR, MONTH = timedelta(hours=1), timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Issued:
    """What an administrator is sent: *key*, *leaf* and *intermediate*, each PEM."""

    key: bytes
    leaf: bytes
    intermediate: bytes

    @property
    def fullchain(self) -> bytes:
        """The leaf, then the intermediate."""
        return self.leaf + self.intermediate

    @property
    def certificate(self) -> x509.Certificate:
        """The leaf as a value."""
        return x509.load_pem_x509_certificate(self.leaf)


@dataclass(frozen=True, slots=True)
class Party:
    """A CA's certificate with its key."""

    certificate: x509.Certificate
    key: Key


class Authority:
    """A root and one intermediate; both are made when they are first needed."""

    def __init__(self, name: str = "Test CA") -> None:
        self.name = name

    @cached_property
    def root(self) -> Party:
        """The self-signed root."""
        key = new_key()
        name = f"{self.name} Root"
        builder = blank(name, key, issuer=name, signer=key, not_before=None, not_after=None)
        return Party(as_ca(builder, key).sign(key, SHA256()), key)

    @cached_property
    def intermediate(self) -> Party:
        """The CA that signs leaves."""
        key = new_key()
        name, issuer = f"{self.name} Intermediate", f"{self.name} Root"
        signer = self.root.key
        builder = blank(name, key, issuer=issuer, signer=signer, not_before=None, not_after=None)
        return Party(as_ca(builder, key).sign(signer, SHA256()), key)

    @property
    def root_pem(self) -> bytes:
        """The root as PEM: what a client trusts."""
        return pem(self.root.certificate)

    def issue(
        self,
        *names: str,
        key: Key | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> Issued:
        """Return a certificate for *names*, valid from an hour ago for 30 days by default."""
        own = key or new_key()
        builder = blank(
            names[0],
            own,
            issuer=f"{self.name} Intermediate",
            signer=self.intermediate.key,
            not_before=not_before,
            not_after=not_after,
        )
        leaf = as_leaf(builder, names).sign(self.intermediate.key, SHA256())
        return Issued(key_pem(own), pem(leaf), pem(self.intermediate.certificate))


def new_key() -> Key:
    """Return a new P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def blank(
    name: str | x509.Name,
    key: Key,
    *,
    issuer: str,
    signer: Key,
    not_before: datetime | None,
    not_after: datetime | None,
) -> x509.CertificateBuilder:
    """Return what every certificate has: names, times, serial number, key identifiers."""
    now = datetime.now(UTC).replace(microsecond=0)
    subject_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    authority_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(common_name(name) if isinstance(name, str) else name)
        .issuer_name(common_name(issuer))
        .not_valid_before(not_before or now - HOUR)
        .not_valid_after(not_after or now + MONTH)
        .serial_number(x509.random_serial_number())
        .public_key(key.public_key())
        .add_extension(subject_id, critical=False)
        .add_extension(authority_id, critical=False)
    )


def as_ca(builder: x509.CertificateBuilder, key: Key) -> x509.CertificateBuilder:
    """Return *builder* with what lets a certificate sign others (RFC 5280 section 4.2.1)."""
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    return builder.add_extension(constraints, critical=True).add_extension(CA_USAGE, critical=True)


def as_leaf(
    builder: x509.CertificateBuilder,
    names: tuple[str, ...],
    usages: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.SERVER_AUTH,),
) -> x509.CertificateBuilder:
    """Return *builder* with what a TLS server's certificate has, or one for other *usages*."""
    constraints = x509.BasicConstraints(ca=False, path_length=None)
    sans = x509.SubjectAlternativeName([general_name(name) for name in names])
    usage = x509.ExtendedKeyUsage(usages)
    return (
        builder.add_extension(constraints, critical=True)
        .add_extension(LEAF_USAGE, critical=True)
        .add_extension(sans, critical=False)
        .add_extension(usage, critical=False)
    )


def general_name(name: str) -> x509.GeneralName:
    """Return *name* as an address if it is one, else as a host name."""
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def common_name(name: str) -> x509.Name:
    """Return a name of one attribute, at most the 64 characters that X.520 allows."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def pem(certificate: x509.Certificate) -> bytes:
    """Return *certificate* as PEM."""
    return certificate.public_bytes(Encoding.PEM)


def key_pem(key: Key) -> bytes:
    """Return *key* as PKCS#8 PEM, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def snakeoil(root: Path) -> tuple[Path, Path]:
    """Return the paths of a certificate and key of no worth, as Debian's ssl-cert makes them."""
    certificate = root / "etc/ssl/certs/ssl-cert-snakeoil.pem"
    key = root / "etc/ssl/private/ssl-cert-snakeoil.key"
    if not certificate.exists():
        issued = Authority("Snake Oil").issue("localhost")
        write_private(key, issued.key)
        made(certificate.parent)
        certificate.write_bytes(issued.fullchain)
    return certificate, key


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that its owner alone can read."""
    made(path.parent)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
