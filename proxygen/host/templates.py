"""Templates: those of the package, and the administrator's in their place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import proxygen
from proxygen.host import files
from proxygen.plan.render import Template, Templates

PACKAGE = Path(proxygen.__file__).parent


def load(overrides: Path, former: Templates | None = None) -> Templates:
    """Return every template by its name; a file below *overrides* stands in for ours.

    One that cannot be read stops the service that needs it, and no other.
    These are the *former* ones, compiled already, while their texts are the same.
    """
    own = next(
        path for path in (PACKAGE / "templates", PACKAGE.parent / "templates") if path.is_dir()
    )
    found = {name: each for folder in (own, overrides) for name, each in below(folder)}
    return former if former and former.templates == found else Templates(found)


def below(folder: Path) -> Iterator[tuple[str, Template]]:
    """Yield (name, template) for each template below a folder."""
    for path in sorted(folder.glob("*/*.j2")):
        name = path.relative_to(folder).as_posix()
        try:
            text = files.text(path)
        except OSError as error:
            yield name, Template("", str(path), f"{path} cannot be read: {error.strerror}")
            continue
        if text is not None:  # not one that vanished just now
            yield name, Template(text, str(path))
