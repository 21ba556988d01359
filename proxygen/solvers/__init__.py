"""The contracts of solvers: answers to ACME challenges made visible, DNS records written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol

from pydantic import BaseModel, Field

from proxygen.model.certificate import Certificate, Secret
from proxygen.model.schema import Part
from proxygen.model.types import Host, Seconds


class Solver(Protocol):
    """Presents answers to challenges of one type (RFC 8555 section 8); threads share it."""

    notes: tuple[str, ...]
    """What a person should know although names were proven, such as of answers left behind."""

    def present(self, name: str, token: str, key_authorization: str) -> None:
        """Publish the answer; raise IssueFailed. ``settle`` tells when it is visible."""

    def settle(self, answers: Sequence[tuple[str, str]]) -> None:
        """Return once the authority would see all of *answers*: the name and token of each.

        All that an order presented is waited for at once. Raise IssueFailed when that takes too
        long.
        """

    def cleanup(self, name: str, token: str) -> None:
        """Take the answer back; may be called twice, and for what was never presented."""


Solvers = Callable[[Certificate], Mapping[str, Solver]]
"""Who proves the names of a certificate, by type of challenge: the first that is offered is taken.
"""


class Writer(Protocol):
    """Writes TXT records, each one value at one name; threads share it.

    Both calls may be made twice for the same record. Several values at one name stay beside each
    other: none takes another away. Both raise IssueFailed with the words of who was asked, and
    with ``refused`` where the trouble is with that very name. When they return, the record was
    accepted: it may take a while until every name server shows it.
    """

    patience: float
    """Seconds within which every name server should show what was written."""
    delegated: tuple[str, ...]
    """Zones (A-labels, lower case) that a CNAME of ``_acme-challenge`` may lead into."""

    def add(self, name: str, value: str) -> None:
        """Add *value* to the TXT records at *name* (A-labels, no final dot)."""

    def remove(self, name: str, value: str) -> None:
        """Remove *value* from the TXT records at *name*; nothing happens when it is not there."""


@dataclass(frozen=True, slots=True)
class Writing:
    """With what records are written: the model's *folder*, secrets, the zone of a name.

    *zone* returns the apex of the zone as the DNS tells it; it raises IssueFailed.
    """

    folder: Path
    secret: Callable[[Secret], bytes]
    zone: Callable[[str], str]


MOST_ZONES = 64


class WriterSettings(Part):
    """What every kind of writer can be told."""

    propagation_timeout: Seconds = Field(
        120, description="How long every name server may take to show a record; seconds or 2m."
    )
    delegated: Annotated[list[Host], Field(max_length=MOST_ZONES)] = Field(
        [],
        description="Zones that a CNAME of `_acme-challenge` may lead into; else the name's own.",
    )


class WriterModule(Protocol):
    """The names that a module with a writer has; the module's name is the word."""

    Settings: ClassVar[type[BaseModel]]

    def writer(self, settings: Any, writing: Writing) -> Writer:
        """Return the writer; raise IssueFailed when it cannot be had, such as for no secret."""
