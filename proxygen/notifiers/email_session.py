"""A session with a mail server (RFC 5321), whose answers are bounded in length and time."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from proxygen.credentials import KNOWN
from proxygen.errors import ProxygenError
from proxygen.failure import Failure, Scope, failure
from proxygen.host.connection import TimedTls, connect
from proxygen.languages.lines import terminal_text
from proxygen.model.reading import secret_reference
from proxygen.notifiers import Sending, Undelivered
from proxygen.notifiers.email_message import email_message
from proxygen.texts.mails import Mail

if TYPE_CHECKING:
    from proxygen.notifiers.email_settings import EmailSettings

PORTS = {"tls": 465, "starttls": 587}
LONGEST_LINE, MOST_LINES = 2048, 100
"""What a server may answer; a reply line has at most 512 octets (RFC 5321 section 4.5.3.1.5)."""

LONGEST_WORDS = 500


class BoundedLines:
    """The lines that a server answers, as smtplib reads them.

    smtplib reads any number of lines. The connection is one with a limit for a whole answer.
    """

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self.connection = connection
        self.seconds = seconds
        self.received = b""
        self.begin()

    def begin(self) -> None:
        """Begin a new answer: it may take its time, and so many lines, again."""
        self.connection.settimeout(self.seconds)
        self.lines = 0

    def readline(self, most: int) -> bytes:
        """Return the next line, with its end; empty at the end of the connection."""
        self.lines += 1
        while b"\n" not in self.received:
            if len(self.received) > min(most, LONGEST_LINE):
                raise OSError("a line of the server's answer has no end")
            if not (more := self.receive()):
                return b""
            self.received += more
        if self.lines > MOST_LINES:
            raise OSError("the server's answer has no end")
        line, _, self.received = self.received.partition(b"\n")
        return line + b"\n"

    def receive(self) -> bytes:
        """Return what comes next within the time that is left."""
        try:
            return self.connection.recv(4096)
        except TimeoutError as error:
            raise TimeoutError("the server's answer takes too long") from error

    def close(self) -> None:
        """Do nothing: the connection is closed by whom it belongs to."""


class Bounded(smtplib.SMTP):
    """A session in which each step has one time limit: to connect, to send, to be answered."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Return a connection; the look for addresses, and all of these, share the time."""
        return connect(host, port, timeout)

    def send(self, s: Any) -> None:
        """Send a command or a message, which a server may read as slowly as it likes."""
        if self.sock is not None:
            self.sock.settimeout(float(self.timeout or 0))
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        """Return the next answer."""
        if self.sock is not None:
            if self.file is None:
                self.file = BoundedLines(self.sock, float(self.timeout or 0))
            self.file.begin()
        return super().getreply()


class BoundedTls(smtplib.SMTP_SSL, Bounded):
    """Likewise, with TLS from the first octet on (RFC 8314)."""


def deliver_mails(
    letters: Iterable[Mail], settings: EmailSettings, sending: Sending
) -> Iterator[tuple[Mail, Undelivered | None]]:
    """Deliver letters in one session; yield each with None, or with why it was not taken."""
    waiting = list(letters)
    if not waiting:
        return
    sender = settings.sender or f"proxygen@{sending.host}"
    with mail_session(settings, sending) as server:
        for mail in waiting:
            yield mail, deliver_mail(server, mail, sender, settings, sending)


def deliver_mail(
    server: smtplib.SMTP, mail: Mail, sender: str, settings: EmailSettings, sending: Sending
) -> Undelivered | None:
    """Deliver one letter; return why it was not taken, raise Undelivered if none will be."""
    try:
        made = bytes(email_message(mail, sender, sending.host))
        with as_undelivered(settings):
            server.sendmail(sender, [mail.recipient], made)
    except Undelivered as error:
        refused = error.__cause__
        if isinstance(refused, smtplib.SMTPRecipientsRefused):
            code, words = next(iter(refused.recipients.values()))
            return not_taken(mail.recipient, code, words)
        if isinstance(refused, smtplib.SMTPDataError) and refused.smtp_code != 421:
            return not_taken(mail.recipient, refused.smtp_code, refused.smtp_error)
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the other letters go
        with suppress(OSError, smtplib.SMTPException):
            server.rset()
        return unsendable_mail(mail, error)
    return None


def unsendable_mail(mail: Mail, error: Exception) -> Undelivered:
    """Return the error for a letter that cannot be sent as it is, now or later."""
    to, words = mail.recipient, server_words(0, repr(error))
    return Undelivered(
        failure("message-unsendable", Scope.OWNER, words=words, recipient=to), final=True
    )


def not_taken(recipient: str, code: int, words: bytes | str) -> Undelivered:
    """Return the error for a letter that the server refused, for good (5xx) or for now."""
    why = failure(
        "message-refused", Scope.OWNER, words=server_words(code, words), recipient=recipient
    )
    return Undelivered(why, final=500 <= code < 600)


@contextmanager
def mail_session(settings: EmailSettings, sending: Sending) -> Iterator[smtplib.SMTP]:
    """Have a session in which letters may be sent; raise Undelivered when there is none."""
    with as_undelivered(settings):
        server = open_session(settings, sending.host)
        try:
            if settings.username is not None:
                log_in(server, settings.username, read_password(settings, sending), settings)
        except BaseException:
            server.close()
            raise
    try:
        yield server
    finally:
        with suppress(OSError, smtplib.SMTPException):
            server.quit()
        server.close()


def open_session(settings: EmailSettings, own_name: str) -> smtplib.SMTP:
    """Return a session as secure as it is asked for.

    Where TLS is opportunistic and fails, the message goes without: the mail server's own
    certificate may be what it is about.
    """
    server = greet_server(settings, own_name)
    try:
        if settings.security == "starttls":
            server.starttls(context=checking_context())
        elif settings.security == "opportunistic" and server.has_extn("starttls"):
            try:
                server.starttls(context=unchecking_context())
            except (OSError, smtplib.SMTPException):
                server.close()
                return greet_server(settings, own_name)
        server.ehlo_or_helo_if_needed()
    except BaseException:
        server.close()
        raise
    return server


def greet_server(settings: EmailSettings, own_name: str) -> smtplib.SMTP:
    """Return a connection to the mail server that was greeted, before STARTTLS."""
    where: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port or PORTS.get(settings.security, 25),
        "local_hostname": own_name,
        "timeout": max(settings.timeout, 1),
    }
    tls = settings.security == "tls"
    server = BoundedTls(context=checking_context(), **where) if tls else Bounded(**where)
    try:
        server.ehlo_or_helo_if_needed()
    except BaseException:
        server.close()
        raise
    return server


def checking_context() -> ssl.SSLContext:
    """Return what TLS needs where the server must prove who it is, to the system's CAs.

    Python 3.13 is strict by default, so a relay whose private CA lacks an authority key
    identifier (RFC 5280 section 4.2.1.1) would be trusted on Debian 12 and refused on Debian 13.
    """
    context = ssl.create_default_context()
    context.sslsocket_class = TimedTls
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def unchecking_context() -> ssl.SSLContext:
    """Return what TLS needs where any certificate is better than none (RFC 7435)."""
    context = ssl.create_default_context()
    context.sslsocket_class = TimedTls
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def log_in(server: smtplib.SMTP, name: str, password: bytes, settings: EmailSettings) -> None:
    """Log in; raise Undelivered where name, password or the server's challenge make no sense."""
    KNOWN.add(b"\0".join((b"", name.encode(), password)))  # as AUTH PLAIN has it (RFC 4616)
    try:
        server.login(name, password.decode("ascii"))
    except UnicodeError:  # which quotes the password
        raise Undelivered(of_server("mail-login-not-ascii", settings)) from None
    except ValueError as error:  # binascii.Error: a challenge is Base64 (RFC 4954 section 4)
        words = server_words(0, str(error))
        raise Undelivered(of_server("mail-login-senseless", settings, words)) from error


def read_password(settings: EmailSettings, sending: Sending) -> bytes:
    """Return the password, read when it is needed and not kept."""
    return sending.secret(secret_reference(settings.password or "", sending.folder))


def of_server(code: str, settings: EmailSettings, words: str = "") -> Failure:
    """Return what went wrong with the mail server, and what it said."""
    port = settings.port or PORTS.get(settings.security, 25)
    return failure(code, Scope.HOST, words=words, server=settings.host, port=port)


@contextmanager
def as_undelivered(settings: EmailSettings) -> Iterator[None]:
    """Raise what goes wrong in a block as Undelivered."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        words = error.verify_message
        raise Undelivered(of_server("mail-certificate", settings, words)) from error
    except smtplib.SMTPAuthenticationError as error:
        words = server_words(error.smtp_code, error.smtp_error)
        raise Undelivered(of_server("mail-login-refused", settings, words)) from error
    except smtplib.SMTPResponseException as error:
        words = server_words(error.smtp_code, error.smtp_error)
        raise Undelivered(of_server("mail-refused", settings, words)) from error
    except (OSError, smtplib.SMTPException) as error:
        words = server_words(0, str(error))
        raise Undelivered(of_server("mail-server-unusable", settings, words)) from error
    except ProxygenError as error:
        if isinstance(error, Undelivered):
            raise
        raise Undelivered(error.failure) from error


def server_words(code: int, words: bytes | str) -> str:
    """Return what a server said, on one line and bounded."""
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    text = terminal_text(" ".join(text.split()))[:LONGEST_WORDS]
    return f"{code} {text}" if code > 0 else text
