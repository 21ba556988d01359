"""The contract of an issuer, which obtains key and chain of a wanted certificate."""

from __future__ import annotations

from typing import Protocol

from proxygen.model.certificate import Certificate, KeyAndChain


class Issuer(Protocol):
    """Obtains certificates from one source."""

    concurrency: int
    """How many calls of ``issue`` may run at the same time."""

    def issue(
        self, wanted: Certificate, former: KeyAndChain | None, replaces: str | None = None
    ) -> KeyAndChain:
        """Return key and chain for *wanted*; may block; may be called from several threads.

        *former* is what was stored before. Its key is kept if ``wanted.keep_key`` says so and the
        key has the wanted type. *replaces* is the unique identifier of the certificate that the new
        one replaces (RFC 9773 section 5), for authorities that take it. Raise IssueFailed with the
        source's own words if there is no certificate. A call after a crash continues what was
        begun.
        """

    def finished(self, owner: str) -> None:
        """Forget what was kept for continuing, as the owner's certificate is stored.

        May be repeated.
        """
