"""The package's locks: what pyproject.toml asks for, in the versions that are tested, hashed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HOUSE = Path(__file__).parents[2]
PROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]
OWN = HOUSE / "packaging/requirements.lock"
HATCHLING = HOUSE / "packaging/hatchling.lock"
EXTRAS = ("lexicon", "metrics")
REMAKE = "make it anew, as packaging/build says"


def pins(lock: Path) -> dict[str, set[str]]:
    """Return the versions of each package in a lock."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"(?m)^([\w.-]+)==(\S+)", lock.read_text()):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


@pytest.mark.parametrize(
    "asked",
    [*PROJECT["dependencies"], *(r for e in EXTRAS for r in PROJECT["optional-dependencies"][e])],
)
def test_the_lock_has_what_the_project_asks_for(asked: str) -> None:
    wanted = Requirement(asked)
    found = pins(OWN).get(canonicalize_name(wanted.name), set())
    assert found, REMAKE
    assert all(version in wanted.specifier for version in found), REMAKE


@pytest.mark.parametrize("lock", [OWN, HATCHLING], ids=lambda path: path.name)
def test_the_versions_are_those_that_are_tested(lock: Path) -> None:
    tested = pins(HOUSE / "requirements.lock")
    assert {name: tested.get(name) for name in pins(lock)} == pins(lock), REMAKE


def test_no_test_tool_is_in_the_package() -> None:
    assert not {"pytest", "mypy", "ruff", "hypothesis", "certbot", "hatchling"} & pins(OWN).keys()


@pytest.mark.parametrize("lock", [OWN, HATCHLING], ids=lambda path: path.name)
def test_every_line_has_its_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    blocks = re.split(r"(?m)^(?=\S)", text)[1:]
    assert all("--hash=sha256:" in block for block in blocks)
