"""nginx: the web's view -> server blocks, upstreams and maps, as the template walks them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from proxygen.model.certificate import Bundle
from proxygen.model.hosts import is_wildcard
from proxygen.model.layout import Live
from proxygen.model.site import Backend, Location, Upstream
from proxygen.model.views import WebSite, WebView
from proxygen.services import Lines
from proxygen.services.nginx_names import LONGEST_HASHED, parent, parents, server_names


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
    """The server blocks for some names; *certificate* is None where it is chosen at the handshake.

    *local*: the administrator's folder of that name holds additions.
    """

    server_names: Lines
    certificate: Path | None
    local: str | None
    passings: tuple[Passing, ...]

    @property
    def whole(self) -> bool:
        """Whether every request has a location."""
        return any(each.location.path == "/" and not each.location.exact for each in self.passings)


def distinct_bundles(view: WebView) -> tuple[Bundle, ...]:
    """Return the certificates that are served, each once.

    The same one at two owners is two files, as each block names that of its own first site.
    """
    bundles = (site.bundle for site in view.sites)
    return tuple({(each.owner, each.digest): each for each in bundles}.values())


def file_of(bundle: Bundle, live: Live) -> Path:
    """Return the file with key and chain that nginx reads."""
    return live.certificate(bundle.owner, bundle.digest)


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
    shared: dict[tuple[object, ...], list[WebSite]] = {}
    for late, site in in_order(view):
        digest = None if on_demand else site.bundle.digest
        own = site.owner if site.owner in local else None
        name = site.backend.name if site.backend else None
        shared.setdefault((late, digest, own, name), []).append(site)
    return [block(sites, live, local, on_demand) for sites in shared.values()]


def in_order(view: WebView) -> Iterator[tuple[bool, WebSite]]:
    """Yield the sites; where it matters their wildcards apart, and *late*.

    Among regular expressions the first one that matches wins, and a long name is one, too.
    """
    wild = parents(view)
    names = (name for site in view.sites for name in site.names)
    if not any(len(name) > LONGEST_HASHED and parent(name) in wild for name in names):
        yield from ((False, site) for site in view.sites)
        return
    for late in (False, True):
        for site in view.sites:
            if some := tuple(name for name in site.names if is_wildcard(name) is late):
                yield late, replace(site, names=some)


def block(sites: list[WebSite], live: Live, local: frozenset[str], on_demand: bool) -> Block:
    """Return the block of sites that differ in nothing but their names."""
    first = sites[0]
    return Block(
        server_names=Lines(tuple(server_names(name for site in sites for name in site.names))),
        certificate=None if on_demand else file_of(first.bundle, live),
        local=first.owner if first.owner in local else None,
        passings=tuple(passings(first.backend)),
    )
