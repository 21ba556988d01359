"""What hooks are told, which are due, and what is missing of what others bring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proxygen.hooks import environments
from proxygen.model.certificate import GLOBAL
from proxygen.plan import hooks
from proxygen.plan.backoff import RememberedFailure
from proxygen.plan.compare import due_issues
from proxygen.plan.observed import Observed
from proxygen.texts.warnings import site_warnings
from tests.certificates import DAY, NOON
from tests.failures import NO, not_issued
from tests.models import bundle, bundles, site, stand_in

MODEL = """\
global: {url: mail.example.net, certificate: selfsigned}
domains:
  a.example: {url: www.a.example, extra_names: [a.example], certificate: hook}
  b.example: {url: www.b.example}
"""
SITE = site(MODEL)
GLOBAL_ONE, A = SITE.certificates
LINEAGE = Path("/var/lib/proxygen/hooks/live/www.a.example")


def observed(**more: object) -> Observed:
    """Return a state in which everything has its certificate."""
    return Observed(**{"bundles": bundles(SITE), "services": {}, "sources": {}} | more)  # type: ignore[arg-type]


def test_a_deploy_hook_is_told_what_certbots_are_told() -> None:
    has = replace(bundle(A), names=("a.example", "b.a.example", "www.a.example"))
    told = environments.of_deployed(A, has, LINEAGE)
    assert told["RENEWED_LINEAGE"] == str(LINEAGE)
    assert told["RENEWED_DOMAINS"] == "www.a.example a.example b.a.example"
    assert told["PROXYGEN_EVENT"] == "deploy"
    assert told["PROXYGEN_OWNER"] == "a.example"
    assert told["PROXYGEN_NAMES"] == "www.a.example a.example"
    assert told["PROXYGEN_URL"] == "https://www.a.example"
    assert told["PROXYGEN_NOT_AFTER"] == f"{has.not_after:%Y-%m-%dT%H:%M:%SZ}"
    assert {Path(told[f"PROXYGEN_{each}"]).name for each in ("CERTIFICATE", "KEY", "CHAIN")} == {
        "fullchain.pem",
        "privkey.pem",
        "chain.pem",
    }


def test_a_failed_hook_is_told_why_and_when_it_is_tried_again() -> None:
    error = not_issued(problem="urn:ietf:params:acme:error:dns", words="NX\0\x1b[31m")
    attempt = RememberedFailure("a.example", NOON, NOON, 1, NOON + DAY, NO)
    told = environments.of_failed(A, bundle(A), error, attempt)
    assert told["PROXYGEN_ERROR"] == "the secret env:KEY cannot be read: NX\\x00\\x1b[31m"
    assert told["PROXYGEN_FAILURE"] == "secret-unreadable"
    assert told["PROXYGEN_PROBLEM"].endswith(":dns")
    assert told["PROXYGEN_NEXT_ATTEMPT"] == f"{NOON + DAY:%Y-%m-%dT%H:%M:%SZ}"
    assert told["FAILED_DOMAINS"] == "www.a.example a.example"
    assert "RENEWED_LINEAGE" not in told


def test_a_list_of_names_is_cut_between_two_names() -> None:
    names = tuple(f"{number:05}.a.example" for number in range(2000))
    text = environments.listed_names(names)
    assert 0 < environments.LONGEST - len(text) < 20
    assert set(text.split()) <= set(names)


def test_what_serves_and_was_not_told_yet_is_due() -> None:
    present = bundles(SITE)
    assert [each for each, _ in hooks.pending_hooks(SITE, present, {})] == [GLOBAL_ONE, A]
    told = {owner: each.fingerprint for owner, each in present.items()}
    assert not list(hooks.pending_hooks(SITE, present, told))
    renewed = present | {"a.example": replace(present["a.example"], fingerprint="f" * 64)}
    assert [each for each, _ in hooks.pending_hooks(SITE, renewed, told)] == [A]


def test_a_stand_in_and_what_does_not_serve_are_never_due() -> None:
    other = replace(bundle(A), names=("other.example",))
    present = {GLOBAL: stand_in(SITE), "a.example": other}
    assert not list(hooks.pending_hooks(SITE, present, {}))


@pytest.mark.parametrize(
    ("has", "words"),
    [
        pytest.param(None, "has no certificate yet, and uses the global one", id="nothing"),
        pytest.param(bundle(A), None, id="brought"),
        pytest.param(
            replace(bundle(A), issuer="acme"),
            "uses a certificate from acme",
            id="still the former one",
        ),
        pytest.param(
            replace(bundle(A), names=("www.a.example",)), "does not cover a.example", id="a name"
        ),
    ],
)
def test_what_is_missing_of_a_brought_certificate_is_told(has, words) -> None:  # type: ignore[no-untyped-def]
    present = {owner: each for owner, each in bundles(SITE).items() if owner != "a.example"}
    state = observed(bundles=present | ({"a.example": has} if has else {}))
    told = [each for each in site_warnings(SITE, state, NOON) if "hook" in each]
    assert [words in each for each in told] == ([True] if words else [])


@pytest.mark.parametrize("has", [None, "acme", "file", "hook"])
def test_a_brought_certificate_is_never_obtained(has: str | None) -> None:
    present = {GLOBAL: bundle(GLOBAL_ONE)}
    if has:
        present["a.example"] = replace(bundle(A, ends=NOON - DAY), issuer=has)
    assert not due_issues(SITE, observed(bundles=present), NOON)[0]


def test_a_certificate_that_was_brought_is_obtained_once_the_model_asks_for_acme() -> None:
    agreed = "contact: a@example.net\nacme: {terms_of_service_agreed: true}\n"
    acme = site(agreed + MODEL.replace("certificate: hook", "certificate: acme"))
    due, _ = due_issues(acme, observed(), NOON)
    assert [(step.certificate.owner, step.reason.code) for step in due] == [("a.example", "issuer")]
