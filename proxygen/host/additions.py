"""The administrator's own directives for nginx, as they are in nginx.d."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from proxygen.host import files
from proxygen.model.layout import Layout
from proxygen.services import EVERYWHERE, Additions
from proxygen.services.nginx_lexer import parse_configuration

LARGEST_ADDITION = 1024 * 1024
"""Octets of one file of the administrator's directives."""
MOST_INCLUDED = 64
"""Files elsewhere that the directives of one scope may include to be known."""


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


def with_included(additions: Additions, folder: Path) -> Additions:
    """Return directives with the files that they include directly in a server block.

    Relative paths are below *folder*, that of nginx's main file. What cannot be read, or is too
    much, is left out: nginx tells what is wrong with it.
    """
    found = dict[str, str]()
    left = [text for _, text in additions.files]
    while left:
        for path in included_paths(left.pop(0), folder):
            if str(path) not in found and len(found) < MOST_INCLUDED:
                found[str(path)] = included_text(path)
                left.append(found[str(path)])
    return replace(additions, included=tuple(found.items())) if found else additions


def included_paths(text: str, folder: Path) -> Iterable[Path]:
    """Yield the files that a text includes, but not within a block."""
    includes = parse_configuration(text).all("include") if "include" in text else ()
    for each in includes:
        if len(each.arguments) == 1 and "\0" not in each.arguments[0]:
            yield from files.matching_paths(folder / each.arguments[0])


def included_text(path: Path) -> str:
    """Return the text of a file, empty if it cannot be read."""
    try:
        content = files.read(path, LARGEST_ADDITION)
    except OSError:
        return ""
    return (content or b"").decode("utf-8", "surrogateescape")


def digest_of(scope: str, read: Sequence[tuple[str, str]]) -> str:
    """Return a hash of directives and their scope."""
    text = json.dumps([scope, *read])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
