"""A place compared with itself: what clients saw before a change, and whether it is worse since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from proxygen.apply.probe import (
    LONGEST_ANSWER,
    Patience,
    Probed,
    WrongEndpoints,
    probe_endpoints,
    side_by_side,
)
from proxygen.apply.probe import probe as probe_once
from proxygen.services import Endpoint

MOST_BEFORE = 32
"""Places that are probed before a change, besides the first one of every listener."""
SHORTEST_ANSWER, TIMES_BEFORE = 5.0, 3
"""Seconds that one answer may take at least; or so many times what it took before the change."""

PASSING = frozenset(
    {"no-answer", "not-connected", "closed-before-tls", "banner-refuses", "handshake-failed"}
)
"""What a client may meet now and then: a ban that begins or ends, a limit, a loaded host."""
PLAIN = frozenset({"starttls-missing", "starttls-not-offered", "command-refused"})
"""What a client meets who can go on in plain text."""


def listener_of(endpoint: Endpoint) -> tuple[object, ...]:
    """Return what is the same for all names at one listener, until TLS begins."""
    place = endpoint.service, endpoint.address, endpoint.port
    return (*place, endpoint.starttls, endpoint.proxy_protocol)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What clients *seen* at each place before a change, and what is known of whole listeners.

    *silent* are those at which none of the places probed came to TLS, each with what was met;
    *seconds* tells how long the slowest answer took there.
    """

    seen: Mapping[Endpoint, Probed] = field(default_factory=dict)
    silent: Mapping[tuple[object, ...], Probed] = field(default_factory=dict)
    seconds: Mapping[tuple[object, ...], float] = field(default_factory=dict)

    def at(self, endpoint: Endpoint) -> Probed | None:
        """Return what clients saw there, None if nobody knows."""
        return self.seen.get(endpoint) or self.silent.get(listener_of(endpoint))

    def timeout_of(self, endpoint: Endpoint) -> float:
        """Return how many seconds an answer of a place may take now.

        Where nobody knows, and where none came, as many as before the change.
        """
        listener = listener_of(endpoint)
        if listener not in self.seconds or listener in self.silent:
            return LONGEST_ANSWER
        needed = TIMES_BEFORE * self.seconds[listener]
        return min(max(SHORTEST_ANSWER, needed), LONGEST_ANSWER)


UNKNOWN = Baseline()


def seen_before(
    endpoints: Iterable[Endpoint], stop: Callable[[], bool], most: int = MOST_BEFORE
) -> Baseline:
    """Return what clients see at places as they are now, while nothing was changed yet.

    The first place of every listener is probed, and *most* others: the number of names does not
    matter. What does not come to TLS is probed once more, unless it had all its time. No reload is
    under way, so there is nothing else to wait for.
    """
    chosen = places_before(tuple(endpoints), most)
    if not chosen or stop():
        return UNKNOWN
    seen = side_by_side(chosen, lambda _, endpoint: probe_once(endpoint))
    doubtful = [each for each, what in seen.items() if passes(what) and not had_all_time(what)]
    if doubtful and not stop():
        again = side_by_side(doubtful, lambda _, endpoint: probe_once(endpoint))
        seen |= {each: what for each, what in again.items() if what.came_to_tls}
    return known_of(seen)


def places_before(endpoints: tuple[Endpoint, ...], most: int) -> list[Endpoint]:
    """Return the first place of every listener, then *most* others."""
    first = {listener_of(each): each for each in reversed(endpoints)}
    chosen = dict.fromkeys(reversed(first.values()))
    for endpoint in endpoints[: most + len(chosen)]:
        chosen.setdefault(endpoint)
    return [*chosen][: most + len(first)]


def known_of(seen: Mapping[Endpoint, Probed]) -> Baseline:
    """Return what was seen, with what follows for whole listeners."""
    silent: dict[tuple[object, ...], Probed] = {}
    seconds: dict[tuple[object, ...], float] = {}
    for endpoint, what in seen.items():
        place = listener_of(endpoint)
        silent.setdefault(place, what)
        seconds[place] = max(seconds.get(place, 0.0), what.seconds)
    for endpoint, what in seen.items():
        if what.came_to_tls:
            silent.pop(listener_of(endpoint), None)
    return Baseline(seen, silent, seconds)


def had_all_time(seen: Probed) -> bool:
    """Return whether a place gave no answer within the longest time."""
    return bool(seen.met and seen.met.code == "no-answer")


def passes(seen: Probed) -> bool:
    """Return whether what a client met may be gone the next time."""
    return not seen.came_to_tls and bool(seen.met and seen.met.code in PASSING)


def how_far(seen: Probed) -> int:
    """Return how far a client came: a certificate, plain text, an alert of TLS, or nothing.

    A connection that is closed during the handshake is met as its end, or as a reset.
    """
    if seen.fingerprint is not None:
        return 0
    code = seen.met.code if seen.met else ""
    if code in PLAIN:
        return 1
    return 2 if seen.refused or code == "no-certificate-presented" else 3


def is_worse(before: Probed | None, after: Probed) -> bool:
    """Return whether a client may be worse off than before, unless that is unknown.

    One who met no TLS, and meets none now, is not; the words do not matter: a loaded service
    refuses one connection and lets the next one wait.
    """
    if before is None:
        return True
    if before.came_to_tls and after.came_to_tls:
        return before != after
    return how_far(after) > how_far(before)


def worse_places(before: Baseline, wrong: WrongEndpoints) -> WrongEndpoints:
    """Return those of the wrong places that may be so because of the change."""
    return tuple((each, what) for each, what in wrong if is_worse(before.at(each), what))


def as_before(wrong: WrongEndpoints, worse: WrongEndpoints) -> WrongEndpoints:
    """Return the wrong places, each with whether it was no better before."""
    there = dict(worse)
    return tuple((each, replace(what, as_before=each not in there)) for each, what in wrong)


def our_doing(wrong: WrongEndpoints, patience: Patience) -> WrongEndpoints:
    """Return what is wrong with the new files and was not with the former ones, which serve now.

    A place is probed until it shows something else in TLS than with the new files, with the same
    patience as before. A place that was not probed proves nothing.
    """
    after = dict(wrong)

    def differs(endpoint: Endpoint, seen: Probed) -> bool:
        return seen.came_to_tls and is_worse(seen, after[endpoint])

    found = probe_endpoints(after, patience, differs)
    same, unasked = dict(found.wrong), set(found.unasked)
    return tuple(
        (endpoint, seen)
        for endpoint, seen in wrong
        if endpoint not in unasked and (endpoint not in same or is_worse(same[endpoint], seen))
    )


def may_pass(wrong: WrongEndpoints) -> WrongEndpoints:
    """Return the places at which what a client met may be gone the next time."""
    return tuple((each, what) for each, what in wrong if passes(what))
