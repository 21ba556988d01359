"""Whose a certificate is that another ACME client brings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proxygen.model.certificate import Bundle, KeyAndChain
from proxygen.model.x509 import describe
from proxygen.plan.brought import Claim, claims
from tests import certificates
from tests.certificates import DAY, NOON
from tests.models import bundle, site

SITE = site("""\
contact: hostmaster@example.net
acme: {terms_of_service_agreed: true}
global: {url: mail.example.net, certificate: acme}
domains:
  acme.example: {url: www.acme.example, certificate: acme}
  file.example: {url: www.file.example, certificate: {file: {certificate: /f/fullchain.pem}}}
  global.example: {url: www.global.example}
  hook.example: {url: www.hook.example, extra_names: [hook.example], certificate: hook}
  more.example: {url: more.hook.example, certificate: hook}
  self.example: {url: www.self.example, certificate: selfsigned}
""")
ROOT = certificates.root()
PATHS = {Path("/f/fullchain.pem"), Path("/f/privkey.pem")}


def pair(*names: str, days: int = 90) -> KeyAndChain:
    """Return a certificate for these names."""
    issued = certificates.leaf(ROOT, *names, end=NOON + days * DAY, start=NOON - DAY)
    return issued.pair()


def claimed(
    *names: str, has: dict[str, Bundle] | None = None, paths: set[Path] = PATHS, days: int = 90
) -> dict[str, Claim]:
    """Return the claims on a certificate by owner."""
    found = claims(pair(*names, days=days), paths, SITE, has or {}, NOON)
    return {each.owner.key: each for each in found}


def test_it_is_stored_for_the_one_who_waits_for_it() -> None:
    found = claimed("www.hook.example", "hook.example", "spare.example")
    assert set(found) == {"hook.example"}
    stored = found["hook.example"].bundle
    assert stored
    assert (stored.issuer, stored.authority, stored.stand_in) == ("hook", "", False)
    assert stored.names == ("hook.example", "spare.example", "www.hook.example")


def test_one_certificate_serves_all_whom_it_covers() -> None:
    found = claimed("*.hook.example", "hook.example")
    assert {owner: each.accepted for owner, each in found.items()} == {
        "hook.example": True,
        "more.example": True,
    }


def test_one_that_does_not_cover_every_name_is_refused_with_the_missing_ones() -> None:
    found = claimed("www.hook.example")
    assert found["hook.example"].refusal == "hook.example: not covered: hook.example"
    assert found["hook.example"].waits


def test_files_that_the_model_names_are_applied() -> None:
    assert claimed("www.file.example")["file.example"] == Claim(SITE.domains[1])
    other = claimed("www.file.example", paths={Path("/other.pem")})["file.example"]
    assert "/f/fullchain.pem" in other.refusal


@pytest.mark.parametrize("owner", ["global.example", "self.example"])
def test_one_that_the_model_does_not_want_is_refused_with_what_to_write(owner: str) -> None:
    found = claimed(f"www.{owner}")[owner]
    assert not found.accepted
    assert f"write `certificate: hook` for the domain {owner}" in found.remedy


def test_nobodys_names_lead_to_nobody() -> None:
    assert not claimed("www.unknown.example")


def test_instead_of_our_own_it_is_taken_only_when_it_lasts_longer() -> None:
    wanted = next(each for each in SITE.certificates if each.owner == "acme.example")
    present = bundle(wanted, ends=NOON + 60 * DAY)
    longer = claimed("www.acme.example", has={"acme.example": present})["acme.example"]
    assert longer.bundle
    assert (longer.bundle.issuer, longer.bundle.authority) == (
        "acme",
        wanted.authorities[0].directory,
    )
    shorter = claimed("www.acme.example", has={"acme.example": present}, days=30)["acme.example"]
    assert "lasts longer" in shorter.refusal
    stand_in = replace(present, stand_in=True)
    assert claimed("www.acme.example", has={"acme.example": stand_in})["acme.example"].accepted


def test_instead_of_our_own_none_is_taken_that_would_be_obtained_anew_at_once() -> None:
    key = certificates.rsa_key()
    issued = certificates.leaf(ROOT, "www.acme.example", end=NOON + 90 * DAY, key=key).pair()
    (found,) = claims(issued, PATHS, SITE, {}, NOON)
    assert "rsa-2048 becomes ecdsa-p256" in found.refusal


def test_the_facts_are_those_of_the_certificate() -> None:
    brought = pair("www.hook.example", "hook.example")
    wanted = next(each for each in SITE.certificates if each.owner == "hook.example")
    (found,) = claims(brought, PATHS, SITE, {}, NOON)
    assert found.bundle == describe(brought, wanted)
