"""From a model to a certificate proven by the DNS, in a process of its own that may be killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from proxygen.solvers.dns01_records import challenge_name
from proxygen.stores.filesystem import FileStore
from tests.issuers.at_pebble import made
from tests.live import needs
from tests.live.machine import temporary_root
from tests.live.pebble import Pebble
from tests.live.processes import until
from tests.solvers.zones import APEX, TARGETS, Zones

pytestmark = needs("named", "ip", "pebble", "pebble-challtestsrv")
SCRIPT = Path(__file__).with_name("prove_once.py")


@pytest.fixture(scope="module")
def pebble(zones: Zones) -> Iterator[Pebble]:
    """An authority whose resolver finds these name servers."""
    with temporary_root() as root, zones.resolver() as resolver:
        place = f"{resolver.address}:{resolver.port}"
        with Pebble(root, http_port=1, dnsserver=place) as authority:
            yield authority


def model(root: Path, zones: Zones, pebble: Pebble, host: str) -> None:
    """Write a model with a name and its wildcard; the key is beside it."""
    (root / "tsig.key").write_bytes(zones.key_file.read_bytes())
    solver = {
        "server": zones.server.address,
        "key": "file:tsig.key",
        "ttl": 0,
        "delegated": [TARGETS],
    }
    fields = {
        "global": {"url": f"https://{host}", "extra_names": [f"*.{host}"], "certificate": "acme"},
        "acme": {
            "directory": pebble.directory,
            "trusted_roots": [str(pebble.trusted_root)],
            "terms_of_service_agreed": True,
            "challenge": "dns-01",
        },
        "solvers": {"ours": {"rfc2136": solver}},
        "resolvers": [zones.at(5)],
    }
    (root / "proxygen.yaml").write_text(yaml.safe_dump(fields))


def started(root: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a process that obtains the certificate."""
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(root), *arguments],
        env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])},
    )


def records(root: Path) -> list[str]:
    """Return the records that are remembered in the store of an installation."""
    return list(FileStore(root / "var/lib/proxygen/store").keys("records"))


def test_a_model_says_who_proves_its_names(zones: Zones, pebble: Pebble, root: Path) -> None:
    host = f"model.{APEX}"
    zones.server.set(challenge_name(host), "CNAME", f"model.{TARGETS}.")
    model(root, zones, pebble, host)
    assert started(root).wait(30) == 0
    assert zones.values(f"model.{TARGETS}") == set()
    assert records(root) == []


def test_after_a_kill_the_same_order_goes_on_and_no_record_stays(
    zones: Zones, pebble: Pebble, root: Path
) -> None:
    host = f"killed.{APEX}"
    model(root, zones, pebble, host)
    orders = made(pebble, "orders")
    killed = started(root, "hang")
    try:
        until(lambda: len(zones.values(challenge_name(host))) == 2, "both records")
    finally:
        killed.kill()
        killed.wait()
    assert len(records(root)) == 2
    assert started(root).wait(30) == 0
    assert zones.values(challenge_name(host)) == set()
    assert records(root) == []
    assert made(pebble, "orders") == orders + 1


def test_a_daemon_that_is_told_to_stop_takes_its_records_along(
    zones: Zones, pebble: Pebble, root: Path
) -> None:
    host = f"stopped.{APEX}"
    model(root, zones, pebble, host)
    assert started(root, "leave").wait(30) == 0
    assert zones.values(challenge_name(host)) == set()
    assert records(root) == []
