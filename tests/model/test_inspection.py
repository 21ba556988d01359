"""What clients would refuse is found before it is served."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519

from proxygen.errors import IssueFailed
from proxygen.model.certificate import KeyAndChain
from proxygen.model.inspection import inspect_pair, require_usable
from tests.certificates import (
    CLIENT,
    DAY,
    NOON,
    SIGNS,
    by_openssl,
    intermediate,
    key_pem,
    leaf,
    make,
    pem,
    root,
    rsa_key,
    usage,
)
from tests.live.needs import needs

CHECKS = ("pair", "chain", "names", "dates", "key", "signature", "usage")
NAME = "a.example"
ROOT = root()
CA = intermediate(ROOT)
OTHER_CA = intermediate(ROOT)
GOOD = leaf(CA, NAME)
NOT_CA = make("Not a CA", ROOT)
ONE_BELOW = intermediate(ROOT, "One", path_length=0)
DEEP = intermediate(ONE_BELOW, "Deep")
FORGETFUL = intermediate(ROOT, "Forgetful", key_usage=SIGNS)
CLIENT_CA = intermediate(ROOT, "For clients", purposes=CLIENT)
OLD_CA = intermediate(ROOT, "Old", end=NOON - timedelta(seconds=1))
WEAK_CA = intermediate(ROOT, "Weak", key=rsa_key(1024))


def made(*names: str, **more: object) -> KeyAndChain:
    return leaf(CA, *(names or (NAME,)), **more).pair(CA)


@pytest.mark.parametrize(
    ("pair", "check", "serious", "words"),
    [
        pytest.param(
            KeyAndChain(key_pem(leaf(CA, NAME).key), pem(GOOD.certificate, CA.certificate)),
            "pair",
            True,
            "does not belong to the certificate of a.example, issued by Intermediate, valid until",
            id="the key of another certificate",
        ),
        pytest.param(
            GOOD.pair(OTHER_CA), "chain", True, "not issued by", id="same name, other key"
        ),
        pytest.param(GOOD.pair(ROOT), "chain", True, "not issued by Root", id="a gap"),
        pytest.param(
            GOOD.pair(), "chain", False, "intermediate certificate is missing", id="leaf alone"
        ),
        pytest.param(leaf(None, NAME).pair(), "chain", False, "self-signed", id="self-signed"),
        pytest.param(
            leaf(NOT_CA, NAME).pair(NOT_CA), "chain", True, "is not a CA", id="issuer is no CA"
        ),
        pytest.param(
            leaf(DEEP, NAME).pair(DEEP, ONE_BELOW), "chain", True, "0 CAs below", id="path length"
        ),
        pytest.param(
            leaf(FORGETFUL, NAME).pair(FORGETFUL),
            "chain",
            True,
            "may not sign certificates",
            id="key usage of the issuer",
        ),
        pytest.param(
            made("b.example", "c.example"),
            "names",
            True,
            "not covered: a.example (it covers b.example and c.example)",
            id="another name",
        ),
        pytest.param(
            made("*.example", "*.a.example"), "names", False, None, id="covered by a wildcard"
        ),
        pytest.param(
            made("*.a.example"), "names", True, "not covered", id="wildcard one label too deep"
        ),
        pytest.param(made("A.Example"), "names", False, None, id="upper case"),
        pytest.param(make(NAME, CA).pair(CA), "names", True, "no DNS names", id="common name only"),
        pytest.param(made(end=NOON), "dates", False, None, id="the last second"),
        pytest.param(
            made(end=NOON - timedelta(seconds=1)), "dates", True, "a.example expired", id="expired"
        ),
        pytest.param(made(start=NOON), "dates", False, None, id="the first second"),
        pytest.param(
            made(start=NOON + timedelta(minutes=5)), "dates", False, "not valid", id="clock skew"
        ),
        pytest.param(made(start=NOON + DAY), "dates", True, "not valid before", id="tomorrow"),
        pytest.param(
            leaf(OLD_CA, NAME).pair(OLD_CA), "dates", True, "Old expired", id="expired issuer"
        ),
        pytest.param(made(key=rsa_key(1024)), "key", True, "1024 bits", id="RSA 1024"),
        pytest.param(made(key=rsa_key(2048)), "key", False, None, id="RSA 2048"),
        pytest.param(
            leaf(WEAK_CA, NAME).pair(WEAK_CA), "key", True, "Weak: the RSA", id="RSA 1024 issuer"
        ),
        pytest.param(
            made(key=ec.generate_private_key(ec.SECP384R1())), "key", False, None, id="P-384"
        ),
        pytest.param(
            made(key=ec.generate_private_key(ec.SECP521R1())), "key", False, "P-521", id="P-521"
        ),
        pytest.param(
            made(key=ec.generate_private_key(ec.SECP256K1())), "key", True, "secp256k1", id="k1"
        ),
        pytest.param(
            made(key=ed25519.Ed25519PrivateKey.generate()), "key", False, "Ed25519", id="Ed25519"
        ),
        pytest.param(made(key=dsa.generate_private_key(1024)), "key", True, "DSA", id="DSA"),
        pytest.param(made(purposes=None), "usage", False, None, id="no extended key usage"),
        pytest.param(
            made(purposes=CLIENT), "usage", True, "not valid for servers", id="for clients"
        ),
        pytest.param(
            leaf(CLIENT_CA, NAME).pair(CLIENT_CA), "usage", True, "For clients", id="issuer's"
        ),
        pytest.param(
            made(key_usage=usage(key_encipherment=True)),
            "usage",
            True,
            "may not sign TLS handshakes",
            id="key encipherment only",
        ),
        pytest.param(made(key_usage=None), "usage", False, None, id="no key usage"),
        pytest.param(made(ca=True, key_usage=SIGNS), "usage", False, "is a CA", id="CA as leaf"),
    ],
)
def test_one_thing_wrong_is_found_by_its_check_alone(pair, check, serious, words):
    verdicts = inspect_pair(pair, [NAME], NOON)
    assert tuple(verdict.check for verdict in verdicts) == CHECKS
    bad = {verdict.check: verdict for verdict in verdicts if not verdict.ok}
    assert set(bad) == ({check} if words else set())
    if words:
        assert words in bad[check].words
        assert bad[check].serious is serious


def test_a_good_certificate_passes_without_a_warning():
    assert require_usable(GOOD.pair(CA), [NAME], NOON) == ()


def test_a_root_at_the_end_is_no_mistake():
    assert require_usable(GOOD.pair(CA, ROOT), [NAME], NOON) == ()


@needs("openssl")
def test_sha1_is_refused_for_leaf_and_intermediate_but_not_for_a_root(tmp_path):
    sans = ("basicConstraints=CA:false", f"subjectAltName=DNS:{NAME}")
    old = by_openssl(tmp_path, None, "Old root", "-sha1", "basicConstraints=critical,CA:true")
    middle = by_openssl(tmp_path, old, "Middle", "-sha1", "basicConstraints=critical,CA:true")
    end = by_openssl(tmp_path, middle, "leaf", "-sha1", *sans)
    good = by_openssl(tmp_path, old, "good", "-sha256", *sans)
    now = datetime.now(UTC) + DAY
    assert require_usable(good.pair(old), [NAME], now) == ()
    bad = [
        verdict for verdict in inspect_pair(end.pair(middle, old), [NAME], now) if not verdict.ok
    ]
    assert [verdict.check for verdict in bad] == ["signature"]
    assert bad[0].serious
    assert "leaf is signed with SHA-1" in bad[0].words
    assert "Middle is signed with SHA-1" in bad[0].words
    assert "Old root" not in bad[0].words
    other = by_openssl(tmp_path, None, "Old root", "-sha1", "basicConstraints=critical,CA:true")
    assert "Middle was not issued by" in inspect_pair(end.pair(middle, other), [NAME], now)[1].words


def test_require_names_everything_serious_and_returns_the_warnings():
    with pytest.raises(IssueFailed) as caught:
        require_usable(leaf(CA, "b.example", end=NOON - DAY / 2).pair(), [NAME], NOON)
    assert caught.value.failure.final
    assert "not covered: " in caught.value.what
    assert "; b.example expired" in caught.value.what
    assert "intermediate certificate is missing" not in caught.value.what
    (warning,) = require_usable(GOOD.pair(), [NAME], NOON)
    assert warning.check == "chain"


@pytest.mark.parametrize(
    ("roots", "pair", "ok"),
    [
        pytest.param(ROOT, GOOD.pair(CA), True, id="leads to a root"),
        pytest.param(ROOT, GOOD.pair(CA, ROOT), True, id="ends with the root"),
        pytest.param(CA, GOOD.pair(), True, id="its issuer is trusted"),
        pytest.param(CA, GOOD.pair(CA), True, id="ends with a trusted intermediate"),
        pytest.param(root(), GOOD.pair(CA), False, id="another root of that name"),
        pytest.param(ROOT, GOOD.pair(), False, id="intermediate certificate is missing"),
    ],
)
def test_trusted_roots_decide_where_they_are_known(roots, pair, ok):
    verdict = inspect_pair(pair, [NAME], NOON, roots=pem(roots.certificate))[1]
    assert (verdict.ok, verdict.serious) == (ok, not ok)


def test_very_many_missing_names_are_not_all_listed():
    wanted = [f"n{number}.example" for number in range(100)]
    assert "and 91 more" in inspect_pair(GOOD.pair(CA), wanted, NOON)[2].words


def test_an_extension_that_cannot_be_read_is_serious():
    broken = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x05garba")
    issued = make(NAME, CA, purposes=broken).pair(CA)
    bad = {verdict.check for verdict in inspect_pair(issued, [NAME], NOON) if verdict.serious}
    assert "names" in bad


@pytest.mark.parametrize(
    "pair",
    [
        KeyAndChain(b"", pem(GOOD.certificate)),
        KeyAndChain(key_pem(GOOD.key), b""),
        KeyAndChain(key_pem(GOOD.key), pem(GOOD.certificate)[:-60]),
        KeyAndChain(key_pem(GOOD.key), pem(GOOD.certificate) * 2000),
    ],
)
def test_what_is_no_certificate_at_all_is_an_issue_failed(pair):
    with pytest.raises(IssueFailed):
        inspect_pair(pair, [NAME], NOON)


@pytest.fixture(autouse=True)
def quiet():
    """Weak keys and hashes are what these tests are about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
