"""nginx: which certificate the server blocks of others have for a name."""

from __future__ import annotations

import pytest

from proxygen.services.nginx_others import Others, Pair

CONFIGURATION = r"""
events { worker_connections 512; }
http {
    ssl_certificate /ssl/all.pem;
    ssl_certificate_key /ssl/all.key;
    log_format main '$remote_addr "$request" { ;';
    server { listen 443 ssl; server_name first.example; }
    server { listen 443 ssl default_server; server_name _; ssl_certificate /ssl/default.pem;
             ssl_certificate_key /ssl/default.key; }
    server { listen 80; server_name www.a.example; return 301 https://$host$request_uri; }
    server {
        listen [::]:443 ssl ipv6only=on; # managed by Certbot
        listen 443 ssl; # managed by Certbot
        server_name www.A.example;
        location ~ "^/a{2}$" { return 204; }
        ssl_certificate /le/a/fullchain.pem; # managed by Certbot
        ssl_certificate_key "/le/a/privkey.pem"; # managed by Certbot
        if ($host = www.a.example) { return 301 https://$host$request_uri; }
    }
    server { listen 443 ssl; server_name www.a.example; ssl_certificate /late.pem;
             ssl_certificate_key /late.key; }
    server { listen 443 ssl; server_name .b.example; ssl_certificate /b.pem;
             ssl_certificate_key /b.key; ssl_certificate /b-rsa.pem;
             ssl_certificate_key /b-rsa.key; ssl_password_file /b.txt; }
    server { listen 443 ssl; server_name *.deep.b.example; ssl_certificate /deep.pem;
             ssl_certificate_key /deep.key; }
    server { listen 443 ssl; server_name mail.*; ssl_certificate /end.pem;
             ssl_certificate_key /end.key; }
    server { listen 443 ssl; server_name "~^(?<user>\D{2,5})[.]r[.]example$";
             ssl_certificate /sni/$ssl_server_name.pem;
             ssl_certificate_key /sni/${ssl_server_name}.key; }
    server { listen 8443 ssl; server_name www.c.example; ssl_certificate c/c.pem;
             ssl_certificate_key c/c.key; }
    server { listen 443 ssl; server_name odd.example; ssl_certificate data:$made;
             ssl_certificate_key engine:x:y; }
}
stream { server { listen 443 ssl; server_name stream.example; ssl_certificate /s.pem; } }
"""


@pytest.mark.parametrize(
    ("name", "first"),
    [
        pytest.param("first.example", ("/ssl/all.pem", "/ssl/all.key"), id="that of http"),
        pytest.param("www.a.example", ("/le/a/fullchain.pem", "/le/a/privkey.pem"), id="the first"),
        pytest.param("b.example", ("/b.pem", "/b.key", "/b.txt"), id="a dot means itself"),
        pytest.param("x.y.b.example", ("/b.pem", "/b.key", "/b.txt"), id="and all below it"),
        pytest.param("x.deep.b.example", ("/deep.pem", "/deep.key"), id="the longer wildcard"),
        pytest.param("mail.d.example", ("/end.pem", "/end.key"), id="a wildcard at the end"),
        pytest.param("ab.r.example", ("/sni/ab.r.example.pem", "/sni/ab.r.example.key"), id="SNI"),
        pytest.param("12.r.example", ("/ssl/default.pem", "/ssl/default.key"), id="the default"),
        pytest.param("stream.example", ("/ssl/default.pem", "/ssl/default.key"), id="not HTTP"),
    ],
)
def test_the_server_block_is_the_one_that_nginx_chooses(name: str, first: tuple[str, ...]) -> None:
    assert next(Others.of(CONFIGURATION).shown(name, {443})) == Pair(*first)


def test_every_algorithm_and_every_socket_counts_ours_first() -> None:
    others = Others.of(CONFIGURATION)
    assert list(others.shown("b.example", {443}))[:2] == [
        Pair("/b.pem", "/b.key", "/b.txt"),
        Pair("/b-rsa.pem", "/b-rsa.key", "/b.txt"),
    ]
    assert next(others.shown("www.c.example", {8443})) == Pair("c/c.pem", "c/c.key")
    assert Pair("c/c.pem", "c/c.key") in list(others.shown("www.c.example", {443}))
    assert not [pair for pair in others.shown("odd.example", {443}) if "data:" in pair.certificate]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "}",
        "}}}{",
        "http {",
        "http { server {",
        "server_name",
        '"',
        "http { server { listen",
        "$" * 50,
    ],
)
def test_what_is_no_configuration_names_nothing(text: str) -> None:
    assert list(Others.of(text).shown("www.a.example", {443})) == []
