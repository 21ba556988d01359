"""Mailserver: a real SMTP server (aiosmtpd) that keeps what it was sent, or answers as told."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Self, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.certificates import Issued, key_pem, leaf, pem, root
from tests.live import ports

USER, PASSWORD = b"proxygen", b"correct horse"


class Mailserver:
    """Runs while the ``with`` block does, on its *port*; *mails* is what it took.

    *answers* maps a command (``RCPT``, ``DATA``, ``MAIL``) to a function that returns another
    answer than the usual one, given the argument, or None.
    """

    def __init__(self, port: int | None = None, **options: Any) -> None:
        self.port = port or ports.reserve()
        self.options = options
        self.mails: list[EmailMessage] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.sessions: list[Session] = []
        self.answers: dict[str, Callable[[str], str | None]] = {}

    def __enter__(self) -> Self:
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port, **self.options)
        self.controller.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.controller.stop()

    def answer(self, command: str, argument: str) -> str | None:
        """Return another answer than the usual one, None for that."""
        other = self.answers.get(command)
        return other(argument) if other else None

    async def handle_MAIL(  # noqa: N802 aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.sessions.append(session)
        envelope.mail_from = address
        return self.answer("MAIL", address) or "250 OK"

    async def handle_RCPT(  # noqa: N802 aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if other := self.answer("RCPT", address):
            return other
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = cast(bytes, envelope.content)
        if other := self.answer("DATA", content.decode("ascii")):
            return other
        self.mails.append(message_from_bytes(content, policy=default))
        self.envelopes.append((str(envelope.mail_from), list(envelope.rcpt_tos)))
        return "250 taken"

    def to(self, recipient: str) -> list[EmailMessage]:
        """Return the mails to one recipient."""
        return [each for each in self.mails if each["To"] == recipient]


def with_login() -> dict[str, Any]:
    """Return the options of a server that wants a login, over TLS only."""

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = (data.login, data.password) == (USER, PASSWORD)
        return AuthResult(success=good, handled=good)

    return {"authenticator": check, "auth_required": True, "auth_require_tls": True}


def context(folder: Path, certificate: Issued) -> ssl.SSLContext:
    """Return what a server needs to show a certificate."""
    path = folder / "server.pem"
    path.write_bytes(key_pem(certificate.key) + pem(certificate.certificate))
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(path)
    return found


def trusted(folder: Path, *names: str, identifiers: bool = True) -> tuple[ssl.SSLContext, Path]:
    """Return a server's TLS with a certificate for *names*, and the file of its CA.

    Private CAs often lack the *identifiers* of keys.
    """
    now = datetime.now(UTC)
    start, end = now - timedelta(days=1), now + timedelta(days=30)
    ca = root(start=start, end=end, identifiers=identifiers)
    (folder / "ca.pem").write_bytes(pem(ca.certificate))
    own = leaf(ca, *names, start=start, end=end, identifiers=identifiers)
    return context(folder, own), folder / "ca.pem"


@contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Have a server that talks as it likes to each client; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                with suppress(OSError):
                    client, _ = listening.accept()
                    with client:
                        talk(client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            ended.set()
            with suppress(OSError):
                socket.create_connection(listening.getsockname(), 1).close()
