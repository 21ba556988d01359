"""Warnings: what a person should know although nothing failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from proxygen.errors import Coded, coded_words
from proxygen.languages.counts import counted_words, some_names
from proxygen.model.certificate import ADOPTED, ECDSA, GLOBAL, OWN_KEYS, RSA, Bundle
from proxygen.model.hosts import readable_name
from proxygen.model.site import Owner, Site
from proxygen.model.upstreams import host_names
from proxygen.model.views import serving_bundle
from proxygen.names.findings import sentence_about
from proxygen.plan.culprits import left_out_sentence
from proxygen.plan.observed import Observed, ServiceState
from proxygen.plan.renewal import with_kept_type
from proxygen.services import WebFacts
from proxygen.services.service_verification import matching_nothing, place_words
from proxygen.texts.alerts import ONCE, RoundResult, ending_certificates
from proxygen.texts.names import ModelName, names_with_failure, not_ready
from proxygen.texts.nginx_directives import directive_warnings
from proxygen.texts.nginx_lookups import names_nginx_resolves

LEFT_OUT = "left-out"
"""The code of warnings about parts that a service refuses; a run reports them as failures."""


def site_warnings(site: Site, observed: Observed, now: datetime) -> tuple[Coded, ...]:
    """Return the warnings about the whole site, the most serious first."""
    return (
        *coded_words("stand-in", stand_in_serves(observed), GLOBAL),
        *coded_words("ended", ended_certificates(site, observed, now)),
        *coded_words("ending", ending_soon(site, observed, now)),
        *coded_words("unproven", names_left_out(site, observed, now)),
        *coded_words("hook-awaited", missing_from_other_client(site, observed)),
        *coded_words("not-covered", not_covered(site, observed, now)),
        *coded_words("two-server-blocks", two_server_blocks(site, observed)),
        *coded_words("key-type", other_key_types(site, observed)),
        *coded_words("key-type", types_side_by_side(site, observed, now)),
        *coded_words("no-cipher", without_ciphers(site, observed), GLOBAL),
        *coded_words("no-address", without_addresses(site, observed)),
        *coded_words("unbounded", site.warnings),
        *from_services(site, observed),
    )


def stand_in_serves(observed: Observed) -> Iterator[str]:
    """Clients accept no stand-in."""
    bundle = observed.bundles.get(GLOBAL)
    if bundle and bundle.stand_in:
        yield (
            "the global certificate is a self-signed stand-in until the real one is obtained; "
            "clients refuse it, or show a warning"
        )


def ended_certificates(site: Site, observed: Observed, now: datetime) -> Iterator[str]:
    """A certificate that has expired stays in use, since any is better than none.

    There is no warning about one whose URL has pointed to another server for weeks.
    """
    found = ending_certificates(site, RoundResult(observed), observed, now)
    given_up = {each.of for each in found if each.name_states and each.every == ONCE}
    for wanted in site.certificates:
        bundle = observed.bundles.get(wanted.owner)
        if bundle and bundle.not_after < now and wanted.owner not in given_up:
            end = f"{bundle.not_after:%Y-%m-%d %H:%M} UTC"
            words = f"the certificate of {readable_name(wanted.owner)} expired on {end}"
            yield Coded(words, "ended", wanted.owner)


def ending_soon(site: Site, observed: Observed, now: datetime) -> Iterator[str]:
    """A certificate that expires so soon that a mail is sent as well."""
    for alert in ending_certificates(site, RoundResult(observed), observed, now):
        bundle, last_failure = alert.bundle, alert.last_failure
        if bundle is None or bundle.not_after < now:
            continue
        why = f": {last_failure.failure.what}" if last_failure else ""
        if alert.name_states and (trouble := alert.name_states[0].obstacle):
            name = alert.name_states[0].name
            why = f": {readable_name(name)}: {sentence_about(name, trouble)}"
        what = (
            "a new one is needed"
            if alert.kind == "supplied"
            else f"it has not been renewed yet{why}"
        )
        until = f"{bundle.not_after:%Y-%m-%d %H:%M} UTC"
        words = f"the certificate of {readable_name(alert.of)} expires on {until}; {what}"
        yield Coded(words, "ending", alert.of)


def names_left_out(site: Site, observed: Observed, now: datetime) -> Iterator[str]:
    """A name that is in no certificate because of its DNS; not one that moved away."""
    for each in not_ready(site, observed, now):
        yield Coded(words_of(each), "unproven", each.name)


def words_of(each: ModelName) -> str:
    """Return the warning about one name."""
    owner = "" if each.name == each.owner.key else f" ({readable_name(each.owner.key)})"
    since = f" since {each.since:%Y-%m-%d %H:%M} UTC" if each.since else ""
    return f"{readable_name(each.name)}{owner}: {each.title}{since}: {each.words}"


def not_covered(site: Site, observed: Observed, now: datetime) -> Iterator[str]:
    """A name that is served with the global certificate, which does not cover it (rule 3).

    Not where the DNS of the URL's name is why there is none: that is told of the name.
    """
    bundle = observed.bundles.get(GLOBAL)
    if bundle is None or bundle.stand_in:
        return
    told = {each.name for each in names_with_failure(site, observed, now)}
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
        if serving_bundle(owner, observed.bundles) is None:
            missing = [name for name in owner.names if not bundle.covers(name)]
            if missing:
                yield Coded(words_for(owner, missing), "not-covered", owner.key)


def words_for(owner: Owner, missing: list[str]) -> str:
    """Return the warning about the names of one owner, with what to do."""
    names = ", ".join(map(readable_name, missing[:3])) + (" …" if len(missing) > 3 else "")
    remedy = (
        "this ends once its own certificate is obtained"
        if owner.certificate
        else "set `certificate:` for the domain, or add the names to the global certificate"
    )
    return (
        f"{readable_name(owner.key)}: the global certificate is used for {names}, but does not "
        f"cover "
        f"{'this name' if len(missing) == 1 else 'these names'}, so browsers show a warning; "
        f"{remedy}"
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
                f"{state.name}: a server block of your own also has the name "
                f"{readable_name(name)}, and "
                "only the first of the two is used; remove the name from one of them"
            )


BOTH = "`key_type: [ecdsa-p256, rsa-2048]`"
LOCKED_OUT = {
    RSA: "clients that know no ECDSA, such as old mail servers, scanners and printers,",
    ECDSA: "clients that were set to ECDSA alone",
}


def other_key_types(site: Site, observed: Observed) -> Iterator[str]:
    """The model asks for another algorithm than the one that clients are used to."""
    found: dict[tuple[str, str], list[str]] = {}
    for owner in site.owners:
        if change := change_of_algorithm(owner, observed):
            found.setdefault(change, []).append(owner.key)
    for (before, after), owners in found.items():
        whose = some_names(owners, readable_name)
        kept = "rsa-2048" if before == RSA else "ecdsa-p256"
        yield (
            f"`key_type` replaces the {before.upper()} certificate of {whose} by one with"
            f" {after.upper()}: {LOCKED_OUT[before]} can then no longer connect; write {BOTH} to"
            f" serve both, or `key_type: {kept}` to stay"
        )


def change_of_algorithm(owner: Owner, observed: Observed) -> tuple[str, str] | None:
    """Return the algorithms of an owner's certificate, now and then, where they are to differ."""
    wanted = owner.certificate
    bundle = observed.bundles.get(owner.key)
    if wanted is None or wanted.issuer not in OWN_KEYS or not wanted.key_type_said:
        return None
    if bundle is None or owner.beside or (bundle.stand_in and not bundle.adopted):
        return None
    before, after = bundle.algorithm, wanted.key_type.algorithm
    return (before, after) if before != after and before in LOCKED_OUT else None


def types_side_by_side(site: Site, observed: Observed, now: datetime) -> Iterator[str]:
    """A service shows certificates of two algorithms for an owner who is to have one."""
    for owner in site.owners if observed.candidates else ():
        wanted = owner.certificate
        if wanted is None or wanted.issuer not in OWN_KEYS or owner.beside:
            continue
        found: dict[str, set[str]] = {}
        for service, facts in shown_for(owner, observed, now):
            found.setdefault(service, set()).add(facts.algorithm)
        if services := sorted(name for name, kinds in found.items() if len(kinds) > 1):
            words = (
                f"{readable_name(owner.key)}: {', '.join(services)} shows an RSA and an ECDSA"
                f" certificate side by side, and only one of them stays; write {BOTH} to serve both"
            )
            yield Coded(words, "key-type", owner.key)


def shown_for(owner: Owner, observed: Observed, now: datetime) -> Iterator[tuple[str, Bundle]]:
    """Yield the valid certificates that services have for an owner, each with the service."""
    for each in observed.candidates.get(owner.key, ()):
        facts = each.facts
        if facts is None or facts.stand_in or facts.not_after <= now:
            continue
        if owner.host and facts.covers(owner.host) and facts.algorithm in LOCKED_OUT:
            yield each.service, facts


def without_ciphers(site: Site, observed: Observed) -> Iterator[str]:
    """The cipher lists of a mail service leave no cipher for the global certificate's key."""
    wanted, bundle = site.global_certificate, observed.bundles.get(GLOBAL)
    if wanted.issuer in OWN_KEYS:
        first = with_kept_type(wanted, bundle).key_type.algorithm
    elif bundle:
        first = bundle.algorithm
    else:
        return
    kinds = [first, *([site.main.beside.key_type.algorithm] if site.main.beside else [])]
    for state in observed.services.values():
        useless = [set(state.lacking.get(kind, ())) for kind in kinds]
        for each in sorted(set.intersection(*useless), key=lambda each: each.place):
            yield (
                f"{state.name} ({each.place}): `{each.setting}` leaves clients with TLS 1.2 no"
                f" cipher for an {' or '.join(map(str.upper, kinds))} key, which the global"
                " certificate has or is to have, so they cannot connect; remove what excludes it,"
                f" or write {BOTH} below `global`"
            )


def without_addresses(site: Site, observed: Observed) -> Iterator[str]:
    """A host name of an upstream server that has no address at present.

    Its last known addresses stay in use; without any, requests that only it could answer get 502.
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
        f"requests still go to {', '.join(former[:3])}, which it had last"
        if former
        else "it is left out, and requests that no other server accepts get status 502"
    )
    whose = "backend" if len(backends) == 1 else "backends"
    return (
        f"{whose} {', '.join(backends[:3])}: no address found for {name} ({trouble}); {what}; "
        "correct the name, its DNS or /etc/hosts, then run `proxygen apply`"
    )


def is_not_running(name: str) -> str:
    """Return the warning about a service that does not run."""
    return f"{name} is not running; proxygen does not start services"


def did_not_serve(name: str) -> str:
    """Return the warning about a service that served something else when it was last probed."""
    return (
        f"{name} did not serve the right certificate when it was last probed; run `proxygen apply` "
        "to probe it again"
    )


def not_asked(services: Iterable[ServiceState]) -> Iterator[Coded]:
    """Yield a warning about each service that was not probed everywhere."""
    for state in services:
        if state.installed.unasked:
            yield Coded(was_not_asked(state), "unasked", state.name)


def was_not_asked(state: ServiceState) -> str:
    """Return the warning about a service that was not probed everywhere."""
    names = sorted(state.installed.unasked)
    return (
        f"{state.name} has not been probed yet for {counted_words(len(names), 'name')} "
        f"({some_names(names, readable_name)}), for lack of time; the next `proxygen apply`, "
        "or the daemon, does so"
    )


def was_refused(state: ServiceState) -> str:
    """Return the warning about a service that still has its previous configuration."""
    refused = state.installed.refused
    if refused is None:
        return ""
    return (
        f"{state.name} has kept its previous configuration since {refused.since:%Y-%m-%d %H:%M} "
        f"UTC: {refused.in_short}; correct this, then run `proxygen apply`"
    )


def from_services(site: Site, observed: Observed) -> Iterator[Coded]:
    """Yield the warnings about services: their state, and directives of others against ours."""
    for name, state in observed.services.items():
        if state.facts:
            yield from coded_words("configuration", state.facts.warnings, name)
            left_out = (left_out_sentence(each, name, state.facts) for each in state.left_out)
            yield from coded_words(LEFT_OUT, left_out, name)
        if isinstance(state.facts, WebFacts):
            names = names_nginx_resolves(state.facts.additions)
            yield from coded_words("looked-up", names, name)
            directives = directive_warnings(site, state.facts)
            yield from coded_words("directives", directives, name)
        if state.error is None and state.pid is None:
            yield Coded(is_not_running(name), "not-running", name)
        elif state.installed.unserved:
            yield Coded(did_not_serve(name), "not-served", name)
        if state.installed.refused:
            yield Coded(was_refused(state), "refused", name)
        yield from coded_words("verify", left_out_for_nothing(state), name)
    yield from not_set_up(observed)
    yield from not_asked(observed.services.values())
    for name in observed.gone:
        words = (
            f"{name} was set up by proxygen, but is not on this host any more; run `proxygen "
            f"uninstall {name}` to remove what is left of its set-up, or install {name} again"
        )
        yield Coded(words, "gone", name)
    for name in observed.abandoned:
        words = (
            f"{name} is no longer in `services`, so proxygen does not renew its certificate; run "
            f"`proxygen uninstall {name}` to restore its own configuration"
        )
        yield Coded(words, "abandoned", name)


def left_out_for_nothing(state: ServiceState) -> Iterator[str]:
    """Yield each listener that the model leaves out of verification and that is not there."""
    verify = state.settings.verify
    there = state.installed.listeners if verify.left_out else ()
    for each in matching_nothing(verify, there) if there else ():
        found = ", ".join(place_words(*place) for place in there[:MOST_LISTENERS])
        yield (
            f"`services.{state.name}.verify.except` names {each}, where proxygen does not connect"
            f" to {state.name}; write one of {found}, or its port"
        )


MOST_LISTENERS = 20
"""Listeners that a warning names."""


def not_set_up(observed: Observed) -> Iterator[Coded]:
    """Yield a warning about each further service on this host that the model does not have."""
    facts = [state.facts for state in observed.services.values() if state.facts]
    known = {str(each.main.parent) for each in facts}
    for state in observed.services.values():
        for name, folder in state.facts.further.items() if state.facts else ():
            if folder not in known and name not in observed.services:
                fields = "{}" if folder == f"/etc/{name}" else f"{{configuration: {folder}}}"
                words = (
                    f"{folder} is another instance of {state.name}, which proxygen does not set"
                    f" up; add `{name}: {fields}` to `services`, beside the others"
                )
                yield Coded(words, "further-service", name)


def missing_from_other_client(site: Site, observed: Observed) -> Iterator[str]:
    """A certificate that another ACME client obtains, but has not yet, or not for every name."""
    for owner in site.owners:
        if owner.certificate and owner.certificate.issuer == "hook":
            yield from waited_for(owner, observed.bundles.get(owner.key))


def waited_for(owner: Owner, bundle: Bundle | None) -> Iterator[str]:
    """Yield what is missing of a certificate that another client hands over."""
    name = readable_name(owner.key)
    client = "another ACME client must obtain it and call `proxygen hook`"
    if bundle is None:
        yield f"{name} has no certificate yet, and uses the global one: {client}"
    elif bundle.stand_in:
        yield f"{name} has no certificate yet, and uses a self-signed stand-in: {client}"
    elif bundle.issuer != "hook":
        ends = f"{bundle.not_after:%Y-%m-%d}"
        kind = (
            "an adopted certificate"
            if bundle.issuer == ADOPTED
            else f"a certificate from {bundle.issuer}"
        )
        yield f"{name} uses {kind}, which expires on {ends}; for the next one, {client}"
    elif missing := [name for name in owner.names if not bundle.covers(name)]:
        names = ", ".join(map(readable_name, missing[:3])) + (" …" if len(missing) > 3 else "")
        yield (
            f"{name}: the certificate from `proxygen hook` does not cover {names}; have the client "
            "that obtains it add what is missing, and call `proxygen hook` again"
        )
