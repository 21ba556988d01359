"""nginx's directives with those of included files in their place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePath

from proxygen.services.nginx_lexer import Directive, parse_configuration

DEEPEST = 32
"""How deep blocks and included files may stand in each other."""
OURS, OUR_FILE = "proxygen's", PurePath("conf.d/00-proxygen.conf")
UNREAD = "include;"
"""The text of a file that cannot be read: a directive that is not known to be harmless."""
Load = Callable[[Path], list[tuple[Path, str]]]
"""Returns the files that a mask names, with their texts."""


def directives_in_place(above: Directive, load: Load, depth: int = 0) -> Iterator[Directive]:
    """Yield what stands in a block, with what is included in its place.

    An `include` whose file cannot be read stays: nobody knows what it says. OURS stands where
    proxygen's file is, or will be, read.
    """
    for each in above.block:
        if each.name == "include" and each.arguments:
            yield from included(each, load, depth)
        else:
            below = directives_in_place(each, load, depth + 1) if depth < DEEPEST else ()
            yield replace(each, block=list(below))


def included(include: Directive, load: Load, depth: int) -> Iterator[Directive]:
    """Yield what an `include` stands for."""
    mask = include.arguments[0]
    found = load(Path(mask)) if depth < DEEPEST else []
    if not found and (depth >= DEEPEST or not re.search(r"[*?\[]", mask)):
        yield include
    here = OUR_FILE.match("/".join(Path(mask).parts[-2:]))
    for path, text in found:
        if here and path.name >= OUR_FILE.name:
            yield replace(include, name=OURS)
            here = False
        yield from directives_in_place(parse_configuration(text, str(path)), load, depth + 1)
    if here:
        yield replace(include, name=OURS)


def name_and_place(directive: Directive) -> str:
    """Return the name of a directive, and where it stands."""
    return f"{directive.name or '?'} ({directive.where})"


def first_argument(directive: Directive) -> str:
    """Return the first argument of a directive, empty without one."""
    return directive.arguments[0] if directive.arguments else ""
