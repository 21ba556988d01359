"""nginx: the web's view -> server blocks, upstreams and maps, as the template walks them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from proxygen.model.certificate import Bundle
from proxygen.model.hosts import is_wildcard
from proxygen.model.layout import Live
from proxygen.model.site import Backend, Location, Upstream
from proxygen.model.upstreams import UpstreamServer, server_of, servers
from proxygen.model.views import WebSite, WebView
from proxygen.services import EVERYWHERE, Additions, Lines, WebFacts
from proxygen.services.nginx_additions import plain_lines, taken_paths
from proxygen.services.nginx_names import (
    LONGEST_HASHED,
    parent_name,
    server_names,
    wildcard_parents,
)


@dataclass(frozen=True, slots=True)
class UpstreamGroup:
    """An upstream as nginx names it; *servers* are ADDRESS:PORT, none if no name has one."""

    name: str
    servers: tuple[str, ...]
    secure: bool

    @property
    def zone(self) -> int:
        """Kilobytes of the memory that nginx's processes share about the servers.

        One takes less than 2 (64 names of 64 addresses each are 4,096).
        """
        return max(256, 2 * len(self.servers))


@dataclass(frozen=True, slots=True)
class Passing:
    """A location with the URL that its requests are passed on to; empty if none is.

    *password_file* tells whose passwords are good there.
    """

    location: Location
    target: str
    secure: bool
    password_file: str | None


@dataclass(frozen=True, slots=True)
class NginxBlock:
    """The server blocks for some names; without *certificates*, they are chosen at the handshake.

    *additions*: the folder with the administrator's directives. *closed*: all requests get 503.
    *takes_root*: the administrator has a location for every request. *plain* tells which requests
    without TLS are for locations of his.
    """

    server_names: Lines
    certificates: tuple[Path, ...]
    additions: Path | None
    closed: bool
    passings: tuple[Passing, ...]
    takes_root: bool
    plain: Lines

    @property
    def whole(self) -> bool:
        """Whether every request has a location."""
        own = (each.location.path == "/" and not each.location.exact for each in self.passings)
        return self.takes_root or any(own)


def distinct_bundles(view: WebView) -> tuple[Bundle, ...]:
    """Return the certificates that are served, each once.

    The same one at two owners is two files, as each block names that of its own first site.
    """
    bundles = (each for site in view.sites for each in bundles_of(site))
    return tuple({(each.owner, each.digest): each for each in bundles}.values())


Addresses = Mapping[str, tuple[str, ...]]


def upstreams(view: WebView, addresses: Addresses) -> list[UpstreamGroup]:
    """Return the upstreams that some location leads to; *addresses* are those of names."""
    found: dict[str, UpstreamGroup] = {}
    for backend in backends(view):
        used = {each.upstream for each in backend.locations if not each.redirect}
        for upstream in backend.upstreams:
            if upstream.name in used:
                group = group_of(backend, upstream, addresses)
                found[group.name] = group
    return list(found.values())


def backends(view: WebView) -> Iterable[Backend]:
    """Return the backends that some site has, each once."""
    return {site.backend.name: site.backend for site in view.sites if site.backend}.values()


def group_of(backend: Backend, upstream: Upstream, addresses: Addresses) -> UpstreamGroup:
    """Return one upstream as nginx names it; the names of a model hold no dot.

    Nothing in it is a name: nginx would look it up when it starts, and not start without an answer.
    """
    found = map(server_of, upstream.servers)
    return UpstreamGroup(
        name=group_name(backend, upstream),
        servers=tuple(each for server in found for each in server_sockets(server, addresses)),
        secure=is_secure(upstream),
    )


def group_name(backend: Backend, upstream: Upstream) -> str:
    """Return what nginx calls an upstream."""
    return f"proxygen.{backend.name}.{upstream.name}"


def server_sockets(server: UpstreamServer, addresses: Addresses) -> Iterator[str]:
    """Yield ADDRESS:PORT for each address of a server."""
    hosts = addresses.get(server.host, ()) if server.by_name else (server.host,)
    for host in hosts:
        yield f"[{host}]:{server.port}" if ":" in host else f"{host}:{server.port}"


def resolved_addresses(view: WebView, addresses: Addresses) -> Addresses:
    """Return the addresses of the names that upstreams have."""
    hosts = {server.host for backend in backends(view) for server in servers(backend)}
    return {host: addresses[host] for host in sorted(hosts & addresses.keys())}


def is_secure(upstream: Upstream) -> bool:
    """Return whether requests are passed on over TLS."""
    return upstream.servers[0].startswith("https://")


def location_passings(backend: Backend | None) -> Iterator[Passing]:
    """Yield each location of a backend with the URL that its requests are passed on to."""
    if backend is None:
        return
    groups = {upstream.name: upstream for upstream in backend.upstreams}
    for location in backend.locations:
        if location.redirect or location.upstream is None:
            yield Passing(location, "", False, backend.password_file)
            continue
        upstream = groups[location.upstream]
        secure = is_secure(upstream)
        scheme = "https" if secure else "http"
        target = f"{scheme}://{group_name(backend, upstream)}{location.rewrite or ''}"
        yield Passing(location, target, secure, backend.password_file)


def server_blocks(view: WebView, live: Live, facts: WebFacts, on_demand: bool) -> list[NginxBlock]:
    """Return the server blocks, that of the global URL first.

    Sites that differ in nothing but their names share one; those with additions have their own.
    One block costs nginx about 70 KiB in each process, a name a few octets.
    """
    shared: dict[tuple[object, ...], list[WebSite]] = {}
    for late, site in in_order(view):
        digest = None if on_demand else tuple(each.digest for each in bundles_of(site))
        own = site.owner if site.owner in facts.additions else None
        name = site.backend.name if site.backend else None
        closed = site.owner in facts.closed
        shared.setdefault((late, digest, own, name, closed), []).append(site)
    return [server_block(sites, live, facts, on_demand) for sites in shared.values()]


def in_order(view: WebView) -> Iterator[tuple[bool, WebSite]]:
    """Yield the sites; where it matters their wildcards apart, and *late*.

    Among regular expressions the first one that matches wins, and a long name is one, too.
    """
    wild = wildcard_parents(view)
    names = (name for site in view.sites for name in site.names)
    if not any(len(name) > LONGEST_HASHED and parent_name(name) in wild for name in names):
        yield from ((False, site) for site in view.sites)
        return
    for late in (False, True):
        for site in view.sites:
            if some := tuple(name for name in site.names if is_wildcard(name) is late):
                yield late, replace(site, names=some)


def server_block(sites: list[WebSite], live: Live, facts: WebFacts, on_demand: bool) -> NginxBlock:
    """Return the block of sites that differ in nothing but their names."""
    first = sites[0]
    files = (live.certificate(each.owner, each.digest) for each in bundles_of(first))
    added = [
        facts.additions[scope] for scope in (EVERYWHERE, first.owner) if scope in facts.additions
    ]
    taken = taken_paths(added)
    return NginxBlock(
        server_names=Lines(tuple(server_names(name for site in sites for name in site.names))),
        certificates=() if on_demand else tuple(files),
        additions=additions_folder(first.owner, facts, live),
        closed=first.owner in facts.closed,
        passings=tuple(
            each
            for each in location_passings(first.backend)
            if (each.location.path, each.location.exact) not in taken
        ),
        takes_root=("/", False) in taken,
        plain=plain_lines(added),
    )


def bundles_of(site: WebSite) -> tuple[Bundle, ...]:
    """Return the certificates of a site: the first, and the one beside it if there is one."""
    return (site.bundle, site.beside) if site.beside else (site.bundle,)


def additions_folder(scope: str, facts: WebFacts, live: Live) -> Path | None:
    """Return the folder of the additions of a scope, None if there are none."""
    found = facts.additions.get(scope)
    return live.additions / found.digest if found else None


def served_view(view: WebView, facts: WebFacts) -> WebView:
    """Return what is served of a view: without what nginx was found to refuse."""
    if not (facts.closed or facts.shown or facts.dropped):
        return view
    main = view.sites[0]
    return WebView(
        tuple(
            replace(
                site,
                bundle=shown_bundle(site, facts, main.bundle),
                beside=shown_beside(site, facts, main),
                backend=None if site.owner in facts.closed else site.backend,
            )
            for site in view.sites
            if site.owner not in facts.dropped
        )
    )


def shown_bundle(site: WebSite, facts: WebFacts, main: Bundle) -> Bundle:
    """Return the certificate of a site; instead of one that nginx refuses another that it took."""
    if site.owner not in facts.shown:
        return site.bundle
    if (former := facts.shown[site.owner]) is None:
        return main
    digest, fingerprint = former
    return replace(site.bundle, owner=site.owner, digest=digest, fingerprint=fingerprint)


def shown_beside(site: WebSite, facts: WebFacts, main: WebSite) -> Bundle | None:
    """Return the certificate beside that of a site; an earlier one is shown alone."""
    if site.owner not in facts.shown:
        return site.beside
    return main.beside if facts.shown[site.owner] is None else None


def additions_of(view: WebView, facts: WebFacts) -> dict[str, Additions | None]:
    """Return the additions that blocks include by their scope, None for who is closed."""
    owners = {site.owner for site in view.sites}
    closed: dict[str, Additions | None] = dict.fromkeys(sorted(owners & facts.closed))
    scopes = owners | {EVERYWHERE}
    return closed | {scope: each for scope, each in facts.additions.items() if scope in scopes}
