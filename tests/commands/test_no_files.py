"""Files that are none: one clean error for their domain; commands, daemon and others go on."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import require
from tests.live import client
from tests.live.machine import Machine, proxygen
from tests.live.processes import Process, environment, made, until

MAIN = {"url": "https://mail.example.net", "certificate": "selfsigned"}
GOOD = {"good.example": {"url": "https://www.good.example", "certificate": "selfsigned"}}
WEB = ("nginx", "pebble")
NEVER_WAITING = 300
"""Seconds for a command that waits for nobody; who opened a pipe would wait for ever."""
BUSY = 400
pytestmark = pytest.mark.timeout(3 * BUSY)


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    """Return a machine with nginx alone."""
    require(WEB)
    with Machine(root, WEB) as running:
        yield running


def bound(path: Path) -> None:
    """Make a socket."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


def disk(path: Path) -> None:
    """Make what looks like a disk; nobody has a loop device of that number."""
    os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 250))


def giant(path: Path) -> None:
    """Make a file of a tebibyte, which takes no room."""
    path.touch()
    os.truncate(path, 1 << 40)


def link(target: str) -> Callable[[Path], None]:
    """Return what makes a link to *target*."""
    return lambda path: path.symlink_to(target)


KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "it is a pipe, not a regular file"),
    "socket": (bound, "it is a socket, not a regular file"),
    "folder": (Path.mkdir, "Is a directory"),
    "loop": (link("loop"), "Too many levels of symbolic links"),
    "nowhere": (link("/no/such/file"), "No such file or directory"),
    "zero": (link("/dev/zero"), "it is a device, not a regular file"),
    "tty": (link("/dev/tty"), "it is a device, not a regular file"),
    "disk": (disk, "it is a device, not a regular file"),
    "kmsg": (link("/proc/kmsg"), "kmsg is empty"),
    "mem": (link("/proc/self/mem"), "mem is empty"),
    "empty": (Path.touch, "empty is empty"),
    "giant": (giant, "too large"),
}
COMMANDS = ("validate", "plan", "apply", "status", "check", "names", "dns", "renew")
TELLING = ("validate", "plan", "apply")


@contextmanager
def growing(path: Path) -> Iterator[None]:
    """Have a file that grows and shrinks without end for a block."""
    done = threading.Event()

    def write() -> None:
        while not done.wait(0.001):
            path.write_bytes(b"#" * (1 + len(path.read_bytes()) % 5000))

    path.write_bytes(b"#")
    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()


def with_them(machine: Machine) -> None:
    """Write a model in which a customer named each of KINDS, and others are right."""
    folder = made(machine.config.parent)
    named = {}
    for name, (make, _) in KINDS.items():
        make(folder / name)
        named[name] = {"certificate": name}
    named["growing"] = {"certificate": "growing"}
    named["toolong"] = {"certificate": "x" * 900}
    named["secret"] = {"certificate": "empty", "password": "file:pipe"}
    domains = {
        f"{name}.example": {"url": f"https://www.{name}.example", "certificate": {"file": file}}
        for name, file in named.items()
    }
    machine.model(domains | GOOD, main=MAIN)


def clean(run: subprocess.CompletedProcess[str]) -> str:
    """Return what a command said, which ended as it should."""
    said = run.stdout + run.stderr
    assert run.returncode != 1 or said.startswith("PROXYGEN WARNING"), said
    assert "Traceback" not in said
    return said


def test_each_is_one_error_of_its_domain_from_every_command(web: Machine) -> None:
    with_them(web)
    with growing(web.config.parent / "growing"):
        for command in COMMANDS:
            every = ("--verbose",) if command in TELLING else ()
            run = web.proxygen(command, *every, seconds=NEVER_WAITING)
            said = clean(run)
            if command not in TELLING:
                continue
            assert run.returncode == 5, said
            for name, (_, words) in KINDS.items():
                assert words in said, (command, name, said)
                assert f"{web.config.parent}/{name}" in said
            assert "File name too long" in said
            assert "the secret file:" in said
    leaf = client.leaf(web.nginx.https, "www.good.example")
    assert client.names(leaf) == {"www.good.example"}


def test_the_daemon_goes_on_beside_them(web: Machine) -> None:
    with_them(web)
    (web.config.parent / "growing").write_bytes(b"#")
    places = ("--root", str(web.root), "--config", str(web.config))
    command = [sys.executable, "-P", "-m", "proxygen", *places, "watch"]
    daemon = Process(command, log=web.root / "watch.out", env=environment())

    def names() -> set[str]:
        return client.names(client.leaf(web.nginx.https, "www.good.example"))

    try:
        until(lambda: names() == {"www.good.example"}, "the good domain", BUSY)
        text = web.config.read_text()
        web.config.write_text(text.replace("www.good.example", "new.good.example"))
        until(
            lambda: (
                client.names(client.leaf(web.nginx.https, "new.good.example"))
                == {"new.good.example"}
            ),
            "a change beside them",
            BUSY,
        )
    finally:
        code = daemon.stop(seconds=60)
    said = (web.root / "watch.out").read_text()
    assert code == 0, said
    assert "Traceback" not in said
    assert "it is a pipe, not a regular file" in said


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "nowhere"])
def test_the_model_itself_is_one_error(root: Path, kind: str) -> None:
    make, words = KINDS[kind]
    words = {"folder": "is a folder", "giant": "is larger than 32 MiB"}.get(kind, words)
    make(root / kind)
    run = proxygen(root, root / kind, "validate", seconds=NEVER_WAITING)
    said = clean(run)
    assert run.returncode in (2, 3), said
    assert (words if run.returncode == 2 else "the file is empty") in said
    assert kind in said


def test_a_model_that_is_a_pipe_is_refused_by_every_command(root: Path) -> None:
    (root / "etc/proxygen").mkdir(parents=True)
    config = root / "etc/proxygen/proxygen.yaml"
    os.mkfifo(config)
    for command in dict.fromkeys(COMMANDS):
        run = proxygen(root, config, command, seconds=NEVER_WAITING)
        assert "it is a pipe, not a regular file" in clean(run)
        assert run.returncode == (3 if command == "check" else 2)  # as monitoring plugins do


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_postfix_does_not_wait_for_a_writer(web: Machine, name: str) -> None:
    """A service's own program would; the others are not held up."""
    folder = made(web.root / "postfix")
    for each in ("main.cf", "master.cf"):
        if each == name:
            os.mkfifo(folder / each)
        else:
            (folder / each).touch()
    web.model(GOOD, main=MAIN, services={"postfix": {"configuration": str(folder)}})
    run = web.proxygen("apply", seconds=NEVER_WAITING)
    assert run.returncode == 4, clean(run)
    assert (
        f"postfix cannot be examined: {folder}/{name}: it is a pipe, not a regular file"
        in run.stderr
    )
    leaf = client.leaf(web.nginx.https, "www.good.example")
    assert client.names(leaf) == {"www.good.example"}


def test_a_hook_is_brought_pipes(web: Machine) -> None:
    web.model(GOOD, main=MAIN)
    pipe = web.root / "pipe"
    os.mkfifo(pipe)
    named = ("--certificate", str(pipe), "--key", str(pipe))
    run = web.proxygen("hook", *named, seconds=NEVER_WAITING)
    assert run.returncode == 5, clean(run)
    assert f"cannot read {pipe}: it is a pipe, not a regular file" in run.stderr


def test_what_nginx_would_wait_for_is_told_at_once(web: Machine) -> None:
    web.model(GOOD, main=MAIN)
    assert web.proxygen("apply").returncode == 0
    included = web.nginx.main.parent / "conf.d/zz.conf"
    os.mkfifo(included)
    try:
        run = web.proxygen("plan", seconds=NEVER_WAITING)
    finally:
        included.unlink()
    said = clean(run)
    assert f"{included}: it is a pipe, not a regular file" in said
