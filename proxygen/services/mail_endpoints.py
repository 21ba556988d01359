"""Where clients meet a mail service: each listener, asked for more than one name (rule 5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from proxygen.model.views import MailView
from proxygen.services import Endpoint, Listener

OTHER_NAME = "proxygen-other.invalid"
"""A name that nobody has (RFC 6761): asked for to find out whether SNI changes anything."""


def asked_for_any_name(
    service: str, view: MailView, listeners: Iterable[Listener]
) -> Iterator[Endpoint]:
    """Yield every listener, asked for the global host and for a name that nobody has."""
    for at in listeners:
        for name in (view.host, OTHER_NAME):
            yield Endpoint(
                *(service, at.address, at.port, name, view.bundle, at.starttls),
                proxy_protocol=at.proxy_protocol,
            )
