"""What clients get now, and what they will get, where a plan changes that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from proxygen.errors import Coded
from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.model.site import Owner, Role, Site
from proxygen.model.views import serving_bundle
from proxygen.plan.observed import Observed, ServiceState
from proxygen.plan.steps import Adopt, Install, Issue, PostponedOrder, ShownCertificate, Step

LOCAL = frozenset({"file", "selfsigned"})
"""Issuers that ask nobody: what they give is there before services are set up."""


@dataclass(frozen=True)
class ShownInputs:
    """What the answer depends on: *then* has the bundles as they are once services are set up.

    *roles* are those of the services.
    """

    site: Site
    observed: Observed
    then: Observed
    steps: Sequence[Step]
    waiting: Sequence[PostponedOrder]
    roles: Mapping[str, Role]
    now: datetime

    @cached_property
    def orders(self) -> dict[str, Issue]:
        """The steps that obtain certificates, without stand-ins, by owner."""
        found = (each for each in self.steps if isinstance(each, Issue) and not each.stand_in)
        return {each.certificate.owner: each for each in found}

    @cached_property
    def postponed(self) -> dict[str, PostponedOrder]:
        """What is due but postponed, by owner."""
        return {each.owner: each for each in self.waiting}

    @cached_property
    def adopted(self) -> frozenset[str]:
        """The owners for whom a certificate is adopted."""
        return frozenset(each.bundle.owner for each in self.steps if isinstance(each, Adopt))

    @cached_property
    def first(self) -> frozenset[str]:
        """The services that are set up for the first time."""
        installs = (each for each in self.steps if isinstance(each, Install))
        return frozenset(each.rendering.service for each in installs if each.reason.code == "first")

    @cached_property
    def stored(self) -> dict[str, Bundle]:
        """The stored certificates by the beginning of their fingerprint."""
        return {each.fingerprint[:16]: each for each in self.observed.bundles.values()}

    def all(self) -> tuple[ShownCertificate, ...]:
        """Return what changes, the global URL first; services with the same change together."""
        touched = {*self.orders, *self.postponed, *self.adopted}
        owners = (each for each in self.site.owners if self.first or each.key in touched)
        return tuple(
            shown
            for owner in owners
            if owner.host
            for shown in self.of(owner, owner.key in touched)
        )

    def of(self, owner: Owner, touched: bool) -> Iterator[ShownCertificate]:
        """Yield what changes for one owner."""
        found: dict[Coded, list[str]] = {}
        for name, state in self.observed.services.items():
            meets = owner.key == GLOBAL or self.roles[name] is Role.WEB
            if state.facts and meets and (touched or name in self.first):
                found.setdefault(self.at_present(state, owner), []).append(name)
        then, later = self.soon(owner), self.later(owner)
        for present, services in found.items():
            if present != then or later:
                yield ShownCertificate(
                    owner.key, str(owner.host), tuple(services), present, then, later
                )

    def at_present(self, state: ServiceState, owner: Owner) -> Coded:
        """Return what clients of the URL get from a service now."""
        host = str(owner.host)
        if state.installed.generation:
            mark = state.installed.served.get(host)
            if bundle := self.stored.get((mark or "").partition("+")[0]):
                return described_certificate(bundle, host, self.now)
            if mark:
                return Coded("a certificate that is no longer stored", "unknown")
            return Coded("nothing", "nothing")
        every = self.observed.candidates.get(owner.key, ())
        found = next((each for each in every if each.service == state.name), None)
        if found is None:
            return Coded("no certificate is found in its configuration", "not-found")
        if found.facts is None:
            words = f"a certificate that cannot be used ({', '.join(map(str, found.paths))})"
            return Coded(words, "unusable")
        return described_certificate(found.facts, host, self.now)

    def soon(self, owner: Owner) -> Coded:
        """Return what clients of the URL get once the services are set up."""
        bundles, host = self.then.bundles, str(owner.host)
        order = self.orders.get(owner.key)
        if order and order.certificate.issuer in LOCAL:
            return Coded(f"its own certificate ({order.certificate.issuer})", "own")
        own = bundles[GLOBAL] if owner.key == GLOBAL else serving_bundle(owner, bundles)
        text = described_certificate(own or bundles[GLOBAL], host, self.now)
        return text if own else Coded(f"the global certificate: {text}", text.code)

    def later(self, owner: Owner) -> Coded | None:
        """Return what clients of the URL get once a certificate is obtained, if one is due."""
        order, postponed = self.orders.get(owner.key), self.postponed.get(owner.key)
        asked = order.certificate if order else postponed.certificate if postponed else None
        if asked is None or not asked.authorities:
            return None
        when = f", not before {postponed.until:%Y-%m-%d %H:%M} UTC" if postponed else ""
        return Coded(f"a new certificate from {asked.authorities[0].directory}{when}", "new")


def described_certificate(bundle: Bundle, host: str, now: datetime) -> Coded:
    """Return in words which certificate clients get who ask for *host*."""
    if bundle.issuer == "selfsigned" and bundle.stand_in:
        return Coded("a self-signed stand-in, which clients refuse or warn of", "stand-in")
    until = f"{bundle.not_after:%Y-%m-%d %H:%M} UTC"
    of = "self-signed certificate" if bundle.stand_in else f"certificate from {bundle.issued_by}"
    text = f"{of} {'that expired on' if bundle.not_after < now else 'valid until'} {until}"
    uncovered = "" if bundle.covers(host) else ", which does not cover this name"
    words = f"{text}{' (adopted)' if bundle.adopted else ''}{uncovered}"
    return Coded(words, judged_certificate(bundle, host, now))


def judged_certificate(bundle: Bundle, host: str, now: datetime) -> str:
    """Return the code of what clients who ask for *host* make of a certificate."""
    if bundle.stand_in:
        return "self-signed"
    if bundle.not_after < now:
        return "ended"
    return "valid" if bundle.covers(host) else "not-covered"
