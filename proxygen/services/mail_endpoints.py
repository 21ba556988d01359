"""Where clients meet a mail service: each listener, with more than one name (rule 5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from proxygen.model.views import MailView
from proxygen.services import Endpoint, Listener, ServiceSettings

OTHER_NAME = "proxygen-other.invalid"
"""A name that nobody has (RFC 6761): asked for to find out whether SNI changes anything."""


class Listening(Protocol):
    """What the facts of a mail service tell."""

    @property
    def listeners(self) -> Iterable[Listener]:
        """What a client may connect to."""


def endpoints(
    service: str,
    view: MailView,
    settings: ServiceSettings,  # noqa: ARG001
    facts: Listening,
) -> Iterator[Endpoint]:
    """Yield every listener, asked for the global host and for a name that nobody has."""
    for at in facts.listeners:
        for name in (view.host, OTHER_NAME):
            yield Endpoint(
                *(service, at.address, at.port, name, view.bundle, at.starttls),
                proxy_protocol=at.proxy_protocol,
                beside=view.beside,
            )
