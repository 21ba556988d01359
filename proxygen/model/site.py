"""Site, Owner, Backend, Location: the installation that a model describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from proxygen.errors import Mistake, Origin
from proxygen.model.certificate import GLOBAL, Certificate, KeyType, Secret
from proxygen.model.former import NOTHING, Former, Past, Removal, SetAside


class Role(StrEnum):
    """What a service is for; it decides which view of the model the service is handed."""

    WEB = "web"
    MAIL = "mail"


@dataclass(frozen=True, slots=True)
class Location:
    """How the requests below one path are passed on.

    *path* starts with ``/``; it matches as a prefix, and exactly when *exact* is set.
    *upstream* names one of the backend's upstreams. Timeouts are seconds, sizes are bytes
    (0: no limit). *rewrite* replaces the matched prefix in the request that is passed on, *host*
    the name in it. With *redirect* the browser is sent to that path, and nothing is passed on.
    *password*: only who knows one of the backend's passwords is let in.
    """

    path: str
    upstream: str | None
    exact: bool = False
    rewrite: str | None = None
    redirect: str | None = None
    host: str | None = None
    password: bool = False
    websocket: bool = False
    connect_timeout: int = 10
    read_timeout: int = 60
    send_timeout: int = 60
    body_size: int = 50 * 1024 * 1024
    buffering: bool = True
    request_buffering: bool = True


@dataclass(frozen=True, slots=True)
class Upstream:
    """A group of equal servers: ``http://HOST:PORT`` or ``https://HOST:PORT``, all one scheme."""

    name: str
    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Backend:
    """Where requests go: upstreams, and the locations that lead to them, longest path first.

    *password_file* is the file by which nginx lets people into locations with a password; without
    one it lets nobody in.
    """

    name: str
    upstreams: tuple[Upstream, ...]
    locations: tuple[Location, ...]
    origin: Origin
    password_file: str | None = None


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of names: the global URL (key ``global``) or a domain (key: its name).

    *host* is the name of its URL, None for a domain that is reached through the global URL.
    *certificate* is None where the global certificate serves. All names are A-labels.
    *contact* is warned, in *language* (``en``, ``de``, ``fr``).
    *path* leads to its fields in the file where it stands.
    """

    key: str
    host: str | None
    extra_names: tuple[str, ...]
    certificate: Certificate | None
    backend: str | None
    contact: str | None
    language: str
    origin: Origin
    path: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it answers for: that of the URL first, then the extra names."""
        return () if self.host is None else (self.host, *self.extra_names)


@dataclass(frozen=True, slots=True)
class ExternalAccount:
    """What binds a new ACME account to one at the authority (RFC 8555 section 7.3.4)."""

    key_identifier: str
    hmac_key: Secret


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an authority allows; None: as much as one likes.

    New orders per account and 3 hours, certificates per registered domain and 7 days, and per
    set of names and 7 days, failed validations per name and hour.
    """

    orders: int | None = None
    registered_domain: int | None = None
    name_set: int | None = None
    failed_validations: int | None = None


@dataclass(frozen=True, slots=True)
class Acme:
    """One ACME authority and how it is asked; *trusted_roots* are absolute paths.

    *http_port* is that of the built-in listener, *validation_port* the one that the authority asks
    at for http-01.
    """

    directory: str
    contact: str | None
    key_type: KeyType
    profile: str | None
    external_account: ExternalAccount | None
    trusted_roots: tuple[Path, ...]
    http_port: int
    validation_port: int
    limits: Limits
    origin: Origin


@dataclass(frozen=True, slots=True)
class Metrics:
    """Where figures are told: a *file* that is rewritten, and a socket that `watch` answers on."""

    file: Path | None = None
    address: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class DnsSolver:
    """Who writes DNS records: the *word* of a solver, and its settings as the model has them."""

    word: str
    settings: Any
    origin: Origin


@dataclass(frozen=True, slots=True)
class Site:
    """The whole installation, every reference resolved.

    *authorities* are the ACME authorities, the preferred one first. *services* maps the name
    of each service to its settings (its ``settings_type``; None: it says nothing of it), and is
    None where the model does not name any: those found serve. *notifiers* does likewise, and
    names all that are to be used. *folder* is that of the model file. *solvers* write DNS records,
    by the name that the administrator gave them. *addresses* are the public ones of this
    installation, none where they are to be found out; *resolvers* (address and port) are asked
    instead of the domains' own name servers. *preflight*: names are looked at before an authority
    is asked.

    *mistakes* are those of included files, *set_aside* which files are set aside for them, and
    *held_back* the removals that wait for a person. *unbounded* are the masks of included files
    that others than root may write, and that may name any file as a certificate, *missing* the
    included files that are named and were there once. *past* is what counted of the past, *right*
    what is kept of the files once the site was applied.
    """

    main: Owner
    domains: tuple[Owner, ...]
    backends: dict[str, Backend]
    authorities: tuple[Acme, ...]
    services: Mapping[str, BaseModel | None] | None
    notifiers: Mapping[str, Any]
    metrics: Metrics
    contact: str | None
    language: str
    folder: Path
    solvers: dict[str, DnsSolver]
    addresses: tuple[str, ...] = ()
    resolvers: tuple[tuple[str, int], ...] = ()
    preflight: bool = True
    mistakes: tuple[Mistake, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    held_back: tuple[Removal, ...] = ()
    unbounded: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    past: Past = field(default=Past(), compare=False, repr=False)
    right: Former = field(default=NOTHING, compare=False, repr=False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is worth a warning about the model itself, a sentence each."""
        open_ = (
            f"others than root may write what `include` finds by {mask}, and could name any file of"
            f" this host as a certificate: bound it, `{{files: {mask}, certificates: FOLDER}}`"
            for mask in self.unbounded
        )
        missing = (
            f"`include` names {path}, which is not there: put it back, or take it out of `include`"
            for path in self.missing
        )
        return (*open_, *missing)

    @property
    def owners(self) -> Iterator[Owner]:
        """The owner of the global URL, then the domains in the model's order."""
        yield self.main
        yield from self.domains

    @property
    def acme(self) -> Acme:
        """The preferred authority."""
        return self.authorities[0]

    @property
    def certificates(self) -> Iterator[Certificate]:
        """Every certificate the model wants, the global one first."""
        return (owner.certificate for owner in self.owners if owner.certificate)

    @property
    def global_certificate(self) -> Certificate:
        """The certificate of the global URL; there always is one (rule 1)."""
        if self.main.certificate is None:
            raise ValueError(f"the site has no {GLOBAL} certificate")
        return self.main.certificate
