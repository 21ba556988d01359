"""install-service: the units, what they allow, and what systemd is told."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from shutil import chown

import pytest

from proxygen.commands.install_service import WRITTEN, package_texts
from proxygen.errors import UsageError
from proxygen.systemd.units import DAEMON, FAILED, MARK, SCRIPT, TIMER, Surroundings, units
from tests import hostile
from tests.commands.test_cli import proxygen
from tests.conftest import require
from tests.live import client
from tests.live.machine import Machine
from tests.live.needs import needs
from tests.live.processes import Process, environment, until

pytestmark = pytest.mark.apart

UNITS, SCRIPTS = "etc/systemd/system", "usr/local/lib/proxygen"
SANDBOX = Path(__file__).parents[1] / "live/sandbox.py"
AT_MOST, AT_MOST_FAILED = 20, 22
"""Tenths of systemd's measure of exposure; sendmail(1) of some mail servers changes its user."""
OF_DAEMON, OF_TIMER = tuple(sorted((*DAEMON, *FAILED))), tuple(sorted((*TIMER, *FAILED)))


def written(root: Path) -> dict[str, str]:
    """Return the text of each unit below a root."""
    return {path.name: path.read_text() for path in sorted((root / UNITS).iterdir())}


@needs("systemctl")
def test_the_daemon_is_set_up_and_nothing_changes_when_it_is(tmp_path: Path) -> None:
    first = proxygen("--root", tmp_path, "install-service")
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines() == [
        f"wrote {tmp_path / SCRIPTS / SCRIPT}",
        *(f"wrote {tmp_path / UNITS / name}" for name in (*DAEMON, *FAILED)),
    ]
    assert "systemctl enable --now proxygen.service" in first.stderr
    assert tuple(before := written(tmp_path)) == OF_DAEMON
    assert (tmp_path / UNITS / "proxygen.service").stat().st_mode & 0o777 == 0o644
    again = proxygen("--root", tmp_path, "install-service")
    assert again.stdout == "nothing to do\n"
    assert written(tmp_path) == before


def test_what_runs_us_bounds_our_memory(tmp_path: Path) -> None:
    for kind, unit in (((), "proxygen.service"), (("--timer",), "proxygen-renew.service")):
        assert proxygen("--root", tmp_path, "install-service", *kind).returncode == 0
        assert "\nMemoryMax=2G\nOOMPolicy=continue\n" in written(tmp_path)[unit]


@needs("systemctl")
def test_daemon_and_timer_take_each_others_place(tmp_path: Path) -> None:
    proxygen("--root", tmp_path, "install-service")
    run = proxygen("--root", tmp_path, "install-service", "--timer", "--json")
    said = json.loads(run.stdout)
    assert said["changed"][0]["words"] == f"removed {tmp_path / UNITS / 'proxygen.service'}"
    assert tuple(written(tmp_path)) == OF_TIMER
    assert (tmp_path / SCRIPTS / SCRIPT).is_file()
    proxygen("--root", tmp_path, "install-service")
    assert tuple(written(tmp_path)) == OF_DAEMON


@needs("systemctl")
def test_removal_takes_what_is_ours_and_nothing_else(tmp_path: Path) -> None:
    proxygen("--root", tmp_path, "install-service", "--timer")
    other = tmp_path / UNITS / "nginx.service"
    other.write_text("[Unit]\n")
    run = proxygen("--root", tmp_path, "install-service", "--remove")
    assert run.returncode == 0
    assert tuple(written(tmp_path)) == ("nginx.service",)
    assert not (tmp_path / SCRIPTS).exists()
    assert proxygen("--root", tmp_path, "install-service", "--remove").stdout == "nothing to do\n"


@needs("systemctl")
@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_unit_of_somebody_else_stays(tmp_path: Path, kind: str) -> None:
    unit = tmp_path / UNITS / "proxygen.service"
    unit.parent.mkdir(parents=True)
    if kind == "file":
        unit.write_text("[Unit]\nDescription=mine\n")
    else:
        unit.symlink_to("/dev/null")  # masked
    run = proxygen("--root", tmp_path, "install-service")
    assert run.returncode == 2
    assert f"{unit} was not written by proxygen" in run.stderr
    removal = proxygen("--root", tmp_path, "install-service", "--remove")
    assert removal.returncode == 0
    assert unit.is_symlink() or unit.read_text() == "[Unit]\nDescription=mine\n"


@needs("systemctl")
def test_a_script_of_somebody_else_stays(tmp_path: Path) -> None:
    script = tmp_path / SCRIPTS / SCRIPT
    script.parent.mkdir(parents=True)
    script.write_text("echo mine\n")
    run = proxygen("--root", tmp_path, "install-service")
    assert run.returncode == 2
    assert f"{script} was not written by proxygen" in run.stderr
    assert not (tmp_path / UNITS).exists()
    removal = proxygen("--root", tmp_path, "install-service", "--remove")
    assert removal.returncode == 0
    assert f"{script} is not proxygen's and stays" in removal.stderr
    assert script.read_text() == "echo mine\n"


@needs("systemctl")
def test_what_else_lies_beside_the_script_stays(tmp_path: Path) -> None:
    proxygen("--root", tmp_path, "install-service")
    (tmp_path / SCRIPTS / "mine").touch()
    proxygen("--root", tmp_path, "install-service", "--remove")
    assert [path.name for path in (tmp_path / SCRIPTS).iterdir()] == ["mine"]


@needs("systemctl")
def test_units_of_an_earlier_version_are_brought_up_to_date(tmp_path: Path) -> None:
    proxygen("--root", tmp_path, "install-service")
    wanted = written(tmp_path)
    daemon = tmp_path / UNITS / "proxygen.service"
    daemon.write_text(
        re.sub(r"(?m)^(OnFailure|Wants=proxygen|StartLimit).*\n", "", wanted[daemon.name])
    )
    for name in OF_DAEMON:
        if name != daemon.name:
            (tmp_path / UNITS / name).unlink()
    (tmp_path / SCRIPTS / SCRIPT).unlink()
    assert proxygen("--root", tmp_path, "install-service").returncode == 0
    assert written(tmp_path) == wanted
    assert (tmp_path / SCRIPTS / SCRIPT).is_file()


@needs("systemctl")
def test_the_program_is_named_whole_wherever_it_was_called_from(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("proxygen")
    run = subprocess.run(
        [f"bin/{program.name}", "--root", tmp_path, "install-service"],
        cwd=program.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert f"\nExecStart={program} " in written(tmp_path)["proxygen.service"]


@pytest.mark.parametrize("more", ["--timer", "--no-start"])
def test_removal_goes_with_nothing_else(tmp_path: Path, more: str) -> None:
    assert proxygen("--root", tmp_path, "install-service", "--remove", more).returncode == 2


@needs("systemctl")
def test_a_wrong_model_is_three_and_nothing_is_written(tmp_path: Path) -> None:
    model = tmp_path / "etc/proxygen/proxygen.yaml"
    model.parent.mkdir(parents=True)
    model.write_text("global: {url: a}\n")
    assert proxygen("--root", tmp_path, "install-service").returncode == 3
    assert not (tmp_path / UNITS).exists()


@needs("systemctl")
def test_what_the_model_names_can_be_written(tmp_path: Path) -> None:
    model = tmp_path / "etc/proxygen/proxygen.yaml"
    model.parent.mkdir(parents=True)
    text = "global: {url: mail.example.net, certificate: selfsigned}\nservices: {}\n"
    model.write_text(text + "metrics: {file: /srv/figures/proxygen.prom}\n")
    run = proxygen("--root", tmp_path, "install-service")
    assert run.returncode == 0, run.stderr
    assert f"-{tmp_path}/srv/figures" in written(tmp_path)["proxygen.service"].split()


# What systemd itself says of the units.


STRANGE = '/etc/my $HOME %i "ö\\.yaml'


@needs("systemctl", "systemd-analyze")
@pytest.mark.parametrize("kind", [(), ("--timer",)], ids=["daemon", "timer"])
@pytest.mark.parametrize("config", ["/etc/proxygen/proxygen.yaml", STRANGE])
def test_systemd_has_no_complaint(tmp_path: Path, kind: tuple[str, ...], config: str) -> None:
    run = proxygen("--root", tmp_path, "--config", config, "install-service", *kind)
    assert run.returncode == 0, run.stderr
    assert complaints(tmp_path / UNITS) == (0, "")


def complaints(folder: Path) -> tuple[int, str]:
    """Return what systemd says of the units in a folder."""
    verify = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", *map(str, sorted(folder.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    return verify.returncode, verify.stderr


@needs("systemd-analyze")
def test_units_of_debian_12_go_on_working_after_an_upgrade(tmp_path: Path) -> None:
    around = Surroundings(
        command=(sys.executable, "-P", "-m", "proxygen"),
        systemd=252,
        writable=(Path("/etc/nginx"),),
        groups=(),
        hour=7,
    )
    for name, text in units(package_texts(), around).items():
        (tmp_path / name).write_text(text)
    assert complaints(tmp_path) == (0, "")


@needs("systemctl", "systemd-analyze")
@pytest.mark.parametrize(
    ("kind", "unit", "most"),
    [
        ((), "proxygen.service", AT_MOST),
        (("--timer",), "proxygen-renew.service", AT_MOST),
        ((), FAILED[0], AT_MOST_FAILED),
    ],
    ids=["daemon", "timer", "mail"],
)
def test_the_exposure_is_low(tmp_path: Path, kind: tuple[str, ...], unit: str, most: int) -> None:
    proxygen("--root", tmp_path, "install-service", *kind)
    run = subprocess.run(
        [
            *("systemd-analyze", "security", "--offline=true", "--no-pager"),
            *(f"--threshold={most}", str(tmp_path / UNITS / unit)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout


# What systemd is told, by a systemctl that writes it down; in a mount namespace of its own.


RECORDING = """\
#!/bin/sh
[ "$1" = --version ] && { echo "systemd 252 (252.1)"; exit; }
echo "$*" >> {0}.told
[ "$1" != is-active ] || [ -e {0}.active ]
"""
PRIVATELY = """\
set -e
mount -t tmpfs tmpfs /etc/systemd
mkdir /etc/systemd/system
mount --bind "$UNITS" /etc/systemd/system
mount -t tmpfs tmpfs /usr/local/lib
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
mount --bind "$SYSTEMCTL" /usr/bin/systemctl
[ -z "$PACKAGED" ] || mount --bind "$PACKAGED" /usr/lib/systemd/system
exec "$@"
"""
BY_MODULE = (sys.executable, "-P", "-m", "proxygen")


def told(
    folder: Path, *arguments: str, program: tuple[str, ...] = BY_MODULE, packaged: str = ""
) -> list[str]:
    """Run the command on what looks like a host with systemd; return what systemctl was told.

    *packaged* is the folder of the units that a package brought.
    """
    units = folder / "units"
    units.mkdir(exist_ok=True)
    systemctl = folder / "bin/systemctl"
    systemctl.parent.mkdir(exist_ok=True)
    systemctl.write_text(RECORDING.replace("{0}", str(systemctl)))
    systemctl.chmod(0o755)
    log = systemctl.with_name("systemctl.told")
    log.write_text("")
    run = subprocess.run(
        [
            *("unshare", "-m", "sh", "-c", PRIVATELY, "sh", *program),
            *("--config", str(folder / "none.yaml"), "install-service", *arguments),
        ],
        env={
            "PATH": os.environ["PATH"],
            "SYSTEMCTL": str(systemctl),
            "UNITS": str(units),
            "PACKAGED": packaged,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return log.read_text().splitlines()


def skip_without_mounts() -> None:
    """Skip where nobody may mount."""
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "x", "/mnt"], check=False)
    if probe.returncode or not Path("/etc/systemd").is_dir():
        pytest.skip("mounts are not allowed here")


@needs("unshare")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_systemd_is_told_what_changed(tmp_path: Path) -> None:
    skip_without_mounts()
    enable = "enable --now proxygen.service"
    assert told(tmp_path, "--no-start") == ["daemon-reload"]
    (tmp_path / "units/proxygen.service").unlink()
    assert told(tmp_path) == [
        "daemon-reload",
        "is-active --quiet proxygen.service",
        "reset-failed proxygen.service",  # or one that failed too often would be refused
        enable,
    ]
    assert enable in told(tmp_path)
    # A daemon that runs is started anew when its unit changed.
    (tmp_path / "bin/systemctl.active").touch()
    unit = tmp_path / "units/proxygen.service"
    unit.write_text(unit.read_text() + "# older\n")
    assert told(tmp_path)[-1] == "restart proxygen.service"
    switched = told(tmp_path, "--timer")
    assert switched[0] == "disable --now proxygen.service proxygen-again.timer"
    assert "enable --now proxygen-renew.timer" in switched
    removed = told(tmp_path, "--remove")
    assert removed == ["disable --now proxygen-renew.service proxygen-renew.timer", "daemon-reload"]


# Started by a relative path, or from a folder with an odd name.

ODD = ("plain", "with space", "50%", "$HOME", "a$$b", "%n", "semi;colon", "ünï")


@needs("systemctl", "systemd-analyze")
@pytest.mark.parametrize("name", ODD)
def test_units_are_right_however_the_program_was_started(tmp_path: Path, name: str) -> None:
    """systemd takes absolute paths only, and reads `%` and `$`."""
    place = tmp_path / name
    (place / "bin/deeper").mkdir(parents=True)
    shutil.copy(PROGRAM, place / "bin")
    for each in ("lib", "bin/python3", "pyvenv.cfg"):
        (place / each).symlink_to(Path(PROGRAM).parents[1] / each)
    for program, config, root, cwd in (
        ("bin/proxygen", "model.yaml", "../root", place),
        ("../proxygen", "../../model.yaml", "../../../root", place / "bin/deeper"),
        ("./../bin/./proxygen", "./../model.yaml", "../../root", place / "bin"),
    ):
        run = subprocess.run(
            [program, "--root", root, "--config", config, "install-service"],
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
        )
        assert run.returncode == 0, run.stderr
        folder = tmp_path / "root" / UNITS
        unit = (folder / "proxygen.service").read_text()
        assert not re.search(r"/\.\./|/\./", unit)
        words = shlex.split(re.findall(r"(?m)^ExecStart=(.*)$", unit)[0])
        meant = [each.replace("%%", "%").replace("$$", "$") for each in words[1:]]
        assert words[0].replace("%%", "%") == str(place / "bin/proxygen")
        assert meant == [
            *("--root", str(tmp_path / "root")),
            *("--config", str(place / "model.yaml"), "watch"),
        ]
        assert complaints(folder) == (0, "")
        shutil.rmtree(tmp_path / "root")


def test_a_program_that_systemd_would_not_start_is_refused() -> None:
    for name in ("/a'b/proxygen", '/a"b/proxygen', "/a\\b", "/a\nb", "proxygen"):
        with pytest.raises(UsageError, match="systemd starts no program of that name"):
            units(package_texts(), Surroundings((name,), 252, (), (), 0))


@needs("systemctl")
def test_started_as_a_module_the_unit_starts_python_in_isolated_mode(tmp_path: Path) -> None:
    assert proxygen("--root", tmp_path, "install-service").returncode == 0
    assert f"\nExecStart={sys.executable} -I -m proxygen --root" in written(tmp_path)[DAEMON[0]]


# Beside the units of the Debian package.

PROGRAM = str(Path(sys.executable).with_name("proxygen"))


def as_packaged(folder: Path, program: str = PROGRAM) -> dict[str, str]:
    """Put the units of a package into a folder; return them."""
    around = Surroundings((program,), 252, tuple(map(Path, sorted(WRITTEN))), (), 0)
    texts = units(package_texts(), around)
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace(MARK, "# Of a package"))
    return texts


def by_script(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run install-service of the program that the package's units start."""
    command = [PROGRAM, "--root", root, "install-service", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@needs("systemctl")
def test_what_a_host_needs_goes_beside_the_packages_unit(tmp_path: Path) -> None:
    as_packaged(tmp_path / "usr/lib/systemd/system")
    drop_in = tmp_path / UNITS / "proxygen.service.d/proxygen.conf"
    other = tmp_path / UNITS / "proxygen-failed@.service.d/proxygen.conf"
    assert by_script(tmp_path).stdout == f"wrote {drop_in}\nwrote {other}\n"
    text = drop_in.read_text()
    assert text.startswith(MARK)
    # Other paths and options here; what is the same is not written again.
    assert f"\nExecStart=\nExecStart={PROGRAM} --root {tmp_path} watch\n" in text
    assert "Restart=" not in text
    assert not (tmp_path / UNITS / "proxygen.service").exists()
    assert by_script(tmp_path).stdout == "nothing to do\n"
    removed = by_script(tmp_path, "--remove").stdout
    assert removed == f"removed {drop_in}\nremoved {other}\n"
    assert not drop_in.parent.exists()
    assert (tmp_path / "usr/lib/systemd/system/proxygen.service").is_file()


@needs("systemctl")
def test_a_unit_from_before_the_package_makes_way(tmp_path: Path) -> None:
    assert by_script(tmp_path).returncode == 0
    own = tmp_path / UNITS / "proxygen.service"
    assert own.is_file()
    as_packaged(tmp_path / "usr/lib/systemd/system")
    assert f"removed {own}" in by_script(tmp_path).stdout
    assert not own.exists()


@needs("systemctl")
@pytest.mark.parametrize("present", ["the drop-in", "another in its folder"])
def test_drop_ins_of_somebody_else_stay(tmp_path: Path, present: str) -> None:
    as_packaged(tmp_path / "usr/lib/systemd/system")
    name = "proxygen.conf" if present == "the drop-in" else "override.conf"
    other = tmp_path / UNITS / "proxygen.service.d" / name
    other.parent.mkdir(parents=True)
    other.write_text("[Service]\nNice=1\n")
    run = by_script(tmp_path)
    assert run.returncode == (2 if present == "the drop-in" else 0)
    assert by_script(tmp_path, "--remove").returncode == 0
    assert other.read_text() == "[Service]\nNice=1\n"


@needs("systemctl")
def test_units_of_a_package_that_start_another_program_are_not_ours(tmp_path: Path) -> None:
    as_packaged(tmp_path / "usr/lib/systemd/system", program="/usr/sbin/proxygen")
    said = by_script(tmp_path).stdout
    assert f"wrote {tmp_path / UNITS / 'proxygen.service'}\n" in said
    assert f"wrote {tmp_path}/usr/local/lib/proxygen/failed.sh\n" in said
    assert ".service.d" not in said


@needs("unshare")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_systemd_is_told_of_the_packages_units(tmp_path: Path) -> None:
    skip_without_mounts()
    as_packaged(tmp_path / "packaged")

    def asked(*arguments: str) -> list[str]:
        how = {"program": (PROGRAM,), "packaged": str(tmp_path / "packaged")}
        return told(tmp_path, *arguments, **how)  # type: ignore[arg-type]

    started = asked()
    assert started[-1] == "enable --now proxygen.service"
    assert not (tmp_path / "units/proxygen.service").exists()
    (tmp_path / "bin/systemctl.active").touch()
    assert "disable --now proxygen.service" in asked("--timer")
    removed = asked("--remove")
    assert "disable --now proxygen-renew.timer" in removed
    assert not [each for each in removed if "proxygen-renew.service" in each]
    assert not [*(tmp_path / "units").rglob("*.conf")]


# What the units allow is enough: the real thing under the same restrictions.


def boxed(machine: Machine, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of proxygen's as the unit that is installed on a machine lets it run."""
    return ended(in_box(machine, *arguments))


def in_box(machine: Machine, *arguments: str) -> list[str]:
    """Return the command that runs one of proxygen's in the sandbox of a machine's unit."""
    places = ("--root", str(machine.root), "--config", str(machine.config))
    return python(machine, "-P", "-m", "proxygen", *places, *arguments)


def python(machine: Machine, *arguments: str) -> list[str]:
    """Return the command that runs Python in the sandbox of a machine's unit."""
    unit = machine.root / UNITS / "proxygen.service"
    return [sys.executable, str(SANDBOX), str(unit), sys.executable, *arguments]


def ended(argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        argv, capture_output=True, text=True, check=False, cwd="/", env=environment(), timeout=100
    )


@pytest.fixture
def sandboxed(machine: Machine) -> Machine:
    """Return a machine with the daemon's unit, on which sandboxes can be made."""
    require(["systemctl", "systemd-analyze"])
    if os.geteuid() != 0:
        pytest.skip("only root can make a sandbox")
    probe = subprocess.run(["unshare", "-m", "true"], check=False)
    if probe.returncode:
        pytest.skip("mount namespaces are not allowed here")
    machine.model()
    logs = machine.root / "var/log/nginx"
    for log in (logs / "error.log", logs / "access.log"):
        log.touch()
        chown(log, "www-data", "adm")  # as Debian's logrotate leaves them
        log.chmod(0o640)
    (machine.root / "var/lib/proxygen").mkdir(parents=True)  # StateDirectory=
    assert machine.proxygen("install-service").returncode == 0
    return machine


def test_all_services_are_served_from_within_the_sandbox(
    sandboxed: Machine, tmp_path: Path
) -> None:
    machine = sandboxed
    domain = {"a.example": {"url": "https://www.a.example", "certificate": "acme"}}
    machine.model(domain)
    run = boxed(machine, "apply")
    assert run.returncode == 0, run.stdout + run.stderr
    assert machine.postfix
    leaf = client.leaf(machine.nginx.https, "www.a.example")
    assert client.names(leaf) == {"www.a.example"}
    for port in (machine.postfix.smtps, machine.nginx.https):
        assert client.names(client.leaf(port, "mail.example.net")) == {"mail.example.net"}
    assert boxed(machine, "apply").stdout == "nothing to do\n"
    # On demand: nginx's own group reads the keys, which root without CAP_CHOWN gives its group.
    machine.model(domain, services={"nginx": on_demand(machine)})
    run = boxed(machine, "apply")
    assert run.returncode == 0, run.stdout + run.stderr
    assert client.names(client.leaf(machine.nginx.https, "www.a.example")) == {"www.a.example"}
    run = boxed(machine, "uninstall")
    assert run.returncode == 0, run.stdout + run.stderr


def on_demand(machine: Machine) -> dict[str, object]:
    """Return nginx's part of a machine's model, with certificates that are loaded on demand."""
    part: dict[str, object] = machine.surroundings()["services"]["nginx"]
    return part | {"certificates": "on_demand"}


def test_the_daemon_works_in_the_sandbox_and_stops_at_once(sandboxed: Machine) -> None:
    machine = sandboxed
    machine.model({"a.example": {"url": "https://www.a.example", "certificate": "acme"}})
    daemon = Process(in_box(machine, "watch"), log=machine.root / "watch.out")
    try:
        until(lambda: shown(machine, "www.a.example") == {"www.a.example"}, "the daemon", 60)
        leaf = client.leaf(machine.nginx.https, "mail.example.net")
        assert client.names(leaf) == {"mail.example.net"}
    finally:
        code = daemon.stop()
    assert code == 0, (machine.root / "watch.out").read_text()


def shown(machine: Machine, name: str) -> frozenset[str]:
    """Return the names of the certificate that nginx shows for *name*."""
    return client.names(client.leaf(machine.nginx.https, name))


def test_a_supplied_certificate_of_anybodys_is_read(sandboxed: Machine, tmp_path: Path) -> None:
    from tests.certificates import intermediate, leaf, pem, root

    ca = root()
    between = intermediate(ca)
    pair = leaf(between, "mail.example.net").pair(between)
    place = sandboxed.root / "home/somebody"
    place.mkdir(parents=True)
    for name, content in (
        ("key.pem", pair.key),
        ("fullchain.pem", pair.fullchain + pem(ca.certificate)),
    ):
        (place / name).write_bytes(content)
        (place / name).chmod(0o600)
        os.chown(place / name, 65534, 65534)
    place.chmod(0o700)
    os.chown(place, 65534, 65534)
    supplied = {
        "file": {"certificate": str(place / "fullchain.pem"), "key": str(place / "key.pem")}
    }
    sandboxed.model(main={"url": "https://mail.example.net", "certificate": supplied})
    run = boxed(sandboxed, "validate")
    assert run.returncode == 0, run.stdout + run.stderr


def test_what_is_too_costly_to_read_is_given_up_within_the_sandbox(sandboxed: Machine) -> None:
    folder = sandboxed.config.parent
    (folder / "a.p12").write_bytes(hostile.pkcs12(sandboxed.root, hostile.ABSURD, hidden=True))
    supplied = {"file": {"certificate": "a.p12"}}
    sandboxed.model({"a.example": {"url": "https://www.a.example", "certificate": supplied}})
    run = boxed(sandboxed, "validate")
    assert run.returncode == 5, run.stdout + run.stderr
    assert "it took too much time" in run.stdout  # so there are limits, not a clock


NEW_NAMESPACE = (
    "libc = ctypes.CDLL(None, use_errno=True);"
    " sys.exit(libc.unshare(0x04000000) and os.strerror(ctypes.get_errno()))"
)
"""Asks for CLONE_NEWUTS (unshare(2)); os.unshare is there since Python 3.12 alone."""


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("open('/etc/passwd', 'a')", "Read-only file system"),
        ("os.chown(sys.executable, 1, 1)", "Read-only|not permitted"),
        ("os.setuid(33)", "not permitted"),
        ("os.sched_setaffinity(0, {0})", "not permitted"),
        ("os.kill(os.getpid(), 0) or os.setgroups([0])", "not permitted"),
        ("os.chroot('/')", "not permitted"),
        (NEW_NAMESPACE, "not permitted"),
        ("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", "not permitted"),
    ],
)
def test_the_sandbox_is_one(sandboxed: Machine, words: str, refused: str) -> None:
    run = ended(python(sandboxed, "-c", f"import ctypes, os, socket, sys; {words}"))
    assert run.returncode == 1
    assert re.search(refused, run.stderr), run.stderr
