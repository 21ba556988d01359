"""What the service manager is told arrives, and one who is not there holds nothing up."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxygen.host import systemd


@pytest.fixture(params=["path", "abstract"])
def listening(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[str, socket.socket]]:
    """Return an address as NOTIFY_SOCKET has it, and the socket behind it."""
    name = f"@proxygen-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(name.replace("@", "\0"))
        bound.settimeout(5)
        yield name, bound


def test_every_state_arrives_as_one_datagram(listening: tuple[str, socket.socket]) -> None:
    address, bound = listening
    manager = systemd.service_manager({"NOTIFY_SOCKET": address})
    manager.ready()
    manager.status("10,000 domains\nREADY=1\x1b[2J")
    manager.alive()
    manager.stopping()
    said = [bound.recv(4096).decode() for _ in range(4)]
    assert said == ["READY=1", "STATUS=10,000 domains READY=1 [2J", "WATCHDOG=1", "STOPPING=1"]


def test_reloading_says_when_it_began(listening: tuple[str, socket.socket]) -> None:
    address, bound = listening
    before = time.monotonic_ns() // 1000
    systemd.service_manager({"NOTIFY_SOCKET": address}).reloading()
    first, second = bound.recv(4096).decode().split("\n")
    assert first == "RELOADING=1"
    name, _, value = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(value) <= time.monotonic_ns() // 1000


@pytest.mark.parametrize("address", ["", "@", "relative", "vsock:2:1", None])
def test_without_a_usable_address_nobody_is_told(address: str | None) -> None:
    environment = {} if address is None else {"NOTIFY_SOCKET": address}
    manager = systemd.service_manager(environment)
    assert manager.address is None
    manager.ready()


def test_a_manager_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    systemd.service_manager({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()


@pytest.mark.parametrize(
    ("environment", "patience"),
    [
        pytest.param({}, None, id="none is asked for"),
        pytest.param({"WATCHDOG_USEC": "30000000"}, 30.0, id="of whoever reads it"),
        pytest.param({"WATCHDOG_USEC": "5000", "WATCHDOG_PID": str(os.getpid())}, 0.005, id="ours"),
        pytest.param({"WATCHDOG_USEC": "5000", "WATCHDOG_PID": "1"}, None, id="somebody else's"),
        pytest.param({"WATCHDOG_USEC": "0"}, None, id="switched off"),
        pytest.param({"WATCHDOG_USEC": "soon"}, None, id="no number"),
        pytest.param({"WATCHDOG_USEC": "\u0663\u0660"}, None, id="no ASCII digits"),
        pytest.param({"WATCHDOG_USEC": "9" * 15}, 999999999.999999, id="thirty years"),
        pytest.param({"WATCHDOG_USEC": "9" * 16}, None, id="more than anybody waits"),
        pytest.param({"WATCHDOG_USEC": "9" * 5000}, None, id="no number that Python reads"),
        pytest.param({"WATCHDOG_USEC": "1\n"}, None, id="a line"),
    ],
)
def test_a_sign_of_life_is_expected_of_us_alone(
    environment: dict[str, str], patience: float | None
) -> None:
    assert systemd.service_manager(environment).patience == patience
