"""A certificate and an account that certbot left: both go on, with no order and no new account."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from proxygen.errors import IssueFailed
from tests.integration.test_renewal import ca as ca
from tests.integration.test_renewal import ours as ours
from tests.integration.test_renewal import port as port
from tests.live.acme_clients import Certbot
from tests.live.installation import TrialInstallation
from tests.live.small_authority import SmallAuthority

NAME = "www.a.example"


def adopts(live: Path) -> dict[str, dict[str, object]]:
    """Return a domain that has what certbot left."""
    pair = {"certificate": str(live / "fullchain.pem"), "key": str(live / "privkey.pem")}
    return {"a.example": {"url": NAME, "certificate": "acme", "adopt": pair}}


def fingerprint(path: Path) -> str:
    """Return that of a leaf in a file."""
    return x509.load_pem_x509_certificate(path.read_bytes()).fingerprint(SHA256()).hex()


def test_what_certbot_left_is_adopted_and_renewed_by_the_same_account_as_its_replacement(
    tmp_path: Path, ours: TrialInstallation, ca: SmallAuthority
) -> None:
    certbot = Certbot(tmp_path / "letsencrypt", ca, ours.http_port)
    live = certbot.obtain(NAME)
    orders, accounts = len(ca.orders), len(ca.accounts)
    ours.model(ca, adopts(live), acme={"account": {"key": f"file:{certbot.account_key}"}})

    outcome = ours.round()
    assert outcome.done[0].startswith(
        "adopt the certificate of a.example from the files that `adopt` names: from "
    )
    first = ours.bundle("a.example")
    assert first.fingerprint == fingerprint(live / "fullchain.pem")
    assert (len(ca.orders), len(ca.accounts)) == (orders, accounts)
    ours.round()  # asks for the renewal information

    moment = ours.bundle("a.example").renewal
    assert moment
    assert moment.moment
    for path in tmp_path.glob("letsencrypt/archive/**/*.pem"):
        path.unlink()  # what is stored needs nothing of certbot's any more
    ours.clock.now = moment.moment
    outcome = ours.round()
    assert not outcome.failures
    assert not outcome.warnings
    assert ours.bundle("a.example").fingerprint != first.fingerprint
    assert len(ca.accounts) == accounts
    assert ca.orders[-1].account is ca.accounts[0]
    assert ca.orders[-1].replaces == first.identifier

    certbot.account_key.unlink()
    ours.clock.now = ours.bundle("a.example").not_after - timedelta(days=1)
    assert not ours.round().failures
    assert len(ca.accounts) == accounts


def test_the_key_of_the_global_certificate_that_records_name_stays(
    tmp_path: Path, ours: TrialInstallation, ca: SmallAuthority
) -> None:
    certbot = Certbot(tmp_path / "letsencrypt", ca, ours.http_port)
    live = certbot.obtain("mail.example.net", more=("--key-type", "rsa", "--rsa-key-size", "2048"))
    main = adopts(live)["a.example"] | {"url": "mail.example.net"}
    ours.model(ca, {}, acme={"account": {"key": f"file:{certbot.account_key}"}}, **{"global": main})
    assert not ours.round().failures
    first = ours.bundle("global")
    assert first.fingerprint == fingerprint(live / "fullchain.pem")
    ours.clock.now = first.not_after - timedelta(days=1)
    assert not ours.round().failures
    renewed = ours.bundle("global")
    assert renewed.fingerprint != first.fingerprint
    assert renewed.spki == first.spki  # TLSA 3 1 1
    assert len(ca.accounts) == 1


def test_the_contact_of_the_model_is_told_to_an_account_that_was_there(
    tmp_path: Path, ours: TrialInstallation, ca: SmallAuthority
) -> None:
    certbot = Certbot(tmp_path / "letsencrypt", ca, ours.http_port)
    certbot("register")
    ours.model(
        ca,
        {"a.example": {"url": NAME, "certificate": "acme"}},
        acme={"account": {"key": f"file:{certbot.account_key}"}},
    )
    assert not ours.round().failures
    (account,) = ca.accounts
    assert list(account.contact) == ["mailto:hostmaster@example.net"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="gone"),
        pytest.param(b"{}", id="empty JWK"),
        pytest.param(b'{"kty": "RSA", "n": "' + b"A" * 6000 + b'"}', id="long number"),
        pytest.param(b"[" * 7000, id="deep"),
        pytest.param(b"x" * 9000, id="large"),
    ],
)
def test_a_key_that_cannot_be_used_is_told_and_no_other_account_is_made(
    tmp_path: Path, ours: TrialInstallation, ca: SmallAuthority, content: bytes | None
) -> None:
    key = tmp_path / "account.json"
    if content is not None:
        key.write_bytes(content)
    ours.model(
        ca,
        {"a.example": {"url": NAME, "certificate": "acme"}},
        acme={"account": {"key": f"file:{key}"}},
    )
    (_, error), *_ = ours.round().failures
    assert isinstance(error, IssueFailed)
    assert "account.json" in error.what or error.failure.code == "account-key-unusable"
    assert error.failure.everybody
    assert not ca.accounts


def test_a_key_of_which_the_authority_has_no_account_is_told_and_none_is_made(
    tmp_path: Path, ours: TrialInstallation, ca: SmallAuthority
) -> None:
    key = tmp_path / "account.pem"
    made = ec.generate_private_key(ec.SECP256R1())
    key.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    ours.model(
        ca,
        {"a.example": {"url": NAME, "certificate": "acme"}},
        acme={"account": {"key": f"file:{key}"}},
    )
    (_, error), *_ = ours.round().failures
    assert isinstance(error, IssueFailed)
    assert error.failure.code == "account-key-unknown"
    assert error.failure.everybody
    assert not ca.accounts


@pytest.mark.parametrize("kind", ["rsa-4096", "secp384r1", "secp256r1"])
def test_keys_of_the_kinds_that_other_clients_make_sign_at_pebble(
    kind: str, tmp_path: Path
) -> None:
    from proxygen.issuers.acme_key import account_key, key_of_client, signature_algorithm

    made = (
        rsa.generate_private_key(65537, 4096)
        if kind == "rsa-4096"
        else ec.generate_private_key(ec.SECP384R1() if kind == "secp384r1" else ec.SECP256R1())
    )
    traditional = made.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    key = account_key(key_of_client(traditional))
    assert key
    name = {"rsa-4096": "RS256", "secp384r1": "ES384", "secp256r1": "ES256"}[kind]
    assert signature_algorithm(key).name == name
    jwk = json.dumps(key.to_json()).encode()
    assert account_key(key_of_client(jwk)) == key
