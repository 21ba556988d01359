"""Polls renewal information (RFC 9773) when it is time to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING

from proxygen import assemble
from proxygen.apply.side_by_side import completed_futures
from proxygen.assemble import Installation
from proxygen.errors import IssueFailed
from proxygen.failure import NotObtained, Scope, not_obtained
from proxygen.model.certificate import Bundle, RenewalInfo
from proxygen.model.site import Acme, Site
from proxygen.plan.backoff import pause_after
from proxygen.plan.observed import Observed
from proxygen.plan.renewal import asked_of, draw_moment, to_poll

if TYPE_CHECKING:
    from proxygen.issuers.acme import AcmeIssuer

LATER = timedelta(days=1)
"""How long an authority that offers no renewal information is not asked for it."""
SPREAD = 0.1
"""By how much of itself a wait grows at most, so that certificates are not looked at in a burst."""


def poll_renewals(
    site: Site,
    installation: Installation,
    observed: Observed,
    only: Collection[str],
    stop: Callable[[], bool],
) -> Observed:
    """Return what is observed, with the renewal information that was due; it is stored."""
    bundles = dict(observed.bundles)
    for authority in site.authorities:
        now = installation.now()
        if (known := observed.poll_failures.get(authority.directory)) and known.holds(now):
            continue
        due = list(bundles_to_poll(site, observed, authority, only, now))
        if due:
            looking = RenewalPoll(
                installation, authority, assemble.renewal_issuer(installation, authority), stop
            )
            bundles |= {bundle.owner: bundle for bundle in looking.all(due)}
    return replace(observed, bundles=bundles)


def bundles_to_poll(
    site: Site, observed: Observed, authority: Acme, only: Collection[str], now: datetime
) -> Iterator[Bundle]:
    """Yield the bundles of an authority whose renewal information is due to be polled."""
    for wanted in site.certificates:
        bundle = observed.bundles.get(wanted.owner)
        if bundle is None or (only and wanted.owner not in only):
            continue
        asked = asked_of(wanted, bundle)
        if asked and asked.directory == authority.directory and to_poll(bundle, now):
            yield bundle


@dataclass(frozen=True, slots=True)
class RenewalPoll:
    """Polls one authority about many certificates, side by side."""

    installation: Installation
    authority: Acme
    issuer: AcmeIssuer
    stop: Callable[[], bool]

    def all(self, bundles: Iterable[Bundle]) -> Iterator[Bundle]:
        """Yield each bundle with what the authority suggests, stored; end when told to stop.

        An authority that offers nothing, or cannot be asked, is not asked again for a while.
        """
        over = Event()
        with ThreadPoolExecutor(self.issuer.concurrency, "look") as pool:
            asked = {pool.submit(self.one, bundle): bundle for bundle in bundles}
            for bundle, future in completed_futures(asked, lambda: over.is_set() or self.stop()):
                if renewal := future.result():
                    yield self.noted(bundle, renewal)
                else:
                    over.set()

    def noted(self, bundle: Bundle, renewal: RenewalInfo) -> Bundle:
        """Store what became known of a bundle; if that fails, at least this round knows it.

        Return the stored one: another process may have renewed it meanwhile.
        """
        found = replace(bundle, renewal=renewal)
        with suppress(OSError):
            found = self.installation.bundles.note(bundle, renewal=renewal)
            self.installation.bundles.settled("looks", self.authority.directory)
        return found

    def leave_alone(self, failure: NotObtained) -> None:
        """Remember why the authority is not asked for a while."""
        now, draw = self.installation.now(), self.installation.draw()
        with suppress(OSError):
            self.installation.bundles.remember_failure(
                "looks", self.authority.directory, failure, now, draw
            )

    def one(self, bundle: Bundle) -> RenewalInfo | None:
        """Return the renewal information of one certificate, None if the authority gives none."""
        now, draw = self.installation.now(), self.installation.draw()
        try:
            told = self.issuer.renewal_info(bundle.identifier)
        except IssueFailed as error:
            if error.failure.everybody:
                self.leave_alone(error.failure)
                return None
            return polled_later(
                bundle.renewal, error.failure.retry_at or now + pause_after(2, draw)
            )
        if told is None:
            code, again = "renewal-information-not-offered", now + LATER
            self.leave_alone(not_obtained(code, Scope.AUTHORITY, retry_at=again))
            return None
        look_at = told.look_at + (told.look_at - now) * SPREAD * self.installation.draw()
        return draw_moment(told.start, told.end, bundle.renewal, look_at, told.explanation, draw)


def polled_later(former: RenewalInfo | None, look_at: datetime) -> RenewalInfo:
    """Return what was known before, to be polled again later."""
    return replace(former, look_at=look_at) if former else RenewalInfo(look_at)
