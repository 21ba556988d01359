"""Installation: proxygen without services, at an authority whose clock is its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from proxygen import assemble
from proxygen.apply.outcome import SILENT, Outcome
from proxygen.issuers.acme_transport import Pace
from proxygen.model.certificate import Bundle
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.reconcile import reconcile
from tests.live import ports
from tests.live.small_authority import SmallAuthority


@dataclass(slots=True)
class Clock:
    """A clock that is turned by hand."""

    now: datetime = datetime(2027, 3, 1, 9, 17, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now

    def advance(self, by: timedelta) -> None:
        """Turn it on."""
        self.now += by


class TrialInstallation:
    """A model below *root*, and rounds of proxygen at the time that *clock* tells.

    No service is set up: proxygen answers challenges itself, at *http_port*. *draw* is what
    chance says each time.
    """

    def __init__(self, root: Path, clock: Clock, http_port: int, draw: float = 0.5) -> None:
        self.layout = Layout(root, root / "etc/proxygen/proxygen.yaml")
        self.clock = clock
        self.http_port = http_port
        self.parts = replace(
            assemble.build_installation(self.layout, clock),
            draw=lambda: draw,
            pace=Pace(first_pause=0.002),
        )
        self.layout.config.parent.mkdir(parents=True, exist_ok=True)

    def model(
        self,
        authority: SmallAuthority,
        domains: Mapping[str, Any],
        fallback: SmallAuthority | None = None,
        acme: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Write a model whose certificates come from *authority*."""
        asked = at(authority) | {"http_port": self.http_port, "preflight": False}
        asked |= dict(acme or {})
        if fallback:
            profile = {"profile": asked["profile"]} if "profile" in asked else {}
            asked["fallback"] = at(fallback) | profile
        model = {
            "contact": "hostmaster@example.net",
            "global": {"url": "mail.example.net", "certificate": "selfsigned"},
            "domains": dict(domains),
            "acme": asked,
            "services": {},
        }
        self.layout.config.write_text(json.dumps(model | more))

    @property
    def site(self) -> Site:
        """The model as it stands."""
        return assemble.read_site(self.layout)

    def round(self, *only: str) -> Outcome:
        """Run one round."""
        return reconcile(self.site, self.parts, SILENT, only)

    def bundle(self, owner: str) -> Bundle:
        """Return the stored bundle of an owner."""
        found = self.parts.bundles.facts(owner)
        assert found, f"no certificate of {owner} is stored"
        return found


def at(authority: SmallAuthority) -> dict[str, Any]:
    """Return what a model says of an authority."""
    return {
        "directory": authority.directory,
        "trusted_roots": [str(authority.trusted_root)],
        "terms_of_service_agreed": True,
    }


@contextmanager
def challenge_port() -> Iterator[int]:
    """Have a port for the answers to challenges."""
    port = ports.reserve()
    try:
        yield port
    finally:
        ports.release(port)
