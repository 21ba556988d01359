"""Clients of one version of TLS, or of one algorithm: who could connect before still can.

A client with TLS 1.2 needs a cipher for the algorithm of the certificate, so another type of key
may lock it out although every other client is served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from proxygen.apply.comparison import Baseline, listener_of, passes
from proxygen.apply.probe import probe_all
from proxygen.services import Endpoint

TLS_1_2, TLS_1_3 = "TLS 1.2", "TLS 1.3"
OF_ALGORITHM = {"ecdsa": "TLS 1.2, ECDSA", "rsa": "TLS 1.2, RSA"}


def special_clients(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """Return the first place of each socket as clients meet it who cannot do with everything.

    Which versions and ciphers there are is a matter of the socket, not of a name.
    """
    found: dict[tuple[object, ...], Endpoint] = {}
    for each in endpoints:
        if each.bundle:
            found.setdefault(listener_of(each), each)
    return tuple(
        replace(each, client=client) for each in found.values() for client in clients_of(each)
    )


def clients_of(endpoint: Endpoint) -> Iterator[str]:
    """Yield the clients to whom a place matters: of each version, and of each of two algorithms."""
    yield from (TLS_1_2, TLS_1_3)
    if endpoint.beside:
        algorithms = (each.algorithm for each in endpoint.bundles)
        yield from (OF_ALGORITHM[each] for each in algorithms if each in OF_ALGORITHM)


def served_before(
    endpoints: Iterable[Endpoint], known: Baseline, stop: Callable[[], bool]
) -> tuple[Endpoint, ...]:
    """Return the places at which such clients get a certificate, whichever, at present.

    Not at listeners at which nobody comes to TLS, as is *known*. A place that gives none is asked
    once more: a loaded service refuses now and then.
    """
    if stop():
        return ()
    every = special_clients(each for each in endpoints if listener_of(each) not in known.silent)
    seen = probe_all(every)
    again = probe_all(each for each, what in seen.items() if passes(what))
    return tuple(each for each in every if (seen | again)[each].fingerprint is not None)
