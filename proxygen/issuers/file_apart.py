"""Apart: what others supplied is read in a process that may be lost."""

from __future__ import annotations

import json
import signal
from base64 import b64decode, b64encode
from collections.abc import Sequence

from pydantic import TypeAdapter

from proxygen.errors import IssueFailed, ServiceError
from proxygen.failure import Failure, NotObtained, Scope, made_again, not_obtained
from proxygen.host.processes import Companion, Ended, ToldToStop
from proxygen.model.certificate import KeyAndChain
from proxygen.model.material import file_names, material_refusal

READER = "proxygen.issuers.file_reader"
PATIENCE = 90.0
"""Seconds by the clock, much more than the reader has of the processor: a machine may be busy."""
OF_ITSELF = {
    -signal.SIGXCPU: "files-too-slow",
    -signal.SIGABRT: "files-too-much-memory",
    -signal.SIGSEGV: "files-crash",
    -signal.SIGBUS: "files-crash",
}


class ReadUnfinished(IssueFailed):
    """It was not read to its end, and that may be the fault of a busy machine."""


class Apart:
    """Reads the files of one certificate after the other; one that is too costly costs no more.

    *patience*: seconds by the clock after which it is given up.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience
        self.companion = Companion(READER)

    def __enter__(self) -> Apart:
        return self

    def __exit__(self, *exception: object) -> None:
        self.companion.close()

    def assemble(
        self, contents: Sequence[tuple[str, bytes]], password: bytes | None
    ) -> KeyAndChain:
        """Return key and chain as ``model.assembly.assemble`` does; raise IssueFailed.

        It is final where the files are to blame, ReadUnfinished where that is likely.
        """
        named = file_names(contents)
        question = {
            "files": [(name, b64encode(data).decode()) for name, data in contents],
            "password": None if password is None else b64encode(password).decode(),
        }
        try:
            answer = json.loads(self.companion.ask(json.dumps(question).encode(), self.patience))
        except Ended as error:
            kind = ReadUnfinished if error.code == -signal.SIGKILL else IssueFailed
            raise kind(reader_lost(named, error.code)) from error
        except TimeoutError as error:
            late = not_obtained("files-late", files=named, seconds=round(self.patience))
            raise ReadUnfinished(late) from error
        except ServiceError as error:
            raise IssueFailed(not_read(named, (error.failure,))) from error
        except ToldToStop as error:
            raise IssueFailed(not_read(named)) from error
        return pair_in_answer(answer)


def not_read(named: str, parts: tuple[Failure, ...] = ()) -> NotObtained:
    """Return the failure of files whose reader cannot be asked, or is asked no longer."""
    return not_obtained("files-not-read", Scope.HOST, files=named, parts=parts)


def reader_lost(named: str, code: int) -> NotObtained:
    """Return the failure of files whose reader ended with a code."""
    if code in OF_ITSELF:
        return material_refusal(OF_ITSELF[code], files=named)
    if code == -signal.SIGKILL:
        return not_obtained("files-reader-killed", files=named)
    words = (signal.strsignal(-code) if code < 0 else f"exit code {code}") or code
    return not_obtained("files-reader-ended", files=named, words=words)


def pair_in_answer(answer: dict[str, str]) -> KeyAndChain:
    """Return what the reader found; raise its error."""
    if "bug" in answer:
        raise RuntimeError(answer["bug"])
    if "failure" in answer:
        raise IssueFailed(made_again(FAILURE.validate_json(answer["failure"], strict=True)))
    return KeyAndChain(b64decode(answer["key"]), b64decode(answer["fullchain"]))


FAILURE = TypeAdapter(NotObtained)
