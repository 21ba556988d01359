"""Whom a service shows which certificate, as far as its last look knows."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from proxygen.model.certificate import GLOBAL
from proxygen.plan.observed import Installed, Observed, ServiceState
from proxygen.plan.unserved import services_showing
from proxygen.services import ServiceSettings
from tests.models import bundles, site

SITE = site("""\
global: {url: mail.example.net, certificate: selfsigned}
domains:
  a.example: {url: www.a.example, extra_names: [x.a.example], certificate: selfsigned}
  b.example: {url: www.b.example}
""")
BUNDLES = bundles(SITE)
A, MAIN = (BUNDLES[owner].fingerprint for owner in ("a.example", GLOBAL))
WEB = (("mail.example.net", MAIN), ("unknown.invalid", None), ("www.a.example", A))
WEB += (("x.a.example", A), ("www.b.example", MAIN))
MAIL = (("mail.example.net", MAIN), ("other.invalid", MAIN))


def state(
    shown: Collection[tuple[str, str | None]], wrong: Collection[str] | None, pid: int | None
) -> ServiceState:
    """Return a service; *wrong*: what the last look saw wrong, None for nothing."""
    endpoints = [["127.0.0.1", 443, name, None, False, mark] for name, mark in shown]
    manifest = {"endpoints": endpoints, "certificates": []}
    names = frozenset(wrong or ())
    present = Installed("0", manifest=manifest, unserved=wrong is not None, wrong_names=names)
    return ServiceState("x", ServiceSettings(), installed=present, pid=pid)


def served(*, wrong: Collection[str] | None, pid: int | None = 1) -> dict[str, list[str]]:
    """Return the services that show each owner's certificate."""
    services = {"web": state(WEB, wrong, pid), "mail": state(MAIL, wrong, pid)}
    observed = Observed(BUNDLES, services, {})
    return {each.key: list(services_showing(each, observed)) for each in SITE.owners}


@pytest.mark.parametrize(
    ("wrong", "pid", "expected"),
    [
        pytest.param(None, 1, ("mail web", "web", "web"), id="all is right"),
        pytest.param(None, None, ("", "", ""), id="nothing runs"),
        pytest.param((), 1, ("", "", ""), id="nobody knows what is shown"),
        pytest.param(["www.a.example"], 1, ("mail web", "", "web"), id="one name"),
        pytest.param(["x.a.example"], 1, ("mail web", "", "web"), id="an extra name"),
        pytest.param(["www.b.example"], 1, ("mail web", "web", ""), id="served with the global"),
        pytest.param(["mail.example.net"], 1, ("", "web", "web"), id="the global name"),
        pytest.param(["other.invalid"], 1, ("web", "web", "web"), id="any name at a mail port"),
        pytest.param(["unknown.invalid"], 1, ("mail web", "web", "web"), id="not refused"),
    ],
)
def test_what_is_not_shown_is_not_served(
    wrong: Collection[str] | None, pid: int | None, expected: tuple[str, ...]
) -> None:
    found = served(wrong=wrong, pid=pid)
    assert tuple(" ".join(each) for each in found.values()) == expected
