"""Key, leaf and chain are found in whatever files an administrator has."""

from __future__ import annotations

import warnings
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from proxygen.errors import IssueFailed
from proxygen.model.assembly import assemble
from tests.certificates import (
    DAY,
    NOON,
    ec_key,
    intermediate,
    key_pem,
    leaf,
    make,
    openssl,
    pem,
    root,
    rsa_key,
)
from tests.live.needs import needs

NAME = "a.example"
ROOT = root()
UPPER = intermediate(ROOT, "Upper")
LOWER = intermediate(UPPER, "Lower")
LEAF = leaf(LOWER, NAME)
STRANGER = leaf(None, "stranger.example")
PAIR = LEAF.pair(LOWER, UPPER)
KEY = key_pem(LEAF.key)
CHAIN = pem(LOWER.certificate, UPPER.certificate)
OWN = pem(LEAF.certificate)
PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
BLOCKS = [
    KEY,
    OWN,
    *(pem(issued.certificate) for issued in (LOWER, UPPER, ROOT, STRANGER, LOWER)),
    PARAMETERS,
    KEY,
]


def in_files(*contents: bytes) -> list[tuple[str, bytes]]:
    return [(f"{number}.pem", content) for number, content in enumerate(contents, 1)]


@given(st.permutations(BLOCKS), st.lists(st.integers(0, len(BLOCKS)), max_size=3))
@settings(max_examples=100, deadline=None)
def test_any_order_in_any_number_of_files_gives_the_same(shuffled, cuts):
    edges = sorted({0, *cuts, len(shuffled)})
    files = [b"".join(shuffled[a:b]) for a, b in pairwise(edges)]
    assert assemble(in_files(*files)) == PAIR


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(lambda text: text.replace(b"\n", b"\r"), id="CR"),
        pytest.param(lambda text: b"\xef\xbb\xbf" + text, id="byte order mark"),
        pytest.param(lambda text: b"Bag Attributes: <No>\n\xff " + text + b"\nbye", id="text"),
        pytest.param(lambda text: text.replace(b"\n", b"  \n \n"), id="blank lines and ends"),
        pytest.param(lambda text: text.rstrip(b"\n"), id="no last line end"),
        pytest.param(lambda text: text.replace(b"\n", b" "), id="all on one line"),
    ],
)
def test_what_editors_and_mails_do_to_pem_does_not_matter(change):
    assert assemble(in_files(change(OWN + KEY + CHAIN))) == PAIR


@pytest.mark.parametrize(
    ("files", "password", "words"),
    [
        pytest.param([], None, "no private key found in no file", id="no file"),
        pytest.param([b" \n"], None, "1.pem is empty", id="empty"),
        pytest.param([OWN, CHAIN], None, "no private key found in 1.pem, 2.pem", id="no key"),
        pytest.param([KEY], None, "no certificate found in 1.pem", id="no certificate"),
        pytest.param(
            [KEY + OWN, key_pem(ec_key())],
            None,
            "1.pem and 2.pem: there are two different",
            id="two keys",
        ),
        pytest.param(
            [KEY, pem(STRANGER.certificate) + CHAIN],
            None,
            "the private key in 1.pem belongs to none of the certificates: ",
            id="key of another certificate",
        ),
        pytest.param([b"hello"], None, "1.pem is neither PEM nor PKCS#12", id="text"),
        pytest.param([KEY[:-10]], None, "a PRIVATE KEY block has no end", id="cut"),
        pytest.param([OWN[:-30] + KEY], None, "a CERTIFICATE block is incomplete", id="cut within"),
        pytest.param(
            [KEY + OWN.replace(b"MII", b"AII")], None, "1.pem: a certificate cannot", id="damaged"
        ),
        pytest.param([KEY, OWN * 21], None, "2.pem: more than 20 certificates", id="many"),
        pytest.param([KEY * 5], None, "1.pem: more than 4 private keys", id="many keys"),
        pytest.param([KEY + b" " * 1024 * 1024], None, "more than 1024 KiB", id="huge"),
        pytest.param(
            [KEY + OWN.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE")],
            None,
            "TRUSTED CERTIFICATE block",
            id="the form only OpenSSL reads",
        ),
        pytest.param(
            [KEY, b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----"],
            None,
            "(found: CERTIFICATE REQUEST)",
            id="the request instead of the answer",
        ),
    ],
)
def test_what_is_wrong_is_said_with_the_file(files, password, words):
    with pytest.raises(IssueFailed) as caught:
        assemble(in_files(*files), password)
    assert words in str(caught.value)
    assert caught.value.failure.final
    assert caught.value.remedy


def test_a_lone_self_signed_leaf_is_kept_and_a_root_is_not():
    assert assemble(in_files(STRANGER.pair().pem)) == STRANGER.pair()
    by_root = leaf(ROOT, NAME)
    assert assemble(in_files(by_root.pair(ROOT).pem)) == by_root.pair()


def test_an_issuer_of_the_same_name_and_another_key_is_left_out():
    impostor = intermediate(UPPER, "Lower")
    assert assemble(in_files(LEAF.pair(impostor, UPPER, LOWER).pem)) == PAIR


def test_cross_signed_authorities_do_not_lead_in_circles():
    one, two = root(), make("Two", ca=True)
    crossed = [
        make("Root", two, ca=True, key=one.key, end=NOON + DAY),
        make("Two", one, ca=True, key=two.key, end=NOON + DAY),
    ]
    end = leaf(one, NAME)
    assert assemble(in_files(end.pair(*crossed).pem)) == end.pair(*crossed)
    assert assemble(in_files(end.pair(*crossed, one, two).pem)) == end.pair()


def test_the_newest_certificate_of_the_key_is_taken():
    renewed = leaf(LOWER, NAME, key=LEAF.key, start=NOON, end=NOON + timedelta(hours=1))
    for files in (OWN + pem(renewed.certificate), pem(renewed.certificate) + OWN):
        assert assemble(in_files(KEY, files, CHAIN)) == renewed.pair(LOWER, UPPER)


def test_der_files_are_told_by_their_content():
    key = LEAF.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    locked = LEAF.key.private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    certificate = LEAF.certificate.public_bytes(Encoding.DER)
    assert assemble(in_files(certificate, key, CHAIN)) == PAIR
    assert assemble(in_files(certificate, locked, CHAIN), b"secret") == PAIR


@pytest.fixture
def disk(tmp_path):
    """A folder with the key and the certificates, for the openssl program."""
    (tmp_path / "key.pem").write_bytes(KEY)
    (tmp_path / "leaf.pem").write_bytes(OWN)
    (tmp_path / "chain.pem").write_bytes(CHAIN)
    return tmp_path


@needs("openssl")
@pytest.mark.parametrize(
    ("password", "options"),
    [
        pytest.param(b"secret", [], id="AES"),
        pytest.param("pässwörd".encode(), [], id="not ASCII"),
        pytest.param(None, [], id="empty password"),
        pytest.param(None, ["-keypbe", "NONE", "-certpbe", "NONE", "-nomac"], id="not protected"),
        pytest.param(b"secret", ["-legacy"], id="legacy: RC2 and 3DES"),
    ],
)
def test_pkcs12_made_by_openssl(disk, password, options):
    made = openssl(
        *("pkcs12", "-export", "-inkey", disk / "key.pem", "-in", disk / "leaf.pem"),
        *("-certfile", disk / "chain.pem", "-passout", f"pass:{(password or b'').decode()}"),
        *options,
    )
    assert assemble([("a.p12", made)], password) == PAIR
    if password:
        for wrong, words in ((b"wrong", "with the given password"), (None, "without a password")):
            with pytest.raises(IssueFailed, match=f"a.p12.*{words}") as caught:
                assemble([("a.p12", made)], wrong)
            assert "password" in caught.value.remedy
    else:
        assert assemble([("a.p12", made)], b"not needed") == PAIR


@needs("openssl")
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["ec", "-aes128"], id="legacy: DEK-Info"),
        pytest.param(["pkcs8", "-topk8"], id="PKCS#8"),
        pytest.param(["pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES"], id="PKCS#8 with 3DES"),
        pytest.param(["pkcs8", "-topk8", "-scrypt"], id="PKCS#8 with scrypt"),
    ],
)
def test_encrypted_keys_made_by_openssl(disk, command):
    locked = openssl(*command, "-in", disk / "key.pem", "-passout", "pass:secret")
    assert b"ENCRYPTED" in locked
    files = [("own.key", locked.replace(b"\n", b"\r\n")), ("own.pem", OWN + CHAIN)]
    assert assemble(files, b"secret") == PAIR
    with pytest.raises(IssueFailed, match=r"own\.key: the private key is encrypted, and the"):
        assemble(files)
    with pytest.raises(IssueFailed, match=r"own\.key.*with the given password"):
        assemble(files, b"wrong")


@needs("openssl")
def test_keys_and_chains_in_the_forms_openssl_writes(disk):
    traditional = openssl("ec", "-in", disk / "key.pem")
    with_text = openssl("x509", "-in", disk / "leaf.pem", "-text")
    assert assemble(in_files(PARAMETERS + traditional, with_text, CHAIN)) == PAIR
    for form, words in (("pem", "found: PKCS7"), ("der", "1.pem is neither PEM nor PKCS#12")):
        bundle = openssl("crl2pkcs7", "-nocrl", "-certfile", disk / "leaf.pem", "-outform", form)
        with pytest.raises(IssueFailed, match=words):
            assemble(in_files(bundle, KEY))


def test_an_rsa_key_in_its_traditional_form_becomes_pkcs8():
    own = leaf(LOWER, NAME, key=rsa_key())
    traditional = rsa_key().private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )
    assert assemble(in_files(traditional, own.pair(LOWER, UPPER).fullchain)) == own.pair(
        LOWER, UPPER
    )


@given(
    st.lists(st.binary(max_size=300), max_size=3),
    st.sampled_from([b"", KEY, OWN, KEY + OWN, b"-----BEGIN ", b"0\x82\x01\x00\x02\x01\x03\x30"]),
    st.one_of(st.none(), st.binary(max_size=20)),
)
@settings(max_examples=200, deadline=None)
def test_arbitrary_bytes_raise_nothing_but_issue_failed(noise, start, password):
    assembled_or_refused([("x", start + data) for data in noise], password)


@given(st.integers(0, len(PAIR.pem) - 1), st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_one_wrong_byte_raises_nothing_but_issue_failed(place, byte):
    changed = bytearray(PAIR.pem)
    changed[place] = byte
    assembled_or_refused([("x", bytes(changed))], None)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_one_wrong_byte_in_der_raises_nothing_but_issue_failed(data):
    der = bytearray(LEAF.certificate.public_bytes(Encoding.DER))
    der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    assembled_or_refused([("x", bytes(der)), ("y", KEY + CHAIN)], None)


def assembled_or_refused(contents, password):
    """Both are right; anything else raised is not."""
    with warnings.catch_warnings(), suppress(IssueFailed):
        warnings.simplefilter("ignore")
        assemble(contents, password)


def test_very_many_delimiters_take_no_time():
    hostile = b"-----BEGIN CERTIFICATE-----\n" * 30_000
    with pytest.raises(IssueFailed, match="incomplete"):
        assemble([("x", hostile)])
