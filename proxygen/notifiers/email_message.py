"""A mail as an Internet message: plain text and HTML, every header one line."""

from __future__ import annotations

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from proxygen.languages.lines import one_line
from proxygen.texts.mails import Letter

NAME = "proxygen"


def message(letter: Letter, sender: str, host: str) -> EmailMessage:
    """Return a mail with its headers, all in ASCII (RFC 5322, RFC 3834 section 5).

    The same mail gives the same message, octet for octet.
    """
    found = EmailMessage(policy=SMTP)
    found["From"] = Address(NAME, addr_spec=sender)
    found["To"] = Address(addr_spec=letter.recipient)
    if letter.reply_to:
        found["Reply-To"] = Address(addr_spec=letter.reply_to)
    found["Subject"] = one_line(letter.subject)
    found["Date"] = format_datetime(letter.at)
    found["Message-ID"] = f"<{letter.id}@{host}>"
    found["Auto-Submitted"] = "auto-generated"
    found["X-Proxygen"] = letter.kind
    found.set_content(letter.text, cte="quoted-printable")
    found.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    found["Content-Language"] = letter.language
    found.set_boundary(f"={letter.id}=")
    return found
