"""Compares what is wanted with what is observed, and returns the steps in order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime

from proxygen.failure import Failure
from proxygen.model.certificate import GLOBAL, Certificate
from proxygen.model.hosts import readable
from proxygen.model.site import Site
from proxygen.names.states import Names
from proxygen.plan.backoff import after_failures, purpose, waits
from proxygen.plan.observed import Installed, Observed, ServiceState, dotted
from proxygen.plan.rendering import Installation
from proxygen.plan.renewal import Reason
from proxygen.plan.selection import Selection, select, to_look_at
from proxygen.plan.steps import (
    Change,
    Forget,
    Install,
    Issue,
    Look,
    Plan,
    Reload,
    Step,
    Verify,
    Waiting,
)
from proxygen.services import Additions, Endpoint, ParameterFacts

SAMPLE = 200
"""How many unchanged names are verified besides the changed ones."""

SECOND = ".2"
"""What the name of a generation ends with that took the place of a damaged one."""

IN_THE_WAY = "in-the-way"
"""The reason to install anew what a service refuses."""

NEVER = datetime.min.replace(tzinfo=UTC)

LOCAL = frozenset({"file", "selfsigned"})
"""Issuers that ask nobody."""


def issues(
    site: Site,
    observed: Observed,
    now: datetime,
    tried: Collection[str] = (),
    forced: Collection[str] = (),
) -> tuple[tuple[Issue, ...], tuple[Waiting, ...]]:
    """Return the certificates of a site to obtain, and those that wait; see ``issues_of``."""
    return issues_of(site.certificates, observed, now, tried, forced)


def issues_of(
    certificates: Iterable[Certificate],
    observed: Observed,
    now: datetime,
    tried: Collection[str] = (),
    forced: Collection[str] = (),
) -> tuple[tuple[Issue, ...], tuple[Waiting, ...]]:
    """Return the certificates to obtain, those that need no authority first, and which wait.

    Those that wait are due, but a name that must be in them cannot be proven. *tried* are owners
    for whom this run tried already, *forced* those that a person asked for. What another ACME
    client hands over (``hook``) is not obtained.
    """
    due: list[Issue] = []
    waiting: list[Waiting] = []
    for wanted in certificates:
        if wanted.issuer == "hook" or wanted.owner in tried:
            continue
        if selection := selected(wanted, observed, now, hurry=wanted.owner in forced):
            if selection.wanted and selection.reason:
                without = selection.unanswered
                due.append(issue(wanted, selection.wanted, selection.reason, without))
            elif selection.until and selection.why:
                waiting.append(waits_for_names(wanted, selection, selection.until, selection.why))
    return tuple(sorted(due, key=lambda step: not is_local(step))), tuple(waiting)


def as_they_were(step: Issue, observed: Observed, now: datetime) -> Waiting | None:
    """Return the postponement for files that could not be used and did not change, else None.

    They are read again once they or their password change, or the pause after the failure is over:
    some become valid just by the calendar.
    """
    wanted = step.certificate
    attempt = observed.attempts.get(wanted.owner)
    until = waits(attempt, purpose(wanted), now)
    if wanted.file is None or attempt is None or until is None:
        return None
    if attempt.source != observed.marks.get(wanted.owner, ""):
        return None
    return Waiting(wanted, until, "failed", after_failures(attempt))


def waits_for_names(
    wanted: Certificate, selection: Selection, until: datetime, why: Failure
) -> Waiting:
    """Return the waiting of a certificate for names that cannot be proven."""
    name, silent, finding = selection.name, selection.silent, selection.finding
    return Waiting(wanted, until, "names", why, name=name, silent=silent, finding=finding)


def issue(
    wanted: Certificate, narrowed: Certificate, reason: Reason, unanswered: tuple[str, ...] = ()
) -> Issue:
    """Return the step that obtains a certificate, maybe without some of its names."""
    if narrowed is wanted:
        return Issue(wanted, reason)
    left_out = tuple(name for name in wanted.names if name not in narrowed.names)
    return Issue(narrowed, reason, left_out=left_out, unanswered=unanswered)


def selected(
    wanted: Certificate, observed: Observed, now: datetime, *, hurry: bool = False
) -> Selection | None:
    """Return the names to order, None while the stored certificate serves."""
    owner = wanted.owner
    bundle, source = observed.bundles.get(owner), observed.sources.get(owner, "")
    known = observed.names.get(owner, NOTHING)
    return select(wanted, bundle, source, known, now, hurry=hurry, answers=observed.answers)


NOTHING: Names = {}


def looks(
    certificates: Iterable[Certificate],
    observed: Observed,
    due: Collection[Issue],
    now: datetime,
) -> tuple[tuple[Certificate, str], ...]:
    """Return the names to check now, each with its certificate.

    *due* are the orders that are about to be placed.
    """
    ordered = {step.certificate.owner for step in due if not is_local(step)}
    found = [
        (wanted, name)
        for wanted in certificates
        if wanted.issuer == "acme" and (wanted.owner in ordered or wanted.owner in observed.names)
        for name in to_look_at(
            wanted, observed.names.get(wanted.owner, NOTHING), now, due=wanted.owner in ordered
        )
    ]
    return tuple(sorted(found, key=lambda asked: last_look(asked, observed)))


def last_look(asked: tuple[Certificate, str], observed: Observed) -> datetime:
    """Return when a name was last checked, as a sort key.

    The name that waited longest comes first, as a run may not have time for all.
    """
    wanted, name = asked
    known = observed.names.get(wanted.owner, NOTHING).get(name)
    return known.evidence.at if known and known.evidence else NEVER


def stand_in(site: Site, observed: Observed) -> Issue | None:
    """Return the step that makes a stand-in while there is no global certificate at all."""
    if GLOBAL in observed.bundles:
        return None
    reason = Reason(
        "stand-in",
        "services need a certificate until the first one is obtained",
    )
    return Issue(site.global_certificate, reason, stand_in=True)


def in_order(orders: Collection[Issue], look: Collection[Look]) -> tuple[Look | Issue, ...]:
    """Return checks of names among the orders: orders whose names are known well come first."""
    owners = {wanted.owner for each in look for wanted, _ in each.asked}
    known = [step for step in orders if step.certificate.owner not in owners]
    others = [step for step in orders if step.certificate.owner in owners]
    return (*known, *look, *others)


def is_local(step: Issue) -> bool:
    """Return whether a step needs no authority."""
    return step.stand_in or step.certificate.issuer in LOCAL


def changes_of(
    installation: Installation, state: ServiceState, *, reload: bool = False
) -> Iterator[Step]:
    """Yield the steps for one service; none if everything is in place.

    *reload*: it was seen to serve something else.
    """
    reason = why_install(installation, state)
    if reason is None:
        reload = reload and state.pid is not None
        if reload:
            yield Reload(installation.service)
        yield from looks_again(installation, state, all_of_it=reload)
        return
    yield Install(installation, reason, tuple(changes(installation, state)))
    yield Reload(installation.service)
    yield Verify(installation.service, to_verify(installation, state.installed))


def looks_again(
    installation: Installation, state: ServiceState, *, all_of_it: bool = False
) -> Iterator[Verify]:
    """Yield a probe of what is in place: of everything after a probe that saw something else.

    Otherwise of the places that were not probed yet, once the service runs.
    """
    installed, service = state.installed, installation.service
    if installed.unserved or all_of_it:
        reason = Reason("unserved", "the last probe saw something else than is wanted")
        yield Verify(service, in_turn(installation, installed), reason)
    elif installed.unasked and state.pid is not None:
        places = tuple(
            each for each in installation.endpoints if each.server_name in installed.unasked
        )
        yield Verify(service, places, Reason("unasked", "no run has probed these places yet"))


def in_turn(installation: Installation, installed: Installed) -> tuple[Endpoint, ...]:
    """Return all places: first those that were not probed yet, then those that were wrong."""
    asked = installed.unasked, installed.wrong_names
    return tuple(
        sorted(
            installation.endpoints,
            key=lambda each: [each.server_name not in names for names in asked],
        )
    )


def is_renewal(plan: Plan, observed: Observed) -> bool:
    """Return whether a plan obtains, installs or probes certificates, and not only other things.

    A certificate that a killed run obtained still has to be installed.
    """
    return any(
        (
            isinstance(step, Look | Issue | Forget | Verify)
            and not (isinstance(step, Verify) and step.service in installed_in(plan))
        )
        or (isinstance(step, Install) and brings(step, observed))
        for step in plan.steps
    )


def installed_in(plan: Plan) -> set[str]:
    """Return the services for which a plan installs something."""
    return {step.installation.service for step in plan.steps if isinstance(step, Install)}


def brings(step: Install, observed: Observed) -> bool:
    """Return whether an Install finishes an interrupted one, or changes a name's certificate.

    Also if it replaces something that keeps a service from starting, for instance after an upgrade.
    """
    if step.reason.code == IN_THE_WAY:
        return True
    before = observed.services[step.installation.service].installed
    after = step.installation.served
    return before.begun or any(
        after.get(name, mark) != mark for name, mark in before.served.items()
    )


def why_install(installation: Installation, state: ServiceState) -> Reason | None:
    """Return the first reason to install, None if everything is in place."""
    installed = state.installed
    if state.refusal:
        return Reason(IN_THE_WAY, state.in_the_way)
    if installed.generation is None:
        return Reason("first", "not yet set up by proxygen")
    if installed.begun:
        return Reason("interrupted", "an earlier run was interrupted")
    if damaged(installation, installed):
        return Reason("changed", words_for(installation, state))
    if installation.pointer and installed.pointer != installation.pointer_text:
        return Reason("pointer", f"somebody else changed {installation.pointer.path}")
    if parameters_changed(installation, state):
        return Reason("parameters", "somebody else changed parameters")
    return None


def damaged(installation: Installation, installed: Installed) -> bool:
    """Return whether anything installed differs from what is wanted."""
    return (
        (installed.generation or "").removesuffix(SECOND) != installation.id
        or installed.files != installation.files
        or installed.links != installation.links
        or installed.manifest != installation.manifest
        or not installation.certificates.keys() <= installed.readable(installation.readers)
        or any(each and each.digest not in installed.additions for each in added(installation))
    )


def added(installation: Installation) -> Collection[Additions | None]:
    """Return the administrator's directives that are included."""
    return installation.additions.values()


def words_for(installation: Installation, state: ServiceState) -> str:
    """Return in words what differs."""
    before, after = state.installed.served, installation.served
    told = [
        f"{what} {len(names)}"
        if len(names) > 3
        else f"{what} {', '.join(map(readable, sorted(names)))}"
        for what, names in (
            ("added names:", after.keys() - before.keys()),
            ("removed names:", before.keys() - after.keys()),
            (
                "new certificate for",
                {name for name in after.keys() & before.keys() if after[name] != before[name]},
            ),
        )
        if names
    ]
    before_it, now = state.installed.written_for, installation.version
    if not told and before_it and before_it != now:
        name = installation.service
        return (
            f"it was written for {name} {dotted(before_it)}, and {name} {dotted(now)} is installed"
        )
    return "; ".join(told) or "its configuration differs"


def parameters_changed(installation: Installation, state: ServiceState) -> list[str]:
    """Return the parameters whose value is not the wanted one."""
    present = state.facts.parameters if isinstance(state.facts, ParameterFacts) else {}
    return [name for name, value in installation.parameters.items() if present.get(name) != value]


def changes(installation: Installation, state: ServiceState) -> Iterator[Change]:
    """Yield the changes that an administrator would see: files, links and parameters."""
    installed, folder = state.installed, installation.live.current
    for name in sorted(installation.files.keys() | installed.files.keys()):
        before, after = installed.files.get(name), installation.files.get(name)
        if before != after:
            yield Change(str(folder / name), before, after)
    for name in sorted(installation.links.keys() | installed.links.keys()):
        before, after = installed.links.get(name), installation.links.get(name)
        if before != after:
            yield Change(str(folder / name), link_to(before), link_to(after))
    if installation.pointer and installed.pointer != installation.pointer_text:
        path = str(installation.pointer.path)
        yield Change(path, installed.pointer, installation.pointer_text)
    yield from changed_parameters(installation, state)


def link_to(target: str | None) -> str | None:
    """Return how a diff shows a link."""
    return None if target is None else f"link to {target}"


def changed_parameters(installation: Installation, state: ServiceState) -> Iterator[Change]:
    """Yield the change of the service's own parameters, as one file."""
    names = parameters_changed(installation, state)
    if names and isinstance(state.facts, ParameterFacts):
        present = state.facts.parameters
        before = "\n".join(f"{name} = {present[name]}" for name in names if name in present)
        after = "\n".join(f"{name} = {installation.parameters[name]}" for name in names)
        yield Change(str(state.facts.main), before, after)


def to_verify(installation: Installation, installed: Installed) -> tuple[Endpoint, ...]:
    """Return the endpoints to probe: every changed name, and a sample of the others.

    All of them after an interrupted run, which may have probed none, and after a probe that saw
    something else. A name that was not probed counts as changed.
    """
    if installed.begun or installed.unserved:
        return in_turn(installation, installed)
    before = installed.served
    changed: list[Endpoint] = []
    same: list[Endpoint] = []
    for each in installation.endpoints:
        served = each.bundle.fingerprint[:16] if each.bundle else None
        known = each.server_name not in installed.unasked
        (same if known and before.get(each.server_name) == served else changed).append(each)
    return (*changed, *same[:SAMPLE])


def forgotten(site: Site, observed: Observed, now: datetime) -> Iterator[Forget]:
    """Yield the stored bundles that have ended and that the model does not want."""
    wanted = {certificate.owner for certificate in site.certificates}
    for owner, bundle in observed.bundles.items():
        if owner not in wanted and bundle.not_after < now:
            yield Forget(bundle, Reason("gone", "it has ended, and the model has no use for it"))
