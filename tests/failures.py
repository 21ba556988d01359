"""Failures that tests make up."""

from __future__ import annotations

from typing import Any

from proxygen.errors import IssueFailed, LockHeld, NotServed, ServiceError, StoreFailed
from proxygen.failure import NotObtained, Scope, failure, not_obtained


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


def unserved(name: str = "nginx") -> NotServed:
    """Return an exception for a service that serves something else at one place."""
    shown = failure("place-met", Scope.SERVICE, f"{name} 127.0.0.1:443", parts=(SILENT,))
    return NotServed(failure("not-served", Scope.SERVICE, name, parts=(shown,), places=1))


def too_old(name: str = "dovecot") -> ServiceError:
    """Return an exception for a service that is too old."""
    return ServiceError(failure("too-old", Scope.SERVICE, name, version="2.2", oldest="2.3"))


def at_work() -> LockHeld:
    """Return an exception for a lock that another run has."""
    return LockHeld(failure("run-at-work", Scope.HOST, where="lock", process="7"))


SILENT = failure("no-answer", Scope.SERVICE, seconds="5")
