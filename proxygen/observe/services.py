"""WHAT IS: stored bundles, supplied files, services and what they have installed."""

from __future__ import annotations

import errno
import hashlib
import os
import pwd
import re
import socket
import stat
from collections.abc import Iterable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypedDict

from pydantic import BaseModel, TypeAdapter, ValidationError

from proxygen.assemble import Latest, Parts, password
from proxygen.errors import ServiceError, Unreadable
from proxygen.failure import Scope, failure
from proxygen.host import files, processes, staging
from proxygen.host.additions import additions, additions_in
from proxygen.host.addresses import Found
from proxygen.host.own_part import OwnPart, own_part
from proxygen.model.certificate import Bundle
from proxygen.model.layout import Layout, Live, certificate_file
from proxygen.model.site import Site
from proxygen.model.upstreams import host_names
from proxygen.names.states import Names, up_to_date
from proxygen.plan.culprits import may_leave_out, parts_of, without
from proxygen.plan.left_out import Kind, LeftOut, left_out_from
from proxygen.plan.observed import Installed, Observed, Refused, ServiceState
from proxygen.plan.rendering import HEADER, VERSION, addresses_in
from proxygen.services import (
    Additions,
    Answer,
    Command,
    Facts,
    Question,
    Reading,
    Service,
    ServiceSettings,
    WebFacts,
    additions_of,
)
from proxygen.services.service_kind import its_own
from proxygen.stores import Store, answered
from proxygen.stores.value import Value

NO_HOSTS: Mapping[str, Found] = {}

LARGEST_CONFIGURATION = 64 * 1024 * 1024
"""Octets of a service's configuration with all that it includes: 20,000 sites of others."""


NAMES_KNOWN = 90.0
"""Seconds for which the addresses of upstream servers are known to who looks again and again."""


def observe(site: Site, parts: Parts) -> Observed:
    """Return what is, as far as a plan needs to know."""
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
    """Return what the store holds, as far as a plan to obtain certificates needs to know."""
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
    """Return what is known of names by owner, to be looked at anew where the model changed that."""
    known, now = parts.names.all(), parts.now()
    by = {each.owner: each.looked_at_by for each in site.certificates} if known else {}
    return {owner: up_to_date(each, by.get(owner, ""), now) for owner, each in known.items()}


def sources(site: Site) -> dict[str, str]:
    """Return the hash of each supplied certificate's files by owner; empty: unreadable."""
    supplied = [each for each in site.certificates if each.file]
    if not supplied:
        return {}
    from proxygen.issuers.file import fingerprint

    return {each.owner: fingerprint(each.file) for each in supplied if each.file}


def marks(site: Site, held: Mapping[str, str]) -> dict[str, str]:
    """Return by owner what changes with whatever a failure of supplied files may be due to."""
    if not held:
        return {}
    from proxygen.issuers.file import mark

    supplied = (each for each in site.certificates if each.file)
    return {
        each.owner: mark(each.file, held.get(each.owner, ""), password)
        for each in supplied
        if each.file
    }


def states(
    site: Site, parts: Parts, hosts: Mapping[str, Found] = NO_HOSTS
) -> list[tuple[str, ServiceState]]:
    """Return the state of each service that the model names, or that is found on this host.

    *hosts* are the names of upstream servers with their addresses.
    """
    named = wanted_services(site, parts.services)
    if not named:
        return []
    with ThreadPoolExecutor(len(named)) as pool:
        found = pool.map(lambda name: state(name, named[name], parts, hosts), named)
        return list(zip(named, found, strict=True))


def set_up(parts: Parts) -> dict[str, ServiceState]:
    """Return the state of every service that has something of ours, whatever the model says.

    No service has to answer, or to be there.
    """
    found: dict[str, ServiceState] = {}
    for name, service in parts.services.items():
        live = parts.layout.live(name)
        settings = settings_of(service, live)
        own = own_part(service, settings, parts.layout, former(parts.own, name))
        if live.folder.is_dir() or is_ours(own):
            found[name] = state(name, settings, parts)
    return found


def former(own: Store, service: str) -> Value:
    """Return what is noted of a service's parameters, as they were and as they are, on a host."""
    return Value(own, f"former/{service}")


def is_ours(own: OwnPart) -> bool:
    """Return whether anything of ours is in a configuration; what cannot be read has nothing."""
    try:
        return own.is_there()
    except OSError:
        return False


def is_gone(name: str, parts: Parts) -> bool:
    """Return whether a service that was set up is on this host no more."""
    service, live = parts.services[name], parts.layout.live(name)
    return program_of(service, settings_of(service, live)) is None


def program_of(service: Service, settings: ServiceSettings) -> str | None:
    """Return the path of a service's program, None where it is not on this host."""
    usual = (service.kind, *service.programs)
    return processes.found((settings.program,) if settings.program else usual)


def settings_of(service: Service, live: Live) -> ServiceSettings:
    """Return the settings with which a service was set up."""
    kind = service.settings_type
    try:
        return kind.model_validate_json(files.read(live.folder / SETTINGS) or b"{}")
    except ValidationError:
        return kind()


def wanted_services(site: Site, known: Mapping[str, Service]) -> dict[str, ServiceSettings]:
    """Return the settings of the services to work with, by name."""
    if site.services is not None:
        return {name: chosen(known[name], given) for name, given in site.services.items()}
    return {
        name: service.settings_type()
        for name, service in known.items()
        if processes.found((service.kind, *service.programs))
    }


def chosen(service: Service, given: BaseModel | None) -> ServiceSettings:
    """Return the settings that the model gives a service, the usual ones where it says nothing."""
    kind = service.settings_type
    return kind() if given is None else its_own(kind, given)


def state(
    name: str, settings: ServiceSettings, parts: Parts, hosts: Mapping[str, Found] = NO_HOSTS
) -> ServiceState:
    """Return what was found out about one service; an error is part of it."""
    service = parts.services[name]
    own = own_part(service, settings, parts.layout, former(parts.own, name))
    try:
        facts, refusal = found_out(service, settings, own, parts.layout)
        present = installed(parts.layout.live(name), own, facts.user, parts.latest)
        facts = replace(facts, overrides=parts.templates.overriding(service.kind))
        if isinstance(facts, WebFacts):
            facts = replace(
                facts,
                ipv6=speaks_ipv6(),
                addresses=addressed(hosts, addresses_in(present.manifest)),
                additions=additions(parts.layout),
            )
        pid = processes.master(facts.pid_file, facts.program)
        if pid is None and not refusal and present.written_for != facts.version:
            refusal = refusal_of_ours(service, facts, settings, own)
    except ServiceError as error:
        return ServiceState(name, settings, error=error)
    except OSError as error:
        words = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        unseen = failure("service-not-seen", Scope.SERVICE, name, words=words)
        return ServiceState(name, settings, error=ServiceError(unseen))
    return ServiceState(
        name, settings, facts, present, pid, refusal=refusal, blamed=blamed(refusal, own)
    )


def addressed(
    hosts: Mapping[str, Found], former: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return the addresses of names, the *former* ones of a name that has none at present."""
    known = {name: each.addresses or former.get(name, ()) for name, each in hosts.items()}
    return {name: addresses for name, addresses in known.items() if addresses}


def found_out(
    service: Service, settings: ServiceSettings, own: OwnPart, layout: Layout
) -> tuple[Facts, str]:
    """Return the facts of one service, and why it refuses our part of its configuration.

    The facts are then those without our part. Raise ServiceError when it cannot be worked with.
    """
    program, name = program_of(service, settings), service.name
    if program is None:
        kind = service.kind
        raise ServiceError(failure("service-not-found", Scope.SERVICE, name, kind=kind))
    without_pipes(service.main_file(settings, layout))
    asked = service.questions(program, settings, layout)
    try:
        return service.facts(program, settings, layout, answers(asked)), ""
    except Unreadable as error:
        theirs = without_ours(program, service, settings, own, layout, error)
        return theirs, error.words or error.what


def without_pipes(main: Path) -> None:
    """Raise OSError where the programs of a service would wait for ever to read its own files.

    What is not there, or not for us to see, they tell in their own words.
    """
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError), files.regular(main):
        folders = [main.parent, *(path for path in main.parent.iterdir() if path.is_dir())]
        for path in (each for folder in folders for each in files.pipes(folder)):
            if path.suffix == main.suffix:
                with files.regular(path):
                    pass


def without_ours(
    program: str,
    service: Service,
    settings: ServiceSettings,
    own: OwnPart,
    layout: Layout,
    error: Unreadable,
) -> Facts:
    """Return what a service tells when it is asked again without our part of its configuration.

    After an upgrade of the service, or an edit, that may be what it refuses. Raise *error* where
    nothing of ours is there, and one that says so where it refuses its configuration anyway.
    """
    if not is_ours(own):
        raise error
    try:
        with own.left_out() as main:
            there = settings.model_copy(update={"configuration": str(main)})
            asked = service.questions(program, there, layout)
            theirs = {key: each for key, each in asked.items() if not reads_ours(each, own)}
            absent = {key: Answer(1, "", "left out") for key in asked.keys() - theirs.keys()}
            return service.facts(program, settings, layout, answers(theirs) | absent)
    except Unreadable as second:
        ours = any(str(path) in error.words for path in own.paths)
        words = staging.unstaged(second.words) if ours else error.words
        anyway = replace(error.failure, code="unreadable-without-ours", words=words)
        raise Unreadable(anyway) from second
    except (ServiceError, OSError):
        raise error from None  # no copy could be made, or the configuration leads to none of ours


def reads_ours(question: Question, own: OwnPart) -> bool:
    """Return whether a question is for a file of ours."""
    return isinstance(question, Reading) and any(map(question.path.is_relative_to, own.paths))


def refusal_of_ours(service: Service, facts: Facts, settings: ServiceSettings, own: OwnPart) -> str:
    """Return why a service that does not run refuses our part; empty where it takes it.

    That is asked where ours was written for another version. Where the service refuses the
    configuration without ours likewise, ours is not what is in the way.
    """
    if not is_ours(own) or not (words := refused(service, facts, settings, facts.main)):
        return ""
    try:
        with own.left_out() as main:
            return "" if refused(service, facts, settings, main) else words
    except (ServiceError, OSError):
        return ""


PLACE = re.compile(r"(/[^\s:]+)(?::| line )([0-9]+)\b")
"""How services name a place in a file: nginx FILE:LINE, dovecot FILE line LINE."""


def blamed(refusal: str, own: OwnPart) -> str:
    """Return the place (FILE:LINE) that a service refuses, empty where it is ours or unknown.

    Warnings come before, so it is the last one that is named.
    """
    places = [(Path(match[1]), match[0]) for match in PLACE.finditer(refusal)]
    if not places or any(map(places[-1][0].is_relative_to, own.paths)):
        return ""
    return places[-1][1]


def refused(service: Service, facts: Facts, settings: ServiceSettings, main: Path) -> str | None:
    """Return why a service refuses the configuration whose main file is *main*."""
    commands = service.check(facts, settings, main)
    words = service.refused([processes.run(each) for each in commands])
    return words and staging.unstaged(words)


def answers(questions: Mapping[str, Question]) -> dict[str, Answer]:
    """Return the answers to questions, commands run side by side."""
    commands = {key: each for key, each in questions.items() if isinstance(each, Command)}
    readings = {key: each for key, each in questions.items() if isinstance(each, Reading)}
    return processes.run_all(commands) | {key: read(each) for key, each in readings.items()}


def read(question: Reading) -> Answer:
    """Return a file's text as an answer, followed by those of the files that it includes."""
    try:
        text = files.text(question.path)
        if text is None:
            return Answer(1, "", f"{question.path} is not there")
        if question.in_place:
            return Answer(0, in_place(text, question, Budget()), "")
        texts = chain([text], included(text, question, set()))
        return Answer(0, "\n".join(bounded(texts, question.path)), "")
    except OSError as error:
        return Answer(1, "", f"{error.filename or question.path}: {error.strerror}")


def bounded(texts: Iterable[str], path: Path) -> Iterator[str]:
    """Yield the texts of a configuration; raise OSError where it is larger than any is."""
    left = LARGEST_CONFIGURATION
    for text in texts:
        left -= len(text)
        if left < 0:
            most = f"more than {LARGEST_CONFIGURATION >> 20} MiB with what it includes"
            raise OSError(errno.EFBIG, most, str(path))
        yield text


def included(text: str, question: Reading, seen: set[Path]) -> Iterator[str]:
    """Yield the texts of all files that *text* includes, each once, but none of proxygen's own.

    *seen* are those that were yielded: files may include each other.
    """
    if question.include is None:
        return
    for match in re.finditer(question.include, text, re.DOTALL):
        found = files.matching(question.path.parent / match["mask"]) if match["mask"] else []
        for path in found:
            below = None if path in seen else files.text(path)
            seen.add(path)
            if below and not below.startswith(HEADER):
                yield below
                yield from included(below, question, seen)


DEEPEST = 16
"""How deep files may include each other."""


@dataclass(slots=True)
class Budget:
    """How much may still be included."""

    left: int = LARGEST_CONFIGURATION


def in_place(text: str, question: Reading, budget: Budget, depth: int = 0) -> str:
    """Return *text* with the files that it includes in place, but without proxygen's own."""

    def texts(match: re.Match[str]) -> str:
        if not match["mask"]:
            return match[0]
        found = files.matching(question.path.parent / match["mask"])
        below = [in_place(each, question, budget, depth + 1) for each in map(theirs, found) if each]
        return "\n".join(below)

    budget.left -= len(text)
    if question.include is None or depth == DEEPEST or budget.left < 0:
        return ""
    return re.sub(question.include, texts, text, flags=re.DOTALL)


def theirs(path: Path) -> str:
    """Return the text of an included file; empty for one of proxygen's, or that is none."""
    try:
        text = files.text(path) if path.is_file() else None
    except OSError:
        return ""
    return text if text and not text.startswith(HEADER) else ""


def speaks_ipv6() -> bool:
    """Return whether a server on this host can listen on IPv6 addresses."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def kept_additions(live: Live) -> dict[str, Additions]:
    """Return the directives that are kept by digest; those that are not as they were are not."""
    found: dict[str, Additions] = {}
    for digest in files.names(live.additions):
        scope = files.noted(live.additions / digest / SCOPE).get("scope")
        if isinstance(scope, str):
            each = additions_in(scope, live.additions / digest)
            if each.digest == digest and not each.unread:
                found[digest] = each
    return found


def parts_left_out(live: Live) -> tuple[LeftOut, ...]:
    """Return what was noted of parts that a service refuses."""
    noted = files.noted(live.folder / LEFT_OUT).get("left_out")
    found = map(left_out_from, noted) if isinstance(noted, list) else ()
    return tuple(each for each in found if each)


def with_former(state: ServiceState, live: Live, stored: Set[str]) -> ServiceState:
    """Return a service's state with the certificates it uses that are other ones than *stored*."""
    used = state.installed.manifest.get("certificates", ())
    others = {str(name) for name in used} - stored
    former = frozenset(name for name in others if is_as_written(live.certificates / name))
    return replace(state, installed=replace(state.installed, former=former)) if former else state


def is_as_written(path: Path) -> bool:
    """Return whether a certificate file holds what its name tells; that is a digest of it."""
    try:
        content = files.read(path)
    except OSError:
        return False
    digest = hashlib.sha256(content or b"").hexdigest()
    return content is not None and path.name.endswith(f"-{digest[:16]}.pem")


def heeding(
    state: ServiceState, site: Site, bundles: Mapping[str, Bundle], noted: Iterable[LeftOut]
) -> ServiceState:
    """Return a service's state without the parts that it refuses, while they are as they were."""
    if state.facts is None:
        return state
    present = set(parts_of(site, bundles, state.facts, state.name))
    additions = additions_of(state.facts)
    unread = [
        LeftOut(part, each.trouble, each.unread)
        for part in sorted(present)
        if part.kind is Kind.ADDITIONS and (each := additions[part.name]).unread
    ]
    known = [each for each in noted if each.part in present]
    parts = {each.part: each for each in (*known, *unread)}
    kept = {part: each for part, each in parts.items() if may_leave_out(part, state.installed)}
    if not kept:
        return state
    facts = without(state.facts, kept, site, state.installed)
    return replace(state, facts=facts, whole=state.facts, left_out=tuple(kept.values()))


def installed(live: Live, own: OwnPart, user: str | None, latest: Latest) -> Installed:
    """Return what of ours a service has; *user* is its own system user."""
    target = files.linked(live.current)
    texts_there, manifest, version = contents(live.current, latest)
    private, shared = certificates(live, group_of(user))
    return Installed(
        generation=Path(target).name if target else None,
        files=texts_there,
        links=links(live.current),
        certificates=private,
        shared=shared,
        manifest=manifest,
        pointer=files.text(own.pointer.path) if own.pointer else None,
        written_for=version,
        begun=(live.folder / "begun").exists(),
        **last_look(live),
        refused=refusal_noted(live),
        additions=kept_additions(live),
    )


class Looked(TypedDict):
    """What was noted of the last look from outside, as in ``Installed``."""

    unserved: bool
    wrong_names: frozenset[str]
    unasked: frozenset[str]


def last_look(live: Live) -> Looked:
    """Return whether the last look from outside saw something wrong, for which names if known.

    And for which names nobody looked yet.
    """
    path = live.folder / UNSERVED
    return Looked(
        unserved=path.exists(),
        wrong_names=names_noted(path),
        unasked=names_noted(live.folder / UNASKED),
    )


def names_noted(path: Path) -> frozenset[str]:
    """Return the names in a note; none where there is no such note."""
    noted = files.noted(path).get("names")
    return frozenset(
        each for each in (noted if isinstance(noted, list) else []) if type(each) is str
    )


def refusal_noted(live: Live) -> Refused | None:
    """Return why a service was not given what the model wants, None where it was."""
    noted = files.noted(live.folder / REFUSED)
    if "what" in noted:  # as it was noted before codes were
        words, where = noted.get("words", ""), noted.get("where", "")
        before = failure("noted-before", Scope.SERVICE, live.folder.name, words=words, where=where)
        noted = {"since": noted.get("since"), "failure": before}
    try:
        return REFUSAL.validate_python(noted) if noted else None
    except ValidationError:
        return None


def looked_since(services: Mapping[str, ServiceState], layout: Layout) -> dict[str, ServiceState]:
    """Return the services with what was noted since they were observed."""
    return {name: with_notes(state, layout.live(name)) for name, state in services.items()}


def with_notes(state: ServiceState, live: Live) -> ServiceState:
    """Return the state of a service with what is noted of it by now."""
    present = replace(state.installed, **last_look(live), refused=refusal_noted(live))
    return state if present == state.installed else replace(state, installed=present)


Contents = tuple[dict[str, str], dict[str, Any], tuple[int, ...]]


def contents(folder: Path, latest: Latest) -> Contents:
    """Return texts, manifest and version of the generation in *folder*, read if files changed."""

    def read_all() -> Contents:
        return texts(folder), manifest_of(folder), written_for(folder)

    stamps = [(name, files.stamp_of(folder / name)) for name in files.names(folder)]
    if not all(stamp for _, stamp in stamps):
        return read_all()
    return latest.of(f"contents of {folder}", (files.linked(folder), stamps), read_all)


MANIFEST = "generation.json"
SETTINGS = "settings.json"
UNSERVED, UNASKED, REFUSED = "unserved", "unasked", "refused"
REFUSAL = TypeAdapter(Refused)
LEFT_OUT = "left-out"
SCOPE = "scope.json"
"""What is noted beside directives that are kept; nginx includes it not."""


def manifest_of(generation: Path) -> dict[str, Any]:
    """Return what was noted about a generation when it was made; empty for none of ours."""
    noted = files.noted(generation / MANIFEST)
    noted.pop(VERSION, None)
    endpoints = noted.get("endpoints")
    shaped = isinstance(endpoints, list) and all(
        isinstance(each, list) and list(map(type, each))[:3] == [str, int, str] and len(each) == 6
        for each in endpoints
    )
    return noted if shaped and isinstance(noted.get("certificates"), list) else {}


def written_for(generation: Path) -> tuple[int, ...]:
    """Return the version of its service that a generation was written for, empty when unknown."""
    noted = files.noted(generation / MANIFEST).get(VERSION)
    numbers = noted if isinstance(noted, list) else []
    return tuple(numbers) if all(type(each) is int for each in numbers) else ()


def texts(folder: Path) -> dict[str, str]:
    """Return the texts of a generation's files."""
    paths = [folder / name for name in files.names(folder) if name != MANIFEST]
    return {
        path.name: text
        for path in paths
        if files.is_regular(path)
        and not path.is_symlink()
        and (text := files.text(path)) is not None
    }


def links(folder: Path) -> dict[str, str]:
    """Return the names of the certificate files that a generation's links lead to."""
    found = {name: files.linked(folder / name) for name in files.names(folder)}
    return {name: Path(target).name for name, target in found.items() if target}


def certificates(live: Live, group: int | None) -> tuple[frozenset[str], frozenset[str]]:
    """Return the certificate files that only root can read, and those that *group* can besides."""
    if not live.certificates.is_dir():
        return frozenset(), frozenset()
    with os.scandir(live.certificates) as entries:
        found = [(entry.name, status) for entry in entries if (status := status_of(entry))]
    private = frozenset(name for name, status in found if proper(status, None))
    if group is None:
        return private, private
    return private, frozenset(name for name, status in found if proper(status, group))


def status_of(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return the status of a file, None for one that another run took away just now."""
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def proper(status: os.stat_result, group: int | None) -> bool:
    """Return whether a certificate file has the mode and group that it should have."""
    mode = 0o600 if group is None else 0o640
    return (
        stat.S_ISREG(status.st_mode)
        and stat.S_IMODE(status.st_mode) == mode
        and (group is None or status.st_gid == group)
    )


def group_of(user: str | None) -> int | None:
    """Return the primary group of the user who reads certificates beside root.

    None where nobody does, or where we are not root: then all run as the same user.
    """
    if user is None or os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(user).pw_gid
    except KeyError:
        return None
