"""A document as ``--json`` prints it: whatever it tells, and in which version of the words."""

from __future__ import annotations

import json
from collections.abc import Mapping

VERSION = 1
"""It grows when a key or code goes, or means something else; new ones may join in the same."""


def json_document(said: Mapping[str, object]) -> str:
    """Return what is said as JSON, with the version first."""
    return json.dumps({"version": VERSION, **said}, indent=2)
