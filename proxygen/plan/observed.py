"""Observed: what is, as far as a plan needs to know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proxygen.errors import ServiceError
from proxygen.model.certificate import Bundle
from proxygen.services import Facts


@dataclass(frozen=True, slots=True)
class Installed:
    """What of ours a service has.

    *generation* is the one that serves, None before the first; *files*, *links* and *served*
    are as in ``Installation``; *certificates* are the certificate files that are there with
    the right mode; *pointer* is the text of the pointer file; *begun* tells that a run
    was interrupted between switching and being sure.
    """

    generation: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    certificates: frozenset[str] = frozenset()
    served: Mapping[str, str] = field(default_factory=dict)
    pointer: str | None = None
    begun: bool = False


@dataclass(frozen=True, slots=True)
class ServiceState:
    """What was found out about a service; without *facts*, *error* tells why.

    *pid* is its master process, None while it does not run.
    """

    name: str
    settings: Any
    facts: Facts | None = None
    installed: Installed = Installed()
    pid: int | None = None
    error: ServiceError | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """What is: stored bundles, services, and the hashes of supplied certificate files."""

    bundles: Mapping[str, Bundle]
    services: Mapping[str, ServiceState]
    sources: Mapping[str, str]
