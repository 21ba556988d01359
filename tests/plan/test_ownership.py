"""Whose a certificate is that another ACME client brings."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxygen.model.certificate import Bundle, KeyAndChain
from proxygen.model.site import Site
from proxygen.model.x509 import describe_bundle
from proxygen.plan.ownership import Claim, Offer, claims
from tests import certificates
from tests.certificates import DAY, NOON
from tests.models import bundle, site, stand_in

TEXT = """\
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
"""
SITE = site(TEXT)
ROOT = certificates.root()
PATHS = {Path("/f/fullchain.pem"), Path("/f/privkey.pem")}


def pair(*names: str, days: int = 90) -> KeyAndChain:
    """Return a certificate for these names."""
    issued = certificates.leaf(ROOT, *names, end=NOON + days * DAY, start=NOON - DAY)
    return issued.pair()


def offer(brought: KeyAndChain, paths: set[Path] = PATHS, **more: Any) -> Offer:
    """Return a certificate as it is brought, by a CA that this system knows."""
    given: dict[str, Any] = {"roots": (ROOT.certificate,), "former": lambda _: None, "now": NOON}
    return Offer(brought, paths, **given | more)


def claimed(
    *names: str, has: dict[str, Bundle] | None = None, paths: set[Path] = PATHS, days: int = 90
) -> dict[str, Claim]:
    """Return the claims on a certificate by owner."""
    found = claims(offer(pair(*names, days=days), paths), SITE, has or {})
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
    assert (
        found["hook.example"].refusal.what
        == "hook.example: the certificate does not cover hook.example"
    )
    assert found["hook.example"].waits


def test_files_that_the_model_names_are_applied() -> None:
    assert claimed("www.file.example")["file.example"] == Claim(SITE.domains[1])
    other = claimed("www.file.example", paths={Path("/other.pem")})["file.example"]
    assert "/f/fullchain.pem" in str(other.refusal)


@pytest.mark.parametrize("owner", ["global.example", "self.example"])
def test_one_that_the_model_does_not_want_is_refused_with_what_to_write(owner: str) -> None:
    found = claimed(f"www.{owner}")[owner]
    assert not found.accepted
    assert found.refusal
    assert f"set `certificate: hook` for {owner} in the model" in found.refusal.remedy


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
    assert "is valid longer" in str(shorter.refusal)
    stand_in = replace(present, stand_in=True)
    assert claimed("www.acme.example", has={"acme.example": stand_in})["acme.example"].accepted


def test_instead_of_our_own_none_is_taken_that_would_be_obtained_anew_at_once() -> None:
    key = certificates.rsa_key()
    issued = certificates.leaf(ROOT, "www.acme.example", end=NOON + 90 * DAY, key=key).pair()
    (unsaid,) = claims(offer(issued), SITE, {})
    assert unsaid.accepted
    said = site(TEXT.replace("agreed: true}", "agreed: true, key_type: ecdsa-p256}"))
    (found,) = claims(offer(issued), said, {})
    assert "the key type is now ecdsa-p256, not rsa-2048" in str(found.refusal)


def test_the_facts_are_those_of_the_certificate() -> None:
    brought = pair("www.hook.example", "hook.example")
    wanted = next(each for each in SITE.certificates if each.owner == "hook.example")
    (found,) = claims(offer(brought), SITE, {})
    assert found.bundle == describe_bundle(brought, wanted)


# Whose authority issued it

PRIVATE = site("""\
contact: hostmaster@example.net
acme:
  directory: https://ca.example.net/directory
  trusted_roots: [/etc/ca.pem]
  terms_of_service_agreed: true
  fallback: {directory: letsencrypt, terms_of_service_agreed: true}
global: {url: mail.example.net, certificate: selfsigned}
domains:
  acme.example: {url: www.acme.example, certificate: acme}
""")
STRANGE = certificates.root()


def by(ca: certificates.Issued, *names: str, days: int = 90, chain: bool = True) -> KeyAndChain:
    """Return a certificate from a CA."""
    issued = certificates.leaf(ca, *names, end=NOON + days * DAY, start=NOON - DAY)
    return issued.pair(*[ca] * chain)


def of_acme(of: Site, brought: KeyAndChain, present: Bundle | None = None, **more: Any) -> Claim:
    """Return the claim of the owner whose certificate proxygen obtains itself."""
    has = {"acme.example": present} if present else {}
    return next(iter(claims(offer(brought, **more), of, has)))


def present(of: Site, ends: int = 60, **more: Any) -> Bundle:
    """Return the stored certificate of that owner."""
    wanted = next(each for each in of.certificates if each.owner == "acme.example")
    return replace(bundle(wanted, ends=NOON + ends * DAY), **more)


NOT_KNOWN = "the certificate was not issued by the authority that the model names"


def test_a_first_certificate_from_a_ca_that_nobody_knows_is_not_the_authoritys() -> None:
    found = of_acme(SITE, by(STRANGE, "www.acme.example"))
    assert NOT_KNOWN in str(found.refusal)
    assert "`certificate: hook`" in str(found.refusal)
    serving = replace(stand_in(SITE), owner="acme.example")
    assert not of_acme(SITE, by(STRANGE, "www.acme.example"), serving).accepted


def test_a_first_certificate_may_be_a_private_authoritys() -> None:
    found = of_acme(PRIVATE, by(STRANGE, "www.acme.example"))
    assert found.bundle
    assert found.bundle.authority == "https://ca.example.net/directory"


@pytest.mark.parametrize("of", [SITE, PRIVATE], ids=["public", "private"])
def test_after_the_first_it_must_be_the_same_ca_or_one_that_is_known(of: Site) -> None:
    former, has = by(STRANGE, "www.acme.example", days=60), present(of)
    akin = of_acme(of, by(STRANGE, "www.acme.example"), has, former=lambda _: former)
    assert akin.accepted
    other = by(certificates.root(), "www.acme.example")
    assert NOT_KNOWN in str(of_acme(of, other, has, former=lambda _: former).refusal)
    assert of_acme(of, by(ROOT, "www.acme.example"), has, former=lambda _: former).accepted


def test_the_same_ca_is_told_whichever_of_the_two_came_with_its_chain() -> None:
    for chains in ((True, False), (False, True)):
        former, new = (by(STRANGE, "www.acme.example", chain=each) for each in chains)
        assert of_acme(SITE, new, present(SITE), former=lambda _, f=former: f).accepted
    nothing = of_acme(SITE, by(STRANGE, "www.acme.example"), present(SITE))
    assert NOT_KNOWN in str(nothing.refusal)


def test_what_a_second_authority_issued_stays_its_own() -> None:
    second = present(PRIVATE).authority, "https://acme-v02.api.letsencrypt.org/directory"
    former = by(STRANGE, "www.acme.example")
    found = of_acme(PRIVATE, former, present(PRIVATE, authority=second[1]), former=lambda _: former)
    assert found.bundle
    assert found.bundle.authority == second[1]


@pytest.mark.parametrize("days", [398, 4000])
def test_none_is_taken_that_lives_longer_than_any_authority_gives(days: int) -> None:
    found = of_acme(SITE, by(ROOT, "www.acme.example", days=days))
    assert "no public authority issues certificates for more than 398 days" in str(found.refusal)
    assert of_acme(SITE, by(ROOT, "www.acme.example", days=397)).accepted


def test_one_to_the_end_of_time_is_taken_by_whom_it_is_brought_to_alone() -> None:
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    for owner, taken in (("acme.example", False), ("hook.example", True)):
        names = (f"www.{owner}", owner)
        endless = certificates.leaf(ROOT, *names, end=end).pair()
        (found,) = claims(offer(endless), SITE, {})
        assert found.accepted == taken


# What is worth a warning


@pytest.mark.parametrize("owner", ["hook.example", "file.example"])
def test_a_root_that_nobody_knows_is_a_warning_where_others_answer_for_it(owner: str) -> None:
    names = (f"www.{owner}", owner)
    (strange,) = claims(offer(by(STRANGE, *names)), SITE, {})
    assert strange.accepted
    assert "this system trusts no root" in strange.doubts[0]
    middle = certificates.intermediate(ROOT)
    known = certificates.leaf(middle, *names).pair(middle)
    (good,) = claims(offer(known), SITE, {})
    assert good.doubts == ()


def test_one_that_ends_much_sooner_than_what_serves_is_a_warning() -> None:
    wanted = next(each for each in SITE.certificates if each.owner == "hook.example")
    has = {"hook.example": bundle(wanted, ends=NOON + 60 * DAY)}
    names = ("www.hook.example", "hook.example")
    assert "is it the newest one?" in claimed(*names, has=has, days=50)["hook.example"].doubts[0]
    assert claimed(*names, has=has, days=60)["hook.example"].doubts == ()
    serving = {"hook.example": replace(has["hook.example"], stand_in=True)}
    assert claimed(*names, has=serving, days=50)["hook.example"].doubts == ()
