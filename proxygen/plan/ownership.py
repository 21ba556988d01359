"""Which owners take a certificate that another ACME client hands over, and why others do not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509

from proxygen.failure import Failure, Scope, Value, failure
from proxygen.model.certificate import Authority, Bundle, Certificate, KeyAndChain, san_matches
from proxygen.model.hosts import readable_name
from proxygen.model.schema import DIRECTORIES
from proxygen.model.site import Acme, Owner, Site
from proxygen.model.x509 import chain_of, covered_names, describe_bundle, is_issued_by
from proxygen.plan.renewal import asked_of, why_issue

LONGEST_LIFE = timedelta(days=398)
"""No authority that browsers know issues for longer (CA/Browser Forum, 6.3.2)."""
SOONER = timedelta(days=1)
"""By how much a certificate may end before the one that it replaces without a warning."""


@dataclass(frozen=True)
class Offer:
    """A certificate that is handed over, and what it is judged by.

    *paths* are the files that it was read from, *roots* those that this system trusts. *former*
    returns key and chain of a stored certificate.
    """

    pair: KeyAndChain
    paths: Collection[Path]
    roots: Collection[x509.Certificate]
    former: Callable[[Bundle], KeyAndChain | None] = field(repr=False)
    now: datetime

    @cached_property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """Its certificates, leaf first."""
        return chain_of(self.pair)

    @cached_property
    def is_trusted(self) -> bool:
        """Whether it leads to a root that this system trusts."""
        return leads_to(self.chain, self.roots)

    def is_akin(self, present: Bundle) -> bool:
        """Return whether the CA that issued it has issued the present certificate too."""
        pair = self.former(present)
        chain = chain_of(pair) if pair else ()
        authorities = (*self.chain[1:], *chain[1:])
        leaves = (self.chain[0], *chain[:1])
        return bool(chain) and any(
            all(is_issued_by(leaf, ca) for leaf in leaves) for ca in authorities
        )


def leads_to(chain: Collection[x509.Certificate], roots: Collection[x509.Certificate]) -> bool:
    """Return whether a chain leads to one of these roots."""
    return any(each == root or is_issued_by(each, root) for each in chain for root in roots)


@dataclass(frozen=True, slots=True)
class Claim:
    """What one owner of its names does with a certificate.

    *bundle* is stored; without one, *refusal* tells why not. Without both, the owner's files are
    the very files that were handed over. *doubts* are warnings.
    """

    owner: Owner
    bundle: Bundle | None = None
    refusal: Failure | None = None
    doubts: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Return whether the owner takes the certificate."""
        return self.refusal is None

    @property
    def waits(self) -> bool:
        """Return whether the owner's certificate is one that other clients hand over."""
        return self.owner.certificate is not None and self.owner.certificate.issuer == "hook"


def claims(offer: Offer, site: Site, bundles: Mapping[str, Bundle]) -> Iterator[Claim]:
    """Yield a claim for every owner that has a name of the certificate, in the model's order."""
    names = covered_names(offer.chain[0])
    for owner in site.owners:
        covered = {name for name in owner.names if any(san_matches(each, name) for each in names)}
        if not covered:
            continue
        missing = [name for name in owner.names if name not in covered]
        yield claim(owner, missing, offer, bundles.get(owner.key), site)


def claim(
    owner: Owner, missing: list[str], offer: Offer, present: Bundle | None, site: Site
) -> Claim:
    """Return the claim of one owner; *missing* are names that the certificate does not cover."""
    wanted = owner.certificate
    if wanted is None or wanted.issuer == "selfsigned":
        return refused_claim(owner, "has-no-certificate" if wanted is None else "is-self-signed")
    if missing:
        return refused_claim(
            owner, "brought-without-names", missing=tuple(map(readable_name, missing))
        )
    if present and present.stand_in:
        present = None
    if wanted.issuer == "acme":
        return renewed_claim(owner, wanted, offer, present, site.acme)
    doubts = tuple(doubts_about(owner, offer, present))
    if wanted.issuer == "hook":
        return Claim(owner, describe_bundle(offer.pair, wanted), doubts=doubts)
    return supplied_claim(owner, wanted, offer, doubts)


def doubts_about(owner: Owner, offer: Offer, present: Bundle | None) -> Iterator[str]:
    """Yield warnings about a certificate that proxygen does not renew itself."""
    if not offer.is_trusted:
        yield (
            "this system trusts no root of the certificate that was handed over: clients refuse it"
            " unless they were told to trust its issuer"
        )
    ends = offer.chain[0].not_valid_after_utc
    if present and ends + SOONER < present.not_after:
        yield (
            f"{readable_name(owner.key)}: the certificate that was handed over ends"
            f" {ends:%Y-%m-%d}, before"
            f" the one that served until now ({present.not_after:%Y-%m-%d}): is it the newest one?"
        )


def refused_claim(owner: Owner, code: str, *, words: str = "", **facts: Value) -> Claim:
    """Return the claim of an owner who does not take the certificate."""
    said: dict[str, Value] = {"owner": readable_name(owner.key), **facts}
    why = failure(code, Scope.OWNER, owner.key, words=words)
    return Claim(owner, refusal=replace(why, facts=tuple(said.items())))


def supplied_claim(
    owner: Owner, wanted: Certificate, offer: Offer, doubts: tuple[str, ...]
) -> Claim:
    """Return the claim of an owner whose certificate is supplied as files."""
    paths = wanted.file.paths if wanted.file else ()
    if set(paths) & set(offer.paths):
        return Claim(owner, doubts=doubts)
    return refused_claim(owner, "has-other-files", files=tuple(map(str, paths)))


def renewed_claim(
    owner: Owner, wanted: Certificate, offer: Offer, present: Bundle | None, acme: Acme
) -> Claim:
    """Return the claim of an owner whose certificate proxygen obtains itself.

    It takes a certificate that its authority may have issued, that lasts longer, and that proxygen
    would not replace at once.
    """
    authority = authority_of(wanted, offer, present, acme)
    if authority is None:
        return refused_claim(owner, "brought-by-unknown")
    bundle = describe_bundle(offer.pair, wanted, authority)
    if bundle.lifetime > LONGEST_LIFE:
        return refused_claim(owner, "brought-for-too-long", days=LONGEST_LIFE.days)
    if present and present.not_after >= bundle.not_after:
        return refused_claim(owner, "brought-for-shorter")
    if reason := why_issue(wanted, bundle, "", offer.now):
        return refused_claim(owner, "brought-in-vain", words=str(reason))
    return Claim(owner, bundle)


def authority_of(
    wanted: Certificate, offer: Offer, present: Bundle | None, acme: Acme
) -> Authority | None:
    """Return the authority that a certificate may be from, None if it is none of the model's.

    It is the one of the present certificate if the same CA issued both, and the first one if every
    client trusts the CA. A private authority is unknown before its first certificate.
    """
    former = asked_of(wanted, present) if present else None
    if present and former and offer.is_akin(present):
        return former
    first = wanted.authorities[0]
    return first if offer.is_trusted or (former is None and is_private(acme)) else None


def is_private(acme: Acme) -> bool:
    """Return whether an authority is trusted only by clients that were told to."""
    return bool(acme.trusted_roots) and acme.directory not in DIRECTORIES.values()
