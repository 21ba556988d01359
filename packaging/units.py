"""The package's units: those of install-service, for every host of a release."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from proxygen.commands.install_service import PACKAGED_SCRIPTS, WRITTEN, package_texts
from proxygen.systemd.units import MARK, SCRIPT, Surroundings, units

HEAD = """\
# Part of Debian's package proxygen: put changes into a drop-in (systemctl edit {name}).
# What a host's own model needs `proxygen install-service` writes into one, too.
"""
MANUAL = "Documentation=man:proxygen(8) file:///usr/share/doc/proxygen/README.md\n"
SYSTEMD = {"12": 252, "13": 257}
"""The systemd of each release of Debian."""

ONE_HOSTS, EVERY_HOSTS = "RandomizedDelaySec=50min", "RandomizedDelaySec=11h"
"""The timer of one host has an hour of its own; by that of all each draws a moment, for good."""


def package_units(release: str) -> dict[str, str]:
    """Return the text of every unit by its name."""
    around = Surroundings(
        command=("/usr/sbin/proxygen",),
        systemd=SYSTEMD[release],
        writable=tuple(sorted(map(Path, WRITTEN))),
        groups=(),
        hour=0,
        script=Path(PACKAGED_SCRIPTS, SCRIPT),
    )
    return packaged(units(package_texts(), around))


def package_script() -> str:
    """Return what the unit of the mail runs."""
    head, gap, rest = package_texts()[SCRIPT].partition("\n#\n")
    if not head.startswith(MARK):
        raise ValueError(f"{SCRIPT} does not begin as what install-service writes does")
    return f"# Part of Debian's package proxygen.{gap}{rest}"


def packaged(texts: Mapping[str, str]) -> dict[str, str]:
    """Return units as the package has them: install-service neither wrote them nor removes them."""
    return {name: as_part(name, text) for name, text in texts.items()}


def as_part(name: str, text: str) -> str:
    """Return one unit with the head of the package's, and where the manual is."""
    head, unit, rest = text.partition("[Unit]\n")
    if not head.startswith(MARK):
        raise ValueError(f"{name} does not begin as units of install-service do")
    return HEAD.format(name=name) + "\n" + unit + MANUAL + rest.replace(ONE_HOSTS, EVERY_HOSTS)
