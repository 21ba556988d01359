"""SmallAuthority: a small ACME authority whose clock is handed in (RFC 8555, RFC 9773)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from tests.live import ports
from tests.live.authority import Authority, pem, write_private
from tests.live.small_authority_answers import Answers, Away
from tests.live.small_authority_limits import Ledger, Limits, last_two_labels
from tests.live.small_authority_records import Issued, Order
from tests.live.small_authority_rules import DAY, HOUR, LOCALHOST, Window, at_once
from tests.live.small_authority_wire import Server

__all__ = ["LETS_ENCRYPT", "Issued", "Limits", "Order", "SmallAuthority", "Window"]

LETS_ENCRYPT: Mapping[str, timedelta] = {
    "classic": 90 * DAY,
    "tlsserver": 45 * DAY,
    "shortlived": 160 * HOUR,
}
"""Profiles and their lifetimes; what asks for none gets ``classic``, or else the first."""


class SmallAuthority(Answers):
    """Issues certificates over HTTPS while its ``with`` block runs, by the clock handed in.

    It validates http-01 at *http_port* of the loopback address, and the other *challenges* that
    it offers (dns-01, dns-persist-01) by asking *nameserver* (address and port). *registered* tells
    the registered domain of a name. Without *ari* it has no renewal information.

    For a test to look at: ``issued``, ``orders``, ``refused`` (the texts of all refusals by a
    limit) and ``counts`` (requests by kind). To turn: ``away`` (``"503"`` answers each request
    so, ``"refuse"`` refuses connections, None is back), ``failing`` (from a name to the kind of
    problem its validations end with, such as ``connection``), ``rejecting`` (names for which no
    order is made), ``recall`` and ``move``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], datetime],
        http_port: int,
        profiles: Mapping[str, timedelta] = LETS_ENCRYPT,
        limits: Limits | None = None,
        registered: Callable[[str], str] = last_two_labels,
        ari: bool = True,
        ari_retry_after: int = 21_600,
        patience: float = 2,
        challenges: tuple[str, ...] = ("http-01",),
        nameserver: tuple[str, int] | None = None,
    ) -> None:
        super().__init__(clock, http_port, dict(profiles), Ledger(limits or Limits(), registered))
        self.folder = folder
        self.ari = ari
        self.ari_retry_after = ari_retry_after
        self.patience = patience
        self.challenges = challenges
        self.nameserver = nameserver
        self.server: Server | None = None

    def __enter__(self) -> Self:
        self.port = ports.reserve()
        api = Authority("Small Authority API")
        issued = api.issue("localhost", LOCALHOST)
        self.trusted_root.write_bytes(api.root_pem)
        write_private(self.api, issued.key + issued.fullchain)
        self.server = Server(self.port, self.api, self.answer)
        return self

    def __exit__(self, *exception: object) -> None:
        if self.server:
            self.server.stop()
            self.server = None
        self.api.unlink()
        ports.release(self.port)

    @property
    def api(self) -> Path:
        """The key and the certificate of its own HTTPS."""
        return self.folder / "small-authority.pem"

    @property
    def trusted_root(self) -> Path:
        """The root of the certificate of its own HTTPS: ``acme.trusted_roots`` names it."""
        return self.folder / "small-authority-root.pem"

    @property
    def directory(self) -> str:
        """The URL of its ACME directory."""
        return self.url("directory")

    @property
    def issuing_root(self) -> bytes:
        """The root of what it issues, as PEM."""
        return pem(self.signer.root.certificate)

    @property
    def refusals(self) -> int:
        """How often a limit was hit."""
        return len(self.refused)

    @property
    def away(self) -> Away | None:
        """How it is away, None while it is there."""
        return self.how_away

    @away.setter
    def away(self, how: Away | None) -> None:
        """Go away, or come back on the same port."""
        self.how_away = how
        if how == "refuse" and self.server:
            self.server.stop()
            self.server = None
        elif how != "refuse" and self.server is None:
            self.server = Server(self.port, self.api, self.answer)

    def recall(self, *which: int | str, explanation: str | None = None) -> tuple[Issued, ...]:
        """Ask for certificates to be renewed at once: those of these serial numbers or names."""
        return self.move(at_once(self.clock(), explanation), *which)

    def move(self, window: Window, *which: int | str) -> tuple[Issued, ...]:
        """Give other windows to the certificates of these serial numbers or names; return them."""
        with self.lock:
            chosen = tuple(one for one in self.issued if {one.serial, *one.names} & set(which))
            self.windows.update({one.serial: window for one in chosen})
        return chosen
