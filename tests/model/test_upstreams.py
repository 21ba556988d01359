"""The servers of upstreams, and which hosts are names."""

from __future__ import annotations

import pytest

from proxygen.model.upstreams import UpstreamServer, host_names, server_of
from tests.models import SMALLEST, site


@pytest.mark.parametrize(
    ("url", "server", "by_name"),
    [
        ("http://app", UpstreamServer("app", 80, False), True),
        ("https://App.Internal", UpstreamServer("app.internal", 443, True), True),
        ("http://app:8080", UpstreamServer("app", 8080, False), True),
        ("http://10.0.0.1:8080", UpstreamServer("10.0.0.1", 8080, False), False),
        ("https://[2001:db8::1]", UpstreamServer("2001:db8::1", 443, True), False),
        ("http://[::1]:1", UpstreamServer("::1", 1, False), False),
        ("http://2130706433", UpstreamServer("2130706433", 80, False), True),
        ("http://localhost:8080", UpstreamServer("localhost", 8080, False), True),
    ],
)
def test_a_server_is_read_from_its_url(url: str, server: UpstreamServer, by_name: bool) -> None:
    assert server_of(url) == server
    assert server.by_name is by_name


def test_names_are_those_of_backends_that_somebody_uses() -> None:
    found = site(
        SMALLEST
        + """\
defaults: {backend: one}
domains: {a.example: {url: www.a.example}, b.example: {url: www.b.example, backend: two}}
backends:
  one: {upstreams: {web: ["http://app:1", "http://10.0.0.1"], other: ["http://nobody"]}}
  two: {upstreams: {web: ["http://app:2"]}}
  three: {upstreams: {web: ["http://unused"]}}
"""
    )
    assert host_names(found) == {"app": ("one", "two")}
