"""The servers of backends as scheme, host and port, and which of the hosts are names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from proxygen.model.hosts import is_address
from proxygen.model.site import Backend, Site

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class UpstreamServer:
    """One server of an upstream; *host* is a name or an address, IPv6 without brackets."""

    host: str
    port: int
    secure: bool

    @property
    def by_name(self) -> bool:
        """Whether its host is a name, whose addresses have to be looked up."""
        return not is_address(self.host)


def server_of(url: str) -> UpstreamServer:
    """Return the server of ``http://HOST[:PORT]`` or ``https://HOST[:PORT]``."""
    scheme, _, address = url.partition("://")
    host, _, port = address.rpartition(":")
    if not host or port.endswith("]"):
        host, port = address, ""
    return UpstreamServer(host.strip("[]").lower(), int(port or PORTS[scheme]), scheme == "https")


def servers(backend: Backend) -> Iterator[UpstreamServer]:
    """Yield the servers that some location of a backend uses."""
    used = {each.upstream for each in backend.locations if not each.redirect}
    for upstream in backend.upstreams:
        if upstream.name in used:
            yield from map(server_of, upstream.servers)


def host_names(site: Site) -> dict[str, tuple[str, ...]]:
    """Return each name of a server with the backends that use it."""
    found: dict[str, dict[str, None]] = {}
    used = {owner.backend: None for owner in site.owners if owner.names and owner.backend}
    for name in used:
        for server in servers(site.backends[name]):
            if server.by_name:
                found.setdefault(server.host, {})[name] = None
    return {host: tuple(backends) for host, backends in found.items()}
