"""Trusted roots are bounded before a library parses them."""

from __future__ import annotations

import ssl

import pytest

from proxygen.errors import IssueFailed
from proxygen.model.roots import LARGEST_ROOT, MOST, roots
from tests import hostile
from tests.certificates import pem, root

ONE, TWO = root(), root()
GOOD = pem(ONE.certificate, TWO.certificate)


def loaded(der: bytes) -> int:
    """Return how many certificates OpenSSL finds."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=der)
    return len(context.get_ca_certs())


def test_the_certificates_of_a_file_are_found_whatever_stands_around_them() -> None:
    text = "# Première autorité\n".encode() + GOOD + hostile.armored(b"0\0", "X509 CRL")
    assert loaded(roots("ca.pem", text.replace(b"\n", b"\r\n"))) == 2


def a_key_of(der: bytes) -> bytes:
    """Return what begins as a certificate with a public key (RFC 5280 section 4.1)."""
    key = hostile.element(0x03, b"\0" + der)
    body = hostile.sequence(hostile.integer(1), hostile.sequence(hostile.OID_RSA, key))
    return hostile.armored(hostile.sequence(body), "CERTIFICATE")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(b"", "no CA certificate", id="empty"),
        pytest.param(b"\x30\x82" * 99, "no CA certificate", id="no PEM"),
        pytest.param(hostile.armored(b"0\0"), "no CA certificate", id="a key"),
        pytest.param(GOOD[:-40], "has no end", id="cut off"),
        pytest.param(
            hostile.armored(b"", "CERTIFICATE"), "is not in PEM format", id="nothing in it"
        ),
        pytest.param(pem(ONE.certificate) * (MOST + 1), "more than 500", id="many"),
        pytest.param(
            hostile.armored(hostile.sequence(bytes(LARGEST_ROOT)), "CERTIFICATE"),
            "larger than 16 KiB",
            id="large",
        ),
        pytest.param(
            a_key_of(hostile.sequence(hostile.integer(1 << 9000), hostile.integer(3))),
            "8192 are supported for RSA",
            id="long key",
        ),
        pytest.param(
            hostile.armored(hostile.dh_der(), "CERTIFICATE"), "8192|Diffie-Hellman", id="DH"
        ),
    ],
)
def test_what_no_authority_has_is_refused_unparsed(text: bytes, words: str) -> None:
    with pytest.raises(IssueFailed, match=words) as caught:
        roots("ca.pem", GOOD + text if b"BEGIN CERT" in text else text)
    assert caught.value.failure.final
    assert "ca.pem" in caught.value.what
    assert caught.value.remedy
