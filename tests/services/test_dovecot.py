"""dovecot: what its answers tell, in the words of 2.3 and of 2.4, and the file it is given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxygen.errors import ServiceError
from proxygen.model.certificate import Bundle
from proxygen.model.layout import Layout
from proxygen.model.views import MailView
from proxygen.plan.render import Template, Templates, render
from proxygen.services import Answer, Facts, Listener, ServiceSettings, dovecot
from proxygen.services.mail_endpoints import OTHER_NAME

LAYOUT = Layout(Path("/"), Path("/etc/proxygen/proxygen.yaml"))
SETTINGS = ServiceSettings()
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BUNDLE = Bundle(
    *("global", ("mail.example.net",), "file", "CA", NOON, NOON, "1"),
    *("f" * 64, "5" * 64, "d" * 64, "ecdsa-p256"),
)
VIEW = MailView("mail.example.net", BUNDLE)
TEMPLATES = Path(__file__).parents[2] / "templates"

LISTENERS = """\
service imap-login {
  chroot = login
  inet_listener imap {
    address =
    haproxy = no
    port = 143
    ssl = no
  }
  inet_listener imaps {
    port = 993
    ssl = yes
  }
}
service pop3-login {
  inet_listener pop3 {
    port = 110
  }
  inet_listener pop3s {
    port = 0
    ssl = yes
  }
}
service managesieve-login {
  inet_listener sieve {
    address = 192.0.2.1, ::1
    port = 4190
  }
}
service submission-login {
  inet_listener submission {
    port = 587
  }
}
service lmtp {
  unix_listener lmtp {
    mode = 0666
  }
  inet_listener lmtp {
    port = 24
  }
}
service stats {
  inet_listener {
    port = 9900
  }
}
"""
OF_2_3 = (
    """\
# 2.3.19.1 (9b53102964): /etc/dovecot/dovecot.conf
base_dir = /run/dovecot
listen = *, ::
protocols = " imap pop3 sieve lmtp"
"""
    + LISTENERS
    + "ssl = yes\nssl_cert = </etc/dovecot/private/dovecot.pem\n"
)
OF_2_4 = (
    """\
# 2.4.1-4 (7d8c0e5759): /etc/dovecot/dovecot.conf
dovecot_config_version = 2.4.1
base_dir = /run/dovecot
listen = *, ::
protocols {
  imap = yes
  pop3 = yes
  sieve = yes
  lmtp = yes
  submission = no
}
"""
    + LISTENERS.replace("address =", "listen =")
    + "ssl = yes\nssl_server_cert_file = /etc/dovecot/private/dovecot.pem\n"
)


def answers(
    settings: str = OF_2_3,
    version: str = "2.3.19.1 (9b53102964)\n",
    openssl: str = "OpenSSL 3.0.22 25 Aug 2026 (Library: OpenSSL 3.0.22 25 Aug 2026)",
    ours: str | None = None,
) -> dict[str, Answer]:
    return {
        "version": Answer(0, version, ""),
        "openssl": Answer(0, openssl, ""),
        "settings": Answer(0, settings, ""),
        "ours": Answer(1, "", "") if ours is None else Answer(0, ours, ""),
    }


def found(said: Mapping[str, Answer] | None = None, **more: str) -> Facts:
    given = answers(**more) if said is None else said
    return dovecot.facts("/usr/sbin/dovecot", SETTINGS, LAYOUT, given)


def text(facts: Facts) -> str:
    (file,) = dovecot.wanted(VIEW, SETTINGS, facts, LAYOUT).files
    names = [f"dovecot/{path.name}" for path in (TEMPLATES / "dovecot").iterdir()]
    loaded = {name: Template((TEMPLATES / name).read_text(), name) for name in names}
    return render(Templates(loaded), file)


def settings_of(facts: Facts) -> str:
    """Return the rendered file without comments and empty lines."""
    return re.sub(r"(?m)^\s*(#.*)?\n", "", text(facts))


@pytest.mark.parametrize(
    ("settings", "version"), [(OF_2_3, "2.3.19.1 (9b53102964)"), (OF_2_4, "2.4.1-4 (7d8c0e5759)")]
)
def test_facts_are_the_same_in_both_languages(settings: str, version: str) -> None:
    facts = found(settings=settings, version=version)
    assert facts.main == Path("/etc/dovecot/dovecot.conf")
    assert facts.pid_file == Path("/run/dovecot/master.pid")
    assert facts.openssl == (3, 0, 22)
    assert facts.listeners == (
        Listener("127.0.0.1", 143, "imap"),
        Listener("127.0.0.1", 993, None),
        Listener("127.0.0.1", 110, "pop3"),
        Listener("192.0.2.1", 4190, "sieve"),
        Listener("127.0.0.1", 24, "lmtp"),
    )
    assert facts.warnings == ()


def test_version_decides() -> None:
    assert found(version="2.3.19.1 (9b53102964)").version == (2, 3, 19, 1)
    assert found(version="2.4.1-4 (7d8c0e5759)").version == (2, 4, 1)
    with pytest.raises(ServiceError, match=r"2\.2\.36 is too old"):
        found(version="2.2.36 (1f10bfa63)")
    with pytest.raises(ServiceError, match="does not tell its version"):
        found(version="")


def test_a_configuration_that_cannot_be_read_is_quoted() -> None:
    said = answers() | {"settings": Answer(89, "", "doveconf: Fatal: line 3: Expecting '{'")}
    with pytest.raises(ServiceError, match="Expecting"):
        found(said)


@pytest.mark.parametrize(
    ("inside", "listeners"),
    [
        ("port = 0", ()),
        ("port = -1", ()),
        ("port = 65536", ()),
        ("port = 99999999999999", ()),
        ("port = 143 # really", ()),
        ("port = 143\nhaproxy = yes", ()),
        ("port = 143\naddress = ::", (Listener("::1", 143, "imap"),)),
        ("port = 143\naddress = [2001:db8::1]", (Listener("2001:db8::1", 143, "imap"),)),
        ('port = 143\naddress = "}"', (Listener("}", 143, "imap"),)),
        ("port = 143\nssl = yes", (Listener("127.0.0.1", 143, None),)),
    ],
)
def test_odd_listeners(inside: str, listeners: tuple[Listener, ...]) -> None:
    block = f"inet_listener x {{\n{inside}\n}}"
    facts = found(settings=f"protocols = imap\nservice imap-login {{\n{block}\n}}\n")
    assert facts.listeners == listeners


@pytest.mark.parametrize(
    "hostile", ["", "}\n}\n}", "a {\n" * 3000, "\x00 = \xff\n= {\n{", "ssl = " + "x" * 100_000]
)
def test_any_text_can_be_parsed(hostile: str) -> None:
    assert found(settings=hostile).listeners == ()


def test_braces_and_quotes_in_values_open_no_block() -> None:
    root = dovecot.parse('a = b {\nc = "} \\" {"\nd "odd name" {\n  e = 1\n}\nf = 2\n')
    assert root.settings == {"a": "b {", "c": '} " {', "f": "2"}
    assert [(block.kind, block.name, block.settings) for block in root.blocks] == [
        ("d", "odd name", {"e": "1"})
    ]


FILTERS = {
    "local_name imap.a.example {\n  ssl_cert = </x\n}": "local_name imap.a.example",
    "protocol imap {\n  ssl_key = # hidden, use -P to show it\n}": "protocol imap",
    "local 192.0.2.1 {\n  protocol imap {\n    ssl_alt_cert = </x\n  }\n}": "192.0.2.1 / protocol",
    "local_name a.example {\n  ssl_server_cert_file = /x\n}": "local_name a.example",
    "local_name a.example {\n  ssl_server {\n    cert_file = /x\n  }\n}": "a.example / ssl_server",
}


@pytest.mark.parametrize(("block", "place"), FILTERS.items())
def test_a_filter_with_another_certificate_is_told(block: str, place: str) -> None:
    (warning,) = found(settings=f"{OF_2_3}{block}\n").warnings
    assert place in warning


@pytest.mark.parametrize(
    "block",
    [
        "remote 10.0.0.0/8 {\n  ssl = no\n}",
        "local_name a.example {\n  ssl_cert =\n}",
        "ssl_server {\n  ssl_server_cert_file = global-chain.pem\n}",
        "passdb ldap {\n  ssl_cert = x\n}",
    ],
)
def test_other_blocks_are_nobodys_business(block: str) -> None:
    assert found(settings=f"{OF_2_3}{block}\n").warnings == ()


MOZILLA = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)


def test_the_file_for_2_3() -> None:
    assert settings_of(found()) == (
        "ssl_cert = <global-chain.pem\n"
        "ssl_key = <global.pem\n"
        "ssl_alt_cert =\n"
        "ssl_alt_key =\n"
        "ssl_min_protocol = TLSv1.2\n"
        f"ssl_cipher_list = {MOZILLA}\n"
        "ssl_curve_list = X25519:prime256v1:secp384r1\n"
        "ssl_prefer_server_ciphers = no\n"
        "ssl_options = no_ticket\n"
    )


def test_the_file_for_2_4() -> None:
    assert settings_of(found(settings=OF_2_4, version="2.4.1-4", openssl="OpenSSL 3.5.1 x")) == (
        "ssl_server {\n"
        "  ssl_server_cert_file = global-chain.pem\n"
        "  ssl_server_key_file = global.pem\n"
        "  ssl_server_alt_cert_file =\n"
        "  ssl_server_alt_key_file =\n"
        "  ssl_min_protocol = TLSv1.2\n"
        f"  ssl_cipher_list = {MOZILLA}\n"
        "  ssl_curve_list = X25519MLKEM768:X25519:prime256v1:secp384r1\n"
        "  ssl_server_prefer_ciphers = client\n"
        "  ssl_options = no_ticket\n"
        "}\n"
    )


@pytest.mark.parametrize("openssl", ["", "LibreSSL 3.8.2", "OpenSSL 1.1.1w  11 Sep 2023"])
def test_only_groups_that_openssl_knows(openssl: str) -> None:
    assert "ssl_curve_list = X25519:prime256v1:secp384r1\n" in text(found(openssl=openssl))


def test_required_stays_required_and_off_is_switched_on_for_good() -> None:
    ours = re.compile(r"(?m)^ssl = yes$")
    for value in ("yes", "required"):
        assert not ours.search(text(found(settings=f"ssl = {value}\n")))
    first = text(found(settings="ssl = no\n"))
    assert ours.search(first)
    # dovecot then says `yes`, which is our own word.
    assert text(found(settings="ssl = yes\n", ours=first)) == first


def test_the_key_is_not_in_the_file_whose_content_doveconf_prints() -> None:
    wanted = dovecot.wanted(VIEW, SETTINGS, found(), LAYOUT)
    assert wanted.links == {"global.pem": BUNDLE}
    assert wanted.chains == {"global-chain.pem": BUNDLE}
    assert wanted.certificates == (BUNDLE,)


@pytest.mark.parametrize(
    ("line", "mask"),
    [
        ("!include conf.d/*.conf", "conf.d/*.conf"),
        ("  !include_try\t/a/b c.conf  # all", "/a/b c.conf"),
        ("#!include x", None),
        ("  # !include x", None),
        ('a = "!include x"', None),
        ("!included x", None),
    ],
)
def test_includes_are_found(line: str, mask: str | None) -> None:
    found = re.search(dovecot.INCLUDE, f"a = b\n{line}\nc = d\n")
    assert (found and found["mask"]) == mask


def test_the_pointer_stands_last_in_conf_d() -> None:
    pointer = dovecot.pointer(found())
    assert pointer.path == Path("/etc/dovecot/conf.d/99-proxygen.conf")
    assert pointer.directive.format("/g/*.conf") == "!include_try /g/*.conf"


def test_programs_beside_the_one_found() -> None:
    facts = replace(found(), program="/opt/dovecot/sbin/dovecot")
    (check,) = dovecot.check(facts, SETTINGS, Path("/e/x.conf"))
    assert check.argv == ("/opt/dovecot/bin/doveconf", "-c", "/e/x.conf", "-x", "-n")
    reload = dovecot.reload(facts, SETTINGS)
    assert reload.argv == ("/opt/dovecot/bin/doveadm", "-c", "/etc/dovecot/dovecot.conf", "reload")
    assert dovecot.beside("dovecot", "doveconf") == "doveconf"


def test_only_the_global_bundle_is_expected() -> None:
    endpoints = list(dovecot.endpoints(VIEW, SETTINGS, found()))
    assert {each.bundle for each in endpoints} == {BUNDLE}
    assert {each.server_name for each in endpoints} == {"mail.example.net", OTHER_NAME}


def test_a_refusal_never_shows_the_configuration() -> None:
    assert dovecot.refused([Answer(0, "secret", "doveconf: Warning: old")]) is None
    assert dovecot.refused([Answer(89, "secret", "doveconf: Fatal: x")]) == "doveconf: Fatal: x"
