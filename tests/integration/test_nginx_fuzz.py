"""Whatever a model may say, nginx takes what is made of it: no domain can stop the others."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from proxygen.errors import ModelError
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.model.upstreams import host_names
from proxygen.model.views import web_view
from proxygen.plan.render import Template, Templates, render_template
from proxygen.services import nginx
from proxygen.services.nginx_facts import NginxFacts
from tests import certificates, models
from tests.conftest import require
from tests.integration.test_nginx_live import answer
from tests.live.needs import path_of

TEMPLATES = Path(__file__).parents[2] / "templates"
MAIN = """\
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    include {root}/ours.conf;
}}
"""
PAIR = certificates.make("any").pair().pem
LABEL = "x" * 61
LONG = ".".join([LABEL] * 4)[:244]


@dataclass
class Asked:
    """The real nginx, asked about models."""

    root: Path

    def refusal(
        self, site: Site, addresses: Sequence[str] = ("10.0.0.1", "2001:db8::1"), **settings: Any
    ) -> str | None:
        """Return why nginx refuses what is made of a site whose names have these addresses."""
        layout = Layout(self.root, self.root / "etc/proxygen/proxygen.yaml")
        bundles = models.bundles(site)
        live = layout.live("nginx")
        live.certificates.mkdir(parents=True, exist_ok=True)
        pair = PAIR
        for each in bundles.values():
            live.certificate(each.owner, each.digest).write_bytes(pair)
        facts = replace(
            NginxFacts(path_of("nginx"), (1, 22, 1), self.root / "nginx.conf", user="www-data"),
            addresses=dict.fromkeys(host_names(site), tuple(addresses)),
        )
        chosen = nginx.NginxSettings.model_validate(
            {"listen": {"http": ["127.0.0.1:5080"], "https": ["127.0.0.1:5443"]}} | settings
        )
        wanted = nginx.wanted(web_view(site, bundles), chosen, facts, layout.of("nginx"))
        (file,) = wanted.files
        (self.root / "ours.conf").write_text(render_template(templates(), file))
        facts.main.write_text(MAIN.format(root=self.root))
        (check,) = nginx.check(facts, chosen, facts.main)
        return nginx.refused([answer(check)])


def templates() -> Templates:
    """Return the package's templates."""
    paths = TEMPLATES.glob("*/*.j2")
    return Templates(
        {
            path.relative_to(TEMPLATES).as_posix(): Template(path.read_text(), str(path))
            for path in paths
        }
    )


@pytest.fixture
def asked(root: Path) -> Asked:
    """Return the real nginx."""
    require(("nginx",))
    return Asked(root)


def site_of(**fields: Any) -> Site:
    """Return the site of a model in a few words."""
    main = {"url": "mail.example.net", "certificate": "selfsigned"}
    return models.site(json.dumps({"global": main} | fields))


@pytest.mark.parametrize("certificates_when", ["at_start", "on_demand"])
@pytest.mark.parametrize(
    "names",
    [
        pytest.param([f"{LONG}.example"], id="the longest name"),
        pytest.param([f"*.{LONG[:240]}.example"], id="the longest wildcard"),
        pytest.param([f"{'a' * size}.example" for size in range(30, 63)], id="every length"),
        pytest.param([f"{'b' * 63}.{'c' * size}.example" for size in range(1, 63)], id="long"),
        pytest.param([f"h{number}.many.example" for number in range(99)], id="many"),
        pytest.param([f"*.h{number}.wild.example" for number in range(99)], id="many wildcards"),
        pytest.param(["xn--mnchen-3ya.example", "1.2.3.example", "a--b.example"], id="odd"),
        pytest.param(["bücher.example", "0.example"], id="not ASCII"),
        pytest.param(["default.example", "include.example", "global.example"], id="words of nginx"),
    ],
)
def test_names_of_any_form_are_taken(
    asked: Asked, names: list[str], certificates_when: str
) -> None:
    domains = {
        "d.example": {"url": "www.d.example", "extra_names": names, "certificate": "selfsigned"}
    }
    site = site_of(domains=domains)
    assert asked.refusal(site, certificates=certificates_when) is None


def test_a_domain_called_as_words_of_maps_are_is_taken(asked: Asked) -> None:
    """In a map `default`, `include`, `hostnames` and `volatile` mean something."""
    keys = ("default", "include", "hostnames", "volatile", "global")
    domains: dict[str, Any] = {}
    for number, key in enumerate(keys):
        domains[f"{key}.example"] = {"url": f"{key}.w{number}.example"}
    assert asked.refusal(site_of(domains=domains)) is None


def test_many_domains_with_long_names_are_taken(asked: Asked) -> None:
    domains = {
        f"d{number}.example": {"url": f"{'w' * 50}.{'v' * 50}.d{number}.example"}
        for number in range(3000)
    }
    assert asked.refusal(site_of(domains=domains), certificates="on_demand") is None


SERVERS = (
    *("http://10.0.0.1", "http://10.0.0.1:1", "http://10.0.0.1:65535", "http://[::1]:8080"),
    *("http://[::]", "http://[::ffff:10.0.0.1]:80", "http://[2001:DB8::1]", "http://0.0.0.0:80"),
    *(
        "http://255.255.255.255:80",
        "http://app",
        "http://APP.example:8080",
        "http://1",
        "http://0x7f",
    ),
    *("http://a..b", "http://a-.b", f"http://{'a' * 200}.example", "http://localhost:80"),
    *("http://010.0.0.1", "http://[fe80::1]:80", "http://127.1", "http://10.0.0.1:00080"),
)
PATHS = (
    *("/", "/a", "/a/", "//", "/%", "/%zz", "/%00", "/~", "/@", "/=", "/:", "/+", "/..", "/../.."),
    *(
        "/.",
        "/a//b",
        "/=a",
        "/~*a",
        "/" + "a" * 200,
        "/a.b_c-d~e",
        "/.well-known/",
        "/.well-known/x",
    ),
    *("/.well-known", "/.well-known/acme-challeng", "/$", "/{", "/;", '/"', "/a b", "/\\", "/#"),
)
FIELDS: dict[str, tuple[Any, ...]] = {
    "exact": (True, False),
    "websocket": (True, False),
    "buffering": (True, False),
    "request_buffering": (True, False),
    "rewrite": ("/", "/x", "/x/", "/%20", "//", "/~"),
    "redirect": ("/", "/x", "/%20", "//", "/~", "/a=b@c"),
    "host": ("a.example", "xn--bcher-kva.example"),
    "password": (True, False),
    "connect_timeout": (0, 1, "7d", "75s", 604800),
    "read_timeout": (0, "1s", "7d"),
    "send_timeout": (0, "7d", 1),
    "body_size": (0, 1, "1024g", "1k", 1099511627776),
}


def location(draw: random.Random) -> dict[str, Any]:
    """Return the fields of some location."""
    some = draw.sample(sorted(FIELDS), draw.randint(0, 4))
    return {"upstream": "web"} | {name: draw.choice(FIELDS[name]) for name in some}


def backend(draw: random.Random) -> dict[str, Any]:
    """Return some backend."""
    locations = {path: location(draw) for path in draw.sample(PATHS, draw.randint(0, 6))}
    servers = draw.sample(SERVERS, draw.randint(1, 4))
    passwords = draw.choice(("/etc/nginx/passwords", "/a%b,c+d/~e", "/x:y"))
    return {
        "upstreams": {"web": servers},
        "locations": locations,
        "password_file": passwords,
    }


def refused_by_us(build: Callable[[], Site]) -> Site | None:
    """Return a site, None where our own reader refuses it, which it may."""
    try:
        return build()
    except ModelError:
        return None


@pytest.mark.parametrize("seed", range(8))
def test_backends_of_any_form_are_taken(asked: Asked, seed: int) -> None:
    """Each that the reader takes; together, since what one takes from another counts as well."""
    draw = random.Random(seed)
    backends, domains = {}, {}
    while len(backends) < 25:
        name, fields = f"b{len(backends)}", backend(draw)
        if refused_by_us(lambda one={name: fields}: site_of(backends=one)):
            backends[name] = fields
            domains[f"{name}.example"] = {"url": f"www.{name}.example", "backend": name}
    assert asked.refusal(site_of(backends=backends, domains=domains)) is None


def test_a_server_that_the_reader_takes_nginx_takes(asked: Asked) -> None:
    backends, domains = {}, {}
    for number, server in enumerate(SERVERS):
        fields = {"upstreams": {"web": [server]}}
        if refused_by_us(lambda one={"b": fields}: site_of(backends=one)):
            backends[f"b{number}"] = fields
            domains[f"d{number}.example"] = {"url": f"w{number}.example", "backend": f"b{number}"}
    assert len(backends) > 10
    assert asked.refusal(site_of(backends=backends, domains=domains)) is None


def test_a_location_that_the_reader_takes_nginx_takes(asked: Asked) -> None:
    taken = {}
    for path in PATHS:
        locations = {path: {"upstream": "web"}}
        fields = {"upstreams": {"web": ["http://10.0.0.1"]}, "locations": locations}
        if refused_by_us(lambda one={"b": fields}: site_of(backends=one)):
            taken |= locations
    fields = {"b": {"upstreams": {"web": ["http://10.0.0.1"]}, "locations": taken}}
    domains = {"d.example": {"url": "www.d.example", "backend": "b"}}
    assert len(taken) > 10
    assert asked.refusal(site_of(backends=fields, domains=domains)) is None


def test_as_many_addresses_as_names_may_have_are_taken(asked: Asked) -> None:
    """What a name stands for is said by whose name server it is."""
    servers = [f"http://{'n' * 60}{number}.example" for number in range(64)]
    domains = {"d.example": {"url": "www.d.example", "backend": "b"}}
    site = site_of(backends={"b": {"upstreams": {"web": servers}}}, domains=domains)
    addresses = tuple(
        f"2001:db8:1111:2222:3333:4444:5555:{number:x}" for number in range(4096, 4160)
    )
    assert asked.refusal(site, addresses) is None
