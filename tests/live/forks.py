"""Forks: the real command in a process that is forked from one which has imported it.

A new interpreter takes longer to import the program than most commands take to run. What is forked
has its own arguments, environment, standard streams and exit code, and runs the same code.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

LARGEST = 1_000_000
REQUEST = 3
"""Standard input, output and error come with a request."""


def run(
    arguments: Sequence[str], env: Mapping[str, str], seconds: float, cwd: str = "/"
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m proxygen ARGUMENTS``, without input; return what it said.

    Raises subprocess.TimeoutExpired, once it is killed.
    """
    request = json.dumps({"argv": list(arguments), "env": dict(env), "cwd": cwd}).encode()
    with (
        Path(os.devnull).open("rb") as nothing,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        server().connected() as connection,
    ):
        streams = [each.fileno() for each in (nothing, out, err)]
        socket.send_fds(connection, [len(request).to_bytes(4, "big")], streams)
        connection.sendall(request)
        connection.settimeout(seconds)
        pid = told(connection)
        try:
            code = told(connection)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(arguments, seconds, text(out), text(err)) from None
        return subprocess.CompletedProcess(list(arguments), code, text(out), text(err))


def told(connection: socket.socket) -> int:
    """Return the next number that the other side tells."""
    return int.from_bytes(whole(connection, 4), "big", signed=True)


def whole(connection: socket.socket, size: int) -> bytes:
    """Return so many octets."""
    found = b""
    while len(found) < size:
        more = connection.recv(size - len(found))
        if not more:
            raise ConnectionError("the process that forks is gone")
        found += more
    return found


def text(stream: IO[bytes]) -> str:
    """Return what was written, as text with the line ends that ``subprocess`` gives it."""
    stream.seek(0)
    return stream.read().decode().replace("\r\n", "\n")


class Server:
    """The process that forks; it ends when this one does."""

    def __init__(self) -> None:
        self.address = f"\0proxygen-forks-{os.getpid()}-{os.urandom(8).hex()}"
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(self.address)
        listening.listen(64)
        alive, kept = os.pipe()
        program = f"from tests.live.forks import serve; serve({listening.fileno()}, {alive})"
        self.popen = subprocess.Popen(
            [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {ROOT!r}); {program}"],
            pass_fds=(listening.fileno(), alive),
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": "/nonexistent"},
            start_new_session=True,
        )
        self.kept = kept  # closed when this process ends, however it does
        listening.close()
        os.close(alive)

    def connected(self) -> socket.socket:
        """Return a connection for one request."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.address)
        return connection


ROOT = str(Path(__file__).resolve().parents[2])
ONE = threading.Lock()
found: dict[int, Server] = {}


def server() -> Server:
    """Return this process's server, started once."""
    with ONE:
        if os.getpid() not in found:
            found[os.getpid()] = Server()
        return found[os.getpid()]


# What runs in the process that forks.


def serve(descriptor: int, alive: int) -> None:
    """Import the program, then fork for each request, until who started us has ended."""
    import gc
    import importlib
    import pkgutil
    import select

    import proxygen

    for module in pkgutil.walk_packages(proxygen.__path__, "proxygen."):
        if module.name != "proxygen.__main__":
            importlib.import_module(module.name)
    gc.freeze()  # what is imported stays shared with all that are forked
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as listening:
        while True:
            ready, _, _ = select.select([listening.fileno(), alive], [], [])
            if alive in ready:
                return
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                os.close(alive)
                answer(connection)
            connection.close()


def answer(connection: socket.socket) -> None:
    """Run one request in a process of its own, and tell its id and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(connection, 4, REQUEST)
    request = json.loads(whole(connection, min(int.from_bytes(size, "big"), LARGEST)))
    pid = os.fork()
    if pid == 0:
        connection.close()
        become(request, streams)
    connection.sendall(pid.to_bytes(4, "big", signed=True))
    _, status = os.waitpid(pid, 0)
    with suppress(OSError):
        connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))
    os._exit(0)


def become(request: dict[str, Any], streams: Sequence[int]) -> None:
    """Be the command from its very beginning to the end of the interpreter; never returns."""
    from proxygen import __main__

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = [str(Path(__main__.__file__)), *request["argv"]]
    __main__.start()
    sys.exit()
