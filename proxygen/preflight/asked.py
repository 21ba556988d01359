"""Asked, Beacon: which names to look at, and what must be found there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from proxygen.dns.answers import LookupResult
from proxygen.model.hosts import is_address, is_wildcard
from proxygen.model.schema import DIRECTORIES


class NameResolver(Protocol):
    """Who looks names up (``lookup.resolving``); it never raises, and ends after a while."""

    async def resolve(self, name: str, rdtype: str) -> LookupResult:
        """Return what the DNS says about *name*."""


@dataclass(frozen=True, slots=True)
class AuthorityIdentity:
    """An authority as the DNS knows it: its *caa_identities*, our *account* (URL) if there is one.

    Without identities its view of CAA records cannot be known (RFC 8555 section 7.1.1).
    """

    directory: str
    caa_identities: tuple[str, ...] = ()
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A name to look at, how it is to be proven, and to whom: the first authority decides.

    *delegated* are the zones into which aliases of its record may lead.
    """

    owner: str
    name: str
    challenge: str
    authorities: tuple[AuthorityIdentity, ...] = ()
    delegated: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The name without what makes it a wildcard: there the records stand."""
        return self.name.removeprefix("*.")

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for every host one label below."""
        return is_wildcard(self.name)

    @property
    def is_address(self) -> bool:
        """Whether it is an address, which has no records (RFC 8738)."""
        return is_address(self.name)

    @property
    def authority(self) -> AuthorityIdentity:
        """Whom the records must suit."""
        return self.authorities[0] if self.authorities else AuthorityIdentity("")

    @property
    def from_outside(self) -> bool:
        """Whether who asks is known to stand on the internet, not beside us."""
        return self.authority.directory in DIRECTORIES.values()


@dataclass(frozen=True, slots=True)
class Beacon:
    """A challenge file that is in place on this host now.

    ``http://NAME:port/.well-known/acme-challenge/TOKEN`` must answer *body*, which nobody else's
    web server does: it is drawn at random.
    """

    token: str
    body: str
    port: int = 80
