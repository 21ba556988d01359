"""Mails: a digest in its reader's language, as text and as HTML."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from datetime import datetime

from proxygen.languages.language import Language
from proxygen.plan.render import Templates
from proxygen.services import Rendered
from proxygen.texts.contents import Content, Entry, content
from proxygen.texts.digests import Digest

TEMPLATE = "mail/mail.html.j2"
WIDTH = 74


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to one recipient; *kind* is ``warning`` or ``solved``, *id* its identity.

    *reply_to* is where answers go, if anywhere.
    """

    id: str
    recipient: str
    kind: str
    subject: str
    text: str
    html: str
    language: str
    at: datetime
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """In whose name a mail is written: the global host, and the operator's *contact*."""

    host: str
    contact: str | None


def mail_of(
    digest: Digest, language: Language, templates: Templates, sender: Sender, now: datetime
) -> Mail:
    """Return a digest as a mail; raise ServiceError if the template cannot be rendered."""
    told = content(digest, language, sender.host, sender.contact, now)
    values = {"content": told, "language": language.code, "host": sender.host}
    return Mail(
        id=digest.id,
        recipient=digest.reader.address,
        kind="warning" if digest.alerts else "solved",
        subject=told.subject,
        text=plain_text(told),
        html=templates.page(Rendered(TEMPLATE, TEMPLATE, values)),
        language=language.code,
        at=now,
        reply_to=None if digest.reader.operator else sender.contact,
    )


def plain_text(told: Content) -> str:
    """Return a mail as plain text."""
    blocks = [*map(wrap_paragraph, told.opening)]
    blocks += (
        ["\n".join(wrap_paragraph(line, "+ ", "  ") for line in told.good)] if told.good else []
    )
    blocks += map(entry_text, told.entries)
    closing = "\n".join(map(wrap_paragraph, told.closing))
    return "\n\n".join(blocks) + f"\n\n-- \n{closing}\n"


def entry_text(entry: Entry) -> str:
    """Return one entry as plain text."""
    lines = [wrap_paragraph(entry.title), "-" * min(len(entry.title), WIDTH)]
    lines += (wrap_paragraph(f"{fact.label}: {fact.text}", "", "    ") for fact in entry.facts)
    if entry.quote:
        lines.append(f"{entry.heading}:")
        lines += (f"  | {line}" for line in entry.quote)
    return "\n".join(lines)


def wrap_paragraph(line: str, first: str = "", rest: str = "") -> str:
    """Return a paragraph in lines that fit a mail program; names and addresses stay whole."""
    return textwrap.fill(
        line,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
