"""The contracts of solvers, which present answers to ACME challenges, and of DNS writers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol

from pydantic import BaseModel, Field

from proxygen.model.certificate import Certificate, Secret
from proxygen.model.schema import SchemaPart
from proxygen.model.types import Host, Seconds


class Solver(Protocol):
    """Presents answers to challenges of one type (RFC 8555 section 8). Threads may share it."""

    notes: tuple[str, ...]
    """Notes for people about successful proofs, such as about answers that could not be removed."""

    def present(self, name: str, token: str, key_authorization: str) -> None:
        """Publish the answer; raise IssueFailed. ``settle`` tells when the authority can see it."""

    def settle(self, answers: Sequence[tuple[str, str]]) -> None:
        """Return once the authority can see all *answers*, each a name with its token.

        Called once for everything that an order presented. Raise IssueFailed if that takes too
        long.
        """

    def cleanup(self, name: str, token: str) -> None:
        """Remove the answer; may be called twice, and for an answer that was never presented."""


Solvers = Callable[[Certificate], Mapping[str, Solver]]
"""The solvers of a certificate by type of challenge, in order of preference."""


class Writer(Protocol):
    """Writes TXT records, one value at one name each; may be used by several threads.

    Both calls may be repeated for the same record, and leave other values at the same name alone.
    Both raise IssueFailed with the words of the server that was asked, and with ``refused`` if the
    reason is that very name. When they return, the record was accepted; name servers may publish it
    later.
    """

    patience: float
    """Seconds within which every name server should show what was written."""
    delegated: tuple[str, ...]
    """Zones (A-labels, lower case) that a CNAME of ``_acme-challenge`` may lead into."""

    def add(self, name: str, value: str) -> None:
        """Add *value* to the TXT records at *name* (A-labels, no final dot)."""

    def remove(self, name: str, value: str) -> None:
        """Remove *value* from the TXT records at *name*; do nothing if it does not exist."""


@dataclass(frozen=True, slots=True)
class Writing:
    """What writers need: the model's *folder*, secrets, and the zone of a name.

    *zone* returns the apex of the zone according to the DNS; it raises IssueFailed.
    """

    folder: Path
    secret: Callable[[Secret], bytes]
    zone: Callable[[str], str]


MOST_ZONES = 64


class WriterSettings(SchemaPart):
    """The settings that every kind of writer has."""

    propagation_timeout: Seconds = Field(
        120, description="How long name servers may take to publish a record; seconds or 2m."
    )
    delegated: Annotated[list[Host], Field(max_length=MOST_ZONES)] = Field(
        [],
        description=(
            "Zones into which CNAME records of `_acme-challenge` may lead; default:"
            " only the name's own."
        ),
    )


class WriterModule(Protocol):
    """What a module with a writer defines; the module's name is the word in the model."""

    Settings: ClassVar[type[BaseModel]]

    def writer(self, settings: Any, writing: Writing) -> Writer:
        """Return the writer; raise IssueFailed if there is none, such as without its secret."""
