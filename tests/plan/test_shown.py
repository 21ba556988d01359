"""What clients are shown, told in words with a code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxygen.errors import Coded
from proxygen.model.certificate import Bundle
from proxygen.plan.shown import described_certificate
from proxygen.plan.steps import ShownCertificate
from tests.certificates import DAY, NOON
from tests.models import bundle, site

SITE = site("global: {url: mail.example.net, certificate: selfsigned}")
HOST = "mail.example.net"
HAD = replace(bundle(SITE.global_certificate), issuer="acme")


@pytest.mark.parametrize(
    ("given", "host", "code"),
    [
        pytest.param(HAD, HOST, "valid", id="as any"),
        pytest.param(HAD, "www.example.net", "not-covered", id="of another name"),
        pytest.param(replace(HAD, not_after=NOON - DAY), HOST, "ended", id="ended"),
        pytest.param(replace(HAD, stand_in=True), HOST, "self-signed", id="self-signed"),
        pytest.param(
            replace(HAD, stand_in=True, issuer="selfsigned"), HOST, "stand-in", id="a stand-in"
        ),
    ],
)
def test_what_is_shown_has_a_code(given: Bundle, host: str, code: str) -> None:
    assert described_certificate(given, host, NOON).code == code


def test_it_is_json_with_its_codes() -> None:
    shown = ShownCertificate(
        "global", HOST, ("nginx",), Coded("none", "nothing"), Coded("one", "own")
    )
    assert shown.as_json() == {
        "owner": "global",
        "name": HOST,
        "services": ["nginx"],
        "now": {"code": "nothing", "of": None, "words": "none"},
        "then": {"code": "own", "of": None, "words": "one"},
        "later": None,
    }
