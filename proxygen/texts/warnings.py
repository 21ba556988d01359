"""What is worth a warning although nothing failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from proxygen.errors import Coded, coded
from proxygen.model.certificate import ADOPTED, GLOBAL, Bundle
from proxygen.model.hosts import readable
from proxygen.model.site import Owner, Site
from proxygen.model.upstreams import host_names
from proxygen.model.views import serving
from proxygen.names.findings import sentence_about
from proxygen.plan.culprits import sentence
from proxygen.plan.observed import Observed, ServiceState
from proxygen.plan.steps import some
from proxygen.services import WebFacts
from proxygen.texts.alerts import ONCE, Seen, ending
from proxygen.texts.names import Named, not_ready, troubled
from proxygen.texts.nginx_lookups import looked_up_at_the_start

LEFT_OUT = "left-out"
"""The code of what is told of parts that services refuse; a run tells it as failures."""


def warnings(site: Site, observed: Observed, now: datetime) -> tuple[Coded, ...]:
    """Return the warnings of the whole site, the gravest first."""
    return (
        *coded("stand-in", stand_in_serves(observed), GLOBAL),
        *coded("ended", ended(site, observed, now)),
        *coded("ending", ending_soon(site, observed, now)),
        *coded("unproven", unproven(site, observed, now)),
        *coded("hook-awaited", brought(site, observed)),
        *coded("not-covered", not_covered(site, observed, now)),
        *coded("two-server-blocks", two_server_blocks(site, observed)),
        *coded("no-address", without_addresses(site, observed)),
        *coded("unbounded", site.warnings),
        *from_services(observed),
    )


def stand_in_serves(observed: Observed) -> Iterator[str]:
    """A stand-in is no certificate that a client accepts."""
    bundle = observed.bundles.get(GLOBAL)
    if bundle and bundle.stand_in:
        yield (
            "a self-signed stand-in serves as the global certificate until the real one arrives: "
            "clients refuse or ask"
        )


def ended(site: Site, observed: Observed, now: datetime) -> Iterator[str]:
    """A certificate that has ended still serves, since any is better than none.

    Of one whose URL has led elsewhere for weeks nobody needs to hear any more.
    """
    found = ending(site, Seen(observed), observed, now)
    given_up = {each.of for each in found if each.known and each.every == ONCE}
    for wanted in site.certificates:
        bundle = observed.bundles.get(wanted.owner)
        if bundle and bundle.not_after < now and wanted.owner not in given_up:
            end = f"{bundle.not_after:%Y-%m-%d %H:%M} UTC"
            words = f"the certificate of {readable(wanted.owner)} ended {end}"
            yield Coded(words, "ended", wanted.owner)


def ending_soon(site: Site, observed: Observed, now: datetime) -> Iterator[str]:
    """A certificate so near its end that people are warned by message, too."""
    for alert in ending(site, Seen(observed), observed, now):
        bundle, attempt = alert.bundle, alert.attempt
        if bundle is None or bundle.not_after < now:
            continue
        why = f": {attempt.failure.what}" if attempt else ""
        if alert.known and (trouble := alert.known[0].trouble):
            name = alert.known[0].name
            why = f": {readable(name)}: {sentence_about(name, trouble)}"
        what = "a new one is needed" if alert.kind == "supplied" else f"it is not renewed yet{why}"
        until = f"{bundle.not_after:%Y-%m-%d %H:%M} UTC"
        words = f"the certificate of {readable(alert.of)} is valid only until {until}; {what}"
        yield Coded(words, "ending", alert.of)


def unproven(site: Site, observed: Observed, now: datetime) -> Iterator[str]:
    """A name that is in no certificate because of its DNS; not one that moved away."""
    for each in not_ready(site, observed, now):
        yield Coded(words_of(each), "unproven", each.name)


def words_of(each: Named) -> str:
    """Return the warning about one name."""
    owner = "" if each.name == each.owner.key else f" ({readable(each.owner.key)})"
    since = f" since {each.since:%Y-%m-%d %H:%M} UTC" if each.since else ""
    return f"{readable(each.name)}{owner}: {each.title}{since}: {each.words}"


def not_covered(site: Site, observed: Observed, now: datetime) -> Iterator[str]:
    """A name that is served with the global certificate, which does not cover it (rule 3).

    Not where the DNS of the URL's name is why there is none: that is told of the name.
    """
    bundle = observed.bundles.get(GLOBAL)
    if bundle is None or bundle.stand_in:
        return
    told = {each.name for each in troubled(site, observed, now)}
    found = (state.facts for state in observed.services.values())
    others = {  # with another, or none
        key
        for facts in found
        if isinstance(facts, WebFacts)
        for key in (*facts.dropped, *facts.shown)
    }
    for owner in site.domains:
        if not owner.names or owner.host in told or owner.key in others:
            continue
        if serving(owner, observed.bundles) is None:
            missing = [name for name in owner.names if not bundle.covers(name)]
            if missing:
                yield Coded(words_for(owner, missing), "not-covered", owner.key)


def words_for(owner: Owner, missing: list[str]) -> str:
    """Return the warning about the names of one owner, with what to do."""
    names = ", ".join(map(readable, missing[:3])) + (" …" if len(missing) > 3 else "")
    remedy = (
        "until its own certificate is obtained"
        if owner.certificate
        else "add `certificate:` to the domain, or the names to the global certificate"
    )
    return (
        f"{readable(owner.key)}: {names} served with the global certificate, which does not cover "
        f"{'it' if len(missing) == 1 else 'them'}: browsers will warn; {remedy}"
    )


def two_server_blocks(site: Site, observed: Observed) -> Iterator[str]:
    """A name for which the administrator's own configuration has a server block, too."""
    for state in observed.services.values():
        facts = state.facts if isinstance(state.facts, WebFacts) else None
        others = facts.names if facts else frozenset()
        dropped = facts.dropped if facts else frozenset()
        owners = [owner for owner in site.owners if owner.key not in dropped]
        for name in (name for owner in owners for name in owner.names if name in others):
            yield (
                f"{state.name}: a server block of yours has the name {readable(name)} as well, and "
                "only the first of the two answers; take the name out of one of them"
            )


def without_addresses(site: Site, observed: Observed) -> Iterator[str]:
    """A name of an upstream server that has no address at present.

    What it had before serves on; without any, requests that only it could answer get 502.
    """
    if not observed.nameless:
        return
    backends = host_names(site)
    found = (state.facts for state in observed.services.values())
    written = [facts.addresses for facts in found if isinstance(facts, WebFacts)]
    for name, trouble in observed.nameless.items():
        former = next((each[name] for each in written if name in each), ())
        yield no_address(name, trouble, backends.get(name, ()), former)


def no_address(name: str, trouble: str, backends: Sequence[str], former: Sequence[str]) -> str:
    """Return the warning about a name without an address."""
    what = (
        f"its requests go on to {', '.join(former[:3])}, which it had last"
        if former
        else "it is left out, and requests that no other server takes are answered with 502"
    )
    whose = "backend" if len(backends) == 1 else "backends"
    return (
        f"{whose} {', '.join(backends[:3])}: no address is found for {name} ({trouble}); {what}; "
        "correct the name, its DNS or /etc/hosts, and it is used by itself (`proxygen apply` looks "
        "at once)"
    )


def is_not_running(name: str) -> str:
    """Return the warning about a service that does not run."""
    return f"{name} is not running; proxygen starts no service"


def did_not_serve(name: str) -> str:
    """Return the warning about a service of which the last look saw something else."""
    return (
        f"{name} did not serve what is wanted when it was last looked at; `proxygen apply` looks"
        " again"
    )


def not_asked(services: Iterable[ServiceState]) -> Iterator[Coded]:
    """Yield a warning about each service that was not asked everywhere what it shows."""
    for state in services:
        if state.installed.unasked:
            yield Coded(was_not_asked(state), "unasked", state.name)


def was_not_asked(state: ServiceState) -> str:
    """Return the warning about a service that was not asked everywhere what it shows."""
    count = len(state.installed.unasked)
    names = "1 name" if count == 1 else f"{count:,} names"
    return (
        f"{state.name} was not asked yet what it shows for {names} "
        f"({some(sorted(state.installed.unasked))}), as there was no time left; the next "
        "`proxygen apply` asks, and so does the daemon"
    )


def was_refused(state: ServiceState) -> str:
    """Return the warning about a service that was not given what the model wants."""
    refused = state.installed.refused
    if refused is None:
        return ""
    return (
        f"{state.name} was not given what the model wants since {refused.since:%Y-%m-%d %H:%M} "
        f"UTC, and serves what it had before: {refused.in_short}; correct that, then run "
        "`proxygen apply`"
    )


def from_services(observed: Observed) -> Iterator[Coded]:
    """What a service's own configuration holds that is not ours but works against us."""
    for name, state in observed.services.items():
        if state.facts:
            yield from coded("configuration", state.facts.warnings, name)
            left_out = (sentence(each, name, state.facts) for each in state.left_out)
            yield from coded(LEFT_OUT, left_out, name)
        if isinstance(state.facts, WebFacts):
            names = looked_up_at_the_start(state.facts.additions)
            yield from coded("looked-up", names, name)
        if state.error is None and state.pid is None:
            yield Coded(is_not_running(name), "not-running", name)
        elif state.installed.unserved:
            yield Coded(did_not_serve(name), "not-served", name)
        if state.installed.refused:
            yield Coded(was_refused(state), "refused", name)
    yield from not_asked(observed.services.values())
    for name in observed.gone:
        words = (
            f"{name} was set up by proxygen and is not on this host any more; run `proxygen "
            f"uninstall {name}` to take out what is left of it, or install {name} again"
        )
        yield Coded(words, "gone", name)
    for name in observed.abandoned:
        words = (
            f"{name} is in `services` no more, so its certificate is renewed no more; "
            f"`proxygen uninstall {name}` gives it back as it was"
        )
        yield Coded(words, "abandoned", name)


def brought(site: Site, observed: Observed) -> Iterator[str]:
    """A certificate that another ACME client is to bring, but did not, or not for every name."""
    for owner in site.owners:
        if owner.certificate and owner.certificate.issuer == "hook":
            yield from waited_for(owner, observed.bundles.get(owner.key))


def waited_for(owner: Owner, bundle: Bundle | None) -> Iterator[str]:
    """Yield what is missing of a certificate that is brought by `proxygen hook`."""
    what = f"{readable(owner.key)} waits for `proxygen hook`, with which another ACME client brings"
    if bundle is None:
        yield f"{what} its certificate: until then the global certificate serves"
    elif bundle.stand_in:
        yield f"{what} its certificate: until then a stand-in serves"
    elif bundle.issuer != "hook":
        ends = f"{bundle.not_after:%Y-%m-%d}"
        serves = "an adopted one" if bundle.issuer == ADOPTED else f"that from {bundle.issuer}"
        yield f"{what} its next certificate: {serves} serves, until {ends} at most"
    elif missing := [name for name in owner.names if not bundle.covers(name)]:
        names = ", ".join(map(readable, missing[:3])) + (" …" if len(missing) > 3 else "")
        yield (
            f"{readable(owner.key)}: the certificate that was brought does not cover {names}: have "
            "the client that obtains it add the name, and call `proxygen hook` again"
        )
