"""Units: every word of them is quoted as systemd undoes it, and fits the systemd that is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proxygen.commands.install_service import package_texts
from proxygen.errors import UsageError
from proxygen.plan.units import DAEMON, MARK, TIMER, Surroundings, command, quoted, units

HERE = Surroundings(
    command=("/usr/bin/proxygen",),
    systemd=252,
    kill="/bin/kill",
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
    assert quoted(word) == written


def test_a_dollar_is_no_variable_in_an_argument() -> None:
    assert (
        command(("/opt/p", "--config", "/etc/$HOME.yaml")) == '/opt/p --config "/etc/$$HOME.yaml"'
    )


@pytest.mark.parametrize(
    ("systemd", "lines"),
    [
        (252, "Type=notify\nExecReload=/bin/kill -HUP $MAINPID\n"),
        (253, "Type=notify-reload\nExecStart="),
        (257, "Type=notify-reload\nExecStart="),
    ],
)
def test_the_reload_is_what_this_systemd_can(systemd: int, lines: str) -> None:
    assert lines in units(package_texts(), replace(HERE, systemd=systemd))[DAEMON[0]]


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
