"""The contract of a notifier: it delivers mails to people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import BaseModel

from proxygen.errors import ProxygenError
from proxygen.failure import Failure
from proxygen.model.certificate import Secret

if TYPE_CHECKING:
    from proxygen.texts.mails import Mail


class Undelivered(ProxygenError):
    """A mail was not delivered; *final*: it never will be, so it is not tried again."""

    code = "undelivered"

    def __init__(self, failure: Failure, *, final: bool = False) -> None:
        super().__init__(failure)
        self.final = final


@dataclass(frozen=True, slots=True)
class Sending:
    """What a notifier needs besides: the global *host*, the model's *folder*, secrets."""

    host: str
    folder: Path
    secret: Callable[[Secret], bytes]


class Notifier(Protocol):
    """The names that each module of this folder has; the module's name is the word."""

    Settings: ClassVar[type[BaseModel]]

    def deliver(
        self, letters: Iterable[Mail], settings: Any, sending: Sending
    ) -> Iterator[tuple[Mail, Undelivered | None]]:
        """Deliver mails in their order; yield each with None, or with why it was refused.

        Once a mail is yielded with None, the other side has stored it. Raises Undelivered when no
        mail can be delivered at present, and yields no more. It may block as long as its time
        limits say; between two mails the caller may stop it. A mail that is delivered twice has
        the same identity both times.
        """
