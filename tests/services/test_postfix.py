"""postfix: what its answers tell, and the few parameters that it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxygen.errors import ServiceError
from proxygen.host import templates
from proxygen.model.certificate import Bundle
from proxygen.model.layout import Layout
from proxygen.model.views import MailView
from proxygen.plan.render import render_template
from proxygen.plan.rendering import assigned_parameters
from proxygen.services import Answer, Listener, ServiceSettings, postfix
from proxygen.services.mail_endpoints import OTHER_NAME
from proxygen.services.postfix import PostfixFacts

LAYOUT = Layout(Path("/"), Path("/etc/proxygen/proxygen.yaml")).of("postfix")
SETTINGS = ServiceSettings()
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BUNDLE = Bundle(
    *("global", ("mail.example.net",), "file", "CA", NOON, NOON, "1"),
    *("f" * 64, "5" * 64, "d" * 64, "ecdsa-p256"),
)
TEMPLATES = templates.load(Path("/nowhere"))
VIEW = MailView("mail.example.net", BUNDLE)

EXPANDED = """\
queue_directory = /var/spool/postfix
inet_interfaces = all
inet_protocols = all
smtpd_discard_ehlo_keywords =
"""
DEBIAN = """\
smtp       inet  n       -       y       -       -       smtpd
submission inet  n       -       y       -       -       smtpd -o smtpd_tls_security_level=encrypt
smtps      inet  n       -       y       -       -       smtpd -o smtpd_tls_wrappermode=yes
pickup     unix  n       -       y       60      1       pickup
smtp       unix  -       -       y       -       -       smtp
"""
DEBIAN_OVERRIDES = """\
submission/inet/smtpd_tls_security_level = encrypt
smtps/inet/smtpd_tls_wrappermode = yes
"""


def answers(**said: str) -> dict[str, Answer]:
    defaults = {
        "version": "3.7.11\n",
        "parameters": "",
        "expanded": EXPANDED,
        "services": DEBIAN,
        "overrides": DEBIAN_OVERRIDES,
    }
    return {name: Answer(0, text, "") for name, text in (defaults | said).items()}


def found(**said: str) -> PostfixFacts:
    return postfix.facts("/usr/sbin/postfix", SETTINGS, LAYOUT, answers(**said))


def parameters(facts: PostfixFacts) -> Mapping[str, str]:
    wanted = postfix.wanted(VIEW, SETTINGS, facts, LAYOUT).parameters
    assert wanted
    return assigned_parameters(render_template(TEMPLATES, wanted))


def test_facts_of_a_debian_postfix() -> None:
    facts = found(parameters="smtpd_tls_security_level = may\nmyhostname = x\n")
    assert facts.version == (3, 7, 11)
    assert facts.main == Path("/etc/postfix/main.cf")
    assert facts.pid_file == Path("/var/spool/postfix/pid/master.pid")
    assert facts.parameters == {"smtpd_tls_security_level": "may", "myhostname": "x"}
    assert facts.listeners == (
        Listener("127.0.0.1", 25, "smtp"),
        Listener("127.0.0.1", 587, "smtp"),
        Listener("127.0.0.1", 465, None),
    )
    assert facts.warnings == ()


@pytest.mark.parametrize("configuration", ["/srv/mail/main.cf", "/srv/mail"])
def test_another_configuration_is_asked_for(configuration: str) -> None:
    settings = ServiceSettings(configuration=configuration)
    asked = postfix.questions("/opt/sbin/postfix", settings, LAYOUT)
    assert asked["parameters"].argv == ("/opt/sbin/postconf", "-c", "/srv/mail", "-n")


@pytest.mark.parametrize(
    ("service", "overrides", "listeners"),
    [
        pytest.param("smtp", "", [("127.0.0.1", 25, "smtp")], id="a name"),
        pytest.param("2525", "", [("127.0.0.1", 2525, "smtp")], id="a number"),
        pytest.param("192.0.2.1:smtp", "", [("192.0.2.1", 25, "smtp")], id="one address"),
        pytest.param("0.0.0.0:25", "", [("127.0.0.1", 25, "smtp")], id="all of IPv4"),
        pytest.param("[::1]:26", "", [("::1", 26, "smtp")], id="IPv6"),
        pytest.param("[::]:26", "", [("::1", 26, "smtp")], id="all of IPv6"),
        pytest.param(
            "465", "465/inet/smtpd_tls_wrappermode = yes", [("127.0.0.1", 465, None)], id="wrapped"
        ),
        pytest.param(
            "465",
            "465/inet/smtpd_tls_wrappermode = YES",
            [("127.0.0.1", 465, None)],
            id="in capitals",
        ),
        pytest.param("ssmtp", "", [("127.0.0.1", 465, "smtp")], id="another name for 465"),
        pytest.param("465", "465/inet/smtpd_tls_security_level = none", [], id="TLS is off"),
        pytest.param(
            "10025",
            "10025/inet/smtpd_discard_ehlo_keywords = dsn, STARTTLS",
            [],
            id="STARTTLS is hidden",
        ),
    ],
)
def test_how_a_listener_is_reached(
    service: str, overrides: str, listeners: list[tuple[str, int, str | None]]
) -> None:
    facts = found(services=f"{service} inet n - n - - smtpd -o x=y\n", overrides=overrides)
    assert facts.listeners == tuple(Listener(*each) for each in listeners)


@pytest.mark.parametrize(
    ("interfaces", "protocols", "address"),
    [
        ("all", "all", "127.0.0.1"),
        ("all", "ipv6", "::1"),
        ("loopback-only", "ipv4", "127.0.0.1"),
        ("mail.example.net, localhost", "all", "127.0.0.1"),
        ("192.0.2.7, 192.0.2.8", "all", "192.0.2.7"),
        ("[2001:db8::1]", "all", "2001:db8::1"),
    ],
)
def test_inet_interfaces_decide_the_address(interfaces: str, protocols: str, address: str) -> None:
    expanded = f"inet_interfaces = {interfaces}\ninet_protocols = {protocols}\n"
    assert found(expanded=expanded).listeners[0].address == address


def test_postscreen_is_a_listener_and_may_expect_the_proxy_protocol() -> None:
    services = "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\n"
    parameters = "postscreen_upstream_proxy_protocol = haproxy\n"
    facts = found(services=services, overrides="", parameters=parameters)
    assert facts.listeners == (Listener("127.0.0.1", 25, "smtp", proxy_protocol=True),)


def test_an_unknown_port_is_told() -> None:
    facts = found(services="lunch inet n - y - - smtpd\n", overrides="")
    assert facts.listeners == ()
    assert "`lunch` is unknown" in facts.warnings[0]


OURS_SET = "smtpd_tls_chain_files = /var/lib/proxygen/live/postfix/current/global.pem\n"


@pytest.mark.parametrize(
    ("service", "option", "told"),
    [
        pytest.param("smtps/inet", "smtpd_tls_chain_files = /x", True, id="files of chains"),
        pytest.param("smtps/inet", "smtpd_tls_chain_files =", True, id="none of them"),
        pytest.param("smtps/inet", "tls_server_sni_maps = hash:/x", True, id="names"),
        pytest.param("smtps/inet", "tls_server_sni_maps =", False, id="no names"),
        pytest.param(
            "smtps/inet", "smtpd_tls_cert_file = /x", False, id="a pair, which is ignored"
        ),
        pytest.param(
            *("smtps/inet", "smtpd_tls_chain_files = /var/lib/proxygen/live/postfix/current/x.pem"),
            *(False,),
            id="ours",
        ),
        pytest.param(
            *("smtps/inet", "smtpd_tls_chain_files = /var/lib/proxygen/live/postfix/x.pem, /y.pem"),
            *(True,),
            id="ours and another one",
        ),
        pytest.param("tlsproxy/unix", "tlsproxy_tls_chain_files = /x", True, id="of postscreen"),
        pytest.param("smtp/unix", "smtpd_tls_chain_files = /x", False, id="of who shows none"),
        pytest.param("smtps/inet", "smtp_tls_chain_files = /x", False, id="to servers"),
    ],
)
def test_a_service_with_another_certificate_is_told(service: str, option: str, told: bool) -> None:
    services = f"{DEBIAN}tlsproxy   unix  -       -       y       -       0       tlsproxy\n"
    name, kind = service.split("/")
    line = f"{name} {kind} n - y - - smtpd\n  -o {{ {option} }}\n"
    facts = found(
        services=services,
        overrides=f"{DEBIAN_OVERRIDES}{service}/{option}\n",
        parameters=OURS_SET,
        **{"master.cf": f"# mine\n{line}"},
    )
    assert bool(facts.warnings) is told
    for warning in facts.warnings:
        assert f"/etc/postfix/master.cf:3: `{name}` sets {option.split()[0]}" in warning
        assert f"remove `-o {{ {option} }}`" in warning


def test_what_is_not_found_in_master_cf_is_told_without_its_line() -> None:
    (warning,) = found(overrides="smtps/inet/smtpd_tls_chain_files = /x\n").warnings
    assert "/etc/postfix/master.cf: `smtps`" in warning
    assert "remove `-o smtpd_tls_chain_files`" in warning


def test_a_pair_of_a_service_is_told_until_postfix_ignores_it() -> None:
    pair = "smtps/inet/smtpd_tls_cert_file = /x\n"
    (warning,) = found(overrides=pair).warnings
    assert "ignores once proxygen sets smtpd_tls_chain_files" in warning
    assert found(overrides=pair, parameters=OURS_SET).warnings == ()


def test_what_postscreen_presents_by_main_cf_is_told_with_its_line() -> None:
    text = "a = b\ntlsproxy_tls_chain_files =\n  /x\n"
    said = {"parameters": f"{OURS_SET}tlsproxy_tls_chain_files = /x\n", "main.cf": text}
    assert found(**said).warnings == ()  # nobody uses it
    services = "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\n"
    (warning,) = found(**said, services=services, overrides="").warnings
    assert "/etc/postfix/main.cf:2 sets tlsproxy_tls_chain_files = /x" in warning
    same = said | {"parameters": "tlsproxy_tls_chain_files = $smtpd_tls_chain_files\n"}
    assert found(**same, services=services, overrides="").warnings == ()


def test_too_old() -> None:
    with pytest.raises(ServiceError, match=r"3\.3\.2 is too old") as refused:
        found(version="3.3.2\n")
    assert "3.4" in refused.value.remedy


@pytest.mark.parametrize("said", ["", "what?", "9" * 50])
def test_no_version(said: str) -> None:
    with pytest.raises(ServiceError, match="does not report its version"):
        found(version=said)


def test_an_unreadable_configuration_is_quoted() -> None:
    said = answers() | {"parameters": Answer(1, "", "postconf: fatal: line 7: missing '='")}
    with pytest.raises(ServiceError, match="missing '='"):
        postfix.facts("postfix", SETTINGS, LAYOUT, said)


def test_parameters_that_are_set() -> None:
    assert parameters(found()) == {
        "smtpd_tls_chain_files": "/var/lib/proxygen/live/postfix/current/global.pem",
        "smtpd_tls_security_level": "may",
        "smtpd_tls_mandatory_protocols": ">=TLSv1.2",
        "smtpd_tls_mandatory_exclude_ciphers": (
            "kRSA, kDHE, PSK, SHA1, SHA256, SHA384, AESCCM, ARIAGCM"
        ),
        "tls_server_sni_maps": "",
        "tls_session_ticket_cipher": "",
    }


def test_our_parameters_are_those_of_the_template() -> None:
    assert set(parameters(found())) == set(postfix.OURS)


def test_former_values_are_known_of_all_that_is_set() -> None:
    before = dict.fromkeys(parameters(found()), "x")
    present = "".join(f"{name} = x\n" for name in before)
    assert found(parameters=present).parameters == before


def test_the_smtp_client_and_port_25_keep_theirs() -> None:
    theirs = (
        "smtp_",
        "lmtp_",
        "tls_medium",
        "tls_high",
        "smtpd_tls_ciphers",
        "smtpd_tls_protocols",
    )
    assert not [name for name in parameters(found()) if name.startswith(theirs)]


def test_protocols_in_the_words_of_older_versions() -> None:
    old = replace(found(), version=(3, 5, 25))
    assert parameters(old)["smtpd_tls_mandatory_protocols"] == "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"


@pytest.mark.parametrize(
    ("present", "level"),
    [
        ("", "may"),
        ("smtpd_tls_security_level = none", "may"),
        ("smtpd_tls_security_level =", "may"),
        ("smtpd_tls_security_level = may", "may"),
        ("smtpd_tls_security_level = encrypt", "encrypt"),
        ("smtpd_tls_security_level = $our_level", None),
        ("smtpd_enforce_tls = yes", "encrypt"),
    ],
)
def test_mandatory_tls_is_never_weakened(present: str, level: str | None) -> None:
    assert parameters(found(parameters=present)).get("smtpd_tls_security_level") == level


def test_only_the_global_bundle_is_installed_and_expected() -> None:
    facts = found()
    wanted = postfix.wanted(VIEW, SETTINGS, facts, LAYOUT)
    assert (wanted.links, wanted.certificates) == ({"global.pem": BUNDLE}, (BUNDLE,))
    assert postfix.pointer(facts.main) is None
    endpoints = list(postfix.endpoints("postfix", VIEW, SETTINGS, facts))
    assert {each.bundle for each in endpoints} == {BUNDLE}
    assert {each.server_name for each in endpoints} == {"mail.example.net", OTHER_NAME}
    assert len(endpoints) == 2 * len(facts.listeners)


FINE = Answer(0, "", "postconf: warning: /etc/postfix/main.cf: unused parameter: foo=1")
ABOUT_OURS = Answer(
    0, "", "postconf: warning: /x/main.cf: unused parameter: smtpd_tls_chain_files=/y"
)


# What postfix 3.10 says of a line of many an old main.cf.
OURS_INSTEAD = Answer(
    0,
    "",
    'postconf: warning: ./main.cf: support for parameter "smtpd_use_tls" will be removed; '
    'instead, specify "smtpd_tls_security_level"',
)


TWICE = Answer(
    0,
    "",
    "postconf: warning: /x/main.cf, line 9: overriding earlier entry: smtpd_tls_security_level=may",
)
IN_A_VALUE = Answer(
    0, "", "postconf: warning: /x/main.cf: unused parameter: mine=$smtpd_tls_chain_files"
)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([FINE, Answer(0, "", "")], None),
        ([FINE, Answer(1, "secret", "postfix: fatal: bad")], "postfix: fatal: bad"),
        ([Answer(1, "secret", "")], "exit code 1"),
        ([ABOUT_OURS], ABOUT_OURS.err),
        ([OURS_INSTEAD], None),
        ([TWICE], None),
        ([IN_A_VALUE], None),
    ],
)
def test_what_is_a_refusal(said: list[Answer], words: str | None) -> None:
    assert postfix.refused(said) == words


def configured(name: str, **said: str) -> list[tuple[str, ...]]:
    """Return the files that postfix is configured with for a name."""
    told = {"presented": Answer(0, "", ""), "overrides": Answer(0, "", "")}
    told |= {key.replace("map_", "map /"): Answer(0, text, "") for key, text in said.items()}
    found = postfix.configured(name, postfix_facts(), SETTINGS, told)
    return [tuple(map(str, each.paths)) for each in found]


def postfix_facts() -> PostfixFacts:
    return PostfixFacts("/usr/sbin/postfix", (3, 7, 11), Path("/etc/postfix/main.cf"))


def test_a_pair_of_parameters_is_what_it_presents() -> None:
    said = "smtpd_tls_cert_file = /c.pem\nsmtpd_tls_key_file = /c.key\nsmtpd_tls_chain_files =\n"
    assert configured("mail.example.net", presented=said) == [("/c.pem", "/c.key")]
    said = "smtpd_tls_cert_file = /both.pem\nsmtpd_tls_key_file = /both.pem\n"
    assert configured("mail.example.net", presented=said) == [("/both.pem",)]
    assert configured("mail.example.net", presented="smtpd_tls_cert_file = none\n") == []


def test_chain_files_count_before_pairs_and_may_be_split() -> None:
    said = "smtpd_tls_chain_files = /rsa.pem, /ec.key /ec.pem\nsmtpd_tls_cert_file = /c.pem\n"
    assert configured("mail.example.net", presented=said) == [
        *(("/rsa.pem",), ("/rsa.pem", "/ec.key"), ("/rsa.pem", "/ec.key", "/ec.pem")),
        *(("/ec.key",), ("/ec.key", "/ec.pem"), ("/ec.pem",)),
    ]
    said = "smtpd_tls_chain_files = /key /leaf /intermediate /cross\n"
    found = configured("mail.example.net", presented=said)
    assert ("/key", "/leaf", "/intermediate", "/cross") in found


def test_options_of_master_cf_and_maps_for_sni_count_as_well() -> None:
    options = "smtps/inet/smtpd_tls_cert_file = /o.pem\nsmtps/inet/smtpd_tls_key_file = /o.key\n"
    sources = "# names\nmail.example.net /sni.pem\n.example.net /wild.pem\n"
    found = configured("mail.example.net", overrides=options, map_sni=sources)
    assert found == [("/sni.pem",), ("/wild.pem",), ("/o.pem", "/o.key")]


def test_what_mail_clients_are_shown_is_told_by_name_and_whether_it_stays() -> None:
    told = {
        "presented": Answer(
            0,
            "smtpd_tls_cert_file = /c.pem\nsmtpd_tls_key_file = /c.key\n"
            "tls_server_sni_maps = hash:/sni\n",
            "",
        ),
        "overrides": Answer(0, "smtps/inet/smtpd_tls_chain_files = /o.pem\n", ""),
        "map /sni": Answer(0, "# names\nIMAP.example.net /sni.pem\n.example.org /wild.pem\n", ""),
    }
    found = [
        (each.configured.paths[0].name, each.names, each.stays)
        for each in postfix.mail_certificates(told)
    ]
    assert found == [
        ("sni.pem", ("imap.example.net",), False),
        ("wild.pem", (".example.org",), False),
        ("c.pem", (), False),
        ("o.pem", (), True),
    ]


def test_a_pair_of_a_service_stays_only_where_files_of_chains_are_set_to_nothing() -> None:
    pair = "smtps/inet/smtpd_tls_cert_file = /c.pem\nsmtps/inet/smtpd_tls_key_file = /c.key\n"
    for more, stays in (("", False), ("smtps/inet/smtpd_tls_chain_files =\n", True)):
        told = {"presented": Answer(0, "", ""), "overrides": Answer(0, pair + more, "")}
        (found,) = postfix.mail_certificates(told)
        assert found.stays is stays


def test_the_source_of_a_map_is_asked_for_once_it_is_known() -> None:
    first = postfix.certificate_questions(postfix_facts(), SETTINGS, LAYOUT, {})
    told = {"presented": Answer(0, "tls_server_sni_maps = hash:/etc/postfix/sni\n", "")}
    then = postfix.certificate_questions(postfix_facts(), SETTINGS, LAYOUT, told)
    assert set(first) == {"presented", "overrides"}
    assert set(then) == {*first, "map /etc/postfix/sni"}
