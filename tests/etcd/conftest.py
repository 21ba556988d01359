"""Clusters that several tests share, each below a prefix of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.conftest import require
from tests.live.etcd import Etcd, EtcdManners
from tests.live.machine import temporary_root


@pytest.fixture(scope="module")
def alone() -> Iterator[Etcd]:
    """Return a cluster of one member, without TLS and users, which no test stops."""
    require(["etcd"])
    with temporary_root() as root, Etcd(root) as running:
        yield running


@pytest.fixture(scope="module")
def guarded() -> Iterator[Etcd]:
    """Return a cluster of one member with TLS, client certificates and users."""
    require(["etcd"])
    manners = EtcdManners(tls=True, users=True)
    with temporary_root() as root, Etcd(root, manners=manners) as running:
        yield running


@pytest.fixture
def three() -> Iterator[Etcd]:
    """Return a cluster of three members of one's own."""
    require(["etcd"])
    with temporary_root() as root, Etcd(root, 3) as running:
        yield running


@pytest.fixture
def prefix() -> str:
    """Return a prefix of one's own."""
    return f"/test/{secrets.token_hex(4)}/"
