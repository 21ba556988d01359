"""The challenge file that looks ask for."""

from __future__ import annotations

import pytest

from proxygen.preflight import Beacon
from tests.preflight.standins import BODY, TOKEN


@pytest.fixture
def beacon(port: int) -> Beacon:
    """Return a challenge file that is asked for at that port."""
    return Beacon(TOKEN, BODY, port)
