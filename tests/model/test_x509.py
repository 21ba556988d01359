"""Keys, requests and certificates: made, and described as they are."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from proxygen.errors import IssueFailed, Origin
from proxygen.model.certificate import Authority, Certificate, KeyAndChain, KeyType
from proxygen.model.inspection import inspect_pair
from proxygen.model.x509 import (
    chain_of,
    describe_bundle,
    key_for,
    key_of,
    key_type_of,
    new_key,
    self_signed,
    signing_request,
    unique_identifier,
)
from tests.certificates import DAY, NOON, intermediate, key_pem, leaf, make, openssl, root, rsa_key
from tests.live.needs import needs

WANTED = Certificate(
    owner="a.example",
    names=("www.a.example", "a.example"),
    issuer="acme",
    origin=Origin("m.yaml", 1, 1),
)
ASKED = Authority("https://ca.example/dir", "short")
CA = intermediate(root())


@pytest.mark.parametrize("key_type", list(KeyType))
def test_a_new_key_is_of_its_type(key_type):
    made = new_key(key_type)
    assert made.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert key_type_of(made) == key_type


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"garbage",
        key_pem(rsa_key(1024)),
        key_pem(ed25519.Ed25519PrivateKey.generate()),
        key_pem(ec.generate_private_key(ec.SECP521R1())),
    ],
)
def test_a_key_that_cannot_be_asked_for_has_no_type(pem):
    assert key_type_of(pem) is None


@pytest.mark.parametrize(
    ("keep", "former", "kept"),
    [
        pytest.param(True, new_key(KeyType.ECDSA_P256), True, id="kept"),
        pytest.param(False, new_key(KeyType.ECDSA_P256), False, id="not to be kept"),
        pytest.param(True, new_key(KeyType.ECDSA_P384), False, id="another type is wanted"),
        pytest.param(True, b"damaged", False, id="damaged"),
        pytest.param(True, None, False, id="the first one"),
    ],
)
def test_key_for(keep, former, kept):
    wanted = Certificate("global", ("a.example",), "acme", WANTED.origin, keep_key=keep)
    key = key_for(wanted, former and KeyAndChain(former, b""))
    assert (key == former) is kept
    assert key_type_of(key) == KeyType.ECDSA_P256


def test_a_signing_request_names_all_in_the_sans_and_nothing_in_the_subject():
    key = new_key(KeyType.ECDSA_P256)
    request = x509.load_pem_x509_csr(signing_request(key, (*WANTED.names, "a.example")))
    assert request.is_signature_valid
    assert request.public_key() == key_of(key).public_key()
    assert list(request.subject) == []
    (sans,) = request.extensions
    assert sans.value.get_values_for_type(x509.DNSName) == ["www.a.example", "a.example"]


def test_a_key_that_cannot_sign_requests_is_refused():
    with pytest.raises(IssueFailed, match="neither RSA nor ECDSA"):
        signing_request(key_pem(ed25519.Ed25519PrivateKey.generate()), WANTED.names)


@pytest.mark.parametrize("key_type", [KeyType.ECDSA_P256, KeyType.RSA_2048])
def test_a_self_signed_certificate_has_nothing_wrong_but_its_issuer(key_type):
    key = key_pem(rsa_key()) if key_type is KeyType.RSA_2048 else new_key(key_type)
    pair = self_signed(WANTED.names, key, NOON, 90 * DAY)
    assert [v.check for v in inspect_pair(pair, WANTED.names, NOON) if not v.ok] == ["chain"]
    trusting = inspect_pair(pair, WANTED.names, NOON - timedelta(minutes=30), roots=pair.fullchain)
    assert all(verdict.ok for verdict in trusting)
    (certificate,) = chain_of(pair)
    assert certificate.not_valid_after_utc == NOON + 90 * DAY
    assert certificate != chain_of(self_signed(WANTED.names, key, NOON, 90 * DAY))[0]


@needs("openssl")
def test_a_client_that_trusts_the_self_signed_certificate_accepts_it(tmp_path):
    long = f"{'a' * 60}.{'b' * 60}.example"
    pair = self_signed((long, "a.example"), new_key(KeyType.ECDSA_P256), NOON, DAY)
    file = tmp_path / "self.pem"
    file.write_bytes(pair.fullchain)
    said = openssl(
        *("verify", "-x509_strict", "-purpose", "sslserver", "-attime", str(int(NOON.timestamp()))),
        *("-verify_hostname", "a.example", "-CAfile", file, file),
    )
    assert said.endswith(b": OK\n")


def test_describe_tells_the_facts():
    issued = leaf(CA, "b.example", "A.example")
    pair = issued.pair(CA)
    bundle = describe_bundle(pair, WANTED, ASKED, stand_in=True)
    public = issued.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert bundle.owner == "a.example"
    assert bundle.names == ("a.example", "b.example")
    assert (bundle.issuer, bundle.authority, bundle.profile) == (
        "acme",
        "https://ca.example/dir",
        "short",
    )
    assert bundle.issued_by == "Intermediate"
    assert (bundle.not_before, bundle.not_after) == (NOON - DAY, NOON + 30 * DAY)
    assert int(bundle.serial, 16) == issued.certificate.serial_number
    assert bundle.fingerprint == issued.certificate.fingerprint(SHA256()).hex()
    assert bundle.spki == hashlib.sha256(public).hexdigest()
    assert bundle.digest == hashlib.sha256(pair.pem).hexdigest()
    assert bundle.key_type == "ecdsa-p256"
    assert bundle.stand_in


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (rsa_key(), "rsa-2048"),
        (ec.generate_private_key(ec.SECP384R1()), "ecdsa-p384"),
        (ed25519.Ed25519PrivateKey.generate(), "ed25519"),
    ],
)
def test_describe_names_every_type_of_key(key, kind):
    assert describe_bundle(leaf(CA, "a.example", key=key).pair(), WANTED).key_type == kind


def test_hostile_names_are_bounded_and_printable():
    many = [f"n{number}.example" for number in range(1500)]
    issuer = make("\x1b[31mred\n" + "x" * 50, ca=True)
    pair = leaf(
        issuer, "evil\n.example", "a" * 300 + ".example", "white space.example", *many
    ).pair()
    bundle = describe_bundle(pair, WANTED)
    assert len(bundle.names) <= 1000
    assert all(name.startswith("n") for name in bundle.names)
    assert bundle.issued_by.isprintable()
    assert len(bundle.issued_by) <= 100


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_what_cannot_be_described_is_an_issue_failed(key, chain):
    with pytest.raises(IssueFailed, match="cannot be read"):
        describe_bundle(KeyAndChain(key, chain), WANTED)


def with_serial(serial: int, key_identifier: bytes) -> x509.Certificate:
    """Return a certificate with that serial number and that identifier of its issuer's key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), serial, NOON, NOON + DAY)
    identifier = x509.AuthorityKeyIdentifier(key_identifier, None, None)
    return builder.add_extension(identifier, critical=False).sign(key, SHA256())


def test_the_unique_identifier_is_that_of_the_example_in_the_rfc():
    # RFC 9773 section 4.1: the serial number's DER keeps the zero that stands for the sign.
    key_identifier = bytes.fromhex("69885B6B87464041E1B37B847BA0AE2CDE01C8D4")
    found = unique_identifier(with_serial(0x87654321, key_identifier))
    assert found == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"


def test_a_certificate_that_does_not_name_its_issuers_key_has_no_unique_identifier():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOON, NOON + DAY)
    assert unique_identifier(builder.sign(key, SHA256())) == ""
