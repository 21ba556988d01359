"""From a proxygen that cannot run to the one mail about it: the script, in its unit's sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from functools import partial
from pathlib import Path

import pytest

from proxygen.host.outage import note_contact
from proxygen.model.layout import Layout
from tests.commands.test_cli import proxygen
from tests.conftest import require
from tests.live.mailserver import Mailserver
from tests.live.postfix import Postfix
from tests.live.processes import environment, until

SANDBOX = Path(__file__).parents[1] / "live/sandbox.py"
SCRIPT = Path(__file__).parents[2] / "proxygen/systemd/failed.sh"
UNIT = "etc/systemd/system/proxygen-failed@.service"
CONTACT = "hostmaster@example.net"
MODEL = f"""\
contact: {CONTACT}
global: {{url: https://mail.example.net, certificate: selfsigned}}
services: {{}}
notifiers: {{email: {{host: 127.0.0.1, port: 1}}}}
"""
UNITS = ("proxygen", "proxygen-renew")
ENDED = {"MONITOR_SERVICE_RESULT": "exit-code", "MONITOR_EXIT_CODE": "exited"}
ENDED_WITH_1 = {**ENDED, "MONITOR_EXIT_STATUS": "1"}


def folder(root: Path) -> Path:
    """Return where is noted whom to tell, and what was told."""
    return root / "var/lib/proxygen/outage"


# The script alone; a sendmail that writes down what it is given.


RECORDING = """\
#!/bin/sh
[ ! -e "$0.refuses" ] || exit 75
{ echo "$*"; cat; } >> "$0.given"
"""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return a folder with a sendmail of its own, and the contact noted."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sendmail").write_text(RECORDING)
    (tmp_path / "bin/sendmail").chmod(0o755)
    note_contact(Layout(tmp_path, tmp_path / "none.yaml"), CONTACT)
    return tmp_path


def failed(
    host: Path, ended: Mapping[str, str], unit: str = "proxygen", *program: str | Path
) -> subprocess.CompletedProcess[str]:
    """Run the script after a unit ended."""
    words = program or ("/opt/proxygen/bin/proxygen",)
    path = f"{host / 'bin'}:/usr/bin:/bin"
    return subprocess.run(
        ["/bin/sh", SCRIPT, unit, folder(host), *words],
        env={**environment(), "PATH": path, **ended},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def given(host: Path) -> str:
    """Return what sendmail was given: its arguments, then the mail."""
    path = host / "bin/sendmail.given"
    return path.read_text() if path.exists() else ""


def end(result: str, code: str = "", status: str = "") -> dict[str, str]:
    """Return what systemd tells of an end; it leaves out what there is not."""
    told = {
        "MONITOR_SERVICE_RESULT": result,
        "MONITOR_EXIT_CODE": code,
        "MONITOR_EXIT_STATUS": status,
    }
    return {name: value for name, value in told.items() if value}


@pytest.mark.parametrize(
    ("ended", "mailed"),
    [
        pytest.param(end("exit-code", "exited", "1"), True, id="no modules, or a bug"),
        pytest.param(end("start-limit-hit", "exited", "1"), True, id="the same, at the limit"),
        pytest.param(end("exit-code", "exited", "203"), True, id="no interpreter"),
        pytest.param(end("exit-code", "exited", "226"), True, id="no sandbox"),
        pytest.param(end("exit-code", "exited", "127"), True, id="no program"),
        pytest.param(end("core-dump", "dumped", "SEGV"), True, id="a library of another release"),
        pytest.param(end("signal", "killed", "ILL"), True, id="another processor"),
        pytest.param(end("resources"), True, id="no room for a process"),
        pytest.param(end("protocol", "exited", "0"), True, id="ended before it was ready"),
        pytest.param(end("timeout", "killed", "TERM"), True, id="not ready in time"),
        pytest.param(end("start-limit-hit"), True, id="never begun"),
        pytest.param(end("exit-code", "exited", "2"), False, id="no model"),
        pytest.param(end("exit-code", "exited", "3"), False, id="a wrong model"),
        pytest.param(end("exit-code", "exited", "4"), False, id="a service refused"),
        pytest.param(end("exit-code", "exited", "5"), False, id="an order failed"),
        pytest.param(end("exit-code", "exited", "6"), False, id="not served"),
        pytest.param(end("exit-code", "exited", "130"), False, id="interrupted"),
        pytest.param(end("start-limit-hit", "exited", "0"), False, id="restarted by a person"),
        pytest.param(end("start-limit-hit", "exited", "7"), False, id="another one runs"),
        pytest.param(end("watchdog", "dumped", "ABRT"), False, id="hung"),
        pytest.param(end("oom-kill", "killed", "KILL"), False, id="no memory"),
        pytest.param(end("signal", "killed", "KILL"), False, id="killed by a person"),
        pytest.param(end("timeout", "killed", "KILL"), False, id="hung while it was stopped"),
        pytest.param({}, False, id="a systemd that tells nothing"),
    ],
)
def test_a_mail_only_when_it_could_not_run(host: Path, ended: dict[str, str], mailed: bool) -> None:
    run = failed(host, ended)
    assert run.returncode == 0, run.stderr
    assert bool(given(host)) == mailed
    assert (folder(host) / "told").exists() == mailed


def test_a_renewal_that_took_too_long_could_run(host: Path) -> None:
    failed(host, end("timeout", "killed", "TERM"), "proxygen-renew")
    assert given(host) == ""


def test_one_mail_while_it_lasts(host: Path) -> None:
    for _ in range(3):
        assert failed(host, ENDED_WITH_1).returncode == 0
    assert given(host).count("Subject:") == 1
    assert given(host).startswith(f"-i -odq -- root {CONTACT}\n")


@pytest.mark.parametrize("how", ["refuses", "missing"])
def test_a_mail_that_nobody_takes_is_tried_again(host: Path, how: str) -> None:
    sendmail = host / "bin/sendmail"
    if how == "refuses":
        sendmail.with_name("sendmail.refuses").touch()
    else:
        sendmail.write_text("#!/nonexistent/sh\n")
    run = failed(host, ENDED_WITH_1)
    assert run.returncode == 1
    assert "did not take the mail" in run.stderr
    assert [path.name for path in folder(host).iterdir()] == ["contact"]
    sendmail.with_name("sendmail.refuses").unlink(missing_ok=True)
    sendmail.write_text(RECORDING)
    assert failed(host, ENDED_WITH_1).returncode == 0
    assert given(host).count("Subject:") == 1


def test_one_mail_however_many_fail_at_the_same_moment(host: Path) -> None:
    sendmail = host / "bin/sendmail"
    sendmail.write_text(RECORDING.replace("{ echo", "sleep 0.5; { echo"))
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda unit: failed(host, ENDED_WITH_1, unit), UNITS * 2))
    assert [run.returncode for run in runs] == [0, 0, 0, 0]
    assert given(host).count("Subject:") == 1


@pytest.mark.parametrize("left", ["folder", "fifo", "link"])
def test_what_stands_where_it_is_noted_is_not_in_the_way(host: Path, left: str) -> None:
    path, others = folder(host) / ".told.new", host / "others"
    others.write_text("others'")
    {
        "folder": path.mkdir,
        "fifo": partial(os.mkfifo, path),
        "link": partial(path.symlink_to, others),
    }[left]()
    assert failed(host, ENDED_WITH_1).returncode == 0
    assert given(host).count("Subject:") == 1
    assert not (folder(host) / "told").is_symlink()
    assert others.read_text() == "others'"


def test_no_mail_where_it_cannot_be_noted(host: Path) -> None:
    (folder(host) / "contact").unlink()
    folder(host).rmdir()
    folder(host).write_text("in the way")
    run = failed(host, ENDED_WITH_1)
    assert run.returncode == 1
    assert "nothing can be noted" in run.stderr
    assert given(host) == ""


@pytest.mark.parametrize(
    "noted",
    [
        b"",
        b"\n",
        b"-oQ/tmp@example.net\n",
        b"hostmaster\n",
        b"a@b@example.net\n",
        b"a@-example.net\n",
        b"a@\n",
        b"a b@example.net\n",
        b"a@example.net, b@example.net\n",
        b"|rm@example.net\n",
        b"$(touch pwned)@example.net\n",
        b"`touch pwned`@example.net\n",
        b"a@example.net\rBcc: b@example.net\n",
        b"\nb@example.net\n",
        "ä@example.net\n".encode(),
        b"a" * 100_000 + b"@example.net\n",
        b"a@" + b"b" * 300 + b"\n",
        b"a@example.net" + b"x" * 386 + b"@\n",
    ],
    ids=lambda noted: repr(noted[:24]),
)
def test_a_noted_address_is_taken_for_nothing_else(host: Path, noted: bytes) -> None:
    (folder(host) / "contact").write_bytes(noted)
    assert failed(host, ENDED_WITH_1).returncode == 0
    assert given(host).startswith("-i -odq -- root\nFrom: root\nTo: root\nSubject:")
    assert not list(host.rglob("pwned"))


def test_what_is_no_file_is_not_waited_for(host: Path) -> None:
    (folder(host) / "contact").unlink()
    os.mkfifo(folder(host) / "contact")
    assert failed(host, ENDED_WITH_1).returncode == 0
    assert given(host).startswith("-i -odq -- root\n")


def body(host: Path) -> str:
    """Return the text of the mail on one line."""
    return " ".join(given(host).partition("\n\n")[2].split())


def test_the_mail_says_what_to_do_for_an_environment(host: Path) -> None:
    place = host / "opt/proxygen"
    (place / "bin").mkdir(parents=True)
    (place / "pyvenv.cfg").touch()
    link = host / "bin/proxygen"
    link.symlink_to(place / "bin/proxygen")  # to what is gone
    failed(host, ENDED_WITH_1, "proxygen", link, "--config", "/srv/$HOME.yaml")
    text = body(host)
    assert f"{link} --config /srv/$HOME.yaml --version" in text
    assert f"python3 -m venv --clear {place} # then in a checkout of proxygen:" in text
    locked = f"{place}/bin/pip install --require-hashes -r packaging/requirements.lock"
    assert f"{locked} {place}/bin/pip install --no-deps ." in text  # its extras come from there
    assert "proxygen.service failed: it ended with 1" in text
    assert "systemctl reset-failed proxygen.service systemctl restart proxygen.service" in text


def test_the_mail_of_the_timer_names_its_service(host: Path) -> None:
    failed(host, end("exit-code", "exited", "203"), "proxygen-renew")
    assert "proxygen-renew.service failed: it could not be started (203)" in body(host)
    assert "systemctl start proxygen-renew.service" in body(host)
    assert "the next time of the timer" in body(host)


def test_what_the_log_says_is_quoted_bounded_and_plain(host: Path) -> None:
    journal = host / "bin/journalctl"
    says = "printf 'No module named \\033[1mproxygen\\303\\244\\n'; yes 'x y' | head -n 90000"
    journal.write_text(f'#!/bin/sh\necho "$*"\n{says}\n')
    journal.chmod(0o755)
    failed(host, ENDED_WITH_1)
    assert "\n    No module named ?[1mproxygen??\n" in given(host)
    assert "--unit proxygen.service --lines 20" in given(host)
    assert len(given(host)) < 10_000
    assert given(host).isascii()


# What ends an outage: a renewal that ran, however it ended but with a bug.


@pytest.mark.parametrize(
    ("model", "arguments", "code"),
    [
        pytest.param(MODEL, ["renew"], 0, id="nothing due"),
        pytest.param(MODEL, ["renew", "c.example"], 2, id="no such domain"),
        pytest.param("global: {url: a}\n", ["renew"], 3, id="a wrong model"),
    ],
)
def test_a_renewal_ends_an_outage(host: Path, model: str, arguments: list[str], code: int) -> None:
    failed(host, ENDED_WITH_1)
    assert run_with(host, model, *arguments).returncode == code
    assert not (folder(host) / "told").exists()


def run_with(
    host: Path, model: str, *arguments: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a command with a model."""
    (host / "etc/proxygen").mkdir(parents=True, exist_ok=True)
    (host / "etc/proxygen/proxygen.yaml").write_text(model)
    return proxygen("--root", host, *arguments, env=environment(**more))


def test_an_outage_lasts_while_a_module_is_missing(host: Path) -> None:
    failed(host, ENDED_WITH_1)
    (host / "broken").mkdir()
    (host / "broken/yaml.py").write_text("raise ModuleNotFoundError('No module named _yaml')\n")
    run = run_with(host, MODEL, "renew", PYTHONPATH=str(host / "broken"))
    assert run.returncode == 1
    assert (folder(host) / "told").exists()
    # By hand from elsewhere: the timer's service may still be unable to run.
    assert run_with(host, MODEL, "apply").returncode == 0
    assert (folder(host) / "told").exists()


BUG = """\
from proxygen.issuers.selfsigned import SelfSignedIssuer

def issue(*_, **__):
    raise KeyError("a bug")

SelfSignedIssuer.issue = issue
"""


def test_an_outage_lasts_while_a_bug_ends_each_renewal(host: Path) -> None:
    assert run_with(host, MODEL, "apply").returncode == 0
    failed(host, ENDED_WITH_1)
    (host / "broken").mkdir()
    (host / "broken/sitecustomize.py").write_text(BUG)
    arguments = ("renew", "--replace", "global")
    run = run_with(host, MODEL, *arguments, PYTHONPATH=str(host / "broken"))
    assert run.returncode == 1, run.stdout + run.stderr
    assert (folder(host) / "told").exists()
    assert run_with(host, MODEL, *arguments).returncode == 0
    assert not (folder(host) / "told").exists()


def test_who_is_told_is_who_the_model_names(host: Path) -> None:
    run_with(host, MODEL.replace(CONTACT, "ops@example.org"), "renew")
    assert (folder(host) / "contact").read_text() == "ops@example.org\n"


# In the sandbox of its unit, through the real sendmail(1) of postfix.


class Relaying(Postfix):
    """postfix that gives every mail to a server on a port."""

    next_port = 0

    def configure(self) -> None:
        """Choose where mail goes, besides what every postfix of ours has."""
        super().configure()
        relay = f"smtp:[127.0.0.1]:{self.next_port}"
        self.main.write_text(self.main.read_text().replace(" discard:", f" {relay}"))


class Host:
    """A root with a postfix, a model, and proxygen's units."""

    def __init__(self, root: Path, postfix: Postfix, mails: Mailserver) -> None:
        self.root, self.postfix, self.server = root, postfix, mails

    def proxygen(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command on this root."""
        return proxygen("--root", self.root, *arguments)

    def boxed(self, *argv: str | Path, **told: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the unit lets its script run."""
        return subprocess.run(
            [sys.executable, SANDBOX, self.root / UNIT, *argv],
            env=environment(MAIL_CONFIG=str(self.postfix.main.parent), **told),
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            cwd="/",
        )

    def failed(self, **told: str) -> subprocess.CompletedProcess[str]:
        """Run what the unit runs, with the arguments that stand in it."""
        lines = (self.root / UNIT).read_text().splitlines()
        start = next(line for line in lines if line.startswith("ExecStart="))
        argv = start.partition("=")[2].replace("%i", "proxygen").split()
        return self.boxed(*argv, **told)

    def mails(self, count: int) -> list[EmailMessage]:
        """Return the mails that went out, once there are so many."""
        until(lambda: len(self.server.mails) >= count, f"{count} mails; {self.postfix.log}")
        return self.server.mails


@pytest.fixture
def relay(root: Path) -> Iterator[Host]:
    """Return a host on which sandboxes can be made."""
    require(["postfix", "systemctl", "systemd-analyze"])
    if os.geteuid() != 0:
        pytest.skip("only root can make a sandbox")
    if subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("mount namespaces are not allowed here")
    (root / "etc/proxygen").mkdir(parents=True)
    (root / "etc/proxygen/proxygen.yaml").write_text(MODEL)
    with Mailserver() as server:
        postfix = Relaying(root)
        postfix.next_port = server.port
        with postfix:
            host = Host(root, postfix, server)
            assert host.proxygen("install-service").returncode == 0
            assert host.proxygen("apply").returncode == 0
            yield host


def test_one_mail_an_outage_reaches_root_and_the_contact(relay: Host) -> None:
    for _ in range(2):
        run = relay.failed(**ENDED_WITH_1)
        assert run.returncode == 0, run.stderr
    (mail,) = relay.mails(1)
    recipients = relay.server.envelopes[0][1]
    assert sorted(recipients) == [CONTACT, "root@mail.example.net"]
    assert str(mail["Subject"]).startswith("proxygen does not run on ")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"]
    assert f"--root {relay.root} --version" in " ".join(mail.get_content().split())

    # An order that failed is no outage, and ends one: proxygen ran.
    assert relay.failed(**ENDED, MONITOR_EXIT_STATUS="5").returncode == 0
    assert relay.proxygen("renew").returncode == 0
    assert relay.failed(**ENDED_WITH_1).returncode == 0
    assert len(relay.mails(2)) == 2


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("echo x > /etc/proxygen-was-here", "Read-only file system"),
        ("echo x > {root}/var/lib/proxygen/was-here", "Read-only file system"),
        ("mount -t tmpfs x /mnt", "denied|permitted|privileges|superuser"),
    ],
)
def test_its_sandbox_is_one(relay: Host, words: str, refused: str) -> None:
    run = relay.boxed("/bin/sh", "-c", words.format(root=relay.root))
    assert run.returncode != 0
    assert any(each in run.stderr for each in refused.split("|")), run.stderr
