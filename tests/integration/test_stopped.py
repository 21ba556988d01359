"""Services that do not run, or that show something else: told until it is right, no longer."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import leaf
from tests.conftest import require
from tests.live.machine import LOCKS, Machine
from tests.live.processes import Program, until

pytestmark = pytest.mark.apart

MAIN = {"url": "https://mail.example.net", "certificate": "selfsigned"}
A = {"a.example": {"url": "https://www.a.example", "certificate": "selfsigned"}}
B = {"b.example": {"url": "https://www.b.example", "certificate": "selfsigned"}}
SERVICES = ["nginx", "postfix", "dovecot"]


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    """Return a machine with nginx alone, where mail does not matter."""
    require(("nginx", "pebble"))
    with Machine(root, ("nginx", "pebble")) as running:
        yield running


def programs(machine: Machine) -> list[Program]:
    """Return the three services."""
    assert machine.postfix
    assert machine.dovecot
    return [machine.nginx, machine.postfix, machine.dovecot]


def written(machine: Machine) -> dict[str, int]:
    """Return when each file of ours was written, but for what nginx answers for while it runs."""
    ours = (machine.root / "var/lib/proxygen").rglob("*")
    some = (path for path in ours if path.name not in LOCKS and "answered" not in path.parts)
    return {str(path): path.lstat().st_mtime_ns for path in some if path.name != "host"}


def served_by(machine: Machine) -> dict[str, list[str]]:
    """Return the services of the column SERVED BY by owner."""
    said = json.loads(machine.proxygen("status", "--json").stdout)
    return {each["owner"]: each["services"] for each in said["owners"]}


def notes(machine: Machine) -> list[str]:
    """Return the services of which it is noted that they do not show what is wanted."""
    return [path.parent.name for path in machine.root.glob("var/lib/proxygen/live/*/unserved")]


def ended(machine: Machine, code: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command that must end with *code*; return what it said."""
    run = machine.proxygen(*arguments)
    assert run.returncode == code, run.stdout + run.stderr
    return run


def told(machine: Machine, code: int, *arguments: str) -> dict[str, Any]:
    """Run a command with ``--json`` that must end with *code*; return what it said."""
    said: dict[str, Any] = json.loads(ended(machine, code, *arguments, "--json").stdout)
    return said


def test_what_does_not_run_is_six_until_it_does_also_with_nothing_to_do(machine: Machine) -> None:
    machine.model(A, main=MAIN)
    ended(machine, 0, "apply")
    for each in programs(machine):
        each.stop()
    before = written(machine)
    run = ended(machine, 6, "apply")
    assert run.stdout == ""
    assert run.stderr.startswith("nothing to do, but not all is served:\n")
    assert [run.stderr.count(f"{name} is not running") for name in SERVICES] == [1, 1, 1]
    assert "systemctl start dovecot" in run.stderr
    said = told(machine, 6, "apply")
    assert [each["of"] for each in said["failures"]] == SERVICES
    assert (said["done"], said["exit_code"]) == ([], 6)
    ended(machine, 6, "renew")
    plan = ended(machine, 0, "plan")
    assert plan.stdout == "nothing to do\n"
    assert "warning: postfix is not running" in plan.stderr
    checked = ended(machine, 2, "check").stdout
    assert "is not running" in checked
    assert " unserved=3;;;0" in checked
    assert served_by(machine) == {"global": [], "a.example": []}
    assert written(machine) == before
    for each in programs(machine):
        each.start()
    assert ended(machine, 0, "apply").stdout == "nothing to do\n"
    assert ended(machine, 0, "renew").stderr == ""
    assert served_by(machine) == {"global": sorted(SERVICES), "a.example": ["nginx"]}
    assert written(machine) == before


def test_what_was_started_after_it_was_set_up_is_probed_once(machine: Machine) -> None:
    machine.model(A, main=MAIN)
    for each in programs(machine):
        each.stop()
    ended(machine, 6, "apply")
    assert sorted(notes(machine)) == sorted(SERVICES)
    before = written(machine)
    ended(machine, 6, "apply")
    assert written(machine) == before
    for each in programs(machine):
        each.start()
    assert served_by(machine)["global"] == []  # nobody has seen it yet
    assert "did not serve" in ended(machine, 0, "status").stderr
    run = ended(machine, 0, "apply")
    assert "probe dovecot" in run.stdout
    assert run.stderr == ""
    assert notes(machine) == []
    assert ended(machine, 0, "status").stderr == ""
    assert served_by(machine)["global"] == sorted(SERVICES)


def test_a_service_that_is_not_in_the_model_may_stay_stopped(machine: Machine) -> None:
    assert machine.dovecot
    path = machine.model({}, main=MAIN)
    model = json.loads(path.read_text())
    del model["services"]["dovecot"]
    path.write_text(json.dumps(model))
    machine.dovecot.stop()
    ended(machine, 0, "apply")
    assert "nothing to do" in ended(machine, 0, "apply").stdout


def test_what_others_show_for_one_name_is_told_of_that_one_until_it_is_over(web: Machine) -> None:
    web.model(A | B, main=MAIN)
    ended(web, 0, "apply")
    override = web.nginx.conf_d / "00-before.conf"
    override.write_text(server(web, "www.a.example"))
    reload(web)
    web.model(A | B | {"c.example": {"url": "https://www.c.example"}}, main=MAIN)
    ended(web, 6, "apply")
    others = {"global": ["nginx"], "b.example": ["nginx"], "c.example": ["nginx"]}
    assert served_by(web) == others | {"a.example": []}
    assert "did not serve" in ended(web, 0, "status").stderr
    override.unlink()
    reload(web)
    web.model(A | B, main=MAIN)  # what is installed looks at what was wrong, too
    assert ended(web, 0, "apply").stderr == ""
    assert notes(web) == []
    assert served_by(web)["a.example"] == ["nginx"]


# A change that a service refuses: it serves what it had, which is not what the model wants.


def test_what_nginx_refused_is_told_until_it_has_what_the_model_wants(web: Machine) -> None:
    web.model(A, main=MAIN)
    ended(web, 0, "apply")
    local = web.nginx.conf_d / "zz-broken.conf"
    local.write_text("no_such_directive on;\n")
    web.model(A | B, main=MAIN)
    run = ended(web, 4, "apply")
    assert "has kept its previous configuration" not in run.stderr  # the failure itself is told
    check = ended(web, 1, "check").stdout
    assert "WARNING - nginx has kept its previous configuration since " in check
    assert "no_such_directive" in check
    status = ended(web, 0, "status")
    assert "warning: nginx has kept its previous configuration since " in status.stderr
    assert "no_such_directive" in status.stderr
    (said,) = told(web, 0, "status")["services"]
    assert "no_such_directive" in said["refused"]["words"]
    assert "has kept its previous configuration" in ended(web, 0, "plan").stderr
    before = written(web)
    ended(web, 4, "apply")
    assert written(web)[str(refused(web))] == before[str(refused(web))]  # no news
    local.unlink()
    assert "was not given" not in ended(web, 0, "apply").stderr
    assert not refused(web).exists()
    ended(web, 0, "check")
    assert ended(web, 0, "status").stderr == ""


def test_what_was_refused_is_told_no_longer_once_the_model_is_as_before(web: Machine) -> None:
    web.model(A, main=MAIN)
    ended(web, 0, "apply")
    template = web.root / "etc/proxygen/templates/nginx/names.conf.j2"
    template.parent.mkdir(parents=True)
    template.write_text("{{ nope }}")
    ended(web, 4, "apply")
    assert "names.conf.j2:1" in ended(web, 0, "status").stderr
    assert "has kept its previous configuration" in ended(web, 1, "check").stdout
    template.unlink()
    assert ended(web, 0, "apply").stderr == ""  # nothing is to be installed
    assert ended(web, 0, "status").stderr == ""
    ended(web, 0, "check")


def refused(machine: Machine) -> Path:
    """Return the note of what nginx refused."""
    return machine.root / "var/lib/proxygen/live/nginx/refused"


def server(machine: Machine, name: str) -> str:
    """Return a server of somebody else's, with a name of ours."""
    pair = leaf(None, name).pair()
    place = machine.root / "etc/foreign.pem"
    place.write_bytes(pair.pem)
    return (
        f"server {{ listen 127.0.0.1:{machine.nginx.https} ssl; server_name {name};"
        f" ssl_certificate {place}; ssl_certificate_key {place}; }}\n"
    )


def reload(machine: Machine) -> None:
    """Reload nginx as an administrator does, and wait for its new workers."""
    former = machine.nginx.workers
    assert machine.nginx.process
    machine.nginx.process.popen.send_signal(signal.SIGHUP)
    until(lambda: machine.nginx.workers and not machine.nginx.workers & former, "new workers")
