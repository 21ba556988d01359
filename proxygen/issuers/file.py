"""file: certificates that the administrator supplies."""

from __future__ import annotations

import errno
import hashlib
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from proxygen.errors import IssueFailed
from proxygen.failure import NotObtained, not_obtained
from proxygen.host import files
from proxygen.issuers.file_apart import Apart, ReadUnfinished
from proxygen.model.certificate import Certificate, FileSource, KeyAndChain, Secret
from proxygen.model.inspection import require_usable
from proxygen.model.material import LARGEST
from proxygen.stores.file_failures import Failures, mark_of

UNFINISHED = timedelta(days=1)
"""How long files are left alone that were not read to their end, maybe for others' sake."""
REFUSED = timedelta(hours=1)
"""How long a certificate is left alone that clients would refuse."""
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class FileIssuer:
    """Reads key and chain from the files that the model names.

    *secrets* resolves passwords, *reader* reads what others wrote, *failures* remembers what
    could not be used.
    """

    concurrency = 1

    def __init__(
        self,
        now: Callable[[], datetime],
        secrets: Callable[[Secret], bytes],
        reader: Apart | None = None,
        failures: Failures | None = None,
    ) -> None:
        self.now = now
        self.secrets = secrets
        self.reader = reader or Apart()
        self.failures = failures

    def issue(
        self,
        wanted: Certificate,
        former: KeyAndChain | None,  # noqa: ARG002
        replaces: str | None = None,  # noqa: ARG002
    ) -> KeyAndChain:
        """Return what the files hold, if clients would take it for the wanted names.

        The former key plays no part: the key is the one supplied. What cannot be used is not
        read again before it changes; what clients would refuse not for an hour, as that may
        go by the calendar.
        """
        if wanted.file is None:
            raise ValueError(f"{wanted.owner}: a certificate from a file without the file")
        try:
            return self.usable(wanted, self.read(wanted.file))
        except IssueFailed as error:
            raise IssueFailed(replace(error.failure, where=str(wanted.origin))) from error

    def finished(self, owner: str) -> None:
        """Forget why the files could not be used before."""
        if self.failures:
            self.failures.forget(owner)

    def supplied(self, wanted: Certificate, source: FileSource) -> KeyAndChain:
        """Return key and chain of the files; raise IssueFailed."""
        read = self.read(source)
        if self.failures and (known := self.failures.of(wanted.owner, read.mark, self.now())):
            raise IssueFailed(known)
        return self.reader.assemble(read.contents, read.password)

    def usable(self, wanted: Certificate, read: FileContents) -> KeyAndChain:
        """Return key and chain; raise IssueFailed, which is remembered, for what is none."""
        now, failures = self.now(), self.failures
        for_names = read.mark + mark_of((), "\n".join(wanted.names).encode())
        for mark in (read.mark, for_names):
            if failures and (known := failures.of(wanted.owner, mark, now)):
                raise IssueFailed(known)
        try:
            pair = self.reader.assemble(read.contents, read.password)
        except ReadUnfinished as error:
            if failures:
                failures.keep(wanted.owner, read.mark, error.failure, now + UNFINISHED)
            raise
        except IssueFailed as error:
            if failures and error.failure.final:
                failures.keep(wanted.owner, read.mark, error.failure)
            raise
        try:
            require_usable(pair, wanted.names, now)
        except IssueFailed as error:
            if failures:
                failures.keep(wanted.owner, for_names, error.failure, now + REFUSED)
            raise
        return pair

    def read(self, source: FileSource) -> FileContents:
        """Return what the files hold, as octets; raise IssueFailed."""
        return FileContents(
            read_contents(source.paths, source.within),
            self.secrets(source.password) if source.password else None,
        )


@dataclass(frozen=True, slots=True)
class FileContents:
    """The octets of files, by name, and the password for them."""

    contents: tuple[tuple[str, bytes], ...]
    password: bytes | None

    @property
    def mark(self) -> str:
        """What changes when anything of it does."""
        return mark_of(self.contents, self.password)


def files_fingerprint(source: FileSource) -> str:
    """Return a text that changes when one of the files does, empty if one cannot be read."""
    digest = hashlib.sha256()
    try:
        for path in source.paths:
            held = files.read(path, LARGEST, source.within)
            if held is None:
                return ""
            digest.update(hashlib.sha256(held).digest())
    except OSError:
        return ""
    return digest.hexdigest()


def files_mark(source: FileSource, held: str, secrets: Callable[[Secret], bytes]) -> str:
    """Return a text that changes when anything does because of which files could not be used.

    That is what they *held* (their fingerprint), where they are, and their password, which it does
    not hold itself.
    """
    reference, password, words = source.password, None, ""
    if reference:
        words = f"{reference.kind}:{reference.place}"
        try:
            password = secrets(reference)
        except IssueFailed as error:
            words += f" {error.failure.code}"
    named = tuple((str(path), b"") for path in source.paths)
    return mark_of((*named, (held, words.encode())), password)


def key_file_warnings(source: FileSource) -> tuple[str, ...]:
    """Return a sentence when others than its owner may read or write the file with the key."""
    path = source.key or source.certificate
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except (OSError, ValueError):
        return ()  # `issue` says so
    if not mode & OTHERS:
        return ()
    return (
        f"{path} holds a private key and other users may access it (mode {mode:04o}): chmod 600",
    )


def read_contents(
    paths: Sequence[Path], within: Path | None = None
) -> tuple[tuple[str, bytes], ...]:
    """Return what files that belong together hold, each with its name; raise IssueFailed.

    *within*: the folder in which they must stand, wherever links lead.
    """
    try:
        held = files.read_together(paths, LARGEST, within)
    except OSError as error:
        raise IssueFailed(unreadable_files(error)) from error
    return tuple(zip(map(str, paths), held, strict=True))


def unreadable_files(error: OSError) -> NotObtained:
    """Return why files cannot be read; what changes just now is read again soon."""
    busy = error.errno == errno.EBUSY
    return not_obtained(
        UNREADABLE.get(error.errno or 0, "file-unreadable"),
        final=not busy,
        place=str(error.filename),
        most=LARGEST // 1024,
        words=error.strerror or error,
    )


UNREADABLE = {errno.EBUSY: "file-changing", errno.EFBIG: "file-too-large"}
