"""Apart: what others supplied is read in a process that may be lost."""

from __future__ import annotations

import json
import signal
from base64 import b64decode, b64encode
from collections.abc import Sequence

from proxygen.errors import IssueFailed, ServiceError
from proxygen.host.processes import Companion, Ended, ToldToStop
from proxygen.model.certificate import KeyAndChain
from proxygen.model.material import NEW_KEY, files, refusal

READER = "proxygen.issuers.file_reader"
PATIENCE = 90.0
"""Seconds by the clock, much more than the reader has of the processor: a machine may be busy."""
OF_ITSELF = {
    -signal.SIGXCPU: "took too much time",
    -signal.SIGABRT: "took too much memory",
    -signal.SIGSEGV: "made the program that reads it crash",
    -signal.SIGBUS: "made the program that reads it crash",
}


class Unfinished(IssueFailed):
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

        It is final where the files are to blame, Unfinished where that is likely.
        """
        named = files(contents)
        question = {
            "files": [(name, b64encode(data).decode()) for name, data in contents],
            "password": None if password is None else b64encode(password).decode(),
        }
        try:
            answer = json.loads(self.companion.ask(json.dumps(question).encode(), self.patience))
        except Ended as error:
            raise lost(named, error.code) from error
        except TimeoutError as error:
            what = f"{named}: reading it did not end within {self.patience:.0f} seconds"
            raise Unfinished(what, remedy=NEW_KEY) from error
        except (ServiceError, ToldToStop) as error:
            words = str(error)
            raise IssueFailed(f"{named} was not read", remedy=LATER, words=words) from error
        return told(answer)


def lost(named: str, code: int) -> IssueFailed:
    """Return the error for files whose reader ended with a code."""
    if code in OF_ITSELF:
        return refusal(f"{named}: reading it {OF_ITSELF[code]} and was given up", NEW_KEY)
    if code == -signal.SIGKILL:
        return Unfinished(
            f"{named}: the program that reads it was killed, maybe for want of memory",
            remedy=NEW_KEY,
        )
    words = signal.strsignal(-code) if code < 0 else f"exit code {code}"
    return IssueFailed(
        f"{named}: the program that reads it was ended", remedy=LATER, words=words or str(code)
    )


def told(answer: dict[str, str]) -> KeyAndChain:
    """Return what the reader found; raise its error."""
    if "bug" in answer:
        raise RuntimeError(answer["bug"])
    if "what" in answer:
        raise refusal(answer["what"], answer["remedy"], words=answer["words"])
    return KeyAndChain(b64decode(answer["key"]), b64decode(answer["fullchain"]))


LATER = "run `proxygen apply` again"
