"""Staging: the service's complete configuration as it would be, for its own check.

A service that includes files is checked with a copy of its main file that stands beside the
real one, so that relative paths keep their meaning, and in which the include that leads to
our pointer is spelled out: every other file as it is, the new generation in the place of ours.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from proxygen.errors import ServiceError
from proxygen.failure import Scope, failure
from proxygen.host import files
from proxygen.plan.rendering import MASK
from proxygen.services import Pointer
from proxygen.services.service_includes import spelled_out

PREFIX = ".proxygen-check-"
ASKED = ".proxygen-asked-"
"""What the name of a copy begins with that a service is asked with, followed by a process id.

Whoever asks holds no lock, so these are not in the way of a check, nor of each other.
"""
DEEPEST = 8
BRACES = re.compile(r"\{([^{},]*(?:,[^{},]*)+)\}")
MOST_BRACES, MOST_ALTERNATIVES = 4, 64


@dataclass(slots=True)
class Staging:
    """Rewrites the files that lead from a main file to the pointer.

    *target* is the generation to include instead, None to include nothing. *current* leads to the
    one that serves, of which the administrator may include a file (nginx, ``mail {}``).
    """

    folder: Path
    pointer: Pointer
    target: Path | None
    current: Path
    stack: ExitStack
    prefix: str = PREFIX
    reached: bool = False
    staged: dict[Path, Path] = field(default_factory=dict)

    def stage(self, path: Path, depth: int = 0) -> Path:
        """Return a copy of *path* that includes the target, or *path* if it leads nowhere.

        Each file is looked at once, however many includes lead to it, and be it itself.
        """
        if path not in self.staged:
            self.staged[path] = path
            self.staged[path] = self.copy(path, depth)
        return self.staged[path]

    def copy(self, path: Path, depth: int) -> Path:
        """Return a copy of *path* with its includes spelled out, or *path* if nothing changes."""
        text = service_text(path)
        if text is None or depth > DEEPEST:
            return path
        instead = partial(self.include, path=path, depth=depth)
        changed = spelled_out(text, self.pointer.includes, instead)
        if changed == text:
            return path
        copy = path.with_name(self.prefix + path.name)
        self.stack.enter_context(files.temporary_file(copy, changed))
        return copy

    def include(self, words: str, mask: str, path: Path, depth: int) -> str:
        """Return what stands for the *words* of an include: spelled out where it leads to us."""
        base = self.folder if self.pointer.relative_to_main else path.parent
        if (base / mask).parent == self.current:
            named = self.target and self.pointer.directive(str(self.target / Path(mask).name))
            return named or ""
        found = included_paths(base / mask, self.pointer)
        lines = []
        for each in found:
            if is_pointer(each, self.pointer):
                self.reached = True
                if self.target is not None:
                    lines.append(self.pointer.directive(str(self.target / MASK)))
                continue
            lines.append(self.pointer.directive(str(self.stage(each, depth + 1))))
        unchanged = [self.pointer.directive(str(each)) for each in found]
        return words if lines == unchanged else "\n".join(lines)


def included_paths(mask: Path, pointer: Pointer) -> list[Path]:
    """Return the files that a mask names, ours among them though it may not be there yet.

    A mask may have alternatives in braces, as dovecot's may.
    """
    return [path for each in alternatives(str(mask)) for path in named_paths(Path(each), pointer)]


def named_paths(mask: Path, pointer: Pointer) -> list[Path]:
    """Return the files that a mask without braces names, sorted."""
    found, ours = set(files.matching_paths(mask)), pointer.path
    if fnmatchcase(ours.name, mask.name):
        there = {folder / ours.name for folder in (mask.parent, *files.matching_paths(mask.parent))}
        found |= {path for path in there if is_pointer(path, pointer)}
    return sorted(found)


def alternatives(mask: str) -> list[str]:
    """Return what a mask with braces stands for, as glob(3) does with GLOB_BRACE; bounded."""
    found = [mask]
    for _ in range(MOST_BRACES):
        if not any(BRACES.search(each) for each in found):
            break
        found = [
            each[: match.start()] + word + each[match.end() :] if match else each
            for each in found
            for match in (BRACES.search(each),)
            for word in (match[1].split(",") if match else ("",))
        ][:MOST_ALTERNATIVES]
    return found


def is_pointer(path: Path, pointer: Pointer) -> bool:
    """Return whether *path* is our file, be it by way of a linked folder."""
    ours = pointer.path
    return path.name == ours.name and path.parent.resolve() == ours.parent.resolve()


@contextmanager
def main_leading_to(
    main: Path, pointer: Pointer, target: Path | None, current: Path
) -> Iterator[Path]:
    """Have a main file for the time of a block that leads to *target* in the pointer's place.

    Without a target, the main file itself is what leads to none of ours, if it includes no pointer.
    """
    clear(main, pointer.path)
    with ExitStack() as stack:
        staging = Staging(main.parent, pointer, target, current, stack)
        yield staging.stage(main) if target is None else stage_main(main, staging)


@contextmanager
def left_out(main: Path, pointer: Pointer, current: Path) -> Iterator[Path]:
    """Have a main file for the time of a block that includes all but our pointer, to ask with."""
    with ExitStack() as stack:
        prefix = f"{ASKED}{os.getpid()}-"
        yield stage_main(main, Staging(main.parent, pointer, None, current, stack, prefix))


def stage_main(main: Path, staging: Staging) -> Path:
    """Return the main file of a staging; raise ServiceError if it does not lead to ours."""
    copy = staging.stage(main)
    if not staging.reached:
        ours = staging.pointer.path
        line = staging.pointer.directive(str(ours))
        raise ServiceError(
            failure("not-including", Scope.SERVICE, where=main, ours=str(ours), line=line)
        )
    return copy


def unstage_words(words: str) -> str:
    """Return what a service said of copies as if it had said it of the files themselves."""
    return re.sub(rf"/(?:{re.escape(PREFIX)}|{re.escape(ASKED)}[0-9]+-)", "/", words)


def clear(main: Path, pointer: Path) -> None:
    """Remove what a killed run left of ours among the service's own files."""
    unfinished = pointer.parent.glob(f".{pointer.name}.*.new")
    for left in (*main.parent.glob(f"{PREFIX}*"), *pointer.parent.glob(f"{PREFIX}*"), *unfinished):
        left.unlink(missing_ok=True)
    for folder in (main.parent, pointer.parent):
        clear_asked(folder)


def clear_asked(folder: Path) -> None:
    """Remove the copies that were made to ask with, of processes that are gone."""
    for left in folder.glob(f"{ASKED}*"):
        asking = left.name.removeprefix(ASKED).partition("-")[0]
        if not Path("/proc", asking).exists():
            files.remove(left)


@contextmanager
def copied_folder(main: Path, folder: Path) -> Iterator[Path]:
    """Have a copy of a configuration folder's own files, for a service without includes.

    They may hold passwords: what a killed run left of others beside it goes.
    """
    clear_asked(folder.parent)
    files.remove(folder)
    files.folder(folder, 0o700)
    try:
        for path in main.parent.iterdir():
            if path.suffix == main.suffix or "." not in path.name:
                try:
                    files.copy(path, folder / path.name)
                except OSError:
                    if path == main:  # without another one, the service tells what it lacks
                        raise
        yield folder / main.name
    finally:
        files.remove(folder)


def files_naming_folder(main: Path, pointer: Pointer | None, folder: Path) -> list[Path]:
    """Return the files of a configuration that name a *folder* of ours; our pointer is none.

    Of a service without includes all files count that stand beside its main file.
    """
    if pointer is None:
        beside = main.parent.glob(f"*{main.suffix}")
        return sorted(path for path in beside if str(folder) in (service_text(path) or ""))
    found: dict[Path, str] = {}
    read_included(main, main.parent, pointer, found)
    return [path for path, text in found.items() if str(folder) in text]


def read_included(path: Path, folder: Path, pointer: Pointer, found: dict[Path, str]) -> None:
    """Read a file and all that it includes into *found*, each once, but not our pointer."""
    text = None if path in found or path.name == pointer.path.name else service_text(path)
    if text is None:
        return
    found[path] = text
    base = folder if pointer.relative_to_main else path.parent
    for include in pointer.includes(text):
        for each in included_paths(base / include.mask, pointer):
            read_included(each, folder, pointer, found)


def service_text(path: Path) -> str | None:
    """Return the text of a file of a service; None for what is none, which the service tells."""
    try:
        return files.text(path)
    except OSError:
        return None
