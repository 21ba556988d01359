"""Which certificate a service gives to whose clients, and which owners lack theirs."""

from __future__ import annotations

from collections.abc import Iterator

from proxygen.model.certificate import GLOBAL, holder_of
from proxygen.model.site import Owner, Site
from proxygen.model.views import served_certificates, serving_bundle
from proxygen.plan.observed import Observed, ServiceState
from proxygen.plan.rendering import shown_to_others
from proxygen.services.service_verification import place_words


def owners_not_served(site: Site, observed: Observed, service: str) -> list[str]:
    """Return the owners whose stored certificate a service should serve, and does not.

    Only those with a name that it serves already: a domain that was just added to the model is not
    served before ``apply``, which is no failure.
    """
    shown = observed.services[service].installed.served
    return [
        owner.key
        for owner in site.owners
        if serving_bundle(owner, observed.bundles) is not None
        and (mark := mark_of_owner(owner, observed))
        and shown.get(owner.host or "", mark) != mark
    ]


def mark_of_owner(owner: Owner, observed: Observed) -> str:
    """Return what clients of an owner's URL are to get, as ``Installed.served`` has it."""
    served = served_certificates(owner, observed.bundles)
    return "+".join(each.fingerprint[:16] for each in served)


def is_serving(state: ServiceState) -> bool:
    """Return whether a service runs with something of ours and the last probe was right."""
    present = state.installed
    return state.pid is not None and present.generation is not None and not present.unserved


def services_showing(owner: Owner, observed: Observed) -> Iterator[str]:
    """Yield the services that serve an owner's URL with its certificate, as far as is known.

    Not a service that does not run, nor one where the last probe saw something else for a name of
    the owner's, or where the model leaves out every place that has it. The global certificate
    counts wherever it is served.
    """
    own = serving_bundle(owner, observed.bundles)
    bundle = own or observed.bundles.get(GLOBAL)
    mark, whole = bundle.fingerprint[:16] if bundle else "", holder_of(owner.key) == GLOBAL
    for name, state in sorted(observed.services.items()):
        served = state.installed.served
        shown = served.values() if whole else (served.get(owner.host or "", ""),)
        is_there = any(mark in each.split("+") for each in shown)
        proven = is_verified(owner, state) and not is_wrong(owner, state)
        if is_there and state.pid is not None and proven:
            yield name


def is_verified(owner: Owner, state: ServiceState) -> bool:
    """Return whether any place at which clients meet an owner's certificate is verified."""
    verify = state.settings.verify
    if not verify.left_out:
        return True
    names = state.installed.places if holder_of(owner.key) == GLOBAL else owner.names
    there = (place for name in names for place in state.installed.places.get(name, ()))
    return any(verify.covers(*place) for place in there)


def not_verified(state: ServiceState) -> tuple[str, ...]:
    """Return where clients meet a service and the model leaves it out of verification."""
    verify = state.settings.verify
    there = state.installed.listeners if verify.left_out else ()
    return tuple(place_words(*place) for place in there if not verify.covers(*place))


def is_wrong(owner: Owner, state: ServiceState) -> bool:
    """Return whether the last probe of a service saw something wrong that concerns an owner.

    The certificate that clients get who send no name, or an unknown one, is the global one.
    """
    installed = state.installed
    if not installed.unserved or not installed.wrong_names:
        return installed.unserved
    others = shown_to_others(installed.manifest) if holder_of(owner.key) == GLOBAL else frozenset()
    return not installed.wrong_names.isdisjoint((*owner.names, *others))
