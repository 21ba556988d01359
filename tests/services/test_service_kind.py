"""A service as those see it who know no kind: what it is given must be its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxygen import registry
from proxygen.errors import Origin
from proxygen.host import templates
from proxygen.host.own_part import own_part
from proxygen.model.certificate import Certificate
from proxygen.model.layout import Layout
from proxygen.model.site import Role
from proxygen.model.views import MailView, View, WebSite, WebView
from proxygen.observe.services import former_parameters
from proxygen.plan.rendering import Rendering, rendering_of
from proxygen.services import Facts, Listener, Reading, ServiceSettings
from proxygen.services.dovecot import DovecotFacts
from proxygen.services.nginx_facts import NginxFacts
from proxygen.services.nginx_settings import NginxSettings
from proxygen.services.postfix import PostfixFacts
from proxygen.services.service_kind import Service
from tests.models import bundle
from tests.standins import MemoryStore

LAYOUT = Layout(Path("/"), Path("/etc/proxygen/proxygen.yaml"))
HOST = "mail.example.net"
BUNDLE = bundle(Certificate("global", (HOST,), "selfsigned", Origin("", 1, 1)))
WEB = WebView((WebSite("global", (HOST,), BUNDLE, None),))
MAIL = MailView(HOST, BUNDLE)
SERVICES = registry.services()
OWN = {"nginx": NginxFacts, "postfix": PostfixFacts, "dovecot": DovecotFacts}
MAINS = Path("/etc/main")
TOLD = "/usr/sbin/it", (99,), MAINS
TEMPLATES = templates.load(Path("/nonexistent"))


def facts(kind: type[Facts]) -> Facts:
    """Return what is found out about any service, as that kind tells it."""
    return kind(*TOLD)


def view(service: Service) -> View:
    """Return the view of a service's role."""
    return WEB if service.role is Role.WEB else MAIL


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_takes_its_own_facts_and_no_others(name: str) -> None:
    service = SERVICES[name]
    given = view(service), service.settings_type()
    assert service.wanted(*given, facts(OWN[name]), LAYOUT.of(name)).certificates == (BUNDLE,)
    for other in {*OWN.values(), Facts} - {OWN[name]}:
        with pytest.raises(TypeError, match=f"{other.__name__} instead of {OWN[name].__name__}"):
            service.wanted(*given, facts(other), LAYOUT.of(name))


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_shown_the_view_of_its_role_and_no_other(name: str) -> None:
    service = SERVICES[name]
    other = MAIL if service.role is Role.WEB else WEB
    with pytest.raises(TypeError, match="instead of"):
        service.wanted(other, service.settings_type(), facts(OWN[name]), LAYOUT.of(name))
    with pytest.raises(TypeError, match="instead of"):
        service.endpoints(name, other, service.settings_type(), facts(OWN[name]))


def test_a_service_takes_settings_that_are_its_own() -> None:
    with pytest.raises(TypeError, match="ServiceSettings instead of NginxSettings"):
        SERVICES["nginx"].main_file(ServiceSettings(), LAYOUT.of("nginx"))


def test_nginx_alone_answers_challenges_and_postfix_alone_is_given_parameters() -> None:
    assert [name for name, each in SERVICES.items() if each.challenges] == ["nginx"]
    assert [name for name, each in SERVICES.items() if each.parameters] == ["postfix"]
    answering, sets = SERVICES["nginx"].challenges, SERVICES["postfix"].parameters
    assert answering
    assert answering(NginxSettings()) == Listener("127.0.0.1", 80, None)
    with pytest.raises(TypeError, match="ServiceSettings instead of NginxSettings"):
        answering(ServiceSettings())
    assert sets
    assert sets.parameters_in(sets.edited("", dict.fromkeys(sets.OURS, "x"))) == dict.fromkeys(
        sets.OURS, "x"
    )


def test_a_service_includes_a_file_or_is_given_parameters() -> None:
    for service in SERVICES.values():
        assert bool(service.pointer(MAINS)) is not bool(service.parameters)


def test_a_service_is_called_by_its_name_and_its_program_and_templates_by_its_kind() -> None:
    out = registry.service("postfix", "postfix-out")
    assert (out.name, out.kind) == ("postfix-out", "postfix")
    found = rendered(out, PostfixFacts(*TOLD, listeners=(Listener("127.0.0.1", 25, "smtp"),)))
    assert found.service == "postfix-out"
    assert found.parameters["smtpd_tls_chain_files"] == (
        "/var/lib/proxygen/live/postfix-out/current/global.pem"
    )
    assert {each.service for each in found.endpoints} == {"postfix-out"}
    assert found.files == {}


def test_each_of_several_reads_what_is_its_own() -> None:
    second = registry.service("dovecot", "dovecot-2")
    asked = second.questions("/usr/sbin/dovecot", ServiceSettings(), LAYOUT.of(second.name))["ours"]
    assert asked == Reading(Path("/var/lib/proxygen/live/dovecot-2/current/tls.conf"))
    inside = rendered(registry.service("nginx", "nginx-inside"), NginxFacts(*TOLD)).files
    assert "/var/lib/proxygen/live/nginx-inside/certificates/" in inside["proxygen.conf"]
    assert "/live/nginx/" not in inside["proxygen.conf"]


def test_what_was_before_proxygen_is_noted_for_each() -> None:
    store = MemoryStore()
    for name in ("postfix", "postfix-out"):
        settings = ServiceSettings(configuration=f"/etc/{name}")
        own = own_part(
            registry.service("postfix", name), settings, LAYOUT, former_parameters(store, name)
        )
        assert own.main == Path(f"/etc/{name}/main.cf")
        assert own.parameters
        own.parameters.note.put(name.encode())
    assert {key: store.get(key) for key in store.keys("former")} == {
        "former/postfix": b"postfix",
        "former/postfix-out": b"postfix-out",
    }


def rendered(service: Service, facts: Facts) -> Rendering:
    """Return what a service should have."""
    given = view(service), service.settings_type(), facts
    return rendering_of(
        service.name,
        service.wanted(*given, LAYOUT.of(service.name)),
        service.pointer(MAINS),
        service.endpoints(service.name, *given),
        TEMPLATES,
        LAYOUT.live(service.name),
    )
