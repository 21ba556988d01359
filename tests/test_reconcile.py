"""What is planned in one run: what is there is deployed, then what is to be ordered."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from proxygen.model.certificate import GLOBAL
from proxygen.plan.observed import Observed
from proxygen.reconcile import make_plan
from tests.certificates import NOON
from tests.small_service import Small
from tests.test_deploy import (
    CHANGED,
    FILE,
    FIRST,
    SELF,
    SITE,
    Make,
    broken,
    has,
    in_place,
    new,
    nothing_stored,
    stored,
    without,
    words,
)

ORDERS = ["acme global", "acme a.example"]
SUPPLIED = ["stand-in global", SELF, FILE]


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """Return both services, of which none has anything of ours."""
    return Small(tmp_path, NOON)


def ended(what: Observed) -> Observed:
    """A bundle is stored that has ended, and that nobody wants."""
    gone = replace(what.bundles["a.example"], owner="gone.example", not_after=NOON.replace(year=1))
    return replace(what, bundles={**what.bundles, "gone.example": gone})


@pytest.mark.parametrize(
    ("changes", "only", "steps"),
    [
        pytest.param((), (), [], id="all is as it should be"),
        pytest.param(
            (nothing_stored, new), (), [*SUPPLIED, *FIRST, *ORDERS], id="nothing is there at all"
        ),
        pytest.param((new,), (), FIRST, id="all is stored, and nothing set up"),
        pytest.param((stored("a.example"),), (), CHANGED, id="a bundle came"),
        pytest.param(
            (without("a.example"),), (), [*CHANGED, *ORDERS[1:]], id="one is to be ordered"
        ),
        pytest.param(
            (without("a.example", "b.example"),),
            (),
            [SELF, *CHANGED, *ORDERS[1:]],
            id="one is made here, and one is to be ordered",
        ),
        pytest.param(
            (stored(GLOBAL, stand_in=True),),
            (),
            [*CHANGED, "install post: changed", "reload post", "verify post", *ORDERS[:1]],
            id="the stand-in serves",
        ),
        pytest.param(
            (nothing_stored, new),
            ["b.example"],
            ["stand-in global", SELF, *FIRST],
            id="one who is made here is asked for",
        ),
        pytest.param(
            (nothing_stored, new),
            ["a.example"],
            ["stand-in global", *FIRST, *ORDERS[1:]],
            id="one who is ordered is asked for",
        ),
        pytest.param(
            (has("web", files={}), ended), (), [*CHANGED, "forget gone.example"], id="one has ended"
        ),
        pytest.param(
            (new, broken("web"), without("a.example")),
            (),
            [*FIRST[3:], *ORDERS[1:]],
            id="a service that cannot be worked with keeps nobody from an order",
        ),
    ],
)
def test_what_one_run_does_in_which_order(
    small: Small, changes: Collection[Make], only: Collection[str], steps: list[str]
) -> None:
    what = in_place(small)
    for change in changes:
        what = change(what)
    plan = make_plan(SITE, small.parts, what, only)
    assert words(plan) == steps
    assert len(plan.failures) == (1 if "web" in what.services and what.services["web"].error else 0)
    assert [*small.parts.store.keys("certificates")] == []  # nothing is done
