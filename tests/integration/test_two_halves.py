"""Obtain and deploy as real processes: neither waits for the other, and none harms the other."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxygen.model.layout import Layout
from proxygen.stores import journal
from proxygen.stores.filesystem import JOURNAL
from tests.conftest import require
from tests.live import client
from tests.live.between import Between, Hold
from tests.live.machine import Machine
from tests.live.processes import environment, until

WEB = ("nginx", "pebble")
MAIN = {"url": "https://mail.example.net", "certificate": "selfsigned"}
A = {"a.example": {"url": "https://www.a.example", "certificate": "selfsigned"}}
B = {"b.example": {"url": "https://www.b.example", "certificate": "selfsigned"}}
ORDERED = {"c.example": {"url": "https://www.c.example", "certificate": "acme"}}


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    """Return a machine with nginx and Pebble alone, which serves one domain."""
    require(WEB)
    with Machine(root, WEB) as running:
        running.model(A, main=MAIN)
        assert running.proxygen("apply").returncode == 0
        yield running


def shown(machine: Machine, name: str) -> set[str]:
    """Return the names in the certificate that nginx shows for a name; none for a stranger."""
    try:
        return client.names(client.leaf(machine.nginx.https, name))
    except OSError:
        return set()


def started(machine: Machine, *arguments: str) -> subprocess.Popen[str]:
    """Start a command."""
    command = [sys.executable, "-P", "-m", "proxygen", "--root", str(machine.root), *arguments]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def layout(machine: Machine) -> Layout:
    """Return where everything is."""
    return Layout(machine.root, machine.config)


def held(path: Path) -> subprocess.Popen[bytes]:
    """Have another process hold a lock."""
    path.parent.mkdir(exist_ok=True)
    process = subprocess.Popen(["flock", path, "sleep", "120"], start_new_session=True)
    until(lambda: subprocess.run(["flock", "-n", path, "true"]).returncode == 1, "the lock")
    return process


def ordering(machine: Machine, between: Between, domains: dict[str, Any]) -> None:
    """Write a model whose certificates are ordered through *between*."""
    acme = {"directory": between.directory, "trusted_roots": [str(between.trusted_root)]}
    machine.model(domains, main=MAIN, acme=acme)


def test_apply_serves_what_it_can_before_it_waits_for_an_authority(web: Machine) -> None:
    with Between(web.pebble, web.root) as between:
        between.hold = Hold("order-plz", "before")
        ordering(web, between, A | B | ORDERED)
        with started(web, "apply") as process:
            assert between.hold.reached.wait(30)
            assert shown(web, "www.b.example") == {"www.b.example"}
            assert shown(web, "www.c.example") == {"mail.example.net"}
            between.hold.released.set()
            said, wrong = process.communicate()
        assert process.returncode == 0, said + wrong
        assert shown(web, "www.c.example") == {"www.c.example"}


def test_apply_serves_what_it_can_before_it_asks_a_name_server(web: Machine) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.settimeout(30)
        resolvers = [f"127.0.0.1:{silent.getsockname()[1]}"]
        acme = {"preflight": True}
        asks = {"resolvers": resolvers, "addresses": ["127.0.0.1"]}
        web.model(A | B | ORDERED, main=MAIN, acme=acme, **asks)
        with started(web, "apply") as process:
            assert silent.recv(512)
            assert shown(web, "www.b.example") == {"www.b.example"}
            said, wrong = process.communicate()
    assert process.returncode == 0, said + wrong  # a silent name server refuses nobody
    assert shown(web, "www.c.example") == {"www.c.example"}


def test_a_deployment_waits_for_nobody_who_obtains(web: Machine) -> None:
    with Between(web.pebble, web.root) as between:
        between.hold = Hold("order-plz", "before")
        ordering(web, between, A | ORDERED)
        with started(web, "apply") as process:
            assert between.hold.reached.wait(30)
            ordering(web, between, A | B | ORDERED)
            run = web.proxygen("apply")
            assert run.returncode == 7, run.stdout + run.stderr
            assert "no certificate was obtained: another run of proxygen" in run.stderr
            assert shown(web, "www.b.example") == {"www.b.example"}
            between.hold.released.set()
            process.communicate()
        assert process.returncode == 0
        assert web.pebble.new_orders == 1
    run = web.proxygen("apply")
    assert run.returncode == 0
    assert "nothing to do" in run.stdout


@pytest.mark.parametrize("half", ["lock", "obtaining"])
def test_who_is_told_to_waits_for_a_lock(web: Machine, half: str) -> None:
    web.model(A | ORDERED, main=MAIN)
    other = held(getattr(layout(web), half))
    try:
        run = web.proxygen("apply")
        assert run.returncode == 7
        with started(web, "apply", "--wait-lock", "10m", "--json") as process:
            if half == "obtaining":
                main = {"mail.example.net"}
                until(lambda: shown(web, "www.c.example") == main, "what is there to be served")
            os.killpg(other.pid, signal.SIGKILL)
            said, wrong = process.communicate()
        assert process.returncode == 0, wrong
        assert json.loads(said)["exit_code"] == 0
        assert shown(web, "www.c.example") == {"www.c.example"}
    finally:
        other.wait(30) if other.poll() is None else None


def test_renew_does_nothing_while_nothing_is_due_and_holds_no_lock_for_it(web: Machine) -> None:
    web.model(A | B, main=MAIN)  # B's certificate is due, so this is one
    assert web.proxygen("renew").returncode == 0
    assert shown(web, "www.b.example") == {"www.b.example"}
    web.model(A | B | {"d.example": {"url": "https://www.d.example"}}, main=MAIN)
    run = web.proxygen("renew")
    assert "nothing to do" in run.stdout
    assert shown(web, "www.d.example") == set()


@pytest.mark.parametrize("half", ["lock", "obtaining"])
def test_what_a_killed_run_was_writing_goes_whichever_half_it_was(web: Machine, half: str) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    store = layout(web).store
    left = [
        each / f".a.example.{gone.pid}.0123456789ab.new"
        for each in (store / "orders", layout(web).challenges / ".well-known/acme-challenge")
    ]
    for each in left:
        each.parent.mkdir(parents=True, exist_ok=True)
        each.write_bytes(b"")
    begun = store / JOURNAL
    begun.write_bytes(journal.encode_journal({"looks/a": b"1", "looks/b": b"2"}))
    getattr(layout(web), half).write_text(f"{gone.pid}\n")
    assert web.proxygen("apply").stdout == "nothing to do\n"
    assert not [each for each in (*left, begun) if each.exists()]
    assert (store / "looks/b").read_bytes() == b"2"


def test_a_certificate_that_a_killed_run_obtained_is_deployed_by_the_next(web: Machine) -> None:
    with Between(web.pebble, web.root) as between:
        between.hold = Hold("certZ", "after")
        ordering(web, between, A | ORDERED)
        with started(web, "apply") as process:
            assert between.hold.reached.wait(30)
            process.kill()
            between.hold.released.set()
            process.communicate()
        assert shown(web, "www.c.example") == {"mail.example.net"}
        run = web.proxygen("renew")
        assert run.returncode == 0, run.stdout + run.stderr
        assert shown(web, "www.c.example") == {"www.c.example"}
        assert web.pebble.new_orders == 1


def planned(machine: Machine) -> Any:
    """Return the steps that a plan shows, but looks at names."""
    steps = json.loads(machine.proxygen("plan", "--json").stdout)["steps"]
    return [each for each in steps if each["step"] != "look"]


def test_a_plan_shows_what_is_done_about_a_name_that_another_server_has(web: Machine) -> None:
    foreign = web.nginx.conf_d / "00-foreign.conf"
    listens = f"server {{ listen 127.0.0.1:{web.nginx.http}; server_name x.c.example;"
    foreign.write_text(f"{listens} return 404; }}\n")
    more = {"c.example": ORDERED["c.example"] | {"extra_names": ["x.c.example"]}}
    web.model(A | more, main=MAIN)
    assert web.proxygen("apply").returncode == 0
    assert web.pebble.new_orders == 1
    assert shown(web, "www.c.example") == {"www.c.example"}
    for _ in range(2):
        assert planned(web) == []
        assert web.proxygen("apply").returncode == 0
    assert web.pebble.new_orders == 1
    foreign.unlink()
    os.kill(web.nginx.pid, signal.SIGHUP)
    (step,) = until(lambda: planned(web), "nginx without the other server")
    assert (step["owner"], step["left_out"]) == ("c.example", [])
    assert web.proxygen("renew").returncode == 0
    assert shown(web, "www.c.example") == {"www.c.example", "x.c.example"}
