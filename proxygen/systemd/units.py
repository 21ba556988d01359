"""systemd's units for proxygen: the daemon, or the timer of those who want none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from proxygen.errors import UsageError

MARK = "# Written by proxygen install-service"
"""How every unit of ours begins; one of the same name that does not is somebody else's."""

DAEMON = ("proxygen.service", "proxygen-again.timer")
TIMER = ("proxygen-renew.service", "proxygen-renew.timer")
FAILED = ("proxygen-failed@.service",)
"""What both of them need, since they name it."""
SCRIPT = "failed.sh"
"""What FAILED runs; it is no unit."""
RESTART_MODE = 254
"""The first systemd that can run ``OnFailure=`` as those before it do: not at each restart."""
NOTIFY_RELOAD = 253
"""The first systemd that waits for a reload that SIGHUP began (systemd.service(5))."""

RELOADS = "Type=notify-reload"
TOLD_TO_RELOAD = 'Type=notify\nExecReload=/bin/sh -c "kill -HUP $$1" sh $MAINPID'
"""By the shell, since a small system has no kill(1) of its own."""

BARE = re.compile(r"[A-Za-z0-9_@:=,.+/~-]+")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the units depend on, on one host.

    *command* is this program as it is started, without a command; *systemd* its version;
    *writable* the folders to which must be written; *groups* those whose members proxygen must
    belong to, so that it can give them files; *hour* (0 to 11) when the timer looks first.
    *script* is where SCRIPT lies, *outage* the folder of what it is told and notes, *mail* those
    to which a mail server's sendmail(1) writes.
    """

    command: tuple[str, ...]
    systemd: int
    writable: tuple[Path, ...]
    groups: tuple[str, ...]
    hour: int
    script: Path = Path("/usr/local/lib/proxygen") / SCRIPT
    outage: Path = Path("/var/lib/proxygen/outage")
    mail: tuple[Path, ...] = (Path("/var/spool"), Path("/var/mail"), Path("/var/log"))


def units(texts: Mapping[str, str], around: Surroundings) -> dict[str, str]:
    """Return the text of every unit by its name; *texts* are those of the package."""
    own = Template(texts["own.conf"]).substitute(
        groups=f"SupplementaryGroups={setting_words(around.groups)}\n" if around.groups else "",
        writable=optional_folders(around.writable),
    )
    values = {
        "own": own,
        "sandbox": texts["sandbox.conf"],
        "command": command(around.command),
        "type": RELOADS if around.systemd >= NOTIFY_RELOAD else TOLD_TO_RELOAD,
        "mode": "RestartMode=direct\n" if around.systemd >= RESTART_MODE else "",
        "hour": str(around.hour),
        "script": arguments((str(around.script),)),
        "outage": arguments((str(around.outage),)),
        "told": optional_folders((around.outage, *around.mail)),
        "arguments": arguments(around.command),
    }
    names = (*DAEMON, *TIMER, *FAILED)
    return {name: Template(texts[name]).substitute(values) for name in names}


def command(argv: tuple[str, ...]) -> str:
    """Return a command as ``ExecStart=`` wants it (systemd.service(5), "Command lines").

    A dollar begins a variable in its arguments, but not in the path of its program. Raise
    UsageError for a path that systemd would not start (string_is_safe in its string-util.c).
    """
    if not argv[0].startswith("/") or "'" in argv[0] or set(escaped_in(argv[0])) - {"%"}:
        raise UsageError(
            f"{argv[0]}: systemd starts no program of that name",
            remedy="install proxygen below a folder whose name has no quotation marks, backslashes"
            " and control characters, and start it by that",
        )
    return " ".join([quote_word(argv[0]), *([arguments(argv[1:])] if argv[1:] else [])])


def arguments(argv: tuple[str, ...]) -> str:
    """Return the arguments of a command as ``ExecStart=`` wants them."""
    return setting_words(argv).replace("$", "$$")


def setting_words(values: Iterable[str]) -> str:
    """Return words as a setting wants them that holds a list."""
    return " ".join(map(quote_word, values))


def optional_folders(folders: Iterable[Path]) -> str:
    """Return folders to write to, of which any may be missing."""
    return setting_words(f"-{plain_folder(path)}" for path in folders)


def plain_folder(path: Path) -> str:
    """Return a folder that systemd takes for what is written; raise UsageError for another.

    In lists of paths it takes quotes away but keeps what is escaped (config_parse_namespace_path
    _strv in its load-fragment.c).
    """
    if set(escaped_in(str(path))) - {"%"}:
        raise UsageError(
            f"{path}: systemd cannot be told to let proxygen write to a folder of that name",
            remedy="rename it: without quotation marks, backslashes and control characters",
        )
    return str(path)


def escaped_in(word: str) -> str:
    """Return the characters of a word that are not written as they are."""
    return "".join(each for each in word if escape_character(each) != each)


def quote_word(word: str) -> str:
    """Return a word as every unit may hold it (systemd.syntax(7), "Quoting").

    A percent sign begins a specifier (systemd.unit(5)), in quotes too. What is not printable is
    escaped octet by octet, as systemd undoes it.
    """
    if BARE.fullmatch(word):
        return word
    return f'"{"".join(map(escape_character, word))}"'


def escape_character(character: str) -> str:
    """Return one character as it stands within quotes."""
    if character == "%":
        return "%%"
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\x{octet:02x}" for octet in character.encode("utf-8", "surrogateescape"))
