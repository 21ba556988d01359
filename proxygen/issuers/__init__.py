"""The contract of an issuer: from a wanted certificate to key and chain."""

from __future__ import annotations

from typing import Protocol

from proxygen.model.certificate import Certificate, KeyAndChain


class Issuer(Protocol):
    """Obtains certificates from one source."""

    concurrency: int
    """How many calls of ``issue`` may run at once."""

    def issue(
        self, wanted: Certificate, former: KeyAndChain | None, replaces: str | None = None
    ) -> KeyAndChain:
        """Return key and chain for *wanted*; blocks, and is called from several threads.

        *former* is what was stored before. Its key is used again where ``wanted.keep_key``
        asks for it and it is of the wanted type. *replaces* is the unique identifier of the
        certificate that the new one takes the place of (RFC 9773 section 5), for a source that
        wants to know. Raise IssueFailed, with the source's own words, when it cannot be had.
        Calling again after a crash continues what was begun.
        """

    def finished(self, owner: str) -> None:
        """Forget what was kept to continue: the owner's certificate is stored. May be repeated."""
