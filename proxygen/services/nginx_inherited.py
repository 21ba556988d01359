"""nginx: what the configuration of others says about the server blocks of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from proxygen.services.nginx_lexer import Directive
from proxygen.services.nginx_others import socket_of
from proxygen.services.nginx_settings import NginxSettings


def proxied_sockets(root: Directive) -> dict[str, str]:
    """Return the sockets on which a server block wants a PROXY protocol header, with the place.

    nginx then wants it of every connection to that socket, whichever server block it is for.
    """
    found = dict[str, str]()
    for listen in root.below("http", "server", "listen"):
        if "proxy_protocol" in listen.arguments[1:]:
            found.setdefault(socket_of(listen), listen.where)
    return found


def client_certificates(root: Directive) -> str:
    """Return where nginx is told to want certificates of all clients, empty for nowhere."""
    asking = [each for each in root.below("http", "ssl_verify_client") if each.arguments == ("on",)]
    return asking[0].where if asking else ""


def as_nginx_names(socket: str) -> str:
    """Return an item of ``listen`` as nginx names sockets."""
    return f"*:{socket}" if socket.isdecimal() else socket


def proxied_elsewhere(settings: NginxSettings, proxied: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each of our sockets on which others want a PROXY protocol header."""
    if settings.proxy_protocol:
        return
    ours = (
        *(settings.listen.http or ("80", "[::]:80")),
        *(settings.listen.https or ("443", "[::]:443")),
    )
    for socket in map(as_nginx_names, ours):
        if place := proxied.get(socket):
            yield (
                f"nginx: {place}: `proxy_protocol` holds for every server block that listens on"
                f" {socket}, so connections without a PROXY protocol header are closed; if a load"
                " balancer sends it, add `proxy_protocol: {from: [ADDRESS OF THE LOAD BALANCER]}`"
                " to `services.nginx` in the model, otherwise remove the word from that `listen`"
            )
