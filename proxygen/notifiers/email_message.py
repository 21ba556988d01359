"""A mail as an Internet message: plain text and HTML, every header one line."""

from __future__ import annotations

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from proxygen.languages.lines import one_line
from proxygen.texts.mails import Mail

NAME = "proxygen"


def email_message(mail: Mail, sender: str, host: str) -> EmailMessage:
    """Return a mail with its headers, all in ASCII (RFC 5322, RFC 3834 section 5).

    The same mail gives the same message, octet for octet.
    """
    found = EmailMessage(policy=SMTP)
    found["From"] = Address(NAME, addr_spec=sender)
    found["To"] = Address(addr_spec=mail.recipient)
    if mail.reply_to:
        found["Reply-To"] = Address(addr_spec=mail.reply_to)
    found["Subject"] = one_line(mail.subject)
    found["Date"] = format_datetime(mail.at)
    found["Message-ID"] = f"<{mail.id}@{host}>"
    found["Auto-Submitted"] = "auto-generated"
    found["X-Proxygen"] = mail.kind
    found.set_content(mail.text, cte="quoted-printable")
    found.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    found["Content-Language"] = mail.language
    found.set_boundary(f"={mail.id}=")
    return found
