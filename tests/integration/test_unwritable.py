"""A disk that is really full, or read-only: the administrator is told, and the lock is held."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import require
from tests.live.mailserver import Mailserver
from tests.live.processes import environment, until

A = {"a.example": {"url": "https://www.a.example", "certificate": "selfsigned"}}
B = {"b.example": {"url": "https://www.b.example", "certificate": "selfsigned"}}
C = {"c.example": {"url": "https://www.c.example", "certificate": "selfsigned"}}
MAIN = {"url": "https://mail.example.net", "certificate": "selfsigned"}
READY = 'mount -t tmpfs -o size=2m none "$0" && echo ready && exec sleep 600'


class Disk:
    """A small file system at /var below a root, for the programs that are run within it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.var = root / "var"
        self.config = root / "etc/proxygen/proxygen.yaml"

    def __enter__(self) -> Disk:
        self.var.mkdir()
        self.config.parent.mkdir(parents=True)
        command = ["unshare", "-m", "sh", "-c", READY, str(self.var)]
        self.holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout
        assert self.holder.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *exception: object) -> None:
        self.holder.kill()
        self.holder.wait()
        assert self.holder.stdout
        self.holder.stdout.close()

    def within(self, *command: str) -> list[str]:
        """Return a command as it is run where the file system is."""
        return ["nsenter", "-t", str(self.holder.pid), "-m", *command]

    def proxygen(self, *arguments: str) -> list[str]:
        """Return a command of proxygen's as it is run where the file system is."""
        options = ("--root", str(self.root), "--config", str(self.config))
        return self.within(sys.executable, "-P", "-m", "proxygen", *options, *arguments)

    def apply(self) -> subprocess.CompletedProcess[str]:
        """Run `apply`."""
        return subprocess.run(
            self.proxygen("apply"), **said(), capture_output=True, check=False, timeout=100
        )

    def model(self, domains: dict[str, Any], port: int) -> None:
        """Write the model."""
        wanted = {"contact": "it@example.net", "global": MAIN, "domains": domains, "services": {}}
        notifiers = {"email": {"host": "127.0.0.1", "port": port}}
        new = self.config.with_suffix(".new")
        new.write_text(json.dumps(wanted | {"notifiers": notifiers}))
        new.rename(self.config)

    def break_it(self, how: str) -> None:
        """Let the file system take nothing any more."""
        if how == "full":
            fill = 'cat /dev/zero > "$0"; test ! -s "$0" || ! echo x > "$0.more"'
            command = self.within("sh", "-c", fill, str(self.var / "filled"))
        else:
            # A mount over it: one that somebody writes to cannot be remounted.
            over = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"'
            command = self.within("sh", "-c", over, str(self.var))
        subprocess.run(command, capture_output=True, check=True)

    def mend(self, how: str) -> None:
        """Let it take something again."""
        if how == "full":
            left = [str(self.var / "filled"), str(self.var / "filled.more")]
            command = self.within("rm", "-f", *left)
        else:
            command = self.within("umount", "-l", str(self.var))
        subprocess.run(command, check=True)


def said() -> dict[str, Any]:
    """Return how programs are run here."""
    path = os.pathsep.join(sys.path)
    return {"text": True, "env": environment(PYTHONPATH=path), "stdin": subprocess.DEVNULL}


@pytest.fixture
def disk(root: Path) -> Iterator[Disk]:
    """Return a root whose /var is a small file system of its own."""
    require(["unshare", "nsenter", "mount"])
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    if subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("mount namespaces are not allowed here")
    with Disk(root) as made:
        yield made


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_the_daemon_tells_of_a_disk_that_takes_nothing_and_goes_on_afterwards(
    disk: Disk, how: str
) -> None:
    with Mailserver() as server:
        disk.model(A, server.port)
        log = disk.root / "watch.log"
        with (
            log.open("w") as output,
            subprocess.Popen(disk.proxygen("watch"), **said(), stderr=output) as daemon,
        ):
            try:
                until(lambda: "round_ended" in log.read_text(), "the first round")
                disk.break_it(how)
                disk.model(A | B, server.port)
                until(lambda: server.to("it@example.net"), "a letter")
                assert "cannot store anything" in str(server.mails[0]["Subject"])
                disk.mend(how)
                disk.model(A | C, server.port)
                until(lambda: "owner=c.example" in obtained(log), "c.example")
            finally:
                daemon.terminate()
            assert daemon.wait(20) == 0


def obtained(log: Path) -> str:
    """Return the lines of the log that tell of certificates that were obtained."""
    lines = log.read_text().splitlines()
    return "\n".join(each for each in lines if "certificate_obtained" in each)


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_apply_tells_of_a_disk_that_takes_nothing(disk: Disk, how: str) -> None:
    with Mailserver() as server:
        disk.model(A, server.port)
        assert disk.apply().returncode == 0
        disk.break_it(how)
        disk.model(A | B, server.port)
        run = disk.apply()
        assert run.returncode in (4, 5), run.stderr
        assert len(server.to("it@example.net")) == 1, run.stderr
        disk.mend(how)
        assert disk.apply().returncode == 0
