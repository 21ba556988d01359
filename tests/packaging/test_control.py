"""The control files: what dpkg makes of the versions, what the package needs."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from tests.live.needs import needs

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=9)
SCRIPTS = sorted((Path(__file__).parents[2] / "packaging/debian").iterdir())


@needs("dpkg")
@pytest.mark.parametrize(
    ("older", "newer"),
    [
        pytest.param(("0.1.0", NOON, "12"), ("0.1.0", NOON, "13"), id="the next Debian"),
        pytest.param(("0.1.0", LATER, "13"), ("0.1.1", NOON, "12"), id="a newer proxygen"),
        pytest.param(("0.9.0", LATER, "13"), ("0.10.0", NOON, "12"), id="by number"),
        pytest.param(("0.1.0", NOON, "12"), ("0.1.0", LATER, "12"), id="a newer checkout"),
        pytest.param(("0.2.0rc1", LATER, "13"), ("0.2.0", NOON, "12"), id="a candidate"),
        pytest.param(("0.2.0.dev3", LATER, "13"), ("0.2.0a1", NOON, "12"), id="before the first"),
        pytest.param(("0.2.0", LATER, "13"), ("0.2.0.post1", NOON, "12"), id="after a release"),
    ],
)
def test_versions_sort_as_they_should(
    control: ModuleType, older: tuple[str, datetime, str], newer: tuple[str, datetime, str]
) -> None:
    versions = control.version(*older), control.version(*newer)
    command = ["dpkg", "--compare-versions", versions[0], "lt", versions[1]]
    assert subprocess.run(command, check=False).returncode == 0, versions


def test_the_package_depends_on_the_very_python_that_it_runs_with(control: ModuleType) -> None:
    text = control.control("1", "amd64", "python3.11", "a <a@b>", 1)
    assert "\nDepends: python3.11, libc6\n" in text
    assert all(line[:1] == " " or ": " in line for line in text.splitlines())


def test_licences_of_what_is_bundled_are_told(control: ModuleType) -> None:
    text = control.copyright_of([("click", "8.5.1", "BSD-3-Clause", "/opt/proxygen/x")])
    assert "Apache-2.0" in text
    assert "click 8.5.1: BSD-3-Clause\n    /opt/proxygen/x\n" in text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_maintainer_script_is_one_and_touches_no_service(script: Path) -> None:
    subprocess.run(["sh", "-n", script], check=True)
    text = script.read_text()
    assert text.startswith("#!/bin/sh\n")
    assert "\nset -e\n" in text
    begun = [
        line
        for line in text.splitlines()
        if line.split()[:1] in (["nginx"], ["postfix"], ["doveadm"], ["systemctl"])
        or "deb-systemd-invoke" in line
    ]
    assert not [line for line in begun if "proxygen" not in line and "daemon-reload" not in line]
