"""An ACME server: its directory, read once, and the way of speaking with it."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, TypeVar

from proxygen.errors import IssueFailed
from proxygen.issuers import acme_failures
from proxygen.issuers.acme_answers import Directory, https
from proxygen.issuers.acme_failures import Refused
from proxygen.issuers.acme_network import Network
from proxygen.issuers.acme_transport import Pace, Transport
from proxygen.model.site import Acme

T = TypeVar("T")


class Once(Generic[T]):
    """A value that the first thread makes while the others wait.

    When that fails it fails for all: who asks within *seconds* is told the same at once.
    """

    def __init__(self, make: Callable[[], T], seconds: float) -> None:
        self.make = make
        self.seconds = seconds
        self.lock = threading.Lock()
        self.made: T | None = None
        self.failed: tuple[float, IssueFailed] | None = None

    def __call__(self) -> T:
        """Return the value; raise IssueFailed."""
        with self.lock:
            if self.failed and time.monotonic() < self.failed[0]:
                raise copy.copy(self.failed[1])
            if self.made is None:
                try:
                    self.made = self.make()
                except IssueFailed as error:
                    self.failed = (time.monotonic() + self.seconds, error)
                    raise
            return self.made


class Server:
    """The server of one authority; many threads share it. Nothing is sent before it is used."""

    def __init__(
        self, settings: Acme, connections: int, now: Callable[[], datetime], pace: Pace
    ) -> None:
        self.settings = settings
        self.now = now
        self.network = Network(Transport(settings.trusted_roots, connections, now, pace))
        self.directory = Once(self.read, pace.down)

    def read(self) -> Directory:
        """Read the directory; raise IssueFailed."""
        try:
            directory = Directory.read(self.network.get(https(self.settings.directory)).body)
        except (IssueFailed, Refused, ValueError) as error:
            raise no_directory(self.settings, error) from error
        self.network.new_nonce = directory.new_nonce
        return directory


def no_directory(settings: Acme, error: Exception) -> IssueFailed:
    """Return the error for a directory that cannot be read."""
    told: dict[str, Any] = {"remedy": "check `acme.directory`: it must be an https:// URL"}
    if isinstance(error, IssueFailed):
        said = (error.what, str(error.where or ""), error.words)
        words = "\n".join(line for line in said if line)
        told = {"remedy": error.remedy, "words": words, "final": error.final}
    elif isinstance(error, Refused):
        told = {
            "remedy": "check `acme.directory`; if it is right, try again later",
            "words": acme_failures.words(error.problem),
            "retry_at": error.retry_at,
        }
    what = f"the ACME directory {settings.directory} cannot be used"
    return IssueFailed(what, where=settings.origin, everybody=True, **told)
