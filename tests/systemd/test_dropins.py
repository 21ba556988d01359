"""Drop-ins: no more than what makes the package's unit the one that this host needs."""

from __future__ import annotations

import pytest

from proxygen.systemd.dropins import HEAD, drop_in, dropin_path

PACKAGED = """\
# a comment = none
[Unit]
Documentation=man:proxygen(8)

[Service]
Type=notify
ExecReload=/bin/kill -HUP $MAINPID
ExecStart=/usr/sbin/proxygen watch
ReadWritePaths=-/etc/nginx -/var/log

[Timer]
OnCalendar=*-*-* 0/12:05:00
"""


@pytest.mark.parametrize(
    ("old", "new", "added"),
    [
        pytest.param(
            "-/var/log", "-/srv -/var/log", "[Service]\nReadWritePaths=-/srv\n", id="more"
        ),
        pytest.param(
            "-/etc/nginx -/var/log",
            "-/srv",
            "[Service]\nReadWritePaths=\nReadWritePaths=-/srv\n",
            id="others",
        ),
        pytest.param(
            "[Timer]",
            "SupplementaryGroups=www-data\n[Timer]",
            "[Service]\nSupplementaryGroups=www-data\n",
            id="a group",
        ),
        pytest.param(
            "proxygen watch",
            "proxygen --config /a watch",
            "[Service]\nExecStart=\nExecStart=/usr/sbin/proxygen --config /a watch\n",
            id="another model",
        ),
        pytest.param(
            "notify\nExecReload=/bin/kill -HUP $MAINPID",
            "notify-reload",
            "[Service]\nType=notify-reload\nExecReload=\n",
            id="a newer systemd",
        ),
    ],
)
def test_it_holds_what_differs(old: str, new: str, added: str) -> None:
    assert drop_in(PACKAGED, PACKAGED.replace(old, new)) == f"{HEAD}\n{added}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("notify", "notify"),
        ("a comment", "another"),
        ("Documentation=man:proxygen(8)\n", ""),
        (" 0/12:05", " 7/12:05"),
        ("-/etc/nginx -/var/log", "-/var/log  -/etc/nginx"),
    ],
)
def test_there_is_none_where_the_unit_does(old: str, new: str) -> None:
    wanted = PACKAGED.replace(old, new)
    assert drop_in(PACKAGED, wanted) is None


def test_its_place_is_beside_the_unit() -> None:
    assert dropin_path("proxygen.service") == "proxygen.service.d/proxygen.conf"
