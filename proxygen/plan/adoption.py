"""Which certificates in the services' configuration are adopted, and with which issuer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from proxygen.errors import Coded, IssueFailed
from proxygen.model.certificate import GLOBAL, Bundle, Certificate, KeyAndChain
from proxygen.model.site import Owner, Site
from proxygen.model.verdicts import require
from proxygen.plan.culprits import former
from proxygen.plan.observed import Candidate, Installed, Observed
from proxygen.plan.ownership import LONGEST_LIFE, is_private
from proxygen.plan.renewal import Reason
from proxygen.plan.steps import Adopt
from proxygen.services import Facts, WebFacts


@dataclass(frozen=True, slots=True)
class Found:
    """A certificate that services have for an owner and that is valid for one of its names."""

    bundle: Bundle
    pair: KeyAndChain
    candidate: Candidate


def lacking(site: Site, bundles: Mapping[str, Bundle], now: datetime) -> Iterator[Owner]:
    """Yield the owners for whom no valid certificate is stored, although the model wants one.

    A self-signed certificate that the model asks for is made at once, so its owner lacks nothing.
    """
    for owner in site.owners:
        bundle = bundles.get(owner.key)
        if owner.certificate is None or owner.certificate.issuer == "selfsigned":
            continue
        if bundle is None or bundle.stand_in or bundle.not_after <= now:
            yield owner


def adoptions(site: Site, observed: Observed, now: datetime) -> tuple[Adopt, ...]:
    """Return the steps that adopt, for each owner who lacks a certificate, the best one found."""
    if not observed.candidates:
        return ()
    found = (adoption(owner, site, observed, now) for owner in lacking(site, observed.bundles, now))
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
            facts=state.facts and untouched(state.facts, site, state.installed, owners),
            whole=state.whole and untouched(state.whole, site, state.installed, owners),
        )
        for name, state in observed.services.items()
    }
    return replace(observed, services=services)


def untouched(facts: Facts, site: Site, present: Installed, owners: Collection[str]) -> Facts:
    """Return the facts by which a service serves owners as before."""
    if not isinstance(facts, WebFacts):
        return facts
    hosts = {each.key: each.host for each in site.domains if each.key in owners}
    shown = {key: mark for key in hosts if (mark := former(key, site, present))}
    others = {key for key, host in hosts.items() if host not in present.served}
    return replace(facts, shown={**facts.shown, **shown}, dropped=facts.dropped | others)


def adopted(observed: Observed, steps: tuple[Adopt, ...]) -> Observed:
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
        if (found := valid(candidate, owner, site, now)) and is_better(found.bundle, present)
    ]
    if not usable:
        return None
    best = max(usable, key=lambda each: worth(each.bundle, owner))
    services = services_of(best, usable)
    words = told(best.bundle) + "".join(others_of(best, usable, owner))
    bundle = replace(best.bundle, adopted=" ".join(services))
    return Adopt(bundle, best.pair, best.candidate.paths, Reason("configured", words))


def is_better(bundle: Bundle, present: Bundle | None) -> bool:
    """Return whether a certificate is better than the stored one, which is not valid.

    One with a compromised key is not, nor is a self-signed one better than another self-signed one.
    """
    if present is None:
        return True
    if present.stand_in and bundle.stand_in:
        return False
    return not (present.replace and present.spki == bundle.spki)


def valid(candidate: Candidate, owner: Owner, site: Site, now: datetime) -> Found | None:
    """Return a certificate that clients accept for a name of its owner; None for any other.

    The name is that of the URL; for the global certificate, which mail clients get under its extra
    names, any name will do if there is no better one. A self-signed certificate has clients that
    were told to trust it, and TLSA records may name it: as the global certificate it is kept rather
    than replaced by a stand-in.
    """
    pair, facts, wanted = candidate.pair, candidate.facts, owner.certificate
    if pair is None or facts is None or wanted is None:
        return None
    asked = owner.names if owner.key == GLOBAL and not facts.stand_in else owner.names[:1]
    if not any(map(facts.covers, asked)) or (facts.stand_in and owner.key != GLOBAL):
        return None
    if refused(pair, (), now):
        return None
    return Found(judged(candidate, facts, wanted, site), pair, candidate)


def judged(candidate: Candidate, facts: Bundle, wanted: Certificate, site: Site) -> Bundle:
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
    by_authority = candidate.known or is_private(site.acme)
    if wanted.issuer == "acme" and by_authority and bundle.lifetime <= LONGEST_LIFE:
        first = wanted.authorities[0]
        return replace(bundle, issuer="acme", authority=first.directory, profile=first.profile)
    return bundle


def worth(bundle: Bundle, owner: Owner) -> tuple[bool, bool, int, datetime, bool]:
    """Return the sort key by which certificates are preferred: stand-in, URL, names, end, key."""
    wanted = owner.certificate
    return (
        not bundle.stand_in,
        bundle.covers(owner.names[0]),
        sum(map(bundle.covers, owner.names)),
        bundle.not_after,
        wanted is not None and bundle.key_type == wanted.key_type,
    )


def services_of(best: Found, found: list[Found]) -> list[str]:
    """Return the services that are configured with a certificate, in their order."""
    same = (each for each in found if each.bundle.fingerprint == best.bundle.fingerprint)
    return list(dict.fromkeys(each.candidate.service for each in same))


def others_of(best: Found, found: list[Found], owner: Owner) -> Iterator[str]:
    """Yield which other valid certificates services have for the owner, for the step's reason."""
    have, told_of = set(services_of(best, found)), set[str]()
    for each in found:
        if each.candidate.service not in have and each.bundle.fingerprint not in told_of:
            told_of.add(each.bundle.fingerprint)
            those = [name for name in services_of(each, found) if name not in have]
            names = sum(map(each.bundle.covers, owner.names))
            yield (
                f"; {', '.join(those)} has another one, {told(each.bundle)}, which"
                f" covers {names} of "
                f"{len(owner.names)} names"
            )


def told(bundle: Bundle) -> str:
    """Return in words where a certificate is from and until when it is valid."""
    until = f"valid until {bundle.not_after:%Y-%m-%d %H:%M} UTC"
    return f"self-signed, {until}" if bundle.stand_in else f"from {bundle.issued_by}, {until}"


def not_usable(site: Site, observed: Observed, now: datetime) -> Iterator[str]:
    """Yield why the certificates found for the global URL are not adopted, if none is."""
    names = site.main.names[:1]
    for each in observed.candidates.get(GLOBAL, ()):
        if words := each.refusal or (refused(each.pair, names, now) if each.pair else ""):
            files = ", ".join(map(str, each.paths))
            told = (
                f"{each.service}: the certificate in {files} is not adopted for the"
                f" global URL: {words}"
            )
            yield Coded(told, "not-adopted", each.service)


def refused(pair: KeyAndChain, names: Sequence[str], now: datetime) -> str:
    """Return why clients would refuse a certificate for names, empty if they would not."""
    try:
        require(pair, names, now)
    except IssueFailed as error:
        return error.what
    return ""
