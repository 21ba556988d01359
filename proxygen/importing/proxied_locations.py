"""nginx's locations whose requests are passed on, as far as a model can say the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from proxygen.importing.nginx_directives import name_and_place
from proxygen.model.hosts import BadName, host_name
from proxygen.model.types import octets, seconds, upstream_server
from proxygen.services.nginx_headers import FOREIGN
from proxygen.services.nginx_lexer import Directive

PATH = re.compile(r"/[A-Za-z0-9._~/@:+=%-]{0,200}")
HARMLESS = frozenset(
    {
        *("access_log", "error_log", "log_not_found", "server_tokens", "keepalive_timeout"),
        *("proxy_http_version", "proxy_buffers", "proxy_busy_buffers_size", "sendfile"),
        *("client_body_buffer_size", "tcp_nodelay", "tcp_nopush", "resolver", "resolver_timeout"),
        *("gzip_types", "gzip_vary", "gzip_min_length", "gzip_comp_level", "gzip_proxied"),
    }
)
"""What changes nothing for those who connect, or little enough."""
OF_LOCATIONS = HARMLESS | {"proxy_pass"}
OF_UPSTREAMS = ("server", "keepalive", "zone")
HEADER, LARGE = "proxy_set_header", "proxy_buffer_size"
BUFFER = 16 * 1024
"""The size of the buffer for the headers of an answer that proxygen sets."""
AS_HERE = {
    "gzip": ("on",),
    "proxy_redirect": ("off", "default"),
    "proxy_cache_bypass": ("$http_upgrade",),
    "proxy_ssl_server_name": ("on",),
    "proxy_ssl_session_reuse": ("off",),
    "proxy_hide_header": ("strict-transport-security",),
}
"""What is harmless with one of these values."""
QUANTITIES: dict[str, Callable[[Any], int]] = {
    "client_max_body_size": octets,
    "proxy_read_timeout": seconds,
    "proxy_send_timeout": seconds,
    "proxy_connect_timeout": seconds,
}
SWITCHES = ("proxy_buffering", "proxy_request_buffering")
MODELLED = frozenset({*QUANTITIES, *SWITCHES, "proxy_set_header", "add_header"})
"""What a model can say, as far as its value is one that it can."""
REPLACED = ("proxy_set_header", "add_header", "proxy_hide_header", "underscores_in_headers")
"""What `http {}` may say for all, and proxygen says otherwise in its server blocks."""
HEADERS: dict[str, tuple[str, ...]] = {
    "host": ("$host", "$http_host"),
    "x-real-ip": ("$remote_addr",),
    "x-forwarded-for": ("$remote_addr", "$proxy_add_x_forwarded_for"),
    "x-forwarded-proto": ("$scheme", "https"),
    "x-forwarded-host": ("$host", "$http_host"),
    "x-forwarded-port": ("$server_port", "443"),
    "upgrade": ("$http_upgrade",),
    "connection": ("", "upgrade", "$connection_upgrade", "$http_connection"),
    **{name.lower(): ("",) for name in FOREIGN},
}
"""The headers that proxygen sets itself, by the values that come to the same."""
HSTS = re.compile(r"max-age=[0-9]{1,12};?")


@dataclass(frozen=True, slots=True)
class ProxiedLocation:
    """A location whose requests are passed on: to *servers*, as ``http://HOST:PORT``."""

    path: str
    servers: tuple[str, ...]
    exact: bool = False
    rewrite: str = ""
    websocket: bool = False
    body_size: str = ""
    read_timeout: str = ""
    send_timeout: str = ""
    connect_timeout: str = ""
    buffering: str = ""
    request_buffering: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class EnclosingLevels:
    """A location with what it stands in: a directive counts where it stands innermost."""

    location: Directive
    server: Directive
    http: Directive

    def all(self, name: str) -> list[Directive]:
        """Return the directives of that name that count here."""
        levels = (each.all(name) for each in (self.location, self.server, self.http))
        return next((found for found in levels if found), [])


def proxied_location(
    location: Directive, levels: EnclosingLevels, upstreams: dict[str, Directive]
) -> ProxiedLocation | str:
    """Return how a location's requests are passed on, or what a model cannot say of it."""
    where = f"location {' '.join(location.arguments)} ({location.where})"
    *modifier, path = location.arguments or ("",)
    target = location.first("proxy_pass")
    odd = [name_and_place(each) for each in location.block if not is_harmless(each, OF_LOCATIONS)]
    odd += [name_and_place(each) for each in levels.all(LARGE)[:1] if not is_harmless(each, ())]
    odd += [
        name_and_place(each) for name in REPLACED for each in levels.all(name) if not is_ours(each)
    ]
    odd += [
        name_and_place(each)
        for name in QUANTITIES
        for each in levels.all(name)[:1]
        if not model_amount(each)
    ]
    odd += [
        name_and_place(each)
        for name in SWITCHES
        for each in levels.all(name)[:1]
        if not on_or_off(each)
    ]
    if modifier not in ([], ["="], ["^~"]) or not PATH.fullmatch(path) or odd or not target:
        return f"{where}: {', '.join(dict.fromkeys(odd)) or 'not a path that is passed on'}"
    servers = servers_of(target, upstreams)
    uri = re.sub(r"^https?://[^/]*", "", target)
    if not servers or (uri and not PATH.fullmatch(uri)):
        return f"{where}: proxy_pass {target}"
    headers = {each.arguments[0].lower(): each.arguments[1] for each in levels.all(HEADER)}
    said = {name: next(map(model_amount, levels.all(name)), "") for name in QUANTITIES}
    said |= {name: next(map(on_or_off, levels.all(name)), "") for name in SWITCHES}
    return ProxiedLocation(
        path,
        servers,
        exact=modifier == ["="],
        rewrite=uri if uri and uri != path else "",
        websocket="upgrade" in headers,
        body_size=said["client_max_body_size"],
        read_timeout=said["proxy_read_timeout"],
        send_timeout=said["proxy_send_timeout"],
        connect_timeout=said["proxy_connect_timeout"],
        buffering=said["proxy_buffering"],
        request_buffering=said["proxy_request_buffering"],
        host=asked_host(headers.get("host"), target, upstreams),
    )


def is_harmless(node: Directive, names: Collection[str]) -> bool:
    """Return whether a directive may be left out, or is one that a model can say."""
    said = tuple(each.lower() for each in node.arguments)
    if node.name in AS_HERE:
        return len(said) == 1 and said[0] in AS_HERE[node.name]
    if node.name == LARGE:
        return bool(said) and 0 < (written_quantity(octets, said[0]) or 0) <= BUFFER
    return node.name in names or node.name in MODELLED


def is_ours(node: Directive) -> bool:
    """Return whether proxygen says the same, or a model can."""
    match node.name, *node.arguments:
        case "add_header", name, value, *_:
            return name.lower() == "strict-transport-security" and bool(HSTS.fullmatch(value))
        case "proxy_set_header", name, value:
            name, value = name.lower(), value.lower()
            return value in HEADERS.get(name, ()) or (
                name == "host" and bool(host_or_nothing(value))
            )
        case "proxy_hide_header", name:
            return name.lower() == "strict-transport-security"
        case "underscores_in_headers", value:
            return value == "off"
    return False


def host_or_nothing(written: str) -> str:
    """Return a host's name as a model has it, empty for anything else."""
    try:
        return host_name(written)
    except BadName:
        return ""


def asked_host(header: str | None, target: str, upstreams: dict[str, Directive]) -> str:
    """Return the name that an upstream is asked for, empty where that is the client's.

    Without the header it is the one in `proxy_pass` (nginx, "proxy_set_header").
    """
    if header is not None:
        return host_or_nothing(header)
    parts = urlsplit(target)
    return "" if parts.netloc in upstreams else host_or_nothing(parts.hostname or "")


def model_amount(node: Directive) -> str:
    """Return a size or time as a model takes it, empty for any other."""
    written = node.arguments[0].lower() if len(node.arguments) == 1 else ""
    return written if written_quantity(QUANTITIES[node.name], written) is not None else ""


def written_quantity(read: Callable[[Any], int], written: str) -> int | None:
    """Return how much is written, None for what a model cannot say."""
    try:
        return read(written)
    except BadName:
        return None


def on_or_off(node: Directive) -> str:
    """Return `true` for on and `false` for off, empty for anything else."""
    return {"on": "true", "off": "false"}.get(" ".join(node.arguments), "")


def servers_of(target: str, upstreams: dict[str, Directive]) -> tuple[str, ...]:
    """Return the servers that `proxy_pass` names, none where a model cannot name them."""
    try:
        parts = urlsplit(target)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ()
    if parts.scheme not in ("http", "https") or "$" in target or host in ("", "unix"):
        return ()
    usual = 443 if parts.scheme == "https" else 80
    if group := upstreams.get(parts.netloc):
        listed = [each for each in group.all("server") if each.arguments]
        plain = all(each.name in OF_UPSTREAMS for each in group.block)
        plain = plain and all(set(each.arguments[1:]) <= {"weight=1"} for each in listed)
        sockets = [each.arguments[0] for each in listed] if plain else []
        found = [f"{parts.scheme}://{with_port(each, 80)}" for each in sockets]
    else:
        name = f"[{host}]" if ":" in host else host
        found = [f"{parts.scheme}://{name}:{port or usual}"]
    try:
        return tuple(map(upstream_server, found))
    except BadName:
        return ()


def with_port(written: str, usual: int) -> str:
    """Return HOST:PORT of an upstream's server."""
    return written if re.search(r":[0-9]+$", written) else f"{written}:{usual}"
