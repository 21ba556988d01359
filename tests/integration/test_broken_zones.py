"""Zones that are broken in every way, beside right ones, which never wait for them.

The authority resolves through a validating resolver, from the root of a little internet down;
proxygen asks the same resolver, or the name servers themselves.
"""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from proxygen import assemble
from proxygen.apply.outcome import SILENT, Outcome
from proxygen.assemble import Installation
from proxygen.dns.resolver import Resolver
from proxygen.model.layout import Layout
from proxygen.reconcile import reconcile
from tests.conftest import require
from tests.live import client
from tests.live.installation import Clock, at
from tests.live.machine import Machine
from tests.live.nameserver import (
    FIRST,
    LAME,
    NOBODY,
    ROOT,
    SECOND,
    Internet,
    NameServer,
    Recursor,
    network,
    signed,
    zone_text,
)
from tests.live.needs import path_of
from tests.live.small_authority import SmallAuthority
from tests.live.small_authority_dns import ISSUER

HERE = "127.0.0.1"
MAIN = "www.hoster.test"
RIGHT = ("www.half-gone.example", "www.half-lame.example", "www.signed.example")
EXPIRED, GONE, LAGGING, ALL_LAME, SIX, SHOP = (
    f"www.{each}.example" for each in ("expired", "gone", "lagging", "lame", "dynamic", "shop")
)
DISABLED = Path("/proc/sys/net/ipv6/conf/lo/disable_ipv6")
FREEBIND = 15
"""IP_FREEBIND of ip(7); the socket module has no name for it."""


class World(Internet):
    """The little internet, whose right names lead to 127.0.0.1.

    ``www.dynamic.example`` has an AAAA record too, which leads to a *stranger*; at SECOND
    ``lagging.example`` has no ``www`` yet; CAA records of ``shop.example`` name another authority.
    """

    @property
    def stranger(self) -> str:
        """A public address that no interface has: one of the former 6bone (RFC 3701)."""
        return "3ffe::{}:{}".format(*self.prefix.split(".")[1:3])

    def zones(self) -> tuple[dict[str, str], dict[str, str], dict[str, str], str]:
        """Return the zones of FIRST, SECOND and REGISTRY, and the root."""
        first, second, registry, top = super().zones()
        plain = ("hoster.test", "half-gone.example", "half-lame.example", "lagging.example")
        ours = {apex: self.right(apex) for apex in plain} | {
            "dynamic.example": self.right("dynamic.example", f"www AAAA {self.stranger}"),
            "shop.example": self.right("shop.example", '@ CAA 0 issue "other.test"'),
            "signed.example": self.resigned("signed.example"),
            "expired.example": self.resigned("expired.example", (-30, -2)),
        }
        old = zone_text("lagging.example", *self.hosts, servers=("ns1", "ns2"), serial=1)
        return first | ours, second | ours | {"lagging.example": old}, registry, top

    @property
    def hosts(self) -> tuple[str, ...]:
        """The records of a customer's two name servers."""
        return f"ns1 A {self.at(FIRST)}", f"ns2 A {self.at(SECOND)}"

    def right(self, apex: str, *more: str) -> str:
        """Return a zone whose ``www`` leads here."""
        return zone_text(apex, *self.hosts, f"www A {HERE}", *more, servers=("ns1", "ns2"))

    def alone(self, apex: str, number: int) -> str:
        """Return a zone with one name server, whose ``www`` leads here."""
        return zone_text(apex, f"ns1 A {self.at(number)}", f"www A {HERE}")

    def resigned(self, apex: str, days: tuple[int, int] = (-1, 30)) -> str:
        """Return a zone whose ``www`` leads here, signed by the key of its DS record too."""
        return signed(self.root / "keys", apex, self.right(apex), days=days).text

    def publish(self, apex: str, text: str, *numbers: int) -> None:
        """Serve a zone, be it new or not: at FIRST and SECOND, or where it is told."""
        for each in map(self.at, numbers or (FIRST, SECOND)):
            self.server.views[each][apex] = text
            (self.server.folder / "named.conf").write_text(self.server.configuration())
            self.server.write(apex, text, each)

    @contextmanager
    def repaired(self) -> Iterator[None]:
        """Make everything right; ``gone.example`` is served for the time of the block."""
        self.publish("expired.example", self.resigned("expired.example"))
        self.publish("lame.example", self.alone("lame.example", LAME), LAME)
        self.publish("lagging.example", self.right("lagging.example"), SECOND)
        for number in (FIRST, SECOND):
            self.server.set(SIX, "AAAA", address=self.at(number))
        zones = {"gone.example": self.alone("gone.example", NOBODY)}
        with NameServer(self.root, zones, address=self.at(NOBODY), port=self.server.port):
            yield


@dataclass(frozen=True, slots=True)
class Scene:
    """A machine, the internet that it is in, and the resolver of its authority."""

    world: World
    resolver: Recursor
    web: Machine

    def model(self, *names: str, **more: Any) -> None:
        """Write a model with the domains of *names*, the right ones first."""
        self.web.model(
            {
                name.removeprefix("www."): {"url": f"https://{name}", "certificate": "acme"}
                for name in (*RIGHT, *names)
            },
            main={"url": f"https://{MAIN}", "certificate": "acme"},
            **more,
        )

    def told(self) -> dict[str, dict[str, Any]]:
        """Return what `names` tells of each name that is not issued."""
        run = self.web.proxygen("names", "--json")
        assert run.returncode == 0, run.stderr
        told = {each["name"]: each for each in json.loads(run.stdout)["names"]}
        return {name: each for name, each in told.items() if each["state"] != "issued"}

    def found(self) -> dict[str, list[tuple[str, bool]]]:
        """Return the findings about each name that waits: codes, and whether they are grave."""
        return {
            name: [(each["code"], each["grave"]) for each in told["evidence"]["findings"]]
            for name, told in self.told().items()
            if told["state"] == "waiting"
        }

    def served(self, *names: str, by: bytes = b"") -> bool:
        """Return whether a client of each name is shown a certificate for it alone.

        It is issued by Pebble, or by who has the root *by*.
        """
        trust = by or self.web.pebble.issuing_root
        return all(self.shown(name, trust) == {name} for name in names)

    def shown(self, name: str, trust: bytes | None = None) -> Collection[str]:
        """Return the names of the certificate that a client of *name* is shown."""
        return client.names(client.leaf(self.web.nginx.https, name, trust=trust))

    def forget(self) -> None:
        """Let the resolver begin anew, as if everything that it remembers had been long ago."""
        self.resolver.stop()
        self.resolver.output.unlink()
        self.resolver.start()


@pytest.fixture
def world(root: Path) -> Iterator[World]:
    """Return the little internet."""
    require(("named",))
    with network() as prefix:
        made = World(root, prefix)
        with made.server:
            yield made


@pytest.fixture
def scene(root: Path, world: World) -> Iterator[Scene]:
    """Return a machine whose authority, and which itself, asks a resolver that validates."""
    require(("nginx", "pebble"))
    if not socket.has_ipv6 or DISABLED.read_text().strip() != "0":
        pytest.skip("IPv6 is switched off, so that no AAAA record leads anywhere")
    with world.resolver() as resolver:
        dnsserver = f"{resolver.address}:{resolver.port}"
        with (
            Machine(root, ("nginx", "pebble"), dnsserver=dnsserver) as web,
            unknown_host(world, web),
        ):
            yield Scene(world, resolver, web)


class Rounds:
    """Rounds of proxygen that ask from the root servers down, at a time that is handed in."""

    def __init__(self, scene: Scene) -> None:
        web = scene.web
        self.clock = Clock(datetime.now(UTC))
        self.layout = Layout(web.root, web.config)
        self.parts: Installation = assemble.build_installation(self.layout, self.clock)
        self.parts.resolvers[()] = Resolver(
            roots=(scene.world.at(ROOT),),
            port=scene.world.server.port,
            patience=0.5,
            tries=1,
            ticks=lambda: self.clock.now.timestamp(),
            system=tuple,
        )

    def round(self, after: timedelta = timedelta(0)) -> Outcome:
        """Let time pass, then run a round."""
        self.clock.advance(after)
        model = json.loads(self.layout.config.read_text())
        model.pop("resolvers", None)
        self.layout.config.write_text(json.dumps(model))
        return reconcile(assemble.read_site(self.layout), self.parts, SILENT)


def test_right_names_are_served_beside_zones_that_no_resolver_can_resolve(scene: Scene) -> None:
    scene.model(EXPIRED, GONE, ALL_LAME, SIX, SHOP)
    run = scene.web.proxygen("apply")
    assert run.returncode == 5, run.stdout + run.stderr
    assert scene.served(MAIN, *RIGHT, SHOP), "Pebble has no name that CAA records could allow"
    assert scene.found() == {
        EXPIRED: [("dnssec", True)],
        GONE: [("servfail", True)],
        ALL_LAME: [("servfail", True)],
        SIX: [("elsewhere", True)],
    }
    assert scene.shown(EXPIRED) == {MAIN}
    assert scene.web.pebble.new_orders == 5, "one for each right name, none for another"
    assert scene.web.proxygen("apply").returncode == 5
    assert scene.web.pebble.new_orders == 5

    with scene.world.repaired():
        scene.forget()
        domains = (each.removeprefix("www.") for each in (EXPIRED, GONE, ALL_LAME, SIX))
        run = scene.web.proxygen("apply", *domains)
        assert run.returncode == 0, run.stdout + run.stderr
    assert scene.served(MAIN, *RIGHT, EXPIRED, GONE, ALL_LAME, SIX)
    assert not scene.told()
    assert scene.web.pebble.new_orders == 9


def test_right_names_are_served_beside_zones_whose_name_servers_are_wrong(scene: Scene) -> None:
    scene.model(EXPIRED, GONE, LAGGING, ALL_LAME, SIX)
    rounds = Rounds(scene)
    with silence(scene.world):
        outcome = rounds.round()
    assert outcome.exit_code == 5
    assert not outcome.failures
    assert {each.certificate.owner for each in outcome.waiting} == {
        each.removeprefix("www.") for each in (EXPIRED, GONE, LAGGING, ALL_LAME, SIX)
    }
    assert scene.served(MAIN, *RIGHT)
    assert scene.found() == {
        EXPIRED: [("dnssec", True)],
        GONE: [("servers-silent", True)],
        LAGGING: [("differing", True)],
        ALL_LAME: [("servers-lame", True)],
        SIX: [("elsewhere", True)],
    }
    assert scene.web.pebble.new_orders == 4

    with scene.world.repaired():
        scene.forget()
        outcome = rounds.round(timedelta(minutes=2))
    assert outcome.exit_code == 0
    assert scene.served(MAIN, *RIGHT, EXPIRED, GONE, LAGGING, ALL_LAME, SIX)
    assert scene.web.pebble.new_orders == 9


def test_what_is_left_out_is_what_the_authority_would_have_refused(scene: Scene) -> None:
    scene.model(EXPIRED, GONE, ALL_LAME, SIX)
    unlooked = json.loads(scene.web.config.read_text())
    unlooked["acme"]["preflight"] = False
    scene.web.config.write_text(json.dumps(unlooked))
    assert scene.web.proxygen("apply").returncode == 5
    assert scene.served(MAIN, *RIGHT)
    states = {name: each["state"] for name, each in scene.told().items()}
    assert states == dict.fromkeys((EXPIRED, GONE, ALL_LAME, SIX), "failed")


def test_a_name_whose_caa_records_forbid_the_authority_waits_until_they_allow_it(
    scene: Scene, tmp_path: Path
) -> None:
    """At an authority that tells its name in its directory, which Pebble does not."""
    port = scene.web.nginx.http
    with SmallAuthority(tmp_path, clock=lambda: datetime.now(UTC), http_port=port) as authority:
        scene.model(SHOP, acme=at(authority))
        run = scene.web.proxygen("apply")
        assert run.returncode == 5, run.stdout + run.stderr
        assert scene.found() == {SHOP: [("caa", True)]}
        assert scene.served(MAIN, *RIGHT, by=authority.issuing_root)
        assert len(authority.orders) == 4

        allowing = scene.world.right("shop.example", f'@ CAA 0 issue "{ISSUER}"')
        scene.world.publish("shop.example", allowing)
        scene.forget()
        run = scene.web.proxygen("apply", "shop.example")
        assert run.returncode == 0, run.stdout + run.stderr
        assert scene.served(SHOP, by=authority.issuing_root)
        assert len(authority.orders) == 5


@contextmanager
def silence(world: World) -> Iterator[None]:
    """Have a name server at NOBODY that hears, and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.bind((world.at(NOBODY), world.server.port))
        yield


@contextmanager
def unknown_host(world: World, web: Machine) -> Iterator[None]:
    """Have somebody else's web server at an address that leads to this host, and is not its own."""
    route = ("local", f"{world.stranger}/128", "dev", "lo")
    ip("-6", "route", "replace", *route)
    try:
        with UnknownHost((world.stranger, web.nginx.http), NotFound) as other:
            thread = threading.Thread(target=other.serve_forever, args=(0.02,))
            thread.start()
            try:
                yield
            finally:
                other.shutdown()
                thread.join()
    finally:
        ip("-6", "route", "del", *route)


class NotFound(http.server.BaseHTTPRequestHandler):
    """Knows no page."""

    def do_GET(self) -> None:
        """Answer that there is none."""
        self.send_error(http.HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Log nothing."""


class UnknownHost(http.server.ThreadingHTTPServer):
    """A web server that has no page at all, at an IPv6 address that no interface has."""

    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        """Bind it."""
        self.socket.setsockopt(socket.SOL_IP, FREEBIND, 1)
        super().server_bind()


def ip(*arguments: str) -> None:
    """Run ip(8)."""
    subprocess.run([path_of("ip"), *arguments], capture_output=True, check=True)
