"""account: our account at each ACME authority, as far as the store knows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from proxygen import assemble
from proxygen.model.layout import Layout
from proxygen.model.site import Acme


@dataclass(frozen=True, slots=True)
class AccountLine:
    """What is known of the account at one authority; None for what is not."""

    directory: str
    url: str | None = None
    contact: str | None = None
    thumbprint: str | None = None
    terms: str | None = None

    def __str__(self) -> str:
        if self.url is None:
            return f"{self.directory}\n  account:     none yet; the first certificate creates it"
        return (
            f"{self.directory}\n"
            f"  account:     {self.url}\n"
            f"  contact:     {self.contact or 'none'}\n"
            f"  key:         {self.thumbprint} (thumbprint)\n"
            f"  agreed to:   {self.terms or 'no terms'}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return the line as ``--json`` prints it."""
        return asdict(self) | {"created": self.url is not None}


@dataclass(frozen=True, slots=True)
class AccountReport:
    """The accounts at authorities."""

    accounts: tuple[AccountLine, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {"accounts": [each.as_json() for each in self.accounts]}


def account_report(authorities: Iterable[Acme], layout: Layout) -> AccountReport:
    """Return what the store knows of the accounts at authorities."""
    return AccountReport(tuple(account_line(each, layout) for each in authorities))


def account_line(authority: Acme, layout: Layout) -> AccountLine:
    """Return what the store knows of the account at an authority."""
    from proxygen.issuers.acme_kept import KeptAccount, thumbprint

    kept = KeptAccount(assemble.shared_store(layout), authority.directory)
    known, key = kept.registered(), kept.key()
    if known is None or key is None:
        return AccountLine(authority.directory)
    return AccountLine(authority.directory, known.url, known.contact, thumbprint(key), known.terms)
