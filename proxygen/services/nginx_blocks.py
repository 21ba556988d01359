"""nginx: the web's view -> server blocks, upstreams and maps, as the template walks them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from proxygen.model.certificate import Bundle
from proxygen.model.layout import Live
from proxygen.model.site import Backend, Location, Upstream
from proxygen.model.views import WebSite, WebView

LONGEST_HASHED = 46
"""The longest name that fits into nginx's hash tables as they are by default (buckets of 64
octets hold two pointers, a length of two octets and the name). The directives that enlarge
them may stand once in the whole configuration, so they are left to the administrator; a longer
name is written as a regular expression, which needs none."""


class Name(NamedTuple):
    """A host name as nginx reads it; *text* is the body of an expression when *long*."""

    text: str
    long: bool


@dataclass(frozen=True, slots=True)
class Group:
    """An upstream as nginx names it; *servers* are HOST:PORT."""

    name: str
    servers: tuple[str, ...]
    secure: bool


@dataclass(frozen=True, slots=True)
class Passing:
    """A location with the URL that its requests are passed on to."""

    location: Location
    target: str
    secure: bool


@dataclass(frozen=True, slots=True)
class Block:
    """The server blocks for *names*; *certificate* is None where it is chosen at the handshake.

    *local*: the administrator's folder of that name holds additions.
    """

    names: tuple[Name, ...]
    certificate: Path | None
    local: str | None
    passings: tuple[Passing, ...]

    @property
    def whole(self) -> bool:
        """Whether every request has a location."""
        return any(each.location.path == "/" and not each.location.exact for each in self.passings)


def host_name(name: str) -> Name:
    """Return *name* as nginx reads it; a dot in brackets stands for itself alone."""
    if len(name) <= LONGEST_HASHED:
        return Name(name, long=False)
    return Name(name.replace(".", "[.]"), long=True)


def distinct_bundles(view: WebView) -> tuple[Bundle, ...]:
    """Return the certificates that are served, each once."""
    return tuple({site.bundle.digest: site.bundle for site in view.sites}.values())


def file_of(bundle: Bundle, live: Live) -> Path:
    """Return the file with key and chain that nginx reads."""
    return live.certificate(bundle.owner, bundle.digest)


def certificates(view: WebView, live: Live) -> list[tuple[Name, Path]]:
    """Return each name whose certificate is not the global one, with its file."""
    main = view.sites[0].bundle.digest
    own = (
        (site.names, file_of(site.bundle, live))
        for site in view.sites
        if site.bundle.digest != main
    )
    return [(host_name(name), file) for names, file in own for name in names]


def owners(view: WebView) -> list[tuple[Name, str]]:
    """Return each name with its owner."""
    return [(host_name(name), site.owner) for site in view.sites for name in site.names]


def upstreams(view: WebView) -> list[Group]:
    """Return the upstreams that some location leads to."""
    found: dict[str, Group] = {}
    for backend in backends(view):
        used = {location.upstream for location in backend.locations}
        for upstream in backend.upstreams:
            if upstream.name in used:
                group = group_of(backend, upstream)
                found[group.name] = group
    return list(found.values())


def backends(view: WebView) -> Iterable[Backend]:
    """Return the backends that some site has, each once."""
    return {site.backend.name: site.backend for site in view.sites if site.backend}.values()


def group_of(backend: Backend, upstream: Upstream) -> Group:
    """Return one upstream as nginx names it; the names of a model hold no dot."""
    secure = is_secure(upstream)
    return Group(
        name=f"proxygen.{backend.name}.{upstream.name}",
        servers=tuple(server_address(server) for server in upstream.servers),
        secure=secure,
    )


def is_secure(upstream: Upstream) -> bool:
    """Return whether requests are passed on over TLS."""
    return upstream.servers[0].startswith("https://")


def server_address(url: str) -> str:
    """Return HOST:PORT of ``http://HOST[:PORT]``; nginx itself would assume 80 for https too."""
    scheme, _, address = url.partition("://")
    has_port = ":" in address.rpartition("]")[2]
    return address if has_port else f"{address}:{443 if scheme == 'https' else 80}"


def passings(backend: Backend | None) -> Iterator[Passing]:
    """Yield each location of a backend with the URL that its requests are passed on to."""
    if backend is None:
        return
    groups = {upstream.name: group_of(backend, upstream) for upstream in backend.upstreams}
    for location in backend.locations:
        group = groups[location.upstream]
        scheme = "https" if group.secure else "http"
        target = f"{scheme}://{group.name}{location.rewrite or ''}"
        yield Passing(location, target, group.secure)


def blocks(view: WebView, live: Live, local: frozenset[str], on_demand: bool) -> list[Block]:
    """Return the server blocks, that of the global URL first.

    Sites that differ in nothing but their names share one; those with local additions have
    their own. One block costs nginx about 70 KiB in each process, a name a few octets.
    """
    shared: dict[tuple[str | None, str | None, str | None], list[WebSite]] = {}
    for site in view.sites:
        digest = None if on_demand else site.bundle.digest
        own = site.owner if site.owner in local else None
        name = site.backend.name if site.backend else None
        shared.setdefault((digest, own, name), []).append(site)
    return [block(sites, live, own, on_demand) for (_, own, _), sites in shared.items()]


def block(sites: list[WebSite], live: Live, local: str | None, on_demand: bool) -> Block:
    """Return the block of sites that differ in nothing but their names."""
    first = sites[0]
    return Block(
        names=tuple(host_name(name) for site in sites for name in site.names),
        certificate=None if on_demand else file_of(first.bundle, live),
        local=local,
        passings=tuple(passings(first.backend)),
    )
