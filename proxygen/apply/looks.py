"""A look at running services: do clients get what the files say? If not, a reload may mend it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from heapq import nlargest

from proxygen.apply.comparison import passes
from proxygen.apply.probe import AT_ONCE, Probed, is_as_wanted, probe_all
from proxygen.plan.compare import why_install
from proxygen.plan.observed import Observed, ServiceState
from proxygen.plan.rendering import Rendering
from proxygen.services import Endpoint

MOST_PLACES = 64
"""Places of a service that a look probes: what a missed reload leaves shows at any of them."""
PATIENCE = 2.0
"""Seconds that a client gives a handshake in a look; one that needs more is not waited for."""
PAUSE = 1.0
"""Seconds before what was wrong once is probed again: it may have been a reload."""

Stale = Callable[[Mapping[str, Rendering], Observed], Collection[str]]
"""Tells which services serve something else than their files say, of those that are as wanted."""


def nothing_stale(
    wanted: Mapping[str, Rendering],  # noqa: ARG001 - the contract's argument
    observed: Observed,  # noqa: ARG001
) -> Collection[str]:
    """Return no service: nobody looks."""
    return ()


def places_wrong(
    endpoints: Iterable[Endpoint], concurrency: int = AT_ONCE
) -> dict[Endpoint, Probed]:
    """Return where clients do not get what is wanted; no answer within PATIENCE is among it."""
    seen = probe_all(endpoints, concurrency, PATIENCE)
    return {each: what for each, what in seen.items() if not is_as_wanted(each, what)}


def stale_services(wanted: Mapping[str, Rendering], observed: Observed) -> Collection[str]:
    """Return the services that serve something else although nothing of theirs is to be changed.

    Files may have been restored without a reload, or a reload failed. What is wrong is probed
    twice.
    """
    states = observed.services
    places = [
        place
        for name, rendering in wanted.items()
        if may_be_stale(rendering, states[name])
        for place in places_to_sample(states[name].settings.verified(rendering.endpoints))
    ]
    wrong = {each: what for each, what in places_wrong(places).items() if mends(each, what, states)}
    if not wrong:
        return ()
    time.sleep(PAUSE)
    again = places_wrong(wrong).items()
    return {each.service for each, what in again if mends(each, what, states)}


def may_be_stale(rendering: Rendering, state: ServiceState) -> bool:
    """Return whether a service runs with what is wanted in place."""
    return state.pid is not None and state.error is None and why_install(rendering, state) is None


def places_to_sample(every: tuple[Endpoint, ...]) -> list[Endpoint]:
    """Return the places of the global name, then those of the newest certificates."""
    if len(every) <= MOST_PLACES:
        return list(every)
    main = every[0].server_name
    first = [each for each in every if each.server_name in ("", main)][:MOST_PLACES]
    dated = [each for each in every if each.bundle and each.server_name not in ("", main)]
    return first + nlargest(MOST_PLACES - len(first), dated, key=not_before)


def not_before(endpoint: Endpoint) -> float:
    """Return when the certificate of a place begins, as a sort key."""
    return endpoint.bundle.not_before.timestamp() if endpoint.bundle else 0.0


def mends(endpoint: Endpoint, seen: Probed, states: Mapping[str, ServiceState]) -> bool:
    """Return whether a reload may mend what a client met.

    Not a server that refuses this host, or lets it wait. Where the last run told that something
    else is served, only another certificate is a reason to reload once more.
    """
    if states[endpoint.service].installed.unserved:
        return seen.came_to_tls
    return not passes(seen) or (seen.met is not None and seen.met.code == "not-connected")
