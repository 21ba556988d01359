"""Failures that tests make up."""

from __future__ import annotations

from typing import Any

from proxygen.errors import IssueFailed, StoreFailed
from proxygen.failure import NotObtained, Scope, not_obtained


def no(words: str = "no", **more: Any) -> NotObtained:
    """Return why there is no certificate, in the system's *words*."""
    return not_obtained("secret-unreadable", place="env:KEY", words=words, **more)


def not_issued(words: str = "no", **more: Any) -> IssueFailed:
    """Return an exception that carries that."""
    return IssueFailed(no(words, **more))


def full(words: str = "No space left on device") -> StoreFailed:
    """Return an exception for a disk that is full."""
    return StoreFailed(not_obtained("nothing-stored", Scope.HOST, words=words))


NO = no()
