"""`key_type`: one type of key, or one of each of two algorithms."""

from __future__ import annotations

import pytest

from proxygen.errors import ModelError
from proxygen.model.certificate import KeyType
from proxygen.model.hosts import readable_name
from proxygen.model.site import Site
from tests.models import site as read

TEXT = """\
global: {{url: mail.example.net, certificate: acme{main}}}
defaults: {{certificate: acme{defaults}}}
domains:
  a.example: {{url: www.a.example{domain}}}
acme: {{terms_of_service_agreed: true{acme}}}
"""
P256, P384, RSA = KeyType.ECDSA_P256, KeyType.ECDSA_P384, KeyType.RSA_2048


def site(**fields: str) -> Site:
    """Return a site with `key_type` in some places."""
    places = dict.fromkeys(("main", "defaults", "domain", "acme"), "")
    said = {place: f", key_type: {value}" for place, value in fields.items()}
    return read(TEXT.format(**(places | said)))


def wanted(found: Site) -> dict[str, KeyType]:
    return {each.owner: each.key_type for each in found.certificates}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, {"global": P256, "a.example": P256}, id="nothing said"),
        pytest.param({"acme": "rsa-2048"}, {"global": RSA, "a.example": RSA}, id="one for all"),
        pytest.param({"acme": "[rsa-2048]"}, {"global": RSA, "a.example": RSA}, id="a list of one"),
        pytest.param(
            {"acme": "[rsa-2048, ecdsa-p384]"},
            {"global": P384, "global_rsa": RSA, "a.example": P384, "a.example_rsa": RSA},
            id="two for all, in whatever order",
        ),
        pytest.param(
            {"main": "[ecdsa-p256, rsa-2048]"},
            {"global": P256, "global_rsa": RSA, "a.example": P256},
            id="two for the global URL",
        ),
        pytest.param(
            {"acme": "rsa-2048", "defaults": "ecdsa-p384"},
            {"global": RSA, "a.example": P384},
            id="defaults are for domains",
        ),
        pytest.param(
            {"acme": "[ecdsa-p256, rsa-2048]", "domain": "ecdsa-p384"},
            {"global": P256, "global_rsa": RSA, "a.example": P384},
            id="a domain says it for itself",
        ),
    ],
)
def test_the_types_of_each_certificate(
    fields: dict[str, str], expected: dict[str, KeyType]
) -> None:
    assert wanted(site(**fields)) == expected


def test_the_second_one_is_like_the_first_but_for_its_key() -> None:
    found = site(acme="[ecdsa-p256, rsa-2048]")
    first, second = list(found.certificates)[:2]
    assert (first.names, first.keep_key, first.authorities) == (
        second.names,
        second.keep_key,
        second.authorities,
    )
    assert first.key_type_said
    assert second.key_type_said
    assert [each.key for each in found.owners] == ["global", "a.example"]
    assert [each.key for each in found.holders] == [
        *("global", "global_rsa", "a.example", "a.example_rsa")
    ]
    assert readable_name("a.example_rsa") == "a.example (RSA)"
    assert found.with_beside(("a.example",)) == ("a.example", "a.example_rsa")
    assert found.with_beside(()) == ()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("[rsa-2048, rsa-2048]", ("is there twice", "write `rsa-2048` alone")),
        ("[rsa-2048, rsa-4096]", ("are both RSA", "such as [ecdsa-p256, rsa-2048]")),
        ("[ecdsa-p256, ecdsa-p384]", ("are both ECDSA", "one certificate for each algorithm")),
        ("[ecdsa-p256, rsa-1024]", ("rsa-1024", "rsa-2048")),
        ("ed25519", ("ed25519", "ecdsa-p256")),
        ("[]", ("key_type",)),
        ("[ecdsa-p256, rsa-2048, rsa-4096]", ("key_type",)),
        ("{ecdsa: p256}", ("key_type",)),
    ],
)
@pytest.mark.parametrize("place", ["acme", "main", "defaults", "domain"])
def test_a_mistake_says_what_to_write(place: str, value: str, words: tuple[str, ...]) -> None:
    with pytest.raises(ModelError) as raised:
        site(**{place: value})
    mistakes = raised.value.mistakes
    assert len(mistakes) == 1
    told = f"{mistakes[0].field} {mistakes[0].reason} {mistakes[0].remedy}"
    assert all(each in told for each in words), told
    assert "key_type" in mistakes[0].field


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        ("hook", "handed over by another ACME client"),
        ("{file: {certificate: a.pem}}", "supplied as files"),
        ("global", "the global one"),
    ],
)
def test_a_certificate_of_others_has_no_type_to_choose(certificate: str, words: str) -> None:
    text = TEXT.format(
        main="", defaults="", acme="", domain=f", certificate: {certificate}, key_type: rsa-2048"
    )
    with pytest.raises(ModelError, match=words) as raised:
        read(text)
    assert [each.code for each in raised.value.mistakes] == ["key-of-others"]


def test_what_holds_for_all_is_passed_over_by_certificates_of_others() -> None:
    text = TEXT.format(
        main="",
        defaults="",
        acme=", key_type: [ecdsa-p256, rsa-2048]",
        domain=", certificate: hook",
    )
    assert list(wanted(read(text))) == ["global", "global_rsa", "a.example"]
