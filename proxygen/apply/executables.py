"""Executables: those of an administrator's folder that we may run, in the order of names."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from proxygen.host import files

LEFT_BEHIND = re.compile(
    r"\..*|#.*#|README.*|.*~|.*\.(bak|orig|rej|sw[a-p]|(dpkg|ucf)-\w+|rpm(new|save|orig))"
)
"""What editors and package managers leave in a folder; nobody means these to be run."""
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Found:
    """The *programs* of a folder, and why others in it are not run."""

    programs: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()


def found(folder: Path) -> Found:
    """Return the executables of a folder, none where it is not there.

    They run as we do, so that nobody else may be able to change them.
    """
    names = [name for name in files.names(folder) if not LEFT_BEHIND.fullmatch(name)]
    if names and (refusal := first(refusals(folder.parent, folder))):
        return Found(warnings=(f"no hook is run: {refusal}",))
    answers = {folder / name: refused(folder / name) for name in names}
    programs = tuple(path for path, answer in answers.items() if answer is None)
    return Found(programs, tuple(answer for answer in answers.values() if answer))


def refused(path: Path) -> str | None:
    """Return why a file is not run; empty for what is no file, None when nothing is wrong."""
    try:
        target = path.resolve(strict=True)
        status = target.stat()
        if not stat.S_ISREG(status.st_mode):
            return ""
        if not status.st_mode & 0o111:
            return f"the hook {path} is not executable, and not run: chmod +x"
        refusal = first(refusals(target.parent, target))
    except (OSError, RuntimeError) as error:
        return f"the hook {path} is not run: {error}"
    return f"the hook {path} is not run: {refusal}" if refusal else None


def refusals(*paths: Path) -> Iterator[str]:
    """Yield who else could change any of these."""
    for path in paths:
        status = path.stat()
        if status.st_uid not in (0, os.geteuid()):
            yield f"{path} belongs to another user (chown root)"
        elif status.st_mode & OTHERS_WRITE:
            mode = stat.S_IMODE(status.st_mode)
            yield f"others than its owner may write to {path} (mode {mode:04o}: chmod go-w)"


def first(words: Iterator[str]) -> str | None:
    """Return the first of them, None without any."""
    return next(words, None)
