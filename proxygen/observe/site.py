"""Observes what is stored, supplied and installed, as far as a plan needs it."""

from __future__ import annotations

from collections.abc import Mapping

from proxygen.assemble import Parts, password
from proxygen.host import files
from proxygen.model.layout import certificate_file
from proxygen.model.site import Site
from proxygen.model.upstreams import host_names
from proxygen.names.states import Names, up_to_date
from proxygen.observe.installed import parts_left_out
from proxygen.observe.services import heeding, is_gone, states, with_former
from proxygen.plan.observed import Observed
from proxygen.stores import answered

NAMES_KNOWN = 90.0
"""Seconds for which the addresses of upstream servers are known to who looks again and again."""


def observe(site: Site, parts: Parts) -> Observed:
    """Return what is observed, as far as a plan needs it."""
    hosts = parts.addresses.of(host_names(site), NAMES_KNOWN)
    bundles = parts.bundles.all()
    services = dict(states(site, parts, hosts))
    stored = {certificate_file(each.owner, each.digest) for each in bundles.values()}
    for name, present in services.items():
        live = parts.layout.live(name)
        present = with_former(present, live, stored)
        services[name] = heeding(present, site, bundles, parts_left_out(live))
    left = (set(files.names(parts.layout.var / "live")) & set(parts.services)) - set(services)
    gone = {name for name in left if site.services is None and is_gone(name, parts)}
    held = sources(site)
    return Observed(
        bundles=bundles,
        services=services,
        abandoned=tuple(sorted(left - gone)),
        gone=tuple(sorted(gone)),
        sources=held,
        marks=marks(site, held),
        attempts=parts.bundles.attempts(),
        troubles=parts.bundles.held("troubles"),
        looks=parts.bundles.held("looks"),
        names=names(site, parts),
        nameless={name: each.trouble for name, each in hosts.items() if not each.addresses},
        answers=answered.of_all(parts.own),
    )


def observe_store(site: Site, parts: Parts) -> Observed:
    """Return what the store holds, as far as a plan of orders needs it."""
    return Observed(
        bundles=parts.bundles.all(),
        services={},
        sources={},
        attempts=parts.bundles.attempts(),
        troubles=parts.bundles.held("troubles"),
        looks=parts.bundles.held("looks"),
        names=names(site, parts),
        answers=answered.of_all(parts.own),
    )


def names(site: Site, parts: Parts) -> dict[str, Names]:
    """Return what is known of names by owner, to be checked anew where the model changed that."""
    known, now = parts.names.all(), parts.now()
    by = {each.owner: each.looked_at_by for each in site.certificates} if known else {}
    return {owner: up_to_date(each, by.get(owner, ""), now) for owner, each in known.items()}


def sources(site: Site) -> dict[str, str]:
    """Return the hash of each supplied certificate's files by owner; empty if unreadable."""
    supplied = [each for each in site.certificates if each.file]
    if not supplied:
        return {}
    from proxygen.issuers.file import fingerprint

    return {each.owner: fingerprint(each.file) for each in supplied if each.file}


def marks(site: Site, held: Mapping[str, str]) -> dict[str, str]:
    """Return by owner a hash of everything that a failure of supplied files may be due to."""
    if not held:
        return {}
    from proxygen.issuers.file import mark

    supplied = (each for each in site.certificates if each.file)
    return {
        each.owner: mark(each.file, held.get(each.owner, ""), password)
        for each in supplied
        if each.file
    }
