"""nginx's directives with those of included files in their place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from proxygen.services.nginx_lexer import Directive, parse

DEEPEST = 32
"""How deep blocks and included files may stand in each other."""
UNREAD = "include;"
"""The text of a file that cannot be read: a directive that is not known to be harmless."""
Load = Callable[[Path], list[tuple[Path, str]]]
"""Returns the files that a mask names, with their texts."""


def directives_in_place(above: Directive, load: Load, depth: int = 0) -> Iterator[Directive]:
    """Yield what stands in a block, with what is included in its place.

    An `include` whose file cannot be read stays: nobody knows what it says.
    """
    for each in above.block:
        if each.name == "include" and each.arguments:
            found = load(Path(each.arguments[0])) if depth < DEEPEST else []
            if not found and (depth >= DEEPEST or not re.search(r"[*?\[]", each.arguments[0])):
                yield each
            for path, text in found:
                yield from directives_in_place(parse(text, str(path)), load, depth + 1)
        else:
            below = directives_in_place(each, load, depth + 1) if depth < DEEPEST else ()
            yield replace(each, block=list(below))


def told(directive: Directive) -> str:
    """Return the name of a directive, and where it stands."""
    return f"{directive.name or '?'} ({directive.where})"


def first_argument(directive: Directive) -> str:
    """Return the first argument of a directive, empty without one."""
    return directive.arguments[0] if directive.arguments else ""
