"""Units: every word of them is quoted as systemd undoes it, and fits the systemd that is there."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from proxygen.commands.install_service import package_texts
from proxygen.errors import UsageError
from proxygen.systemd.units import (
    DAEMON,
    FAILED,
    MARK,
    SCRIPT,
    TIMER,
    Surroundings,
    command,
    quote_word,
    units,
)

HERE = Surroundings(
    command=("/usr/bin/proxygen",),
    systemd=252,
    writable=(Path("/etc/nginx"), Path("/var/log/my logs")),
    groups=(),
    hour=7,
)


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/usr/bin/proxygen", "/usr/bin/proxygen"),
        ("", '""'),
        ("a b", '"a b"'),
        ("50%i", '"50%%i"'),
        ('say "x"', '"say \\"x\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("it's", '"it\'s"'),
        ("one\ntwo\t", '"one\\x0atwo\\x09"'),
        ("ü.yaml", '"ü.yaml"'),
        ("\udcff", '"\\xff"'),
        ("#;", '"#;"'),
    ],
)
def test_a_word_is_quoted(word: str, written: str) -> None:
    assert quote_word(word) == written


def test_a_dollar_is_no_variable_in_an_argument() -> None:
    assert (
        command(("/opt/p", "--config", "/etc/$HOME.yaml")) == '/opt/p --config "/etc/$$HOME.yaml"'
    )


@pytest.mark.parametrize(
    ("systemd", "lines"),
    [
        (252, 'Type=notify\nExecReload=/bin/sh -c "kill -HUP $$1" sh $MAINPID\n'),
        (253, "Type=notify-reload\nExecStart="),
        (257, "Type=notify-reload\nExecStart="),
    ],
)
def test_the_reload_is_what_this_systemd_can(systemd: int, lines: str) -> None:
    assert lines in units(package_texts(), replace(HERE, systemd=systemd))[DAEMON[0]]


@pytest.mark.parametrize(("systemd", "direct"), [(252, False), (253, False), (254, True)])
def test_a_restart_is_no_failure_to_any_systemd(systemd: int, direct: bool) -> None:
    text = units(package_texts(), replace(HERE, systemd=systemd))[DAEMON[0]]
    assert ("\nRestartMode=direct\n" in text) == direct


def seconds(unit: str, setting: str) -> int:
    """Return a time of a unit."""
    found = re.search(rf"(?m)^{setting}=(\d+)(s|min|)$", unit)
    assert found, setting
    return int(found[1]) * (60 if found[2] == "min" else 1)


def test_a_daemon_that_cannot_run_reaches_its_limit_and_is_started_again() -> None:
    daemon, again = (units(package_texts(), HERE)[name] for name in DAEMON)
    limit = seconds(daemon, "StartLimitIntervalSec")
    a_start = 90 + seconds(daemon, "TimeoutStopSec") + seconds(daemon, "RestartSec")
    assert seconds(daemon, "StartLimitBurst") * a_start < limit  # also when each one hangs
    assert seconds(again, "OnUnitInactiveSec") >= limit  # or that start would be refused
    assert "\nWants=proxygen-again.timer\n" in daemon
    assert "\nPartOf=proxygen.service\n" in again  # who stops the daemon stops it, too


@pytest.mark.parametrize("name", [DAEMON[0], TIMER[0]])
def test_the_services_name_the_unit_that_mails(name: str) -> None:
    text = units(package_texts(), HERE)[name]
    assert "\nOnFailure=proxygen-failed@%N.service\n" in text


def test_the_unit_that_mails_is_told_how_proxygen_is_started() -> None:
    started = ("/opt/p $x/bin/proxygen", "--config", "/etc/50%.yaml")
    around = replace(HERE, command=started, script=Path("/usr/lib/proxygen") / SCRIPT)
    text = units(package_texts(), around)[FAILED[0]]
    assert (
        "\nExecStart=/bin/sh /usr/lib/proxygen/failed.sh %i /var/lib/proxygen/outage "
        '"/opt/p $$x/bin/proxygen" --config "/etc/50%%.yaml"\n'
    ) in text
    assert "\nReadWritePaths=-/var/lib/proxygen/outage -/var/spool -/var/mail -/var/log\n" in text
    assert "\nTimeoutStartSec=" in text


def test_every_unit_is_marked_as_ours_and_says_how_to_change_it() -> None:
    for name, text in units(package_texts(), HERE).items():
        assert text.startswith(MARK), name
        assert f"systemctl edit {name}" in text
        assert "${" not in text


def test_folders_to_write_to_may_be_missing_and_have_any_name() -> None:
    text = units(package_texts(), HERE)[DAEMON[0]]
    assert 'ReadWritePaths=-/etc/nginx "-/var/log/my logs"\n' in text


def test_groups_stand_in_the_unit_only_where_there_are_some() -> None:
    assert "SupplementaryGroups" not in units(package_texts(), HERE)[DAEMON[0]]
    text = units(package_texts(), replace(HERE, groups=("www-data",)))[DAEMON[0]]
    assert "\nSupplementaryGroups=www-data\n" in text


def test_the_timer_looks_twice_a_day_and_never_on_the_hour() -> None:
    text = units(package_texts(), HERE)[TIMER[1]]
    assert "\nOnCalendar=*-*-* 7/12:05:00\n" in text
    assert "\nRandomizedDelaySec=50min\n" in text  # so from :05 to :55
    assert "\nFixedRandomDelay=yes\n" in text
    assert "\nPersistent=yes\n" in text


@pytest.mark.parametrize("name", ['"quoted"', "back\\slash", "line\n", "\x07", "\udcff"])
def test_a_folder_that_systemd_cannot_be_told_of_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="systemd cannot be told") as caught:
        units(package_texts(), replace(HERE, writable=(Path("/srv") / name,)))
    assert "rename it" in caught.value.remedy


@pytest.mark.parametrize("name", ["it's", "50%", "a b", "\u00fc", "#;$"])
def test_a_folder_of_any_other_name_is_written(name: str) -> None:
    text = units(package_texts(), replace(HERE, writable=(Path("/srv") / name,)))[DAEMON[0]]
    assert f"/srv/{name}".replace("%", "%%") in text
