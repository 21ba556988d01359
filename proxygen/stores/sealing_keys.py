"""Sealing keys: the file of this host that holds them, or the credential that systemd gives us."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from proxygen.errors import UsageError
from proxygen.host import files
from proxygen.stores.sealing import Keyring, keyring_in, keyring_text

NAME = "sealing.keys"
LARGEST_FILE = 64 * 1024
OTHERS = 0o077


def place_of_keys(etc: Path) -> Path:
    """Return where the keys are: systemd's credential if this process has one, else our file."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    credential = Path(folder) / f"proxygen-{NAME}"
    return credential if folder and credential.is_file() else etc / NAME


def read_keyring(path: Path) -> Keyring:
    """Return the keys in a file; raise UsageError for one that others may read, or that is none."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        owner = path.stat().st_uid
        content = files.read(path, LARGEST_FILE)
    except FileNotFoundError:
        content = None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if content is None:
        remedy = "bring back this host's sealing keys; what it serves goes on being served"
        raise UsageError(f"the sealing keys are missing: there is no {path}", remedy=remedy)
    if mode & OTHERS or owner not in (0, os.geteuid()):
        remedy = f"run `chown root: {path}` and `chmod 600 {path}`, and replace the keys"
        raise UsageError(f"others than root may read or change {path}", remedy=remedy)
    try:
        return keyring_in(content)
    except ValueError as error:
        remedy = "bring back the file as it was made"
        raise UsageError(f"{path} holds no sealing keys: {error}", remedy=remedy) from error


def write_keyring(path: Path, keyring: Keyring) -> None:
    """Write keys into a new file for root alone; raise FileExistsError."""
    files.create(path, keyring_text(keyring).encode())
