"""Which deploy hooks are due."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from proxygen.model.certificate import GLOBAL, Bundle, Certificate
from proxygen.model.site import Site
from proxygen.model.views import serving_bundle


def pending_hooks(
    site: Site, bundles: Mapping[str, Bundle], deployed: Mapping[str, str]
) -> Iterator[tuple[Certificate, Bundle]]:
    """Yield each certificate that serves and that deploy hooks were not told of yet.

    Of two certificates for the same names each is told of. *deployed* are the fingerprints that
    deploy hooks were told of, by owner.
    """
    for owner in site.holders:
        bundle = bundles.get(GLOBAL) if owner.key == GLOBAL else serving_bundle(owner, bundles)
        if owner.certificate is None or bundle is None or bundle.stand_in:
            continue
        if deployed.get(owner.key) != bundle.fingerprint:
            yield owner.certificate, bundle
