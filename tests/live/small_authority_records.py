"""What a small ACME authority keeps: accounts, orders, authorizations, certificates."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.live.small_authority_wire import Key, Problem, encoded

EXPIRES = timedelta(days=7)
"""How long orders and authorizations stay open."""


@dataclass(eq=False)
class Account:
    """An account."""

    number: int
    key: Key
    contact: tuple[str, ...]
    status: str = "valid"


@dataclass(eq=False)
class Authorization:
    """The proof of one name for one order, by one of the challenges that are *offered*.

    *name* is without the ``*.`` of a *wildcard*; *by* is the challenge that was answered.
    """

    number: int
    account: Account
    name: str
    expires: datetime
    offered: tuple[str, ...] = ("http-01",)
    wildcard: bool = False
    by: str = ""
    token: str = field(default_factory=lambda: encoded(secrets.token_bytes(32)))
    status: str = "pending"
    answered: bool = False
    validated: datetime | None = None
    error: Problem | None = None


@dataclass(eq=False)
class Order:
    """An order; *renewal* and *replaces* tell why some limits, or all, do not count for it."""

    number: int
    account: Account
    at: datetime
    names: tuple[str, ...]
    profile: str
    replaces: str | None
    renewal: bool
    authorizations: tuple[Authorization, ...]
    issued: Issued | None = None

    @property
    def expires(self) -> datetime:
        """When it becomes invalid unless it is valid."""
        return self.at + EXPIRES

    def status(self, now: datetime) -> str:
        """Return its status (RFC 8555 section 7.1.6); processing takes no time here."""
        proofs = {each.status for each in self.authorizations}
        if self.issued:
            return "valid"
        if "invalid" in proofs or now >= self.expires:
            return "invalid"
        return "ready" if proofs == {"valid"} else "pending"


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that was issued, *at* by the clock handed in; *chain* is leaf and CA."""

    at: datetime
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    profile: str
    replaces: str | None
    serial: int
    identifier: str
    account: int
    chain: bytes = field(repr=False)
