"""Observed: what is on this host and in the store, as far as a plan needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from proxygen.errors import ServiceError
from proxygen.failure import Failure, failure_words
from proxygen.model.certificate import Bundle, KeyAndChain
from proxygen.names.states import Answers, NameStates
from proxygen.plan.backoff import RememberedFailure
from proxygen.plan.left_out import LeftOut
from proxygen.plan.rendering import served_fingerprints
from proxygen.services import Additions, Facts, ServiceSettings
from proxygen.services.cipher_lists import CipherList


@dataclass(frozen=True, slots=True)
class ServiceRefusal:
    """Why a service was not given what the model wants, and *since* when."""

    since: datetime
    failure: Failure

    @property
    def in_short(self) -> str:
        """Return what happened, and where, with the first line of the service's own words."""
        said = failure_words(self.failure)
        first = next((each.strip() for each in said.words.splitlines() if each.strip()), "")
        what = f"{said.what} ({said.where})" if said.where else said.what
        return f"{what}: {first[:300]}" if first else what

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        said = failure_words(self.failure)
        return {
            "since": self.since.isoformat(),
            "what": said.what,
            "where": said.where,
            "words": self.failure.words or said.words,
            "remedy": said.remedy,
            "failure": self.failure.as_json(),
        }


@dataclass(frozen=True)
class Installed:
    """What a service has that proxygen installed.

    *generation* is the one that serves, None before the first one. *files*, *links* and *manifest*
    are as in ``Rendering``. *certificates* are the certificate files that only root can read,
    *shared* those that the service's own user can read too. *pointer* is the text of the pointer
    file. *written_for* is the version of the service that the generation was written for, empty if
    unknown. *begun*: a run was interrupted while it switched. *unserved*: the last probe saw
    something else than is wanted, for *wrong_names* if these are known. *unasked* are names that
    were not probed yet. *refused* tells why the service was not given what the model wants.
    *additions* are the administrator's directives that were ever included, by digest. *former* are
    certificate files in use that hold what was written to them and that are no longer stored.
    """

    generation: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    certificates: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    manifest: Mapping[str, Any] = field(default_factory=dict)
    pointer: str | None = None
    written_for: tuple[int, ...] = ()
    begun: bool = False
    unserved: bool = False
    wrong_names: frozenset[str] = frozenset()
    unasked: frozenset[str] = frozenset()
    refused: ServiceRefusal | None = None
    additions: Mapping[str, Additions] = field(default_factory=dict)
    former: frozenset[str] = frozenset()

    @cached_property
    def served(self) -> dict[str, str]:
        """What clients get for each name, as in ``Rendering``."""
        return served_fingerprints(self.manifest)

    @cached_property
    def listeners(self) -> tuple[tuple[str, int], ...]:
        """The addresses and ports at which clients ask for any name, in order."""
        every = ((address, port) for address, port, *_ in self.manifest.get("endpoints", ()))
        return tuple(dict.fromkeys(every))

    @cached_property
    def places(self) -> dict[str, frozenset[tuple[str, int]]]:
        """At which addresses and ports clients ask for each name."""
        found: dict[str, set[tuple[str, int]]] = {}
        for address, port, name, *_ in self.manifest.get("endpoints", ()):
            found.setdefault(name, set()).add((address, port))
        return {name: frozenset(there) for name, there in found.items()}

    def readable(self, by: str | None) -> frozenset[str]:
        """Return the certificate files that only those can read who should.

        If that is root alone, the service's own user still may, until no earlier generation needs
        it.
        """
        return self.shared if by else self.certificates | self.shared


@dataclass(frozen=True, slots=True)
class ServiceState:
    """What was found out about a service; without *facts*, *error* tells why.

    *pid* is its master process, None while it does not run. *refusal* is why the service refuses
    its configuration because of our part, empty if it does not; the facts are then those without
    our part. *blamed* is the place (FILE:LINE) that it names, if that is in a file that ours
    includes. *left_out* are the parts that it refuses one by one; *facts* are without them, *whole*
    with them. *lacking* are lists of ciphers by the algorithm (``ecdsa``, ``rsa``) for which they
    leave clients with TLS 1.2 none.
    """

    name: str
    settings: ServiceSettings
    facts: Facts | None = None
    installed: Installed = Installed()
    pid: int | None = None
    error: ServiceError | None = None
    refusal: str = ""
    blamed: str = ""
    left_out: tuple[LeftOut, ...] = ()
    whole: Facts | None = None
    lacking: Mapping[str, tuple[CipherList, ...]] = field(default_factory=dict)

    @property
    def in_the_way(self) -> str:
        """Why the service refuses our part, or a file that it includes; empty if it does not."""
        if not self.refusal or self.facts is None:
            return ""
        lines = self.refusal.strip().splitlines()
        if self.blamed:
            said = next((each for each in lines if self.blamed in each), lines[0])
            return f"{self.name} refuses {self.blamed}: {said[:300]}"
        now, before = self.facts.version, self.installed.written_for
        if before and before != now:
            return (
                f"{self.name} {dotted_version(now)} refuses proxygen's part of its "
                f"configuration, which was"
                f" written for {self.name} {dotted_version(before)}"
            )
        return f"{self.name} refuses proxygen's part of its configuration: {lines[0][:300]}"


def dotted_version(version: tuple[int, ...]) -> str:
    """Return a version as it is written, such as ``1.22.1``."""
    return ".".join(map(str, version))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A certificate in a service's own configuration for an owner's name, as it was read.

    *pair* and *facts* (``stand_in`` for a self-signed one) are None if it cannot be used at all,
    and *refusal* tells why. *is_trusted*: it leads to a root that this system trusts.
    """

    service: str
    paths: tuple[Path, ...]
    pair: KeyAndChain | None = field(default=None, repr=False)
    facts: Bundle | None = None
    is_trusted: bool = False
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """What is observed: stored bundles, services, and the hashes of supplied certificate files.

    *failures* are the last failures by owner, *authority_failures* those of whole authorities by
    directory, and *poll_failures* tell why an authority is not polled for renewal information.
    *names* is what is known of names, by owner. *abandoned* are services that have something of
    ours but are no longer in the model; *gone* are those that are no longer on this host, if the
    model names no services. *candidates* are the certificates in the services' own configuration,
    by owner, if anybody needs to know: the likeliest of each service first. *marks* are hashes that
    tell by owner whether unusable files have changed. *nameless* are names of upstream servers that
    have no address at present, with the reason. *answers* tells for which names web servers answer
    challenges, None if no web server runs.
    """

    bundles: Mapping[str, Bundle]
    services: Mapping[str, ServiceState]
    sources: Mapping[str, str]
    abandoned: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    failures: Mapping[str, RememberedFailure] = field(default_factory=dict)
    authority_failures: Mapping[str, RememberedFailure] = field(default_factory=dict)
    poll_failures: Mapping[str, RememberedFailure] = field(default_factory=dict)
    names: Mapping[str, NameStates] = field(default_factory=dict)
    candidates: Mapping[str, tuple[Candidate, ...]] = field(default_factory=dict)
    nameless: Mapping[str, str] = field(default_factory=dict)
    answers: Answers | None = None
    marks: Mapping[str, str] = field(default_factory=dict)
