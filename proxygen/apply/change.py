"""One change of a service: from what serves to what is wanted, or back; never in between.

Until a client was seen to get what is wanted, ``begun`` exists in the service's folder: the next
run finishes what a killed one began.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from proxygen.apply.comparison import (
    UNKNOWN,
    Baseline,
    as_before,
    may_pass,
    our_doing,
    seen_before,
    worse_places,
)
from proxygen.apply.old_clients import served_before
from proxygen.apply.outcome import Progress
from proxygen.apply.probe import Patience, Probed, ProbeOutcome, WrongEndpoints, probe_endpoints
from proxygen.apply.service import LiveService, SwitchTarget
from proxygen.errors import IssueFailed, NotServed, ServiceError
from proxygen.failure import Failure, Scope, failure
from proxygen.host import files
from proxygen.model.x509 import identity_of
from proxygen.plan.steps import Verify
from proxygen.services import Endpoint

QUIET = 15.0
"""Seconds without a right answer after which a reloaded service has had its time."""
MOST_TOLD = 20
"""Places that are reported one by one."""
MOST = 300.0
"""Seconds after which the next run probes the rest; 10,000 places take 20 to 60."""


def switch_to(
    service: LiveService,
    target: SwitchTarget,
    endpoints: tuple[Endpoint, ...],
    progress: Progress,
    before: str | None,
) -> None:
    """Check *target*, switch to it, reload and probe; put back what served if that fails.

    Each place is compared with itself before the change: what was so before is not our doing.
    *before* is the generation that served before this run, to which `rollback` leads. Where
    *progress* tells to leave, the next run probes the rest. Raise CheckFailed if the service
    refuses the configuration (nothing was switched), ServiceError if the former files were put
    back, NotServed if *target* is in place but clients see something else for a reason that is not
    ours.
    """
    files.folder(service.live.folder, 0o711)
    service.check(target)
    service.note_settings()
    former = what_served(service, endpoints, progress)
    known = service.state.pid is not None and not service.state.installed.begun
    could = served_before(endpoints, former, progress.leave) if known else ()
    begun = service.live.folder / "begun"
    files.write(begun, json.dumps({"former": service.former}).encode())
    try:
        service.switch(target)
        if service.state.pid is not None:
            progress.say(f"reload {service.name}")
        service.reload()
        found = verify_endpoints(service, (*endpoints, *could), progress, former)
    except (ServiceError, OSError) as error:
        met = why_not_changed(service.name, error)
        try:
            code = "taken-back" if undo_switch(service, begun) else "new-files-stay"
        except (ServiceError, OSError) as second:
            more = why_not_changed(service.name, second)
            raise ServiceError(consisting_of("not-taken-back", service.name, met, more)) from error
        raise ServiceError(consisting_of(code, service.name, met)) from error
    if found.wrong:
        patience = patience_of(progress, former)
        found = replace(found, wrong=find_blame(service, target, found.wrong, former, patience))
    if target.generation not in (None, before):
        service.generations.note_former(before)
    files.remove(begun)
    service.generations.purge()
    note_outcome(service, found)


@contextmanager
def as_service_error(name: str) -> Iterator[None]:
    """Raise what the system refuses within a block as a ServiceError of that service."""
    try:
        yield
    except OSError as error:
        raise ServiceError(failure("not-set-up", Scope.SERVICE, name, words=error)) from error


def probe_again(service: LiveService, endpoints: tuple[Endpoint, ...], progress: Progress) -> None:
    """Probe a service again; raise NotServed while clients do not see what is wanted."""
    note_outcome(service, verify_endpoints(service, endpoints, progress))


def note_outcome(service: LiveService, found: ProbeOutcome) -> None:
    """Note whether everything is served, and what was not probed; raise NotServed if not.

    A place that was wrong before, and was not probed now, stays noted as wrong.
    """
    former = service.state.installed
    if service.state.pid is None:
        if not former.unserved:
            service.note_unserved(())
        raise not_running(service.name)
    unasked = {endpoint.server_name for endpoint in found.unasked}
    service.note_unasked(unasked)
    if found.wrong:
        wrong = {endpoint.server_name for endpoint, _ in found.wrong}
        service.note_unserved(wrong | former.wrong_names & unasked)
        raise not_served(service.name, found)
    if former.unserved and former.wrong_names & unasked:
        service.note_unserved(former.wrong_names & unasked)
    else:
        service.note_served()


def what_served(
    service: LiveService, endpoints: tuple[Endpoint, ...], progress: Progress
) -> Baseline:
    """Return what clients of a running service see before it is changed.

    Nothing is known if a killed run began to change it: what serves may be its doing.
    """
    if service.state.pid is None or service.state.installed.begun:
        return UNKNOWN
    return seen_before(endpoints, progress.leave)


def verify_endpoints(
    service: LiveService,
    endpoints: tuple[Endpoint, ...],
    progress: Progress,
    before: Baseline = UNKNOWN,
) -> ProbeOutcome:
    """Return the endpoints at which clients see something wrong, and those not probed."""
    if service.state.pid is None or not endpoints:
        return ProbeOutcome()
    usual = tuple(each for each in endpoints if not each.client)
    progress.say(str(Verify(service.name, usual)))
    return probe_endpoints(endpoints, patience_of(progress, before))


def patience_of(progress: Progress, before: Baseline) -> Patience:
    """Return the patience with a service that was just reloaded: that of each place before."""
    return Patience(QUIET, MOST, progress.leave, count=progress.count, timeout_of=before.timeout_of)


def why_not_changed(name: str, error: ServiceError | OSError) -> Failure:
    """Return why a change failed."""
    if isinstance(error, ServiceError):
        return error.failure
    return failure("not-changed", Scope.SERVICE, name, words=error)


def consisting_of(code: str, name: str, *parts: Failure) -> Failure:
    """Return the failure of a change: what happened, and what became of the former files."""
    words = "\n".join(dict.fromkeys(each.words for each in parts if each.words))
    return failure(code, Scope.SERVICE, name, where=parts[0].where, words=words, parts=parts)


def undo_switch(service: LiveService, begun: Path) -> bool:
    """Put back the former files and reload; return False if the service would refuse them.

    Then the new files, which it accepted, stay: with the former ones it would not start.
    """
    if not service.put_back():
        return False
    service.reload()
    files.remove(begun)
    return True


def find_blame(
    service: LiveService,
    target: SwitchTarget,
    wrong: WrongEndpoints,
    before: Baseline,
    patience: Patience,
) -> WrongEndpoints:
    """Find out whether the change is the reason for what clients see; put it back if so.

    An endpoint that was no better before the change, or shows the same with the former files, is
    not ours to repair: it refuses this host, another program has the port, or another file
    overrides ours. Then the new files serve, since they harm nobody; return what is still wrong
    with them. So they do if the service would refuse the former ones.
    """
    worse = worse_places(before, wrong)
    wrong = as_before(wrong, worse)
    if not worse or not service.put_back():
        return wrong
    service.reload()
    ours = our_doing(worse, patience)
    if not ours or may_pass(ours) == ours:
        service.switch(target)
        service.reload()
        wrong = as_before(probe_endpoints(dict(wrong), patience).wrong, ours) if ours else wrong
        ours = tuple((each, seen) for each, seen in wrong if each in dict(ours))
        if not ours:
            return wrong
        service.put_back()
        service.reload()
    files.remove(service.live.folder / "begun")
    seen = seen_instead(ProbeOutcome(ours))
    raise ServiceError(failure("serves-otherwise", Scope.SERVICE, service.name, parts=seen))


def not_running(name: str) -> NotServed:
    """Return the error for a service that does not run."""
    return NotServed(failure("not-running", Scope.SERVICE, name))


def not_served(name: str, found: ProbeOutcome) -> NotServed:
    """Return the error with what clients see instead."""
    unasked = len(found.unasked)
    return NotServed(
        failure(
            "not-served-nor-asked" if unasked else "not-served",
            Scope.SERVICE,
            name,
            parts=seen_instead(found),
            places=len(found.wrong),
            unasked=unasked,
        )
    )


def seen_instead(found: ProbeOutcome) -> tuple[Failure, ...]:
    """Return what a client met at each of the first MOST_TOLD places, or which leaf it saw."""
    first, more = found.wrong[:MOST_TOLD], len(found.wrong) - MOST_TOLD
    told = tuple(at_place(place, seen) for place, seen in first)
    return (*told, failure("more-places", Scope.SERVICE, number=more)) if more > 0 else told


def at_place(place: Endpoint, seen: Probed) -> Failure:
    """Return what a client met at a place, or which certificate it saw instead."""
    of, wanted = str(place), place.bundle
    if seen.met and place.client:
        kinds = " + ".join(each.algorithm.upper() for each in place.bundles)
        return failure("place-lost", Scope.SERVICE, of, parts=(seen.met,), kinds=kinds)
    if seen.met:
        code = "place-met-as-before" if seen.as_before else "place-met"
        return failure(code, Scope.SERVICE, of, parts=(seen.met,))
    try:
        shown = identity_of(seen.leaf)
    except IssueFailed:
        leaf = seen.fingerprint or ""
        return failure("place-shows-unreadable", Scope.SERVICE, of, fingerprint=leaf)
    if wanted is None:
        return Failure("place-shows-any", Scope.SERVICE, of, tuple(shown.items()))
    facts = shown | {
        "wanted": next(iter(wanted.names), wanted.owner),
        "wanted_issuer": wanted.issued_by or "?",
        "wanted_end": f"{wanted.not_after:%Y-%m-%d %H:%M} UTC",
    }
    return Failure("place-shows", Scope.SERVICE, of, tuple(facts.items()))
