"""Files: written whole or not at all, with their mode from the first moment on."""

from __future__ import annotations

import errno
import glob
import json
import os
import secrets
import shutil
import ssl
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import starmap
from pathlib import Path
from typing import Any

LARGEST = 64 * 1024 * 1024
PORTION = 1024 * 1024
TRIES = 3
"""How often a file is read that changes meanwhile, as does one that is just being written."""
CHANGING = "it changes while it is read"
OWN = secrets.token_hex(4)
"""Tells this process from former ones with the same number, as a daemon has in a container."""
UNFINISHED = ".*.new"
"""How files are called until they are whole."""
# A file that another program holds a lease on must not keep us waiting, nor a terminal become ours.
READING = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read(path: Path, largest: int = LARGEST, within: Path | None = None) -> bytes | None:
    """Return the content of a regular file, None if there is none; at most *largest* octets.

    Raise OSError for a file that cannot be read, is not regular, is larger, changes each time while
    it is read, or is not *within* that folder, wherever links lead.
    """
    for _ in range(TRIES):
        try:
            content = read_unchanged(path, largest, within)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if content is not None:
            return content
    raise OSError(errno.EBUSY, CHANGING, str(path))


def read_together(
    paths: Sequence[Path], largest: int = LARGEST, within: Path | None = None
) -> tuple[bytes, ...]:
    """Return the contents of files at one moment; raise OSError, also if one does not exist."""
    for _ in range(TRIES):
        before = [state(path) for path in paths]
        contents = [read(path, largest, within) for path in paths]
        if before == [state(path) for path in paths]:
            return tuple(starmap(existing_content, zip(paths, contents, strict=True)))
    raise OSError(errno.EBUSY, CHANGING, str(paths[0]))


def existing_content(path: Path, content: bytes | None) -> bytes:
    """Return the content of a file; raise FileNotFoundError if there is none."""
    if content is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return content


def read_unchanged(path: Path, largest: int, within: Path | None) -> bytes | None:
    """Return the content of a regular file, None if it changed meanwhile."""
    with regular_file(path) as (place, before):
        if within:
            require_within(place, path, within)
        if before.st_size > largest:
            raise OSError(errno.EFBIG, "too large", str(path))
        if not before.st_size:
            return b""  # nor is read what has no end and says so: /proc/kmsg, trace_pipe
        content = read_octets(place, path, before.st_size)
        after = os.fstat(place)  # its ctime changes too when another file takes its name: no harm
        same = (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
        return content if same and len(content) <= before.st_size else None


@contextmanager
def regular_file(path: Path) -> Iterator[tuple[int, os.stat_result]]:
    """Provide a regular file within a block, not opened yet, with its status; raise OSError.

    Nothing else is ever opened: opening alone may wait for a writer, take a message out of a queue,
    or reset a device. A descriptor with O_PATH only tells where a file is (open(2)).
    """
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except ValueError as error:  # a null byte, or half of a surrogate pair
        raise OSError(errno.EINVAL, "this cannot be a path", ascii(str(path))) from error
    try:
        status = os.fstat(place)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            kind = KINDS.get(stat.S_IFMT(status.st_mode), "something else")
            raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
        yield place, status
    finally:
        os.close(place)


def opened(place: int, path: Path) -> int:
    """Return a descriptor for reading the file that ``regular_file`` found."""
    try:
        try:
            return os.open(f"/proc/self/fd/{place}", READING)
        except FileNotFoundError:  # no /proc is mounted here
            return same_file(os.open(path, READING), place)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def same_file(descriptor: int, place: int) -> int:
    """Return the descriptor of a file opened by its path, if that is still the same file."""
    if os.path.sameopenfile(descriptor, place):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EBUSY, CHANGING)


def read_octets(place: int, path: Path, size: int) -> bytes:
    """Return the content of the file that ``regular_file`` found.

    It reads one octet more than its *size*, which tells that the file grew.
    """
    descriptor = opened(place, path)
    try:
        parts, left = [], size + 1
        while left and (part := os.read(descriptor, min(left, PORTION))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)


def require_within(descriptor: int, path: Path, folder: Path) -> None:
    """Raise PermissionError if an open file is not below a folder, links followed.

    What was opened counts: a path may lead elsewhere the next moment.
    """
    place = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 a text, not a path
    if not Path(place).is_relative_to(os.path.realpath(folder)):
        raise PermissionError(errno.EPERM, f"it is not in {folder}", str(path))


def is_foreign(path: Path) -> bool:
    """Return whether users other than root and ourselves may write a file or folder."""
    try:
        status = path.stat()
    except OSError:
        return False
    others = status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and status.st_gid)
    return bool(others) or status.st_uid not in (0, os.geteuid())


Stamp = tuple[int, int, int, int, int]
"""The status of a file by which a change of its content is told."""
SETTLED = 1_000_000_000
"""Nanoseconds: what was changed so shortly ago may change again and look the same, since file
systems keep times in steps (git's index minds it likewise)."""


def version(status: os.stat_result) -> Stamp:
    """Return what of a file's status differs once its content does."""
    return (
        *(status.st_dev, status.st_ino, status.st_size),
        *(status.st_mtime_ns, status.st_ctime_ns),
    )


def state(path: Path) -> Stamp | None:
    """Return the version of what is at a path, None for nothing."""
    try:
        return version(path.stat())
    except (OSError, ValueError):
        return None


def stamp_of(file: Path | os.DirEntry[str]) -> Stamp | None:
    """Return a stamp that differs once the file's content does; None while that is not certain.

    Take it before reading: then what was read is never older.
    """
    try:
        status = file.stat()
    except (OSError, ValueError):
        return None
    if not status.st_ctime_ns + SETTLED < time.time_ns():
        return None
    return version(status)


def absolute_path(path: Path) -> Path:
    """Return an absolute path without `..`, as systemd wants it; links are kept."""
    return path.resolve() if path.name in ("", "..") else path.parent.resolve() / path.name


def read_note(path: Path, largest: int = LARGEST) -> dict[str, Any]:
    """Return the JSON object in a file; empty for none, or for anything else."""
    try:
        return noted_in(read(path, largest))
    except OSError:
        return {}


def noted_in(content: bytes | None) -> dict[str, Any]:
    """Return a JSON object; empty for anything else."""
    try:
        found = json.loads(content or b"{}")
    except (ValueError, RecursionError):  # the last one: nested without end
        return {}
    return found if isinstance(found, dict) else {}


def read_added(path: Path, since: int, most: int = 8192) -> str:
    """Return what was added to a log since it had that many octets, at most the last *most*."""
    try:
        with regular_file(path) as (place, status):
            if not (size := status.st_size):
                return ""
            with os.fdopen(opened(place, path), "rb") as file:
                file.seek(max(since if since <= size else 0, size - most))
                return file.read(most).decode("utf-8", "replace")
    except OSError:
        return ""


def size(path: Path | None) -> int:
    """Return how many octets a file has, 0 if there is none."""
    try:
        return path.stat().st_size if path else 0
    except (OSError, ValueError):
        return 0


def text(path: Path, largest: int = LARGEST) -> str | None:
    """Return a configuration file as text; octets that are not UTF-8 survive a round trip."""
    content = read(path, largest)
    return None if content is None else content.decode("utf-8", "surrogateescape")


def write(path: Path, content: bytes, mode: int = 0o600, group: int | None = None) -> None:
    """Write *content* to *path*: durable when this returns, and never seen in part.

    The file has *mode* from its creation on; *group* (a numeric id) may read it too.
    """
    with beside(path, content, mode, group) as temporary:
        temporary.rename(path)
    sync_folder(path.parent)


@contextmanager
def beside(
    path: Path, content: bytes, mode: int = 0o600, group: int | None = None
) -> Iterator[Path]:
    """Provide a file with *content* beside *path* within a block, durable, to be renamed to it.

    A file that was not renamed when the block ends is removed.
    """
    temporary = unfinished_name(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if group is not None:
                os.fchown(file.fileno(), -1, group)
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def create(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a new file, for its owner alone or with *mode*, durably; raise FileExistsError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def replace_text(path: Path, content: str) -> None:
    """Replace a configuration file; its mode and owner stay, a new one is readable by all."""
    try:
        status = path.stat()
    except FileNotFoundError:
        write(path, encode_text(content), 0o644)
        return
    write(path, encode_text(content), status.st_mode & 0o7777, status.st_gid)
    if (path.stat().st_uid) != status.st_uid:
        os.chown(path, status.st_uid, -1)


def copy(path: Path, target: Path) -> None:
    """Copy a regular file, with its mode and times, where nothing is yet; raise OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with regular_file(path) as (place, status), os.fdopen(opened(place, path), "rb") as file:
        with os.fdopen(os.open(target, flags, 0o600), "wb") as written:
            shutil.copyfileobj(file, written)
            os.fchmod(written.fileno(), stat.S_IMODE(status.st_mode))
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def is_regular(path: Path) -> bool:
    """Return whether a path leads to a regular file, maybe by a link; any path is allowed."""
    return os.path.isfile(path)  # noqa: PTH113 Path's raises for names that are too long


def show_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Have a context show a certificate, given with its key as PEM; raise ssl.SSLError.

    OpenSSL reads them from a file, which here is one in memory that nobody else has.
    """
    with os.fdopen(os.memfd_create("certificate", os.MFD_CLOEXEC), "wb") as file:
        file.write(certificate.rstrip(b"\n") + b"\n" + key)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}", password=no_password)


def no_password() -> str:
    """Return what an encrypted key is tried with, as nobody is asked on a terminal."""
    return ""


def encode_text(content: str) -> bytes:
    """Return text as it was read by ``text``."""
    return content.encode("utf-8", "surrogateescape")


@contextmanager
def new_folder(path: Path, mode: int) -> Iterator[Path]:
    """Have a folder to write into for a block; whole, it takes the place of what is at *path*."""
    new = path.with_name(f"{path.name}.new")
    remove(new)
    folder(new, mode)
    yield new
    remove(path)
    new.rename(path)
    sync_folder(path.parent)


def folder(path: Path, mode: int = 0o755, group: int | None = None) -> Path:
    """Make sure that the folder exists with *mode*, as do those above it.

    The umask does not matter. A new folder survives a power cut, as do the files in it.
    """
    if not path.is_dir():
        if not path.parent.is_dir():
            folder(path.parent)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        sync_folder(path.parent)
    status = path.stat()
    if group is not None and status.st_gid != group:
        os.chown(path, -1, group)
    if status.st_mode & 0o7777 != mode:
        path.chmod(mode)
    return path


def link(path: Path, target: str) -> None:
    """Make *path* a symbolic link to *target*, replacing what was there in one rename."""
    temporary = unfinished_name(path)
    temporary.symlink_to(target)
    try:
        temporary.rename(path)
    except BaseException:
        temporary.unlink()
        raise
    sync_folder(path.parent)


def link_target(path: Path) -> str | None:
    """Return where a symbolic link leads, None if there is none."""
    try:
        return str(path.readlink())
    except OSError:
        return None


def remove(path: Path) -> None:
    """Remove a file, link or folder; do nothing if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync_folder(path.parent)


def unfinished_name(path: Path) -> Path:
    """Return the name of a file until it is complete; it tells which process writes it."""
    return path.with_name(f".{path.name[:100]}.{os.getpid()}.{OWN}{secrets.token_hex(6)}.new")


def sweep(path: Path) -> None:
    """Remove the files below a folder that a killed run was writing; none had its name yet.

    Not those of a process that is alive: the other half may be writing them.
    """
    for left in path.rglob(UNFINISHED):
        writer, mark = left.name.split(".")[-3:-1]
        if writer == str(os.getpid()):
            writes = mark.startswith(OWN)
        else:
            writes = writer.isdecimal() and process_lives(int(writer))
        if not writes:
            left.unlink(missing_ok=True)


def process_lives(process: int) -> bool:
    """Return whether a process with that number exists and is not a zombie."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return process > 0 and not is_zombie(process)


def is_zombie(process: int) -> bool:
    """Return whether a process has ended, and its parent has not waited for it yet."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[:1] == [b"Z"]
    return False


def matching_paths(mask: Path) -> list[Path]:
    """Return what a mask with wildcards matches, sorted; like glob(3)."""
    return sorted(map(Path, glob.glob(str(mask))))  # noqa: PTH207 the mask may be absolute


def entries(path: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder, sorted by name; none if it does not exist."""
    try:
        with os.scandir(path) as found:
            return sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def pipes(path: Path) -> list[Path]:
    """Return the named pipes in a folder, none if it cannot be read."""
    try:
        with os.scandir(path) as found:
            odd = [path / each.name for each in found if not each.is_file() and not each.is_dir()]
    except OSError:
        return []
    return sorted(each for each in odd if each.is_fifo())


def names(path: Path) -> list[str]:
    """Return the names in a folder, sorted; none if it does not exist."""
    try:
        return sorted(os.listdir(path))  # noqa: PTH208 names, not paths: ten times quicker
    except (FileNotFoundError, NotADirectoryError):
        return []


def sync_folder(path: Path) -> None:
    """Make renames and removals in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def temporary_file(path: Path, content: str) -> Iterator[Path]:
    """Provide a temporary file within a block; only its owner can read it."""
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(encode_text(content))
        yield path
    finally:
        path.unlink(missing_ok=True)
