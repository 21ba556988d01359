"""A customer's DNS is wrong, then right: nobody else waits, and the late name joins by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import require
from tests.daemon.surroundings import HandedClock, Trial, events
from tests.live import client
from tests.live.machine import Machine
from tests.live.nameserver import NameServer, zone_text
from tests.live.processes import environment, until

HERE, ELSEWHERE = "127.0.0.1", "127.0.0.9"
MAIN = {"url": "https://mail.hoster.example", "certificate": "acme"}
LATE = "autodiscover.a.example"
A = {"url": "https://www.a.example", "extra_names": [LATE], "certificate": "acme"}
B = {"url": "https://www.b.example", "certificate": "acme"}
RIGHT = ("mail.hoster.example", "www.a.example", "www.b.example")


class Now(HandedClock):
    """A clock that begins now, since the authority has no other."""

    def __init__(self) -> None:
        super().__init__()
        self.began = datetime.now(UTC)

    def now(self) -> datetime:
        """Return the time of day."""
        return self.began + timedelta(seconds=self.passed)


@pytest.fixture
def dns(root: Path) -> Iterator[NameServer]:
    """Return a name server for everything below ``example``, of which some names lead here."""
    require(("named",))
    records = "\n".join(f"{name}. 1 A {HERE}" for name in ("ns1.example", *RIGHT))
    with NameServer(root, {"example": zone_text("example", records)}, dynamic=["example"]) as one:
        yield one


@pytest.fixture
def web(root: Path, dns: NameServer) -> Iterator[Machine]:
    """Return nginx, and an authority that asks the same name server."""
    require(("nginx", "pebble"))
    with Machine(root, ("nginx", "pebble"), dnsserver=f"{dns.address}:{dns.port}") as running:
        yield running


@pytest.fixture
def trial(web: Machine) -> Iterator[Trial]:
    """Return the loop of `watch`, driven by hand."""
    with events() as kept:
        made = Trial(web.root, kept)
        made.clock = Now()
        made.watch = made.made()
        yield made
        made.watching.close()


def shown(web: Machine, name: str) -> frozenset[str]:
    """Return the names of the certificate that a client of *name* is shown."""
    return client.names(client.leaf(web.nginx.https, name))


def test_a_late_name_joins_by_one_order_without_anybodys_help(
    web: Machine, dns: NameServer, trial: Trial
) -> None:
    """The whole story: set up, DNS still wrong, right half an hour later."""
    web.model({"a.example": A, "b.example": B}, main=MAIN)
    trial.go(1)
    assert shown(web, "www.a.example") == {"www.a.example"}
    assert shown(web, "www.b.example") == {"www.b.example"}
    orders = web.pebble.new_orders
    assert orders == 3

    trial.go(30 * 60)
    assert web.pebble.new_orders == orders, "an order although nothing changed"

    dns.set(LATE, "A", HERE, ttl=1)
    trial.go(20 * 60)
    assert shown(web, LATE) == {"www.a.example", LATE}
    assert shown(web, "www.b.example") == {"www.b.example"}
    trial.leap(1)
    trial.go(60)
    assert web.pebble.new_orders == orders + 1
    assert not list((trial.layout.store / "names").iterdir()), "what is in is not kept"


def test_apply_waits_for_the_dns_that_was_just_changed(web: Machine, dns: NameServer) -> None:
    web.model({"a.example": A}, main=MAIN)
    with applying(web, "--wait-dns", "60s") as run:
        until(lambda: "waiting up to 1 min for the DNS of 1 name" in said(web), "it to wait")
        dns.set(LATE, "A", HERE, ttl=1)
        assert run.wait(40) == 0
    assert f"{LATE} (a.example): the DNS leads here now" in said(web)
    assert shown(web, LATE) == {"www.a.example", LATE}


def test_who_is_right_first_is_served_first(web: Machine, dns: NameServer) -> None:
    late = {
        "url": "https://www.b.example",
        "extra_names": ["late.b.example"],
        "certificate": "acme",
    }
    web.model({"a.example": A, "b.example": late}, main=MAIN)
    with applying(web, "--wait-dns", "90s") as run:
        until(lambda: "for the DNS of 2 names" in said(web), "it to wait")
        dns.set(LATE, "A", HERE, ttl=1)
        until(lambda: shown(web, LATE) == {"www.a.example", LATE}, "the first to be served", 30)
        assert run.poll() is None
        dns.set("late.b.example", "A", HERE, ttl=1)
        assert run.wait(60) == 0
    assert shown(web, "late.b.example") == {"www.b.example", "late.b.example"}


def test_apply_waits_no_longer_than_it_is_told(web: Machine) -> None:
    web.model({"a.example": A}, main=MAIN)
    first = web.proxygen("apply", "--wait-dns", "1s")
    assert first.returncode == 0
    assert shown(web, "www.a.example") == {"www.a.example"}
    assert "waiting up to 1 s for the DNS of 1 name" in first.stdout
    assert "the DNS of 1 name is not right yet" in first.stdout
    again = web.proxygen("apply", "a.example", "--wait-dns", "1s", "--json")
    assert json.loads(again.stdout)["exit_code"] == 0


def test_who_waits_has_ready_names_joined_at_once_and_what_failed_before_told(
    web: Machine, dns: NameServer
) -> None:
    other, third = "imap.a.example", "pop.a.example"
    domain = A | {"extra_names": [LATE, other, third]}
    web.model({"a.example": domain}, main=MAIN)
    assert web.proxygen("apply").returncode == 0
    dns.set(other, "A", HERE, ttl=1)
    failing = B | {"challenge": "dns-01", "solver": "none", "skip_preflight": True}
    solvers = {"none": {"rfc2136": {"server": dns.address, "key": "file:absent.key"}}}
    web.model({"a.example": domain, "b.example": failing}, main=MAIN, solvers=solvers)
    assert web.proxygen("apply", "a.example").returncode == 0
    dns.set(third, "A", HERE, ttl=1)
    run = web.proxygen("apply", "--wait-dns", "1s")
    assert run.returncode == 5
    assert "absent.key does not exist" in run.stderr
    assert run.stderr.count("\nb.example: ") == 1
    assert other in shown(web, "www.a.example")


def test_a_time_that_is_none_is_a_usage_error(web: Machine) -> None:
    web.model()
    run = web.proxygen("apply", "--wait-dns", "soon")
    assert run.returncode == 2
    assert "'soon' is not a number with a unit" in run.stderr


@contextmanager
def applying(web: Machine, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `apply`, its output in a file; it is killed at the end of the block."""
    command = [
        *(sys.executable, "-P", "-m", "proxygen", "--root", str(web.root)),
        *("--config", str(web.config), "apply", *arguments),
    ]
    env = environment(PYTHONPATH=os.pathsep.join(sys.path))
    with (web.root / "apply.log").open("wb") as output:
        run = subprocess.Popen(
            command, env=env, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            yield run
        finally:
            run.kill()
            run.wait()


def said(web: Machine) -> str:
    """Return what `apply` has said so far."""
    return (web.root / "apply.log").read_text()
