"""Where what is stored belongs when the model asks for other types of keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from proxygen.model.certificate import RSA_BESIDE, Bundle, Certificate, holder_of


def filed_anew(
    certificates: Iterable[Certificate], bundles: Mapping[str, Bundle]
) -> Iterator[tuple[Bundle, Bundle]]:
    """Yield what is stored for another certificate of its owner: as it is to be, and as it is.

    An RSA certificate that was alone stays when an ECDSA one joins it, and when that one leaves.
    """
    for wanted in certificates:
        present, found = bundles.get(wanted.owner), bundles.get(counterpart(wanted.owner))
        if found is None or found.stand_in or not wanted.key_type_said:
            continue
        if found.algorithm != wanted.key_type.algorithm:
            continue
        if present is None or present.algorithm != wanted.key_type.algorithm:
            yield replace(found, owner=wanted.owner), found


def counterpart(owner: str) -> str:
    """Return the owner of the other certificate that there may be for the same names."""
    holder = holder_of(owner)
    return holder if owner != holder else f"{owner}{RSA_BESIDE}"


def with_filed(
    certificates: Iterable[Certificate], bundles: Mapping[str, Bundle]
) -> dict[str, Bundle]:
    """Return stored bundles by owner as if ``filed_anew`` was done."""
    return {**bundles, **{each.owner: each for each, _ in filed_anew(certificates, bundles)}}
