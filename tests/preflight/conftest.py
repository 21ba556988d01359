"""Loopback addresses and a port that no other run has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proxygen.preflight import Beacon
from tests.live import nameserver, ports
from tests.preflight.standins import BODY, TOKEN


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


@pytest.fixture
def beacon(port: int) -> Beacon:
    """Return a challenge file that is asked for at that port."""
    return Beacon(TOKEN, BODY, port)
