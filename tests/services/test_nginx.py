"""What proxygen wants of nginx, for every kind of model, version and host."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from proxygen import registry
from proxygen.errors import Origin, ServiceError
from proxygen.model.backends import backend as built
from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.model.hosts import ASKED_LABEL, example_of
from proxygen.model.layout import Layout
from proxygen.model.schema import BackendFields
from proxygen.model.site import Backend, Location, Upstream
from proxygen.model.views import WebSite, WebView
from proxygen.plan.render import Template, Templates, render_template
from proxygen.services import (
    EVERYWHERE,
    Additions,
    Answer,
    Command,
    Reading,
    nginx,
    nginx_facts,
)
from proxygen.services.nginx_facts import NginxFacts
from proxygen.services.nginx_lexer import parse_configuration
from tests.certificates import NOON

TEMPLATES = Path(__file__).parents[2] / "templates"
HERE = Origin("proxygen.yaml", 1, 1)
LAYOUT = Layout(Path("/"), Path("/etc/proxygen/proxygen.yaml")).of("nginx")
FACTS = NginxFacts(
    *("/usr/sbin/nginx", (1, 22, 1), Path("/etc/nginx/nginx.conf")), openssl=(3, 0, 22), user="www"
)
MAIN, SHOP, POST = "mail.example.net", "shop.example", "post.example"
APP = Backend("app", (Upstream("web", ("http://10.0.0.1",)),), (Location("/", "web"),), HERE)
BUILT = """nginx version: nginx/1.22.1
built with OpenSSL 3.0.2 15 Mar 2022 (running with OpenSSL 3.5.1 1 Jul 2025)
TLS SNI support enabled
configure arguments: --prefix=/usr/share/nginx --conf-path=/etc/nginx/nginx.conf \
--pid-path=/run/compiled.pid --user=builder --with-http_realip_module
"""
CONFIGURATION = """user www-data www;
pid /run/own.pid;
http {
    include /etc/nginx/mime.types;
    include conf.d/*.conf;
}
"""


def settings(**fields: Any) -> nginx.NginxSettings:
    """Return settings as the model gives them."""
    return nginx.NginxSettings.model_validate(fields)


def bundle(owner: str) -> Bundle:
    """Return a bundle of that owner."""
    digest = owner.encode().hex().ljust(64, "0")
    return Bundle(owner, (), "acme", "CA", NOON, NOON, "1", "", "", digest, "ecdsa-p256")


def site(owner: str, *names: str, own: bool = True, backend: Backend | None = APP) -> WebSite:
    """Return a site; without a certificate of its own it has the global one."""
    return WebSite(owner, names or (owner,), bundle(owner if own else GLOBAL), backend)


MAIN_SITE = site(GLOBAL, MAIN)


def text(*sites: WebSite, facts: NginxFacts = FACTS, **fields: Any) -> str:
    """Return the file that is wanted for the global URL and *sites*."""
    return text_of(MAIN_SITE, *sites, facts=facts, **fields)


def text_of(*sites: WebSite, facts: NginxFacts = FACTS, **fields: Any) -> str:
    """Return the file that is wanted for *sites*, the first one the global URL's."""
    view = WebView(sites)
    (file,) = nginx.wanted(view, settings(**fields), facts, LAYOUT).files
    loaded = {
        str(path.relative_to(TEMPLATES)): Template(path.read_text(), str(path))
        for path in TEMPLATES.glob("nginx/*.j2")
    }
    return render_template(Templates(loaded), file)


def served(configuration: str) -> list[str]:
    """Return the HTTPS server blocks that serve sites."""
    blocks = re.findall(r"^server \{\n(.*?)^\}\n", configuration, re.MULTILINE | re.DOTALL)
    return [block for block in blocks if " ssl" in block and "ssl_certificate " in block]


# Settings.


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (443, "443"),
        ("443", "443"),
        ("*:443", "443"),
        ("0.0.0.0:443", "443"),
        ("127.0.0.1:8443", "127.0.0.1:8443"),
        ("[::]:443", "[::]:443"),
        ("[2001:DB8:0::1]:443", "[2001:db8::1]:443"),
    ],
)
def test_sockets_have_one_spelling(written: object, meant: str) -> None:
    assert settings(listen={"https": [written]}).listen.https == (meant,)


@pytest.mark.parametrize(
    "written",
    [
        *(0, 65536, -1, True, None, 4.5, "", "x", "host:443", "1.2.3:443", "256.1.1.1:443"),
        *("::1:443", "[127.0.0.1]:443", "[::1]", "443 default_server", "443;", "unix:/x", "443\n"),
    ],
)
def test_other_sockets_are_mistakes(written: object) -> None:
    with pytest.raises(ValidationError):
        settings(listen={"https": [written]})


@pytest.mark.parametrize(
    "fields",
    [
        {"listen": {"https": []}},
        {"listen": {"https": [443, "*:443"]}},
        {"listen": {"quic": [443]}},
        {"unknown_names": "accept"},
        {"hsts": -1},
        {"hsts": 10**10},
        {"hsts": "1"},
        {"hsts": True},
        {"proxy_protocol": {}},
        {"proxy_protocol": {"from": []}},
        {"proxy_protocol": {"from": ["10.0.0.1/8"]}},
        {"proxy_protocol": {"from": ["balancer"]}},
        {"certificates": "never"},
        {"snippet": "x"},
    ],
)
def test_other_settings_are_mistakes(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**fields)


def test_settings_have_a_schema() -> None:
    schema = TypeAdapter(nginx.NginxSettings).json_schema()
    assert schema["additionalProperties"] is False
    assert {"program", "configuration", "listen", "hsts"} <= set(schema["properties"])


# Facts.


def facts(
    built_as: str = BUILT,
    configuration: Answer | str = CONFIGURATION,
    layout: Layout = LAYOUT,
    **fields: Any,
) -> NginxFacts:
    """Return what is told by these answers."""
    read = Answer(0, configuration, "") if isinstance(configuration, str) else configuration
    answers = {"built": Answer(0, "", built_as), "configuration": read}
    return nginx.facts("/usr/sbin/nginx", settings(**fields), layout.of("nginx"), answers)


def test_questions_ask_the_program_and_read_its_main_file() -> None:
    asked = nginx.questions("/usr/sbin/nginx", settings(), Layout(Path("/r"), Path("/m")))
    assert asked["built"] == Command(("/usr/sbin/nginx", "-V"))
    reading = asked["configuration"]
    assert isinstance(reading, Reading)
    assert reading.path == Path("/r/etc/nginx/nginx.conf")


def test_the_model_may_name_the_main_file() -> None:
    asked = nginx.questions("nginx", settings(configuration="/opt/nginx.conf"), LAYOUT)
    reading = asked["configuration"]
    assert isinstance(reading, Reading)
    assert reading.path == Path("/opt/nginx.conf")


def test_facts_of_a_debian() -> None:
    assert facts() == NginxFacts(
        program="/usr/sbin/nginx",
        version=(1, 22, 1),
        main=Path("/etc/nginx/nginx.conf"),
        openssl=(3, 5, 1),
        pid_file=Path("/run/own.pid"),
        user="www-data",
        usual_log="logs/access.log",
    )


@pytest.mark.parametrize(
    ("written", "pid_file", "user"),
    [
        ("", "/r/run/compiled.pid", "builder"),
        ("# pid /run/not.pid; user root;\n", "/r/run/compiled.pid", "builder"),
        ("pid logs/x.pid;user a;", "/r/usr/share/nginx/logs/x.pid", "a"),
        ("log_format x 'pid /run/not.pid;'; pid /run/x.pid;", "/run/x.pid", "builder"),
    ],
)
def test_pid_file_and_user(written: str, pid_file: str, user: str) -> None:
    text = f"{written} include /r/etc/nginx/conf.d/*.conf;"
    found = facts(configuration=text, layout=Layout(Path("/r"), Path("/m")))
    assert (str(found.pid_file), found.user) == (pid_file, user)


def test_an_nginx_built_without_a_user_serves_as_nobody() -> None:
    text = "include conf.d/*.conf;"
    found = facts("nginx version: openresty/1.25.3.1\nbuilt with BoringSSL", text)
    assert (found.user, found.version, found.openssl) == ("nobody", (1, 25, 3, 1), ())
    assert found.pid_file == Path("/run/nginx.pid")


@pytest.mark.parametrize("built_as", ["nginx version: nginx/1.18.0\n", "nginx/1.19.3", "", "?"])
def test_an_nginx_that_cannot_refuse_handshakes_is_refused(built_as: str) -> None:
    with pytest.raises(ServiceError, match="too old") as refused:
        facts(built_as)
    assert "1.19.5" in refused.value.remedy


def test_an_nginx_without_realip_cannot_stand_behind_a_proxy() -> None:
    without = BUILT.replace("--with-http_realip_module", "")
    assert facts(without).version == (1, 22, 1)
    with pytest.raises(ServiceError, match="realip"):
        facts(without, proxy_protocol={"from": ["10.0.0.0/8"]})


def test_a_main_file_that_is_elsewhere_is_told() -> None:
    with pytest.raises(ServiceError, match="cannot be read") as refused:
        facts(configuration=Answer(1, "", "not there"))
    assert "/etc/nginx/nginx.conf" in refused.value.remedy
    assert refused.value.words == "not there"


@pytest.mark.parametrize(
    ("include", "included"),
    [
        ("include conf.d/*.conf;", True),
        ("include /etc/nginx/conf.d/*.conf;", True),
        ('include "/etc/nginx/conf.d/*.conf";', True),
        ("include /etc/nginx/conf.d/00-proxygen.conf;", True),
        ("http{include /etc/nginx/conf.d/*;}", True),
        ("# include conf.d/*.conf;", False),
        ("log_format x 'include conf.d/*.conf;';", False),
        ("include /etc/nginx/sites-enabled/*;", False),
        ("include other/conf.d/*.conf;", False),
        ("", False),
    ],
)
def test_the_configuration_must_include_our_file(include: str, included: bool) -> None:
    if included:
        assert facts(configuration=include)
        return
    with pytest.raises(ServiceError, match="does not include") as refused:
        facts(configuration=include)
    assert "include /etc/nginx/conf.d/*.conf;" in refused.value.remedy


@pytest.mark.parametrize(
    ("listen", "ports"),
    [
        ("listen 443 ssl default_server;", {443}),
        ("listen [::]:443 default_server ssl; listen 80 default_server;", {443, 80}),
        ("listen 127.0.0.1 default_server;", {80}),
        (f"listen {'4' * 5000} default_server; listen 80 default_server;", {80}),
        ("# listen 443 default_server;", set()),
        ("listen 443 ssl;", set()),
        ("listen unix:/run/x default_server;", set()),
        ("listen 443; } upstream x { listen 80 default_server;", set()),
    ],
)
def test_somebody_elses_default_server_is_noticed(listen: str, ports: set[int]) -> None:
    found = facts(configuration=f"http {{ include conf.d/*.conf; server {{ {listen} }} }}")
    assert found.default_ports == ports


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("server_name A.example *.b.example;", {"a.example", "*.b.example"}),
        ("server_name ~^own[.]example$;", {"~^own[.]example$"}),
        (r'server_name "~^own\d{1,3};x$";', {r"~^own\d{1,3};x$"}),
        ("server_name '~^own{2}$';", {"~^own{2}$"}),
        ("# server_name '~^own$';", set()),
        ("log_format x 'server_name \"~^own$\";';", set()),
        ('server_name "" a.example;', {"a.example"}),
        ("listen 80; } map $host $x { server_name b.example;", set()),
    ],
)
def test_the_names_of_somebody_elses_server_blocks_are_known(
    written: str, expected: set[str]
) -> None:
    found = facts(configuration=f"http {{ include conf.d/*.conf; server {{ {written} }} }}")
    assert found.names == expected


# What is wanted.


def test_the_pointer_is_the_first_file_of_conf_d() -> None:
    pointer = nginx.pointer(FACTS.main)
    assert pointer.path == Path("/etc/nginx/conf.d/00-proxygen.conf")
    assert pointer.directive("/live/*.conf") == "include /live/*.conf;"
    assert pointer.directive("/of ours/*.conf") == 'include "/of ours/*.conf";'
    text = "include a;\n# include b;\nx 'include c;';include  \"d\" ;noinclude e;"
    assert [each.mask for each in pointer.includes(text)] == ["a", "d"]


def test_every_certificate_that_is_served_is_wanted_once() -> None:
    view = WebView((MAIN_SITE, site(SHOP), site(POST, own=False)))
    wanted = nginx.wanted(view, settings(), FACTS, LAYOUT)
    assert wanted.certificates == (bundle(GLOBAL), bundle(SHOP))


def test_the_same_certificate_at_two_owners_is_a_file_of_each() -> None:
    same = replace(bundle(POST), digest=bundle(SHOP).digest)
    other = WebSite(POST, (POST,), same, None)  # another backend is another block
    view = WebView((MAIN_SITE, site(SHOP), other))
    wanted = nginx.wanted(view, settings(), FACTS, LAYOUT)
    assert wanted.certificates == (bundle(GLOBAL), bundle(SHOP), same)
    named = set(re.findall(r"ssl_certificate (\S+);", text(site(SHOP), other)))
    live = LAYOUT.live("nginx")
    files = {str(live.certificate(each.owner, each.digest)) for each in wanted.certificates}
    assert named == files


def test_workers_read_certificates_only_on_demand() -> None:
    view = WebView((MAIN_SITE,))
    assert nginx.wanted(view, settings(), FACTS, LAYOUT).readers is None
    late = nginx.wanted(view, settings(certificates="on_demand"), FACTS, LAYOUT)
    assert late.readers == "www"


def test_at_start_sites_share_a_block_with_their_certificate_and_backend() -> None:
    sites = [site(SHOP), site(POST, own=False), site("c.example", own=False, backend=None)]
    blocks = served(text(*sites))
    names = [re.findall(r"server_name (\S+);", block) for block in blocks]
    assert names == [[MAIN, POST], [SHOP], ["c.example"]]
    files = [re.findall(r"ssl_certificate(?:_key)? (\S+);", block) for block in blocks]
    folder = LAYOUT.live("nginx")
    wanted = [folder.certificate(owner, bundle(owner).digest) for owner in (GLOBAL, SHOP, GLOBAL)]
    assert files == [[str(file)] * 2 for file in wanted]


def test_on_demand_sites_share_a_block_with_their_backend() -> None:
    other = replace(APP, name="other")
    sites = [site(SHOP), site(POST, own=False), site("c.example", backend=other)]
    blocks = served(text(*sites, certificates="on_demand"))
    names = [re.findall(r"server_name (\S+);", block) for block in blocks]
    assert names == [[MAIN, SHOP, POST], ["c.example"]]
    assert all("ssl_certificate $proxygen_certificate;" in block for block in blocks)


def test_local_additions_get_their_own_block() -> None:
    scopes = {SHOP: "5" * 32, "gone.example": "6" * 32, EVERYWHERE: "7" * 32}
    additions = {scope: Additions(scope, (), digest) for scope, digest in scopes.items()}
    local = replace(FACTS, additions=additions)
    written = text(site(SHOP), site(POST), facts=local, certificates="on_demand")
    kept = "/var/lib/proxygen/live/nginx/additions"
    own, shared = f"include {kept}/{'5' * 32}/*.conf;", served(written)
    assert [own in block for block in shared] == [False, True]
    assert "6" * 32 not in written
    assert written.count(f"include {kept}/{'7' * 32}/*.conf;") == written.count("\nserver {")


def test_an_owner_that_is_closed_gets_503_for_all_but_challenges() -> None:
    facts = replace(FACTS, closed=frozenset({SHOP}))
    (block,) = (each for each in served(text(site(SHOP), facts=facts)) if SHOP in each)
    assert "return 503;" in block
    assert "proxy_pass" not in block
    assert "location ^~ /.proxygen-challenge/" in block
    assert block.index("rewrite ^/\\.well-known/acme-challenge/") < block.index("return 503;")


def test_an_owner_without_what_nginx_refuses() -> None:
    shown = replace(FACTS, shown={SHOP: None})
    assert f"certificates/{SHOP}-" not in text(site(SHOP), facts=shown)
    former = replace(FACTS, shown={SHOP: ("f" * 16, "")})
    assert f"certificates/{SHOP}-{'f' * 16}.pem" in text(site(SHOP), facts=former)
    gone = replace(FACTS, dropped=frozenset({SHOP}))
    assert SHOP not in text(site(SHOP), facts=gone)


@pytest.mark.parametrize(("count", "late"), [(199, False), (200, True)])
def test_many_certificates_are_loaded_on_demand(count: int, late: bool) -> None:
    sites = [site(f"c{number}.example") for number in range(count)]
    assert ("$proxygen_certificate" in text(*sites)) is late


def test_many_sites_with_one_certificate_are_few_certificates() -> None:
    sites = [site(f"c{number}.example", own=False) for number in range(300)]
    written = text(*sites)
    assert "$proxygen_certificate" not in written
    assert len(served(written)) == 1


@pytest.mark.parametrize(
    ("version", "openssl", "there", "missing"),
    [
        ((1, 22, 1), (3, 0), "listen 443 ssl http2;", "http2 on;"),
        ((1, 25, 0), (3, 0), "listen 443 ssl http2;", "http2 on;"),
        ((1, 25, 1), (3, 0), "http2 on;", "ssl http2;"),
        ((1, 27, 3), (3, 0), "http2 on;", "ssl_certificate_cache"),
        ((1, 27, 4), (3, 0), "ssl_certificate_cache max=", "ssl http2;"),
        ((1, 27, 4), (3, 4, 9), "ssl_ecdh_curve X25519:prime256v1:secp384r1;", "MLKEM"),
        ((1, 27, 4), (), "ssl_ecdh_curve X25519:prime256v1:secp384r1;", "MLKEM"),
        ((1, 27, 4), (3, 5), "ssl_ecdh_curve X25519MLKEM768:X25519:", "ssl http2;"),
    ],
)
def test_each_version_is_given_what_it_knows(
    version: tuple[int, ...], openssl: tuple[int, ...], there: str, missing: str
) -> None:
    known = replace(FACTS, version=version, openssl=openssl)
    written = text(facts=known, certificates="on_demand")
    assert there in written
    assert missing not in written


def test_the_file_is_laid_out_to_be_read() -> None:
    written = text(site(SHOP), certificates="on_demand")
    of_http = ("log_format ", "access_log ")
    inside = [line for line in written.splitlines() if line.endswith(";")]
    assert all(line.startswith(("    ", *of_http)) for line in inside)
    assert "\n\n\n" not in written


def test_a_host_without_ipv6_listens_on_ipv4_alone() -> None:
    assert "listen [::]:443 ssl" in text()
    assert "listen [::]:80;" in text()
    assert "[::]" not in text(facts=replace(FACTS, ipv6=False))


@pytest.mark.parametrize(("port", "url"), [(443, "https://$host$"), (8443, "https://$host:8443$")])
def test_the_redirect_leads_to_443_or_the_first_https_port(port: int, url: str) -> None:
    assert f"return 301 {url}request_uri;" in text(listen={"https": [port, 9443]})
    if port == 443:
        assert f"return 301 {url}request_uri;" in text(listen={"https": [9443, "127.0.0.1:443"]})


def test_only_upstreams_that_are_used_are_there() -> None:
    unused = Upstream("core", ("http://10.0.0.9:1",))
    backend = replace(APP, upstreams=(*APP.upstreams, unused))
    written = text(site(SHOP, backend=backend), site(POST, backend=None))
    assert written.count("upstream proxygen.app.web {") == 1
    assert "10.0.0.9" not in written


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("http://10.0.0.1", "10.0.0.1:80"),
        ("https://app.example", "10.0.0.7:443"),
        ("https://app.example", "[2001:db8::7]:443"),
        ("http://app.example:8080", "10.0.0.7:8080"),
        ("http://[2001:db8::1]", "[2001:db8::1]:80"),
        ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
    ],
)
def test_upstream_servers_have_the_port_of_their_scheme(url: str, server: str) -> None:
    backend = replace(APP, name="other", upstreams=(Upstream("web", (url,)),))
    facts = replace(FACTS, addresses={"app.example": ("10.0.0.7", "2001:db8::7")})
    written = text(site(SHOP, backend=backend), facts=facts)
    assert f"    server {server} max_fails=1" in written
    assert "app.example" not in written  # nginx would look it up when it starts
    assert f"proxy_pass {url.partition(':')[0]}://proxygen.other.web;" in written


def test_servers_without_an_address_are_left_out_and_without_any_nothing_is_passed_on() -> None:
    servers = ("http://gone.example", "http://10.0.0.1")
    some = replace(APP, name="other", upstreams=(Upstream("web", servers),))
    assert "    server 10.0.0.1:80 max_fails" in (written := text(site(SHOP, backend=some)))
    assert "down" not in written
    none = replace(APP, name="other", upstreams=(Upstream("web", servers[:1]),))
    written = text(site(SHOP, backend=none))
    assert "upstream proxygen.other.web {\n    # No name" in written
    assert "    server 127.0.0.1:9 down;\n" in written


@pytest.mark.parametrize("name", ["a;b", "a b", "$host", "{", "a\nb", '"', "~(", "é"])
def test_no_hostile_value_reaches_the_file(name: str) -> None:
    hostile = [
        site(SHOP, name),
        site(SHOP, f"*.{name}"),
        replace(site(SHOP), owner=name, bundle=bundle(SHOP)),
        site(SHOP, backend=replace(APP, locations=(Location(f"/{name}", "web"),))),
        site(SHOP, backend=replace(APP, locations=(Location("/", "web", rewrite=name),))),
        site(SHOP, backend=replace(APP, upstreams=(Upstream("web", (f"http://{name}",)),))),
    ]
    for one in hostile[:5]:
        with pytest.raises(ServiceError, match="cannot be written"):
            text(replace(one, backend=one.backend and replace(one.backend, name="other")))


# Wildcards and addresses.

WILD, IPV4, IPV6 = f"*.{SHOP}", "192.0.2.1", "2001:db8::1"


def maps(written: str) -> dict[str, dict[str, str]]:
    """Return the maps of a configuration by the variable that each gives."""
    found = re.findall(r"^map \S+ \$(\S+) \{\n(.*?)^\}", written, re.MULTILINE | re.DOTALL)
    return {
        name: dict(line.strip().rstrip(";").split(" ") for line in body.strip().splitlines())
        for name, body in found
    }


def test_without_wildcards_and_addresses_nothing_is_written_for_them() -> None:
    for fields in ({}, {"certificates": "on_demand"}):
        written = text(site(SHOP), **fields)
        assert "_parent" not in written
        assert "wildcard" not in written
        assert '"" global;' not in written
        assert written.count("ssl_reject_handshake on;") == 1


def test_a_wildcard_is_looked_up_by_what_it_is_below() -> None:
    written = text(site(SHOP, SHOP, WILD), site(POST), certificates="on_demand")
    found = maps(written)
    file = LAYOUT.live("nginx").certificate(SHOP, bundle(SHOP).digest)
    for target in ("tls", "request"):
        assert found[f"proxygen_{target}_parent"] == {
            "default": '""',
            f'"~*^{ASKED_LABEL}[.](.+)$"': "$1",
        }
        assert found[f"proxygen_{target}_wildcard"] == {"default": '""', SHOP: SHOP}
        assert found[f"proxygen_{target}_owner"]["default"] == f"$proxygen_{target}_wildcard"
        assert WILD not in found[f"proxygen_{target}_owner"]
    assert found["proxygen_wildcard_certificate"][SHOP] == str(file)
    assert found["proxygen_certificate"]["default"] == "$proxygen_wildcard_certificate"
    assert f'server_name "~^{ASKED_LABEL}[.](?:shop[.]example)$";' in written
    assert "server_name *" not in written


def test_who_a_wildcard_stands_for_as_well_keeps_the_global_certificate() -> None:
    exact = site(POST, f"www.{SHOP}", own=False)
    found = maps(text(site(SHOP, SHOP, WILD), exact, certificates="on_demand"))
    main = LAYOUT.live("nginx").certificate(GLOBAL, bundle(GLOBAL).digest)
    assert found["proxygen_certificate"][f"www.{SHOP}"] == str(main)


@pytest.mark.parametrize("mode", ["at_start", "on_demand"])
def test_long_names_come_before_wildcards_that_stand_for_them_too(mode: str) -> None:
    long = f"{'x' * 50}.{SHOP}"
    sites = [site(SHOP, SHOP, WILD), site(POST, POST, long)]
    written = text(*sites, certificates=mode)
    assert written.index(f"~^{'x' * 50}[.]shop") < written.index(f"~^{ASKED_LABEL}[.](?:shop")
    blocks = served(written)
    assert len(blocks) == (4 if mode == "at_start" else 2)
    apart = text(site(SHOP, SHOP, WILD), site(POST, POST, f"{'x' * 50}.{POST}"), certificates=mode)
    assert len(served(apart)) == (3 if mode == "at_start" else 1)


def test_many_wildcards_are_few_lines_that_nginx_can_read() -> None:
    names = [f"*.{'x' * 50}{number}.{'y' * 60}.customer.example" for number in range(500)]
    written = text(*(site(name[2:], name, own=False) for name in names))
    lines = [line for line in written.splitlines() if f'server_name "~^{ASKED_LABEL}' in line]
    assert 2 * 10 < len(lines) < 2 * 40
    assert all(len(line) < 4000 for line in lines)
    assert all(written.count(f"{'x' * 50}{number}[.]") == 4 for number in (0, 250, 499))


def test_an_address_is_asked_for_without_a_name() -> None:
    main = replace(MAIN_SITE, names=(MAIN, IPV4, IPV6))
    written = text_of(main, site(SHOP))
    found = maps(written)
    assert found["proxygen_tls_owner"]['""'] == GLOBAL
    assert '""' not in found["proxygen_request_owner"]
    assert found["proxygen_request_owner"][f"[{IPV6}]"] == GLOBAL
    assert f"server_name {IPV4};" in written
    assert f"server_name [{IPV6}];" in written
    refusing = "    server_name ~.;\n    ssl_reject_handshake on;\n"
    assert written.index(refusing) > max(map(written.index, served(written)))
    assert written.count("ssl_reject_handshake on;") == 1


@pytest.mark.parametrize(
    ("foreign", "fields", "refused", "default"),
    [
        ({}, {"unknown_names": "global"}, 0, GLOBAL),
        ({"default_ports": frozenset({443})}, {}, 1, '""'),
        ({"default_ports": frozenset({8443})}, {}, 1, '""'),
        ({"names": frozenset({"~^own"})}, {}, 0, "unknown"),
    ],
)
def test_names_that_are_somebody_elses_to_answer_are_not_taken_for_an_address(
    foreign: dict[str, Any], fields: dict[str, Any], refused: int, default: str
) -> None:
    main = replace(MAIN_SITE, names=(MAIN, IPV4))
    written = text_of(main, facts=replace(FACTS, **foreign), **fields)
    assert written.count("ssl_reject_handshake on;") == refused
    assert maps(written)["proxygen_tls_owner"]["default"] == default


def test_a_wildcard_is_seen_by_a_name_and_addresses_without_one() -> None:
    main = replace(MAIN_SITE, names=(MAIN, IPV4, IPV6))
    assert endpoints_of(main, site(SHOP, SHOP, WILD)) == [
        ("127.0.0.1", 443, MAIN, GLOBAL),
        ("127.0.0.1", 443, "", GLOBAL),
        ("::1", 443, MAIN, GLOBAL),
        ("::1", 443, "", GLOBAL),
        ("127.0.0.1", 443, nginx.UNKNOWN, None),
        ("127.0.0.1", 443, SHOP, SHOP),
        ("127.0.0.1", 443, WILD, SHOP),
    ]
    foreign = replace(FACTS, default_ports=frozenset({443}))
    assert "" not in [each[2] for each in endpoints_of(main, facts=foreign)]
    others = replace(FACTS, names=frozenset({"~^own"}))
    assert endpoints_of(main, facts=others)[4][2:] == (nginx.UNKNOWN, GLOBAL)


def test_a_wildcard_is_not_asked_for_by_a_name_that_is_somebody_elses() -> None:
    theirs = site(POST, example_of(WILD))
    assert WILD not in [each[2] for each in endpoints(site(SHOP, SHOP, WILD), theirs)]


# Running it.


def test_the_check_names_the_main_file_and_a_reload_is_the_signal() -> None:
    staged = Path("/stage/nginx.conf")
    (check,) = nginx.check(FACTS, settings(), staged)
    assert str(check) == "/usr/sbin/nginx -t -q -c /stage/nginx.conf -e stderr"
    nginx.reload(FACTS, settings())  # nothing to run: SIGHUP


def test_a_refusal_is_told_without_warnings() -> None:
    said = "nginx: [warn] could not build optimal map_hash\nnginx: [emerg] unknown directive"
    assert nginx.refused([Answer(0, "", said)]) is None
    assert nginx.refused([Answer(1, "", said)]) == "nginx: [emerg] unknown directive"
    logged = "2026/11/30 07:29:11 [emerg] 7942#7942: unknown directive"
    assert nginx.refused([Answer(1, "", logged)]) == "nginx: [emerg] unknown directive"
    assert nginx.refused([Answer(-9, "", "")]) == "nginx -t ended with -9"


def endpoints(*sites: WebSite, facts: NginxFacts = FACTS, **fields: Any) -> list[tuple[Any, ...]]:
    """Return address, port, name and owner of each endpoint of the global URL and *sites*."""
    return endpoints_of(MAIN_SITE, *sites, facts=facts, **fields)


def endpoints_of(
    *sites: WebSite, facts: NginxFacts = FACTS, **fields: Any
) -> list[tuple[Any, ...]]:
    """Return address, port, name and owner of each endpoint."""
    found = nginx.endpoints("nginx", WebView(sites), settings(**fields), facts)
    return [
        (each.address, each.port, each.server_name, each.bundle and each.bundle.owner)
        for each in found
    ]


def test_the_global_name_is_probed_on_every_socket_and_every_other_name_once() -> None:
    assert endpoints(site(SHOP, SHOP, f"www.{SHOP}"), site(POST, own=False)) == [
        ("127.0.0.1", 443, MAIN, GLOBAL),
        ("::1", 443, MAIN, GLOBAL),
        ("127.0.0.1", 443, nginx.UNKNOWN, None),
        ("127.0.0.1", 443, SHOP, SHOP),
        ("127.0.0.1", 443, f"www.{SHOP}", SHOP),
        ("127.0.0.1", 443, POST, GLOBAL),
    ]


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        ({"listen": {"https": ["192.0.2.1:8443"]}}, [("192.0.2.1", 8443)]),
        ({"listen": {"https": ["[::]:443"]}}, [("::1", 443)]),
        ({"listen": {"https": ["[2001:db8::1]:443"]}}, [("2001:db8::1", 443)]),
        ({"listen": {"https": ["[::]:443", 8443]}}, [("127.0.0.1", 8443), ("::1", 443)]),
    ],
)
def test_endpoints_are_where_nginx_listens(
    fields: dict[str, Any], places: list[tuple[str, int]]
) -> None:
    found = [place[:2] for place in endpoints(unknown_names="global", **fields)]
    assert list(dict.fromkeys(found)) == places


def test_what_a_name_that_is_nobodys_is_shown() -> None:
    assert endpoints()[-1][2:] == (nginx.UNKNOWN, None)
    assert endpoints(unknown_names="global")[-1][2:] == (nginx.UNKNOWN, GLOBAL)
    foreign = replace(FACTS, default_ports=frozenset({443, 80}))
    assert nginx.UNKNOWN not in [name for _, _, name, _ in endpoints(facts=foreign)]


def test_endpoints_know_of_the_proxy_protocol() -> None:
    view, behind = WebView((MAIN_SITE,)), settings(proxy_protocol={"from": ["::1"]})
    assert all(each.proxy_protocol for each in nginx.endpoints("nginx", view, behind, FACTS))
    assert nginx.challenge_listener(behind).proxy_protocol
    assert not any(
        each.proxy_protocol for each in nginx.endpoints("nginx", view, settings(), FACTS)
    )


# Applications.


def location_of(application: str, path: str, **upstreams: list[str]) -> Location:
    """Return where nginx takes requests for *path*: the longest location that begins it."""
    fields = BackendFields(application=application, upstreams=upstreams)
    backend = built("app", fields, registry.applications()[application], HERE)
    fitting = [each for each in backend.locations if path.startswith(each.path)]
    return max(fitting, key=lambda each: len(each.path))


PORTS = {
    "web": 8080,
    "core": 8090,
    "mapi": 5001,
    "eas": 8082,
    "tick": 8888,
    "keycloak": 8099,
    "sentry": 443,
}
BLUEMIND = {name: [f"http://10.0.0.1:{port}"] for name, port in PORTS.items()}
FOUR = BLUEMIND | {"hps": ["http://10.0.0.1:8079"]}
MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", {"upstream": "web"}),
        ("/webapp/mail/", {"upstream": "web"}),
        ("/api/users", {"upstream": "core", "read_timeout": 210, "buffering": False}),
        ("/api/attachment/x", {"upstream": "core", "body_size": 200 * MIB}),
        ("/api/filehosting/x", {"upstream": "core", "request_buffering": False}),
        ("/eventbus/websocket", {"upstream": "core", "websocket": True}),
        ("/mapi/emsmdb/", {"upstream": "mapi", "buffering": False, "request_buffering": False}),
        ("/EWS/Exchange.asmx", {"upstream": "mapi", "rewrite": "/ews"}),
        ("/ews/exchange.asmx", {"upstream": "mapi", "rewrite": None}),
        ("/Autodiscover/Autodiscover.xml", {"upstream": "mapi", "rewrite": "/autodiscover"}),
        ("/autodiscover/autodiscover.xml", {"upstream": "mapi", "rewrite": None}),
        ("/OAB/x", {"upstream": "mapi"}),
        ("/Microsoft-Server-ActiveSync", {"upstream": "eas", "read_timeout": 1200}),
        ("/dav/principals/", {"upstream": "web"}),
        ("/.well-known/caldav", {"upstream": "web"}),
        ("/settings/index.html", {"upstream": "web", "body_size": 10 * MIB}),
        ("/setup/index.html", {"upstream": "web", "password": True}),
        ("/tick/", {"upstream": "tick", "password": True, "rewrite": None}),
        ("/keycloak/realms/x", {"upstream": "keycloak", "rewrite": "/", "password": False}),
        ("/keycloak-admin/", {"upstream": "keycloak", "rewrite": "/", "password": True}),
        ("/keycloak-admin/admin/x", {"upstream": "keycloak", "rewrite": "/admin/"}),
        ("/keycloak-admin/admin/x", {"password": False}),
        ("/native", {"redirect": "/login/native", "upstream": None}),
        ("/sentry/api", {"upstream": "sentry", "rewrite": "/", "buffering": False}),
        ("/bm-openid/auth/x", {"upstream": "web", "buffering": False}),
        ("/calendar/publish/x", {"upstream": "web", "rewrite": "/cal/calendar/publish/"}),
        *((f"/{part}/", {"upstream": "web"}) for part in ("visio", "im", "task", "chooser")),
    ],
)
@pytest.mark.parametrize("application", ["bluemind", "bluemind-5"])
def test_bluemind_requests_go_where_bluemind_wants_them(
    path: str, expected: dict[str, Any], application: str
) -> None:
    location = location_of(application, path, **BLUEMIND)
    assert {key: getattr(location, key) for key in expected} == expected


@pytest.mark.parametrize("path", ["/", "/adminconsole/", "/cal/", "/im/", "/visio/", "/webapp/"])
def test_bluemind_4_lets_people_sign_in_before_its_pages(path: str) -> None:
    assert location_of("bluemind", path, **FOUR).upstream == "hps"
    assert location_of("bluemind-5", path, **FOUR).upstream == "web"
    assert location_of("bluemind", "/dav/", **FOUR).upstream == "web"


def test_bluemind_with_the_web_alone_has_no_other_locations() -> None:
    assert location_of("bluemind", "/api/users", web=["http://10.0.0.1:8080"]).upstream == "web"


def test_generic_takes_everything_and_websockets() -> None:
    location = location_of("generic", "/any", web=["http://10.0.0.1"])
    assert (location.path, location.websocket) == ("/", True)


@pytest.mark.parametrize("application", sorted(registry.applications()))
def test_every_application_renders(application: str) -> None:
    known = registry.applications()[application]
    names = {each.upstream for each in known.locations.values() if each.upstream}
    fields = BackendFields(
        application=application, upstreams={name: ["http://10.0.0.1:80"] for name in names}
    )
    written = text(site(SHOP, backend=built("other", fields, known, HERE)))
    for path in known.locations:
        assert f" {path} {{\n" in written


@pytest.mark.parametrize("pid", ["/srv/n.pid", '"/srv/n.pid"', "'/srv/n.pid'"])
def test_quotes_around_a_path_are_not_part_of_it(pid: str) -> None:
    text = f'# pid /no;\npid {pid}; # "x\nhttp {{ include conf.d/*.conf; }}\n'
    assert nginx_facts.pid_file(parse_configuration(text), "", LAYOUT) == Path("/srv/n.pid")
