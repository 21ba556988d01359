"""Wildcards and addresses as clients meet them: what the real nginx makes of such names."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from proxygen.apply.probe import is_as_wanted, probe_all
from proxygen.model.certificate import GLOBAL
from proxygen.model.views import WebSite, WebView
from proxygen.services import nginx
from tests.integration.test_nginx_live import CHALLENGE, Site, backend, program, stretched
from tests.live.backend import Backend as Server
from tests.live.client import leaf, names, secured
from tests.live.machine import Machine
from tests.live.needs import needs
from tests.live.nginx import Nginx

MAIN, SHOP, POST = "mail.example.net", "shop.example", "post.example"
WILD, IPV4, IPV6 = f"*.{SHOP}", "192.0.2.1", "2001:db8::1"

pytestmark = needs("nginx")


@pytest.fixture(params=["debian", "newest"])
def served(request: pytest.FixtureRequest, root: Path) -> Iterator[Site]:
    """Return a running nginx, old and new."""
    path = program(request.param)
    if path is None:
        pytest.skip(f"the {request.param} nginx is not installed")
    with Nginx(root, program=path) as running:
        yield Site(running)


@pytest.fixture(params=["at_start", "on_demand"])
def when(request: pytest.FixtureRequest) -> str:
    """Return when certificates are loaded."""
    return str(request.param)


@pytest.fixture
def web() -> Iterator[Server]:
    """Return a server behind nginx."""
    with Server() as running:
        yield running


def refused(served: Site, *asked: str) -> None:
    """See that no certificate is shown for any of the names."""
    for name in asked:
        with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
            served.shows(name)


def seen_right(served: Site, sites: Sequence[WebSite], **settings: Any) -> None:
    """See that every endpoint shows what it should, as `verify` does."""
    chosen = served.settings(**settings)
    endpoints = list(nginx.endpoints("nginx", WebView(tuple(sites)), chosen, served.facts(chosen)))
    seen = probe_all(endpoints)
    assert [each for each in endpoints if not is_as_wanted(each, seen[each])] == []


def somebody_elses(served: Site, listen: str, more: str) -> None:
    """Write a server block of the administrator's own, after what includes ours."""
    key = served.layout.live("nginx").certificate(GLOBAL, served.main.digest)
    text = served.nginx.main.read_text().rstrip().removesuffix("}")
    served.nginx.main.write_text(
        f"{text}server {{ listen 127.0.0.1:{served.nginx.https} {listen}; {more}"
        f" ssl_certificate {key}; ssl_certificate_key {key}; return 200 theirs; }}\n}}\n"
    )


def test_a_wildcard_stands_for_one_label(served: Site, when: str, web: Server) -> None:
    sites = [
        served.site(GLOBAL, backend=backend(web.url)),
        served.site(SHOP, SHOP, WILD, backend=backend(web.url)),
    ]
    served.install(sites, certificates=when)
    for name in (SHOP, f"a.{SHOP}", f"A-1.{SHOP.upper()}", f"{'x' * 63}.{SHOP}", f"_x.{SHOP}"):
        assert served.shows(name) == sites[1].bundle.fingerprint
        assert served.https(name.lower()).json["host"] == name.lower()
        assert served.http(name.lower()).status == 301
    deeper = f"a.b.{SHOP}"
    refused(served, deeper, f"a{SHOP}")
    assert served.http(deeper).status == 404
    assert served.https(deeper, sni=f"b.{SHOP}").status == 421
    assert served.https(f"b.{SHOP}", sni=f"a.{SHOP}").status == 200
    assert served.https(f"b.{SHOP}", sni=SHOP).status == 200
    seen_right(served, sites, certificates=when)


NO_LABELS = (
    "2130706433#",
    "a%2e",
    "-a",
    "a-",
    "a b",
    "é",
    "a'",
    "x" * 64,
    "127.0.0.1#",
    "{a}",
    "*",
    "",
)
"""What is no label of a name, although nginx takes it for one in a Host."""


@pytest.mark.parametrize("unknown", ["reject", "global"])
def test_what_is_no_name_does_not_reach_the_upstream(
    served: Site, when: str, web: Server, unknown: str
) -> None:
    app = backend(web.url)
    sites = [served.site(GLOBAL, backend=app), served.site(SHOP, SHOP, WILD, backend=app)]
    served.install(sites, certificates=when, unknown_names=unknown)
    for label in NO_LABELS:
        host = f"{label}.{SHOP}"
        for sni in (SHOP, f"a.{SHOP}", MAIN, "unknown.example", "")[
            : 5 if unknown == "global" else 3
        ]:
            assert asked(served, host, sni) in (400, 421), (host, sni)
        assert asked(served, host, None) in (400, 404), host
    assert web.seen == []
    assert asked(served, f"a_b.{SHOP}", f"a_b.{SHOP}") == 200


@pytest.mark.parametrize("host", [IPV4, f"[{IPV6}]", "unknown.example", "localhost", "a_b.example"])
def test_names_and_addresses_of_nobody_are_welcome_where_they_may(
    served: Site, when: str, web: Server, host: str
) -> None:
    served.install(
        [served.site(GLOBAL, backend=backend(web.url))], certificates=when, unknown_names="global"
    )
    assert asked(served, host, "") == 200
    assert asked(served, f"#{host}", "") in (400, 421)
    assert asked(served, host, None) == 404


def asked(served: Site, host: str, sni: str | None) -> int:
    """Return the status of the answer to any Host, over TLS unless *sni* is None."""
    port = served.nginx.http if sni is None else served.nginx.https
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        stream = plain if sni is None else secured(plain, sni, None, None)
        with stream:
            stream.sendall(
                b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host.encode()
            )
            return int(stream.recv(4096).split()[1])


def test_an_exact_name_of_another_owner_wins_over_a_wildcard(
    served: Site, when: str, web: Server
) -> None:
    app, long = backend(web.url), stretched(60) + f".{SHOP}"
    label = "x" * 50
    sites = [
        served.site(GLOBAL, backend=app),
        served.site(SHOP, SHOP, WILD, f"{label}.{POST}", backend=app),
        served.site("exact.example", f"exact.{SHOP}", f"{label}.{SHOP}", long, backend=app),
        served.site("plain.example", f"plain.{SHOP}", own=False, backend=app),
        served.site(POST, f"*.{POST}", f"*.b.{SHOP}", backend=app),
    ]
    served.install(sites, certificates=when)
    for site in sites:
        for name in site.names:
            asked = name.replace("*", "any")
            assert served.shows(asked) == site.bundle.fingerprint
            assert served.https(asked).json["host"] == asked
    for one, other in (
        (f"exact.{SHOP}", f"any.{SHOP}"),
        (f"plain.{SHOP}", f"any.{SHOP}"),
        (f"{label}.{SHOP}", f"any.{SHOP}"),
        (f"any.{SHOP}", f"any.b.{SHOP}"),
        (f"any.{SHOP}", MAIN),
    ):
        assert served.https(one, sni=other).status == 421
        assert served.https(other, sni=one).status == 421
    seen_right(served, sites, certificates=when)


def test_a_wildcard_without_a_certificate_of_its_own(served: Site, when: str, web: Server) -> None:
    app = backend(web.url)
    shop = served.site(SHOP, SHOP, backend=app)
    plain = served.site("plain.example", WILD, own=False, backend=app)
    served.install([served.site(GLOBAL, backend=app), shop, plain], certificates=when)
    assert served.shows(f"a.{SHOP}") == served.main.fingerprint
    assert served.https(f"a.{SHOP}").status == 200
    assert served.https(SHOP, sni=f"a.{SHOP}").status == 421


def test_where_unknown_names_are_welcome_one_below_a_wildcard_is_no_other(
    served: Site, when: str, web: Server
) -> None:
    app = backend(web.url)
    sites = [served.site(GLOBAL, backend=app), served.site(SHOP, SHOP, WILD, backend=app)]
    served.install(sites, certificates=when, unknown_names="global")
    deeper = f"a.b.{SHOP}"
    assert served.shows(deeper) == served.main.fingerprint
    assert served.https(deeper).status == 200
    assert served.https(f"b.{SHOP}", sni=deeper).status == 421
    assert served.https(deeper, sni=f"b.{SHOP}").status == 421


def test_many_wildcards_are_no_obstacle(served: Site, web: Server) -> None:
    app = backend(web.url)
    wild = [f"*.customer{number}.example" for number in range(3000)]
    shops = [served.site(f"{name[2:]}", name, own=False, backend=app) for name in wild]
    own = served.site(SHOP, SHOP, WILD, backend=app)
    served.install([served.site(GLOBAL, backend=app), *shops, own], certificates="on_demand")
    for number in (0, 1, 1499, 2999):
        assert served.https(f"a.customer{number}.example").status == 200
    assert served.https("a.customer1.example", sni="a.customer2.example").status == 421
    assert served.shows(f"a.{SHOP}") == own.bundle.fingerprint
    refused(served, "a.customer3000.example", "a.b.customer1.example")


def test_challenges_are_answered_for_wildcards_and_addresses(served: Site, web: Server) -> None:
    main = served.site(GLOBAL, MAIN, IPV4, IPV6, backend=backend(web.url))
    served.install([main, served.site(SHOP, SHOP, WILD)])
    served.challenge("token", "answer")
    for host in (IPV4, f"[{IPV6}]", "192.0.2.2", "[::1]", f"a.{SHOP}", f"a.b.{SHOP}"):
        assert served.http(host, f"{CHALLENGE}token").body == b"answer"
    for host in (IPV4, f"[{IPV6}]"):
        assert served.https(host, f"{CHALLENGE}token", sni="").body == b"answer"
        assert served.http(host).headers["location"] == f"https://{host}:{served.nginx.https}/"


def test_who_connects_to_an_address_is_shown_the_global_certificate(
    served: Site, when: str, web: Server
) -> None:
    app = backend(web.url)
    main = served.site(GLOBAL, MAIN, IPV4, IPV6, backend=app)
    sites = [main, served.site(SHOP, SHOP, WILD, backend=app)]
    served.install(sites, certificates=when)
    assert served.shows("") == served.main.fingerprint
    for host in (IPV4, f"[{IPV6}]"):
        assert served.https(host, sni="").json["host"] == host
        assert served.https(host, sni=MAIN).status == 200
        assert served.https(host, sni=SHOP).status == 421
    before = len(web.seen)
    for host in (SHOP, f"a.{SHOP}", "unknown.example", "192.0.2.2", "[2001:db8::2]"):
        assert served.https(host, sni="").status == 421
    assert len(web.seen) == before
    refused(served, "unknown.example", f"a.b.{SHOP}", f"www.{MAIN}")
    assert served.shows(f"a.{SHOP}") == sites[1].bundle.fingerprint
    seen_right(served, sites, certificates=when)


def test_without_an_address_who_tells_no_name_is_refused(served: Site, when: str) -> None:
    sites = [served.site(GLOBAL), served.site(SHOP, SHOP, WILD)]
    served.install(sites, certificates=when)
    refused(served, "")


def test_an_address_where_unknown_names_are_welcome(served: Site, when: str, web: Server) -> None:
    main = served.site(GLOBAL, MAIN, IPV4, backend=backend(web.url))
    served.install([main, served.site(SHOP, SHOP)], certificates=when, unknown_names="global")
    assert served.shows("unknown.example") == served.main.fingerprint
    assert served.https(IPV4, sni="").status == 200
    assert served.https(SHOP, sni="").status == 421


def test_regular_expressions_of_somebody_else_keep_their_names(served: Site, web: Server) -> None:
    """The block that refuses every name would take them, so unknown names are misdirected."""
    sites = [served.site(GLOBAL, MAIN, IPV4, backend=backend(web.url))]
    somebody_elses(served, "ssl", "server_name ~^own[0-9]+[.]example$;")
    served.install(sites)
    assert served.https("own1.example").body == b"theirs"
    assert served.shows("unknown.example") == served.main.fingerprint
    for host in ("unknown.example", MAIN, IPV4):
        assert served.https(host, sni="unknown.example").status == 421
    assert served.https(IPV4, sni="").status == 200
    assert served.https("unknown.example", sni="").status == 421
    seen_right(served, sites)


def test_a_default_server_of_somebody_else_keeps_who_tells_no_name(served: Site) -> None:
    sites = [served.site(GLOBAL, MAIN, IPV4)]
    somebody_elses(served, "ssl default_server", "")
    served.install(sites)
    assert served.https("unknown.example").body == b"theirs"
    assert served.https("unknown.example", sni="").body == b"theirs"
    seen_right(served, sites)


@needs("pebble")
def test_all_commands_know_such_names(root: Path) -> None:
    shared = {"url": f"www.{POST}", "extra_names": [f"*.{POST}"]}
    domains = {
        SHOP: {"url": SHOP, "extra_names": [WILD], "certificate": "selfsigned"},
        "bücher.example": {"url": "bücher.example", "certificate": "selfsigned"},
        POST: shared,
    }
    main = {"url": MAIN, "extra_names": [IPV4, IPV6], "certificate": "selfsigned"}
    with Machine(root, ("nginx", "pebble")) as machine:
        machine.model(domains, main=main)
        told = {
            command: machine.proxygen(command)
            for command in ("validate", "plan", "apply", "check", "status")
        }
        assert {run.returncode for run in told.values()} == {0}, told
        assert (
            f"the global certificate is used for www.{POST}, *.{POST}, but does not cover"
            in told["apply"].stderr
        )
        again = machine.proxygen("apply")
        assert "nothing to do" in again.stdout, again.stdout
        shown = [leaf(machine.nginx.https, name) for name in ("", f"a.{SHOP}", f"a.{POST}", MAIN)]
        domains[SHOP] = {"url": SHOP, "certificate": "selfsigned"}
        machine.model(domains, main=main)
        assert f"removed names: *.{SHOP}" in machine.proxygen("apply").stdout
    assert shown[0] == shown[2] == shown[3] != shown[1]
    assert "*.shop.example" in names(shown[1])
