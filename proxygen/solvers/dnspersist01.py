"""dns-persist-01 (draft-ietf-acme-dns-persist): the record stands in the DNS already."""

from __future__ import annotations

from collections.abc import Sequence


class PersistentRecord:
    """Presents nothing: somebody published the record, once and for all."""

    notes: tuple[str, ...] = ()

    def present(self, name: str, token: str, key_authorization: str) -> None:
        """Do nothing: there is no answer but the record."""

    def settle(self, answers: Sequence[tuple[str, str]]) -> None:
        """Return: what is missing now is missing for long."""

    def cleanup(self, name: str, token: str) -> None:
        """Leave the record where it is."""
