"""The modules that make the package's files; they are no part of proxygen."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "packaging"


def module(name: str) -> ModuleType:
    """Return one of them."""
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="session")
def control() -> ModuleType:
    """Return who writes the control files."""
    return module("control")


@pytest.fixture(scope="session")
def manpage() -> ModuleType:
    """Return who writes the man page."""
    return module("manpage")


@pytest.fixture(scope="session")
def package_units() -> ModuleType:
    """Return who writes the package's units."""
    return module("units")
