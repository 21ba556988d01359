"""Which certificates that services are configured with are adopted, and as what."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from proxygen.model.certificate import ADOPT, ADOPTED, Bundle, KeyAndChain, KeyType
from proxygen.model.site import Site
from proxygen.model.x509 import chain_of, facts_of_pair, is_self_signed, new_key, self_signed
from proxygen.plan.adoption import adoptions, not_adopted, not_usable, why_not_adoptable
from proxygen.plan.observed import Candidate, Observed
from proxygen.plan.renewal import why_issue
from proxygen.plan.steps import Adopt
from proxygen.texts.alerts import missing_since
from proxygen.texts.warnings import site_warnings
from tests import certificates
from tests.certificates import DAY, NOON
from tests.models import bundle, site, stand_in

TEXT = """\
contact: hostmaster@example.net
acme: {terms_of_service_agreed: true}
global: {url: mail.example.net, extra_names: [smtp.example.net], certificate: acme}
domains:
  acme.example: {url: www.acme.example, certificate: acme}
  file.example: {url: www.file.example, certificate: {file: {certificate: /f/fullchain.pem}}}
  global.example: {url: www.global.example}
  hook.example: {url: www.hook.example, extra_names: [hook.example], certificate: hook}
  self.example: {url: www.self.example, certificate: selfsigned}
"""
SITE = site(TEXT)
ROOT = certificates.root()
MAIL = ("mail.example.net", "smtp.example.net")


def pair(*names: str, start: datetime = NOON - DAY, days: int = 60) -> KeyAndChain:
    """Return a certificate for these names."""
    return certificates.leaf(ROOT, *names, end=NOON + days * DAY, start=start).pair()


def own(*names: str) -> KeyAndChain:
    """Return a self-signed certificate."""
    return self_signed(names, new_key(KeyType.ECDSA_P256), NOON, 60 * DAY)


def candidate(pair: KeyAndChain, service: str = "nginx", *, known: bool = True) -> Candidate:
    """Return a certificate that a service is configured with."""
    told = replace(
        facts_of_pair(pair, "global", ADOPTED), stand_in=is_self_signed(chain_of(pair)[0])
    )
    return Candidate(service, (Path(f"/{service}.pem"),), pair, told, known)


def adopted(
    owner: str, *found: Candidate, has: Bundle | None = None, of: Site = SITE
) -> Adopt | None:
    """Return what is adopted for an owner."""
    stored = {owner: has} if has else {}
    steps = adoptions(of, Observed(stored, {}, {}, candidates={owner: found}), NOON)
    return steps[0] if steps else None


def reason(step: Adopt | None, owner: str, of: Site = SITE) -> str | None:
    """Return why a certificate is obtained beside what is adopted, None while that serves."""
    assert step
    wanted = next(each for each in of.certificates if each.owner == owner)
    why = why_issue(wanted, step.bundle, "", NOON)
    return why.code if why else None


@pytest.mark.parametrize(
    ("names", "known", "days", "code"),
    [
        pytest.param(MAIL, True, 60, None, id="it counts like any other"),
        pytest.param(("*.example.net",), True, 60, None, id="a wildcard covers them"),
        pytest.param(MAIL[:1], True, 60, "names", id="a name is missing"),
        pytest.param(MAIL[1:], True, 60, "names", id="that of the URL is missing"),
        pytest.param(MAIL, True, 1 / 24, "due", id="its end is near"),
        pytest.param(MAIL, False, 60, "adopted", id="nobody knows its CA"),
        pytest.param(MAIL, True, 900, "adopted", id="no authority issues for so long"),
    ],
)
def test_it_serves_and_another_is_obtained_where_it_is_not_what_is_wanted(
    names: tuple[str, ...], known: bool, days: float, code: str | None
) -> None:
    given = certificates.leaf(ROOT, *names, end=NOON + days * DAY, start=NOON - DAY).pair()
    step = adopted("global", candidate(given, known=known))
    assert step
    assert step.pair is given
    assert step.bundle.adopted == "nginx"
    assert not step.bundle.stand_in
    assert reason(step, "global") == code


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(pair("other.example.net"), id="for another name"),
        pytest.param(pair(*MAIL, start=NOON - 9 * DAY, days=-1), id="ended"),
        pytest.param(pair(*MAIL, start=NOON + DAY), id="not valid yet"),
        pytest.param(own("smtp.example.net"), id="self-signed for another name than the URL's"),
        pytest.param(
            KeyAndChain(pair(*MAIL).key, pair(*MAIL).fullchain), id="with the key of another"
        ),
    ],
)
def test_what_clients_refuse_is_not_adopted_and_it_is_told_why(given: KeyAndChain) -> None:
    assert adopted("global", candidate(given)) is None
    observed = Observed({}, {}, {}, candidates={"global": (candidate(given),)})
    assert "/nginx.pem is not adopted for the global URL" in "".join(
        not_usable(SITE, observed, NOON)
    )


def test_a_self_signed_one_for_the_url_is_kept_rather_than_replaced_by_another() -> None:
    given = candidate(own("mail.example.net"))
    step = adopted("global", given)
    assert step
    assert step.bundle.stand_in
    assert reason(step, "global") == "stand-in"
    assert adopted("global", given, has=step.bundle) is None
    better = candidate(pair(*MAIL), "postfix")
    assert adopted("global", given, better).bundle.adopted == "postfix"  # type: ignore[union-attr]
    assert adopted("acme.example", candidate(own("www.acme.example"))) is None


def test_only_who_has_nothing_valid_adopts() -> None:
    wanted = SITE.global_certificate
    given = candidate(pair(*MAIL))
    assert adopted("global", given, has=bundle(wanted)) is None
    assert adopted("global", given, has=stand_in(SITE))
    ended = bundle(wanted, ends=NOON - DAY)
    assert adopted("global", given, has=ended)
    assert given.facts
    compromised = replace(ended, replace=True, spki=given.facts.spki)
    assert adopted("global", given, has=compromised) is None


@pytest.mark.parametrize("owner", ["self.example", "global.example"])
def test_who_wants_no_such_certificate_adopts_none(owner: str) -> None:
    assert adopted(owner, candidate(pair(f"www.{owner}"))) is None


def test_the_url_counts_first_then_names_then_time() -> None:
    url = candidate(pair(MAIL[0], days=10), "nginx")
    both = candidate(pair(*MAIL, days=20), "postfix")
    longer = candidate(pair(*MAIL, days=30), "dovecot")
    extra = candidate(pair(MAIL[1], "x.example", days=90), "other")
    for found, best in (
        ((extra, url), "nginx"),
        ((url, both), "postfix"),
        ((both, longer, url), "dovecot"),
    ):
        step = adopted("global", *found)
        assert step
        assert step.bundle.adopted == best
        assert str(step).count("has another one") == len(found) - 1
    same = adopted("global", url, replace(url, service="postfix"))
    assert same
    assert same.bundle.adopted == "nginx postfix"
    assert "another" not in str(same)


def test_what_clients_know_comes_before_names_and_time() -> None:
    served = candidate(pair(MAIL[0], days=10), "nginx")
    staging = candidate(pair(*MAIL, days=90), ADOPT, known=False)
    for found in ((served, staging), (staging, served)):
        step = adopted("global", *found)
        assert step
        assert step.bundle.adopted == "nginx"
    step = adopted(
        "acme.example",
        *(
            candidate(pair("www.acme.example", days=days), service, known=known)
            for days, service, known in ((90, ADOPT, False), (3, "nginx", True))
        ),
    )
    assert step
    assert step.bundle.adopted == "nginx"


@pytest.mark.parametrize("known", [True, False])
def test_the_chain_comes_before_how_long_it_is_valid(known: bool) -> None:
    between = certificates.intermediate(ROOT)
    leaf = certificates.leaf(between, *MAIL, end=NOON + 60 * DAY, start=NOON - DAY)
    longer = certificates.leaf(between, *MAIL, end=NOON + 80 * DAY, start=NOON - DAY)
    whole = candidate(leaf.pair(between), ADOPT, known=known)
    for bare in (leaf.pair(), longer.pair()):
        for found in ((candidate(bare, known=False), whole), (whole, candidate(bare, known=False))):
            step = adopted("global", *found)
            assert step
            assert step.pair == leaf.pair(between)


@pytest.mark.parametrize(
    ("owner", "given", "words"),
    [
        pytest.param("acme.example", own("www.acme.example"), "self-signed", id="self-signed"),
        pytest.param("global", own("mail.example.net"), "", id="self-signed, of the global URL"),
        pytest.param("global", own("smtp.example.net"), "not covered", id="for another name"),
        pytest.param("global", pair("smtp.example.net"), "", id="for an extra name"),
        pytest.param("global", pair("other.example.net"), "not covered", id="for none"),
        pytest.param("acme.example", pair("x.example"), "not covered", id="a domain's"),
        pytest.param("acme.example", pair("www.acme.example"), "", id="good"),
    ],
)
def test_what_is_told_of_adopt_is_what_is_done(owner: str, given: KeyAndChain, words: str) -> None:
    found = candidate(given, ADOPT)
    named = next(each for each in SITE.owners if each.key == owner)
    told = why_not_adoptable(found, named, NOON)
    assert words in told
    assert bool(told) is bool(words)
    assert (adopted(owner, found) is None) is bool(words)


def test_hook_takes_what_covers_all_and_file_waits_for_its_own() -> None:
    fits = adopted("hook.example", candidate(pair("www.hook.example", "hook.example")))
    lacks = adopted("hook.example", candidate(pair("www.hook.example")))
    supplied = adopted("file.example", candidate(pair("www.file.example")))
    assert fits
    assert lacks
    assert (fits.bundle.issuer, lacks.bundle.issuer) == ("hook", ADOPTED)
    assert reason(supplied, "file.example") == "adopted"


def test_the_type_of_key_that_the_model_says_counts_the_default_does_not() -> None:
    said = site(TEXT.replace("agreed: true}", "agreed: true, key_type: ecdsa-p256}"))
    for owner, names in (("global", MAIL), ("acme.example", ("www.acme.example",))):
        key = certificates.leaf(
            ROOT, *names, key=certificates.rsa_key(), end=NOON + 60 * DAY, start=NOON
        )
        step = adopted(owner, candidate(key.pair()))
        assert reason(step, owner) is None
        assert reason(step, owner, said) == "key-type"


def test_an_adopted_one_is_watched_and_said_to_end_when_it_does() -> None:
    for days, told in ((60, False), (2, True)):
        step = adopted("global", candidate(pair(*MAIL, start=NOON - 80 * DAY, days=days)))
        assert step
        observed = Observed({"global": step.bundle}, {}, {})
        said = "".join(site_warnings(SITE, observed, NOON))
        assert ("the certificate of global expires on" in said) is told
        assert "stand-in" not in said


def test_a_self_signed_one_is_not_missing_since_it_was_made() -> None:
    old = self_signed(
        ("mail.example.net",), new_key(KeyType.ECDSA_P256), NOON - 99 * DAY, 300 * DAY
    )
    step = adopted("global", candidate(old))
    assert step
    assert missing_since(None, step.bundle) is None


WITH_ADOPT = site(
    TEXT.replace(
        "acme.example: {url: www.acme.example, certificate: acme}",
        "acme.example: {url: www.acme.example, certificate: acme, adopt: {certificate: /a.pem}}",
    )
)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param(pair("www.acme.example"), None, id="good"),
        pytest.param(pair("www.other.example"), "www.acme.example", id="for another name"),
        pytest.param(pair("www.acme.example", days=-1), "", id="ended"),
        pytest.param(None, "cannot be read", id="unreadable"),
    ],
)
def test_it_is_told_why_what_the_model_names_is_not_adopted(
    given: KeyAndChain | None, words: str | None
) -> None:
    found = (
        candidate(given, "adopt")
        if given
        else Candidate("adopt", (Path("/a.pem"),), refusal="it cannot be read")
    )
    step = adopted("acme.example", found, of=WITH_ADOPT)
    observed = Observed({}, {}, {}, candidates={"acme.example": (found,)})
    told = [*not_adopted(WITH_ADOPT, observed, NOON)]
    if words is None:
        assert step
        assert str(step).startswith(
            "adopt the certificate of acme.example from the files that `adopt` names: "
        )
        assert not told
    else:
        assert step is None
        (one,) = told
        assert one.of == "acme.example"
        assert words in one
        assert "acme.example (proxygen.yaml:5:" in one


def test_of_two_that_are_as_good_the_one_that_the_model_names_is_adopted() -> None:
    longer, named = pair("www.acme.example", days=60), pair("www.acme.example", days=50)
    step = adopted("acme.example", candidate(longer), candidate(named, "adopt"), of=WITH_ADOPT)
    assert step
    assert step.pair is named
    assert "nginx has another one" in str(step)


def test_what_the_model_names_is_not_told_as_another_one_that_a_service_had() -> None:
    better, named = pair("www.acme.example"), pair("www.acme.example")
    found = (candidate(better), candidate(named, "adopt", known=False))
    step = adopted("acme.example", *found, of=WITH_ADOPT)
    assert step
    assert step.pair is better
    assert "another one" not in str(step)
