"""The little internet, started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import require
from tests.live import nameserver
from tests.live.machine import temporary_root
from tests.live.nameserver import Internet, Recursor


@pytest.fixture(scope="session")
def net() -> Iterator[Internet]:
    """Return the little internet; nobody changes it but its zone ``dynamic.example``."""
    require(["named"])
    with temporary_root() as root, nameserver.internet(root) as running:
        yield running


@pytest.fixture(scope="session")
def resolver(net: Internet) -> Iterator[Recursor]:
    """Return a resolver of the little internet that checks signatures."""
    with net.resolver() as running:
        yield running
