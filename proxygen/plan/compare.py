"""Compares what is wanted with what is observed, and returns the steps in order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime

from proxygen.failure import Failure
from proxygen.model.certificate import GLOBAL, Certificate
from proxygen.model.hosts import readable_name
from proxygen.model.site import Site
from proxygen.names.states import NameStates
from proxygen.plan.backoff import after_failures, order_purpose, postponed_until
from proxygen.plan.observed import Installed, Observed, ServiceState, dotted_version
from proxygen.plan.rendering import Rendering, mark_of
from proxygen.plan.renewal import Reason, with_kept_type
from proxygen.plan.selection import Selection, names_due_for_check, select_names
from proxygen.plan.steps import (
    Change,
    CheckNames,
    Forget,
    Install,
    Issue,
    Plan,
    PostponedOrder,
    Reload,
    Step,
    Verify,
)
from proxygen.services import Additions, Endpoint, ParameterFacts

SAMPLE = 200
"""How many unchanged names are verified besides the changed ones."""

SECOND = ".2"
"""What the name of a generation ends with that took the place of a damaged one."""

IN_THE_WAY = "in-the-way"
"""The reason to install anew what a service refuses."""

NEVER = datetime.min.replace(tzinfo=UTC)

SERVES_OTHERWISE = Reason(
    "serves-otherwise", "clients get something else than its files say, which are right"
)
"""The reason to reload a service of which no file changes."""

LOCAL = frozenset({"file", "selfsigned"})
"""Issuers that ask nobody."""


def due_issues(
    site: Site,
    observed: Observed,
    now: datetime,
    tried: Collection[str] = (),
    forced: Collection[str] = (),
) -> tuple[tuple[Issue, ...], tuple[PostponedOrder, ...]]:
    """Return the certificates of a site to obtain, and those that wait; see ``issues_of``."""
    return issues_of(site.certificates, observed, now, tried, forced)


def issues_of(
    certificates: Iterable[Certificate],
    observed: Observed,
    now: datetime,
    tried: Collection[str] = (),
    forced: Collection[str] = (),
) -> tuple[tuple[Issue, ...], tuple[PostponedOrder, ...]]:
    """Return the certificates to obtain, those that need no authority first, and which wait.

    Those that wait are due, but a name that must be in them cannot be proven. *tried* are owners
    for whom this run tried already, *forced* those that a person asked for. What another ACME
    client hands over (``hook``) is not obtained.
    """
    due: list[Issue] = []
    waiting: list[PostponedOrder] = []
    for asked in certificates:
        wanted = with_kept_type(asked, observed.bundles.get(asked.owner))
        if wanted.issuer == "hook" or wanted.owner in tried:
            continue
        if selection := selection_of(wanted, observed, now, hurry=wanted.owner in forced):
            if selection.wanted and selection.reason:
                without = selection.unanswered
                due.append(issue_step(wanted, selection.wanted, selection.reason, without))
            elif selection.until and selection.why:
                waiting.append(waits_for_names(wanted, selection, selection.until, selection.why))
    return tuple(sorted(due, key=lambda step: not is_local(step))), tuple(waiting)


def as_they_were(step: Issue, observed: Observed, now: datetime) -> PostponedOrder | None:
    """Return the postponement for files that could not be used and did not change, else None.

    They are read again once they or their password change, or the pause after the failure is over:
    some become valid just by the calendar.
    """
    wanted = step.certificate
    last_failure = observed.failures.get(wanted.owner)
    until = postponed_until(last_failure, order_purpose(wanted), now)
    if wanted.file is None or last_failure is None or until is None:
        return None
    if last_failure.source != observed.marks.get(wanted.owner, ""):
        return None
    return PostponedOrder(wanted, until, "failed", after_failures(last_failure))


def waits_for_names(
    wanted: Certificate, selection: Selection, until: datetime, why: Failure
) -> PostponedOrder:
    """Return the waiting of a certificate for names that cannot be proven."""
    name, silent, finding = selection.name, selection.silent, selection.finding
    return PostponedOrder(wanted, until, "names", why, name=name, silent=silent, finding=finding)


def issue_step(
    wanted: Certificate, narrowed: Certificate, reason: Reason, unanswered: tuple[str, ...] = ()
) -> Issue:
    """Return the step that obtains a certificate, maybe without some of its names."""
    if narrowed is wanted:
        return Issue(wanted, reason)
    left_out = tuple(name for name in wanted.names if name not in narrowed.names)
    return Issue(narrowed, reason, left_out=left_out, unanswered=unanswered)


def selection_of(
    wanted: Certificate, observed: Observed, now: datetime, *, hurry: bool = False
) -> Selection | None:
    """Return the names to order, None while the stored certificate serves."""
    owner = wanted.owner
    bundle, source = observed.bundles.get(owner), observed.sources.get(owner, "")
    known = observed.names.get(owner, NOTHING)
    return select_names(wanted, bundle, source, known, now, hurry=hurry, answers=observed.answers)


NOTHING: NameStates = {}


def names_to_check(
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
        for name in names_due_for_check(
            wanted, observed.names.get(wanted.owner, NOTHING), now, due=wanted.owner in ordered
        )
    ]
    return tuple(sorted(found, key=lambda asked: last_check(asked, observed)))


def last_check(asked: tuple[Certificate, str], observed: Observed) -> datetime:
    """Return when a name was last checked, as a sort key.

    The name that waited longest comes first, as a run may not have time for all.
    """
    wanted, name = asked
    name_state = observed.names.get(wanted.owner, NOTHING).get(name)
    return name_state.evidence.at if name_state and name_state.evidence else NEVER


def stand_in(site: Site, observed: Observed) -> Issue | None:
    """Return the step that makes a stand-in while there is no global certificate at all."""
    if GLOBAL in observed.bundles:
        return None
    reason = Reason(
        "stand-in",
        "services need a certificate until the first one is obtained",
    )
    return Issue(site.global_certificate, reason, stand_in=True)


def in_order(
    orders: Collection[Issue], look: Collection[CheckNames]
) -> tuple[CheckNames | Issue, ...]:
    """Return checks of names among the orders: orders whose names are known well come first."""
    owners = {wanted.owner for each in look for wanted, _ in each.asked}
    known = [step for step in orders if step.certificate.owner not in owners]
    others = [step for step in orders if step.certificate.owner in owners]
    return (*known, *look, *others)


def is_local(step: Issue) -> bool:
    """Return whether a step needs no authority."""
    return step.stand_in or step.certificate.issuer in LOCAL


def changes_of(
    rendering: Rendering, state: ServiceState, *, reload: bool = False
) -> Iterator[Step]:
    """Yield the steps for one service; none if everything is in place.

    *reload*: it was seen to serve something else.
    """
    reason = why_install(rendering, state)
    if reason is None:
        reload = reload and state.pid is not None
        if reload:
            yield Reload(rendering.service, SERVES_OTHERWISE)
        yield from verify_again(rendering, state, all_of_it=reload)
        return
    yield Install(rendering, reason, tuple(visible_changes(rendering, state)))
    yield Reload(rendering.service)
    places = state.settings.verified(rendering.endpoints)
    yield Verify(rendering.service, to_verify(places, state.installed))


def reloaded_again(service: str) -> str:
    """Return what is said of a service that was reloaded although no file changed."""
    return str(Reload(service, SERVES_OTHERWISE))


def verify_again(
    rendering: Rendering, state: ServiceState, *, all_of_it: bool = False
) -> Iterator[Verify]:
    """Yield a probe of what is in place: of everything after a probe that saw something else.

    Otherwise of the places that were not probed yet, once the service runs.
    """
    installed, service = state.installed, rendering.service
    places = state.settings.verified(rendering.endpoints)
    if installed.unserved or all_of_it:
        reason = Reason("unserved", "the last probe saw something else than is wanted")
        yield Verify(service, in_turn(places, installed), reason)
    elif installed.unasked and state.pid is not None:
        left = tuple(each for each in places if each.server_name in installed.unasked)
        yield Verify(service, left, Reason("unasked", "no run has probed these places yet"))


def in_turn(places: tuple[Endpoint, ...], installed: Installed) -> tuple[Endpoint, ...]:
    """Return all *places*: first those that were not probed yet, then those that were wrong."""
    asked = installed.unasked, installed.wrong_names
    return tuple(
        sorted(
            places,
            key=lambda each: [each.server_name not in names for names in asked],
        )
    )


def is_renewal(plan: Plan, observed: Observed) -> bool:
    """Return whether a plan obtains, installs or probes certificates, and not only other things.

    A certificate that a killed run obtained still has to be installed.
    """
    return any(
        (
            isinstance(step, CheckNames | Issue | Forget | Verify)
            and not (isinstance(step, Verify) and step.service in installed_in(plan))
        )
        or (isinstance(step, Install) and finishes_or_changes(step, observed))
        for step in plan.steps
    )


def installed_in(plan: Plan) -> set[str]:
    """Return the services for which a plan installs something."""
    return {step.rendering.service for step in plan.steps if isinstance(step, Install)}


def finishes_or_changes(step: Install, observed: Observed) -> bool:
    """Return whether an Install finishes an interrupted one, or changes a name's certificate.

    Also if it replaces something that keeps a service from starting, for instance after an upgrade.
    """
    if step.reason.code == IN_THE_WAY:
        return True
    before = observed.services[step.rendering.service].installed
    after = step.rendering.served
    return before.begun or any(
        after.get(name, mark) != mark for name, mark in before.served.items()
    )


def why_install(rendering: Rendering, state: ServiceState) -> Reason | None:
    """Return the first reason to install, None if everything is in place."""
    installed = state.installed
    if state.refusal:
        return Reason(IN_THE_WAY, state.in_the_way)
    if installed.generation is None:
        return Reason("first", "not yet set up by proxygen")
    if installed.begun:
        return Reason("interrupted", "an earlier run was interrupted")
    if is_damaged(rendering, installed):
        return Reason("changed", words_for(rendering, state))
    if rendering.pointer and installed.pointer != rendering.pointer_text:
        return Reason("pointer", f"somebody else changed {rendering.pointer.path}")
    if parameters_changed(rendering, state):
        return Reason("parameters", "somebody else changed parameters")
    return None


def is_damaged(rendering: Rendering, installed: Installed) -> bool:
    """Return whether anything installed differs from what is wanted."""
    return (
        (installed.generation or "").removesuffix(SECOND) != rendering.id
        or installed.files != rendering.files
        or installed.links != rendering.links
        or installed.manifest != rendering.manifest
        or not rendering.certificates.keys() <= installed.readable(rendering.readers)
        or any(
            each and each.digest not in installed.additions
            for each in included_additions(rendering)
        )
    )


def included_additions(rendering: Rendering) -> Collection[Additions | None]:
    """Return the administrator's directives that are included."""
    return rendering.additions.values()


def words_for(rendering: Rendering, state: ServiceState) -> str:
    """Return in words what differs."""
    before, after = state.installed.served, rendering.served
    told = [
        f"{what} {len(names)}"
        if len(names) > 3
        else f"{what} {', '.join(map(readable_name, sorted(names)))}"
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
    before_it, now = state.installed.written_for, rendering.version
    if not told and before_it and before_it != now:
        name = rendering.service
        return (
            f"it was written for {name} {dotted_version(before_it)}, and {name} "
            f"{dotted_version(now)} is installed"
        )
    return "; ".join(told) or "its configuration differs"


def parameters_changed(rendering: Rendering, state: ServiceState) -> list[str]:
    """Return the parameters whose value is not the wanted one."""
    present = state.facts.parameters if isinstance(state.facts, ParameterFacts) else {}
    return [name for name, value in rendering.parameters.items() if present.get(name) != value]


def visible_changes(rendering: Rendering, state: ServiceState) -> Iterator[Change]:
    """Yield the changes that an administrator would see: files, links and parameters."""
    installed, folder = state.installed, rendering.live.current
    for name in sorted(rendering.files.keys() | installed.files.keys()):
        before, after = installed.files.get(name), rendering.files.get(name)
        if before != after:
            yield Change(str(folder / name), before, after)
    for name in sorted(rendering.links.keys() | installed.links.keys()):
        before, after = installed.links.get(name), rendering.links.get(name)
        if before != after:
            yield Change(str(folder / name), link_to(before), link_to(after))
    if rendering.pointer and installed.pointer != rendering.pointer_text:
        path = str(rendering.pointer.path)
        yield Change(path, installed.pointer, rendering.pointer_text)
    yield from changed_parameters(rendering, state)


def link_to(target: str | None) -> str | None:
    """Return how a diff shows a link."""
    return None if target is None else f"link to {target}"


def changed_parameters(rendering: Rendering, state: ServiceState) -> Iterator[Change]:
    """Yield the change of the service's own parameters, as one file."""
    names = parameters_changed(rendering, state)
    if names and isinstance(state.facts, ParameterFacts):
        present = state.facts.parameters
        before = "\n".join(f"{name} = {present[name]}" for name in names if name in present)
        after = "\n".join(f"{name} = {rendering.parameters[name]}" for name in names)
        yield Change(str(state.facts.main), before, after)


def to_verify(places: tuple[Endpoint, ...], installed: Installed) -> tuple[Endpoint, ...]:
    """Return which of the *places* to probe: every changed name, and a sample of the others.

    All of them after an interrupted run, which may have probed none, and after a probe that saw
    something else. A name that was not probed counts as changed.
    """
    if installed.begun or installed.unserved:
        return in_turn(places, installed)
    before = installed.served
    changed: list[Endpoint] = []
    same: list[Endpoint] = []
    for each in places:
        served = mark_of(each.shown) if each.shown else None
        known = each.server_name not in installed.unasked
        (same if known and before.get(each.server_name) == served else changed).append(each)
    return (*changed, *same[:SAMPLE])


def bundles_to_forget(site: Site, observed: Observed, now: datetime) -> Iterator[Forget]:
    """Yield the stored bundles that have ended and that the model does not want."""
    wanted = {certificate.owner for certificate in site.certificates}
    for owner, bundle in observed.bundles.items():
        if owner not in wanted and bundle.not_after < now:
            yield Forget(bundle, Reason("gone", "it has ended, and the model has no use for it"))
