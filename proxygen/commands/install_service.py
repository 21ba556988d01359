"""install-service: systemd's units for the daemon, or for a timer."""

from __future__ import annotations

import grp
import hashlib
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import click

from proxygen import assemble
from proxygen.errors import Coded, ServiceError, UsageError, words_json
from proxygen.failure import Scope, failure
from proxygen.host import files, processes
from proxygen.languages.lines import terminal_text
from proxygen.model.layout import Layout
from proxygen.observe.installed import group_of
from proxygen.observe.services import service_states
from proxygen.reports.document import json_document
from proxygen.services import Command
from proxygen.systemd.dropins import drop_in, dropin_path
from proxygen.systemd.units import DAEMON, FAILED, MARK, SCRIPT, TIMER, Surroundings, units
from proxygen.terminal.arguments import JSON

WRITTEN = (
    *("/etc/nginx", "/etc/postfix", "/etc/dovecot", "/run", "/var/log"),
    *("/var/lib/nginx", "/var/cache/nginx", "/var/lib/proxygen"),
)
"""What proxygen and the checks of the services write to as Debian lays it out."""

MAIL = ("/var/spool", "/var/mail", "/var/log")
"""What sendmail(1) of a mail server writes to as Debian lays it out: queue, mailboxes, logs."""

UNITS, SCRIPTS = "/etc/systemd/system", "/usr/local/lib/proxygen"
PACKAGED_UNITS, PACKAGED_SCRIPTS = "/usr/lib/systemd/system", "/usr/lib/proxygen"
"""Where the Debian package has its own."""
STARTED, STARTED_TIMER = DAEMON[0], TIMER[1]
SYSTEMCTL = "systemctl"
OLDEST = 247
"""The first systemd that knows every setting of ours but the newest kind of reload."""


@dataclass(slots=True)
class Done:
    """What was changed, in words, and what is left to a person."""

    changed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "changed": [*map(words_json, self.changed)],
            "left_to_you": [*map(words_json, self.left)],
        }


@click.command("install-service", short_help="Have systemd run the daemon, or `renew`.")
@click.option(
    "--timer", is_flag=True, help="Run `proxygen renew` twice a day instead of the daemon."
)
@click.option("--no-start", is_flag=True, help="Write the units, but do not enable or start them.")
@click.option("--remove", is_flag=True, help="Stop the service and remove its units.")
@JSON
@click.pass_obj
def command(layout: Layout, timer: bool, no_start: bool, remove: bool, as_json: bool) -> int:
    """Have systemd run `proxygen watch`, now and whenever this host starts.

    With --timer, systemd runs `proxygen renew` twice a day instead. The units of the other one are
    removed. Run the command again after you added nginx, postfix or dovecot, so that the units may
    write to the files of that service. If the Debian package is installed, its units are used, and
    a drop-in holds what this host needs in addition.
    """
    if remove and (timer or no_start):
        raise UsageError("--remove takes away all of it", remedy="give it alone")
    folder, scripts, done = layout.host(UNITS), layout.host(SCRIPTS), Done()
    packaged = packaged_units(layout)
    if remove:
        take_away(folder, (*DAEMON, *TIMER, *FAILED), layout, done)
        take_away_script(scripts, done)
        switch_off(packaged, (*DAEMON, *TIMER), layout, done)
    else:
        chosen, other = (TIMER, DAEMON) if timer else (DAEMON, TIMER)
        wanted = (*chosen, *FAILED)
        own = [] if packaged else [scripts / SCRIPT]
        written = (folder / form for name in wanted for form in (name, dropin_path(name)))
        refuse_foreign([*written, *own])
        package = package_texts()
        texts = units(package, surroundings_here(layout, packaged))
        take_away(folder, other, layout, done)
        switch_off(packaged, other, layout, done)
        make_way(folder, packaged, wanted, layout, done)
        if packaged:
            take_away_script(scripts, done)
        else:
            put_units(scripts, {SCRIPT: package[SCRIPT]}, {}, done)
        put_units(folder, {name: texts[name] for name in wanted}, packaged, done)
        start_unit(STARTED_TIMER if timer else STARTED, layout, done, begin=not no_start)
    print_done(done, as_json=as_json)
    return 0


def print_done(done: Done, *, as_json: bool) -> None:
    """Print what was changed, and what a person has to do."""
    if as_json:
        click.echo(json_document(done.as_json()))
        return
    for words in done.changed or ["nothing to do"]:
        click.echo(terminal_text(words))
    for words in done.left:
        click.echo(terminal_text(words), err=True)


# What the units depend on.


def package_texts() -> dict[str, str]:
    """Return the texts of the package by name."""
    folder = resources.files("proxygen") / "systemd"
    texts = {
        each.name: files.text(Path(str(each)))
        for each in folder.iterdir()
        if each.is_file() and not each.name.endswith(".py")
    }
    return {name: text for name, text in texts.items() if text is not None}


def packaged_units(layout: Layout) -> dict[str, str]:
    """Return the units of the Debian package; none where they start another program than this."""
    folder = layout.host(PACKAGED_UNITS)
    texts = {name: files.text(folder / name) for name in (*DAEMON, *TIMER, *FAILED)}
    found = {name: text for name, text in texts.items() if text is not None}
    program = started_by(found)
    this, *module = this_program()
    own = program is not None and not module and Path(this).resolve() == program.resolve()
    return found if own else {}


def started_by(texts: Mapping[str, str]) -> Path | None:
    """Return the program that the daemon's unit starts."""
    found = re.search(r"(?m)^ExecStart=(/\S+)", texts.get(DAEMON[0], ""))
    return Path(found[1]) if found else None


def surroundings_here(layout: Layout, packaged: Mapping[str, str]) -> Surroundings:
    """Return what the units depend on, on this host."""
    folders, groups = asked_of_the_model(layout)
    writable = {files.absolute_path(layout.host(path)) for path in WRITTEN} | set(
        map(files.absolute_path, folders)
    )
    program = started_by(packaged)
    return Surroundings(
        command=(*((str(program),) if program else this_program()), *command_options(layout)),
        systemd=systemd_version(),
        writable=tuple(sorted(writable)),
        groups=groups,
        hour=timer_hour(layout),
        script=files.absolute_path(layout.host(PACKAGED_SCRIPTS if packaged else SCRIPTS)) / SCRIPT,
        outage=files.absolute_path(layout.outage),
        mail=tuple(files.absolute_path(layout.host(path)) for path in MAIL),
    )


def this_program() -> tuple[str, ...]:
    """Return how this very program is started."""
    path = Path(sys.argv[0])
    if path.name == "__main__.py":
        return (str(files.absolute_path(Path(sys.executable))), "-I", "-m", "proxygen")
    return (str(files.absolute_path(path)),)


def command_options(layout: Layout) -> tuple[str, ...]:
    """Return the options before the command that lead to the same files."""
    root = () if layout.root == Path("/") else ("--root", str(files.absolute_path(layout.root)))
    usual = files.absolute_path(layout.config) == files.absolute_path(layout.etc / "proxygen.yaml")
    return root if usual else (*root, "--config", str(files.absolute_path(layout.config)))


def asked_of_the_model(layout: Layout) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Return the folders to write to and the groups to give files to, as the model has it.

    Nothing before there is a model; raise ModelError for a wrong one.
    """
    if not layout.config.is_file():
        return (), ()
    site = assemble.read_site(layout)
    installation = assemble.build_installation(layout, lambda: datetime.now(UTC))
    found = {name: state.facts for name, state in service_states(site, installation) if state.facts}
    paths = [layout.host(str(site.metrics.file))] if site.metrics.file else []
    for name, facts in found.items():
        pointer = installation.services[name].pointer(facts.main)
        paths += [path for path in (facts.main, facts.log, facts.pid_file) if path]
        paths += [pointer.path] if pointer else []
    return tuple(path.parent for path in paths), certificate_groups(
        each.user for each in found.values()
    )


def certificate_groups(users: Iterable[str | None]) -> tuple[str, ...]:
    """Return the primary groups of the users who read certificates at each handshake."""
    numbers = {number for user in users if (number := group_of(user)) is not None}
    return tuple(sorted(grp.getgrgid(number).gr_name for number in numbers))


def systemd_version() -> int:
    """Return the version of systemd; raise ServiceError where it is none that knows our units."""
    systemctl = processes.find_program([SYSTEMCTL])
    if systemctl is None:
        raise ServiceError(failure("no-systemd", Scope.HOST))
    answer = processes.run(Command((systemctl, "--version")))
    found = re.search(r"systemd (\d+)", answer.out)
    if found is None or int(found[1]) < OLDEST:
        words = answer.words
        raise ServiceError(failure("systemd-too-old", Scope.HOST, words=words, oldest=OLDEST))
    return int(found[1])


def timer_hour(layout: Layout) -> int:
    """Return when this host's timer looks first, 0 to 11: other hosts have other hours."""
    identity = files.read(layout.host("/etc/machine-id"), 1024) or b""
    return hashlib.sha256(identity).digest()[0] % 12


# The files, and systemd.


def refuse_foreign(paths: Iterable[Path]) -> None:
    """Raise UsageError when one of the units is somebody else's."""
    for path in paths:
        if not is_ours(path):
            raise UsageError(
                f"{path} was not written by proxygen, so it stays as it is",
                remedy="move it away, then run the command again",
            )


def is_ours(path: Path) -> bool:
    """Return whether a unit is ours to write: it is not there, or begins as ours do."""
    return not is_there(path) or (path.is_file() and begins_as_ours(path))


def is_there(path: Path) -> bool:
    """Return whether anything is at *path*, be it a link that leads nowhere."""
    return path.is_symlink() or path.exists()


def begins_as_ours(path: Path) -> bool:
    """Return whether a file begins as our units do; a link is somebody's own doing."""
    return not path.is_symlink() and (files.text(path) or "").startswith(MARK)


def put_units(
    folder: Path, texts: Mapping[str, str], packaged: Mapping[str, str], done: Done
) -> None:
    """Write the units that are not there as they should be; beside the package's a drop-in."""
    for name, text in texts.items():
        wanted = drop_in(packaged[name], text) if name in packaged else text
        path = folder / (dropin_path(name) if name in packaged else name)
        if wanted is None:
            remove_drop_in(path, done)
        elif files.text(path) != wanted:
            files.folder(path.parent)
            files.write(path, wanted.encode(), 0o644)
            done.changed.append(Coded(f"wrote {path}", "wrote", str(path)))


def remove_drop_in(path: Path, done: Done) -> None:
    """Remove a drop-in of ours; its folder as well, unless others are in it."""
    if not is_there(path) or not is_ours(path):
        return
    remove_file(path, done)
    with suppress(OSError):
        path.parent.rmdir()


def make_way(
    folder: Path, packaged: Mapping[str, str], names: Iterable[str], layout: Layout, done: Done
) -> None:
    """Remove the units of ours that would take the place of the package's.

    They are of a time before the package; what runs is not stopped for that.
    """
    found = [name for name in names if name in packaged and is_there(folder / name)]
    if found and systemd_runs(layout):
        systemctl("disable", *found)
    for name in found:
        remove_file(folder / name, done)


def switch_off(
    packaged: Mapping[str, str], names: Iterable[str], layout: Layout, done: Done
) -> None:
    """Have none of the package's units among *names* run, now or with the host; they stay."""
    for name in names:
        startable = "[Install]" in packaged.get(name, "")
        if (
            startable
            and systemd_runs(layout)
            and any(map(partial(is_so, name), ("enabled", "active")))
        ):
            systemctl("disable", "--now", name)
            done.changed.append(Coded(f"disabled {name}", "disabled", name))


def is_so(name: str, state: str) -> bool:
    """Return whether systemd says that a unit is "enabled", or "active"."""
    return systemctl(f"is-{state}", "--quiet", name, must=False)


def take_away(folder: Path, names: Sequence[str], layout: Layout, done: Done) -> None:
    """Stop and remove the units of ours among *names*, with our drop-ins for the package's."""
    found = [name for name in names if is_there(folder / name)]
    mine = [name for name in found if is_ours(folder / name)]
    done.left += [not_ours(folder / name) for name in found if name not in mine]
    begun = [name for name in mine if name not in FAILED]
    if begun and systemd_runs(layout):
        systemctl("disable", "--now", *begun)
    for name in mine:
        remove_file(folder / name, done)
    before = len(done.changed)
    for name in names:
        remove_drop_in(folder / dropin_path(name), done)
    if mine or len(done.changed) > before:
        tell_systemd(layout, done, "daemon-reload")


def take_away_script(folder: Path, done: Done) -> None:
    """Remove what the units ran, and its folder when nothing else is in it."""
    path = folder / SCRIPT
    if is_there(path) and not is_ours(path):
        done.left.append(not_ours(path))
    elif is_there(path):
        remove_file(path, done)
        if not files.names(folder):
            files.remove(folder)


def start_unit(name: str, layout: Layout, done: Done, *, begin: bool) -> None:
    """Have systemd know a unit, start it with the host, and now; or run it as it is now.

    One that failed too often is started by systemd only when that is forgotten.
    """
    if done.changed:
        tell_systemd(layout, done, "daemon-reload")
    if not begin:
        words = f"when it is to run: `systemctl enable --now {name}`"
        done.left.append(Coded(words, "enable", name))
        return
    enabled = systemd_runs(layout) and systemctl("is-active", "--quiet", name, must=False)
    if systemd_runs(layout) and not enabled:
        systemctl("reset-failed", name, must=False)
    tell_systemd(layout, done, "enable", "--now", name)
    if enabled and done.changed:
        tell_systemd(layout, done, "restart", name)


def tell_systemd(layout: Layout, done: Done, *words: str) -> None:
    """Have systemd do something; where it does not run, leave it to a person."""
    if systemd_runs(layout):
        systemctl(*words)
    elif (
        left := f"systemd does not run here; later: `systemctl {' '.join(words)}`"
    ) not in done.left:
        done.left.append(Coded(left, "systemctl", " ".join(words)))


def remove_file(path: Path, done: Done) -> None:
    """Remove a file of ours."""
    files.remove(path)
    done.changed.append(Coded(f"removed {path}", "removed", str(path)))


def not_ours(path: Path) -> Coded:
    """Return what is told of a file that somebody else wrote."""
    return Coded(f"{path} is not proxygen's and stays", "not-ours", str(path))


def systemd_runs(layout: Layout) -> bool:
    """Return whether systemd runs here (sd_booted(3)) and reads the folder of our units."""
    return layout.root == Path("/") and Path("/run/systemd/system").is_dir()


def systemctl(*words: str, must: bool = True) -> bool:
    """Run systemctl; return whether it succeeded, raise ServiceError where it must."""
    answer = processes.run(Command((processes.find_program([SYSTEMCTL]) or SYSTEMCTL, *words)))
    if must and answer.code:
        command = f"systemctl {' '.join(words)}"
        raise ServiceError(
            failure("systemctl-failed", Scope.HOST, words=answer.words, command=command)
        )
    return answer.code == 0
