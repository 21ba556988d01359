"""selfsigned: certificates for trials, which nobody vouches for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from proxygen.model.certificate import Certificate, KeyAndChain
from proxygen.model.x509 import key_for, self_signed

LIFETIME = timedelta(days=90)


class SelfSignedIssuer:
    """Signs each certificate with its own key; never fails, and asks nobody."""

    concurrency = 1

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now

    def issue(
        self,
        wanted: Certificate,
        former: KeyAndChain | None,
        replaces: str | None = None,  # noqa: ARG002
    ) -> KeyAndChain:
        """Return a new certificate for the wanted names."""
        return self_signed(wanted.names, key_for(wanted, former), self.now(), LIFETIME)

    def finished(self, owner: str) -> None:
        """Do nothing: nothing is kept to continue."""
