"""Phrases: every sentence of mails and failures as data, one YAML file per language.

All files have the same keys and placeholders. A file is read once, when a phrase is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

ENGLISH = "en"


@cache
def load_phrases(language: str) -> Mapping[str, str]:
    """Return the phrases of a language (``en``…) by key, such as ``label.reason``."""
    import pkgutil  # late, both: who needs no phrase needs neither

    import yaml

    text = pkgutil.get_data(__name__, f"{language}.yaml") or b""
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # of text alone, so that `no` stays one
    return dict(flat_phrases(yaml.load(text, loader)))  # noqa: S506 - nothing but text, and our own file


def flat_phrases(node: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield each phrase with its key, the names on the way to it joined by dots."""
    for name, below in node.items():
        if isinstance(below, Mapping):
            yield from flat_phrases(below, f"{above}{name}.")
        else:
            yield f"{above}{name}", str(below).strip()
