"""What each role sees; the mail services see the global certificate and no other (rule 5)."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxygen import registry
from proxygen.host import templates
from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.model.layout import Layout
from proxygen.model.site import Role, Site
from proxygen.model.views import MailView, mail_view, serving_bundle, web_view
from proxygen.plan.rendering import Rendering, rendering_of
from proxygen.services import Listener
from proxygen.services.dovecot import DovecotFacts
from proxygen.services.postfix import PostfixFacts
from proxygen.services.service_kind import Service
from tests.models import bundle, bundles, site

LAYOUT = Layout(Path("/"), Path("/etc/proxygen/proxygen.yaml"))
TEMPLATES = templates.load(Path("/nonexistent"))
MAIL = {name: each for name, each in registry.services().items() if each.role is Role.MAIL}
VERSIONS = {"postfix": [(3, 4, 0), (3, 7, 11)], "dovecot": [(2, 3, 19), (2, 4, 1)]}
LISTENERS = (
    Listener("127.0.0.1", 25, "smtp"),
    Listener("127.0.0.1", 993, None),
    Listener("127.0.0.1", 143, "imap"),
)
TEXT = """\
global: {url: mail.example.net, extra_names: [smtp.example.net], certificate: selfsigned}
domains:
  own.example: {url: www.own.example, extra_names: [b.own.example], certificate: selfsigned}
  shared.example: {url: www.shared.example}
  none.example: {}
"""


def test_the_mail_view_has_no_field_for_a_domains_certificate() -> None:
    assert [each.name for each in fields(MailView)] == ["host", "bundle", "beside"]


def test_the_mail_view_is_the_global_host_and_bundle() -> None:
    found = site(TEXT)
    issued = bundles(found)
    assert mail_view(found, issued) == MailView("mail.example.net", issued[GLOBAL])


def test_the_web_is_served_with_the_own_certificate_or_the_global_one() -> None:
    found = site(TEXT)
    issued = bundles(found)
    served = {each.owner: each.bundle.owner for each in web_view(found, issued).sites}
    assert served == {GLOBAL: GLOBAL, "own.example": "own.example", "shared.example": GLOBAL}


def test_the_global_site_comes_first_and_domains_without_a_url_not_at_all() -> None:
    sites = web_view(site(TEXT), bundles(site(TEXT))).sites
    assert [each.owner for each in sites] == [GLOBAL, "own.example", "shared.example"]
    assert sites[1].names == ("www.own.example", "b.own.example")


def test_until_the_own_certificate_is_there_the_global_one_serves() -> None:
    found = site(TEXT)
    only_global = {GLOBAL: bundle(found.global_certificate)}
    assert {each.bundle.owner for each in web_view(found, only_global).sites} == {GLOBAL}


def test_a_certificate_that_does_not_fit_the_url_any_more_does_not_serve() -> None:
    found = site(TEXT)
    owner = found.domains[0]
    former = bundles(found)["own.example"]
    assert serving_bundle(owner, {owner.key: former}) is former
    other = replace(former, names=("old.own.example",))
    assert serving_bundle(owner, {owner.key: other}) is None
    wildcard = replace(former, names=("*.own.example",))
    assert serving_bundle(owner, {owner.key: wildcard}) is wildcard


def test_a_stored_certificate_that_the_model_does_not_want_serves_nowhere() -> None:
    found = site(TEXT.replace(", certificate: selfsigned}\n  shared", "}\n  shared"))
    stale = bundles(site(TEXT))
    assert {each.bundle.owner for each in web_view(found, stale).sites} == {GLOBAL}


@pytest.mark.parametrize("kind", ["mail", "web"])
def test_without_a_global_bundle_there_is_no_view(kind: str) -> None:
    with pytest.raises(KeyError):
        (mail_view if kind == "mail" else web_view)(site(TEXT), {})


# Rule 5 for any model: whatever is asked for, the mail services want the global bundle alone.

NAMES = [f"{host}.{domain}" for domain in "abcdef" for host in ("smtp.x", "imap.x", "www.x")]
CERTIFICATES = st.sampled_from(["acme", "selfsigned", "global", {"file": {"certificate": "c.pem"}}])


@st.composite
def models(draw: st.DrawFn) -> str:
    """Return the text of a model in which every name has one owner."""
    names = draw(st.permutations(NAMES))
    domains: dict[str, Any] = {}
    for number in range(draw(st.integers(0, 5))):
        url, *extra = (f"{names.pop()}.example" for _ in range(draw(st.integers(1, 3))))
        domains[f"d{number}.example"] = draw(
            st.sampled_from([{}, {"url": url, "extra_names": extra}])
        )
        if domains[f"d{number}.example"]:
            domains[f"d{number}.example"]["certificate"] = draw(CERTIFICATES)
    main = {"url": "mail.example.net", "certificate": draw(st.sampled_from(["acme", "selfsigned"]))}
    default = {"certificate": draw(st.sampled_from(["acme", "selfsigned", "global"]))}
    acme = {"terms_of_service_agreed": True}
    return json.dumps({"global": main, "domains": domains, "defaults": default, "acme": acme})


@given(models(), st.booleans())
@settings(max_examples=80, deadline=None)
def test_for_any_model_mail_installs_the_global_bundle_alone(text: str, own_names: bool) -> None:
    found = site(text)
    issued = bundles(found)
    if own_names:  # a domain's certificate that covers even the global name
        issued |= {
            owner: replace(each, names=("*.example", "mail.example.net", *each.names))
            for owner, each in issued.items()
            if owner != GLOBAL
        }
    for name, service in MAIL.items():
        for version in VERSIONS[name]:
            holds_the_global_bundle_alone(installed(name, service, version, found, issued), issued)


def installed(
    name: str, service: Service, version: tuple[int, ...], of: Site, issued: dict[str, Bundle]
) -> Rendering:
    """Return what one mail service should have."""
    kind = {"postfix": PostfixFacts, "dovecot": DovecotFacts}[name]
    facts = kind(f"/usr/sbin/{name}", version, Path(f"/etc/{name}/main"), listeners=LISTENERS)
    view, chosen = mail_view(of, issued), service.settings_type()
    return rendering_of(
        name,
        service.wanted(view, chosen, facts, LAYOUT.of(name)),
        service.pointer(facts.main),
        service.endpoints(name, view, chosen, facts),
        TEMPLATES,
        LAYOUT.live(name),
    )


def holds_the_global_bundle_alone(found: Rendering, issued: dict[str, Bundle]) -> None:
    """See that nothing of a domain is in what a service should have."""
    main = issued[GLOBAL]
    assert set(found.certificates.values()) == {main}
    assert set(found.links.values()) <= set(found.certificates)
    assert {each.bundle for each in found.endpoints} == {main}
    written = "".join((*found.files.values(), *found.parameters.values(), *found.links.values()))
    foreign = {each.digest[:16] for owner, each in issued.items() if owner != GLOBAL}
    assert not [mark for mark in foreign if mark in written]
    assert ".example/" not in written
    assert "local_name" not in written
