"""nginx's server blocks as values: what a model can say, what it cannot, and where each stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxygen.importing.proxied_locations import ProxiedLocation
from proxygen.importing.server_blocks import NginxSites, nginx_sites

MAIN = Path("/etc/nginx/nginx.conf")
SITE = Path("/etc/nginx/sites-enabled/a")


def read(site: str, http: str = "") -> NginxSites:
    """Return the configuration of a main file that includes one site."""
    main = f"events {{}}\nhttp {{\n{http}\ninclude sites-enabled/*;\n}}\n"

    def load(mask: Path) -> list[tuple[Path, str]]:
        return {MAIN: [(MAIN, main)], Path("sites-enabled/*"): [(SITE, site)]}.get(mask, [])

    return nginx_sites(MAIN, load)


def block(inner: str, http: str = "") -> tuple[tuple[ProxiedLocation, ...], tuple[str, ...]]:
    """Return what is passed on of a site, and what is unfit."""
    text = f"server {{ listen 443 ssl; server_name www.a.example;\n{inner}\n}}"
    (found,) = read(text, http).blocks
    return found.passed, found.unfit


@pytest.mark.parametrize(
    ("inner", "passed"),
    [
        (
            "location / { proxy_pass http://10.0.0.1:8080; }",
            ProxiedLocation("/", ("http://10.0.0.1:8080",)),
        ),
        (
            "location / { proxy_pass http://10.0.0.1/; }",
            ProxiedLocation("/", ("http://10.0.0.1:80",)),
        ),
        ("location / { proxy_pass https://[::1]; }", ProxiedLocation("/", ("https://[::1]:443",))),
        (
            "location / { proxy_pass http://app; }",
            ProxiedLocation("/", ("http://10.0.0.1:81", "http://10.0.0.2:80")),
        ),
        (
            "client_max_body_size 20M; proxy_read_timeout 5m; location / { proxy_pass http://10.0.0.1:1;"
            " proxy_set_header Upgrade $http_upgrade; }",
            ProxiedLocation(
                "/", ("http://10.0.0.1:1",), websocket=True, body_size="20m", read_timeout="5m"
            ),
        ),
    ],
)
def test_what_is_passed_on(inner: str, passed: ProxiedLocation) -> None:
    http = "upstream app { server 10.0.0.1:81; server 10.0.0.2; }"
    assert block(inner, http) == ((passed,), ())


def test_a_path_that_is_replaced_is_rewritten_and_one_alone_is_exact() -> None:
    inner = (
        "location / { proxy_pass http://10.0.0.1:1; }"
        " location /x/ { proxy_pass http://10.0.0.1:2/y/; }"
        " location = /z { proxy_pass http://10.0.0.1:3; }"
    )
    _, second, third = block(inner)[0]
    assert (second.path, second.rewrite) == ("/x/", "/y/")
    assert (third.path, third.exact) == ("/z", True)


@pytest.mark.parametrize(
    ("inner", "word"),
    [
        ("root /var/www;", "root"),
        ("location / { try_files $uri =404; }", "location /"),
        ("location / { proxy_pass http://unix:/run/app.sock; }", "unix:"),
        ("location / { proxy_pass http://$host; }", "$host"),
        ("location / { proxy_pass http://10.0.0.1:1; auth_basic x; }", "auth_basic"),
        ("auth_basic x; location / { proxy_pass http://10.0.0.1:1; }", "auth_basic"),
        ("allow 10.0.0.0/8; deny all; location / { proxy_pass http://10.0.0.1:1; }", "allow"),
        ("location / { proxy_pass http://10.0.0.1:1; } location ~ \\.php$ { }", "location ~"),
        ("return 301 https://other.example;", "return"),
        ("location /x { proxy_pass http://10.0.0.1:1; }", "nothing is passed on for /"),
        ("location / { proxy_pass http://10.0.0.1:99999; }", "99999"),
        ("location / { if ($x) { return 403; } proxy_pass http://10.0.0.1:1; }", "if"),
        ("location / { proxy_pass http://app; }", "app"),
    ],
)
def test_what_a_model_cannot_say_is_told_with_its_place(inner: str, word: str) -> None:
    http = "upstream app { server 10.0.0.1:81 backup; server 10.0.0.2 down; }"
    _, unfit = block(inner, http)
    assert any(word in each for each in unfit)
    assert all(f"{SITE}:" in each for each in unfit)
    assert any(f"({SITE}:2)" in each for each in unfit) or "nothing" in word


GATE = "location / { proxy_pass http://10.0.0.1:1; %s }"


@pytest.mark.parametrize(
    "written",
    [
        "auth_pam Secure;",
        "auth_gss on;",
        "auth_ldap Forbidden;",
        "auth_basic x;",
        "access_by_lua_file /etc/nginx/gate.lua;",
        "access_by_lua_block { ngx.exit(403) }",
        "modsecurity on;",
        "limit_req zone=a;",
        "limit_conn a 1;",
        "limit_except GET { deny all; }",
        "naxsi_directive_of_next_year;",
        "add_header Content-Security-Policy default-src;",
        "add_header Strict-Transport-Security 'max-age=1; includeSubDomains';",
        "proxy_set_header X-Auth '';",
        "proxy_set_header X-Remote-User $remote_user;",
        "proxy_set_header Host internal;",
        "proxy_set_header X-Forwarded-Proto http;",
        "proxy_hide_header X-Powered-By;",
        "proxy_redirect http://a/ /;",
        "proxy_buffer_size 128k;",
        "proxy_read_timeout 30d;",
        "proxy_read_timeout 500ms;",
        "client_max_body_size 9999g;",
        "client_max_body_size $size;",
        "proxy_buffering maybe;",
        "gzip off;",
        "include /nowhere/auth.conf;",
    ],
)
@pytest.mark.parametrize("level", ["location", "server"])
def test_what_is_not_known_to_be_harmless_keeps_a_site_as_it_is(written: str, level: str) -> None:
    name = written.split(maxsplit=1)[0].rstrip(";")
    inner = GATE % written if level == "location" else f"{written}\n{GATE % ''}"
    _, unfit = block(inner)
    assert any(name in each and f"{SITE}:" in each for each in unfit), unfit


@pytest.mark.parametrize(
    "written",
    [
        "proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr;",
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        "proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Remote-User '';",
        "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection 'upgrade';",
        "add_header Strict-Transport-Security 'max-age=31536000' always;",
        "proxy_redirect off; proxy_http_version 1.1; access_log off; gzip on;",
        "proxy_buffer_size 8k; proxy_buffers 8 16k;",
    ],
)
@pytest.mark.parametrize("level", ["location", "server", "http"])
def test_what_proxygen_does_as_well_is_harmless(written: str, level: str) -> None:
    inner = GATE % (written if level == "location" else "")
    passed, unfit = block(
        f"{written if level == 'server' else ''}\n{inner}", written if level == "http" else ""
    )
    assert not unfit
    assert passed[0].servers == ("http://10.0.0.1:1",)


@pytest.mark.parametrize(
    "written",
    [
        "proxy_set_header X-Auth '';",
        "add_header X-Frame-Options DENY;",
        "proxy_hide_header Server;",
        "underscores_in_headers on;",
        "proxy_buffer_size 128k;",
        "proxy_read_timeout 30d;",
    ],
)
def test_what_is_said_for_all_sites_and_proxygen_says_otherwise_counts(written: str) -> None:
    _, unfit = block(GATE % "", written)
    assert any(written.split()[0] in each for each in unfit)
    assert not block(GATE % "", "auth_basic x; limit_req zone=a;")[1]  # it goes on for ours as well


def test_values_are_those_of_the_innermost_level() -> None:
    http = "client_max_body_size 2g; proxy_read_timeout 900; proxy_send_timeout 1h;"
    (one,), unfit = block("proxy_read_timeout 20m; " + GATE % "proxy_buffering off;", http)
    assert not unfit
    assert (one.body_size, one.read_timeout, one.send_timeout) == ("2g", "20m", "1h")
    assert (one.connect_timeout, one.buffering, one.request_buffering) == ("", "false", "")


@pytest.mark.parametrize(
    ("inner", "host"),
    [
        (GATE % "proxy_set_header Host intranet.example.net;", "intranet.example.net"),
        (GATE % "proxy_set_header Host $host;", ""),
        (GATE % "", ""),
        ("location / { proxy_pass https://app.example.net; }", "app.example.net"),
        ("location / { proxy_pass https://app.example.net; proxy_set_header Host $host; }", ""),
    ],
)
def test_the_name_that_an_upstream_is_asked_for(inner: str, host: str) -> None:
    (one,), unfit = block(inner)
    assert not unfit
    assert one.host == host


@pytest.mark.parametrize(
    "inner",
    [
        GATE % "" + " location = / { proxy_pass http://10.0.0.1:2; }",
        GATE % "" + " location /x { proxy_pass http://a; } location = /x { proxy_pass http://b; }",
        "location = / { proxy_pass http://10.0.0.1:2; }",
        GATE % "" + " location /.well-known/acme-challenge-of-mine { return 200; }",
    ],
)
def test_a_path_of_which_a_model_can_have_one_location_alone(inner: str) -> None:
    assert block(inner)[1]


@pytest.mark.parametrize("way", ["ip_hash;", "least_conn;", "hash $uri;", "random two;", "sticky;"])
def test_servers_that_are_chosen_by_a_rule_are_none_a_model_can_name(way: str) -> None:
    servers = "server 10.0.0.1:81; server 10.0.0.2;"
    inner = "location / { proxy_pass http://app; }"
    assert block(inner, f"upstream app {{ {way} {servers} }}")[1]
    assert not block(inner, f"upstream app {{ zone a 64k; keepalive 8; {servers} }}")[1]


@pytest.mark.parametrize(
    "site",
    [
        "server { listen 443 ssl proxy_protocol; server_name www.a.example; %s }",
        "server { listen 443 ssl; listen 127.0.0.1:8443 ssl proxy_protocol; server_name a.b; %s }",
        "server { listen 443 ssl; server_name www.a.example; %s }"
        " server { listen 80 proxy_protocol; server_name www.a.example; }",
        "server { listen unix:/run/x ssl; server_name www.a.example; %s }",
        "server { listen localhost:443 ssl; server_name www.a.example; %s }",
    ],
)
def test_sockets_that_a_model_cannot_say(site: str) -> None:
    (found,) = read(site % (GATE % "")).blocks
    assert found.unfit


def test_two_certificates_are_more_than_a_model_can_say() -> None:
    pairs = (
        "ssl_certificate /a; ssl_certificate_key /a; ssl_certificate /b; ssl_certificate_key /b;"
    )
    assert "more than one certificate" in block(pairs + GATE % "")[1][0]


def test_places_names_certificates_and_sockets_are_told() -> None:
    site = (
        "# a comment with server {\n"
        "server {\n  listen 192.0.2.1:443 ssl;\n  server_name www.a.example *.b.example _ ~x$;\n"
        "  ssl_certificate /a.pem;\n  ssl_certificate_key /a.key;\n  server_tokens off;\n"
        "  location / { proxy_pass http://10.0.0.1:1; }\n"
        "  location /.well-known/acme-challenge/ {\n    proxy_pass http://10.0.0.9;\n  }\n}\n"
        "server { listen 192.0.2.1:80; server_name www.a.example; return 301 https://x; }\n"
        "server { listen 127.0.0.1:8999; server_name status; }\n"
    )
    found = read(site)
    (one,) = found.blocks
    assert one.where == f"{SITE}:2"
    assert one.names == ("www.a.example",)
    assert one.pairs == ((Path("/a.pem"), Path("/a.key")),)
    assert one.sockets == ("192.0.2.1:443",)
    assert one.elsewhere == (f"http://10.0.0.9 ({SITE}:10)",)
    assert not one.unfit
    assert [each.sockets for each in found.plain] == [("192.0.2.1:80",), ("127.0.0.1:8999",)]
    assert found.plain[0].where == f"{SITE}:13"
    assert found.plain[0].redirects
    assert not found.serving("www.a.example")


@pytest.mark.parametrize(
    "text", ["{" * 100_000, "server {" * 5000, "}" * 1000, '"' * 1000, "server { listen; }"]
)
def test_what_is_no_configuration_harms_nothing(text: str) -> None:
    assert read(text).blocks == ()


def test_files_that_include_each_other_come_to_an_end() -> None:
    asked = []

    def load(mask: Path) -> list[tuple[Path, str]]:
        asked.append(mask)
        return [(mask, "http { include a; }")] if len(asked) < 1000 else []

    assert nginx_sites(MAIN, load).blocks == ()
    assert len(asked) < 100


@pytest.mark.parametrize(
    ("inner", "redirects"),
    [
        ("return 301 https://$host$request_uri;", True),
        ("if ($host = www.a.example) { return 301 https://$host$request_uri; } return 404;", True),
        ("root /var/www; location / { return 302 https://www.a.example/; }", True),
        (
            "location /.well-known/acme-challenge/ { root /w; }"
            " location / { return 301 https://x; }",
            True,
        ),
        ("root /var/www;", False),
        ("return 200 hello;", False),
        ("location / { return 301 https://x; } location /crl { root /var/www; }", False),
        ("location / { proxy_pass http://10.0.0.1:1; }", False),
    ],
)
def test_what_is_served_by_http_as_well_stays_as_it_is(inner: str, redirects: bool) -> None:
    secure = "server { listen 443 ssl; server_name www.a.example; %s }\n" % (GATE % "")
    plain = "server { listen %s; server_name www.a.example; %s }\n"
    found = read(secure + plain % ("80", inner))
    assert found.plain[0].redirects is redirects
    assert bool(found.blocks[0].unfit) is not redirects
    behind = read(secure + plain % ("127.0.0.1:8080", inner))  # for who stands before it
    assert not behind.blocks[0].unfit
