"""Which certificates that services are configured with, or `adopt` names, are adopted."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from proxygen.errors import Coded, IssueFailed
from proxygen.failure import Failure, Scope, not_obtained
from proxygen.model.certificate import (
    ADOPT,
    GLOBAL,
    Bundle,
    Certificate,
    KeyAndChain,
    holder_of,
)
from proxygen.model.hosts import readable_name
from proxygen.model.inspection import require_usable
from proxygen.model.site import Owner, Site
from proxygen.plan.culprits import former_certificate
from proxygen.plan.observed import Candidate, Installed, Observed
from proxygen.plan.ownership import LONGEST_LIFE, is_private
from proxygen.plan.renewal import Reason
from proxygen.plan.steps import Adopt
from proxygen.services import Facts, WebFacts


@dataclass(frozen=True, slots=True)
class AdoptableCertificate:
    """A certificate that services show for an owner, or `adopt` names, valid for a name of it."""

    bundle: Bundle
    pair: KeyAndChain
    candidate: Candidate


def owners_without_certificate(
    site: Site, bundles: Mapping[str, Bundle], now: datetime
) -> Iterator[Owner]:
    """Yield the owners for whom no valid certificate is stored, although the model wants one.

    A self-signed certificate that the model asks for is made at once, so its owner lacks nothing.
    """
    for owner in site.holders:
        bundle = bundles.get(owner.key)
        if owner.certificate is None or owner.certificate.issuer == "selfsigned":
            continue
        if bundle is None or bundle.stand_in or bundle.not_after <= now:
            yield owner


def adoptions(site: Site, observed: Observed, now: datetime) -> tuple[Adopt, ...]:
    """Return the steps that adopt, for each owner who lacks a certificate, the best one found."""
    if not observed.candidates:
        return ()
    found = (
        adoption(owner, site, observed, now)
        for owner in owners_without_certificate(site, observed.bundles, now)
    )
    return tuple(each for each in found if each)


def as_they_are(site: Site, observed: Observed, owners: Collection[str]) -> Observed:
    """Return what is observed, with facts by which *owners* stay as clients see them now.

    Their certificates could not be stored: an owner that proxygen serves keeps the certificate that
    it has; any other one keeps the server block that it has elsewhere.
    """
    if not owners:
        return observed
    services = {
        name: replace(
            state,
            facts=state.facts and untouched_facts(state.facts, site, state.installed, owners),
            whole=state.whole and untouched_facts(state.whole, site, state.installed, owners),
        )
        for name, state in observed.services.items()
    }
    return replace(observed, services=services)


def untouched_facts(facts: Facts, site: Site, present: Installed, owners: Collection[str]) -> Facts:
    """Return the facts by which a service serves owners as before."""
    if not isinstance(facts, WebFacts):
        return facts
    hosts = {each.key: each.host for each in site.domains if each.key in owners}
    shown = {key: mark for key in hosts if (mark := former_certificate(key, site, present))}
    others = {key for key, host in hosts.items() if host not in present.served}
    return replace(facts, shown={**facts.shown, **shown}, dropped=facts.dropped | others)


def observed_after_adoption(observed: Observed, steps: tuple[Adopt, ...]) -> Observed:
    """Return what is observed, as if these steps were done."""
    if not steps:
        return observed
    bundles = {**observed.bundles, **{each.bundle.owner: each.bundle for each in steps}}
    return replace(observed, bundles=bundles)


def adoption(owner: Owner, site: Site, observed: Observed, now: datetime) -> Adopt | None:
    """Return the step that adopts a certificate for one owner, None if no valid one is found."""
    present = observed.bundles.get(owner.key)
    usable = [
        found
        for candidate in observed.candidates.get(owner.key, ())
        if (found := adoptable_certificate(candidate, owner, site, now))
        and is_better(found.bundle, present)
    ]
    usable = of_algorithm(usable, owner)
    if not usable:
        return None
    best = max(usable, key=lambda each: worth_of(each, owner))
    services = services_of(best, usable)
    words = certificate_words(best.bundle) + "".join(others_of(best, usable, owner))
    bundle = replace(best.bundle, adopted=" ".join(services))
    return Adopt(bundle, best.pair, best.candidate.paths, Reason("configured", words))


def of_algorithm(found: list[AdoptableCertificate], owner: Owner) -> list[AdoptableCertificate]:
    """Return those of the algorithm that is wanted, where an owner is to have one of each of two.

    The first of the two may have the other one's until its own is obtained; not the second.
    """
    first = owner.key == holder_of(owner.key)
    if owner.certificate is None or (first and owner.beside is None):
        return found
    algorithm = owner.certificate.key_type.algorithm
    fitting = [each for each in found if each.bundle.algorithm == algorithm]
    return fitting or (found if first else [])


def is_better(bundle: Bundle, present: Bundle | None) -> bool:
    """Return whether a certificate is better than the stored one, which is not valid.

    One with a compromised key is not, nor is a self-signed one better than another self-signed one.
    """
    if present is None:
        return True
    if present.stand_in and bundle.stand_in:
        return False
    return not (present.replace and present.spki == bundle.spki)


def adoptable_certificate(
    candidate: Candidate, owner: Owner, site: Site, now: datetime
) -> AdoptableCertificate | None:
    """Return a certificate that clients accept for a name of its owner; None for any other.

    The name is that of the URL; for the global certificate, which mail clients get under its extra
    names, any name will do if there is no better one. A self-signed certificate has clients that
    were told to trust it, and TLSA records may name it: as the global certificate it is kept rather
    than replaced by a stand-in.
    """
    pair, facts, wanted = candidate.pair, candidate.facts, owner.certificate
    if pair is None or facts is None or wanted is None:
        return None
    if objection_to(pair, facts, owner, now):
        return None
    return AdoptableCertificate(facts_of_candidate(candidate, facts, wanted, site), pair, candidate)


def objection_to(
    pair: KeyAndChain, facts: Bundle, owner: Owner, now: datetime
) -> IssueFailed | None:
    """Return why a certificate is not adopted for an owner, None where it may be; see
    ``adoptable_certificate``."""
    asked = asked_for(owner.key, owner.names, facts)
    try:
        require_usable(pair, next(([each] for each in asked if facts.covers(each)), asked[:1]), now)
    except IssueFailed as error:
        return error
    if facts.stand_in and owner.key != GLOBAL:
        parts = (Failure("self-signed", Scope.OWNER),)
        return IssueFailed(not_obtained("certificate-refused-by-clients", parts=parts, final=True))
    return None


def asked_for(key: str, names: Sequence[str], facts: Bundle) -> Sequence[str]:
    """Return the names of an owner of which a certificate must cover one to be adopted."""
    return names if holder_of(key) == GLOBAL and not facts.stand_in else names[:1]


def may_serve(facts: Bundle, key: str, names: Sequence[str]) -> bool:
    """Return whether a certificate may be adopted for an owner, as far as its names tell."""
    if facts.stand_in and key != GLOBAL:
        return False
    return any(map(facts.covers, asked_for(key, names, facts)))


def facts_of_candidate(
    candidate: Candidate, facts: Bundle, wanted: Certificate, site: Site
) -> Bundle:
    """Return the facts about a certificate, with the wanted issuer if it can count as wanted.

    The rules are those for a certificate that another ACME client hands over: an authority may have
    issued it, and for no longer than authorities do. Any other one serves until the wanted one is
    there.
    """
    bundle = replace(facts, owner=wanted.owner)
    if bundle.stand_in:
        return bundle
    if wanted.issuer == "hook" and all(map(bundle.covers, wanted.names)):
        return replace(bundle, issuer="hook")
    by_authority = candidate.is_trusted or is_private(site.acme)
    if wanted.issuer == "acme" and by_authority and bundle.lifetime <= LONGEST_LIFE:
        first = wanted.authorities[0]
        return replace(bundle, issuer="acme", authority=first.directory, profile=first.profile)
    return bundle


Worth = tuple[bool, bool, bool, bool, int, bool, datetime, bool, int]


def worth_of(found: AdoptableCertificate, owner: Owner) -> Worth:
    """Return by what one is preferred: that clients know its CA, and the chain to it, before all.

    Then the URL's name, how many names, that the model names it, and how long it is valid.
    """
    wanted, bundle = owner.certificate, found.bundle
    length = found.pair.fullchain.count(b"-----BEGIN CERTIFICATE-----")
    return (
        not bundle.stand_in,
        found.candidate.is_trusted,
        length > 1,
        bundle.covers(owner.names[0]),
        sum(map(bundle.covers, owner.names)),
        found.candidate.service == ADOPT,
        bundle.not_after,
        wanted is not None and bundle.key_type == wanted.key_type,
        length,
    )


def services_of(best: AdoptableCertificate, found: list[AdoptableCertificate]) -> list[str]:
    """Return the services that are configured with a certificate, in their order."""
    same = (each for each in found if each.bundle.fingerprint == best.bundle.fingerprint)
    return list(dict.fromkeys(each.candidate.service for each in same))


def others_of(
    best: AdoptableCertificate, found: list[AdoptableCertificate], owner: Owner
) -> Iterator[str]:
    """Yield what else valid is configured for the owner, but for services that have the best."""
    have, told_of = {ADOPT, *services_of(best, found)}, set[str]()
    for each in found:
        if each.candidate.service not in have and each.bundle.fingerprint not in told_of:
            told_of.add(each.bundle.fingerprint)
            those = [name for name in services_of(each, found) if name not in have]
            names = sum(map(each.bundle.covers, owner.names))
            yield (
                f"; {', '.join(those)} {'has' if len(those) == 1 else 'have'} another one,"
                f" {certificate_words(each.bundle)}, which"
                f" covers {names} of "
                f"{len(owner.names)} names"
            )


def certificate_words(bundle: Bundle) -> str:
    """Return in words where a certificate is from and until when it is valid."""
    until = f"valid until {bundle.not_after:%Y-%m-%d %H:%M} UTC"
    return f"self-signed, {until}" if bundle.stand_in else f"from {bundle.issued_by}, {until}"


def not_usable(site: Site, observed: Observed, now: datetime) -> Iterator[str]:
    """Yield why what is configured for the global URL is not adopted, where nothing is."""
    for each in observed.candidates.get(GLOBAL, ()):
        if each.service == ADOPT:
            continue
        if words := why_not_adoptable(each, site.main, now):
            files = ", ".join(map(str, each.paths))
            told = (
                f"{each.service}: the certificate in {files} is not adopted for the"
                f" global URL: {words}"
            )
            yield Coded(told, "not-adopted", each.service)


def not_adopted(site: Site, observed: Observed, now: datetime) -> Iterator[Coded]:
    """Yield why what the model names as `adopt` is not adopted by those who have nothing valid."""
    for owner in owners_without_certificate(site, observed.bundles, now):
        first = owner.key == holder_of(owner.key)
        for each in observed.candidates.get(owner.key, ()) if first else ():
            if each.service == ADOPT and (words := why_not_adoptable(each, owner, now)):
                where = f"{readable_name(owner.key)} ({owner.adopt and owner.adopt.origin})"
                told = f"{where}: what `adopt` names is not adopted: {words}"
                yield Coded(told, "not-adopted", owner.key)


def why_not_adoptable(candidate: Candidate, owner: Owner, now: datetime) -> str:
    """Return why a certificate is not adopted for its owner, empty where it can be."""
    if candidate.pair is None or candidate.facts is None:
        return candidate.refusal
    found = objection_to(candidate.pair, candidate.facts, owner, now)
    return found.what if found else ""
