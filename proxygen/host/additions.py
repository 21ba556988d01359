"""The administrator's own directives for nginx, as they are in nginx.d."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from proxygen.host import files
from proxygen.model.layout import Layout
from proxygen.services import EVERYWHERE, Additions

LARGEST_ADDITION = 1024 * 1024
"""Octets of one file of the administrator's directives."""


def read_additions(layout: Layout) -> dict[str, Additions]:
    """Return the administrator's directives for nginx by their scope."""
    folder = layout.etc / "nginx.d"
    scopes = {name: folder / name for name in files.names(folder) if (folder / name).is_dir()}
    found = [additions_in(scope, path) for scope, path in [(EVERYWHERE, folder), *scopes.items()]]
    return {each.scope: each for each in found if each.files or each.unread}


def additions_in(scope: str, folder: Path) -> Additions:
    """Return the directives in a folder; those that cannot be read count as refused.

    Names are as for ``*.conf``, which matches no hidden files.
    """
    read: list[tuple[str, str]] = []
    unread = trouble = ""
    for name in files.names(folder):
        if name.endswith(".conf") and not name.startswith("."):
            try:
                content = files.read(folder / name, LARGEST_ADDITION)
            except OSError as error:
                words = f"{folder / name}: {error.strerror or error}"
                unread, trouble = (unread, trouble) if unread else (str(folder / name), words)
                content = words.encode()
            if content is not None:
                read.append((name, content.decode("utf-8", "surrogateescape")))
    return Additions(scope, tuple(read), digest_of(scope, read), unread, trouble)


def digest_of(scope: str, read: Sequence[tuple[str, str]]) -> str:
    """Return a hash of directives and their scope."""
    text = json.dumps([scope, *read])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
