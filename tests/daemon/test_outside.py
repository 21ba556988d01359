"""Services from outside: restarted, changed by somebody else, or serving something else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from proxygen.apply import change, probe
from proxygen.daemon import outside as outside_module
from proxygen.daemon.outside import AT_ONCE, MISSED, SOCKETS, Outside
from proxygen.model.layout import Layout
from proxygen.services import Endpoint
from tests.certificates import leaf
from tests.conftest import require
from tests.daemon.surroundings import MAIN, Trial, events
from tests.live import client
from tests.live.machine import Machine
from tests.live.needs import path_of
from tests.live.processes import until
from tests.models import FOLDER

pytestmark = pytest.mark.apart

A = {"a.example": {"url": "https://www.a.example", "certificate": "selfsigned"}}


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    require(("nginx", "pebble"))
    with Machine(root, ("nginx", "pebble")) as running:
        yield running


@pytest.fixture
def trial(web: Machine) -> Iterator[Trial]:
    """Return a loop after its first round, beside a real nginx."""
    with events() as kept:
        made = Trial(web.root, kept)
        web.model(A, main=MAIN)
        made.watch.step()
        assert not kept.of("service_failed")
        kept.all.clear()
        yield made
        made.watching.close()


def names(machine: Machine, name: str) -> frozenset[str]:
    return client.names(client.leaf(machine.nginx.https, name))


def reload(machine: Machine) -> None:
    """Reload nginx as an administrator does, and wait for its new workers."""
    former = machine.nginx.workers
    where = ["-c", str(machine.nginx.main), "-p", str(machine.root)]
    command = [path_of("nginx"), "-s", "reload", *where]
    subprocess.run(command, check=True, capture_output=True)
    until(lambda: machine.nginx.workers and not machine.nginx.workers & former, "new workers")


def test_a_restarted_service_is_a_reason(trial: Trial, web: Machine) -> None:
    web.nginx.stop()
    trial.go(20)
    assert trial.events.of("service_ended")
    assert trial.events.reasons == [("nginx ended",)]
    web.nginx.start()
    trial.go(20)
    assert trial.events.of("service_restarted")
    assert trial.events.reasons == [("nginx ended",), ("nginx restarted",)]
    trial.go(600)
    assert not trial.events.of("not_served")


def test_what_somebody_else_changed_among_its_files_is_repaired(trial: Trial, web: Machine) -> None:
    pointer = web.nginx.conf_d / "00-proxygen.conf"
    ours = pointer.read_text()
    pointer.write_text("# mine\n")
    trial.changed()
    trial.go(10)
    assert trial.events.reasons == [("files of nginx",)]
    assert pointer.read_text() == ours
    trial.changed()
    trial.go(10)
    assert len(trial.events.reasons) == 1


def test_a_foreign_file_beside_ours_is_probed_once(trial: Trial, web: Machine) -> None:
    (web.nginx.conf_d / "mine.conf").write_text("# nothing\n")
    trial.changed()
    trial.go(10)
    trial.changed()
    trial.go(10)
    assert trial.events.reasons == [("files of nginx",)]


def test_a_service_that_serves_something_else_is_reloaded(trial: Trial, web: Machine) -> None:
    pointer = web.nginx.conf_d / "00-proxygen.conf"
    ours = pointer.read_text()
    pointer.write_text(without_ours(web))
    reload(web)
    pointer.write_text(ours)  # the files are as wanted, but nginx serves what it read
    trial.go(60)
    assert trial.events.of("not_served")
    assert trial.events.of("reloaded")
    assert trial.events.reasons == [("nginx serves something else",)]
    assert names(web, "www.a.example") == {"www.a.example"}
    assert not (web.root / "var/lib/proxygen/live/nginx/unserved").exists()


def test_what_no_reload_repairs_is_reported_and_probed_ever_less_often(
    trial: Trial, web: Machine
) -> None:
    override = web.nginx.conf_d / "00-before.conf"
    override.write_text(without_ours(web))
    reload(web)
    trial.go(60)
    failed = [each for each in trial.events.of("not_served") if "of" in each]
    assert [each["of"] for each in failed] == ["nginx"]
    assert trial.watch.calendar.troubles == 1
    override.unlink()
    reload(web)
    trial.changed()
    trial.go(90)
    assert trial.watch.calendar.troubles == 0
    assert not (web.root / "var/lib/proxygen/live/nginx/unserved").exists()
    assert names(web, "www.a.example") == {"www.a.example"}


def without_ours(machine: Machine, *others: str) -> str:
    """Return a server of somebody else's, with names of ours, *others* among them."""
    pair = leaf(None, "www.a.example").pair()
    place = machine.root / "etc/foreign.pem"
    place.write_bytes(pair.pem)
    return (
        f"server {{ listen 127.0.0.1:{machine.nginx.https} ssl;"
        f" server_name www.a.example mail.example.net {' '.join(others)};"
        f" ssl_certificate {place}; ssl_certificate_key {place}; }}\n"
    )


def endpoint(number: int) -> Endpoint:
    """Return an endpoint of a service that does not run."""
    return Endpoint("nginx", "127.0.0.1", 443, f"d{number}.example", None)


def test_every_endpoint_gets_its_turn_and_no_minute_has_more_than_its_share() -> None:
    outside = Outside(Layout(FOLDER, FOLDER / "proxygen.yaml"), sockets_at=SOCKETS)
    outside.endpoints = tuple(map(endpoint, range(23)))
    seen = [each for look in range(5) for each in outside.next(15.0 * look)]
    assert sorted(seen, key=str) == sorted(outside.endpoints, key=str)
    assert 4 * AT_ONCE <= 20


def test_every_socket_of_the_global_name_is_probed_every_few_minutes() -> None:
    outside = Outside(Layout(FOLDER, FOLDER / "proxygen.yaml"))
    outside.endpoints = tuple(map(endpoint, range(23)))
    outside.sockets = tuple(replace(endpoint(0), port=port) for port in (25, 465, 587, 993))
    looks = [outside.next(15.0 * look) for look in range(33)]
    assert [index for index, look in enumerate(looks) if look == outside.sockets] == [0, 16, 32]


def test_a_probe_that_finds_all_right_ends_what_is_told_of_it(trial: Trial, web: Machine) -> None:
    note = web.root / "var/lib/proxygen/live/nginx/unserved"
    override = web.nginx.conf_d / "00-before.conf"
    override.write_text(without_ours(web))
    reload(web)
    trial.go(150)
    assert trial.watch.calendar.troubles >= 2  # the next round would come after 10 minutes
    assert note.exists()
    override.unlink()
    reload(web)
    trial.go(MISSED + 20)
    assert trial.events.of("served_again")
    assert trial.events.reasons[-1] == ("nginx serves what is wanted",)
    assert not note.exists()
    assert trial.watch.calendar.troubles == 0


def test_all_places_that_were_missed_are_probed_in_one_probe(trial: Trial, web: Machine) -> None:
    many = {f"d{number}.example": {"url": f"https://d{number}.example"} for number in range(40)}
    override = web.nginx.conf_d / "00-before.conf"
    override.write_text(without_ours(web, *(each.removeprefix("https://") for each in many)))
    reload(web)
    web.model(A | many, main=MAIN)
    trial.changed()
    trial.go(10)
    assert [each["of"] for each in trial.events.of("not_served") if "of" in each] == ["nginx"]
    assert len(trial.watch.outside.missed) >= len(many)
    override.unlink()
    reload(web)
    rounds = len(trial.events.reasons)
    trial.watch.calendar.again_at = float("inf")  # no round but for what is seen
    trial.go(MISSED + 20)
    assert trial.events.of("served_again")
    assert trial.events.reasons[rounds:] == [("nginx serves what is wanted",)]
    assert not (web.root / "var/lib/proxygen/live/nginx/unserved").exists()


def test_a_probe_at_missed_places_goes_on_where_the_last_one_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outside_module, "LONGEST_LOOK", 0.0)
    outside = Outside(Layout(FOLDER, FOLDER / "proxygen.yaml"), pids={"nginx": 1})
    outside.missed = tuple(map(endpoint, range(40)))  # nobody listens there
    assert not outside.mended(0.0)
    asked = probe.AT_ONCE
    assert outside.missed == tuple(map(endpoint, [*range(asked, 40), *range(asked)]))
    first = outside.missed
    assert not outside.mended(MISSED / 2)
    assert outside.missed is first


def test_what_a_round_did_not_come_to_ask_is_asked_by_the_next_one(
    trial: Trial, web: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = web.root / "var/lib/proxygen/live/nginx/unasked"
    many = {f"d{number}.example": {"url": f"https://d{number}.example"} for number in range(40)}
    web.model(A | many, main=MAIN)
    with monkeypatch.context() as hurry:
        hurry.setattr(change, "MOST", 0.0)
        trial.changed()
        trial.go(5)
        assert note.exists()
    assert not trial.events.of("service_failed")
    assert trial.watch.calendar.troubles == 0
    trial.go(60)
    assert not note.exists()
    assert ("nginx was not probed everywhere",) in trial.events.reasons
    rounds = len(trial.events.reasons)
    trial.go(300)
    assert len(trial.events.reasons) == rounds
