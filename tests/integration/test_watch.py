"""`watch` as a real process: signals, the service manager, and a kill at any moment."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

from tests.conftest import require
from tests.live import client
from tests.live.between import Between, Hold
from tests.live.machine import Machine
from tests.live.processes import NotReady, environment, until

WEB = ("nginx", "pebble")
TRIAL = {"url": "https://mail.example.net", "certificate": "selfsigned"}
A = {"a.example": {"url": "https://www.a.example", "certificate": "selfsigned"}}
B = {"b.example": {"url": "https://www.b.example", "certificate": "selfsigned"}}
ORDERED = {"c.example": {"url": "https://www.c.example", "certificate": "acme"}}


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    """Return a machine with nginx and Pebble alone."""
    require(WEB)
    with Machine(root, WEB) as running:
        yield running


class Manager:
    """A service manager's socket, on which the daemon tells how it is."""

    def __init__(self, root: Path) -> None:
        self.address = root / "notify"
        self.bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.bound.bind(str(self.address))
        self.bound.setblocking(False)
        self.told: list[str] = []

    def said(self, state: str) -> bool:
        """Return whether a state was told so far, as the beginning of a line."""
        try:
            while True:
                self.told += self.bound.recv(4096).decode().splitlines()
        except BlockingIOError:
            return any(each.startswith(state) for each in self.told)

    def forget(self) -> None:
        """Count from now on."""
        self.said("")
        self.told.clear()


class Daemon:
    """The real command, with what it logs as JSON; it is killed at the end of the block."""

    def __init__(self, machine: Machine, *arguments: str, **more: str) -> None:
        self.machine = machine
        self.arguments = arguments or ("--log-format", "json", "--log-level", "debug")
        self.environment = environment(PYTHONPATH=os.pathsep.join(sys.path), **more)
        self.log = machine.root / "watch.log"
        self.log.write_bytes(b"")

    def __enter__(self) -> Self:
        command = [
            *(sys.executable, "-P", "-m", "proxygen", "--root", str(self.machine.root)),
            *("--config", str(self.machine.config), "watch", *self.arguments),
        ]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command, env=self.environment, cwd="/", stdin=subprocess.DEVNULL, stderr=output
            )
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.wait()

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """Return the events of that name that were logged so far."""
        whole = self.log.read_text().rpartition("\n")[0]
        lines = [json.loads(line) for line in whole.splitlines()]
        return [each for each in lines if name in ("", each["event"])]

    def until(self, name: str, count: int = 1) -> dict[str, Any]:
        """Wait for that many events of a name; return the last one."""
        try:
            return until(lambda: self.events(name)[count - 1 :], f"{count} of {name}")[-1]
        except NotReady as late:
            raise NotReady(f"{late}\n{self.log.read_text()}") from None

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def ends_well(self, number: signal.Signals = signal.SIGTERM) -> bool:
        """Ask it to end; return whether it does, with exit code 0, and waits for nobody."""
        self.send(number)
        return self.process.wait(20) == 0


def shows(machine: Machine, name: str) -> bool:
    """Return whether nginx shows a certificate for that name."""
    return name in client.names(client.leaf(machine.nginx.https, name))


def stands_in(machine: Machine, name: str) -> bool:
    """Return whether nginx serves a name with the global certificate."""
    return client.names(client.leaf(machine.nginx.https, name)) == {"mail.example.net"}


def test_a_changed_model_is_served_at_once(web: Machine) -> None:
    web.model(A, main=TRIAL)
    with Daemon(web) as daemon:
        daemon.until("round_ended")
        web.model(A | B, main=TRIAL)
        until(lambda: shows(web, "www.b.example"), "b.example to be served")
        assert daemon.until("certificate_obtained", 3)["owner"] == "b.example"


def test_what_the_service_manager_is_told(web: Machine) -> None:
    manager = Manager(web.root)
    web.model(A, main=TRIAL)
    told = {"NOTIFY_SOCKET": str(manager.address), "WATCHDOG_USEC": "200000"}
    with Daemon(web, **told) as daemon:
        until(lambda: manager.said("READY=1"), "READY")
        until(lambda: manager.said("STATUS=1 domain; next round: 20"), "STATUS")
        manager.forget()
        until(lambda: manager.said("WATCHDOG=1"), "a sign of life")
        daemon.send(signal.SIGHUP)
        until(lambda: manager.said("READY=1"), "READY after a reload")
        reloading = manager.told.index("RELOADING=1")
        assert manager.told[reloading + 1].startswith("MONOTONIC_USEC=")
        assert reloading < manager.told.index("READY=1")
        assert daemon.until("round_begun", 2)["because"] == ["asked"]
        assert daemon.ends_well()
        assert manager.said("STOPPING=1")


def test_ready_does_not_wait_for_a_long_first_round(web: Machine) -> None:
    manager = Manager(web.root)
    with Between(web.pebble, web.root) as between:
        between.hold = Hold("order-plz", "before")
        ordering(web, between, ORDERED)
        with Daemon(web, NOTIFY_SOCKET=str(manager.address)):
            assert between.hold.reached.wait(20)
            assert manager.said("READY=1")


def ordering(machine: Machine, between: Between, domains: dict[str, Any]) -> None:
    """Write a model whose certificates are ordered through *between*."""
    acme = {"directory": between.directory, "trusted_roots": [str(between.trusted_root)]}
    machine.model(domains, main=TRIAL, acme=acme)


PROBE = "proxygen"
"""The file by which it is seen that challenges are answered."""


@pytest.mark.parametrize("step", ["order-plz", "chalZ", "finalize-order"])
def test_it_ends_in_time_while_the_authority_does_not_answer(web: Machine, step: str) -> None:
    with Between(web.pebble, web.root) as between:
        between.hold = Hold(step, "before")
        ordering(web, between, A | ORDERED)
        with Daemon(web) as daemon:
            assert between.hold.reached.wait(20)
            answers = web.root / "var/lib/proxygen/challenges/.well-known/acme-challenge"
            answers.mkdir(parents=True, exist_ok=True)
            (answers / "of-another-run").write_text("certbot's")
            assert daemon.ends_well()
            assert daemon.events("stopped")
        assert {each.name for each in answers.iterdir()} == {"of-another-run", PROBE}
        between.hold.released.set()
        with Daemon(web) as daemon:
            until(lambda: shows(web, "www.c.example"), "c.example to be served")
            assert daemon.ends_well()


def test_a_changed_model_does_not_wait_for_all_orders(web: Machine) -> None:
    many = {
        f"d{number}.example": {"url": f"https://www.d{number}.example", "certificate": "acme"}
        for number in range(100)
    }
    with Between(web.pebble, web.root) as between:
        between.hold = Hold("order-plz", "before")
        ordering(web, between, many)
        with Daemon(web) as daemon:
            assert between.hold.reached.wait(20)
            ordering(web, between, ORDERED | B | dict(list(many.items())[:60]))
            daemon.until("model_read", 2)
            assert "model" in daemon.until("round_begun", 2)["because"]
            until(lambda: shows(web, "www.b.example"), "b.example to be served", 40)
            until(lambda: stands_in(web, "www.c.example"), "c.example to be served meanwhile", 40)
            between.hold.released.set()
            until(lambda: shows(web, "www.c.example"), "c.example to have its own", 40)
            until(lambda: shows(web, "www.d59.example"), "d59.example to be served", 40)


def test_a_killed_daemon_leaves_what_the_next_one_finishes(web: Machine) -> None:
    web.model(A, main=TRIAL)
    with Daemon(web) as daemon:
        daemon.until("step")
        daemon.process.kill()
        daemon.process.wait()
    with Daemon(web) as daemon:
        daemon.until("round_ended")
        assert shows(web, "www.a.example")
        assert daemon.ends_well(signal.SIGINT)
    assert "nothing to do" in web.proxygen("apply").stdout


def test_a_second_daemon_is_refused_and_apply_is_not(web: Machine) -> None:
    web.model(A, main=TRIAL)
    with Daemon(web) as daemon:
        daemon.until("round_ended")
        second = web.proxygen("watch")
        assert second.returncode == 7
        assert f"`proxygen watch` is running (process {daemon.process.pid})" in second.stderr
        assert web.proxygen("apply").returncode == 0


@pytest.mark.parametrize(
    ("command", "without"),
    [
        pytest.param("rollback", 4, id="rollback: there is nothing to go back to yet"),
        pytest.param("uninstall", 0, id="uninstall"),
    ],
)
def test_what_a_daemon_would_undo_is_not_done_while_it_runs(
    web: Machine, command: str, without: int
) -> None:
    web.model(A, main=TRIAL)
    with Daemon(web) as daemon:
        daemon.until("round_ended")
        run = web.proxygen(command)
        assert run.returncode == 7
        assert "stop it first: `systemctl stop proxygen`" in run.stderr
    assert web.proxygen(command).returncode == without


def test_an_unknown_option_is_a_usage_error(web: Machine) -> None:
    assert web.proxygen("watch", "--log-level", "loud").returncode == 2


def test_a_model_that_is_wrong_at_the_start_is_waited_for(web: Machine) -> None:
    manager = Manager(web.root)
    web.model(A, main=TRIAL)
    web.config.write_text("global: [\n")
    with Daemon(web, NOTIFY_SOCKET=str(manager.address)) as daemon:
        assert daemon.until("model_wrong")["goes_on_with"] == "nothing"
        until(lambda: manager.said("STATUS=the model is wrong (1 mistake); waiting"), "STATUS")
        assert manager.said("READY=1")
        web.model(A, main=TRIAL)
        until(lambda: shows(web, "www.a.example"), "a.example to be served")


def test_lines_for_people_are_the_default(web: Machine) -> None:
    web.model(A, main=TRIAL)
    with Daemon(web, "--log-level", "info") as daemon:
        until(lambda: "round_ended" in daemon.log.read_text(), "the first round")
        first, *_ = daemon.log.read_text().splitlines()
        assert first.endswith(f" info started pid={daemon.process.pid} config={web.config}")


def test_while_nothing_happens_it_uses_next_to_nothing(web: Machine) -> None:
    web.model(A | B, main=TRIAL)
    with Daemon(web) as daemon:
        daemon.until("round_ended")
        process = psutil.Process(daemon.process.pid)
        used = measured(lambda: sum(process.cpu_times()[:2]), 3)
        assert used < 0.1
        assert process.num_threads() < 8


def measured(counted: Callable[[], float], seconds: float) -> float:
    """Return by how much something grows while nothing happens."""
    before, end = counted(), time.monotonic() + seconds
    until(lambda: time.monotonic() > end, "time to pass")
    return counted() - before


def included(machine: Machine, **texts: str) -> Path:
    """Write a model with included files of these texts; return their folder."""
    folder = machine.config.parent / "domains.d"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    machine.model({}, main=TRIAL, include=["domains.d/*.yaml"])
    return folder


def domain(name: str) -> str:
    """Return an included file with one domain."""
    return f"domains: {{{name}: {{url: www.{name}, certificate: selfsigned}}}}"


def test_a_wrong_file_and_an_empty_one_take_nothing_from_what_serves(web: Machine) -> None:
    folder = included(web, a=domain("a.example"), b=domain("b.example"))
    with Daemon(web) as daemon:
        daemon.until("round_ended")
        assert shows(web, "www.a.example")
        (folder / "a.yaml").write_text("")
        (folder / "b.yaml").write_text(domain("b.example").replace("url", "urll"))
        (folder / "c.yaml").write_text(domain("c.example"))
        until(lambda: shows(web, "www.c.example"), "c.example to be served")
        assert daemon.until("removal_held_back")["domains"] == 1
        told = daemon.until("file_set_aside")
        assert told["file"] == str(folder / "b.yaml")
        assert told["remedy"]
        assert shows(web, "www.a.example")
        assert shows(web, "www.b.example")
        confirmed = web.proxygen("apply", "--confirm-removal")
        assert confirmed.returncode in (9, 7), confirmed.stderr  # 7: the daemon is at it just now
        while confirmed.returncode == 7:
            confirmed = web.proxygen("apply", "--confirm-removal")
        daemon.until("removal_settled")
        until(lambda: not answers(web, "www.a.example"), "a.example to go")
        assert shows(web, "www.b.example")
    with Daemon(web) as daemon:
        daemon.until("round_ended")
        assert not answers(web, "www.a.example")
        assert shows(web, "www.b.example")


def answers(machine: Machine, name: str) -> bool:
    """Return whether nginx knows a name at all."""
    try:
        return shows(machine, name)
    except (OSError, ssl.SSLError):
        return False
