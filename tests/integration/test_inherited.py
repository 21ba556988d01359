"""What the administrator's nginx says to all: challenges pass, and nginx.d has its say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxygen.model.certificate import GLOBAL
from proxygen.model.site import Location
from proxygen.services.nginx_facts import NginxFacts
from proxygen.services.nginx_settings import NginxSettings
from tests.conftest import require
from tests.integration.test_nginx_live import CHALLENGE, MAIN, SHOP, Site, backend
from tests.integration.test_nginx_live import app as app
from tests.integration.test_nginx_live import site as site
from tests.live import client
from tests.live.backend import Backend as Server
from tests.live.machine import Machine
from tests.live.needs import needs

pytestmark = needs("nginx")
WEB = ("nginx", "pebble")
TRIAL = {"url": f"https://{MAIN}", "certificate": "selfsigned"}


def within_http(main: Path, text: str, *, outside: str = "") -> None:
    """Write directives into the `http` block of nginx's own file."""
    whole = main.read_text()
    main.write_text(outside + whole.replace("http {\n", f"http {{\n{text}\n", 1))


INHERITED = [
    pytest.param(
        "limit_req_zone $binary_remote_addr zone=a:1m rate=1r/m; limit_req zone=a;",
        id="limit_req, which refuses the second request",
    ),
    pytest.param(
        "limit_req_zone $server_name zone=a:1m rate=1r/m; limit_req zone=a burst=9;",
        id="limit_req, which delays",
    ),
    pytest.param(
        "limit_conn_zone $server_name zone=a:1m; limit_conn a 1; limit_rate 1;",
        id="limit_conn and limit_rate",
    ),
    pytest.param("deny all;", id="deny"),
    pytest.param("satisfy all; deny all; auth_basic x; auth_basic_user_file /none;", id="satisfy"),
    pytest.param("satisfy any; auth_basic x; auth_basic_user_file /none;", id="auth_basic"),
    pytest.param("auth_request /nobody;", id="auth_request, whose server answers 500"),
    pytest.param("root /nowhere; index x; default_type text/html;", id="root and types"),
    pytest.param(
        "error_page 404 403 401 =302 https://elsewhere.example/; recursive_error_pages on;"
        " proxy_intercept_errors on;",
        id="error_page",
    ),
    pytest.param(
        "open_file_cache max=9 inactive=1d; open_file_cache_valid 1d; open_file_cache_errors on;"
        " open_file_cache_min_uses 1;",
        id="a cache of files that are not there",
    ),
    pytest.param("disable_symlinks on;", id="disable_symlinks"),
    pytest.param("mirror /mirrored; autoindex on; log_not_found off; access_log off;", id="mirror"),
    pytest.param("gzip on; gzip_types *; gzip_min_length 1; sendfile on; directio 1;", id="gzip"),
    pytest.param("ssl_reject_handshake on;", id="ssl_reject_handshake"),
    pytest.param("merge_slashes off; port_in_redirect off; keepalive_requests 1;", id="smaller"),
    pytest.param("add_header X-Own yes always; expires max; max_ranges 0;", id="headers"),
]


@pytest.mark.parametrize("text", INHERITED)
def test_what_http_says_about_requests_is_not_said_about_challenges(site: Site, text: str) -> None:
    within_http(site.nginx.main, text)
    elsewhere = site.nginx.root / "elsewhere"  # as where /var/lib is a link to another disk
    site.layout.var.rename(elsewhere)
    site.layout.var.symlink_to(elsewhere)
    site.install([site.site(GLOBAL), site.site(SHOP, SHOP)])
    for name in (MAIN, SHOP, "unknown.example"):
        assert site.http(name, f"{CHALLENGE}token").status == 404
    site.challenge("token", "token.thumbprint")
    for name in (MAIN, SHOP, "unknown.example") * 2:
        reply = site.http(name, f"{CHALLENGE}token")
        assert (reply.status, reply.body) == (200, b"token.thumbprint")
        assert reply.headers["content-type"] == "text/plain"
    for name in (MAIN, SHOP):
        assert site.https(name, f"{CHALLENGE}token").body == b"token.thumbprint"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("return 301 https://new.example$request_uri;", id="return"),
        pytest.param("return 403;", id="refused"),
        pytest.param("rewrite ^ https://new.example/ permanent;", id="rewrite"),
        pytest.param("rewrite ^ /elsewhere last;", id="rewrite last"),
        pytest.param('if ($host != "") { return 444; }', id="if"),
        pytest.param("location ~ . { return 500; }", id="a pattern for all"),
        pytest.param("location ^~ / { return 500; }", id="a prefix for all"),
        pytest.param("location /.well-known/acme-challenge/ { root /srv; }", id="certbot's"),
        pytest.param("location ^~ /.well-known/acme-challenge/ { deny all; }", id="stronger"),
        pytest.param("location ^~ /.well-known/acme-challenge/t { return 500; }", id="longer"),
        pytest.param("location = /.well-known/acme-challenge/token { return 500; }", id="exact"),
        pytest.param("root /srv; index x; error_page 404 =200 /x; try_files /x =500;", id="files"),
        pytest.param("limit_rate 1; deny all; auth_basic x; set $limit_rate 1;", id="the rest"),
    ],
)
def test_what_nginx_d_says_takes_challenges_from_nobody(site: Site, text: str) -> None:
    site.local("all.conf", text)
    site.install([site.site(GLOBAL), site.site(SHOP, SHOP)])
    site.challenge("token", "token.thumbprint")
    for name in (MAIN, SHOP, "unknown.example"):
        assert site.http(name, f"{CHALLENGE}token").body == b"token.thumbprint"
        assert site.http(name, f"{CHALLENGE}other").status == 404
    assert site.https(SHOP, f"{CHALLENGE}token").body == b"token.thumbprint"


def test_the_place_of_challenges_is_reached_by_no_other_path(site: Site) -> None:
    site.install([site.site(GLOBAL), site.site(SHOP, SHOP)])
    site.challenge("token", "token.thumbprint")
    for name in (MAIN, SHOP, "unknown.example"):
        assert site.http(name, "/.proxygen-challenge/token").status != 200


# Locations in the place of ours.


@pytest.mark.parametrize(
    ("text", "path"),
    [
        pytest.param("location / { return 200 own; }", "/", id="a prefix"),
        pytest.param("location / { return 200 own; }", "/deep/er", id="below it"),
        pytest.param("location ^~ / { return 200 own; }", "/", id="as nginx compares them"),
        pytest.param("location /login { return 200 own; }", "/login", id="another one of ours"),
        pytest.param("location = /exact { return 200 own; }", "/exact", id="exact"),
        pytest.param("location = / { return 200 own; }", "/", id="one page"),
        pytest.param("location / { location /in { return 200 own; } }", "/in/x", id="nested"),
        pytest.param("include own.inc;", "/", id="included"),
        pytest.param("include twice.inc;", "/", id="included by what is included"),
    ],
)
@pytest.mark.parametrize("place", ["all.conf", f"{SHOP}/own.conf"])
def test_a_location_in_nginx_d_takes_the_place_of_ours(
    site: Site, app: Server, text: str, path: str, place: str
) -> None:
    locations = (
        *(Location("/", "web"), Location("/login", "web"), Location("/exact", "web", exact=True)),
        Location("/other", "web"),
    )
    folder = site.nginx.main.parent
    (folder / "own.inc").write_text("location / { return 200 own; }\n")
    (folder / "twice.inc").write_text("include own.inc;\n")
    site.local(place, text)
    web = backend(app.url, locations=locations)
    site.install([site.site(GLOBAL, backend=web), site.site(SHOP, SHOP, backend=web)])
    assert site.https(SHOP, path).body == b"own"
    assert site.https(SHOP, "/other").json["path"] == "/other"
    assert site.http(SHOP, path).status == 301
    if place != "all.conf":
        assert site.https(MAIN, path).json["path"] == path


def test_a_php_site_has_all_its_directives(site: Site, app: Server, tmp_path: Path) -> None:
    site.local(
        f"{SHOP}/php.conf",
        f"root {site.nginx.root}/www;\nindex index.html;\n"
        "location / { try_files $uri $uri/ /index.html; }\n"
        "location ~ /\\. { deny all; }\nclient_max_body_size 64m;\n",
    )
    www = site.nginx.root / "www"
    www.mkdir()
    (www / "index.html").write_text("local")
    site.install([site.site(GLOBAL, backend=backend(app.url)), site.site(SHOP, SHOP)])
    assert site.https(SHOP, "/").body == site.https(SHOP, "/any").body == b"local"
    assert site.https(SHOP, "/.git/config").status == 403
    assert site.http(SHOP, "/").status == 301


def test_who_is_closed_stays_closed_whatever_is_written_for_all(site: Site, app: Server) -> None:
    site.local("all.conf", "location / { return 200 own; }\nlocation = /x { return 200 own; }\n")
    asked = site.facts

    def closed(settings: NginxSettings) -> NginxFacts:
        return replace(asked(settings), closed=frozenset({SHOP}))

    site.facts = closed  # type: ignore[method-assign]
    web = backend(app.url)
    site.install([site.site(GLOBAL, backend=web), site.site(SHOP, SHOP, backend=web)])
    assert site.https(SHOP).status == site.https(SHOP, "/x").status == 503
    assert site.https(MAIN).body == b"own"


# Port 80.


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("location /.well-known/autoconfig/ { return 200 own; }",
         "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=a%40shop.example"),
        ("location = /mail/config-v1.1.xml { return 200 own; }", "/mail/config-v1.1.xml"),
        ("location ~ ^/(\\.well-known/autoconfig/)?mail/config-v1\\.1\\.xml$ { return 200 own; }",
         "/mail/config-v1.1.xml"),
        ("location ^~ /.well-known/pki-validation/ { return 200 own; }",
         "/.well-known/pki-validation/0123ABCD.txt"),
        ("location ~ ^/.well-known/pki-validation/ { return 200 own; }",
         "/.well-known/pki-validation/fileauth.txt"),
        ("location ~* ^/autodiscover/autodiscover\\.xml$ { return 200 own; }",
         "/Autodiscover/Autodiscover.xml"),
        ("location /.well-known { return 200 own; }", "/.well-known/security.txt"),
        ("rewrite ^/\\.well-known/autoconfig/.*$ /ac last;\nlocation = /ac { return 200 own; }",
         "/.well-known/autoconfig/mail/config-v1.1.xml"),
        ("location / { return 500; }\nlocation /.well-known/x { return 200 own; }",
         "/.well-known/x"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["all.conf", f"{SHOP}/own.conf"])
def test_what_is_for_clients_without_tls_is_reached_on_port_80(
    site: Site, app: Server, text: str, path: str, place: str
) -> None:
    site.local(place, f"{text}\nlocation /secret {{ return 200 secret; }}\n")
    web = backend(app.url)
    site.install([site.site(GLOBAL, backend=web), site.site(SHOP, SHOP, backend=web)])
    site.challenge("token", "token.thumbprint")
    assert site.http(SHOP, path).body == site.https(SHOP, path).body == b"own"
    for other in ("/", "/secret", "/any", "/.well-know", "/mail/"):
        assert site.http(SHOP, other).status == 301, other
    assert site.http(SHOP, f"{CHALLENGE}token").body == b"token.thumbprint"
    assert site.https(SHOP, f"{CHALLENGE}token").body == b"token.thumbprint"


# Through the commands.


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    """Return a machine with nginx and Pebble alone."""
    require(WEB)
    with Machine(root, WEB) as running:
        yield running


def directives(machine: Machine, name: str, text: str) -> None:
    """Write a file of the administrator's own."""
    file = machine.config.parent / "nginx.d" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_many_names_are_proven_however_few_requests_others_may_make(web: Machine) -> None:
    within_http(
        web.nginx.main,
        "limit_req_zone $binary_remote_addr zone=all:1m rate=10r/s; limit_req zone=all;\n"
        "limit_conn_zone $binary_remote_addr zone=each:1m; limit_conn each 1;",
    )
    domains = {
        f"d{number}.example": {
            "url": f"https://www.d{number}.example",
            "extra_names": [f"autodiscover.d{number}.example", f"mail.d{number}.example"],
            "certificate": "acme",
        }
        for number in range(20)
    }
    web.model(domains)
    run = web.proxygen("apply", seconds=300)
    assert run.returncode == 0, run.stdout + run.stderr
    for number in range(20):
        for name in ("www", "autodiscover", "mail"):
            asked = f"{name}.d{number}.example"
            assert asked in client.names(client.leaf(web.nginx.https, asked))
    assert web.proxygen("apply").stdout == "nothing to do\n"


def test_what_answers_instead_of_the_challenge_is_told(web: Machine) -> None:
    within_http(
        web.nginx.main,
        f"server {{ listen 127.0.0.1:{web.nginx.http}; server_name www.a.example;"
        " return 301 https://elsewhere.example$request_uri; }",
    )
    web.model({"a.example": {"url": "https://www.a.example", "certificate": "acme"}}, main=TRIAL)
    run = web.proxygen("apply", "--json")
    assert run.returncode == 5
    (failure,) = json.loads(run.stdout)["failures"]
    place = "https://elsewhere.example/.well-known/acme-challenge/proxygen"
    assert f"301 Moved Permanently to {place} (nginx" in json.dumps(failure)
    assert "www.a.example" in json.dumps(failure)


def test_the_file_that_is_asked_for_is_healed(web: Machine) -> None:
    web.model({"a.example": {"url": "https://www.a.example", "certificate": "acme"}}, main=TRIAL)
    assert web.proxygen("apply").returncode == 0
    place = web.root / "var/lib/proxygen/challenges/.well-known/acme-challenge/proxygen"
    assert place.read_text() == "proxygen\n"
    assert client.get(web.nginx.http, "www.a.example", f"{CHALLENGE}proxygen", tls=False).body
    place.unlink()
    assert "nothing to do" in web.proxygen("plan").stdout
    assert not place.exists()  # a plan writes nothing
    assert web.proxygen("apply").stdout == "nothing to do\n"
    assert place.read_text() == "proxygen\n"


def test_others_who_want_the_proxy_protocol_on_our_sockets_are_told_and_obeyed(
    web: Machine,
) -> None:
    web.nginx.conf_d.joinpath("balanced.conf").write_text(
        "server {\n"
        f"    listen 127.0.0.1:{web.nginx.http} proxy_protocol;\n"
        f"    listen 127.0.0.1:{web.nginx.https} ssl proxy_protocol;\n"
        "    server_name other.example;\n    ssl_reject_handshake on;\n}\n"
    )
    ordered = {"url": "https://www.a.example", "certificate": "acme"}
    web.model({"a.example": ordered}, main=TRIAL)
    first = web.proxygen("apply", "--json")
    failures = json.loads(first.stdout)["failures"]
    assert [each["of"] for each in failures] == ["a.example"], first.stdout  # no header from Pebble
    assert "answers challenges" not in first.stdout  # nginx was asked with one
    for command in ("plan", "status"):
        run = web.proxygen(command)
        for line in (2, 3):
            assert f"balanced.conf:{line}: `proxy_protocol` holds for every" in run.stderr
        assert "proxy_protocol: {from: [" in run.stderr


def warned(machine: Machine) -> list[str]:
    """Return what a plan warns of in the administrator's directives."""
    found = json.loads(machine.proxygen("plan", "--json").stdout)["warnings"]
    return [each["words"] for each in found if each["code"] == "directives"]


def test_what_has_no_effect_or_another_one_is_told_by_file_and_line(web: Machine) -> None:
    within_http(web.nginx.main, "\n    ssl_client_certificate /etc/ssl/ca.pem;")
    backends: dict[str, Any] = {
        "web": {
            "upstreams": {"web": ["http://127.0.0.1:9"]},
            "locations": {"/": {"upstream": "web"}},
        }
    }
    web.model({"a.example": {"url": "https://www.a.example", "backend": "web"}}, main=TRIAL)
    web.model(
        {"a.example": {"url": "https://www.a.example", "backend": "web"}},
        main=TRIAL,
        backends=backends,
    )
    directives(web, "all.conf", "\nlocation ^~ /.well-known/acme-challenge/ { root /srv; }\n")
    assert warned(web) == [
        "nginx.d/all.conf:2: `location ^~ /.well-known/acme-challenge/` has no effect: proxygen"
        " answers ACME challenges before it; remove it"
    ]


def test_clients_that_must_have_a_certificate_are_told_where_that_is_said(web: Machine) -> None:
    roots = web.pebble.trusted_root
    within_http(web.nginx.main, f"ssl_client_certificate {roots};\nssl_verify_client on;")
    web.model({"a.example": {"url": "https://www.a.example"}}, main=TRIAL)
    line = 1 + web.nginx.main.read_text().split("ssl_verify_client")[0].count("\n")
    (told,) = warned(web)
    assert f"{web.nginx.main}:{line}: `ssl_verify_client on`" in told
    assert "`ssl_verify_client off;` into /etc/proxygen/nginx.d/clients.conf" in told
    assert web.proxygen("apply").returncode == 0
    assert client.get(web.nginx.https, MAIN).status == 400
    directives(web, "clients.conf", "ssl_verify_client off;\n")
    assert not warned(web)
    assert web.proxygen("apply").returncode == 0
    assert client.get(web.nginx.https, MAIN).status == 404


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("location / { }\nlocation / { }\n", 2, 'duplicate location "/"'),
        ("\n\nlocation /x { proxi_pass http://127.0.0.1:9; }\n", 3, "unknown directive"),
        ("location / {\n  location /x/ { location / { } }\n}\n", 2, "is outside location"),
    ],
)
def test_what_nginx_refuses_is_told_with_the_line_of_the_administrators_file(
    web: Machine, text: str, line: int, words: str
) -> None:
    web.model({"a.example": {"url": "https://www.a.example"}}, main=TRIAL)
    directives(web, "a.example/own.conf", text)
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert words in run.stderr
    assert f"nginx.d/a.example/own.conf:{line}" in run.stderr
    assert client.get(web.nginx.https, MAIN).status == 404
