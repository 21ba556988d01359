"""Whose a certificate is that another ACME client brings: taken, applied, or why not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from proxygen.model.certificate import Bundle, Certificate, KeyAndChain, matches
from proxygen.model.site import Owner, Site
from proxygen.model.x509 import chain_of, describe, dns_names
from proxygen.plan.renewal import why_issue


@dataclass(frozen=True, slots=True)
class Claim:
    """What becomes of a certificate at one owner of its names.

    *bundle* is what is to be stored; without one *refusal* tells why not, and *remedy* what to
    do about it. Both empty: the owner's files are those that were brought.
    """

    owner: Owner
    bundle: Bundle | None = None
    refusal: str = ""
    remedy: str = ""

    @property
    def accepted(self) -> bool:
        """Return whether the owner is to be brought up to date."""
        return not self.refusal

    @property
    def waits(self) -> bool:
        """Return whether the owner's certificate is one that others bring."""
        return self.owner.certificate is not None and self.owner.certificate.issuer == "hook"


def claims(
    pair: KeyAndChain,
    paths: Collection[Path],
    site: Site,
    bundles: Mapping[str, Bundle],
    now: datetime,
) -> Iterator[Claim]:
    """Yield a claim for every owner that has a name of the certificate, in the model's order.

    *paths* are the files that it was read from.
    """
    names = dns_names(chain_of(pair)[0])
    for owner in site.owners:
        covered = {name for name in owner.names if any(matches(each, name) for each in names)}
        if not covered:
            continue
        missing = [name for name in owner.names if name not in covered]
        yield claim(owner, missing, pair, paths, bundles.get(owner.key), now)


def claim(
    owner: Owner,
    missing: list[str],
    pair: KeyAndChain,
    paths: Collection[Path],
    present: Bundle | None,
    now: datetime,
) -> Claim:
    """Return what becomes of it at one owner; *missing* are the names that it does not cover."""
    wanted = owner.certificate
    if wanted is None or wanted.issuer == "selfsigned":
        has = "is served with the global certificate" if wanted is None else "is self-signed"
        return Claim(owner, refusal=f"{owner.key} {has}", remedy=write_hook(owner))
    if missing:
        return Claim(
            owner,
            refusal=f"{owner.key}: not covered: {', '.join(missing)}",
            remedy="have the client obtain a certificate for all of its names, or take these out "
            "of the model",
        )
    if wanted.file:
        return supplied(owner, wanted, paths)
    return renewed(owner, wanted, pair, present, now)


def write_hook(owner: Owner) -> str:
    """Return what to write into the model for a certificate that is brought."""
    where = "global" if owner.key == "global" else f"the domain {owner.key}"
    return f"write `certificate: hook` for {where} into the model"


def supplied(owner: Owner, wanted: Certificate, paths: Collection[Path]) -> Claim:
    """Return the claim of an owner whose certificate is supplied as files."""
    if wanted.file and set(wanted.file.paths) & set(paths):
        return Claim(owner)
    files = ", ".join(map(str, wanted.file.paths)) if wanted.file else ""
    what = f"{owner.key} has a certificate from other files ({files})"
    return Claim(owner, refusal=what, remedy=f"name these files there, or {write_hook(owner)}")


def renewed(
    owner: Owner,
    wanted: Certificate,
    pair: KeyAndChain,
    present: Bundle | None,
    now: datetime,
) -> Claim:
    """Return the claim of an owner whose certificate comes from a hook, or from an authority.

    Of one that proxygen obtains itself it takes what lasts longer and what it would not obtain
    anew at once.
    """
    authority = wanted.authorities[0] if wanted.authorities else None
    bundle = describe(pair, wanted, authority)
    if wanted.issuer == "hook":
        return Claim(owner, bundle)
    if present and not present.stand_in and present.not_after >= bundle.not_after:
        what = f"{owner.key}: the present certificate, which proxygen renews, lasts longer"
        return Claim(owner, refusal=what, remedy=write_hook(owner))
    if reason := why_issue(wanted, bundle, "", now):
        what = f"{owner.key}: proxygen would obtain another one at once ({reason})"
        return Claim(owner, refusal=what, remedy=write_hook(owner))
    return Claim(owner, bundle)
