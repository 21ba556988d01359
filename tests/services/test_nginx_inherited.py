"""What server blocks of others, and `http`, say about sockets and clients of ours."""

from __future__ import annotations

import pytest

from proxygen.services.nginx_inherited import (
    client_certificates,
    proxied_elsewhere,
    proxied_sockets,
)
from proxygen.services.nginx_lexer import parse_configuration
from proxygen.services.nginx_settings import NginxSettings
from proxygen.services.service_includes import ENTERS, LEAVES

MAIN = "/etc/nginx/nginx.conf"
TEXT = f"""http {{
    include sites/*;
{ENTERS}/etc/nginx/sites/a
server {{
    listen 80 proxy_protocol;
    listen 192.0.2.1:443 ssl proxy_protocol;
    listen 8080;
}}
{LEAVES}

    ssl_verify_client on;
}}
"""


def settings(**fields: object) -> NginxSettings:
    """Return settings as the model has them."""
    return NginxSettings.model_validate(fields)


def test_sockets_on_which_others_want_the_proxy_protocol() -> None:
    found = proxied_sockets(parse_configuration(TEXT, MAIN))
    assert found == {"*:80": "/etc/nginx/sites/a:2", "192.0.2.1:443": "/etc/nginx/sites/a:3"}


@pytest.mark.parametrize(
    ("listen", "told"),
    [
        ({}, ["*:80"]),
        ({"http": [80], "https": ["192.0.2.1:443"]}, ["*:80", "192.0.2.1:443"]),
        ({"http": ["192.0.2.1:80"], "https": [8443]}, []),
    ],
)
def test_the_warning_names_the_place_and_what_to_write(
    listen: dict[str, list[object]], told: list[str]
) -> None:
    proxied = proxied_sockets(parse_configuration(TEXT, MAIN))
    words = [*proxied_elsewhere(settings(listen=listen), proxied)]
    assert [socket for each in words for socket in proxied if f" {socket}, so" in each] == told
    assert all("proxy_protocol: {from: [" in each for each in words)
    assert all("/etc/nginx/sites/a:" in each for each in words)
    ours = settings(listen=listen, proxy_protocol={"from": ["192.0.2.7"]})
    assert not [*proxied_elsewhere(ours, proxied)]


def test_where_all_clients_are_asked_for_certificates() -> None:
    assert client_certificates(parse_configuration(TEXT, MAIN)) == f"{MAIN}:3"
    assert not client_certificates(parse_configuration("http { ssl_verify_client optional; }"))
