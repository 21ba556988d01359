"""Fixtures of the solvers' tests: name servers that really run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import require
from tests.live.machine import temporary_root
from tests.solvers.zones import Zones
from tests.solvers.zones import zones as running


@pytest.fixture(scope="module")
def zones() -> Iterator[Zones]:
    """Name servers that take updates, for the tests of a module."""
    require(["named", "ip"])
    with temporary_root() as root, running(root) as served:
        yield served
