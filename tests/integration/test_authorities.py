"""Two authorities and two clocks: whom an order goes to, and when it goes nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from proxygen.errors import IssueFailed
from tests.live.installation import Clock, TrialInstallation, challenge_port
from tests.live.small_authority import SmallAuthority

A = {"a.example": {"url": "www.a.example", "certificate": "acme"}}


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[TrialInstallation]:
    """Return an installation without a model."""
    with challenge_port() as port:
        yield TrialInstallation(tmp_path / "root", Clock(), port)


@pytest.mark.parametrize("kind", ["caa", "rejectedIdentifier"])
def test_a_name_that_the_first_authority_may_not_issue_for_is_asked_of_the_second(
    ours: TrialInstallation, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "second").mkdir()
    authorities = [
        SmallAuthority(folder, clock=ours.clock, http_port=ours.http_port)
        for folder in (tmp_path, tmp_path / "second")
    ]
    with authorities[0] as first, authorities[1] as second:
        first.failing["www.a.example"] = kind
        ours.model(first, A, second)
        assert ours.round().failures == []
        assert ours.bundle("a.example").authority == second.directory


def test_a_clock_that_is_wrong_orders_nothing_until_it_is_set(
    ours: TrialInstallation, tmp_path: Path
) -> None:
    theirs = Clock()
    with SmallAuthority(tmp_path, clock=theirs, http_port=ours.http_port) as ca:
        ours.model(ca, A)
        ours.clock.advance(timedelta(days=3))
        ((of, failure),) = ours.round().failures
        assert of == "a.example"
        assert isinstance(failure, IssueFailed)
        assert "clock is 3 days ahead of the authority's" in failure.what
        assert ca.counts["newAccount"] == ca.counts["newOrder"] == 0
        theirs.advance(timedelta(days=4))  # as ours will be when the pause is over
        ours.clock.now = theirs.now
        assert ours.round().failures == []
        assert len(ca.orders) == 1
