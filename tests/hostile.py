"""Hostile key material, made on the spot: small files that would take minutes or gigabytes."""

from __future__ import annotations

import base64
from pathlib import Path
from random import Random

from tests.certificates import intermediate, leaf, openssl, pem, root

OID_RSA = bytes.fromhex("06092a864886f70d010101")
OID_DH = bytes.fromhex("06092a864886f70d010301")
OID_PBES2 = bytes.fromhex("06092a864886f70d01050d")
OID_SCRYPT = bytes.fromhex("06092b06010401da47040b")
OID_AES_256_CBC = bytes.fromhex("060960864801650304012a")
NULL = b"\x05\x00"
ABSURD = 2**31 - 1
NAME = "www.a.example"


def element(tag: int, *parts: bytes) -> bytes:
    """Return an element of DER."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def sequence(*parts: bytes) -> bytes:
    """Return a SEQUENCE."""
    return element(0x30, *parts)


def integer(number: int) -> bytes:
    """Return an INTEGER."""
    return element(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def armored(der: bytes, label: str = "PRIVATE KEY") -> bytes:
    """Return PEM."""
    text = base64.encodebytes(der)
    return f"-----BEGIN {label}-----\n".encode() + text + f"-----END {label}-----\n".encode()


def rsa_der(bits: int) -> bytes:
    """Return an RSA key of so many bits (PKCS#8), whose numbers look like primes at first sight."""
    chance = Random(bits)
    p, q = (chance.getrandbits(bits // 2) | 1 << (bits // 2 - 1) | 1 for _ in range(2))
    numbers = (p * q, 65537, p - 2, p, q, p // 3, q // 3, p // 5)
    key = sequence(integer(0), *map(integer, numbers))
    return sequence(integer(0), sequence(OID_RSA, NULL), element(0x04, key))


def dh_der(bits: int = 8000) -> bytes:
    """Return a Diffie-Hellman key (PKCS#8), whose public half has to be computed."""
    chance = Random(1)
    p, x = (chance.getrandbits(bits) | 1 << (bits - 1) | 1 for _ in range(2))
    parameters = sequence(OID_DH, sequence(integer(p), integer(2)))
    return sequence(integer(0), parameters, element(0x04, integer(x >> 2)))


def mac_of(der: bytes, rounds: int, *, hidden: bool) -> bytes:
    """Return a PKCS#12 file whose MAC takes another number of iterations.

    *hidden*: a part before it is of indefinite length (BER), as some programs write.
    """
    version, safe, mac = parts(der[header(der, 0) :])
    digest, salt, _ = parts(mac[header(mac, 0) :])
    if hidden:
        safe = b"\x30\x80" + safe[header(safe, 0) :] + b"\0\0"
    return sequence(version, safe, sequence(digest, salt, integer(rounds)))


def parts(der: bytes) -> list[bytes]:
    """Return the elements that stand one after the other."""
    found = []
    while der:
        end = header(der, 0) + size(der, 0)
        found.append(der[:end])
        der = der[end:]
    return found


def header(der: bytes, at: int) -> int:
    """Return how many octets stand before the content of the element at a place."""
    return 2 + (der[at + 1] & 0x7F if der[at + 1] & 0x80 else 0)


def size(der: bytes, at: int) -> int:
    """Return the size of the content of the element at a place."""
    if not der[at + 1] & 0x80:
        return der[at + 1]
    return int.from_bytes(der[at + 2 : at + header(der, at)], "big")


def pkcs12(folder: Path, rounds: int, *, hidden: bool = False) -> bytes:
    """Return a PKCS#12 file without a password, whose MAC takes so many iterations."""
    authority = intermediate(root())
    (folder / "made.pem").write_bytes(leaf(authority, NAME).pair(authority).pem)
    made = openssl("pkcs12", "-export", "-in", folder / "made.pem", "-passout", "pass:")
    return mac_of(made, rounds, hidden=hidden)


def scrypt(cost: int) -> bytes:
    """Return a key whose password is stretched by scrypt with that cost (N)."""
    stretched = sequence(OID_SCRYPT, sequence(element(0x04, bytes(8)), *map(integer, (cost, 8, 1))))
    cipher = sequence(OID_AES_256_CBC, element(0x04, bytes(16)))
    scheme = sequence(OID_PBES2, sequence(stretched, cipher))
    return armored(sequence(scheme, element(0x04, bytes(64))), "ENCRYPTED PRIVATE KEY")


def certificate() -> bytes:
    """Return a certificate that is right."""
    return pem(leaf(intermediate(root()), NAME).certificate)
