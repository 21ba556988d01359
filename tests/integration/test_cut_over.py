"""Cut-over: the DNS is switched, a client asks here, and the name has its certificate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxygen import assemble
from proxygen.model.layout import Layout
from tests.conftest import require
from tests.integration.test_watch import Daemon
from tests.live import client
from tests.live.machine import Machine
from tests.live.nameserver import NameServer, zone_text
from tests.live.processes import until

HERE, ELSEWHERE = "127.0.0.1", "127.0.0.9"
MAIN = {"url": "https://mail.hoster.example", "certificate": "acme"}
NAME = "www.a.example"
A = {"url": f"https://{NAME}", "certificate": "acme"}


@pytest.fixture
def web(root: Path) -> Iterator[tuple[Machine, NameServer]]:
    """Return nginx, an authority, and the name server that both ask; the name leads elsewhere."""
    require(("nginx", "pebble", "named"))
    records = f"ns1.example. 1 A {HERE}\nmail.hoster.example. 1 A {HERE}\n{NAME}. 1 A {ELSEWHERE}"
    zones = {"example": zone_text("example", records)}
    with (
        NameServer(root, zones, dynamic=["example"]) as dns,
        Machine(root, ("nginx", "pebble"), dnsserver=f"{dns.address}:{dns.port}") as machine,
    ):
        machine.model({"a.example": A}, main=MAIN)
        assert machine.proxygen("apply").returncode in (0, 5)
        waits_long(machine)
        yield machine, dns


def waits_long(machine: Machine) -> None:
    """Have the name wait as if it had for weeks: the next check is tomorrow."""
    layout, now = Layout(machine.root, machine.config), datetime.now(UTC)
    names = assemble.build_installation(layout, lambda: now).names
    known = names.of("a.example")[NAME]
    assert known.obstacle
    names.note("a.example", [replace(known, look_at=now + timedelta(days=1), looks=17)])


def is_waited_for(machine: Machine) -> bool:
    """Return whether the web server is to tell of requests for the name."""
    return (Layout(machine.root, machine.config).waiting_names / NAME).exists()


def has_its_own(machine: Machine) -> bool:
    """Return whether clients of the name are shown its certificate."""
    return client.names(client.leaf(machine.nginx.https, NAME)) == {NAME}


@pytest.mark.parametrize(
    ("tls", "logging"),
    [
        pytest.param(False, "", id="port 80"),
        pytest.param(True, "", id="TLS"),
        pytest.param(False, "a.example/", id="a log of its own"),
        pytest.param(True, ".", id="a log of all"),
    ],
)
def test_a_name_is_checked_once_a_client_asks_for_it_here(
    web: tuple[Machine, NameServer], tls: bool, logging: str
) -> None:
    machine, dns = web
    log = machine.root / "var/log/nginx/own.log"
    if logging:
        folder = machine.root / "etc/proxygen/nginx.d" / logging
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "log.conf").write_text(f"access_log {log};\n")
    with Daemon(machine) as daemon:
        until(lambda: is_waited_for(machine), "the daemon to wait for the name")
        assert not has_its_own(machine)
        dns.set(NAME, "A", HERE, ttl=1)
        port = machine.nginx.https if tls else machine.nginx.http
        client.get(port, NAME, tls=tls)
        assert daemon.until("asked_for")["names"] == [NAME]
        until(lambda: has_its_own(machine), "the name to have its certificate")
        until(lambda: not is_waited_for(machine), "nobody to wait any more")
        count = len(daemon.events("asked_for"))
        client.get(port, NAME, tls=tls)
        assert daemon.ends_well()
        assert len(daemon.events("asked_for")) == count == 1
    if logging:
        until(lambda: "GET / " in log.read_text(), "the administrator's own log")


def test_who_asks_for_a_name_whose_dns_is_still_wrong_gets_one_check_and_no_order(
    web: tuple[Machine, NameServer],
) -> None:
    machine, _ = web
    orders = machine.pebble.new_orders
    with Daemon(machine) as daemon:
        until(lambda: is_waited_for(machine), "the daemon to wait for the name")
        for _ in range(50):
            client.get(machine.nginx.http, NAME, tls=False)
            client.get(machine.nginx.http, "nobody.example", tls=False)
        daemon.until("asked_for")
        until(lambda: daemon.events("step"), "the check")
        assert daemon.ends_well()
        assert len(daemon.events("asked_for")) == 1
        assert machine.pebble.new_orders == orders
        assert not is_waited_for(machine), "who ends leaves nothing that nginx would tell of"


def test_nginx_goes_on_and_logs_as_before_while_no_daemon_listens(
    web: tuple[Machine, NameServer],
) -> None:
    machine, _ = web
    layout = Layout(machine.root, machine.config)
    layout.waiting_names.mkdir(parents=True, exist_ok=True)
    layout.waiting_names.parent.chmod(0o755)
    layout.waiting_names.chmod(0o711)
    (layout.waiting_names / NAME).touch()
    for _ in range(3):
        assert client.get(machine.nginx.http, NAME, "/over-there", tls=False).status == 301
    log = machine.root / "var/log/nginx/access.log"
    until(lambda: log.read_text().count("GET /over-there") == 3, "the administrator's own log")
