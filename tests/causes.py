"""Causes in words, for who looks whether they say what they should."""

from __future__ import annotations

from proxygen.names.causes import Cause
from proxygen.names.findings import reason_words


def why(cause: Cause | None) -> str:
    """Return what a cause says, empty for none."""
    return reason_words(cause) if cause else ""
