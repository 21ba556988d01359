"""file: certificates that the administrator supplies."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from proxygen.errors import IssueFailed
from proxygen.model.assembly import assemble
from proxygen.model.certificate import Certificate, FileSource, KeyAndChain, Secret
from proxygen.model.material import LARGEST
from proxygen.model.verdicts import require

OTHERS = stat.S_IRWXG | stat.S_IRWXO
# Opening a FIFO must not wait for a writer, opening a terminal not make it ours.
HARMLESS = os.O_NONBLOCK | os.O_NOCTTY


class FileIssuer:
    """Reads key and chain from the files that the model names; *secrets* resolves passwords."""

    concurrency = 1

    def __init__(self, now: Callable[[], datetime], secrets: Callable[[Secret], bytes]) -> None:
        self.now = now
        self.secrets = secrets

    def issue(
        self,
        wanted: Certificate,
        former: KeyAndChain | None,  # noqa: ARG002
        replaces: str | None = None,  # noqa: ARG002
    ) -> KeyAndChain:
        """Return what the files hold, if clients would take it for the wanted names.

        The former key plays no part: the key is the one supplied.
        """
        if wanted.file is None:
            raise ValueError(f"{wanted.owner}: a certificate from a file without the file")
        try:
            pair = self.supplied(wanted.file)
            require(pair, wanted.names, self.now())
        except IssueFailed as error:
            error.where = wanted.origin
            raise
        return pair

    def finished(self, owner: str) -> None:
        """Do nothing: nothing is kept to continue."""

    def supplied(self, source: FileSource) -> KeyAndChain:
        """Return key and chain of the files; raise IssueFailed."""
        contents = [(str(path), content(path)) for path in source.paths]
        return assemble(contents, self.secrets(source.password) if source.password else None)


def fingerprint(source: FileSource) -> str:
    """Return what changes when one of the files does, empty when one cannot be read."""
    digest = hashlib.sha256()
    try:
        for path in source.paths:
            digest.update(hashlib.sha256(content(path)).digest())
    except IssueFailed:
        return ""
    return digest.hexdigest()


def warnings(source: FileSource) -> tuple[str, ...]:
    """Return a sentence when others than its owner may read or write the file with the key."""
    path = source.key or source.certificate
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return ()  # `issue` says so
    if not mode & OTHERS:
        return ()
    return (f"{path} holds a private key and is open to others (mode {mode:04o}): chmod 600",)


def content(path: Path) -> bytes:
    """Return the bytes of a regular file; raise IssueFailed, never block."""
    try:
        with open(path, "rb", opener=harmless) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise IssueFailed(f"{path} is not a file", final=True, remedy=NAME_FILES)
            data = file.read(LARGEST + 1)
    except OSError as error:
        what = f"cannot read {path}: {error.strerror or error}"
        raise IssueFailed(what, final=True, remedy=NAME_FILES) from error
    if len(data) > LARGEST:
        what = f"{path} is larger than {LARGEST // 1024} KiB"
        raise IssueFailed(what, final=True, remedy=NAME_FILES)
    return data


def harmless(path: str, flags: int) -> int:
    """Open *path*, whatever it is, without waiting."""
    return os.open(path, flags | HARMLESS)


NAME_FILES = "name readable files that hold the key and the certificate under `file:`"
