"""The little internet, started once, and networks for scripted servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import require
from tests.live import nameserver, ports
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


@pytest.fixture
def network() -> Iterator[str]:
    """Return a part of 127/8 of one's own, as ``127.A.B.``."""
    with nameserver.network() as prefix:
        yield prefix


@pytest.fixture
def port() -> Iterator[int]:
    """Return a port of one's own."""
    chosen = ports.reserve()
    yield chosen
    ports.release(chosen)
