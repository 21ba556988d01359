"""Languages: which there are, and their phrases."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import proxygen
from proxygen.languages import load_phrases
from proxygen.languages.language import Language

FOLDER = Path(proxygen.__file__).parent / "languages"


def known_codes() -> tuple[str, ...]:
    """Return the codes of all languages: each is a file."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


@cache
def load(code: str) -> Language:
    """Return a language; raise FileNotFoundError for one that has no file."""
    return Language(code, load_phrases(code))
