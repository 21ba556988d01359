"""The executables in an administrator's folder that we may run, in the order of names.

They run with our rights, so nobody else may be able to change them, or the path to them.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from proxygen.errors import ServiceError
from proxygen.failure import Failure, Scope, failure
from proxygen.host import files

LEFT_BEHIND = re.compile(
    r"\..*|#.*#|README.*|.*~|.*\.(bak|orig|rej|sw[a-p]|(dpkg|ucf)-\w+|rpm(new|save|orig))"
)
"""What editors and package managers leave in a folder; nobody means these to be run."""
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
NO_FILE = "no-file-any-more"
"""What is said of what is no file: of a program that was found before, and of nothing else."""
MOST_LINKS = 40
"""As many as Linux follows (path_resolution(7))."""


@dataclass(frozen=True, slots=True)
class Executables:
    """The *programs* of a folder, and why others in it are not run."""

    programs: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()


def find_executables(folder: Path) -> Executables:
    """Return the executables of a folder, none if it does not exist."""
    names = [name for name in files.names(folder) if not LEFT_BEHIND.fullmatch(name)]
    if names and (refusal := next(refusals(folders_passed(folder), (folder,)), None)):
        return Executables(warnings=(f"no hook is run: {refusal.what}",))
    answers = {folder / name: why_not_run(folder / name) for name in names}
    programs = tuple(path for path, answer in answers.items() if answer is None)
    return Executables(
        programs, tuple(each.what for each in answers.values() if each and each.code != NO_FILE)
    )


def executable_target(path: Path) -> Path:
    """Return the file to run for a program that was found; raise ServiceError if it may not be run.

    Ask just before it is run: somebody may have changed it since.
    """
    refusal = why_not_run(path)
    if refusal is not None:
        raise ServiceError(refusal)
    return path.resolve(strict=True)


def why_not_run(path: Path) -> Failure | None:
    """Return why a file is not run, None if nothing is wrong."""
    program = str(path)
    try:
        *folders, last = folders_passed(path)
        status = last.stat()
        if not stat.S_ISREG(status.st_mode):
            return failure(NO_FILE, Scope.HOST, program=program)
        if not status.st_mode & 0o111:
            return failure("not-executable", Scope.HOST, program=program)
        own = (path.parent, last.parent, last)
        refusal = next(refusals((*folders, last), own), None)
    except (OSError, RuntimeError) as error:
        return failure("program-not-examined", Scope.HOST, words=error, program=program)
    if refusal is None:
        return None
    return failure("program-not-safe", Scope.HOST, parts=(refusal,), program=program)


def folders_passed(path: Path) -> tuple[Path, ...]:
    """Return everything on the way to *path*, its target last: folders, and links."""
    passed, here, left, links = [Path("/")], Path("/"), list(path.absolute().parts[1:]), 0
    while left:
        step = left.pop(0)
        following = here.parent if step == ".." else here / step
        passed.append(following)
        if not following.is_symlink():
            here = following
            continue
        leads = following.readlink()
        links += 1
        if links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        here = Path("/") if leads.is_absolute() else here
        left = [*(part for part in leads.parts if part != "/"), *left]
    return tuple(passed)


def refusals(passed: tuple[Path, ...], own: tuple[Path, ...]) -> Iterator[Failure]:
    """Yield who else could change something on the way.

    In a sticky folder above, such as ``/tmp``, others may not rename or remove what is root's or
    ours (inode(7)). In the folders of the program itself (*own*), they may add nothing either.
    """
    for path in passed:
        status = path.lstat()
        if status.st_uid not in (0, os.geteuid()):
            yield failure("of-another-user", Scope.HOST, path=str(path))
        elif stat.S_ISLNK(status.st_mode):
            continue  # its mode means nothing, and its folder is passed as well
        elif status.st_mode & OTHERS_WRITE and not (is_sticky(status) and path not in own):
            mode = f"{stat.S_IMODE(status.st_mode):04o}"
            yield failure("others-may-write", Scope.HOST, path=str(path), mode=mode)


def is_sticky(status: os.stat_result) -> bool:
    """Return whether it is a folder in which users may remove only their own files."""
    return stat.S_ISDIR(status.st_mode) and bool(status.st_mode & stat.S_ISVTX)
