"""Hooks of the administrator's around a real `apply`: before, deploy and failed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import require
from tests.live import client
from tests.live.machine import Machine
from tests.live.needs import path_of
from tests.live.processes import environment, until

WEB = ("nginx", "pebble")
MAIN = {"url": "https://mail.example.net", "certificate": "acme"}
A = {"a.example": {"url": "https://www.a.example", "certificate": "acme"}}


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    """Return a machine with nginx and Pebble."""
    require(WEB)
    with Machine(root, WEB) as running:
        yield running


def hook(machine: Machine, name: str, text: str) -> Path:
    """Write an executable such as ``deploy.d/10-x`` where the administrator puts it."""
    path = machine.root / "etc/proxygen/hooks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def told(machine: Machine) -> list[str]:
    """Return the lines that hooks wrote to a file."""
    path = machine.root / "told"
    return path.read_text().splitlines() if path.exists() else []


def succeeded(run: subprocess.CompletedProcess[str]) -> None:
    """Fail with all that was said unless the command succeeded."""
    assert run.returncode == 0, run.stdout + run.stderr


def test_hooks_run_around_the_change_that_they_are_for(web: Machine) -> None:
    line = f'echo "$PROXYGEN_EVENT $PROXYGEN_NAMES" >>{web.root}/told'
    hook(web, "before.d/x", line)
    show = f"{path_of('openssl')} s_client -connect 127.0.0.1:{web.nginx.https}"
    serial = f"{path_of('openssl')} x509 -noout -fingerprint -sha256"
    hook(
        web,
        "deploy.d/x",
        f"{line}\n"
        f'{show} -servername "${{RENEWED_DOMAINS%% *}}" </dev/null 2>/dev/null | {serial} '
        f'>"{web.root}/served"\n'
        f'{serial} -in "$RENEWED_LINEAGE/cert.pem" | cmp - "{web.root}/served"',
    )
    web.model(A, main=MAIN)
    run = web.proxygen("apply")
    succeeded(run)
    assert "warning" not in run.stderr
    assert "hook deploy.d/x: ok" in run.stdout
    befores = {"before mail.example.net", "before www.a.example"}
    assert set(told(web)[:2]) == befores  # and none for the stand-in
    assert told(web)[2:] == ["deploy mail.example.net", "deploy www.a.example"]
    run = web.proxygen("apply")
    assert "nothing to do" in run.stdout
    assert len(told(web)) == 4


def test_a_certificate_that_could_not_be_obtained_is_told_with_the_authoritys_words(
    web: Machine,
) -> None:
    hook(
        web,
        "failed.d/x",
        f'echo "$PROXYGEN_OWNER $FAILED_DOMAINS $PROXYGEN_PROBLEM" >>{web.root}/told\n'
        f'echo "$PROXYGEN_NEXT_ATTEMPT" >{web.root}/next\necho "$PROXYGEN_ERROR" >{web.root}/error',
    )
    hook(web, "deploy.d/x", f'echo "deploy $PROXYGEN_OWNER" >>{web.root}/told')
    web.model(A, main=MAIN)
    web.pebble.dns.set_servfail("www.a.example")
    assert web.proxygen("apply").returncode == 5
    failed, deployed = told(web)
    assert failed.startswith("a.example www.a.example urn:ietf:params:acme:error:")
    assert deployed == "deploy global"
    assert (web.root / "next").read_text().startswith("20")
    assert "www.a.example" in (web.root / "error").read_text()


def test_a_failing_hook_costs_nothing_but_a_warning(web: Machine) -> None:
    for event in ("before", "deploy"):
        hook(web, f"{event}.d/x", "echo out of order; exit 7")
    web.model({}, main=MAIN)
    run = web.proxygen("apply", "--json")
    succeeded(run)
    warnings = json.loads(run.stdout)["warnings"]
    assert {each["words"].partition(" (")[0] for each in warnings} == {
        "hook before.d/x: exited with status 7",
        "hook deploy.d/x: exited with status 7",
    }
    assert len(warnings) == 2
    assert all(each["words"].endswith("for global: out of order") for each in warnings)
    assert {(each["code"], each["of"]) for each in warnings} == {("hook-failed", "global")}
    assert client.names(client.leaf(web.nginx.https, "mail.example.net")) == {"mail.example.net"}
    assert "hook" not in web.proxygen("apply").stderr


def test_a_run_that_is_killed_during_a_hook_tells_it_again_and_orders_nothing(
    web: Machine,
) -> None:
    slow = hook(web, "deploy.d/x", f"echo $$ >>{web.root}/told\nexec sleep 60")
    web.model({}, main=MAIN)
    command = [sys.executable, "-P", "-m", "proxygen", "--root", str(web.root)]
    with subprocess.Popen(
        [*command, "--config", str(web.config), "apply"],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as run:
        until(lambda: told(web), "the hook to run")
        run.kill()
    os.kill(int(told(web)[0]), signal.SIGKILL)
    slow.write_text(f"#!/bin/sh\necho again >>{web.root}/told\n")
    succeeded(web.proxygen("apply"))
    assert told(web)[1:] == ["again"]
    succeeded(web.proxygen("apply"))
    assert told(web)[1:] == ["again"]
    assert web.pebble.new_orders == 1


def test_the_daemon_ends_at_once_whatever_a_hook_does_and_the_next_run_tells_again(
    web: Machine,
) -> None:
    slow = hook(web, "deploy.d/x", f"echo $$ >>{web.root}/told\nexec sleep 60")
    web.model({}, main={"url": "https://mail.example.net", "certificate": "selfsigned"})
    command = [sys.executable, "-P", "-m", "proxygen", "--root", str(web.root)]
    with subprocess.Popen(
        [*command, "--config", str(web.config), "watch"],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as daemon:
        until(lambda: told(web), "the hook to run")
        daemon.terminate()
        try:
            assert daemon.wait(2) == 0
        finally:
            daemon.kill()
    until(lambda: not psutil.pid_exists(int(told(web)[0])), "the hook to be gone")
    slow.write_text(f"#!/bin/sh\necho again >>{web.root}/told\n")
    succeeded(web.proxygen("apply"))
    assert told(web)[1:] == ["again"]


def test_what_is_not_served_is_not_told_until_it_is(web: Machine) -> None:
    hook(web, "deploy.d/x", f"echo $PROXYGEN_OWNER >>{web.root}/told")
    web.model({}, main={"url": "https://mail.example.net", "certificate": "selfsigned"})
    web.nginx.stop()
    assert web.proxygen("apply").returncode == 6
    assert not told(web)
    web.nginx.start()
    succeeded(web.proxygen("apply"))
    assert told(web) == ["global"]
