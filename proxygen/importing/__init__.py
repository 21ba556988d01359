"""What other ACME clients and services left on a host, read as values; nothing is changed.

One module a client, with KNOWN (folders in which it usually keeps what it has) and ``find``, which
returns what a folder holds. Files of others are data: bounded, never executed, and what cannot be
read is a trouble to tell, no error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from proxygen.importing.reading import ClientFiles

DNS, STANDALONE = "dns-01", "standalone"


@dataclass(frozen=True, slots=True)
class FoundAccount:
    """An account at an authority, by its *directory* (URL), and the file with its key."""

    client: str
    directory: str
    key: Path
    contact: str = ""


@dataclass(frozen=True, slots=True)
class Lineage:
    """A certificate that another client renews.

    *where* is what tells of it, FILE or FILE:LINE; *directory* the URL of its authority, empty
    where that is not noted, and *account* the account that it was ordered by. *webroots* are
    the folders where that client answers challenges, *hooks* what it runs after a renewal, and
    *stop* the command that keeps it from renewing this certificate. *challenge* is the one by which
    it proves its names, where that is noted and not by a web server: DNS or STANDALONE.
    """

    client: str
    name: str
    certificate: Path
    key: Path
    where: str
    directory: str = ""
    account: FoundAccount | None = None
    webroots: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    stop: str = ""
    challenge: str = ""


@dataclass(frozen=True, slots=True)
class ClientFolder:
    """What one client has in one folder."""

    lineages: tuple[Lineage, ...] = ()
    accounts: tuple[FoundAccount, ...] = ()


@dataclass(slots=True)
class ClientInventory:
    """What was found of all clients, and what could not be read.

    *unsure* are the clients that may have more than was found.
    """

    lineages: list[Lineage] = field(default_factory=list)
    accounts: list[FoundAccount] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    unsure: set[str] = field(default_factory=set)


class Client(Protocol):
    """A client whose lineages can be found."""

    @property
    def NAME(self) -> str:  # noqa: N802
        """What it is called, by its lineages and by what starts it."""

    @property
    def KNOWN(self) -> tuple[str, ...]:  # noqa: N802
        """The folders in which it usually keeps what it has; ``~`` is root's home."""

    def find(self, folder: Path, reading: ClientFiles) -> ClientFolder:
        """Return what a folder holds; nothing where it is none of this client's."""
