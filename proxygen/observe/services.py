"""Observes services: their facts, and what they have installed."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ValidationError

from proxygen.assemble import Installation
from proxygen.errors import ServiceError, ServiceUnreadable
from proxygen.failure import Scope, failure
from proxygen.host import files, processes, staging
from proxygen.host.additions import read_additions, with_included
from proxygen.host.addresses import HostAddresses
from proxygen.host.own_part import OwnPart, own_part
from proxygen.model.certificate import Bundle
from proxygen.model.layout import Layout, Live
from proxygen.model.site import Site
from proxygen.observe.answers import answer_questions
from proxygen.observe.installed import SETTINGS, last_probe, read_installed, refusal_noted
from proxygen.plan.culprits import facts_without, may_leave_out, parts_of
from proxygen.plan.left_out import LeftOut, PartKind
from proxygen.plan.observed import ServiceState
from proxygen.plan.rendering import addresses_in
from proxygen.services import (
    Additions,
    Answer,
    Facts,
    FileOrder,
    Question,
    Reading,
    ServiceSettings,
    WebFacts,
    additions_of,
)
from proxygen.services.cipher_lists import CipherList
from proxygen.services.service_kind import Service, its_own
from proxygen.stores import Store
from proxygen.stores.value import StoredValue

NO_HOSTS: Mapping[str, HostAddresses] = {}


def service_states(
    site: Site, installation: Installation, hosts: Mapping[str, HostAddresses] = NO_HOSTS
) -> list[tuple[str, ServiceState]]:
    """Return the state of each service that the model names, or that is found on this host.

    *hosts* are the names of upstream servers with their addresses.
    """
    named = wanted_services(site, installation.services)
    if not named:
        return []
    with ThreadPoolExecutor(len(named)) as pool:
        found = pool.map(lambda name: service_state(name, named[name], installation, hosts), named)
        return list(told_apart(list(zip(named, found, strict=True))))


def told_apart(
    found: list[tuple[str, ServiceState]],
) -> Iterator[tuple[str, ServiceState]]:
    """Yield the states; one that is the same service as one before it has an error.

    The model cannot tell that one folder is a link to another, or who writes which process id.
    """
    known: dict[tuple[str, Path], str] = {}
    for name, state in found:
        of = (
            [each for each in (state.facts.main, state.facts.pid_file) if each]
            if state.facts
            else []
        )
        kind = type(state.facts).__name__
        marks = [(kind, each.resolve()) for each in of]
        other = next((known[each] for each in marks if each in known), "")
        if other:
            where = next(each for each in of if known.get((kind, each.resolve())))
            same = failure("service-same", Scope.SERVICE, name, other=other, place=str(where))
            state = ServiceState(name, state.settings, error=ServiceError(same))
        known |= dict.fromkeys(marks, name)
        yield name, state


def set_up(installation: Installation) -> dict[str, ServiceState]:
    """Return the state of every service that has something of ours, whatever the model says.

    No service has to answer, or to exist.
    """
    found: dict[str, ServiceState] = {}
    for name, service in installation.services.items():
        live = installation.layout.live(name)
        settings = settings_of(service, live)
        own = own_part(
            service, settings, installation.layout, former_parameters(installation.own, name)
        )
        if live.folder.is_dir() or is_ours(own):
            found[name] = service_state(name, settings, installation)
    return found


def former_parameters(own: Store, service: str) -> StoredValue:
    """Return what is noted of a service's parameters, as they were and as they are, on a host."""
    return StoredValue(own, f"former/{service}")


def is_ours(own: OwnPart) -> bool:
    """Return whether anything of ours is in a configuration; no, if it cannot be read."""
    try:
        return own.is_there()
    except OSError:
        return False


def is_gone(name: str, installation: Installation) -> bool:
    """Return whether a service that was set up is no longer on this host."""
    service, live = installation.services[name], installation.layout.live(name)
    return program_of(service, settings_of(service, live)) is None


def program_of(service: Service, settings: ServiceSettings) -> str | None:
    """Return the path of a service's program, None if it is not on this host."""
    usual = (service.kind, *service.programs)
    return processes.find_program((settings.program,) if settings.program else usual)


def settings_of(service: Service, live: Live) -> ServiceSettings:
    """Return the settings with which a service was set up."""
    kind = service.settings_type
    try:
        return kind.model_validate_json(files.read(live.folder / SETTINGS) or b"{}")
    except ValidationError:
        return kind()


def wanted_services(site: Site, known: Mapping[str, Service]) -> dict[str, ServiceSettings]:
    """Return the settings of the services to work with, by name.

    Where the model names none, it is one of each kind that is found.
    """
    if site.services is not None:
        return {name: chosen_settings(known[name], given) for name, given in site.services.items()}
    return {
        name: service.settings_type()
        for name, service in known.items()
        if name == service.kind and processes.find_program((name, *service.programs))
    }


def chosen_settings(service: Service, given: BaseModel | None) -> ServiceSettings:
    """Return the settings of a service in the model, the defaults if it has none."""
    kind = service.settings_type
    return kind() if given is None else its_own(kind, given)


def service_state(
    name: str,
    settings: ServiceSettings,
    installation: Installation,
    hosts: Mapping[str, HostAddresses] = NO_HOSTS,
) -> ServiceState:
    """Return what was found out about one service; an error is part of it."""
    service = installation.services[name]
    own = own_part(
        service, settings, installation.layout, former_parameters(installation.own, name)
    )
    try:
        facts, refusal = found_out(service, settings, own, installation.layout)
        present = read_installed(
            installation.layout.live(name), own, facts.user, installation.latest
        )
        facts = replace(
            facts,
            overrides=installation.templates.overriding(service.kind),
            warnings=tuple(warning_of(service, each) for each in facts.warnings),
        )
        if isinstance(facts, WebFacts):
            facts = replace(
                facts,
                ipv6=speaks_ipv6(),
                addresses=current_addresses(hosts, addresses_in(present.manifest)),
                additions=including(read_additions(installation.layout), facts.main.parent),
            )
            known = including(present.additions, facts.main.parent)
            present = replace(present, additions=known)
        pid = processes.master(facts.pid_file, facts.program)
        if pid is None and not refusal and present.written_for != facts.version:
            refusal = refusal_of_ours(service, facts, settings, own)
    except ServiceError as error:
        of_this = replace(error.failure, of=name)
        return ServiceState(name, settings, error=type(error)(of_this))
    except OSError as error:
        words = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        unseen = failure("service-not-seen", Scope.SERVICE, name, words=words)
        return ServiceState(name, settings, error=ServiceError(unseen))
    return ServiceState(
        *(name, settings, facts, present, pid),
        refusal=refusal,
        blamed=blamed_place(refusal, own),
        lacking=lacking_ciphers(facts),
    )


def including(found: Mapping[str, Additions], folder: Path) -> dict[str, Additions]:
    """Return the administrator's directives with the files that they include."""
    return {key: with_included(each, folder) for key, each in found.items()}


def warning_of(service: Service, words: str) -> str:
    """Return a warning of a kind, which names that, as one of a service with a name of its own."""
    name, kind = service.name, service.kind
    if name == kind:
        return words
    words = words.replace(f"`services.{kind}.", f"`services.{name}.").removeprefix(f"{kind}: ")
    return f"{name}: {words}"


def lacking_ciphers(facts: Facts) -> dict[str, tuple[CipherList, ...]]:
    """Return the lists of ciphers that leave clients with TLS 1.2 none, by the algorithm."""
    if not facts.ciphers:
        return {}
    from proxygen.host.ciphers import ALGORITHMS, algorithms_left

    left = {each: algorithms_left(each.ciphers) for each in facts.ciphers}
    found = {
        algorithm: tuple(each for each in facts.ciphers if algorithm not in left[each])
        for algorithm in sorted(ALGORITHMS)
    }
    return {algorithm: lists for algorithm, lists in found.items() if lists}


def current_addresses(
    hosts: Mapping[str, HostAddresses], former: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return the addresses of names, the *former* ones of a name that has none at present."""
    known = {name: each.addresses or former.get(name, ()) for name, each in hosts.items()}
    return {name: addresses for name, addresses in known.items() if addresses}


def found_out(
    service: Service, settings: ServiceSettings, own: OwnPart, layout: Layout
) -> tuple[Facts, str]:
    """Return the facts of one service, and why it refuses our part of its configuration.

    The facts are then those without our part. Raise ServiceError if it cannot be worked with.
    """
    program, name = program_of(service, settings), service.name
    if program is None:
        kind = service.kind
        raise ServiceError(failure("service-not-found", Scope.SERVICE, name, kind=kind))
    there = layout.of(name)
    without_pipes(service.main_file(settings, there))
    asked = service.questions(program, settings, there)
    try:
        return service.facts(program, settings, there, answer_questions(asked)), ""
    except ServiceUnreadable as error:
        theirs = without_ours(program, service, settings, own, layout, error)
        return theirs, error.words or error.what


def without_pipes(main: Path) -> None:
    """Raise OSError if the programs of a service would block on reading its own files.

    Missing files, and those that we may not see, they report in their own words.
    """
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError), files.regular_file(main):
        folders = [main.parent, *(path for path in main.parent.iterdir() if path.is_dir())]
        for path in (each for folder in folders for each in files.pipes(folder)):
            if path.suffix == main.suffix:
                with files.regular_file(path):
                    pass


def without_ours(
    program: str,
    service: Service,
    settings: ServiceSettings,
    own: OwnPart,
    layout: Layout,
    error: ServiceUnreadable,
) -> Facts:
    """Return the answers of a service when asked again without our part.

    After an upgrade of the service, or an edit, that may be what it refuses. Raise *error* if
    nothing of ours is there, and one that says so if it refuses its configuration anyway.
    """
    if not is_ours(own):
        raise error
    try:
        with own.left_out() as main:
            copied, there = {"configuration": str(main)}, layout.of(service.name)
            asked = {
                **service.questions(program, settings.model_copy(update=copied), there),
                **files_to_order(service.questions(program, settings, there)),
            }
            theirs = {key: each for key, each in asked.items() if not reads_ours(each, own)}
            absent = {key: Answer(1, "", "left out") for key in asked.keys() - theirs.keys()}
            return service.facts(program, settings, there, answer_questions(theirs) | absent)
    except ServiceUnreadable as second:
        ours = any(str(path) in error.words for path in own.paths)
        words = staging.unstage_words(second.words) if ours else error.words
        anyway = replace(error.failure, code="unreadable-without-ours", words=words)
        raise ServiceUnreadable(anyway) from second
    except (ServiceError, OSError):
        raise error from None  # no copy could be made, or the configuration leads to none of ours


def files_to_order(questions: Mapping[str, Question]) -> dict[str, Question]:
    """Return the questions about the order of files, which ours is part of, left out or not."""
    return {key: each for key, each in questions.items() if isinstance(each, FileOrder)}


def reads_ours(question: Question, own: OwnPart) -> bool:
    """Return whether a question is for a file of ours."""
    return isinstance(question, Reading) and any(map(question.path.is_relative_to, own.paths))


def refusal_of_ours(service: Service, facts: Facts, settings: ServiceSettings, own: OwnPart) -> str:
    """Return why a service that does not run refuses our part; empty if it does not.

    It is asked if our part was written for another version. If the service refuses the
    configuration without our part as well, ours is not the reason.
    """
    if not is_ours(own) or not (words := why_refused(service, facts, settings, facts.main)):
        return ""
    try:
        with own.left_out() as main:
            return "" if why_refused(service, facts, settings, main) else words
    except (ServiceError, OSError):
        return ""


PLACE = re.compile(r"(/[^\s:]+)(?::| line )([0-9]+)\b")
"""How services name a place in a file: nginx FILE:LINE, dovecot FILE line LINE."""


def blamed_place(refusal: str, own: OwnPart) -> str:
    """Return the place (FILE:LINE) that a service refuses, empty if it is ours or unknown.

    Warnings come before, so it is the last one that is named.
    """
    places = [(Path(match[1]), match[0]) for match in PLACE.finditer(refusal)]
    if not places or any(map(places[-1][0].is_relative_to, own.paths)):
        return ""
    return places[-1][1]


def why_refused(
    service: Service, facts: Facts, settings: ServiceSettings, main: Path
) -> str | None:
    """Return why a service refuses the configuration whose main file is *main*."""
    commands = service.check(facts, settings, main)
    words = service.refused([processes.run(each) for each in commands])
    return words and staging.unstage_words(words)


def speaks_ipv6() -> bool:
    """Return whether a server on this host can listen on IPv6 addresses."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def with_former(state: ServiceState, live: Live, stored: Set[str]) -> ServiceState:
    """Return a service's state with the certificate files in use that are not *stored*."""
    used = state.installed.manifest.get("certificates", ())
    others = {str(name) for name in used} - stored
    former = frozenset(name for name in others if is_as_written(live.certificates / name))
    return replace(state, installed=replace(state.installed, former=former)) if former else state


def is_as_written(path: Path) -> bool:
    """Return whether a certificate file holds what its name, a digest, says."""
    try:
        content = files.read(path)
    except OSError:
        return False
    digest = hashlib.sha256(content or b"").hexdigest()
    return content is not None and path.name.endswith(f"-{digest[:16]}.pem")


def state_without_refused(
    state: ServiceState, site: Site, bundles: Mapping[str, Bundle], noted: Iterable[LeftOut]
) -> ServiceState:
    """Return a service's state without the parts that it refuses, while they are unchanged."""
    if state.facts is None:
        return state
    additions, noted = additions_of(state.facts), tuple(noted)
    if not noted and not any(each.unread for each in additions.values()):
        return state
    present = set(parts_of(site, bundles, state.facts, state.name))
    unread = [
        LeftOut(part, each.trouble, each.unread)
        for part in sorted(each for each in present if each.kind is PartKind.ADDITIONS)
        if (each := additions[part.name]).unread
    ]
    known = [each for each in noted if each.part in present]
    parts = {each.part: each for each in (*known, *unread)}
    kept = {part: each for part, each in parts.items() if may_leave_out(part, state.installed)}
    if not kept:
        return state
    facts = facts_without(state.facts, kept, site, state.installed)
    return replace(state, facts=facts, whole=state.facts, left_out=tuple(kept.values()))


def states_with_notes(
    services: Mapping[str, ServiceState], layout: Layout
) -> dict[str, ServiceState]:
    """Return the services with what was noted since they were observed."""
    return {name: with_notes(state, layout.live(name)) for name, state in services.items()}


def with_notes(state: ServiceState, live: Live) -> ServiceState:
    """Return the state of a service with what is noted of it now."""
    present = replace(state.installed, **last_probe(live), refused=refusal_noted(live))
    return state if present == state.installed else replace(state, installed=present)
