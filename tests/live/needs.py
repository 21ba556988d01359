"""What a test needs of this machine: programs, by name."""

from __future__ import annotations

import os
import shutil

import pytest

SEARCHED = ":".join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))


def needs(*programs: str) -> pytest.MarkDecorator:
    """Mark a test that runs *programs*; tests/conftest.py skips it, or fails it under CI."""
    return pytest.mark.needs(*programs)


def found(program: str) -> str | None:
    """Return the path of *program*; system folders count although no user's PATH has them."""
    return shutil.which(program, path=SEARCHED)


def missing(program: str) -> str | None:
    """Return why *program* cannot be run here, None if it can."""
    if found(program) is None:
        return f"{program} is not installed (tests/setup installs it)"
    if program in ("postfix", "named") and os.geteuid() != 0:
        return f"{program} must start as root"
    return None


def path_of(program: str) -> str:
    """Return the path of *program*; raise FileNotFoundError."""
    if path := found(program):
        return path
    raise FileNotFoundError(f"{program} is not installed; tests/setup installs it")
