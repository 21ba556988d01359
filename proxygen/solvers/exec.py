"""exec: a program of the administrator's writes the TXT records."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

from pydantic import Field

from proxygen.errors import IssueFailed, ServiceError
from proxygen.failure import Scope, not_obtained
from proxygen.model.types import HostPath, Seconds
from proxygen.services import Answer, Command
from proxygen.solvers import Writer, WriterSettings, Writing

KEPT_OUTPUT = 4_000
STARTING = {
    errno.ENOEXEC: "program-without-shebang",
    errno.ENOENT: "program-no-interpreter",
    errno.EACCES: "program-no-interpreter",
}
"""What it means when a program that is there cannot be started (execve(2))."""


class ExecSettings(WriterSettings):
    """A program of yours: `PROGRAM present|cleanup FQDN VALUE`."""

    program: HostPath = Field(
        description="The absolute path of the program; only root may be able to change it."
    )
    timeout: Seconds = Field(60, description="Timeout of one call; seconds or 1m.")


Settings = ExecSettings
"""What the contract of this folder asks for."""


class Program:
    """Runs the program for each record, one call at a time: it may write a whole zone at once."""

    def __init__(self, settings: ExecSettings) -> None:
        self.settings = settings
        self.path = Path(settings.program)
        self.patience = float(settings.propagation_timeout)
        self.delegated = tuple(settings.delegated)
        self.one_at_a_time = threading.Lock()

    def add(self, name: str, value: str) -> None:
        """Run it with ``present``."""
        self.run("present", name, value)

    def remove(self, name: str, value: str) -> None:
        """Run it with ``cleanup``."""
        self.run("cleanup", name, value)

    def run(self, event: str, name: str, value: str) -> None:
        """Run the program to its end; raise IssueFailed unless it ends well.

        The name is absolute, with a final dot, as in the zone files that it may write.
        """
        environment = {
            "LC_ALL": "C.UTF-8",
            "PROXYGEN_EVENT": event,
            "PROXYGEN_RECORD": f"{name}.",
            "PROXYGEN_VALUE": value,
        }
        with self.one_at_a_time:
            answer = self.answer((event, f"{name}.", value), environment)
        if answer.code != 0:
            raise IssueFailed(
                not_obtained(
                    "program-failed",
                    Scope.HOST,
                    words=answer.out,
                    program=str(self.path),
                    status=answer.code,
                    arguments=f"{event} {name}.",
                )
            )

    def answer(self, arguments: tuple[str, ...], environment: dict[str, str]) -> Answer:
        """Return what the program said; raise IssueFailed if it cannot be run, or hangs."""
        from proxygen.host import executables, processes

        limits = {"timeout": float(self.settings.timeout), "largest": KEPT_OUTPUT}
        try:
            path = str(executables.executable_target(self.path))
            return processes.finish(
                Command((path, *arguments)),
                environment,
                stop=lambda: False,
                **limits,  # type: ignore[arg-type]
            )
        except ServiceError as error:
            cause, part = error.__cause__, error.failure
            known = STARTING.get(cause.errno or 0) if isinstance(cause, OSError) else None
            code = known or "program-error"
            raise IssueFailed(
                not_obtained(code, Scope.HOST, parts=(part,), words=part.words)
            ) from error
        except OSError as error:
            program = str(self.path)
            raise IssueFailed(
                not_obtained("program-not-run", Scope.HOST, program=program, words=error)
            ) from error


def writer(settings: ExecSettings, writing: Writing) -> Writer:  # noqa: ARG001 - the contract's argument
    """Return what runs the program."""
    return Program(settings)
