"""Drop-ins: what one host needs of a unit that a package brought (systemd.unit(5))."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from proxygen.systemd.units import MARK

HEAD = f"""\
{MARK}, which writes it anew: what this host's model needs beside
# the package's unit. `proxygen install-service --remove` takes it away.
"""

WORDS = ("ReadWritePaths", "SupplementaryGroups")
"""Settings that hold words, to which a drop-in adds."""
ELSEWHERE = ("Documentation", "OnCalendar", "RandomizedDelaySec")
"""What the package has its own way: where its manual is; by its timer, too, each host draws a
moment of its own."""

Settings = Mapping[tuple[str, str], Sequence[str]]
"""The values of each setting, by section and name."""


def dropin_path(name: str) -> str:
    """Return where the drop-in of a unit is, from the folder of the units."""
    return f"{name}.d/proxygen.conf"


def drop_in(packaged: str, wanted: str) -> str | None:
    """Return what makes the package's unit the *wanted* one, None where it is.

    It holds only what differs, so that the unit of a newer package counts.
    """
    before, after = unit_settings(packaged), unit_settings(wanted)
    lines: dict[str, list[str]] = {}
    for section, name in [*after, *(each for each in before if each not in after)]:
        values = [before.get((section, name), ()), after.get((section, name), ())]
        if values[0] != values[1] and name not in ELSEWHERE:
            lines.setdefault(section, []).extend(changed_setting(name, *values))
    parts = (f"[{section}]\n" + "\n".join(each) + "\n" for section, each in lines.items() if each)
    text = "\n".join(parts)
    return f"{HEAD}\n{text}" if text else None


def changed_setting(name: str, before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Yield the lines that give a setting other values; an empty one takes back those before."""
    old, new = " ".join(before).split(), " ".join(after).split()
    if name in WORDS and set(old) <= set(new):
        if more := [word for word in new if word not in old]:
            yield f"{name}={' '.join(more)}"
        return
    if before and (name.startswith("Exec") or name in WORDS or not after):
        yield f"{name}="
    yield from (f"{name}={value}" for value in after)


def unit_settings(unit: str) -> Settings:
    """Return what a unit of ours sets; it has no lines that go on in the next one."""
    found: dict[tuple[str, str], list[str]] = {}
    section = ""
    for line in map(str.strip, unit.splitlines()):
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault((section, name), []).append(value)
    return found
