"""Observes what is stored, supplied and installed, as far as a plan needs it."""

from __future__ import annotations

from collections.abc import Mapping

from proxygen.assemble import Installation, read_password
from proxygen.host import files
from proxygen.model.layout import certificate_file
from proxygen.model.site import Site
from proxygen.model.upstreams import host_names
from proxygen.names.states import NameStates, up_to_date
from proxygen.observe.installed import parts_left_out
from proxygen.observe.services import is_gone, service_states, state_without_refused, with_former
from proxygen.plan.filing import with_filed
from proxygen.plan.observed import Observed
from proxygen.stores import challenge_answers

NAMES_KNOWN = 90.0
"""Seconds for which the addresses of upstream servers are known to who looks again and again."""


def observe(site: Site, installation: Installation) -> Observed:
    """Return what is observed, as far as a plan needs it."""
    hosts = installation.addresses.of(host_names(site), NAMES_KNOWN)
    bundles = with_filed(site.certificates, installation.bundles.all())
    services = dict(service_states(site, installation, hosts))
    stored = {certificate_file(each.owner, each.digest) for each in bundles.values()}
    for name, present in services.items():
        live = installation.layout.live(name)
        present = with_former(present, live, stored)
        services[name] = state_without_refused(present, site, bundles, parts_left_out(live))
    left = (set(files.names(installation.layout.var / "live")) & set(installation.services)) - set(
        services
    )
    gone = {name for name in left if site.services is None and is_gone(name, installation)}
    held = source_hashes(site)
    return Observed(
        bundles=bundles,
        services=services,
        abandoned=tuple(sorted(left - gone)),
        gone=tuple(sorted(gone)),
        sources=held,
        marks=failure_marks(site, held),
        failures=installation.bundles.failures(),
        authority_failures=installation.bundles.failures_below("troubles"),
        poll_failures=installation.bundles.failures_below("looks"),
        names=stored_names(site, installation),
        nameless={name: each.trouble for name, each in hosts.items() if not each.addresses},
        answers=challenge_answers.of_all(installation.own),
    )


def observe_store(site: Site, installation: Installation) -> Observed:
    """Return what the store holds, as far as a plan of orders needs it."""
    return Observed(
        bundles=with_filed(site.certificates, installation.bundles.all()),
        services={},
        sources={},
        failures=installation.bundles.failures(),
        authority_failures=installation.bundles.failures_below("troubles"),
        poll_failures=installation.bundles.failures_below("looks"),
        names=stored_names(site, installation),
        answers=challenge_answers.of_all(installation.own),
    )


def stored_names(site: Site, installation: Installation) -> dict[str, NameStates]:
    """Return what is known of names by owner, to be checked anew where the model changed that."""
    known, now = installation.names.all(), installation.now()
    by = {each.owner: each.checked_by for each in site.certificates} if known else {}
    return {owner: up_to_date(each, by.get(owner, ""), now) for owner, each in known.items()}


def source_hashes(site: Site) -> dict[str, str]:
    """Return the hash of each supplied certificate's files by owner; empty if unreadable."""
    supplied = [each for each in site.certificates if each.file]
    if not supplied:
        return {}
    from proxygen.issuers.file import files_fingerprint

    return {each.owner: files_fingerprint(each.file) for each in supplied if each.file}


def failure_marks(site: Site, held: Mapping[str, str]) -> dict[str, str]:
    """Return by owner a hash of everything that a failure of supplied files may be due to."""
    if not held:
        return {}
    from proxygen.issuers.file import files_mark

    supplied = (each for each in site.certificates if each.file)
    return {
        each.owner: files_mark(each.file, held.get(each.owner, ""), read_password)
        for each in supplied
        if each.file
    }
