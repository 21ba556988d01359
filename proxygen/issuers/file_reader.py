"""The process that reads what others supplied, within limits: a question, an answer, the next."""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from base64 import b64decode, b64encode
from contextlib import suppress
from typing import Any, BinaryIO

from proxygen.errors import IssueFailed
from proxygen.model.assembly import assemble

SECONDS = 20
"""Of the processor, for the files of one certificate; an RSA key of 8192 bits takes about five."""
MEMORY = 768 * 1024 * 1024
"""Of address space, to which program and libraries belong too."""
FILES = 32
LARGEST_QUESTION = 4 * 1024 * 1024


def main() -> None:
    """Answer questions until there are no more; be killed (SIGABRT) where memory is not enough."""
    limit()
    try:
        answer_all()
    except MemoryError:
        os.abort()  # as libraries do


def answer_all() -> None:
    """Answer questions until there are no more."""
    while question := asked(sys.stdin.buffer):
        allow(SECONDS)
        answer = json.dumps(answered(json.loads(question))).encode()
        sys.stdout.buffer.write(len(answer).to_bytes(4, "big") + answer)
        sys.stdout.buffer.flush()


def asked(stream: BinaryIO) -> bytes:
    """Return the next question, nothing when there is none."""
    size = int.from_bytes(stream.read(4), "big")
    return stream.read(size) if size <= LARGEST_QUESTION else b""


def answered(question: dict[str, Any]) -> dict[str, str]:
    """Return key and chain, why there are none, or a *bug* of ours."""
    files, password = question["files"], question["password"]
    contents = [(name, b64decode(data)) for name, data in files]
    try:
        pair = assemble(contents, None if password is None else b64decode(password))
    except IssueFailed as error:
        return {"what": error.what, "remedy": error.remedy, "words": error.words}
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - the next question is another certificate's
        return {"bug": "".join(traceback.format_exception(error))}
    return {name: b64encode(getattr(pair, name)).decode() for name in ("key", "fullchain")}


def limit() -> None:
    """Take no more than MEMORY and FILES, and leave nothing behind.

    A sandbox may forbid it, as may the limits that there are: time is kept from outside too.
    """
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_NOFILE, FILES),
    ):
        with suppress(OSError, ValueError):
            resource.setrlimit(what, (most, most))


def allow(seconds: int) -> None:
    """Be killed (SIGXCPU) after so many more seconds of the processor."""
    spent = sum(os.times()[:2])
    with suppress(OSError, ValueError):
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(spent) + 1 + seconds, most))


if __name__ == "__main__":
    main()
