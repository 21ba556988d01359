"""Languages: which there are, each with the phrases in which people are told something."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import proxygen
from proxygen.languages import english, phrases
from proxygen.languages.language import Language

FOLDER = Path(proxygen.__file__).parent / "languages"

APART = {"en": {f"because.{code}": phrase for code, phrase in english.CAUSES.items()}}
"""Phrases that a language has in a module, as they are wanted where no file is read."""


def known() -> tuple[str, ...]:
    """Return the codes of all languages: each is a file."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


@cache
def load(code: str) -> Language:
    """Return a language."""
    return Language(code, {**phrases(code), **APART.get(code, {})})
