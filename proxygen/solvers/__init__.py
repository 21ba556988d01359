"""The contract of a solver: making the answer to an ACME challenge visible."""

from __future__ import annotations

from typing import Protocol


class Solver(Protocol):
    """Presents answers to challenges of one type (RFC 8555 section 8)."""

    def present(self, name: str, token: str, key_authorization: str) -> None:
        """Make the answer visible to the authority before returning; raise IssueFailed."""

    def cleanup(self, name: str, token: str) -> None:
        """Take the answer back; may be called twice, and for what was never presented."""
