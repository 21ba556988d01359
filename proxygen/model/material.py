"""The contents of certificate files: keys and certificates in PEM, DER and PKCS#12."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes as PrivateKey
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_pem_private_key,
    pkcs12,
)

from proxygen.errors import IssueFailed
from proxygen.failure import Failure, NotObtained, Value, not_obtained
from proxygen.model.parameters import LONGEST_NUMBER, costly_parameters

LARGEST = 1024 * 1024
MOST_CERTIFICATES = 20
# Checking an RSA key takes time in the fourth power of its length: 8192 bits are a few seconds.
LARGEST_KEY = 8 * 1024
MOST_KEYS = 4

DELIMITER = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 #]{1,40})-----")
SEQUENCE = rb"\x30(?:[\x00-\x80]|\x81.|\x82..|\x83...|\x84....)"
# PFX ::= SEQUENCE { version INTEGER (3), authSafe SEQUENCE … (RFC 7292 section 4).
PFX = re.compile(SEQUENCE + rb"\x02\x01\x03\x30", re.DOTALL)
# A key begins with a version, an encrypted one with its algorithm (RFC 5958, 5915, 8017).
DER_KEY = re.compile(SEQUENCE + rb"[\x02\x30]", re.DOTALL)
CERTIFICATES = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")


@dataclass(frozen=True, slots=True)
class PemBlock:
    """One PEM block: its label, and the text between its delimiters."""

    label: str
    body: bytes

    @property
    def der(self) -> bytes:
        """The octets that the block encodes; empty if it is not base64, or has headers."""
        text = b"".join(self.body.split())
        try:
            return b"" if b":" in text else binascii.a2b_base64(text)
        except ValueError:
            return b""

    @property
    def pem(self) -> bytes:
        """The block as every reader accepts it, whatever line ends it had."""
        lines = [line.strip() for line in self.body.splitlines()]
        headers = [line for line in lines if b":" in line]
        text = b"".join(b"".join(line.split()) for line in lines if b":" not in line)
        wrapped = [text[start : start + 64] for start in range(0, len(text), 64)]
        label = self.label.encode()
        begin, end = b"-----BEGIN %b-----" % label, b"-----END %b-----" % label
        return b"\n".join([begin, *headers, *([b""] if headers else []), *wrapped, end, b""])


@dataclass(frozen=True, slots=True)
class Material:
    """Everything found, each with the name of its file; *others* are labels of no use here."""

    keys: tuple[tuple[str, PrivateKey], ...]
    certificates: tuple[tuple[str, x509.Certificate], ...]
    others: tuple[str, ...]


def read_material(contents: Sequence[tuple[str, bytes]], password: bytes | None) -> Material:
    """Return what the files hold, in their order; *contents* are file names with bytes.

    Raise IssueFailed, which names the file, for what cannot be read, for a wrong or missing
    password, and for too large or too many files.
    """
    if sum(len(data) for _, data in contents) > LARGEST:
        raise IssueFailed(
            material_refusal("files-too-large", files=file_names(contents), most=LARGEST // 1024)
        )
    keys: list[tuple[str, PrivateKey]] = []
    certificates: list[tuple[str, x509.Certificate]] = []
    others: list[str] = []
    for file, data in contents:
        for thing in read_file(file, data, password):
            if isinstance(thing, x509.Certificate):
                certificates.append((file, thing))
            elif isinstance(thing, str):
                others.append(thing)
            else:
                keys.append((file, thing))
        if len(certificates) > MOST_CERTIFICATES:
            raise IssueFailed(
                material_refusal("many-certificates", file=file, most=MOST_CERTIFICATES)
            )
    return Material(tuple(keys), tuple(certificates), tuple(dict.fromkeys(others)))


def read_file(
    file: str, data: bytes, password: bytes | None
) -> Iterator[PrivateKey | x509.Certificate | str]:
    """Yield the keys and certificates of one file, recognized by its content, not by its name."""
    if not data.strip():
        raise IssueFailed(material_refusal("file-empty", file=file))
    if DELIMITER.search(data):
        yield from from_pem(file, data, password)
    elif PFX.match(data):
        yield from from_pkcs12(file, data, password)
    else:
        yield from_der(file, data, password)


def from_pem(
    file: str, data: bytes, password: bytes | None
) -> Iterator[PrivateKey | x509.Certificate | str]:
    """Yield what the PEM blocks hold; for a label of no use here, the label."""
    found = tuple(pem_blocks(file, data))
    if sum("PRIVATE KEY" in block.label for block in found) > MOST_KEYS:
        raise IssueFailed(material_refusal("many-keys", file=file, most=MOST_KEYS))
    if sum(block.label in CERTIFICATES for block in found) > MOST_CERTIFICATES:
        raise IssueFailed(material_refusal("many-certificates", file=file, most=MOST_CERTIFICATES))
    for block in found:
        if block.label.endswith("PRIVATE KEY"):
            yield private_key(file, block.pem, password, block.der)
        elif block.label in CERTIFICATES:
            yield certificate_of(file, block)
        else:
            yield block.label


def pem_blocks(file: str, data: bytes) -> Iterator[PemBlock]:
    """Yield the PEM blocks (RFC 7468) in one pass; the text around them is ignored."""
    begin: re.Match[bytes] | None = None
    for mark in DELIMITER.finditer(data):
        is_end = mark[1] == b"END"
        if is_end and begin and begin[2] == mark[2]:
            yield PemBlock(mark[2].decode(), data[begin.end() : mark.start()])
        elif begin or is_end:
            label = (begin or mark)[2].decode()
            raise IssueFailed(material_refusal("block-incomplete", file=file, label=label))
        begin = None if is_end else mark
    if begin:
        label = begin[2].decode()
        raise IssueFailed(material_refusal("block-without-end", file=file, label=label))


def certificate_of(file: str, block: PemBlock) -> x509.Certificate:
    """Return the certificate of a block."""
    if block.label == "TRUSTED CERTIFICATE":
        raise IssueFailed(material_refusal("trusted-certificate", file=file))
    with unreadable_as("file-certificate-unreadable", file=file):
        return modest_certificate(
            file, x509.load_pem_x509_certificate(PemBlock("CERTIFICATE", block.body).pem)
        )


def modest_certificate(file: str, found: x509.Certificate) -> x509.Certificate:
    """Return a certificate whose key clients can use in time; raise IssueFailed for another."""
    try:
        public = found.public_key()
    except Exception:  # noqa: BLE001 - of an unknown kind; see `readable`
        return found
    if isinstance(public, RSAPublicKey) and public.key_size > LONGEST_NUMBER:
        bits, most = public.key_size, LONGEST_NUMBER
        raise IssueFailed(
            material_refusal("large-certificate-key", file=file, bits=bits, most=most)
        )
    return found


def read_cheaply(code: str, file: str, der: bytes) -> None:
    """Raise IssueFailed if reading a key would cost too much."""
    if why := costly_parameters(der):
        raise IssueFailed(material_refusal(code, parts=(why,), file=file))


def private_key(file: str, data: bytes, password: bytes | None, der: bytes) -> PrivateKey:
    """Return the private key in *data*, PEM or DER; *der* is its DER form in any case.

    A password that is not needed is ignored.
    """
    load = load_pem_private_key if data.startswith(b"-----") else load_der_private_key
    if len(data) > LARGEST_KEY:
        raise IssueFailed(material_refusal("large-key", file=file, most=LARGEST_KEY // 1024))
    read_cheaply("key-costly", file, der)
    with unreadable_as("file-key-unreadable", file=file):
        try:
            return load(data, None)
        except TypeError:  # it is encrypted
            if not password:
                raise IssueFailed(material_refusal("key-encrypted", file=file)) from None
    with unreadable_as("file-key-password", file=file):
        return load(data, password)


def from_pkcs12(
    file: str, data: bytes, password: bytes | None
) -> Iterator[PrivateKey | x509.Certificate]:
    """Yield what a PKCS#12 file holds; a file without a password opens with any."""
    loaded = open_pkcs12(file, data, password)
    if loaded.key:
        yield loaded.key
    for entry in (loaded.cert, *loaded.additional_certs):
        if entry:
            yield modest_certificate(file, entry.certificate)


def open_pkcs12(file: str, data: bytes, password: bytes | None) -> pkcs12.PKCS12KeyAndCertificates:
    """Return the contents of a PKCS#12 file."""
    read_cheaply("pkcs12-costly", file, data)
    with unreadable_as("pkcs12-password" if password else "pkcs12-without-password", file=file):
        try:
            return pkcs12.load_pkcs12(data, password or None)
        except ValueError:
            if not password:
                raise
            return pkcs12.load_pkcs12(data, None)


def from_der(file: str, data: bytes, password: bytes | None) -> PrivateKey | x509.Certificate:
    """Return the certificate or the key in a DER file."""
    try:
        found = x509.load_der_x509_certificate(data)
    except MemoryError:
        raise
    except Exception as error:
        # See `readable`: no certificate, whatever the reason.
        if not DER_KEY.match(data):
            raise IssueFailed(material_refusal("no-material", file=file)) from error
        return private_key(file, data, password, data)
    return modest_certificate(file, found)


@contextmanager
def unreadable_as(code: str, **facts: Value) -> Iterator[None]:
    """Raise IssueFailed, with the library's words, for what cannot be read in a block."""
    try:
        yield
    except (IssueFailed, MemoryError):
        raise
    except Exception as error:
        # Input from outside: the library names neither all its errors nor a common parent.
        words = str(error)[:300] or repr(error)
        raise IssueFailed(
            replace(material_refusal(code), facts=tuple(facts.items()), words=words)
        ) from error


def material_refusal(code: str, parts: tuple[Failure, ...] = (), **facts: Value) -> NotObtained:
    """Return the failure of a file that stays wrong until somebody changes it."""
    return replace(not_obtained(code, parts=parts, final=True), facts=tuple(facts.items()))


def file_names(contents: Sequence[tuple[str, bytes]]) -> str:
    """Return the names of the files, for a message."""
    return ", ".join(dict.fromkeys(file for file, _ in contents)) or "no file"
