"""file: certificates that the administrator supplies."""

from __future__ import annotations

import errno
import hashlib
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from proxygen.errors import IssueFailed
from proxygen.host import files
from proxygen.issuers.file_apart import Apart, Unfinished
from proxygen.issuers.file_failures import Failures, mark_of
from proxygen.model.certificate import Certificate, FileSource, KeyAndChain, Secret
from proxygen.model.material import LARGEST
from proxygen.model.verdicts import require

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
            error.where = wanted.origin
            raise

    def finished(self, owner: str) -> None:
        """Forget why the files could not be used before."""
        if self.failures:
            self.failures.forget(owner)

    def supplied(self, wanted: Certificate, source: FileSource) -> KeyAndChain:
        """Return key and chain of the files; raise IssueFailed."""
        read = self.read(source)
        if self.failures and (known := self.failures.of(wanted.owner, read.mark, self.now())):
            raise known
        return self.reader.assemble(read.contents, read.password)

    def usable(self, wanted: Certificate, read: Read) -> KeyAndChain:
        """Return key and chain; raise IssueFailed, which is remembered, for what is none."""
        now, failures = self.now(), self.failures
        for_names = read.mark + mark_of((), "\n".join(wanted.names).encode())
        for mark in (read.mark, for_names):
            if failures and (known := failures.of(wanted.owner, mark, now)):
                raise known
        try:
            pair = self.reader.assemble(read.contents, read.password)
        except Unfinished as error:
            if failures:
                failures.keep(wanted.owner, read.mark, error, now + UNFINISHED)
            raise
        except IssueFailed as error:
            if failures and error.final:
                failures.keep(wanted.owner, read.mark, error)
            raise
        try:
            require(pair, wanted.names, now)
        except IssueFailed as error:
            if failures:
                failures.keep(wanted.owner, for_names, error, now + REFUSED)
            raise
        return pair

    def read(self, source: FileSource) -> Read:
        """Return what the files hold, as octets; raise IssueFailed."""
        return Read(
            contents(source.paths, source.within),
            self.secrets(source.password) if source.password else None,
        )


@dataclass(frozen=True, slots=True)
class Read:
    """The octets of files, by name, and the password for them."""

    contents: tuple[tuple[str, bytes], ...]
    password: bytes | None

    @property
    def mark(self) -> str:
        """What changes when anything of it does."""
        return mark_of(self.contents, self.password)


def fingerprint(source: FileSource) -> str:
    """Return what changes when one of the files does, empty when one cannot be read."""
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


def warnings(source: FileSource) -> tuple[str, ...]:
    """Return a sentence when others than its owner may read or write the file with the key."""
    path = source.key or source.certificate
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except (OSError, ValueError):
        return ()  # `issue` says so
    if not mode & OTHERS:
        return ()
    return (f"{path} holds a private key and is open to others (mode {mode:04o}): chmod 600",)


def contents(paths: Sequence[Path], within: Path | None = None) -> tuple[tuple[str, bytes], ...]:
    """Return what files that belong together hold, each with its name; raise IssueFailed.

    *within*: the folder in which they must stand, wherever links lead.
    """
    try:
        held = files.read_together(paths, LARGEST, within)
    except OSError as error:
        raise unreadable(error) from error
    return tuple(zip(map(str, paths), held, strict=True))


def unreadable(error: OSError) -> IssueFailed:
    """Return the error for files that cannot be read; what changes just now is read again soon."""
    if error.errno == errno.EBUSY:
        remedy = "put it there under another name, then rename it"
    elif error.errno == errno.EFBIG:
        remedy = f"{NAME_FILES}; {LARGEST // 1024} KiB are the most"
    else:
        remedy = NAME_FILES
    what = f"cannot read {error.filename}: {error.strerror or error}"
    return IssueFailed(what, final=error.errno != errno.EBUSY, remedy=remedy)


NAME_FILES = "name readable files that hold the key and the certificate under `file:`"
