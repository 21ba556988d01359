"""The certificates that may be adopted, read: of services, and those that the model names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from cryptography import x509

from proxygen.assemble import Installation
from proxygen.errors import IssueFailed, ServiceError
from proxygen.host import files
from proxygen.host.trust import system_roots
from proxygen.issuers.file_apart import Apart
from proxygen.model.certificate import ADOPT, GLOBAL, FileSource, KeyAndChain, holder_of
from proxygen.model.layout import Live, file_stem
from proxygen.model.material import LARGEST
from proxygen.model.site import Owner, Role, Site
from proxygen.model.x509 import chain_of, facts_found
from proxygen.observe.answers import answer_questions
from proxygen.plan.adoption import owners_without_certificate
from proxygen.plan.observed import Candidate, Observed, ServiceState
from proxygen.plan.ownership import leads_to
from proxygen.services import Answer, Configured

MOST = 16
"""How many certificates of one service are read for one owner."""
MOST_PASSWORDS = 8
TRIES = 2
ROUNDS = 3
"""How often a service may have further questions."""


def with_candidates(site: Site, installation: Installation, observed: Observed) -> Observed:
    """Return what is, with what may be adopted for those who need to know.

    For owners for whom nothing valid is stored, and for all while a service is not set up: the plan
    shows what clients get now.
    """
    fresh = any(
        state.facts and not state.installed.generation for state in usable_services(observed)
    )
    owners = [each for each in site.holders if each.names] if fresh else []
    owners = owners or list(owners_without_certificate(site, observed.bundles, installation.now()))
    if not owners:
        return observed
    found: dict[str, tuple[Candidate, ...]] = {}
    with Apart() as apart:
        reader = CertificateReader(installation, apart)
        for state in usable_services(observed):
            for owner, those in configured_certificates(state, owners, installation):
                read = (reader.candidate(state.name, each) for each in those)
                found[owner] = (*found.get(owner, ()), *read)
        for each in owners:
            if each.adopt:
                named = reader.candidate(ADOPT, files_of(each.adopt))
                found[each.key] = (*found.get(each.key, ()), named)
    return replace(observed, candidates=found)


def files_of(adopt: FileSource) -> Configured:
    """Return the files that `adopt` names as those that a service is configured with."""
    return Configured(adopt.paths, within=adopt.within)


def usable_services(observed: Observed) -> list[ServiceState]:
    """Return the services that can be worked with."""
    return [state for state in observed.services.values() if state.facts]


def configured_certificates(
    state: ServiceState, owners: Iterable[Owner], installation: Installation
) -> Iterator[tuple[str, tuple[Configured, ...]]]:
    """Yield the certificates in a service's own configuration, by owner.

    Those that proxygen wrote for it come last: they are there even if the store was lost. Mail
    clients get only the global one.
    """
    service = installation.services[state.name]
    concerned = [
        each for each in owners if holder_of(each.key) == GLOBAL or service.role is Role.WEB
    ]
    told = certificate_answers(state, installation) if concerned else {}
    own = own_certificate_files(installation.layout.live(state.name)) if concerned else {}
    for owner in concerned:
        found: dict[Configured, None] = {}
        for name in owner.names if holder_of(owner.key) == GLOBAL else owner.names[:1]:
            if told and state.facts:
                those = service.configured(name, state.facts, state.settings, told)
                found |= dict.fromkeys(those)
        found |= dict.fromkeys(Configured((path,)) for path in own.get(file_stem(owner.key), ()))
        if found:
            yield owner.key, tuple(found)[:MOST]


def certificate_answers(state: ServiceState, installation: Installation) -> dict[str, Answer]:
    """Return a service's answers about certificates; none if it cannot be asked."""
    service, known = installation.services[state.name], dict[str, Answer]()
    if state.facts is None:
        return known
    try:
        for _ in range(ROUNDS):
            questions = service.certificate_questions(
                state.facts, state.settings, installation.layout.of(state.name), known
            )
            further = {key: each for key, each in questions.items() if key not in known}
            if not further:
                break
            known |= answer_questions(further)
    except (ServiceError, OSError):
        return {}
    return known


def own_certificate_files(live: Live) -> dict[str, list[Path]]:
    """Return the files with key and chain that proxygen wrote for a service, by owner."""
    found: dict[str, list[Path]] = {}
    for name in files.names(live.certificates):
        owner, _, digest = name.removesuffix(".pem").rpartition("-")
        if name.endswith(".pem") and digest.isalnum():
            found.setdefault(owner, []).append(live.certificates / name)
    return found


class CertificateReader:
    """Reads certificates in a process of its own; what did not change is not read again."""

    def __init__(self, installation: Installation, apart: Apart) -> None:
        self.installation = installation
        self.apart = apart
        self.known: dict[Configured, Candidate] = {}

    @cached_property
    def roots(self) -> tuple[x509.Certificate, ...]:
        """The roots that this system trusts."""
        return self.installation.latest.of("roots", (), system_roots)

    def candidate(self, service: str, each: Configured) -> Candidate:
        """Return a certificate from a service's configuration, or why it cannot be used."""
        if each not in self.known:
            self.known[each] = self.read_candidate(each)
        return replace(self.known[each], service=service)

    def read_candidate(self, each: Configured) -> Candidate:
        """Return what files hold, read unless they are as they were known.

        Once more where a busy machine may be why they could not be read.
        """
        stamps = tuple(map(files.stamp_of, [*each.paths, *filter(None, [each.passwords])]))
        refusal = ""
        for _ in range(TRIES):
            try:
                if not all(stamps):
                    return self.read(each)
                make = partial(self.read, each)
                return self.installation.latest.of(f"configured {each}", stamps, make)
            except IssueFailed as error:
                refusal = error.what
        return Candidate("", each.paths, refusal=refusal)

    def read(self, each: Configured) -> Candidate:
        """Return what files hold; raise IssueFailed for what may change by itself."""
        try:
            pair = self.pair(each)
            told = facts_found(pair)
            chain = chain_of(pair)
        except IssueFailed as error:
            if not error.failure.final:
                raise
            return Candidate("", each.paths, refusal=error.what)
        except OSError as error:
            refusal = f"it cannot be read: {error.strerror or error}"
            return Candidate("", each.paths, refusal=refusal)
        return Candidate("", each.paths, pair, told, leads_to(chain, self.roots))

    def pair(self, each: Configured) -> KeyAndChain:
        """Return key and chain, with the password that fits; raise IssueFailed or OSError."""
        held = files.read_together(each.paths, LARGEST, each.within)
        contents = tuple(zip(map(str, each.paths), held, strict=True))
        [noted] = files.read_together([each.passwords], LARGEST) if each.passwords else [b""]
        lines = noted.splitlines()[:MOST_PASSWORDS]
        *some, last = [None, *lines]
        for password in some:
            try:
                return self.apart.assemble(contents, password)
            except IssueFailed as error:
                if not error.failure.final:
                    raise
        return self.apart.assemble(contents, last)
