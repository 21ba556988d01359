"""Certificates that were obtained, but that a service was not given yet."""

from __future__ import annotations

from proxygen.model.site import Site
from proxygen.model.views import serving
from proxygen.plan.observed import Observed


def owners_not_served(site: Site, observed: Observed, service: str) -> list[str]:
    """Return the owners whose stored certificate a service should show, and does not.

    Only names that it shows a certificate for already: a domain that joined the model is not
    served before it is applied, which is nobody's fault.
    """
    shown = observed.services[service].installed.served
    return [
        owner.key
        for owner in site.owners
        if (own := serving(owner, observed.bundles)) is not None
        and shown.get(owner.host or "", own.fingerprint[:16]) != own.fingerprint[:16]
    ]
