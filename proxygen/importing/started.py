"""What starts other ACME clients on this host: timers of systemd, and lines of cron."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from proxygen.host.files import is_regular
from proxygen.importing.reading import ClientFiles
from proxygen.model.layout import Layout

UNITS = (
    *("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system"),
    *("/usr/lib/systemd/system", "/lib/systemd/system"),
)
EXECUTED = re.compile(r"(?m)^\s*Exec(?:Start|StartPre|StartPost|Condition)\s*=.*$")
OWN_FOLDER = re.compile(r"--(?:config|config-dir|path|home|config-home|cert-home)[ =]")
TABLES = ("/etc/crontab", "/etc/anacrontab")
CRON = (
    *("/etc/cron.d", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.hourly"),
    *("/etc/cron.monthly", "/var/spool/cron/crontabs", "/var/spool/cron"),
)
LONGEST_LINE = 200


def stop_commands(clients: Collection[str], layout: Layout, reading: ClientFiles) -> Iterator[str]:
    """Yield the commands that keep clients from being started, and lines to take out."""
    for client in sorted(clients):
        word = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(client)}(?![A-Za-z0-9_])")
        found = dict(client_timers(word, layout, reading))
        for name, is_plain in found.items():
            stop = f"systemctl disable --now {name}"
            yield stop if is_plain else f"# {stop}    # unless it renews something else"
        for path in (*map(layout.host, TABLES), *cron_files(layout, reading)):
            yield from (
                f"# take out {each}, unless it renews something else"
                for each in starting_lines(path, word, reading)
            )


def client_timers(
    word: re.Pattern[str], layout: Layout, reading: ClientFiles
) -> Iterator[tuple[str, bool]]:
    """Yield the timers that are called as a client, or whose service starts it.

    Each with whether it is for what the client usually has, and for no folder of its own.
    """
    units = [path for folder in UNITS for path in reading.below(layout.host(folder))]
    services = {path.name: path for path in reversed(units) if path.suffix == ".service"}
    for path in units:
        if path.suffix == ".timer":
            named = re.search(r"(?m)^\s*Unit\s*=\s*(\S+)\s*$", unit_text(path, reading))
            service = services.get(named[1] if named else f"{path.stem}.service")
            starts = unit_text(service, reading) if service else ""
            if word.search(path.stem) or any(map(word.search, EXECUTED.findall(starts))):
                yield path.name, not OWN_FOLDER.search(starts)


def unit_text(path: Path, reading: ClientFiles) -> str:
    """Return the text of a unit; none where it is masked, or no file."""
    return reading.text(path) if is_regular(path) else ""


def cron_files(layout: Layout, reading: ClientFiles) -> Iterator[Path]:
    """Yield the files that cron reads."""
    for folder in CRON:
        yield from (path for path in reading.below(layout.host(folder)) if is_regular(path))


def starting_lines(path: Path, word: re.Pattern[str], reading: ClientFiles) -> Iterator[str]:
    """Yield the lines of a file that start a client, each with its place."""
    for number, line in enumerate(reading.text(path).split("\n"), 1):
        if word.search(line) and not line.lstrip().startswith("#"):
            yield f"{path}:{number}: {line.strip()[:LONGEST_LINE]}"
