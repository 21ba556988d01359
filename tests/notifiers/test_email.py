"""email: messages by SMTP, to a real server."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxygen import assemble
from proxygen.host import connection
from proxygen.notifiers import Sending, Undelivered
from proxygen.notifiers.email import Settings, deliver
from proxygen.notifiers.email_message import email_message
from proxygen.texts.mails import Mail
from tests.live.mailserver import PASSWORD, USER, Mailserver, talking, trusted, with_login
from tests.mails import plain
from tests.models import mistakes

OTHER = plain(id="other", recipient="it@customer-a.example")


@pytest.fixture
def sending(tmp_path: Path) -> Sending:
    (tmp_path / "password").write_bytes(PASSWORD + b"\n")
    return Sending("mail.example.net", tmp_path, assemble.read_secret)


@pytest.fixture
def server() -> Iterator[Mailserver]:
    with Mailserver() as running:
        yield running


def send(
    sending: Sending, port: int, *letters: Mail, **settings: Any
) -> list[tuple[str, Undelivered | None]]:
    """Deliver letters and return what became of each."""
    found = deliver(letters or (plain(),), Settings(port=port, **settings), sending)
    return [(each.recipient, error) for each, error in found]


def failed(sending: Sending, port: int, **settings: Any) -> Undelivered:
    """Return why nothing can be delivered."""
    with pytest.raises(Undelivered) as caught:
        send(sending, port, **settings)
    assert not caught.value.final
    return caught.value


def test_a_mail_arrives_as_text_and_html_with_its_headers(
    server: Mailserver, sending: Sending
) -> None:
    letter = plain(
        subject="Zertifikat läuft ab", text="Grüße\n", reply_to="x@y.example", language="de"
    )
    assert send(sending, server.port, letter) == [("hostmaster@example.net", None)]
    (mail,) = server.mails
    assert server.envelopes == [("proxygen@mail.example.net", ["hostmaster@example.net"])]
    headers = {name: str(mail[name]) for name in mail if name != "Content-Type"}
    assert headers == {
        "From": "proxygen <proxygen@mail.example.net>",
        "To": "hostmaster@example.net",
        "Reply-To": "x@y.example",
        "Subject": "Zertifikat läuft ab",
        "Date": "Fri, 20 Nov 2026 12:00:00 +0000",
        "Message-ID": "<0123456789abcdef@mail.example.net>",
        "Content-Language": "de",
        "Auto-Submitted": "auto-generated",
        "X-Proxygen": "warning",
        "MIME-Version": "1.0",
    }
    kinds = [each.get_content_type() for each in mail.iter_parts()]
    assert kinds == ["text/plain", "text/html"]
    plain_text = mail.get_body(("plain",))
    assert plain_text
    assert plain_text.get_content() == "Grüße\r\n"


def test_the_sender_is_the_models_if_it_names_one(server: Mailserver, sending: Sending) -> None:
    send(sending, server.port, sender="tls@example.net")
    assert server.envelopes[0][0] == "tls@example.net"


def test_the_same_mail_is_the_same_message_octet_for_octet() -> None:
    one, two = (bytes(email_message(plain(), "a@b.example", "b.example")) for _ in range(2))
    assert one == two
    assert one.isascii()


@pytest.mark.parametrize(
    "line", ["x\r\nBcc: all@example.net", "x\nBcc: a@b.c", "x\x00\x1b", "y" * 999]
)
def test_no_subject_makes_another_header(line: str) -> None:
    made = bytes(email_message(plain(subject=line), "a@b.example", "b.example"))
    head = made.partition(b"\r\n\r\n")[0]
    assert b"\nBcc:" not in head
    assert b"\x00" not in head
    assert len(head) < 3000


def test_many_mails_go_in_one_session(server: Mailserver, sending: Sending) -> None:
    send(sending, server.port, plain(), OTHER)
    assert len(server.mails) == 2
    assert len({id(each) for each in server.sessions}) == 1


def test_no_mail_is_no_connection(sending: Sending) -> None:
    assert list(deliver((), Settings(port=1), sending)) == []


def test_tls_is_used_where_it_is_offered_whatever_the_certificate(
    tmp_path: Path, sending: Sending
) -> None:
    tls, _ = trusted(tmp_path, "other.example")
    with Mailserver(tls_context=tls) as server:
        send(sending, server.port)
        assert server.sessions[0].ssl
    with Mailserver() as server:
        send(sending, server.port)
        assert not server.sessions[0].ssl


def test_a_mail_server_whose_own_tls_is_broken_is_told_without(
    tmp_path: Path, sending: Sending
) -> None:
    tls, _ = trusted(tmp_path, "localhost")
    tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_2
    tls.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # the certificate has an EC key
    with Mailserver(tls_context=tls) as server:
        assert send(sending, server.port) == [("hostmaster@example.net", None)]
        assert not server.sessions[0].ssl


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("names", "trust"),
    [
        pytest.param(("localhost",), True, id="good"),
        pytest.param(("other.example",), True, id="for another name"),
        pytest.param(("localhost",), False, id="from a CA that is not trusted"),
    ],
)
def test_a_checked_server_shows_a_good_certificate_or_gets_nothing(
    security: str,
    names: tuple[str, ...],
    trust: bool,
    tmp_path: Path,
    sending: Sending,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tls, ca = trusted(tmp_path, *names)
    if trust:
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    options = {"tls_context": tls} if security == "starttls" else {"ssl_context": tls}
    options |= with_login() | {"auth_require_tls": security == "starttls"}
    with Mailserver(**options) as server:
        (tmp_path / "password").write_bytes(PASSWORD)
        login = {"username": USER.decode(), "password": "file:password", "security": security}
        if trust and names == ("localhost",):
            assert send(sending, server.port, **login) == [("hostmaster@example.net", None)]
            assert server.sessions[0].ssl or security == "tls"
        else:
            error = failed(sending, server.port, **login)
            assert "certificate that is not valid" in error.what
            assert not server.mails


def test_starttls_that_is_not_offered_is_no_reason_to_go_without(
    server: Mailserver, sending: Sending
) -> None:
    assert "STARTTLS" in failed(sending, server.port, security="starttls").what
    assert not server.mails


def test_a_private_ca_without_key_identifiers_is_trusted_by_every_python(
    tmp_path: Path, sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, ca = trusted(tmp_path, "localhost", identifiers=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    with Mailserver(tls_context=tls) as server:
        sent = send(sending, server.port, security="starttls")
        assert sent == [("hostmaster@example.net", None)]


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailserver]:
    """A server that wants a login, over TLS."""
    tls, ca = trusted(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    with Mailserver(tls_context=tls, require_starttls=True, **with_login()) as running:
        yield running


LOGIN = {"security": "starttls", "username": "proxygen", "password": "env:MAIL_PASSWORD"}


def test_a_login_by_reference(
    login: Mailserver, sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD.decode())
    assert send(sending, login.port, **LOGIN) == [("hostmaster@example.net", None)]


@pytest.mark.parametrize(
    ("password", "what"),
    [
        ("wrong-secret", "refused the login"),
        ("gehéim-secret", "not ASCII"),
        (None, "env:MAIL_PASSWORD does not exist"),
    ],
)
def test_a_login_that_fails_is_told_without_the_password(
    password: str | None,
    what: str,
    login: Mailserver,
    sending: Sending,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if password is not None:
        monkeypatch.setenv("MAIL_PASSWORD", password)
    error = failed(sending, login.port, **LOGIN)
    assert what in error.what
    assert "secret" not in str(error).replace("the secret env:", "")
    assert not login.mails


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ("username: a, security: tls", "a login needs `password` as well"),
        ("password: 'env:X', security: tls", "a login needs `username` as well"),
        ("username: a, password: 'env:X'", "the password would be sent to an unverified server"),
        ("username: a, password: 'env:X', security: none", "would be sent to an unverified server"),
    ],
)
def test_a_login_that_cannot_be_is_a_mistake_of_the_model(fields: str, reason: str) -> None:
    (mistake,) = mistakes(
        "global: {url: mail.example.net, certificate: selfsigned}\n"
        f"notifiers: {{email: {{{fields}}}}}\n"
    )
    assert mistake.field == "notifiers.email"
    assert reason in mistake.reason
    assert str(mistake.where).startswith("proxygen.yaml:2:")


@pytest.mark.parametrize(("code", "final"), [(450, False), (452, False), (550, True), (501, True)])
@pytest.mark.parametrize("command", ["RCPT", "DATA"])
def test_a_refused_mail_blocks_no_other(
    command: str, code: int, final: bool, server: Mailserver, sending: Sending
) -> None:
    server.answers[command] = lambda said: f"{code} no" if "hostmaster@" in said else None
    (first, error), (second, none) = send(sending, server.port, plain(), OTHER)
    assert (first, second, none) == ("hostmaster@example.net", "it@customer-a.example", None)
    assert error
    assert (error.final, error.words) == (final, f"{code} no")
    assert [str(each["To"]) for each in server.mails] == ["it@customer-a.example"]


@pytest.mark.parametrize(
    "odd",
    [
        *({"recipient": each} for each in ("=?utf-8?q?x?=@a.example", "a b", "", "ä@a.b", "a@\n")),
        {"reply_to": "=?utf-8?q?x?=@a.example"},
        {"text": "\ud800"},
    ],
    ids=repr,
)
def test_a_mail_that_cannot_be_sent_as_it_is_blocks_no_other(
    odd: dict[str, str], server: Mailserver, sending: Sending
) -> None:
    (_, error), (_, none) = send(sending, server.port, plain(**{"id": "odd"} | odd), OTHER)
    assert error
    assert (error.final, none) == (True, None)
    assert "cannot be sent" in error.what
    assert [str(each["To"]) for each in server.mails] == ["it@customer-a.example"]


class Nonsense(Mailserver):
    """A server whose challenge is no Base64."""

    async def auth_CRAM__MD5(self, server: Any, args: list[str]) -> None:  # noqa: N802 as above
        await server.push("334 abc")
        await server._reader.readline()
        await server.push("535 no")


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_a_challenge_that_makes_no_sense_is_told_as_such(
    tmp_path: Path, sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, ca = trusted(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD.decode())
    with Nonsense(tls_context=tls, require_starttls=True, **with_login()) as server:
        error = failed(sending, server.port, **LOGIN)
    assert "its answer is not valid" in error.what
    assert PASSWORD.decode() not in str(error)


def test_a_refused_sender_is_trouble_with_the_server(server: Mailserver, sending: Sending) -> None:
    server.answers["MAIL"] = lambda said: "553 not yours"
    assert failed(sending, server.port).words == "553 not yours"


def test_a_server_that_is_not_there(sending: Sending) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert "cannot be used" in failed(sending, port).what


def test_the_lookup_of_its_address_ends(sending: Sending, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(connection.socket, "getaddrinfo", lambda *_, **__: over.wait() and [])
    why = failed(sending, 25, host="mail.never.example", timeout=1).what
    over.set()
    assert "timed out" in why


def endless_line(client: socket.socket) -> None:
    """Greet without ever ending the line."""
    while True:
        client.sendall(b"220 " + b"x" * 65536)


def endless_lines(client: socket.socket) -> None:
    """Greet in lines without end."""
    while True:
        client.sendall(b"220-hello\r\n" * 1000)


def dripping(client: socket.socket) -> None:
    """Greet an octet at a time, each in time."""
    client.settimeout(0.2)
    while True:
        client.sendall(b"2")
        try:
            if not client.recv(1):
                return
        except TimeoutError:
            continue


def silent(client: socket.socket) -> None:
    """Say nothing until the client goes."""
    client.recv(1)


def noise(client: socket.socket) -> None:
    """Answer what is no SMTP."""
    client.sendall(b"HTTP/1.1 400 \x1b[2J\xff Bad\r\n" * 3)


def busy(client: socket.socket) -> None:
    """Refuse everybody."""
    client.sendall(b"421 " + b"too busy " * 100 + b"\r\n")


@pytest.mark.parametrize(
    ("talk", "what"),
    [
        (endless_line, "a line of the server's answer has no end"),
        (endless_lines, "the server's answer has no end"),
        (dripping, "takes too long"),
        (silent, "takes too long"),
        (noise, ""),
        (busy, "refused to accept mail"),
    ],
)
@pytest.mark.parametrize("security", ["opportunistic", "tls"])
def test_whatever_a_server_answers_it_ends_soon_and_is_told_briefly(
    talk: Any, what: str, security: str, sending: Sending
) -> None:
    with talking(talk) as port:
        error = failed(sending, port, timeout=1, security=security)
    assert len(str(error)) < 1500
    assert "\x1b" not in str(error)
    assert security == "tls" or what in error.what
