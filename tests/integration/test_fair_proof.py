"""Listeners that refuse this host or let it wait, beside the real postfix and nginx."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require
from tests.daemon.test_outside import names, reload, without_ours
from tests.live import client, ports
from tests.live.machine import Machine
from tests.live.postfix import settled

TRIAL = {"url": "https://mail.example.net", "certificate": "selfsigned"}
A = {"a.example": {"url": "https://www.a.example", "certificate": "selfsigned"}}

POSTSCREEN = """\
127.0.0.1:{port} inet n - n - 1 postscreen
  -o postscreen_access_list=
  -o postscreen_greet_wait={seconds}s
smtpd pass - - n - - smtpd
dnsblog unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
"""
SLEEP = """\
127.0.0.1:{port} inet n - n - - smtpd
  -o smtpd_delay_reject=no
  -o {{ smtpd_client_restrictions = sleep {seconds} }}
"""
REFUSE = """\
127.0.0.1:{port} inet n - n - - smtpd
  -o smtpd_delay_reject=no
  -o {{ smtpd_client_restrictions = sleep {seconds}, reject }}
"""


@pytest.fixture
def mail(root: Path) -> Iterator[Machine]:
    """Return a machine with postfix, whose model is written."""
    require(("nginx", "pebble", "postfix"))
    with Machine(root, ("nginx", "pebble", "postfix")) as running:
        running.model({}, main=TRIAL)
        yield running


@pytest.fixture
def port() -> Iterator[int]:
    """Return a port for one more listener."""
    found = ports.reserve()
    yield found
    ports.release(found)


def listen(machine: Machine, text: str, port: int, seconds: int) -> None:
    """Have postfix listen at one more port."""
    assert machine.postfix
    master = machine.postfix.main.parent / "master.cf"
    master.write_text(master.read_text() + text.format(port=port, seconds=seconds))
    settled(machine.postfix.main)
    machine.postfix.process.popen.send_signal(signal.SIGHUP)


def leaf_at_465(machine: Machine) -> str:
    """Return what 465 presents."""
    assert machine.postfix
    return str(client.leaf(machine.postfix.smtps).serial_number)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param(POSTSCREEN, 6, id="postscreen, which lets a new client wait 6 s"),
        pytest.param(SLEEP, 6, id="restrictions that sleep"),
    ],
)
def test_a_banner_that_is_late_is_waited_for(
    mail: Machine, port: int, text: str, seconds: int
) -> None:
    listen(mail, text, port, seconds)
    run = mail.proxygen("apply")
    assert run.returncode == 0, run.stdout + run.stderr
    former = leaf_at_465(mail)
    run = mail.proxygen("renew", "--replace", "global")
    assert run.returncode == 0, run.stdout + run.stderr
    assert leaf_at_465(mail) != former
    assert not (mail.root / "var/lib/proxygen/live/postfix/unserved").exists()


def test_a_listener_that_refuses_this_host_after_3_s_keeps_no_other_from_its_certificate(
    mail: Machine, port: int
) -> None:
    listen(mail, REFUSE, port, 3)
    run = mail.proxygen("apply")
    assert run.returncode == 6, run.stdout + run.stderr
    assert f"127.0.0.1:{port} STARTTLS smtp" in run.stderr
    assert "as before this change" in run.stderr
    assert "services.postfix.verify.except" in run.stderr
    former = leaf_at_465(mail)
    run = mail.proxygen("renew", "--replace", "global")
    assert run.returncode == 6, run.stdout + run.stderr
    assert leaf_at_465(mail) != former
    assert run.stdout.count("reload postfix") == 1  # nothing was put back


def test_a_listener_that_the_model_leaves_out_is_not_verified_and_never_told_as_right(
    mail: Machine, port: int
) -> None:
    listen(mail, REFUSE, port, 1)
    model = json.loads(mail.config.read_text())
    model["services"]["postfix"] = {"verify": {"except": [port]}}
    mail.config.write_text(json.dumps(model))
    run = mail.proxygen("apply")
    assert run.returncode == 0, run.stdout + run.stderr
    place = f"127.0.0.1:{port}"
    assert f"not verified, as the model says: {place}" in mail.proxygen("status").stdout
    found = json.loads(mail.proxygen("status", "--json").stdout)
    told = {each["service"]: each["not_verified"] for each in found["services"]}
    assert told == {"nginx": [], "postfix": [place]}
    check = mail.proxygen("check")
    assert "1 listener not verified" in check.stdout.splitlines()[0] or check.returncode
    assert f"not verified, as the model says: postfix {place}" in check.stdout
    assert json.loads(mail.proxygen("check", "--json").stdout)["not_verified"] == [
        f"postfix {place}"
    ]
    model["services"]["postfix"]["verify"]["except"] = [1, port]
    mail.config.write_text(json.dumps(model))
    assert "`services.postfix.verify.except` names 1, where" in mail.proxygen("plan").stderr


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    """Return a machine with nginx alone, which is set up."""
    require(("nginx", "pebble"))
    with Machine(root, ("nginx", "pebble")) as running:
        running.model(A, main=TRIAL)
        run = running.proxygen("apply")
        assert run.returncode == 0, run.stdout + run.stderr
        yield running


RELOADED = "reload nginx: clients get something else than its files say, which are right"


def test_apply_reloads_once_what_serves_something_else_although_its_files_are_right(
    web: Machine,
) -> None:
    pointer = web.nginx.conf_d / "00-proxygen.conf"
    ours = pointer.read_text()
    pointer.write_text(without_ours(web))
    reload(web)
    pointer.write_text(ours)  # restored without a reload
    assert RELOADED in web.proxygen("plan").stdout
    run = web.proxygen("apply")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count(RELOADED) == 1
    assert names(web, "www.a.example") == {"www.a.example"}
    assert web.proxygen("apply").stdout == "nothing to do\n"
    assert web.proxygen("plan").stdout == "nothing to do\n"


def test_apply_reloads_what_a_foreign_file_overrode_until_it_was_removed(web: Machine) -> None:
    """Who removes it may forget to reload; the last run has noted that something was wrong."""
    override = web.nginx.conf_d / "00-before.conf"
    override.write_text(without_ours(web))
    reload(web)
    run = web.proxygen("apply")
    assert run.returncode == 6, run.stdout + run.stderr
    override.unlink()
    run = web.proxygen("apply")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("reload nginx") == 1
    assert web.proxygen("apply").stdout == "nothing to do\n"
