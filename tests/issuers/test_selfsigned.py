"""The self-signed issuer gives a certificate for whatever is wanted."""

from __future__ import annotations

from dataclasses import replace

from proxygen.errors import Origin
from proxygen.issuers.selfsigned import SelfSignedIssuer
from proxygen.model.certificate import Certificate, KeyType
from proxygen.model.inspection import require_usable
from proxygen.model.x509 import describe_bundle
from tests.certificates import DAY, NOON

WANTED = Certificate(
    "a.example", ("a.example", "www.a.example"), "selfsigned", Origin("m.yaml", 3, 7)
)
ISSUER = SelfSignedIssuer(lambda: NOON)


def test_what_is_issued_fits_and_lives_ninety_days():
    pair = ISSUER.issue(WANTED, None)
    (warning,) = require_usable(pair, WANTED.names, NOON)
    assert warning.check == "chain"
    bundle = describe_bundle(pair, WANTED)
    assert bundle.names == WANTED.names
    assert bundle.not_after == NOON + 90 * DAY


def test_the_key_is_kept_only_where_the_model_asks_for_it():
    former = ISSUER.issue(WANTED, None)
    assert ISSUER.issue(WANTED, former).key != former.key
    assert ISSUER.issue(replace(WANTED, keep_key=True), former).key == former.key
    other = replace(WANTED, keep_key=True, key_type=KeyType.ECDSA_P384)
    assert ISSUER.issue(other, former).key != former.key
