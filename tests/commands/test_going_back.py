"""rollback and uninstall: what they say of services, and what they ask."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require
from tests.live.machine import Machine, proxygen
from tests.live.processes import environment

MAIN = {"url": "https://mail.example.net", "certificate": "selfsigned"}
A = {"a.example": {"url": "https://www.a.example"}}


@pytest.fixture
def mail(root: Path) -> Iterator[Machine]:
    """Return a machine with a web server and a mail server."""
    programs = ("nginx", "pebble", "postfix")
    require(programs)
    with Machine(root, programs) as running:
        yield running


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command where nothing is set up, without a terminal."""
    return proxygen(root, root / "none.yaml", *arguments)


@pytest.mark.parametrize("command", ["rollback", "uninstall"])
def test_what_is_no_service_is_told(tmp_path: Path, command: str) -> None:
    none = run(tmp_path, command, "foo")
    assert none.returncode == 2
    assert "foo is no service" in none.stderr
    both = run(tmp_path, command, "foo", "bar", "nginx")
    assert "bar and foo are no services" in both.stderr
    real = run(tmp_path, command, "nginx")
    assert real.returncode == {"rollback": 2, "uninstall": 0}[command]
    assert "proxygen has not set up nginx" in real.stderr


def test_each_service_is_told_what_became_of_it(mail: Machine) -> None:
    mail.model(A, main=MAIN)
    assert mail.proxygen("apply").returncode == 0
    mail.model({}, main=MAIN)
    assert mail.proxygen("apply", "--confirm-removal").returncode == 0
    back = mail.proxygen("rollback")
    assert back.returncode == 0, back.stdout + back.stderr
    said = back.stdout.splitlines()
    assert "nginx: serves its former configuration again" in said
    assert "postfix: nothing to go back to" in said
    told = json.loads(mail.proxygen("rollback", "--json").stdout)
    assert told["services"] == {
        "nginx": {
            "code": "restored",
            "of": "nginx",
            "words": "nginx: serves its former configuration again",
        },
        "postfix": {
            "code": "nothing",
            "of": "postfix",
            "words": "postfix: nothing to go back to",
        },
    }
    named = mail.proxygen("rollback", "postfix")
    assert named.returncode == 4
    assert "postfix: there is no previous configuration to go back to" in named.stderr


def test_a_first_rollback_that_leads_nowhere_is_four_and_told_of_each_service(
    mail: Machine,
) -> None:
    mail.model(A, main=MAIN)
    assert mail.proxygen("apply").returncode == 0
    back = mail.proxygen("rollback")
    assert back.returncode == 4, back.stdout + back.stderr
    assert "nginx, postfix: there is no previous configuration to go back to\n" in back.stderr
    assert "proxygen uninstall" in back.stderr
    assert back.stdout == ""
    said = json.loads(mail.proxygen("rollback", "--json").stdout)
    assert [each["of"] for each in said["failures"]] == ["nginx", "postfix"]
    assert (said["exit_code"], said["services"]) == (
        4,
        {name: {"code": "failed", "of": name, "words": None} for name in ("nginx", "postfix")},
    )
    mail.model({}, main=MAIN)
    assert mail.proxygen("apply", "--confirm-removal").returncode == 0
    both = mail.proxygen("rollback", "nginx", "postfix")  # one of them was named for nothing
    assert both.returncode == 4
    assert "nginx: serves its former configuration again" in both.stdout
    assert "postfix: there is no previous configuration to go back to" in both.stderr


def test_where_nothing_is_set_up_there_is_nothing_to_roll_back(tmp_path: Path) -> None:
    back = run(tmp_path, "rollback")
    assert back.returncode == 2
    assert "proxygen has set up no service" in back.stderr


def test_without_a_terminal_nothing_is_purged_unless_told(tmp_path: Path) -> None:
    key = tmp_path / "var/lib/proxygen/store/key"
    key.parent.mkdir(parents=True)
    key.touch()
    asked = run(tmp_path, "uninstall", "--purge")
    assert asked.returncode == 2
    assert "there is no terminal to ask on" in asked.stderr
    assert "give --yes" in asked.stderr
    assert key.exists()
    assert run(tmp_path, "uninstall", "--purge", "--yes").returncode == 0
    assert not key.exists()


@pytest.mark.parametrize(("typed", "purged"), [(b"n\n", False), (b"y\n", True)])
def test_on_a_terminal_it_is_asked(tmp_path: Path, typed: bytes, purged: bool) -> None:
    key = tmp_path / "var/lib/proxygen/store/key"
    key.parent.mkdir(parents=True)
    key.touch()
    ours, theirs = pty.openpty()
    try:
        os.write(ours, typed)
        subprocess.run(
            [sys.executable, "-P", "-m", "proxygen", "--root", tmp_path, "uninstall", "--purge"],
            stdin=theirs,
            capture_output=True,
            env=environment(),
            cwd="/",
            timeout=60,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert key.exists() != purged
