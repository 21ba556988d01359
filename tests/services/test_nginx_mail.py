"""nginx's `mail {}`: which of its servers speak TLS, and what they present."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxygen.model.layout import Layout
from proxygen.observe.answers import read_file_answer
from proxygen.services import Listener, Reading
from proxygen.services.nginx_lexer import include_places, parse_configuration
from proxygen.services.nginx_mail import MailServer, NginxMail, mail_warnings, nginx_mail

MAIN = Path("/etc/nginx/nginx.conf")
OURS = Layout(Path("/"), Path("/m")).live("nginx").current / "mail.include"
PAIR = "ssl_certificate /x.pem; ssl_certificate_key /x.pem;"
INCLUDE = f"include {OURS};"


def found(text: str) -> NginxMail:
    """Return what stands in a configuration."""
    return nginx_mail(parse_configuration(text, str(MAIN)), MAIN, OURS)


def only(text: str) -> MailServer:
    """Return its one server."""
    (server,) = found(text).servers
    return server


@pytest.mark.parametrize(
    ("mail", "server", "expected"),
    [
        pytest.param("", "listen 993 ssl;", (None,), id="at once"),
        pytest.param("ssl on;", "listen 993;", (None,), id="at once, for all"),
        pytest.param("starttls on;", "listen 143;", ("imap",), id="starttls for all"),
        pytest.param("", "listen 25; starttls only;", ("smtp",), id="starttls only"),
        pytest.param("starttls on;", "listen 143; starttls off;", (), id="no starttls here"),
        pytest.param("starttls on;", "listen 1143; protocol imap;", ("imap",), id="protocol"),
        pytest.param("starttls on;", "listen 1143;", (), id="a protocol that nobody knows"),
        pytest.param("", "listen 143;", (), id="plain text"),
        pytest.param("", "listen unix:/run/x ssl;", (), id="a socket of this host"),
        pytest.param("starttls on;", "listen 110; listen 995 ssl;", ("pop3", None), id="both"),
    ],
)
def test_where_a_client_comes_to_tls(
    mail: str, server: str, expected: tuple[str | None, ...]
) -> None:
    servers = found(f"mail {{ {mail} server {{ {server} }} }}").servers
    assert tuple(at.starttls for each in servers for at in each.listeners) == expected


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("993", "127.0.0.1"),
        ("*:993", "127.0.0.1"),
        ("0.0.0.0:993", "127.0.0.1"),
        ("[::]:993", "::1"),
        ("192.0.2.1:993", "192.0.2.1"),
        ("[2001:db8::1]:993", "2001:db8::1"),
    ],
)
def test_where_it_is_reached(written: str, address: str) -> None:
    server = only(f"mail {{ server {{ listen {written} ssl proxy_protocol; }} }}")
    assert server.listeners == (Listener(address, 993, None, proxy_protocol=True),)


@pytest.mark.parametrize(
    ("mail", "server", "ours", "remedy"),
    [
        pytest.param(INCLUDE, "", True, "", id="ours for all"),
        pytest.param("", INCLUDE, True, "", id="ours for one"),
        pytest.param(PAIR, INCLUDE, True, "", id="ours for one, another for all"),
        pytest.param(
            PAIR, "", False, f"write `{INCLUDE}` in `mail {{}}` instead of", id="another for all"
        ),
        pytest.param(
            INCLUDE, PAIR, False, "remove `ssl_certificate` and its key there, and have", id="one"
        ),
        pytest.param(
            INCLUDE + PAIR, "", False, "remove `ssl_certificate` and its key there", id="both"
        ),
        pytest.param("", "", False, f"has no certificate; write `{INCLUDE}`", id="none"),
        pytest.param(
            "include /var/lib/proxygen/live/nginx/current/mail*;", "", True, "", id="mask"
        ),
    ],
)
def test_what_it_presents_and_what_to_write(
    mail: str, server: str, ours: bool, remedy: str
) -> None:
    mails = found(f"\nmail {{ {mail} server {{ listen 993 ssl; {server} }} }}")
    assert mails.servers[0].is_ours is ours
    told = list(mail_warnings(mails, OURS))
    assert len(told) == (0 if ours else 1)
    for words in told:
        assert words.startswith(f"nginx: {MAIN}:2 ")
        assert remedy in words


def test_what_the_administrator_sets_is_not_set_twice() -> None:
    text = (
        f"mail {{ {INCLUDE} ssl_protocols TLSv1.2; server {{ listen 993 ssl; ssl_ciphers X; }} }}"
    )
    assert found(text).settings == {"ssl_protocols"}


def test_a_place_is_that_in_the_file_that_is_included(tmp_path: Path) -> None:
    (tmp_path / "main").write_text("# one\ninclude a; include b;\nmail {\n  server {}\n}\n")
    (tmp_path / "a").write_text("a;\n\ninclude c;\naa;")
    (tmp_path / "b").write_text("b;\n")
    (tmp_path / "c").write_text("c;\n")
    reading = Reading(tmp_path / "main", include_places, placed=True)
    root = parse_configuration(read_file_answer(reading).out, str(tmp_path / "main"))
    places = {each.name: each.where.removeprefix(f"{tmp_path}/") for each in root.block}
    assert places == {
        "include": "main:2",
        "a": "a:1",
        "c": "c:1",
        "aa": "a:4",
        "b": "b:1",
        "mail": "main:3",
    }
    assert root.below("mail", "server")[0].where == f"{tmp_path}/main:4"
