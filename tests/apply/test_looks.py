"""A look at running services: how many places it probes, and what a reload may mend."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxygen.apply.looks import MOST_PLACES, mends, places_to_sample
from proxygen.apply.probe import Probed, failure_met
from proxygen.plan.observed import ServiceState
from proxygen.services import Endpoint
from tests.certificates import NOON
from tests.models import bundle, site

SITE = site("global: {url: mail.example.net, certificate: selfsigned}\n")
BUNDLE = bundle(SITE.global_certificate)
MAIN = Endpoint("nginx", "127.0.0.1", 443, "mail.example.net", BUNDLE)


def place(number: int) -> Endpoint:
    """Return the place of a domain; those with larger numbers have newer certificates."""
    begins = NOON + timedelta(minutes=number)
    return replace(
        MAIN, server_name=f"d{number}.example", bundle=replace(BUNDLE, not_before=begins)
    )


def test_of_10_000_places_a_look_takes_those_of_the_global_name_and_the_newest() -> None:
    unnamed = replace(MAIN, server_name="", bundle=None)
    refusing = replace(MAIN, server_name="nobody.example", bundle=None)
    chosen = places_to_sample((MAIN, unnamed, refusing, *map(place, range(10_000))))
    assert chosen[:2] == [MAIN, unnamed]
    assert chosen[2:] == [place(9_999 - number) for number in range(MOST_PLACES - 2)]


def test_a_global_name_at_very_many_sockets_is_no_more_than_that() -> None:
    sockets = tuple(replace(MAIN, port=1 + number) for number in range(1000))
    assert len(places_to_sample((*sockets, *map(place, range(10))))) == MOST_PLACES


def test_all_of_a_few_places_are_probed_and_none_where_there_is_none() -> None:
    few = (MAIN, *map(place, range(MOST_PLACES - 1)))
    assert places_to_sample(few) == list(few)
    assert places_to_sample(()) == []


@pytest.mark.parametrize(
    ("seen", "mended", "again"),
    [
        pytest.param(Probed("2" * 64), True, True, id="another certificate"),
        pytest.param(
            Probed(None, failure_met("handshake-failed"), refused=True), True, True, id="an alert"
        ),
        pytest.param(Probed(None, failure_met("not-connected")), True, False, id="nobody listens"),
        pytest.param(Probed(None, failure_met("starttls-missing")), True, False, id="plain text"),
        pytest.param(Probed(None, failure_met("no-answer")), False, False, id="it lets wait"),
        pytest.param(Probed(None, failure_met("banner-refuses")), False, False, id="a ban"),
    ],
)
def test_what_a_reload_may_mend_and_what_one_more_may(
    seen: Probed, mended: bool, again: bool
) -> None:
    for unserved, expected in ((False, mended), (True, again)):
        state: Any = SimpleNamespace(installed=SimpleNamespace(unserved=unserved))
        assert mends(MAIN, seen, {"nginx": cast("ServiceState", state)}) is expected
