"""How this run stands with the authorities: which ones not to ask, and what was used of limits."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from proxygen.assemble import Installation
from proxygen.errors import IssueFailed
from proxygen.failure import NotObtained, not_obtained
from proxygen.model.certificate import Certificate
from proxygen.model.site import Acme
from proxygen.plan.backoff import purpose_of
from proxygen.plan.quota import Quota, QuotaEntry, QuotaKind, is_renewal


@dataclass(slots=True)
class AuthorityState:
    """The state of each of *authorities* (by directory) in one run; threads share it.

    *lifetime* is the shortest lifetime of their certificates. *down* are those that issue for
    nobody, with the reason: this run does not ask them again. *quotas* are those of authorities
    that take over, as orders were only scheduled within the limits of the first one.
    """

    installation: Installation
    authorities: Mapping[str, Acme]
    lifetime: timedelta | None = None
    down: dict[str, NotObtained] = field(default_factory=dict)
    quotas: dict[str, Quota] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, directory: str, wanted: Certificate, *, scheduled: bool) -> None:
        """Raise IssueFailed if an authority must not be asked now.

        It is down, or takes over from another one and is at its limits.
        """
        if known := self.down.get(directory):
            raise IssueFailed(known)
        if not scheduled:
            self.take(directory, wanted)

    def take(self, directory: str, wanted: Certificate) -> None:
        """Count an order towards an authority's limits; raise IssueFailed if one is reached."""
        now = self.installation.now()
        former = self.installation.bundles.facts(wanted.owner)
        entry = QuotaEntry(now, wanted.names, renewal=is_renewal(wanted, former, directory))
        with self.lock:
            quota = self.quota(directory)
            if (free := quota.free_at(entry, now)) > now:
                raise IssueFailed(not_obtained("limits-reached", of=directory, retry_at=free))
            quota.take(entry, now)

    def quota(self, directory: str) -> Quota:
        """Return what is left of an authority's limits in this run."""
        if directory not in self.quotas:
            self.quotas[directory] = self.installation.quota(self.authorities[directory])
        return self.quotas[directory]

    def issued(self, directory: str, wanted: Certificate, *, renewal: bool) -> None:
        """Note that an authority issued a certificate, which counts and ends its failures."""
        self.installation.bundles.settled("troubles", directory)
        ledger = self.installation.ledger(directory)
        if wanted.owner in ledger.exempt:
            ledger.exempt.discard(wanted.owner)
        else:
            ledger.note(
                QuotaEntry(self.installation.now(), wanted.names, QuotaKind.ISSUED, renewal)
            )

    def failed(self, directory: str, error: NotObtained) -> None:
        """Note a failure of an authority, and what counts towards its limits."""
        now, draw = self.installation.now(), self.installation.draw()
        with contextlib.suppress(OSError):  # the failure is told in any case
            if error.everybody:
                self.down[directory] = error
                about = purpose_of(self.authorities[directory])
                hold = self.installation.bundles.remember_failure
                hold("troubles", directory, error, now, draw, about, self.lifetime)
            if error.unproven:
                entry = QuotaEntry(now, error.unproven, QuotaKind.FAILED)
                self.installation.ledger(directory).note(entry)
