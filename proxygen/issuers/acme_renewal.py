"""Renewal information (RFC 9773): when an authority suggests to renew a certificate."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from proxygen.errors import IssueFailed
from proxygen.failure import NotObtained, Scope, not_obtained
from proxygen.issuers import acme_failures
from proxygen.issuers.acme_answers import AcmeObject, https_url
from proxygen.issuers.acme_failures import AuthorityRefused
from proxygen.issuers.acme_server import AcmeServer
from proxygen.issuers.acme_transport import AcmeResponse, Unreached

IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,200}\.[A-Za-z0-9_-]{1,200}", re.ASCII)
LONGEST_URL = 500
SOONEST, LATEST, UNSAID = timedelta(minutes=1), timedelta(days=1), timedelta(hours=6)
"""Bounds of when to ask again, and when to without a word of the authority (section 4.3)."""
MOST_VAIN = 3
"""After so many questions without an answer, one after the other, nobody else asks."""


@dataclass(frozen=True, slots=True)
class Suggested:
    """A suggested window, when to ask again, and the URL of a page that tells people why."""

    start: datetime
    end: datetime
    explanation: str | None
    look_at: datetime


def utc_moment(moment: datetime) -> datetime:
    """Return a moment in UTC; raise ValueError for one at the edge of time."""
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("no moment") from error


def explanation_url(url: object) -> str | None:
    """Return the URL of an explanation, None for what is no short https:// URL.

    It is for people: what is wrong with it takes nothing away from the window.
    """
    try:
        return https_url(url) if isinstance(url, str) and len(url) <= LONGEST_URL else None
    except ValueError:
        return None


Moment = Annotated[AwareDatetime, AfterValidator(utc_moment)]


class Window(AcmeObject):
    """The suggested window (RFC 9773 section 4.2)."""

    start: Moment
    end: Moment


class RenewalInformation(AcmeObject):
    """What is answered about one certificate (RFC 9773 section 4.2)."""

    window: Annotated[Window, Field(alias="suggestedWindow")]
    explanation: Annotated[
        str | None, Field(alias="explanationURL"), BeforeValidator(explanation_url)
    ] = None


def suggested_window(server: AcmeServer, identifier: str) -> Suggested | None:
    """Return what the authority suggests for the certificate with that unique identifier.

    None if it offers no renewal information. Raise IssueFailed if there is no usable answer
    for this one; *retry_at* tells when to ask again where the authority says so, or where
    trying sooner is not allowed (RFC 9773 section 4.3.3).
    """
    place = server.directory().renewal_info
    if place is None:
        return None
    if not IDENTIFIER.fullmatch(identifier):
        raise IssueFailed(not_obtained("no-unique-identifier", retry_at=server.now() + LATEST))
    try:
        answer = server.network.get(f"{place.rstrip('/')}/{identifier}")
        window = (said := RenewalInformation.read(answer.body)).window
    except AuthorityRefused as refused:
        raise IssueFailed(no_suggestion(refused, server.now())) from refused
    except Unreached as unreached:
        server.vain += 1
        for_all = unreached.down or server.vain >= MOST_VAIN
        scope = Scope.AUTHORITY if for_all else Scope.OWNER
        raise IssueFailed(replace(unreached.failure, scope=scope)) from unreached
    server.vain = 0
    if window.start >= window.end:
        words = f"{window.start:%Y-%m-%d %H:%M} … {window.end:%Y-%m-%d %H:%M} UTC"
        raise IssueFailed(not_obtained("window-backwards", where=place, words=words))
    return Suggested(window.start, window.end, said.explanation, next_poll(answer, server.now()))


def next_poll(answer: AcmeResponse, now: datetime) -> datetime:
    """Return when to ask again (RFC 9773 section 4.3.2)."""
    return bounded_moment(answer.retry_at, now) or now + UNSAID


def bounded_moment(asked: datetime | None, now: datetime) -> datetime | None:
    """Return when the authority asks to come again: a minute off at least, a day at most."""
    return asked and now + min(max(asked - now, SOONEST), LATEST)


def no_suggestion(refused: AuthorityRefused, now: datetime) -> NotObtained:
    """Return the failure for an answer that is none; only trouble of its own may soon be over."""
    for_all = refused.status >= 500 or refused.status == 429
    lasting = now + UNSAID if refused.status < 500 and refused.status != 429 else None
    return not_obtained(
        "no-renewal-information",
        Scope.AUTHORITY if for_all else Scope.OWNER,
        problem=refused.problem.type if refused.problem.kind else None,
        retry_at=bounded_moment(refused.retry_at, now) or lasting,
        words=acme_failures.problem_words(refused.problem),
    )
