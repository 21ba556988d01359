"""The package's units: all of ours, for every host, as systemd wants them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from proxygen.commands.install_service import package_texts
from proxygen.systemd.units import MARK
from tests.live.needs import needs


@pytest.mark.parametrize(("release", "kind"), [("12", "notify"), ("13", "notify-reload")])
def test_the_daemon_is_the_packages_program(
    package_units: ModuleType, release: str, kind: str
) -> None:
    daemon = package_units.package_units(release)["proxygen.service"]
    assert "\nExecStart=/usr/sbin/proxygen watch\n" in daemon
    assert f"\nType={kind}\n" in daemon
    assert "man:proxygen(8)" in daemon


def test_every_unit_is_there_and_none_says_that_install_service_wrote_it(
    package_units: ModuleType,
) -> None:
    found = package_units.package_units("12")
    assert {name for name in package_texts() if name.endswith((".service", ".timer"))} == set(found)
    assert not [name for name, text in found.items() if MARK in text or "$" + "{" in text]


def test_each_host_has_a_moment_of_its_own(package_units: ModuleType) -> None:
    timer = package_units.package_units("12")["proxygen-renew.timer"]
    assert "\nOnCalendar=*-*-* 0/12:05:00\nRandomizedDelaySec=11h\nFixedRandomDelay=yes\n" in timer


@needs("systemd-analyze")
@pytest.mark.parametrize("release", ["12", "13"])
def test_systemd_has_no_complaint(package_units: ModuleType, release: str, tmp_path: Path) -> None:
    for name, text in package_units.package_units(release).items():
        # What is started must be there.
        (tmp_path / name).write_text(text.replace("/usr/sbin/proxygen", "/bin/true"))
    command = ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    ours = [line for line in run.stderr.splitlines() if "proxygen" in line]
    if release == "13":  # what systemd 252 does not know
        newer = re.compile("notify-reload|'RestartMode'")
        ours = [line for line in ours if not newer.search(line)]
    assert not ours
