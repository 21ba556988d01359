"""What services answer alike: their version, or that their configuration cannot be read."""

from __future__ import annotations

import re
from pathlib import Path

from proxygen.errors import ServiceError, ServiceUnreadable
from proxygen.failure import Scope, failure
from proxygen.services import Answer


def version_in(answer: Answer, service: str, asked: str) -> tuple[int, ...]:
    """Return the version that an answer begins with; raise ServiceError if it tells none."""
    found = re.match(r"\s*(\d{1,4}(?:\.\d{1,4}){1,3})", answer.out)
    if answer.code or not found:
        said = answer.words
        raise ServiceError(failure("no-version", Scope.SERVICE, service, words=said, command=asked))
    return tuple(map(int, found[1].split(".")))


def too_old(
    code: str, service: str, version: tuple[int, ...], oldest: tuple[int, ...]
) -> ServiceError:
    """Return the error about a version whose settings are not those that we write."""
    there, wanted = dotted_version(version), dotted_version(oldest)
    return ServiceError(failure(code, Scope.SERVICE, service, version=there, oldest=wanted))


def dotted_version(version: tuple[int, ...]) -> str:
    """Return a version as it is written."""
    return ".".join(map(str, version))


def understand_answer(answer: Answer, service: str, main: Path, asked: str) -> str:
    """Return what a service printed; raise ServiceUnreadable if it refused its configuration."""
    if answer.code:
        code, words = "configuration-unreadable", answer.err
        raise ServiceUnreadable(
            failure(code, Scope.SERVICE, service, where=main, words=words, command=asked)
        )
    return answer.out
