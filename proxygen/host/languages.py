"""Languages: what people are told, loaded from the files of the package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import proxygen
from proxygen.errors import ModelError
from proxygen.host import files
from proxygen.model.yaml import parse
from proxygen.plan.language import Language

FOLDER = Path(proxygen.__file__).parent / "languages"


def known() -> tuple[str, ...]:
    """Return the codes of all languages: each is a file."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


@cache
def load(code: str) -> Language:
    """Return a language; raise ModelError for a file of it that is broken."""
    path = FOLDER / f"{code}.yaml"
    document = parse(str(path), files.read(path) or b"")
    if document.mistakes:
        raise ModelError(tuple(document.mistakes))
    return Language(code, dict(flat(document.value)))


def flat(node: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield each phrase with its key, the names on the way to it joined by dots."""
    for name, below in node.items():
        if isinstance(below, Mapping):
            yield from flat(below, f"{above}{name}.")
        else:
            yield f"{above}{name}", str(below).strip()
