"""Site, Owner, Backend, Location: the installation that a model describes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from proxygen.errors import Mistake, Origin
from proxygen.model.certificate import GLOBAL, Certificate, FileSource, Secret
from proxygen.model.former import NOTHING, Former, PastModel, Removal, SetAside


class Role(StrEnum):
    """What a service is for, which decides which view of the model it gets."""

    WEB = "web"
    MAIL = "mail"


@dataclass(frozen=True, slots=True)
class Location:
    """How requests below one path are passed on.

    *path* starts with ``/``; it matches as a prefix, or exactly if *exact* is set. *upstream* names
    one of the backend's upstreams. Timeouts are in seconds, sizes in bytes (0: no limit). *rewrite*
    replaces the matched prefix in the request that is passed on, *host* the name in it. With
    *redirect*, the browser is sent to that path, and nothing is passed on. *password*: clients must
    log in with one of the backend's passwords.
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
    """Where requests go: upstreams, and the locations that use them, longest path first.

    *password_file* holds the passwords of locations with a password; without it nobody can log in.
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
    *certificate* is None if the global certificate serves; *beside* is an RSA certificate for the
    same names, for clients that cannot do with the first. All names are A-labels. *contact*
    receives alerts, in *language* (``en``, ``de``, ``fr``). *adopt* is a certificate of
    another ACME client, which serves while none is stored. *path* leads to its fields in its file.
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
    adopt: FileSource | None = None
    beside: Certificate | None = None

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
class AuthorityLimits:
    """The rate limits of an authority; None: no limit.

    New orders per account and 3 hours, certificates per registered domain and 7 days, and per set
    of names and 7 days, failed validations per name and hour.
    """

    orders: int | None = None
    registered_domain: int | None = None
    name_set: int | None = None
    failed_validations: int | None = None


@dataclass(frozen=True, slots=True)
class Acme:
    """An ACME authority and how to order from it; *trusted_roots* are absolute paths.

    *http_port* is the port of the built-in listener, *validation_port* the one that the authority
    connects to for http-01. *account_key* is that of an existing account.
    """

    directory: str
    contact: str | None
    profile: str | None
    external_account: ExternalAccount | None
    trusted_roots: tuple[Path, ...]
    http_port: int
    validation_port: int
    limits: AuthorityLimits
    origin: Origin
    account_key: Secret | None = None


@dataclass(frozen=True, slots=True)
class Metrics:
    """Where metrics go: a *file* that is rewritten, and a socket on which `watch` serves them."""

    file: Path | None = None
    address: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class DnsSolver:
    """A solver that writes DNS records: its kind (*word*), and its settings from the model."""

    word: str
    settings: Any
    origin: Origin


@dataclass(frozen=True, slots=True)
class Site:
    """The whole installation, every reference resolved.

    *authorities* are the ACME authorities, the preferred one first. *services* maps the name of
    each service to its settings (its ``settings_type``; None: it has none), and is None if the
    model names no services: then those found are set up. *notifiers* likewise, and has all that are
    used. *folder* is that of the model file. *solvers* write DNS records, by the name that the
    administrator gave them. *addresses* are the public ones of this installation, empty if proxygen
    has to find them; *resolvers* (address and port) are used instead of the domains' own name
    servers. *preflight*: names are checked before an order.

    *mistakes* are those of included files, *set_aside* the files that are set aside for them, and
    *held_back* the removals that wait for a person. *unbounded* are the masks of included files
    that users other than root may write, and that may name any file as a certificate. *missing* are
    included files that existed once. *past* is what counted of the past, *right* is what to store
    of the files once the site was applied.
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
    past: PastModel = field(default=PastModel(), compare=False, repr=False)
    right: Former = field(default=NOTHING, compare=False, repr=False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about the model itself, a sentence each."""
        open_ = (
            f"users other than root can write the files of `include: {mask}`, and so could have any"
            f" file of this host read as a certificate; limit them to a folder:"
            f" `{{files: {mask}, certificates: FOLDER}}`"
            for mask in self.unbounded
        )
        missing = (
            f"`include` names {path}, which does not exist: put it back, or remove"
            " it from `include`"
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
        """Every certificate that the model wants, the global one first."""
        return (owner.certificate for owner in self.holders if owner.certificate)

    @property
    def holders(self) -> Iterator[Owner]:
        """The owners; one with two certificates comes once more, as the owner of the second.

        That one is called like the certificate's owner.
        """
        for owner in self.owners:
            yield owner
            if owner.beside:
                yield replace(owner, key=owner.beside.owner, certificate=owner.beside, beside=None)

    def with_beside(self, owners: Collection[str]) -> tuple[str, ...]:
        """Return owners whom somebody named, each with that of the certificate beside its own."""
        beside = [each.beside.owner for each in self.owners if each.beside and each.key in owners]
        return tuple(dict.fromkeys((*owners, *beside))) if owners else ()

    @property
    def global_certificate(self) -> Certificate:
        """The certificate of the global URL; there is always one (rule 1)."""
        if self.main.certificate is None:
            raise ValueError(f"the site has no {GLOBAL} certificate")
        return self.main.certificate
