"""Program: a real program in the foreground, ready when its protocol answers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self, TypeVar

import psutil

from tests.live import ports

T = TypeVar("T")
TRIES = 3


class NotReady(AssertionError):
    """A program did not answer in time, or ended; its log tells why."""


def until(probe: Callable[[], T], what: str, seconds: float = 20) -> T:
    """Return what *probe* returns once it is true; an OSError means "not yet".

    Raise NotReady, naming *what* was waited for, after *seconds*.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            if answer := probe():
                return answer
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise NotReady(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)


def environment(**more: str) -> dict[str, str]:
    """Return a clean environment: nothing of the caller's leaks into a test."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "LANG": "C.UTF-8", "HOME": "/nonexistent", **more}


class Process:
    """One process with its own session, its output in a file.

    It ends when the thread that started it does, however that ends, unless it *outlives*.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        outlives: bool = False,
    ) -> None:
        tie = shutil.which("setpriv")
        prefix = () if outlives or tie is None else (tie, "--pdeathsig", "TERM")
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                [*prefix, *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env if env is not None else environment()),
                cwd="/",
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id, which is its session's too."""
        return self.popen.pid

    @property
    def ended(self) -> int | None:
        """Its exit code, None while it runs."""
        return self.popen.poll()

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 10) -> int:
        """End it and all it started; return its exit code. What stays on is killed."""
        family = self.family()
        if self.ended is None:
            self.popen.send_signal(number)
        try:
            self.popen.wait(seconds)
            grace = 2.0
        except subprocess.TimeoutExpired:
            self.popen.kill()
            grace = 0.0
        kill([*family, *self.family()], grace)
        return self.popen.wait(seconds)

    def family(self) -> list[psutil.Process]:
        """Return the other processes of its session, and its descendants."""
        session = [one for one in psutil.process_iter() if session_of(one.pid) == self.pid]
        return [one for one in {*session, *children(self.pid)} if one.pid != self.pid]


def session_of(pid: int) -> int | None:
    """Return the session of a process, None when it is gone."""
    try:
        return os.getsid(pid)
    except OSError:
        return None


def children(pid: int) -> list[psutil.Process]:
    """Return the descendants of a process, none when it is gone."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill(processes: Sequence[psutil.Process], grace: float) -> None:
    """Kill those that have not ended by themselves within *grace* seconds."""
    deadline = time.monotonic() + grace
    while (left := [one for one in processes if runs(one)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    for one in left:
        try:
            one.kill()  # psutil refuses when the pid is another process by now
        except psutil.NoSuchProcess:
            continue
    until(lambda: not any(map(runs, left)), "killed processes to end")


def runs(process: psutil.Process) -> bool:
    """Return whether *process* runs; one that only waits to be collected by init does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Program(ABC):
    """A program that runs while its ``with`` block does.

    ``configure`` chooses ports and writes files, once; ``stop`` and ``start`` may follow each
    other as often as a test likes, on the same ports.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    process: Process | None = None

    def __init__(self, root: Path, *, outlives: bool = False) -> None:
        self.root = root
        self.outlives = outlives
        self.ports: tuple[int, ...] = ()

    @abstractmethod
    def configure(self) -> None:
        """Choose ports and write the configuration."""

    @abstractmethod
    def argv(self) -> Sequence[str]:
        """Return the command that runs it in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Return whether its protocol answers; may raise OSError instead of False."""

    def env(self) -> dict[str, str]:
        """Return its environment."""
        return environment()

    @property
    def output(self) -> Path:
        """The file with what it wrote to its standard output and error."""
        return made(self.root / "var/log") / f"{self.name}.out"

    @property
    def logs(self) -> tuple[Path, ...]:
        """Every file it logs to."""
        return (self.output,)

    @property
    def log(self) -> str:
        """All that it logged so far."""
        files = (file for file in self.logs if file.exists())
        return "".join(file.read_text(errors="replace") for file in files)

    @property
    def pid(self) -> int:
        """The id of its master process; raise NotReady when it was not started."""
        if self.process is None:
            raise NotReady(f"{self.name} does not run")
        return self.process.pid

    def reserve(self, count: int) -> tuple[int, ...]:
        """Choose *count* ports anew."""
        ports.release(*self.ports)
        self.ports = tuple(ports.reserve() for _ in range(count))
        return self.ports

    def start(self) -> None:
        """Start it and return when its protocol answers; raise NotReady with its log."""
        self.process = Process(self.argv(), log=self.output, env=self.env(), outlives=self.outlives)
        try:
            until(self.answers_or_ended, f"{self.name} to answer")
        except NotReady as late:
            self.stop()
            raise NotReady(f"{late}\n{self.log}") from None
        except BaseException:  # Ctrl-C
            self.stop()
            raise

    def answers_or_ended(self) -> bool:
        """Return whether its protocol answers; raise NotReady when it has ended."""
        if self.process is None or self.process.ended is not None:
            raise NotReady(f"{self.name} ended instead of answering")
        return self.answers()

    def stop(self) -> None:
        """End it with all its processes; nothing happens when it does not run."""
        if self.process is not None:
            self.process.stop(self.stop_signal)
            self.process = None

    def __enter__(self) -> Self:
        for attempt in range(TRIES):
            self.configure()
            try:
                self.start()
            except NotReady:
                if attempt + 1 < TRIES and "in use" in self.log:
                    self.output.unlink()
                    continue
                ports.release(*self.ports)
                raise
            break
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self.stop()
        finally:
            ports.release(*self.ports)


def made(folder: Path) -> Path:
    """Return *folder*, made if it was not there."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder
