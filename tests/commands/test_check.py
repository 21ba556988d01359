"""check: a monitoring system reads one line, figures, and an exit code; never a traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxygen.host import lock
from proxygen.model.layout import Layout
from proxygen.reports.check import LONGEST_LINE, Result, why_disk_refuses
from proxygen.reports.health import HealthFinding, Level
from proxygen.stores.bundles import Bundles
from proxygen.stores.filesystem import FileStore
from proxygen.stores.names import NameStore
from tests import models
from tests.certificates import DAY
from tests.commands.test_cli import MODEL, proxygen
from tests.commands.test_cli import root as root
from tests.failures import not_issued
from tests.known_names import HOST, LATE, A, waiting
from tests.known_names import TEXT as NAMES

FIGURE = re.compile(r"[a-z_]+=-?[0-9.]+(;[0-9.]*:?){0,3}")
"""'label'=value[UOM];[warn];[crit];[min];[max] (Monitoring Plugins guidelines, 2.6)."""


def figures(line: str) -> dict[str, str]:
    """Return the figures behind the bar; each must be as the guidelines have it."""
    assert line.count("|") == 1
    found = line.partition("| ")[2].split(" ")
    assert all(FIGURE.fullmatch(each) for each in found), found
    return dict(each.split("=") for each in found)  # type: ignore[misc]


def test_all_is_well_after_apply(root: Path) -> None:
    assert proxygen("--root", root, "apply").returncode == 0
    run = proxygen("--root", root, "check")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("\n") == 1
    assert run.stdout.startswith("PROXYGEN OK - 2 certificates, the first expires in 89 days (")
    said = figures(run.stdout.strip())
    assert said["certificates"] == "2;;;0"
    assert said["failing"] == said["due"] == said["postponed"] == said["unserved"] == "0;;;0"
    assert re.fullmatch(r"(89\.9|90\.0)\d;5.00:;2.00:", said["days_left"])


def test_before_the_first_apply_it_is_critical(root: Path) -> None:
    run = proxygen("--root", root, "check")
    assert run.returncode == 2
    assert run.stdout.startswith("PROXYGEN CRITICAL - there is no global certificate yet (and 1 ")
    assert "\nWARNING: a.example: no certificate yet\n" in run.stdout


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (("--warning", "91"), 1),
        (("--critical", "91"), 2),
        (("--warning", "91", "--critical", "0.5"), 1),
        (("--warning", "30", "--critical", "7"), 0),
        (("--warning", "soon"), 3),
        (("--critical", "-1"), 3),
        (("--nonsense",), 3),
        (("more",), 3),
    ],
)
def test_limits_and_mistakes_of_use(root: Path, limits: tuple[str, ...], code: int) -> None:
    proxygen("--root", root, "apply")
    run = proxygen("--root", root, "check", *limits)
    assert run.returncode == code
    assert run.stdout.startswith(f"PROXYGEN {Level(code).name} - ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--warning", "abc"), "--warning abc: not a number of days (0 to 10000)"),
        (("--critical", "nan"), "--critical nan: not a number of days (0 to 10000)"),
        (("--critical", "-1"), "--critical -1: not a number of days (0 to 10000)"),
        (("--warning", "20000"), "--warning 20000: not a number of days (0 to 10000)"),
        (("--nonsense",), "No such option"),
        (
            ("--warning", "2", "--critical", "7.5"),
            "--critical 7.5 is longer before the end than --warning 2; it must not be",
        ),
    ],
)
def test_what_is_wrong_about_the_options_is_told_also_as_json(
    root: Path, arguments: tuple[str, ...], words: str
) -> None:
    run = proxygen("--root", root, "check", *arguments)
    assert (run.returncode, run.stderr) == (3, "")
    assert run.stdout.startswith(f"PROXYGEN UNKNOWN - {words}")
    assert run.stdout.count("\n") == 1
    for place in (("--json", *arguments), (*arguments, "--json")):
        run = proxygen("--root", root, "check", *place)
        said = json.loads(run.stdout)
        assert (run.returncode, said["state"], said["exit_code"]) == (3, "UNKNOWN", 3)
        assert said["findings"][0]["words"].startswith(words)


def counted(**more: int) -> os.statvfs_result:
    """Return what statvfs(3) says of a file system that has room, changed."""
    names = ("bsize", "frsize", "blocks", "bfree", "bavail", "files", "ffree", "favail", "flag")
    usual = {"bsize": 4096, "frsize": 4096, "blocks": 9, "bfree": 9, "bavail": 9}
    usual |= {"files": 9, "ffree": 9, "favail": 9, "flag": 0}
    return os.statvfs_result((*((usual | more)[name] for name in names), 255))


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (counted(), ""),
        (counted(flag=os.ST_RDONLY), "its file system is read-only"),
        (counted(bavail=0), "its file system is full"),
        (counted(favail=0), "its file system has no inode left"),
        (counted(blocks=0, bavail=0, files=0, favail=0), ""),  # does not count them
    ],
)
def test_why_a_file_system_takes_nothing(found: os.statvfs_result, why: str) -> None:
    assert why_disk_refuses(found) == why


MOUNTED = "mount -t tmpfs -o {} none '{}' && exec '{}' -m proxygen --root '{}' check"


@pytest.mark.skipif(os.getuid() != 0, reason="only root mounts")
@pytest.mark.parametrize(
    ("options", "why"), [("ro", "is read-only"), ("nr_inodes=1", "has no inode left")]
)
def test_a_store_that_takes_nothing_is_critical(root: Path, options: str, why: str) -> None:
    assert proxygen("--root", root, "apply").returncode == 0
    words = MOUNTED.format(options, root / "var/lib/proxygen/store", sys.executable, root)
    run = subprocess.run(["unshare", "-m", "sh", "-c", words], capture_output=True, text=True)
    if run.returncode == 32:
        pytest.skip("this container mounts nothing")
    assert run.returncode == 2, run.stderr
    assert f"nothing can be stored in {root}/var/lib/proxygen/store: its file system {why}" in (
        run.stdout
    )


def test_a_failure_is_told_with_its_reason_in_one_line(root: Path) -> None:
    proxygen("--root", root, "apply")
    layout = Layout(root, root / "etc/proxygen/proxygen.yaml")
    wanted = list(models.site(MODEL).certificates)[1]
    error = not_issued("refused |\nfor a reason\x1b[31m").failure
    bundles = Bundles(FileStore(layout.store))
    bundles.failed(wanted, error, datetime.now(UTC), 0.5)
    run = proxygen("--root", root, "check")
    assert run.returncode == 1
    assert "\x1b" not in run.stdout
    line = run.stdout.splitlines()[0]
    assert "a.example: not obtained since" in line
    assert "cannot be read: refused /" in line
    assert figures(line)["failing"] == "1;;;0"


def test_a_certificate_that_ended_is_critical(root: Path) -> None:
    proxygen("--root", root, "apply")
    bundles = Bundles(FileStore(root / "var/lib/proxygen/store"))
    now = datetime.now(UTC)
    bundles.note(bundles.all()["a.example"], not_before=now - 9 * DAY, not_after=now - DAY)
    run = proxygen("--root", root, "check", "--json")
    said = json.loads(run.stdout)
    assert (run.returncode, said["state"], said["exit_code"]) == (2, "CRITICAL", 2)
    assert said["findings"][0]["words"].startswith("a.example: expired on ")
    assert said["figures"]["days_left"] < -0.9


def test_a_wrong_model_is_critical_since_nothing_is_renewed(root: Path) -> None:
    model = root / "etc/proxygen/proxygen.yaml"
    model.write_text("global: {url: a}\n")
    run = proxygen("--root", root, "check")
    assert run.returncode == 2
    assert f"{model}:1:" in run.stdout
    assert run.stderr == ""


def test_without_a_model_nothing_is_known(tmp_path: Path) -> None:
    run = proxygen("--root", tmp_path, "check")
    assert run.returncode == 3
    assert run.stdout.startswith("PROXYGEN UNKNOWN - the model file")
    assert run.stdout.count("\n") == 1


def test_a_store_that_cannot_be_read_is_unknown(root: Path) -> None:
    proxygen("--root", root, "apply")
    store = root / "var/lib/proxygen/store/certificates"
    store.rename(store.with_name("away"))
    store.symlink_to(store)  # ELOOP, for root too
    run = proxygen("--root", root, "check")
    assert run.returncode == 3, run.stdout
    assert run.stdout.startswith("PROXYGEN UNKNOWN - ")
    assert "Traceback" not in run.stdout + run.stderr


def test_a_daemon_that_is_set_up_but_does_not_run_is_critical(root: Path) -> None:
    proxygen("--root", root, "apply")
    unit = root / "etc/systemd/system/proxygen.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("# Written by proxygen install-service\n")
    run = proxygen("--root", root, "check")
    assert run.returncode == 2
    assert "the daemon (proxygen.service) does not run" in run.stdout
    with lock.hold(root / "var/lib/proxygen/watch/lock"):  # as the daemon does
        assert os.getpid() > 0
        assert proxygen("--root", root, "check").returncode == 0


def test_the_line_is_bounded_however_much_is_wrong() -> None:
    found = tuple(HealthFinding(Level.WARNING, "ending", "x" * 1000) for _ in range(1000))
    said = str(Result(Level.WARNING, found, {"due": "1;;;0"}))
    assert len(said.splitlines()[0]) < LONGEST_LINE + 60
    assert len(said) < 12_000
    assert said.endswith("and 980 more")


def test_names_that_wait_are_a_figure_and_those_of_a_customer_no_warning(root: Path) -> None:
    text = NAMES.replace("certificate: acme", "certificate: selfsigned", 1) + "services: {}\n"
    (root / "etc/proxygen/proxygen.yaml").write_text(text)
    proxygen("--root", root, "apply", "global")
    book = NameStore(FileStore(root / "var/lib/proxygen/store"))
    far = datetime.now(UTC) + DAY
    book.note(A, [replace(waiting(name), look_at=far) for name in (HOST, LATE)])
    run = proxygen("--root", root, "check")
    assert run.returncode == 0, run.stdout
    shown = figures(run.stdout.splitlines()[0])
    assert (shown["names_waiting"], shown["names_failed"]) == ("2;;;0", "0;;;0")
    assert (shown["postponed"], shown["due"]) == ("1;;;0", "1;;;0")
