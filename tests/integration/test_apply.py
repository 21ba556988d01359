"""`apply` when something is wrong: what serves goes on, and the words say what to do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require
from tests.live import client
from tests.live.machine import Machine
from tests.live.needs import path_of
from tests.live.processes import environment

pytestmark = pytest.mark.apart

MAIN = {"url": "https://mail.example.net", "certificate": "acme"}
A = {"a.example": {"url": "https://www.a.example", "certificate": "acme"}}
B = {"b.example": {"url": "https://www.b.example", "certificate": "acme"}}
REFUSED = r"(?i)unrecognized|alert|EOF"
WEB = ("nginx", "pebble")


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    """Return a machine with nginx and Pebble alone, where mail does not matter."""
    require(WEB)
    with Machine(root, WEB) as running:
        yield running


def names(machine: Machine, name: str) -> frozenset[str]:
    """Return the names of the certificate that nginx shows for *name*."""
    return client.names(client.leaf(machine.nginx.https, name))


def succeeded(run: subprocess.CompletedProcess[str]) -> None:
    """Fail with all that was said unless the command succeeded."""
    assert run.returncode == 0, run.stdout + run.stderr


def test_first_apply_makes_one_account_and_one_order_a_certificate(web: Machine) -> None:
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    assert (web.pebble.new_accounts, web.pebble.new_orders) == (1, 2)
    assert names(web, "www.a.example") == {"www.a.example"}


def test_a_new_domain_costs_one_order_and_two_reloads(web: Machine) -> None:
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    web.model(A | B, main=MAIN)
    run = web.proxygen("apply")
    succeeded(run)
    assert run.stdout.count("reload nginx") == 2  # it is served before anybody is waited for
    assert web.pebble.new_orders == 3
    assert names(web, "www.b.example") == {"www.b.example"}


def test_a_failed_order_leaves_its_domain_on_the_global_certificate(web: Machine) -> None:
    web.model(A | B, main=MAIN)
    web.pebble.dns.set_servfail("www.b.example")
    run = web.proxygen("apply")
    assert run.returncode == 5
    assert "b.example" in run.stderr
    assert "urn:ietf:params:acme:error:" in run.stderr  # the authority's own words
    assert names(web, "www.a.example") == {"www.a.example"}
    assert names(web, "www.b.example") == {"mail.example.net"}
    status = json.loads(web.proxygen("status", "--json").stdout)
    failed = next(owner for owner in status["owners"] if owner["owner"] == "b.example")
    assert failed["served_with"] == "global"
    assert "www.b.example" in failed["last_error"]["what"]

    web.pebble.dns.clear_servfail("www.b.example")
    waiting = web.proxygen("apply")
    assert waiting.returncode == 5  # it was not obtained
    assert "nothing to do now" in waiting.stdout
    assert "b.example: postponed until" in waiting.stderr
    assert "`proxygen apply b.example` tries it now" in waiting.stderr
    assert web.pebble.new_orders == 3
    succeeded(web.proxygen("apply", "b.example"))
    assert names(web, "www.b.example") == {"www.b.example"}
    assert web.pebble.new_orders == 4


def test_a_certificate_taken_out_of_the_model_is_served_no_more(web: Machine) -> None:
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    web.model({"a.example": {"url": "https://www.a.example"}}, main=MAIN)
    succeeded(web.proxygen("apply"))
    assert names(web, "www.a.example") == {"mail.example.net"}
    web.model({}, main=MAIN)
    succeeded(web.proxygen("apply", "--confirm-removal"))
    with pytest.raises(OSError, match=REFUSED):
        names(web, "www.a.example")


def test_an_unreachable_authority_leaves_a_stand_in_serving(web: Machine) -> None:
    unreachable = {"directory": "https://127.0.0.1:1/dir"}
    web.model(A, main=MAIN, acme=unreachable)
    run = web.proxygen("apply")
    assert run.returncode == 5
    assert "127.0.0.1:1" in run.stdout + run.stderr
    assert names(web, "mail.example.net") == {"mail.example.net"}
    assert names(web, "www.a.example") == {"mail.example.net"}
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    assert names(web, "www.a.example") == {"www.a.example"}


def test_a_wrong_model_touches_nothing(web: Machine) -> None:
    web.model({"a.example": {"url": "https://mail.example.net"}}, main=MAIN)
    run = web.proxygen("apply")
    assert run.returncode == 3
    assert "already belongs to the global URL" in run.stderr
    assert not (web.root / "var/lib/proxygen").exists()
    assert not list(web.nginx.conf_d.iterdir())


def test_a_bad_supplied_certificate_harms_its_domain_alone(web: Machine) -> None:
    supplied = {
        "d.example": {
            "url": "https://d.d.example",
            "certificate": {"file": {"certificate": "d.pem"}},
        }
    }
    web.model(A | supplied, main=MAIN)
    (web.config.parent / "d.pem").write_text("not a certificate")
    run = web.proxygen("apply")
    assert run.returncode == 5
    assert "d.pem" in run.stderr + run.stdout
    assert names(web, "www.a.example") == {"www.a.example"}
    assert names(web, "d.d.example") == {"mail.example.net"}
    assert web.proxygen("validate").returncode == 5


# A service that refuses, and files that are not ours.


def test_a_stand_in_settles_no_failure_of_the_real_certificate(web: Machine) -> None:
    supplied = {"certificate": "missing.pem"}
    main = {"url": "https://mail.example.net", "certificate": {"file": supplied}}
    web.model(A, main=main)
    for _ in ("first", "again"):
        run = web.proxygen("apply")
        assert run.returncode == 5, run.stdout + run.stderr
        assert "missing.pem" in run.stderr
        status = json.loads(web.proxygen("status", "--json").stdout)
        assert status["owners"][0]["certificate"]["stand_in"]
        assert "missing.pem" in status["owners"][0]["last_error"]["what"]
    assert names(web, "www.a.example") == {"www.a.example"}


def test_what_nginx_refuses_never_takes_the_place_of_what_serves(web: Machine) -> None:
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    before = web.nginx.workers
    local = web.root / "etc/proxygen/nginx.d/a.example"
    local.mkdir(parents=True)
    (local / "wrong.conf").write_text("no_such_directive on;\n")
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert "no_such_directive" in run.stderr
    assert web.nginx.workers == before
    assert names(web, "www.a.example") == {"www.a.example"}
    current = web.root / "var/lib/proxygen/live/nginx/current/proxygen.conf"
    assert "nginx.d/a.example" not in current.read_text()  # a cold start still works
    assert not list(web.nginx.main.parent.glob(".proxygen*"))


def test_a_foreign_broken_file_is_told_as_foreign_and_costs_no_certificate(web: Machine) -> None:
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    foreign = web.nginx.conf_d / "zz-foreign.conf"
    foreign.write_text("server { listen nonsense; }\n")
    web.model(A | B, main=MAIN)
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert "even without the part of proxygen" in run.stderr
    assert "zz-foreign.conf" in run.stderr
    assert foreign.read_text() == "server { listen nonsense; }\n"
    assert names(web, "www.a.example") == {"www.a.example"}
    foreign.unlink()
    succeeded(web.proxygen("apply"))
    assert names(web, "www.b.example") == {"www.b.example"}
    assert web.pebble.new_orders == 3


def test_a_configuration_that_is_accepted_but_not_served_is_put_back(web: Machine) -> None:
    if os.geteuid() != 0:
        pytest.skip("workers run as another user only when nginx is started by root")
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    current = (web.root / "var/lib/proxygen/live/nginx/current").readlink()
    # Loaded on demand, keys are read by the workers, who cannot enter this folder any more.
    (web.root / "var/lib/proxygen/live").chmod(0o700)
    listen = {"http": [f"127.0.0.1:{web.nginx.http}"], "https": [f"127.0.0.1:{web.nginx.https}"]}
    web.model(A, main=MAIN, services={"nginx": {"listen": listen, "certificates": "on_demand"}})
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert "the previous files are back in place" in run.stderr
    assert (web.root / "var/lib/proxygen/live/nginx/current").readlink() == current
    assert names(web, "www.a.example") == {"www.a.example"}


def test_a_foreign_server_block_for_our_name_is_told_and_ours_stays(web: Machine) -> None:
    web.model({}, main=MAIN)
    succeeded(web.proxygen("apply", "--confirm-removal"))
    certificate = next((web.root / "var/lib/proxygen/live/nginx/certificates").glob("global-*.pem"))
    (web.nginx.conf_d / "00-first.conf").write_text(
        f"server {{ listen 127.0.0.1:{web.nginx.https} ssl; server_name www.a.example;\n"
        f"ssl_certificate {certificate}; ssl_certificate_key {certificate}; }}\n"
    )
    subprocess.run(
        [path_of("nginx"), "-c", web.nginx.main, "-e", "stderr", "-s", "reload"], check=True
    )
    web.model(A, main=MAIN)
    run = web.proxygen("apply")
    assert run.returncode == 6
    assert "www.a.example" in run.stderr
    assert (
        "www.a.example"
        in (web.root / "var/lib/proxygen/live/nginx/current/proxygen.conf").read_text()
    )


def test_somebody_elses_default_server_does_not_keep_orders_from_succeeding(web: Machine) -> None:
    (web.nginx.conf_d / "default.conf").write_text(
        f"server {{ listen 127.0.0.1:{web.nginx.http} default_server; return 404; }}\n"
    )
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    web.model(A | B, main=MAIN)
    succeeded(web.proxygen("apply"))
    assert names(web, "www.b.example") == {"www.b.example"}


def test_a_missing_service_keeps_the_others_from_nothing(web: Machine) -> None:
    web.model(A, main=MAIN, services={"dovecot": {"program": "/nowhere/dovecot"}})
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert "dovecot" in run.stderr
    assert "install dovecot" in web.proxygen("plan").stderr
    assert names(web, "www.a.example") == {"www.a.example"}


def test_a_service_that_does_not_run_is_set_up_but_not_started(web: Machine) -> None:
    web.model({}, main={"url": "https://mail.example.net", "certificate": "selfsigned"})
    web.nginx.stop()
    run = web.proxygen("apply")
    assert run.returncode == 6
    assert "nginx is not running" in run.stdout + run.stderr
    assert (web.nginx.conf_d / "00-proxygen.conf").exists()


def test_without_nginx_the_built_in_listener_answers_challenges(root: Path) -> None:
    require(("nginx", "pebble", "dovecot"))
    with Machine(root, ("nginx", "pebble", "dovecot")) as machine:
        machine.nginx.stop()
        path = machine.model({}, main=MAIN, acme={"http_port": machine.nginx.http})
        model = json.loads(path.read_text())
        model["services"] = {"dovecot": {}}
        path.write_text(json.dumps(model))
        succeeded(machine.proxygen("apply"))
        assert machine.dovecot
        shown = client.leaf(machine.dovecot.imaps, "mail.example.net")
        assert "Pebble" in shown.issuer.rfc4514_string()


def test_a_second_run_at_once_is_refused(web: Machine) -> None:
    web.model(A, main=MAIN)
    held = web.root / "var/lib/proxygen/lock"
    held.parent.mkdir(parents=True)
    with subprocess.Popen(["flock", held, "sleep", "60"], start_new_session=True) as holder:
        try:
            run = retried(lambda: web.proxygen("apply"), lambda run: run.returncode == 7)
            assert f"another process holds the lock {held}" in run.stderr
        finally:
            os.killpg(holder.pid, signal.SIGKILL)


def retried(call, good, deadline: float = 20.0):  # type: ignore[no-untyped-def]
    """Call until the answer is good; return the last one."""
    end = time.monotonic() + deadline
    answer = call()
    while not good(answer) and time.monotonic() < end:
        answer = call()
    return answer


# Killed at any instant.

MOMENTS = (
    "issue a stand-in",
    "install nginx",
    "reload nginx",
    "probe nginx",
    "issue the certificate",
)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_after(web: Machine, moment: str) -> None:
    web.model(A, main=MAIN)
    kill_after(web, moment)
    starts_cold(web)
    succeeded(web.proxygen("apply"))
    assert web.pebble.new_orders == 2
    assert names(web, "www.a.example") == {"www.a.example"}
    assert names(web, "mail.example.net") == {"mail.example.net"}


def test_killed_again_and_again(web: Machine) -> None:
    web.model(A | B, main=MAIN)
    for tenth in range(1, 12):
        kill_after_seconds(web, tenth / 10)
        starts_cold(web)
    succeeded(web.proxygen("apply"))
    # Who is killed while the answer with an order's URL is under way never learns of that order.
    # That moment is hit once in five times; a run that forgets its orders makes six and more.
    assert 3 <= web.pebble.new_orders <= 5
    assert names(web, "www.b.example") == {"www.b.example"}


def kill_after(machine: Machine, words: str) -> None:
    """Run `apply` and kill it as soon as it says *words*."""
    with started(machine) as process:
        assert process.stdout
        for line in process.stdout:
            if words in line:
                break
        process.kill()


def kill_after_seconds(machine: Machine, seconds: float) -> None:
    """Run `apply` and kill it after that time, wherever it is."""
    with started(machine) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()


def started(machine: Machine) -> subprocess.Popen[str]:
    """Start `apply` so that each line it says is seen at once."""
    command = [sys.executable, "-u", "-P", "-m", "proxygen", "--root", str(machine.root), "apply"]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
        cwd="/",
    )


def starts_cold(machine: Machine) -> None:
    """Nginx could start now, and every certificate file is a pair that belongs together."""
    tested = subprocess.run(
        [path_of("nginx"), "-t", "-c", machine.nginx.main, "-e", "stderr"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stderr


# Going back.


def test_rollback_goes_to_what_served_before_and_forward_again(web: Machine) -> None:
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    web.model({}, main=MAIN)
    succeeded(web.proxygen("apply", "--confirm-removal"))
    succeeded(web.proxygen("rollback"))
    assert names(web, "www.a.example") == {"www.a.example"}
    succeeded(web.proxygen("rollback"))
    with pytest.raises(OSError, match=REFUSED):
        names(web, "www.a.example")


def test_uninstall_gives_every_service_back_as_it_was(machine: Machine) -> None:
    assert machine.postfix
    assert machine.dovecot
    before = foreign(machine)
    shown = client.leaf(machine.dovecot.imaps)
    machine.model(A, main=MAIN)
    succeeded(machine.proxygen("apply"))
    assert foreign(machine) != before
    succeeded(machine.proxygen("uninstall"))
    assert foreign(machine) == before
    assert client.leaf(machine.dovecot.imaps) == shown
    assert (machine.root / "var/lib/proxygen/store").is_dir()
    succeeded(machine.proxygen("uninstall", "--purge", "--yes"))
    assert not (machine.root / "var/lib/proxygen").exists()


def foreign(machine: Machine) -> dict[str, bytes]:
    """Return every file of the services' own configuration folders."""
    return {
        str(path): path.read_bytes()
        for name in ("nginx", "postfix", "dovecot")
        for path in sorted((machine.root / "etc" / name).rglob("*"))
        if path.is_file()
    }


def test_json_is_one_object_whatever_happens(web: Machine) -> None:
    web.model(A, main=MAIN)
    for command in (
        ("plan",),
        ("apply",),
        ("status",),
        ("validate",),
        ("rollback",),
        ("uninstall",),
    ):
        run = web.proxygen(*command, "--json")
        assert isinstance(json.loads(run.stdout), dict), run.stderr
    web.config.write_text("global: {}")
    wrong = json.loads(web.proxygen("apply", "--json").stdout)
    assert wrong["exit_code"] == 3
    assert {"file", "line", "column", "field", "reason", "remedy"} <= wrong["mistakes"][0].keys()


def test_no_order_is_placed_while_nginx_cannot_be_set_up_to_answer(web: Machine) -> None:
    (web.nginx.conf_d / "foreign.conf").write_text("server { listen nonsense; }\n")
    web.model(A, main=MAIN)
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert "challenges for their names" in run.stderr
    assert web.pebble.new_orders == 0
    (web.nginx.conf_d / "foreign.conf").unlink()
    succeeded(web.proxygen("apply"))
    assert web.pebble.new_orders == 2


def test_files_that_somebody_changed_are_put_right(web: Machine) -> None:
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    live = web.root / "var/lib/proxygen/live/nginx"
    for _ in range(2):
        (live / "current/proxygen.conf").write_text("# emptied\n")
        next((live / "certificates").glob("a.example-*.pem")).chmod(0o644)
        succeeded(web.proxygen("apply"))
        assert "server_name" in (live / "current/proxygen.conf").read_text()
        assert names(web, "www.a.example") == {"www.a.example"}
        pem = next((live / "certificates").glob("a.example-*.pem"))
        assert pem.stat().st_mode & 0o777 == 0o600
    assert web.proxygen("apply").stdout == "nothing to do\n"


def test_uninstall_keeps_what_others_wrote_since(machine: Machine) -> None:
    assert machine.postfix
    machine.model({}, main={"url": "https://mail.example.net", "certificate": "selfsigned"})
    succeeded(machine.proxygen("apply"))
    main = machine.postfix.main
    main.write_text(main.read_text() + "message_size_limit = 12345678\n")
    succeeded(machine.proxygen("apply"))
    succeeded(machine.proxygen("uninstall"))
    assert "message_size_limit = 12345678" in main.read_text()
    assert "proxygen" not in main.read_text()


def test_an_unreadable_root_of_the_authority_is_told(web: Machine) -> None:
    web.model(A, main=MAIN, acme={"trusted_roots": ["/nowhere/root.pem"]})
    run = web.proxygen("apply")
    assert run.returncode == 5
    assert "/nowhere/root.pem" in run.stderr
    assert names(web, "www.a.example") == {"mail.example.net"}


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_any_umask_of_the_caller_will_do(web: Machine, mask: int) -> None:
    listen = {"http": [f"127.0.0.1:{web.nginx.http}"], "https": [f"127.0.0.1:{web.nginx.https}"]}
    web.model(A, main=MAIN, services={"nginx": {"listen": listen, "certificates": "on_demand"}})
    former = os.umask(mask)
    try:
        run = web.proxygen("apply")
    finally:
        os.umask(former)
    succeeded(run)
    assert names(web, "www.a.example") == {"www.a.example"}
    others = [
        path
        for path in (web.root / "var/lib/proxygen").rglob("*")
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes() and path.stat().st_mode & 0o7
    ]
    assert others == []


def test_certificates_that_were_loaded_at_the_start_can_be_loaded_on_demand(web: Machine) -> None:
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    listen = {"http": [f"127.0.0.1:{web.nginx.http}"], "https": [f"127.0.0.1:{web.nginx.https}"]}
    for certificates in ("on_demand", "at_start"):
        web.model(
            A, main=MAIN, services={"nginx": {"listen": listen, "certificates": certificates}}
        )
        succeeded(web.proxygen("apply"))
        assert names(web, "www.a.example") == {"www.a.example"}
        assert web.proxygen("apply").stdout == "nothing to do\n"


def test_what_is_not_served_is_probed_again_until_it_is(web: Machine) -> None:
    web.model({}, main={"url": "https://mail.example.net", "certificate": "selfsigned"})
    web.nginx.stop()
    assert web.proxygen("apply").returncode == 6
    assert web.proxygen("apply").returncode == 6
    web.nginx.start()
    succeeded(web.proxygen("apply"))
    assert web.proxygen("apply").stdout == "nothing to do\n"


def test_changed_local_directives_are_checked_and_reloaded(web: Machine) -> None:
    web.model(A, main=MAIN)
    local = web.root / "etc/proxygen/nginx.d"
    local.mkdir()
    (local / "header.conf").write_text("add_header X-Ours one always;\n")
    succeeded(web.proxygen("apply"))
    (local / "header.conf").write_text("add_header X-Ours two always;\n")
    succeeded(web.proxygen("apply"))
    assert client.get(web.nginx.https, "www.a.example").headers["x-ours"] == "two"


def test_the_way_back_needs_no_model(web: Machine) -> None:
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    web.model({}, main=MAIN)
    succeeded(web.proxygen("apply", "--confirm-removal"))
    web.config.write_text("global: [")
    succeeded(web.proxygen("rollback"))
    assert names(web, "www.a.example") == {"www.a.example"}
    web.config.unlink()
    succeeded(web.proxygen("uninstall"))
    assert not list(web.nginx.conf_d.iterdir())


def test_a_first_apply_has_nothing_to_roll_back_to(web: Machine) -> None:
    web.model(A, main=MAIN)
    succeeded(web.proxygen("apply"))
    assert web.proxygen("rollback", "nginx").returncode == 4
    assert names(web, "www.a.example") == {"www.a.example"}


def test_a_server_block_of_the_administrator_for_our_name_is_warned_about(web: Machine) -> None:
    (web.nginx.conf_d / "site.conf").write_text(
        f"server {{ listen 127.0.0.1:{web.nginx.http}; server_name www.a.example; }}\n"
    )
    web.model(A, main=MAIN)
    run = web.proxygen("apply")
    succeeded(run)
    assert "a server block of your own also has the name www.a.example" in run.stderr


def test_a_service_that_left_the_model_is_warned_about_and_can_be_given_back(root: Path) -> None:
    require(("nginx", "pebble", "dovecot"))
    with Machine(root, ("nginx", "pebble", "dovecot")) as machine:
        assert machine.dovecot
        shown = client.leaf(machine.dovecot.imaps)
        path = machine.model(
            {}, main={"url": "https://mail.example.net", "certificate": "selfsigned"}
        )
        succeeded(machine.proxygen("apply"))
        model = json.loads(path.read_text())
        del model["services"]["dovecot"]
        path.write_text(json.dumps(model))
        assert "dovecot is no longer in `services`" in machine.proxygen("apply").stderr
        succeeded(machine.proxygen("uninstall", "dovecot"))
        assert client.leaf(machine.dovecot.imaps) == shown
        assert machine.proxygen("apply").stderr == ""
