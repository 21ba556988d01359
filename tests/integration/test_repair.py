"""What was lost, broken or changed behind proxygen's back, and the ways back from there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require
from tests.integration.test_apply import MAIN, WEB, A, B, foreign, names, started, succeeded
from tests.live import client
from tests.live.machine import Machine
from tests.live.needs import path_of
from tests.live.processes import environment

pytestmark = pytest.mark.apart

TRIAL = {"url": "https://mail.example.net", "certificate": "selfsigned"}


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    """Return a machine with nginx and Pebble alone, where mail does not matter."""
    require(WEB)
    with Machine(root, WEB) as running:
        yield running


def loading(machine: Machine, when: str) -> dict[str, object]:
    """Return the settings of nginx with which certificates are loaded at that time."""
    http, https = (f"127.0.0.1:{port}" for port in (machine.nginx.http, machine.nginx.https))
    return {"nginx": {"listen": {"http": [http], "https": [https]}, "certificates": when}}


# What was lost.


def test_a_lost_key_comes_back_from_what_serves(web: Machine) -> None:
    web.model(A | B, main=MAIN)
    succeeded(web.proxygen("apply"))
    served = client.leaf(web.nginx.https, "www.a.example")
    shutil.rmtree(web.root / "var/lib/proxygen/store/bundles/a.example")
    succeeded(web.proxygen("apply"))
    assert web.pebble.new_orders == 3
    assert client.leaf(web.nginx.https, "www.a.example") == served


def test_a_lost_key_is_replaced_and_harms_nobody_else(web: Machine) -> None:
    web.model(A | B, main=MAIN)
    succeeded(web.proxygen("apply"))
    shutil.rmtree(web.root / "var/lib/proxygen/store/bundles/a.example")
    for live in (web.root / "var/lib/proxygen/live/nginx/certificates").glob("a.example-*"):
        live.unlink()
    succeeded(web.proxygen("apply"))
    assert web.pebble.new_orders == 4
    assert names(web, "www.a.example") == {"www.a.example"}


def test_a_damaged_key_is_replaced(web: Machine) -> None:
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    (stored,) = (web.root / "var/lib/proxygen/store/bundles/a.example").iterdir()
    stored.write_bytes(stored.read_bytes()[:-100])
    for live in (web.root / "var/lib/proxygen/live/nginx/certificates").glob("a.example-*"):
        live.unlink()
    web.proxygen("apply")
    succeeded(web.proxygen("apply"))
    assert names(web, "www.a.example") == {"www.a.example"}


def test_uninstall_after_everything_was_lost_leaves_mail_with_tls(machine: Machine) -> None:
    assert machine.postfix
    machine.model({}, main=TRIAL)
    succeeded(machine.proxygen("apply"))
    shutil.rmtree(machine.root / "var/lib/proxygen")
    succeeded(machine.proxygen("apply"))
    succeeded(machine.proxygen("uninstall"))
    assert "proxygen" not in machine.postfix.main.read_text()
    assert client.leaf(machine.postfix.smtp, starttls="smtp")


def test_uninstall_finds_what_is_ours_without_our_folder(machine: Machine) -> None:
    assert machine.postfix
    machine.model({}, main=TRIAL)
    succeeded(machine.proxygen("apply"))
    shutil.rmtree(machine.root / "var/lib/proxygen")
    succeeded(machine.proxygen("uninstall"))
    assert not list(machine.nginx.conf_d.iterdir())
    assert "proxygen" not in machine.postfix.main.read_text()


def test_uninstall_forgets_for_which_names_challenges_are_answered(web: Machine) -> None:
    web.model(A, main=TRIAL)
    succeeded(web.proxygen("apply"))
    answers = web.root / "var/lib/proxygen/store/host/answered/nginx"
    assert "www.a.example" in answers.read_text()
    succeeded(web.proxygen("uninstall"))
    assert not answers.exists()


def test_a_generation_without_its_manifest_is_made_anew_and_loses_nothing(web: Machine) -> None:
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    (web.root / "var/lib/proxygen/live/nginx/current/generation.json").unlink()
    (web.nginx.conf_d / "00-proxygen.conf").unlink()
    succeeded(web.proxygen("apply"))
    check = [path_of("nginx"), "-t", "-q", "-c", web.nginx.main, "-e", "stderr"]
    assert subprocess.run(check, check=False).returncode == 0
    assert names(web, "www.a.example") == {"www.a.example"}


@pytest.mark.parametrize(
    "note", ["begun", "settings.json", "unserved", "unasked", "refused", "former"]
)
def test_a_damaged_note_of_ours_stops_nothing(web: Machine, note: str) -> None:
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    (web.root / "var/lib/proxygen/live/nginx" / note).write_bytes(b"\xff{[")
    succeeded(web.proxygen("apply"))
    web.proxygen("rollback")
    succeeded(web.proxygen("apply"))
    succeeded(web.proxygen("uninstall"))


# What one owner or one service has wrong is nobody else's trouble.


def test_a_broken_template_stops_its_service_alone(machine: Machine) -> None:
    assert machine.dovecot
    folder = machine.root / "etc/proxygen/templates/nginx"
    folder.mkdir(parents=True)
    (folder / "names.conf.j2").write_text("{{ nope }}")
    machine.model({}, main=TRIAL)
    run = machine.proxygen("apply")
    assert run.returncode == 4
    assert "names.conf.j2:1" in run.stderr
    assert client.names(client.leaf(machine.dovecot.imaps)) == {"mail.example.net"}
    assert "names.conf.j2:1" in machine.proxygen("plan").stderr


def test_a_local_directive_in_another_encoding_is_no_trouble(web: Machine) -> None:
    local = web.root / "etc/proxygen/nginx.d"
    local.mkdir(parents=True)
    (local / "latin.conf").write_bytes(b"# gr\xfc\xdfe\n")
    web.model({}, main=TRIAL)
    succeeded(web.proxygen("apply"))


def test_while_nginx_cannot_be_worked_with_what_it_answers_still_counts(web: Machine) -> None:
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    main = web.nginx.main.read_text()
    web.nginx.main.write_text(main.replace("include", "# include"))
    web.model(A | B, main=MAIN)
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert "does not include" in run.stderr
    assert web.pebble.new_orders == 3
    web.nginx.main.write_text(main)
    succeeded(web.proxygen("apply"))
    assert web.pebble.new_orders == 3
    assert names(web, "www.b.example") == {"www.b.example"}


def test_an_output_that_nobody_reads_does_not_stop_the_work(web: Machine) -> None:
    web.model(A, main=MAIN)
    with started(web) as process:
        assert process.stdout
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 0
    assert names(web, "www.a.example") == {"www.a.example"}


# Who may read certificates, when that changes.


def test_a_refused_change_of_who_reads_certificates_leaves_all_served(web: Machine) -> None:
    if os.geteuid() != 0:
        pytest.skip("workers run as another user only when nginx is started by root")
    web.model(A, main=MAIN, services=loading(web, "on_demand"))
    succeeded(web.proxygen("apply"))
    local = web.root / "etc/proxygen/nginx.d"
    local.mkdir(exist_ok=True)
    (local / "bad.conf").write_text("nonsense;\n")
    web.model(A, main=MAIN, services=loading(web, "at_start"))
    assert web.proxygen("apply").returncode == 4
    assert names(web, "www.a.example") == {"www.a.example"}


def test_rollback_to_another_way_of_loading_serves_and_is_verified(web: Machine) -> None:
    web.model(A, main=MAIN, services=loading(web, "on_demand"))
    succeeded(web.proxygen("apply"))
    web.model(A, main=MAIN, services=loading(web, "at_start"))
    succeeded(web.proxygen("apply"))
    run = web.proxygen("rollback", "nginx")
    succeeded(run)
    assert "probe nginx" in run.stdout
    assert names(web, "www.a.example") == {"www.a.example"}


def test_old_keys_go(web: Machine) -> None:
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    var = web.root / "var/lib/proxygen"
    for key_type in ("rsa-2048", "ecdsa-p384", "ecdsa-p256"):
        web.model(A, main=MAIN, acme={"key_type": key_type})
        succeeded(web.proxygen("apply"))
    assert len(list((var / "store/bundles/a.example").iterdir())) == 1
    assert len(list((var / "live/nginx/certificates").glob("a.example-*"))) == 2
    assert list((var / "store").rglob("orders/*")) == []


# Parameters.


def test_a_parameter_that_a_template_sets_no_more_is_given_back(machine: Machine) -> None:
    assert machine.postfix
    ours = Path("templates/postfix/main.cf.j2").read_text()
    folder = machine.root / "etc/proxygen/templates/postfix"
    folder.mkdir(parents=True)
    (folder / "main.cf.j2").write_text(f"{ours}\nsmtpd_banner = ours\nsmtpd_timeout = 99s\n")
    before = machine.postfix.main.read_text()
    machine.model({}, main=TRIAL)
    succeeded(machine.proxygen("apply"))
    assert "smtpd_timeout = 99s" in machine.postfix.main.read_text()
    (folder / "main.cf.j2").unlink()
    succeeded(machine.proxygen("apply"))
    after = machine.postfix.main.read_text()
    assert "smtpd_timeout" not in after
    assert "smtpd_banner = ours" not in after
    succeeded(machine.proxygen("uninstall"))
    assert machine.postfix.main.read_text() == before


def test_main_cf_keeps_its_mode_and_its_being_a_link(machine: Machine) -> None:
    assert machine.postfix
    main = machine.postfix.main
    real = main.with_name("real-main.cf")
    main.rename(real)
    main.symlink_to(real.name)
    real.chmod(0o640)
    before = foreign(machine)
    machine.model({}, main=TRIAL)
    succeeded(machine.proxygen("apply"))
    assert main.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert "proxygen" in real.read_text()
    succeeded(machine.proxygen("uninstall"))
    assert main.is_symlink()
    assert foreign(machine) == before


def test_what_the_administrator_set_since_stays(machine: Machine) -> None:
    assert machine.postfix
    machine.model({}, main=TRIAL)
    succeeded(machine.proxygen("apply"))
    main = machine.postfix.main
    subprocess.run(
        [path_of("postconf"), "-c", main.parent, "-e", "smtpd_tls_security_level=encrypt"],
        check=True,
    )
    succeeded(machine.proxygen("uninstall"))
    assert "smtpd_tls_security_level = encrypt" in main.read_text()


def test_a_taken_port_is_told_in_nginx_own_words(web: Machine) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LISTENER], stdout=subprocess.PIPE, text=True
    ) as taker:
        try:
            assert taker.stdout
            port = taker.stdout.readline().strip()
            services = loading(web, "auto")
            services["nginx"]["listen"]["https"].append(f"127.0.0.1:{port}")  # type: ignore[index]
            web.model({}, main=TRIAL, services=services)
            run = web.proxygen("apply")
            assert run.returncode == 4
            assert "Address already in use" in run.stderr
        finally:
            taker.kill()


LISTENER = """
import socket, time
taken = socket.create_server(("127.0.0.1", 0))
print(taken.getsockname()[1], flush=True)
time.sleep(120)
"""


# Killed before any change.


def killed_before(machine: Machine, change: int, *arguments: str) -> bool:
    """Run proxygen until that change; return whether it came so far."""
    program = Path(__file__).with_name("kill_at.py")
    command = [sys.executable, "-P", program, str(change), "--root", machine.root, *arguments]
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment(PYTHONPATH=str(Path.cwd())),
        check=False,
    )
    assert run.returncode in (-signal.SIGKILL, 0), run.stdout + run.stderr
    return run.returncode != 0


def starts_cold(machine: Machine) -> None:
    """Every service would start now, with a key beside its own certificate."""
    assert machine.dovecot
    assert machine.postfix
    for check in (
        [path_of("nginx"), "-t", "-q", "-c", machine.nginx.main, "-e", "stderr"],
        [path_of("doveconf"), "-x", "-n", "-c", machine.dovecot.main],
    ):
        done = subprocess.run(check, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    set_to = re.search(r"(?m)^smtpd_tls_chain_files = (.+)$", machine.postfix.main.read_text())
    for pem in (machine.root / "var/lib/proxygen/live").glob("*/certificates/*.pem"):
        if not pem.name.endswith(".chain.pem"):
            belongs(pem)
    if set_to:
        belongs(Path(set_to[1]))


def belongs(pem: Path) -> None:
    """The key of a file is that of the leaf in it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)


@pytest.mark.timeout(900)
def test_killed_before_any_change_every_service_starts_and_the_next_run_finishes(
    machine: Machine,
) -> None:
    assert machine.dovecot
    before = foreign(machine)
    change = 1
    while True:  # each run goes on from where the one before was killed
        machine.model(A if change % 2 else A | B, main=TRIAL)
        if not killed_before(machine, change, "apply"):
            break
        starts_cold(machine)
        change += 4
    machine.model(A, main=TRIAL)
    succeeded(machine.proxygen("apply"))
    assert machine.proxygen("apply").stdout == "nothing to do\n"
    assert names(machine, "www.a.example") == {"www.a.example"}
    assert client.names(client.leaf(machine.dovecot.imaps)) == {"mail.example.net"}
    store = machine.root / "var/lib/proxygen/store"
    assert len(list((store / "bundles/a.example").iterdir())) == 1
    assert not [path for path in store.rglob("*") if path.name.endswith(".new")]
    change = 1
    while killed_before(machine, change, "uninstall"):
        starts_cold(machine)
        change += 4
    assert foreign(machine) == before
