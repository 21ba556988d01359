"""Round after round in one process: what is known from before never stands in for what is."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxygen import assemble
from proxygen.apply.outcome import SILENT, Outcome
from proxygen.apply.rendering import wanted_of
from proxygen.host import files
from proxygen.model.layout import Layout
from proxygen.observe.site import observe
from proxygen.plan.rendering import Rendering
from proxygen.reconcile import make_plan, reconcile
from proxygen.stores.bundles import Bundles, secret_key
from tests.conftest import require
from tests.live import client
from tests.live.machine import LOCKS, Machine

MAIN = {"url": "https://mail.example.net", "certificate": "selfsigned"}
A = {"a.example": {"url": "https://www.a.example", "certificate": "selfsigned"}}
B = {"b.example": {"url": "https://www.b.example", "certificate": "selfsigned"}}


class Process:
    """A process that does round after round, as the daemon does."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.layout = Layout(machine.root, machine.config)
        self.files = assemble.ModelFiles()
        self.parts = assemble.build_installation(self.layout, lambda: datetime.now(UTC))

    def round(self) -> Outcome:
        """Do one round; a process that begins just now finds nothing left to do."""
        site = assemble.read_site(self.layout, self.files)
        self.parts = assemble.build_installation(self.layout, self.parts.now, self.parts)
        outcome = reconcile(site, self.parts, SILENT)
        fresh = assemble.build_installation(self.layout, self.parts.now)
        assert not make_plan(site, fresh, observe(site, fresh)).steps
        return outcome

    def serial(self, name: str) -> int:
        """Return the serial number of the certificate that a client is shown."""
        return client.leaf(self.machine.nginx.https, name).serial_number

    @property
    def live(self) -> Path:
        """Where nginx's files are."""
        return self.layout.live("nginx").folder


@pytest.fixture
def process(root: Path) -> Iterator[Process]:
    """Return a process that has served two domains for a while."""
    require(("nginx", "pebble"))
    with Machine(root, ("nginx", "pebble")) as machine:
        machine.model(A | B, main=MAIN)
        process = Process(machine)
        assert not process.round().failures
        settle(process)
        yield process


def settle(process: Process) -> None:
    """Wait until no file was written just now, and do a round that gets to know them."""
    current = process.live / "current/proxygen.conf"
    while files.stamp_of(current) is None:
        time.sleep(0.02)
    assert not process.round().done


def installed(process: Process) -> Rendering:
    """Return what nginx should have, as the process knows it."""
    site = assemble.read_site(process.layout, process.files)
    return wanted_of("nginx", site, process.parts, observe(site, process.parts))


def test_nothing_due_is_nothing_done_and_nothing_made_again(process: Process) -> None:
    before, first = modified(process.machine.root), installed(process)
    assert not process.round().done
    assert installed(process) is first
    assert modified(process.machine.root) == before


def modified(root: Path) -> dict[str, int]:
    """Return when each file of ours was written."""
    ours = (root / "var/lib/proxygen").rglob("*")
    return {str(path): path.lstat().st_mtime_ns for path in ours if path.name not in LOCKS}


def test_a_changed_model_is_served(process: Process) -> None:
    more = {"b.example": B["b.example"] | {"extra_names": ["x.b.example"]}}
    process.machine.model(A | more, main=MAIN)
    assert process.round().done
    assert client.names(client.leaf(process.machine.nginx.https, "x.b.example")) >= {"x.b.example"}
    process.machine.model(A, main=MAIN)
    assert process.round().done
    with pytest.raises(OSError, match=r"(?i)unrecognized|alert|EOF"):
        process.serial("x.b.example")


def damaged(process: Process) -> None:
    conf = process.live / "current/proxygen.conf"
    conf.write_text(conf.read_text().replace("www.a.example", "www.x.example"))


def key_lost(process: Process) -> None:
    bundle = process.parts.bundles.all()["a.example"]
    process.parts.store.delete(secret_key(bundle.owner, bundle.digest))


def replaced_by_another_process(process: Process) -> None:
    others = Bundles(process.parts.store)
    others.note(others.all()["a.example"], replace=True)


def forgotten_by_another_process(process: Process) -> None:
    others = Bundles(process.parts.store)
    others.forget(others.all()["a.example"])


def certificate_for_all(process: Process) -> None:
    next((process.live / "certificates").glob("a.example-*.pem")).chmod(0o644)


def local_directives(process: Process) -> None:
    folder = process.layout.etc / "nginx.d"
    folder.mkdir(parents=True)
    (folder / "own.conf").write_text("add_header X-Own 1 always;\n")


def template(process: Process) -> None:
    folder = process.layout.etc / "templates/nginx"
    folder.mkdir(parents=True)
    ours = process.parts.templates.templates["nginx/proxygen.conf.j2"].text
    (folder / "proxygen.conf.j2").write_text(ours + "\n# mine\n")


def manifest_gone(process: Process) -> None:
    (process.live / "current/generation.json").unlink()


def everything_gone(process: Process) -> None:
    shutil.rmtree(process.live)


@pytest.mark.parametrize(
    "act",
    [
        *(damaged, key_lost, replaced_by_another_process, forgotten_by_another_process),
        *(certificate_for_all, local_directives, template, manifest_gone, everything_gone),
    ],
    ids=lambda act: act.__name__,
)
def test_what_changed_elsewhere_is_seen(process: Process, act: Callable[[Process], None]) -> None:
    act(process)
    outcome = process.round()
    assert outcome.done
    assert not outcome.failures
    assert process.serial("www.a.example") != process.serial("www.b.example")
    assert not process.round().done


def test_services_are_changed_once_although_certificates_come_first(process: Process) -> None:
    more = {"c.example": A["a.example"] | {"url": "c.example"}}
    process.machine.model(A | B | more, main=MAIN)
    outcome = process.round()
    kinds = [each.split(maxsplit=1)[0] for each in outcome.done]
    assert kinds == ["issue", "install", "reload", "probe"]
    assert process.serial("c.example") != process.serial("mail.example.net")


def test_services_change_though_no_certificate_comes(process: Process) -> None:
    supplied = {"file": {"certificate": "none.pem", "key": "none.pem"}}
    more = {"c.example": {"url": "c.example", "certificate": supplied}}
    process.machine.model(A | B | more, main=MAIN)
    site = assemble.read_site(process.layout, process.files)
    outcome = reconcile(site, process.parts, SILENT)
    assert [of for of, _ in outcome.failures] == ["c.example"]
    assert process.serial("c.example") == process.serial("mail.example.net")


def test_a_plan_shows_the_services_besides_the_certificates(process: Process) -> None:
    process.machine.model({**A, **B, "c.example": A["a.example"] | {"url": "c.example"}}, main=MAIN)
    site = assemble.read_site(process.layout, process.files)
    plan = make_plan(site, process.parts, observe(site, process.parts))
    assert [type(step).__name__ for step in plan.steps] == ["Issue", "Install", "Reload", "Verify"]
