"""Places that a run did not come to ask: they are not wrong, and the next run asks them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from proxygen.apply.probe import AT_ONCE
from tests.conftest import require
from tests.daemon.test_outside import without_ours
from tests.integration.test_stopped import MAIN, A, ended, notes, reload, told
from tests.live import client
from tests.live.machine import Machine
from tests.live.processes import environment

pytestmark = pytest.mark.apart

TEMPLATES = Path(__file__).parents[2] / "templates"
HURRIED = Path(__file__).with_name("hurried.py")
MANY = {f"d{number}.example": {"url": f"https://d{number}.example"} for number in range(150)}
NOT_ASKED = "warning: nginx has not been probed yet for "


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    """Return a machine with nginx alone, on which a.example is set up."""
    require(("nginx", "pebble"))
    with Machine(root, ("nginx", "pebble")) as running:
        running.model(A, main=MAIN)
        ended(running, 0, "apply")
        yield running


def hurried(machine: Machine, code: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command that has no time to ask more than the first places; return what it said."""
    command = [sys.executable, "-P", str(HURRIED), "--root", str(machine.root)]
    run = subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        env=environment() | {"PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert run.returncode == code, run.stdout + run.stderr
    return run


def noted(machine: Machine, note: str) -> list[str]:
    """Return the names in a note about nginx."""
    path = machine.root / "var/lib/proxygen/live/nginx" / note
    found: list[str] = json.loads(path.read_text())["names"] if path.exists() else []
    return found


def shown(machine: Machine, name: str) -> frozenset[str]:
    """Return the names of the certificate that a client of *name* is shown."""
    return client.names(client.leaf(machine.nginx.https, name))


def steps(machine: Machine) -> list[dict[str, Any]]:
    """Return the steps of a plan."""
    found: list[dict[str, Any]] = told(machine, 0, "plan")["steps"]
    return found


def test_what_was_not_asked_is_in_place_and_is_asked_by_the_next_run(web: Machine) -> None:
    web.model(A | MANY, main=MAIN)
    run = hurried(web, 0, "apply")
    assert NOT_ASKED in run.stderr
    assert "not done" not in run.stderr
    assert notes(web) == []
    left = noted(web, "unasked")
    assert len(left) >= len(MANY) - AT_ONCE
    assert shown(web, "d149.example") == {"mail.example.net"}  # nothing was put back
    assert NOT_ASKED in ended(web, 0, "status").stderr
    (verify,) = steps(web)
    assert (verify["step"], verify["reason"]) == ("verify", "unasked")
    assert len(verify["endpoints"]) >= len(left)
    planned = ended(web, 0, "plan")
    assert ": no run has probed these places yet" in planned.stdout
    assert NOT_ASKED in planned.stderr
    assert "nginx has not been probed yet" in ended(web, 1, "check").stdout
    run = ended(web, 0, "apply")
    assert f"probe nginx: {len(verify['endpoints'])} connections as a client" in run.stdout
    assert "reload" not in run.stdout
    assert NOT_ASKED not in run.stderr
    assert noted(web, "unasked") == []
    assert ended(web, 0, "apply").stdout == "nothing to do\n"
    assert NOT_ASKED not in ended(web, 0, "status").stderr
    assert "not asked" not in web.proxygen("check").stdout


def test_each_run_without_time_asks_some_more(web: Machine) -> None:
    web.model(A | MANY, main=MAIN)
    hurried(web, 0, "apply")
    first = noted(web, "unasked")
    hurried(web, 0, "renew")
    second = noted(web, "unasked")
    assert set(second) < set(first)
    assert len(second) <= len(first) - AT_ONCE
    assert NOT_ASKED not in ended(web, 0, "renew").stderr
    assert noted(web, "unasked") == []


def test_what_a_later_change_finds_unasked_is_asked_with_it(web: Machine) -> None:
    web.model(A | MANY, main=MAIN)
    hurried(web, 0, "apply")
    web.model(A | MANY | {"e.example": {"url": "https://www.e.example"}}, main=MAIN)
    assert NOT_ASKED not in ended(web, 0, "apply").stderr
    assert noted(web, "unasked") == []


def test_a_wrong_place_is_found_although_others_were_not_asked(web: Machine) -> None:
    override(web, "d0.example")
    web.model(A | MANY, main=MAIN)
    run = hurried(web, 6, "apply")
    assert "others were not probed for lack of time" in run.stderr
    assert noted(web, "unserved") == ["d0.example"]
    left = noted(web, "unasked")
    assert len(left) >= len(MANY) - AT_ONCE
    assert shown(web, "d149.example") == {
        "mail.example.net"
    }  # the change is not to blame: it stays
    ended(web, 6, "apply")
    assert noted(web, "unserved")[0] == "d0.example"
    assert noted(web, "unasked") == []
    (web.nginx.conf_d / "00-before.conf").unlink()
    reload(web)
    ended(web, 0, "apply")
    assert notes(web) == []


def test_a_wrong_place_among_those_not_asked_is_found_by_the_next_run(web: Machine) -> None:
    override(web, "d149.example")
    web.model(A | MANY, main=MAIN)
    hurried(web, 0, "apply")
    assert "d149.example" in noted(web, "unasked")
    run = ended(web, 6, "apply")
    assert "d149.example" in run.stderr
    assert "d149.example" in noted(web, "unserved")


def test_what_was_wrong_and_is_not_asked_now_stays_wrong(web: Machine) -> None:
    override(web, "d149.example")
    web.model(A | MANY, main=MAIN)
    ended(web, 6, "apply")
    web.model(A | MANY | new(40), main=MAIN)
    run = hurried(web, 6, "apply")
    assert "d149.example" in run.stderr
    assert "d149.example" in noted(web, "unserved")


def test_a_change_that_is_to_blame_is_put_back_although_others_were_not_asked(
    web: Machine,
) -> None:
    web.model(A | MANY, main=MAIN)
    ended(web, 0, "apply")
    without_ours(web)  # its certificate is what the template of the administrator names
    ours = (TEMPLATES / "nginx/proxygen.conf.j2").read_text()
    wrong = web.root / "etc/proxygen/templates/nginx/proxygen.conf.j2"
    wrong.parent.mkdir(parents=True)
    foreign = str(web.root / "etc/foreign.pem")
    for said in ("$proxygen_{{ map.variable }}", "{{ certificate }}"):
        ours = ours.replace(f"ssl_certificate {said};", f"ssl_certificate {foreign};")
        ours = ours.replace(f"ssl_certificate_key {said};", f"ssl_certificate_key {foreign};")
    wrong.write_text(ours)
    run = hurried(web, 4, "apply")
    assert "accepted the new configuration, but clients receive something else" in run.stderr
    assert shown(web, "d149.example") == shown(web, "d0.example") == {"mail.example.net"}
    assert notes(web) == []


def test_rollback_tells_what_it_did_not_come_to_ask(web: Machine) -> None:
    web.model(A | MANY, main=MAIN)
    ended(web, 0, "apply")
    web.model(A, main=MAIN)
    ended(web, 0, "apply", "--confirm-removal")
    run = hurried(web, 0, "rollback")
    assert NOT_ASKED in run.stderr
    assert noted(web, "unasked")
    assert shown(web, "d149.example") == {"mail.example.net"}


def override(machine: Machine, *names: str) -> None:
    """Have a server of somebody else's answer for names of ours; nginx read it already."""
    text = without_ours(machine, *names).replace("www.a.example mail.example.net", "")
    (machine.nginx.conf_d / "00-before.conf").write_text(text)
    reload(machine)


def new(count: int) -> Mapping[str, Any]:
    """Return so many other domains."""
    return {f"n{number}.example": {"url": f"https://n{number}.example"} for number in range(count)}
