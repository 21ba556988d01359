"""Why a certificate must be issued, and when it is due for renewal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from proxygen.model.certificate import (
    ADOPTED,
    Authority,
    Bundle,
    Certificate,
    RenewalInfo,
    similar_type,
)
from proxygen.model.hosts import readable_name
from proxygen.plan.backoff import LONGEST

SHORT = timedelta(days=10)
WARNED = timedelta(days=5)
LAST_PART = 0.2

SETTLED = timedelta(hours=6)
SETTLED_PART = 0.05
"""How old a certificate is at least, or which part of its life, before it is replaced."""

SUPPLIED = frozenset({"file", "hook", ADOPTED})
"""Issuers whose certificates somebody else renews, if anybody."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is done: a code for programs and words for people."""

    code: str
    words: str

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True)
class RenewalQuestion:
    """What the checks compare; *source* is the present hash of the supplied files."""

    wanted: Certificate
    bundle: Bundle
    source: str
    now: datetime


def why_issue(
    wanted: Certificate, bundle: Bundle | None, source: str, now: datetime
) -> Reason | None:
    """Return the first reason to obtain *wanted*, or None while *bundle* serves.

    CHECKS are in order of trust: each may rely on those before it.
    """
    if bundle is None:
        return Reason("absent", "no certificate yet")
    question = RenewalQuestion(wanted, bundle, source, now)
    return next((reason for check in CHECKS if (reason := check(question))), None)


def stand_in(question: RenewalQuestion) -> Reason | None:
    """A stand-in serves until the first real certificate arrives."""
    return Reason("stand-in", "a stand-in serves until now") if question.bundle.stand_in else None


def source_differs(question: RenewalQuestion) -> Reason | None:
    """The model asks for another issuer or authority, or the supplied files changed."""
    wanted, bundle = question.wanted, question.bundle
    if bundle.issuer == ADOPTED:
        return Reason("adopted", "an adopted certificate serves until now")
    if wanted.issuer != bundle.issuer:
        return Reason("issuer", f"the issuer is now {wanted.issuer}, not {bundle.issuer}")
    if wanted.authorities and asked_of(wanted, bundle) is None:
        return Reason("authority", f"the authority is now {wanted.authorities[0].directory}")
    if wanted.issuer == "file" and question.source != bundle.source:
        return Reason("file", "the supplied files changed")
    return None


def asked_of(wanted: Certificate, bundle: Bundle) -> Authority | None:
    """Return the authority that issued a bundle, None if the model no longer names it."""
    return next((each for each in wanted.authorities if each.directory == bundle.authority), None)


def told_to_replace(question: RenewalQuestion) -> Reason | None:
    """Somebody asked for its replacement: it is revoked, or its key is compromised."""
    return (
        Reason("replace", "its replacement with a new key was asked for")
        if question.bundle.replace
        else None
    )


def names_differ(question: RenewalQuestion) -> Reason | None:
    """The bundle must cover every name; spare names and their order do not matter."""
    missing = [name for name in question.wanted.names if not question.bundle.covers(name)]
    return (
        Reason("names", f"it does not cover {', '.join(map(readable_name, missing))}")
        if missing
        else None
    )


def key_type_differs(question: RenewalQuestion) -> Reason | None:
    """The key must have the type that the model asks for, unless it is a supplied one.

    If the model asks for no type, what is there keeps its type: not every client may take another.
    """
    wanted, bundle = question.wanted, question.bundle
    if not wanted.key_type_said:
        return None
    if wanted.issuer not in SUPPLIED and wanted.key_type != bundle.key_type:
        return Reason("key-type", f"the key type is now {wanted.key_type}, not {bundle.key_type}")
    return None


def with_kept_type(wanted: Certificate, bundle: Bundle | None) -> Certificate:
    """Return a certificate as it is to be ordered: of the type that is there, if none is asked for.

    Clients, and the ciphers that a service was told to use, are made for the type that was there.
    """
    if wanted.key_type_said or bundle is None or (bundle.stand_in and not bundle.adopted):
        return wanted
    kept = similar_type(bundle.key_type)
    return wanted if kept in (None, wanted.key_type) else replace(wanted, key_type=kept)


def profile_differs(question: RenewalQuestion) -> Reason | None:
    """It must have been ordered with the profile that the model names for its authority."""
    asked = asked_of(question.wanted, question.bundle)
    if asked is None or asked.profile == question.bundle.profile:
        return None
    former, now = question.bundle.profile or "none", asked.profile or "none"
    return Reason("profile", f"the profile is now {now}, not {former}")


def not_valid_yet(question: RenewalQuestion) -> Reason | None:
    """A self-signed certificate was made while the clock was ahead.

    If a certificate of others is not valid yet, the clock is wrong and the certificate is right.
    """
    bundle = question.bundle
    if bundle.issuer == "selfsigned" and question.now < bundle.not_before:
        return Reason("dates", "it is not valid yet")
    return None


def due(question: RenewalQuestion) -> Reason | None:
    """It is due for renewal, unless it is a supplied one, which somebody else renews."""
    bundle = question.bundle
    if question.wanted.issuer in SUPPLIED or question.now < renew_at(bundle):
        return None
    if bundle.renewal and bundle.renewal.moment and bundle.renewal.moment <= question.now:
        why = f" ({bundle.renewal.explanation})" if bundle.renewal.explanation else ""
        return Reason("suggested", f"the authority suggests to renew it now{why}")
    return Reason("due", f"it ends on {bundle.not_after:%Y-%m-%d %H:%M} UTC")


CHECKS = (
    stand_in,
    source_differs,
    told_to_replace,
    names_differ,
    key_type_differs,
    profile_differs,
    not_valid_yet,
    due,
)


def renew_at(bundle: Bundle) -> datetime:
    """Return when to renew: at the moment drawn in the window that the authority suggested.

    Not for a certificate that was just issued: an authority whose windows are always over would get
    one order after the other. Without a suggestion (RFC 9773 section 4.2), when a third of the
    lifetime is left, or half of it below 10 days, as Let's Encrypt advises. Never later than the
    first alert.
    """
    if bundle.renewal and bundle.renewal.moment:
        soonest = bundle.not_before + min(SETTLED, bundle.lifetime * SETTLED_PART)
        return min(max(bundle.renewal.moment, soonest), warned_from(bundle))
    left = bundle.lifetime / 2 if bundle.lifetime < SHORT else bundle.lifetime / 3
    return bundle.not_after - left


def warned_from(bundle: Bundle) -> datetime:
    """Return from when on people are alerted: its last 5 days, or 20 % of a shorter life."""
    return bundle.not_after - min(WARNED, bundle.lifetime * LAST_PART)


def to_poll(bundle: Bundle, now: datetime) -> bool:
    """Return whether to poll renewal information now: Retry-After has passed.

    A moment further away than any that is ever noted was noted while the clock was wrong.
    """
    if not bundle.identifier or bundle.stand_in:
        return False
    return bundle.renewal is None or not now < bundle.renewal.look_at <= now + LONGEST


def draw_moment(
    start: datetime,
    end: datetime,
    former: RenewalInfo | None,
    look_at: datetime,
    explanation: str | None,
    draw: float,
) -> RenewalInfo:
    """Return renewal information with a moment in its window; *draw* is from 0 to 1.

    A moment that was drawn before stays while it is in the window.
    """
    kept = former.moment if former else None
    moment = kept if kept and start <= kept <= end else start + (end - start) * draw
    return RenewalInfo(look_at, start, end, moment, explanation)
