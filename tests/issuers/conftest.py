"""Fixtures of the issuers' tests: authorities that really run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.issuers.at_pebble import Place, place
from tests.live.between import Between
from tests.live.machine import temporary_root
from tests.live.pebble import Manners

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment of the tests says of proxies and CAs is not part of them."""
    for name in (*PROXIES, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def common() -> Iterator[Place]:
    """A Pebble for many tests, with its usual bad manners: one nonce of twenty is rejected."""
    with temporary_root() as root:
        yield from place(root, Manners(nonces_rejected=5))


@pytest.fixture
def own(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A Pebble for one test; the parameter is its manners."""
    with temporary_root() as root:
        yield from place(root, getattr(request, "param", Manners()))


@pytest.fixture
def between(common: Place, tmp_path: Path) -> Iterator[Between]:
    """A server before Pebble that changes what it says."""
    with Between(common.pebble, tmp_path) as server:
        yield server
