"""Templates: those of the package, and the administrator's in their place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import proxygen
from proxygen.host import files
from proxygen.plan.render import Template, Templates

PACKAGE = Path(proxygen.__file__).parent
LARGEST = 1024 * 1024
"""Octets of one template."""


def load(overrides: Path, former: Templates | None = None) -> Templates:
    """Return every template by its name; a file below *overrides* stands in for ours.

    One that cannot be read stops the service that needs it, and no other.
    These are the *former* ones, compiled already, while their texts are the same.
    """
    own = next(
        path for path in (PACKAGE / "templates", PACKAGE.parent / "templates") if path.is_dir()
    )
    ours, theirs = dict(below(own)), dict(below(overrides))
    if former and (former.own, former.overrides) == (ours, theirs):
        return former
    return Templates(ours, theirs)


def below(folder: Path) -> Iterator[tuple[str, Template]]:
    """Yield (name, template) for each template below a folder.

    One that cannot be read is in the way of nobody but what is made of it.
    """
    for path in sorted(folder.glob("*/*.j2")):
        name = path.relative_to(folder).as_posix()
        try:
            text = files.text(path, LARGEST)
        except OSError as error:
            yield name, Template("", str(path), f"it cannot be read: {error.strerror}")
            continue
        if text is not None:
            yield name, Template(text, str(path))
