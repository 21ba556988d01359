"""Removes proxygen's part from one service, whether or not the service agrees, or is installed.

It is refused in one case: the service accepts its configuration with our part and would not without
it, as something of the administrator's uses ours. A configuration that it refuses anyway is not
made worse.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from proxygen.apply.service import LiveService
from proxygen.assemble import Installation
from proxygen.errors import CheckFailed, ServiceError
from proxygen.failure import failure_words
from proxygen.host import files, processes
from proxygen.host.own_part import own_part
from proxygen.observe.installed import manifest_of
from proxygen.observe.services import former_parameters, program_of
from proxygen.plan.observed import ServiceState
from proxygen.services.service_kind import Service
from proxygen.stores import challenge_answers


def remove_own_part(state: ServiceState, installation: Installation) -> tuple[str, ...]:
    """Remove our part from a service, and what it read of ours; return the warnings.

    The service's own configuration comes first, by one rename or removal, so that a run that is
    killed leaves one or the other; the next one finishes it. Raise CheckFailed if that would do
    harm.
    """
    service, layout = installation.services[state.name], installation.layout
    part = own_part(
        service, state.settings, layout, former_parameters(installation.own, state.name)
    )
    live = layout.live(state.name)
    files.folder(live.folder, 0o711)
    late = bool(manifest_of(live.current).get("readers")) and may_run(state, service)
    told = tuple(objections_to_reload(state, installation))
    part.take_out()
    with suppress(OSError):  # a later deployment forgets it
        challenge_answers.note_answers(installation.own, state.name, None)
    told = told or tuple(reload_service(state, installation))
    if used := part.leading_to_us():
        return (*told, staying_folder(state.name, used, live.folder))
    if told and late:
        return (*told, still_read(state.name, live.folder))
    files.remove(live.current)
    files.remove(live.folder)
    return told


def objections_to_reload(state: ServiceState, installation: Installation) -> Iterator[str]:
    """Yield why a service is not reloaded: it refuses its configuration, or cannot be asked.

    Raise CheckFailed if it refuses only the configuration without our part.
    """
    if state.facts is None:
        yield not_asked(state)
        return
    live = LiveService(state, installation)
    words = live.refusal_without_ours()
    if words is None:
        return
    if live.asked(live.facts.main) is None:
        raise CheckFailed(live.failure("needs-ours", words))
    yield (
        f"{state.name} was not reloaded: it refuses its configuration even without proxygen's part;"
        f" correct what it names, then reload it: {words}"
    )


def reload_service(state: ServiceState, installation: Installation) -> Iterator[str]:
    """Reload a service that runs; yield why it did not reload."""
    if state.facts is None or state.pid is None:
        return
    try:
        LiveService(state, installation).reload()
    except ServiceError as error:
        text = failure_words(error.failure)
        words = f": {text.words}" if text.words else ""
        yield f"{text.what}; proxygen's part is removed from its configuration, so reload it{words}"


def may_run(state: ServiceState, service: Service) -> bool:
    """Return whether a service may run, also if its program was uninstalled meanwhile."""
    there = program_of(service, state.settings) is not None
    return there or processes.runs_removed_program((service.kind, *service.programs))


def not_asked(state: ServiceState) -> str:
    """Return the warning about a service that could not be asked."""
    text = failure_words(state.error.failure) if state.error else None
    why = ": ".join(filter(None, (text.what, text.words))) if text else ""
    return f"{state.name} neither checked its configuration nor was reloaded: {why}"


def staying_folder(name: str, used: list[Path], folder: Path) -> str:
    """Return the warning about a folder of ours that the administrator's files name."""
    where = ", ".join(map(str, used))
    return (
        f"{folder} was kept, as {where} names files in it; remove that, then run"
        f" `proxygen uninstall {name}` again"
    )


def still_read(name: str, folder: Path) -> str:
    """Return the warning about certificates that a service opens at each handshake."""
    return (
        f"{folder} was kept, as the running {name} may still open certificates in"
        f" it; reload {name},"
        f" then run `proxygen uninstall {name}` again"
    )
