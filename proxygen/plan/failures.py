"""Failures that still matter: of what is wanted now, and not long ago."""

from __future__ import annotations

from datetime import datetime, timedelta

from proxygen.model.certificate import Certificate
from proxygen.model.site import Acme
from proxygen.plan.backoff import RememberedFailure, order_purpose, purpose_of
from proxygen.plan.observed import Observed

OUTDATED = timedelta(days=2)
"""How long ago a failure was to be tried again at most. Later something else was the case."""

FIRST_YEAR, LAST_YEAR = 1970, 9990
"""Moments outside are damaged, and cannot be reckoned with at the edges of time."""


def current_failure(failure: RememberedFailure | None, now: datetime) -> RememberedFailure | None:
    """Return a failure, None if there is none or if it says nothing about the present."""
    if failure is None or now - failure.again > OUTDATED:
        return None
    moments = (failure.at, failure.since, failure.again)
    return failure if all(FIRST_YEAR <= each.year <= LAST_YEAR for each in moments) else None


def of_owner(wanted: Certificate, observed: Observed, now: datetime) -> RememberedFailure | None:
    """Return why a certificate could not be obtained, while the same certificate is wanted."""
    own = current_failure(observed.failures.get(wanted.owner), now)
    return own if own and own.purpose == order_purpose(wanted) else None


def of_authority(authority: Acme, observed: Observed, now: datetime) -> RememberedFailure | None:
    """Return why an authority cannot be used, as long as it would be asked in the same way."""
    authority_failure = current_failure(observed.authority_failures.get(authority.directory), now)
    return (
        authority_failure
        if authority_failure and authority_failure.purpose == purpose_of(authority)
        else None
    )
