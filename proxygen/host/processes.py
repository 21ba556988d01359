"""Processes: programs found, run without a shell and watched; none outlives who started it."""

from __future__ import annotations

import os
import select
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil

from proxygen.errors import ServiceError
from proxygen.failure import Scope, failure
from proxygen.host import files
from proxygen.host.environment import PATH, of_programs
from proxygen.services import Answer, Command

LONGEST_ANSWER = 4 * 1024 * 1024
PORTION = 64 * 1024
LOOKS = 0.05
"""Seconds after which it is looked again whether a program ended, or is to be ended."""


class ToldToStop(Exception):
    """A program was ended since we are to stop."""


class Ended(Exception):
    """A companion ended before it answered: its exit code, or the signal as a negative number."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Companion:
    """A process of our own that answers questions one by one, so that it can be lost.

    It runs a *module* of ours and sets its own limits. It begins with the first question, goes
    on until it is closed, and a new one takes the place of one that ended. A question and its
    answer are octets, each with its length before it (4 octets), an answer at most *largest*. Any
    thread may ask.
    """

    def __init__(self, module: str, largest: int = LONGEST_ANSWER) -> None:
        self.module = module
        self.largest = largest
        self.process: subprocess.Popen[bytes] | None = None
        self.closed = False
        self.lock = threading.Lock()

    def ask(self, question: bytes, seconds: float) -> bytes:
        """Return the answer; raise Ended, or TimeoutError after so many *seconds*.

        Raise ToldToStop if it was closed meanwhile, ServiceError when it cannot be started.
        """
        with self.lock:
            process = self.running()
            try:
                return exchange(process, question, time.monotonic() + seconds, self.largest)
            except (EOFError, TimeoutError) as error:
                ended = code_of(process) if isinstance(error, EOFError) else None
                self.end()
                if self.closed:
                    raise ToldToStop(self.module) from error
                if ended is not None:
                    raise Ended(ended) from error
                raise

    def running(self) -> subprocess.Popen[bytes]:
        """Return the process, a new one where there is none."""
        if self.closed:
            raise ToldToStop(self.module)
        if self.process and self.process.poll() is not None:
            self.end()
        if self.process is None:
            command = Command((sys.executable, "-I", "-m", self.module))
            self.process = start_process(
                command, {"LC_ALL": "C"}, errors=subprocess.DEVNULL, asked=subprocess.PIPE
            )
        return self.process

    def end(self) -> None:
        """End the process."""
        if self.process:
            let_go(self.process)
        self.process = None

    def close(self) -> None:
        """End the process, also while another thread waits for it; nobody can ask any more."""
        self.closed = True
        process = self.process
        if process and process.poll() is None:
            process.kill()
        with self.lock:
            self.end()


def code_of(process: subprocess.Popen[bytes]) -> int:
    """Return with what a process ended that said its last; 0 for one that goes on."""
    with suppress(subprocess.TimeoutExpired):
        return process.wait(5)
    return 0


def exchange(
    process: subprocess.Popen[bytes], question: bytes, end: float, largest: int = LONGEST_ANSWER
) -> bytes:
    """Return a process's answer; raise EOFError if it ends, TimeoutError at the moment *end*."""
    asked, answered = process.stdin, process.stdout
    if asked is None or answered is None:
        raise EOFError
    os.set_blocking(asked.fileno(), False)
    rest, heard = memoryview(len(question).to_bytes(4, "big") + question), bytearray()
    with selectors.DefaultSelector() as open_ones:
        open_ones.register(asked, selectors.EVENT_WRITE)
        open_ones.register(answered, selectors.EVENT_READ)
        while True:
            for key, _ in open_ones.select(seconds_left(end)):
                if key.fileobj is asked:
                    rest = rest[written_to(key.fd, rest) :]
                    if not rest:
                        open_ones.unregister(asked)
                    continue
                part = os.read(key.fd, PORTION)
                heard.extend(part)
                size = int.from_bytes(heard[:4], "big")
                if not part or size > largest:
                    raise EOFError
                if len(heard) >= 4 + size and len(heard) >= 4:
                    return bytes(heard[4 : 4 + size])


def written_to(descriptor: int, rest: memoryview) -> int:
    """Return how much was written to a pipe; raise EOFError if nobody reads it."""
    try:
        return os.write(descriptor, rest[:PORTION])
    except BlockingIOError:
        return 0
    except BrokenPipeError as error:
        raise EOFError from error


def find_program(programs: Iterable[str]) -> str | None:
    """Return the path of the first program that is there; the caller's PATH is not asked."""
    return next((path for name in programs if (path := shutil.which(name, path=PATH))), None)


def run(command: Command, timeout: float = 120.0) -> Answer:
    """Run a command to its end and return what it said.

    It gets no standard input, an environment of our own (no language but C) and a process
    group of its own, which is killed after *timeout* seconds. Raises ServiceError if it
    cannot be started or does not end.
    """
    process = start_process(command, {"LC_ALL": "C"}, errors=subprocess.PIPE)
    try:
        out, err = read_output(process, time.monotonic() + timeout)
    except TimeoutError as error:
        late = failure("command-late", Scope.HOST, command=str(command), seconds=round(timeout))
        raise ServiceError(late) from error
    finally:
        let_go(process)
    return Answer(process.returncode, out, err)


def finish(
    command: Command,
    environment: Mapping[str, str],
    *,
    timeout: float,
    largest: int,
    stop: Callable[[], bool],
) -> Answer:
    """Run an administrator's program until it ends by itself; what it started may stay.

    It gets *environment* besides PATH and HOME. Its output and errors come as one, the last
    *largest* octets of them. It is killed with its group after *timeout* seconds (ServiceError,
    whose words are what it said), and when told to *stop* (ToldToStop).
    """
    process = start_process(command, environment, errors=subprocess.STDOUT)
    heard = bytearray()
    end = time.monotonic() + timeout
    try:
        while process.poll() is None:
            if stop():
                raise ToldToStop(f"`{command}` was stopped")
            read_available(process, heard, largest, min(seconds_left(end), LOOKS))
        while read_available(process, heard, largest, 0) and seconds_left(end):
            pass
    except TimeoutError as error:
        words = heard.decode("utf-8", "replace")
        code, seconds = "command-killed", round(timeout)
        raise ServiceError(
            failure(code, Scope.HOST, words=words, command=str(command), seconds=seconds)
        ) from error
    finally:
        let_go(process)
    return Answer(process.returncode, heard.decode("utf-8", "replace"), "")


def read_available(
    process: subprocess.Popen[bytes], heard: bytearray, largest: int, seconds: float
) -> bool:
    """Wait for what a process writes, and add it to *heard*; return whether anything came.

    A process that wrote its last is waited for.
    """
    if process.stdout is None or process.stdout.closed:
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return False
    ready = select.poll()
    ready.register(process.stdout, select.POLLIN)
    if not ready.poll(seconds * 1000):
        return False
    part = os.read(process.stdout.fileno(), PORTION)
    if not part:
        process.stdout.close()
    heard.extend(part)
    del heard[:-largest]
    return bool(part)


def start_process(
    command: Command,
    environment: Mapping[str, str],
    *,
    errors: int,
    asked: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Return the process of a command, its *errors* apart or not; raise ServiceError."""
    try:
        return subprocess.Popen(
            command.argv,
            stdin=asked,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**of_programs(), **environment},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # ValueError: a null byte in what it is told
        words = getattr(error, "strerror", None) or error
        refused = failure("command-not-started", Scope.HOST, words=words, command=str(command))
        raise ServiceError(refused) from error


def read_output(process: subprocess.Popen[bytes], end: float) -> tuple[str, str]:
    """Return what a process writes until it ends; raise TimeoutError at the moment *end*.

    Of each stream the beginning is kept; a program that does not stop fills no memory.
    """
    streams = [stream for stream in (process.stdout, process.stderr) if stream]
    kept = [bytearray() for _ in streams]
    with selectors.DefaultSelector() as open_ones:
        for stream, text in zip(streams, kept, strict=True):
            open_ones.register(stream, selectors.EVENT_READ, text)
        while open_ones.get_map():
            for key, _ in open_ones.select(seconds_left(end)):
                part = os.read(key.fd, PORTION)
                key.data.extend(part[: LONGEST_ANSWER - len(key.data)])
                if not part:
                    open_ones.unregister(key.fileobj)
    try:
        process.wait(seconds_left(end))
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    out, err = (text.decode("utf-8", "replace") for text in kept)
    return out, err


def seconds_left(end: float) -> float:
    """Return the seconds until the moment *end*; raise TimeoutError if it is over."""
    seconds = end - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def let_go(process: subprocess.Popen[bytes]) -> None:
    """Close what is open; a process that was not waited for is killed with its group."""
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            with suppress(BrokenPipeError):
                stream.close()


def run_all(commands: Mapping[str, Command]) -> dict[str, Answer]:
    """Run commands side by side; return their answers by the same keys."""
    if not commands:
        return {}
    with ThreadPoolExecutor(len(commands)) as pool:
        return dict(zip(commands, pool.map(run, commands.values()), strict=True))


def master(pid_file: Path | None, program: str) -> int | None:
    """Return the process id in *pid_file* while a process of that program runs under it.

    A pid file survives a crash and its number may belong to somebody else by then, so the
    process must look like the service: its name, or the program it runs.
    """
    try:
        pid = int(files.read(pid_file, 100) or 0) if pid_file else 0
        process = psutil.Process(pid) if pid > 0 else None
        if process is None or process.status() == psutil.STATUS_ZOMBIE:
            return None
        names = {process.name(), *map(name_of, (*program_of(process), *process.cmdline()[:1]))}
    except (OSError, ValueError, psutil.Error):
        return None
    known = {name_of(program), "master"} if name_of(program) == "postfix" else {name_of(program)}
    return pid if names & known else None


def runs_removed_program(programs: Collection[str]) -> bool:
    """Return whether one of these programs still runs although its file was removed: proc(5)."""
    gone = {f"{Path(each).name} (deleted)" for each in programs}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile, or is none of ours to look at
            if (folder / "exe").readlink().name in gone:
                return True
    return False


def program_of(process: psutil.Process) -> tuple[str, ...]:
    """Return the path of a process's program; none if we lack a capability that it has."""
    try:
        return (process.exe(),)
    except psutil.AccessDenied:
        return ()


def name_of(argument: str) -> str:
    """Return the program's name in the first word of a command line or process title."""
    return Path(argument.split(":")[0].split(" ")[0]).name


def hang_up(pid: int) -> Answer:
    """Send SIGHUP to a process; return its refusal as a command's."""
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as error:
        return Answer(1, "", f"process {pid}: {error.strerror}")
    return Answer(0, "", "")


def workers(pid: int) -> frozenset[int]:
    """Return the ids of a master's children that take new connections."""
    try:
        children = psutil.Process(pid).children()
    except psutil.Error:
        return frozenset()
    return frozenset(child.pid for child in children if is_worker(child))


def is_worker(process: psutil.Process) -> bool:
    """Return whether a child of nginx's master is a worker that is not shutting down."""
    try:
        title = " ".join(process.cmdline())
        return "worker process" in title and "shutting down" not in title
    except psutil.Error:
        return False


def wait_for_new_workers(
    pid: int, former: frozenset[int], is_refused: Callable[[], bool], deadline: float = 30.0
) -> bool:
    """Wait until new workers run and no former one takes connections.

    Return False after *deadline* seconds, or when the master *is_refused* its new configuration. A
    process has no event that one could wait on from outside, so this looks every 5 ms.
    """
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        present = workers(pid)
        if present and not present & former:
            return True
        if is_refused():
            return False
        time.sleep(0.005)
    return False
