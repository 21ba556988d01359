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
from proxygen.plan.render import Template, Templates, render_template
from proxygen.services import Answer, FilePart, Listener, ServiceSettings, dovecot
from proxygen.services.dovecot import DovecotFacts
from proxygen.services.mail_endpoints import OTHER_NAME

LAYOUT = Layout(Path("/"), Path("/etc/proxygen/proxygen.yaml")).of("dovecot")
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
# What dovecot 2.4.1 of Debian 13 printed for Debian's files with a few overrides in local.conf,
# shortened to what is read of it: `doveconf -a`, which leaves out default ports and addresses, and
# `doveconf protocols listen base_dir service`.
OF_2_4 = """\
# 2.4.1-4 (7d8c0e5759): /etc/dovecot/dovecot.conf
dovecot_config_version = 2.4.0
listen =
ssl = yes
ssl_client_cert_file =
ssl_server_alt_cert_file =
ssl_server_alt_key_file =
ssl_server_cert_file =
ssl_server_key_file =
protocols {
  imap = yes
  lmtp = yes
  sieve = yes
  pop3 = yes
  submission = no
}
service imap-login {
  inet_listener imap {
  }
  inet_listener imaps {
  }
}
service pop3-login {
  inet_listener pop3 {
  }
  inet_listener pop3s {
    port = 0
  }
}
service submission-login {
  inet_listener submission {
  }
  inet_listener submissions {
  }
}
service lmtp {
  unix_listener lmtp {
  }
  inet_listener lmtp {
    port = 24
  }
}
service managesieve-login {
  inet_listener sieve {
    port = 4190
    listen = 192.0.2.1 ::1
  }
  inet_listener sieve_deprecated {
    port = 0
  }
}
ssl_server {
  cert_file = /etc/dovecot/private/dovecot.pem
  key_file = /etc/dovecot/private/dovecot.key
}
protocol lmtp {
  auth_username_format = %{user | username | lower}
}
"""
ASKED_2_4 = """\
protocols {
  imap = yes
  lmtp = yes
  sieve = yes
  pop3 = yes
  submission = no
}
listen = * ::
base_dir = /run/dovecot
service imap-login {
  imap_capability {
    IMAP4rev1 = yes
    LOGIN-REFERRALS = yes
    ID = yes
    ENABLE = yes
    IDLE = yes
    SASL-IR = yes
    LITERAL+ = yes
    LITERAL- = yes
  }
  chroot = login
  drop_priv_before_exec = no
  executable = imap-login
  group =
  privileged_group =
  protocol = imap
  restart_request_count = 1
  type = login
  user = $SET:default_login_user
  inet_listener imap {
    port = 143
  }
  inet_listener imaps {
    port = 993
    ssl = yes
  }
  unix_listener "srv.imap-login/%{pid}" {
    mode = 0600
    type = admin
  }
}
service pop3-login {
  chroot = login
  drop_priv_before_exec = no
  executable = pop3-login
  group =
  privileged_group =
  protocol = pop3
  restart_request_count = 1
  type = login
  user = $SET:default_login_user
  inet_listener pop3 {
    port = 110
  }
  inet_listener pop3s {
    port = 0
    ssl = yes
  }
  unix_listener "srv.pop3-login/%{pid}" {
    mode = 0600
    type = admin
  }
}
service submission-login {
  chroot = login
  drop_priv_before_exec = no
  executable = submission-login
  group =
  privileged_group =
  protocol = submission
  restart_request_count = 1
  type = login
  user = $SET:default_login_user
  inet_listener submission {
    port = 587
  }
  inet_listener submissions {
    port = 465
    ssl = yes
  }
  unix_listener "srv.submission-login/%{pid}" {
    mode = 0600
    type = admin
  }
}
service lmtp {
  chroot =
  client_limit = 1
  drop_priv_before_exec = no
  executable = lmtp
  extra_groups = $SET:default_internal_group
  group =
  privileged_group =
  protocol = lmtp
  restart_request_count = unlimited
  type =
  user =
  unix_listener lmtp {
    mode = 0666
  }
  inet_listener lmtp {
    port = 24
  }
}
service managesieve-login {
  chroot = login
  drop_priv_before_exec = no
  executable = managesieve-login
  group =
  privileged_group =
  protocol = sieve
  restart_request_count = 1
  type = login
  user = $SET:default_login_user
  inet_listener sieve {
    port = 4190
    listen = 192.0.2.1 ::1
  }
  inet_listener sieve_deprecated {
    port = 0
  }
  unix_listener "srv.managesieve-login/%{pid}" {
    mode = 0600
    type = admin
  }
}
service stats {
  chroot =
  drop_priv_before_exec = no
  executable = stats
  group =
  idle_kill_interval = infinite
  privileged_group =
  process_limit = 1
  protocol =
  type =
  user = $SET:default_internal_user
  unix_listener login/stats-writer {
    mode = 0600
    type = writer
    user = $SET:default_login_user
  }
  unix_listener stats-reader {
    mode = 0600
    type = reader
  }
  unix_listener stats-writer {
    group = $SET:default_internal_group
    mode = 0660
    type = writer
  }
}
"""


def answers(
    settings: str = OF_2_3,
    version: str = "2.3.19.1 (9b53102964)\n",
    openssl: str = "OpenSSL 3.0.22 25 Aug 2026 (Library: OpenSSL 3.0.22 25 Aug 2026)",
    ours: str | None = None,
    listeners: str = ASKED_2_4,
) -> dict[str, Answer]:
    """Return dovecot's answers; while there is a file of *ours*, it is included."""
    here = Answer(1, "", "") if ours is None else Answer(0, ours, "")
    return {
        "version": Answer(0, version, ""),
        "openssl": Answer(0, openssl, ""),
        "settings": Answer(0, settings, ""),
        "listeners": Answer(0, listeners, ""),
        "pointer": here,
        "ours": here,
    }


def found(said: Mapping[str, Answer] | None = None, **more: str) -> DovecotFacts:
    given = answers(**more) if said is None else said
    return dovecot.facts("/usr/sbin/dovecot", SETTINGS, LAYOUT, given)


def text(facts: DovecotFacts) -> str:
    (file,) = dovecot.wanted(VIEW, SETTINGS, facts, LAYOUT).files
    names = [f"dovecot/{path.name}" for path in (TEMPLATES / "dovecot").iterdir()]
    loaded = {name: Template((TEMPLATES / name).read_text(), name) for name in names}
    return render_template(Templates(loaded), file)


def settings_of(facts: DovecotFacts) -> str:
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
    assert len(facts.listeners) == 5
    assert set(facts.listeners) == {
        Listener("127.0.0.1", 143, "imap"),
        Listener("127.0.0.1", 993, None),
        Listener("127.0.0.1", 110, "pop3"),
        Listener("192.0.2.1", 4190, "sieve"),
        Listener("127.0.0.1", 24, "lmtp"),
    }
    assert facts.warnings == ()


def test_version_decides() -> None:
    assert found(version="2.3.19.1 (9b53102964)").version == (2, 3, 19, 1)
    assert found(version="2.4.1-4 (7d8c0e5759)").version == (2, 4, 1)
    with pytest.raises(ServiceError, match=r"2\.2\.36 is too old"):
        found(version="2.2.36 (1f10bfa63)")
    with pytest.raises(ServiceError, match="does not report its version"):
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
    ("override", "listeners"),
    [
        pytest.param("port = 0\n    ssl = yes", (), id="switched off"),
        pytest.param(
            "port = 993\n    ssl = yes", (Listener("127.0.0.1", 993, None),), id="default"
        ),
        pytest.param("port = 993", (Listener("127.0.0.1", 993, "imap"),), id="of another name"),
        pytest.param(
            "port = 1993\n    ssl = yes\n    listen = 192.0.2.1 ::1",
            (Listener("192.0.2.1", 1993, None),),
            id="elsewhere",
        ),
        pytest.param("haproxy = yes\n    port = 1443\n    ssl = yes", (), id="for a proxy"),
    ],
)
def test_listeners_as_2_4_prints_them_when_asked_by_name(
    override: str, listeners: tuple[Listener, ...]
) -> None:
    block = "  inet_listener imaps {\n    port = 993\n    ssl = yes\n  }\n"
    asked = ASKED_2_4.replace("port = 143", "port = 0").replace(
        block, f"  inet_listener imaps {{\n    {override}\n  }}\n"
    )
    facts = found(settings=OF_2_4, version="2.4.1-4", listeners=asked)
    imap = [each for each in facts.listeners if each.port not in (110, 4190, 24)]
    assert tuple(imap) == listeners


def test_2_4_without_an_answer_about_listeners_is_an_error() -> None:
    said = answers(OF_2_4, "2.4.1-4") | {"listeners": Answer(89, "", "doveconf: Fatal: x")}
    with pytest.raises(ServiceError, match="Fatal: x"):
        found(said)


def test_2_3_is_not_asked_by_name() -> None:
    said = answers() | {"listeners": Answer(64, "", "doveconf: usage")}
    assert found(said).listeners == found().listeners


@pytest.mark.parametrize(
    "hostile", ["", "}\n}\n}", "a {\n" * 3000, "\x00 = \xff\n= {\n{", "ssl = " + "x" * 100_000]
)
def test_any_text_can_be_parsed(hostile: str) -> None:
    assert found(settings=hostile).listeners == ()


def test_braces_and_quotes_in_values_open_no_block() -> None:
    root = dovecot.parse_doveconf('a = b {\nc = "} \\" {"\nd "odd name" {\n  e = 1\n}\nf = 2\n')
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
    "protocol !pop3 {\n  ssl_cert = </x\n}": "protocol !pop3",
    "protocol imap {\n  ssl = no\n}": "protocol imap` sets ssl = no",
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
        "protocol lda {\n  ssl_cert = </x\n}",
        "protocol imap {\n  ssl = required\n}",
    ],
)
def test_other_blocks_are_nobodys_business(block: str) -> None:
    assert found(settings=f"{OF_2_3}{block}\n").warnings == ()


OVERRIDING = {
    OF_2_3.replace("</etc/dovecot/private/dovecot.pem", "</etc/theirs.pem"): "ssl_cert",
    OF_2_3.replace("ssl_cert = ", "ssl_cert = <global-chain.pem\nssl_alt_cert = "): "ssl_alt_cert",
    OF_2_4.replace("/etc/dovecot/private/dovecot.pem", "/etc/theirs.pem"): "ssl_server_cert_file",
    OF_2_4.replace(
        "  cert_file = /etc/dovecot/private/dovecot.pem",
        "  alt_cert_file = /etc/theirs.pem\n  cert_file = global-chain.pem",
    ): "ssl_server_alt_cert_file",
}


@pytest.mark.parametrize(("settings", "name"), OVERRIDING.items(), ids=OVERRIDING.values())
def test_what_is_read_after_our_file_is_told(settings: str, name: str) -> None:
    version = "2.4.1-4" if "2.4.1" in settings else "2.3.19.1"
    ours = text(found(version=version))
    (warning,) = found(settings=settings, version=version, ours=ours).warnings
    assert f" {name} = /etc/" in warning
    # While ours is not included yet, theirs is what it should be.
    assert found(settings=settings, version=version).warnings == ()
    left_out = answers(settings, version, ours=ours) | {"pointer": Answer(1, "", "")}
    assert found(left_out).warnings == ()


@pytest.mark.parametrize("folder", ["", "/var/lib/proxygen/live/dovecot/current/"])
@pytest.mark.parametrize("version", ["2.4.1-4", "2.3.19.1"])
def test_our_own_certificate_is_not_told(version: str, folder: str) -> None:
    ours = text(found(version=version))
    settings = OF_2_4 if version == "2.4.1-4" else OF_2_3
    shown = settings.replace("/etc/dovecot/private/dovecot.pem", f"{folder}global-chain.pem")
    assert found(settings=shown, version=version, ours=ours).warnings == ()


MAIN = Path("/etc/dovecot/dovecot.conf")
LOCAL = Path("/etc/dovecot/local.conf")
OUR_PLACE = FilePart(Path("/etc/dovecot/conf.d/99-proxygen.conf"), 1, "", ours=True)


def with_files(text: str, settings: str = OF_2_3, *, included: bool = True) -> DovecotFacts:
    """Return the facts where a file of that text is read last."""
    parts = (FilePart(MAIN, 1, "a = b\n"), *([OUR_PLACE] * included), FilePart(LOCAL, 1, text))
    return found(answers(settings) | {"files": Answer(0, "", "", parts)})


def test_what_is_read_after_our_file_is_told_with_its_lines_before_ours_is_there() -> None:
    text = "# mine\nssl_cert = </x.pem # new\nssl_key = </x.key\nssl_min_protocol = TLSv1.3\n"
    (warning,) = with_files(text).warnings
    assert warning == (
        "dovecot: /etc/dovecot/local.conf:2 has `ssl_cert = </x.pem` and"
        " /etc/dovecot/local.conf:3 has `ssl_key = </x.key`, which dovecot reads after proxygen's"
        " file, so clients get another certificate than the global one; remove these lines, or"
        " write `!include_try /etc/dovecot/conf.d/99-proxygen.conf` below"
    )


@pytest.mark.parametrize(
    "text",
    [
        "ssl_alt_cert =\n",
        "ssl_cert = </var/lib/proxygen/live/dovecot/current/global-chain.pem\n",
        "ssl = required\n",
        "ssl = no\nssl = yes\n",
        "ssl_client_cert_file = /x\n",
    ],
)
def test_what_takes_nothing_from_clients_is_not_told(text: str) -> None:
    assert with_files(text).warnings == ()


def test_a_main_file_without_an_include_of_ours_is_told_with_the_line_to_write() -> None:
    (warning,) = with_files("", included=False).warnings
    assert "/etc/dovecot/dovecot.conf does not include" in warning
    assert "`!include_try /etc/dovecot/conf.d/99-proxygen.conf` as the last line" in warning


def test_a_filter_is_told_with_its_lines_where_they_are_known() -> None:
    block = "local 192.0.2.1 {\n  protocol imap {\n    ssl_cert = </x\n  }\n}\n"
    (warning,) = with_files(block, f"{OF_2_3}{block}").warnings
    assert "`local 192.0.2.1 / protocol imap` sets ssl_cert" in warning
    assert "/etc/dovecot/local.conf:3 has `ssl_cert = </x`; remove this line" in warning


def test_a_protocol_without_tls_has_no_listeners() -> None:
    facts = found(settings=f"{OF_2_3}protocol pop3 {{\n  ssl = no\n}}\n")
    assert not [each for each in facts.listeners if each.port == 110]
    assert [each for each in facts.listeners if each.port == 143]


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
    found = [each.mask for each in dovecot.INCLUDES(f"a = b\n{line}\nc = d\n")]
    assert found == ([mask] if mask else [])


def test_the_pointer_stands_last_in_conf_d() -> None:
    pointer = dovecot.pointer(found().main)
    assert pointer.path == Path("/etc/dovecot/conf.d/99-proxygen.conf")
    assert pointer.directive("/g/*.conf") == "!include_try /g/*.conf"


def test_programs_beside_the_one_found() -> None:
    facts = replace(found(), program="/opt/dovecot/sbin/dovecot")
    (check,) = dovecot.check(facts, SETTINGS, Path("/e/x.conf"))
    assert check.argv == ("/opt/dovecot/bin/doveconf", "-c", "/e/x.conf", "-x", "-n")
    reload = dovecot.reload(facts, SETTINGS)
    assert reload.argv == ("/opt/dovecot/bin/doveadm", "-c", "/etc/dovecot/dovecot.conf", "reload")
    assert dovecot.program_beside("dovecot", "doveconf") == "doveconf"


def test_only_the_global_bundle_is_expected() -> None:
    endpoints = list(dovecot.endpoints("dovecot", VIEW, SETTINGS, found()))
    assert {each.bundle for each in endpoints} == {BUNDLE}
    assert {each.server_name for each in endpoints} == {"mail.example.net", OTHER_NAME}


def test_a_refusal_never_shows_the_configuration() -> None:
    assert dovecot.refused([Answer(0, "secret", "doveconf: Warning: old")]) is None
    assert dovecot.refused([Answer(89, "secret", "doveconf: Fatal: x")]) == "doveconf: Fatal: x"


PRESENTED_2_3 = """\
ssl_alt_cert = </alt.pem
ssl_alt_key = </alt.key
ssl_cert = </all.pem
ssl_key = </all.key
protocol imap {
  ssl_cert = </imap.pem
  ssl_key = </imap.key
}
local_name smtp.example.net {
  ssl_cert = </smtp.pem
  ssl_key = </smtp.key
}
"""
PRESENTED_2_4 = """\
ssl_server {
  cert_file = /all.pem
  key_file = /all.key
}
local_name smtp.example.net {
  ssl_server {
    cert_file = /smtp.pem
    key_file = /smtp.key
  }
}
"""
FLAT_2_4 = """\
ssl_server_cert_file = /all.pem
ssl_server_key_file = /all.key
"""


@pytest.mark.parametrize(
    ("said", "name", "found"),
    [
        pytest.param(
            PRESENTED_2_3,
            "mail.example.net",
            [("/all.pem", "/all.key"), ("/alt.pem", "/alt.key"), ("/imap.pem", "/imap.key")],
            id="2.3",
        ),
        pytest.param(
            PRESENTED_2_3, "smtp.example.net", [("/smtp.pem", "/smtp.key")], id="2.3, by name"
        ),
        pytest.param(PRESENTED_2_4, "mail.example.net", [("/all.pem", "/all.key")], id="2.4"),
        pytest.param(
            PRESENTED_2_4, "smtp.example.net", [("/smtp.pem", "/smtp.key")], id="2.4, by name"
        ),
        pytest.param(FLAT_2_4, "mail.example.net", [("/all.pem", "/all.key")], id="2.4, flat"),
        pytest.param("ssl_key = -----BEGIN PRIVATE KEY-----\n", "x.example", [], id="in line"),
    ],
)
def test_what_it_is_configured_with_for_a_name(
    said: str, name: str, found: list[tuple[str, ...]]
) -> None:
    facts = DovecotFacts("/usr/sbin/dovecot", (2, 3, 19), Path("/etc/dovecot/dovecot.conf"))
    told = {"presented": Answer(0, said, "")}
    configured = dovecot.configured(name, facts, SETTINGS, told)
    assert [tuple(map(str, each.paths)) for each in configured][: len(found)] == found


def test_what_mail_clients_are_shown_is_told_by_name_and_whether_it_stays() -> None:
    said = (
        "ssl_cert = </c.pem\nssl_key = </c.key\n"
        "local_name IMAP.a.example imap.b.example {\nssl_cert = </n.pem\nssl_key = </n.key\n}\n"
        "protocol imap {\nssl_cert = </p.pem\nssl_key = </p.key\n}\n"
        "ssl_server {\ncert_file = /s.pem\nkey_file = /s.key\n}\n"
    )
    found = [
        (each.configured.paths[0].name, each.names, each.stays)
        for each in dovecot.mail_certificates({"presented": Answer(0, said, "")})
    ]
    assert found == [
        ("c.pem", (), False),
        ("n.pem", ("imap.a.example", "imap.b.example"), True),
        ("p.pem", (), True),
        ("s.pem", (), False),
    ]


def test_what_is_read_after_ours_stays() -> None:
    said = Answer(0, "ssl_cert = </c.pem\nssl_key = </c.key\n", "")
    for text, ours, stays in (
        ("ssl_cert = </c.pem\n", [OUR_PLACE], True),
        ("", [OUR_PLACE], False),
        ("", [], False),  # which is told, with the line that ends it
    ):
        parts = (FilePart(MAIN, 1, ""), *ours, FilePart(LOCAL, 1, text))
        told = {"presented": said, "files": Answer(0, "", "", parts)}
        assert [each.stays for each in dovecot.mail_certificates(told)] == [stays]
