"""Why a certificate must be issued, and when it is due for renewal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from proxygen.model.certificate import Bundle, Certificate

SHORT = timedelta(days=10)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is done: a word for programs and words for people."""

    code: str
    words: str

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True)
class Question:
    """What the checks look at; *source* is the hash of the supplied files, as they are now."""

    wanted: Certificate
    bundle: Bundle
    source: str
    now: datetime


def why_issue(
    wanted: Certificate, bundle: Bundle | None, source: str, now: datetime
) -> Reason | None:
    """Return the first reason to obtain *wanted*, or None while *bundle* serves.

    CHECKS stand in order of trust: each may rely on those before it.
    """
    if bundle is None:
        return Reason("absent", "no certificate yet")
    question = Question(wanted, bundle, source, now)
    return next((reason for check in CHECKS if (reason := check(question))), None)


def stand_in(question: Question) -> Reason | None:
    """A stand-in serves until the first real certificate arrives."""
    return Reason("stand-in", "a stand-in serves") if question.bundle.stand_in else None


def source_differs(question: Question) -> Reason | None:
    """The model asks for another issuer or authority, or the supplied files changed."""
    wanted, bundle = question.wanted, question.bundle
    if wanted.issuer != bundle.issuer:
        return Reason("issuer", f"from {wanted.issuer}, until now from {bundle.issuer}")
    if wanted.authority != bundle.authority:
        return Reason("authority", f"the authority is now {wanted.authority}")
    if wanted.issuer == "file" and question.source != bundle.source:
        return Reason("file", "the supplied files changed")
    return None


def names_differ(question: Question) -> Reason | None:
    """The bundle must cover every name; spare names and their order do not matter."""
    missing = [name for name in question.wanted.names if not question.bundle.covers(name)]
    return Reason("names", f"not covered: {', '.join(missing)}") if missing else None


def key_type_differs(question: Question) -> Reason | None:
    """The key is of the type that the model asks for; a supplied one is as it is."""
    wanted, bundle = question.wanted, question.bundle
    if wanted.issuer != "file" and wanted.key_type != bundle.key_type:
        return Reason("key type", f"{bundle.key_type} becomes {wanted.key_type}")
    return None


def due(question: Question) -> Reason | None:
    """Its time to be renewed has come; a supplied one is the administrator's to renew."""
    if question.wanted.issuer == "file" or question.now < renew_at(question.bundle):
        return None
    return Reason("due", f"ends {question.bundle.not_after:%Y-%m-%d %H:%M} UTC")


CHECKS = (stand_in, source_differs, names_differ, key_type_differs, due)


def renew_at(bundle: Bundle) -> datetime:
    """Return when to renew: a third of the lifetime is left, a half of one below 10 days.

    Let's Encrypt's advice where an authority offers no renewal information (RFC 9773).
    """
    left = bundle.lifetime / 2 if bundle.lifetime < SHORT else bundle.lifetime / 3
    return bundle.not_after - left
