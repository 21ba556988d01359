"""The process that reads what others supplied, within limits: a question, an answer, the next."""

from __future__ import annotations

import json
import os
import sys
import traceback
from base64 import b64decode, b64encode
from typing import Any

from pydantic import TypeAdapter

from proxygen.errors import IssueFailed
from proxygen.failure import NotObtained
from proxygen.host.limits import allow_seconds, limit_resources, read_questions, write_reply
from proxygen.model.assembly import assemble

SECONDS = 20
"""Of the processor, for the files of one certificate; an RSA key of 8192 bits takes about five."""
MEMORY = 768 * 1024 * 1024
"""Of address space, to which program and libraries belong too."""
FILES = 32
LARGEST_QUESTION = 4 * 1024 * 1024
FAILURE = TypeAdapter(NotObtained)


def main() -> None:
    """Answer questions until there are no more; be killed (SIGABRT) where memory is not enough."""
    limit_resources(memory=MEMORY, files=FILES)
    try:
        for question in read_questions(sys.stdin.buffer, LARGEST_QUESTION):
            allow_seconds(SECONDS)
            write_reply(
                sys.stdout.buffer, json.dumps(answer_question(json.loads(question))).encode()
            )
    except MemoryError:
        os.abort()  # as libraries do


def answer_question(question: dict[str, Any]) -> dict[str, str]:
    """Return key and chain, why there are none, or a *bug* of ours."""
    files, password = question["files"], question["password"]
    contents = [(name, b64decode(data)) for name, data in files]
    try:
        pair = assemble(contents, None if password is None else b64decode(password))
    except IssueFailed as error:
        return {"failure": FAILURE.dump_json(error.failure).decode()}
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - the next question is another certificate's
        return {"bug": "".join(traceback.format_exception(error))}
    return {name: b64encode(getattr(pair, name)).decode() for name in ("key", "fullchain")}


if __name__ == "__main__":
    main()
