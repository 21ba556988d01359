"""email: mails by SMTP, through the mail server of this host or another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from proxygen.notifiers import Sending, Undelivered
from proxygen.notifiers.email_settings import EmailSettings

if TYPE_CHECKING:
    from proxygen.texts.mails import Mail


Settings = EmailSettings


def deliver(
    letters: Iterable[Mail], settings: Settings | None, sending: Sending
) -> Iterator[tuple[Mail, Undelivered | None]]:
    """Deliver mails in one session with the mail server."""
    from proxygen.notifiers.email_session import deliver_mails

    yield from deliver_mails(letters, settings or Settings(), sending)
