"""bind9: authoritative and recursive name servers for tests, and a little internet of them."""

from __future__ import annotations

import base64
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update
import dns.zone

from tests.live.needs import path_of
from tests.live.processes import NotReady, Program, environment, made, until

ALGORITHM = "hmac-sha256"
EMPTY: Mapping[str, str] = MappingProxyType({})
serials = itertools.count(1)

OPTIONS = """\
options {{
    directory "{folder}";
    pid-file none;
    session-keyfile none;
    managed-keys-directory "{folder}";
    listen-on port {port} {{ {addresses} }};
    listen-on-v6 {{ none; }};
    notify no;
    empty-zones-enable no;
    {answering}
}};
controls {{}};
key "{key}" {{ algorithm {algorithm}; secret "{secret}"; }};
"""
AUTHORITATIVE = "recursion no; dnssec-validation no;"
RECURSIVE = "recursion yes; allow-recursion {{ any; }}; dnssec-validation {validation};"
ANCHOR = 'trust-anchors {{ "." static-ds {ds}; }};\n'
VIEW = """\
view "{address}" {{
    match-destinations {{ {address}; }};
{zones}}};
"""
ZONE = '    zone "{apex}" {{ type primary; file "{file}"; {updates} }};\n'
HINT = '    zone "." { type hint; file "hints"; };\n'


@dataclass(frozen=True, slots=True)
class TsigKey:
    """A secret that signs updates (RFC 8945)."""

    name: str = "updates"
    secret: str = field(default_factory=lambda: base64.b64encode(os.urandom(32)).decode())
    algorithm: str = ALGORITHM


class NameServer(Program):
    """named on *address*, with *zones* by apex; it answers with authority and never recursively.

    *others* are more addresses, each with zones of its own. Zones in *dynamic* are changed by
    ``set`` (RFC 2136 with *tsig_key*), and all others by ``write``.
    """

    name = "named"

    def __init__(
        self,
        root: Path,
        zones: Mapping[str, str] = EMPTY,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        dynamic: Collection[str] = (),
        others: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
        outlives: bool = False,
    ) -> None:
        super().__init__(root, outlives=outlives)
        self.address = address
        self.given = port
        self.dynamic = frozenset(dynamic)
        self.views = {address: dict(zones), **{each: dict(of) for each, of in others.items()}}
        self.tsig_key = TsigKey()

    @property
    def port(self) -> int:
        """The port of DNS, over UDP and TCP, at every address."""
        return self.given or self.ports[0]

    @property
    def folder(self) -> Path:
        """Where its configuration and its zones lie."""
        return self.root / "etc/bind" / self.address

    @property
    def output(self) -> Path:
        """The file with its log: one for each server below the same root."""
        return made(self.root / "var/log") / f"named-{self.address}.out"

    def configure(self) -> None:
        """Choose a port unless one is given; write the configuration and the zones."""
        if not self.given:
            self.reserve(1)
        made(self.folder)
        # AppArmor lets /usr/sbin/named read Debian's own folders only; a copy is not confined.
        shutil.copy(path_of("named"), self.folder / "named")
        for address, zones in self.views.items():
            for apex, text in zones.items():
                self.file(address, apex).write_text(text)
        (self.folder / "named.conf").write_text(self.configuration())

    def start(self) -> None:
        """Start it; addresses come first, since it listens on those of an interface only."""
        for each in self.views:
            address("replace", each)
        super().start()

    def stop(self) -> None:
        """End it, and take its addresses away."""
        super().stop()
        for each in self.views:
            address("del", each)

    def configuration(self) -> str:
        """Return what ``named.conf`` says."""
        head = OPTIONS.format(
            folder=self.folder,
            port=self.port,
            addresses=" ".join(f"{each};" for each in self.views),
            answering=self.answering(),
            key=self.tsig_key.name,
            algorithm=self.tsig_key.algorithm,
            secret=self.tsig_key.secret,
        )
        return head + "".join(self.view(each, zones) for each, zones in self.views.items())

    def answering(self) -> str:
        """Return the options that say how it answers."""
        return AUTHORITATIVE

    def view(self, address: str, zones: Mapping[str, str]) -> str:
        """Return the part of one address."""
        update = f'allow-update {{ key "{self.tsig_key.name}"; }};'
        lines = [
            ZONE.format(
                apex=apex,
                file=self.file(address, apex),
                updates=update if apex in self.dynamic else "",
            )
            for apex in zones
        ]
        return VIEW.format(address=address, zones="".join(lines))

    def file(self, address: str, apex: str) -> Path:
        """Return the file of a zone at an address."""
        return made(self.folder / address) / f"{apex.rstrip('.') or 'root'}.zone"

    def argv(self) -> Sequence[str]:
        """Return the command."""
        return (
            str(self.folder / "named"),
            *("-g", "-4", "-n", "1"),
            *("-c", str(self.folder / "named.conf")),
        )

    def answers(self) -> bool:
        """Return whether it has all its zones, and serves one of each address."""
        if "not loaded due to errors" in self.log:
            raise NotReady("named refused a zone")
        if "all zones loaded" not in self.log:
            return False
        first = {address: next(iter(zones), "") for address, zones in self.views.items()}
        return all(self.serial(apex, at) for at, apex in first.items() if apex)

    def ask(self, name: str, rdtype: str, address: str = "") -> dns.message.Message:
        """Return its answer; an OSError when there is none."""
        query = dns.message.make_query(name, rdtype)
        try:
            return dns.query.udp(query, address or self.address, timeout=2, port=self.port)
        except dns.exception.DNSException as error:
            raise OSError(f"no answer about {name}: {error}") from error

    def serial(self, apex: str, address: str = "") -> int:
        """Return the serial number of a zone, 0 when it is not served."""
        answer = self.ask(apex or ".", "SOA", address).answer
        return next((int(each[0].serial) for each in answer if hasattr(each[0], "serial")), 0)

    def write(self, apex: str, text: str, address: str = "") -> None:
        """Serve *text* as a zone that is not dynamic; return when it is served."""
        assert apex not in self.dynamic, f"{apex} is dynamic: use set()"
        at = address or self.address
        wanted = serial_of(text, apex)
        self.views[at][apex] = text
        self.file(at, apex).write_text(text)
        assert self.process is not None
        self.process.popen.send_signal(signal.SIGHUP)
        until(lambda: self.serial(apex, at) == wanted, f"{apex} to be reloaded")

    def set(self, name: str, rdtype: str, *values: str, ttl: int = 60, address: str = "") -> None:
        """Make *values* all that *name* has of a type, by an update; none of them deletes it.

        The change is made at one *address*; others learn of it by an update of their own.
        """
        update = self.update(name)
        owner = dns.name.from_text(name)
        update.delete(owner, rdtype)
        for each in values:
            update.add(owner, ttl, rdtype, each)
        self.send(update, address)

    def update(self, name: str) -> dns.update.UpdateMessage:
        """Return an empty signed update of the dynamic zone that *name* is in."""
        wanted = f".{name.rstrip('.')}"
        apex = max((each for each in self.dynamic if wanted.endswith(f".{each}")), key=len)
        key = self.tsig_key
        ring = dns.tsigkeyring.from_text({key.name: key.secret})
        algorithm = dns.name.from_text(key.algorithm)
        return dns.update.UpdateMessage(
            apex, keyring=ring, keyname=dns.name.from_text(key.name), keyalgorithm=algorithm
        )

    def send(self, update: dns.update.UpdateMessage, address: str = "") -> None:
        """Send an update; AssertionError when it is refused."""
        answer = dns.query.tcp(update, address or self.address, timeout=5, port=self.port)
        assert answer.rcode() == dns.rcode.NOERROR, dns.rcode.to_text(answer.rcode())


class Recursor(NameServer):
    """named as a resolver: it begins at the root server *hint*, on port 53.

    With *anchor*, the root's DS record, it checks signatures.
    """

    def __init__(self, root: Path, *, hint: str, anchor: str = "", address: str, port: int) -> None:
        super().__init__(root, address=address, port=port)
        self.hint = hint
        self.anchor = anchor

    def configure(self) -> None:
        """Write the address of the root server too."""
        super().configure()
        text = f". 3600 IN NS a.root.test.\na.root.test. 3600 IN A {self.hint}\n"
        (self.folder / "hints").write_text(text)

    def configuration(self) -> str:
        """Return what ``named.conf`` says."""
        anchor = ANCHOR.format(ds=quoted(self.anchor)) if self.anchor else ""
        return super().configuration() + anchor

    def answering(self) -> str:
        """Return the options of a resolver."""
        return RECURSIVE.format(validation="yes" if self.anchor else "no")

    def view(self, address: str, zones: Mapping[str, str]) -> str:
        """Return its only part, which knows the root server."""
        return VIEW.format(address=address, zones=HINT)

    def answers(self) -> bool:
        """Return whether it reaches the root server; what is asked before it listens is lost."""
        return "all zones loaded" in self.log and bool(self.ask(".", "SOA").answer)


def address(verb: str, number: str) -> None:
    """Give the loopback interface an address, or take one away; its first stays."""
    if number != "127.0.0.1":
        argv = [path_of("ip"), "address", verb, f"{number}/32", "dev", "lo"]
        subprocess.run(argv, capture_output=True, check=verb != "del")


def zone_text(
    apex: str, *records: str, servers: Sequence[str] = ("ns1",), ttl: int = 60, serial: int = 0
) -> str:
    """Return a zone with SOA and NS records and *records*, which are lines of a zone file.

    Names are relative to *apex*; each text has a later serial number than those before.
    """
    lines = [
        f"$ORIGIN {apex.rstrip('.')}.",
        f"$TTL {ttl}",
        f"@ IN SOA ns1 hostmaster {serial or next(serials)} 3600 600 86400 {ttl}",
        *(f"@ IN NS {each}" for each in servers),
        *records,
    ]
    return "\n".join(lines) + "\n"


def serial_of(text: str, apex: str) -> int:
    """Return the serial number in the text of a zone."""
    zone = dns.zone.from_text(text, f"{apex.rstrip('.')}.", check_origin=False, relativize=False)
    return int(zone.get_soa().serial)


@dataclass(frozen=True, slots=True)
class Signed:
    """The text of a signed zone, and the DS record for its parent, without the name."""

    text: str
    ds: str

    @property
    def wrong_ds(self) -> str:
        """A DS record that no key of the zone matches: another digest."""
        *head, digest = self.ds.split()
        turned = digest.translate(str.maketrans("0123456789ABCDEF", "FEDCBA9876543210"))
        return " ".join((*head, turned))


def signed(folder: Path, apex: str, text: str, *, days: tuple[int, int] = (-1, 30)) -> Signed:
    """Sign a zone with a new key; signatures are valid *days* from and until today."""
    here = made(folder / (apex.rstrip(".") or "root"))
    (here / "zone").write_text(text)
    owner = f"{apex.rstrip('.')}."
    key = run("dnssec-keygen", "-q", "-K", here, "-a", "ECDSAP256SHA256", "-f", "KSK", owner)
    begin, end = (moment(each) for each in days)
    run(
        *("dnssec-signzone", "-q", "-P", "-S", "-z", "-K", here, "-d", here),
        *("-s", begin, "-e", end, "-o", owner, "-f", here / "signed", here / "zone"),
    )
    ds = run("dnssec-dsfromkey", "-2", here / f"{key.strip()}.key")
    return Signed((here / "signed").read_text(), ds.split("DS", 1)[1].strip())


def moment(days: int) -> str:
    """Return a day from today as dnssec-signzone reads it."""
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() + days * 86_400))


def run(program: str, *arguments: str | Path) -> str:
    """Run one of bind's tools; return what it printed."""
    argv = [path_of(program), *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment(), cwd="/")
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


def quoted(ds: str) -> str:
    """Return a DS record as ``named.conf`` writes it."""
    tag, algorithm, kind, digest = ds.split()
    return f'{tag} {algorithm} {kind} "{digest}"'


@contextmanager
def network() -> Iterator[str]:
    """Choose a part of 127/8 that no other run on this machine has, as ``127.A.B.``."""
    for _ in range(500):
        prefix = f"127.{random.randrange(1, 250)}.{random.randrange(1, 250)}."
        mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            mark.bind(f"\0proxygen-tests-network-{prefix}")
        except OSError:
            mark.close()
            continue
        with mark:
            yield prefix
        return
    raise OSError("no free loopback network was found")


ROOT, REGISTRY, FIRST, SECOND, LAME, NOBODY, RESOLVER, UNCHECKED = range(1, 9)
"""The last number of each address of the little internet."""


class Internet:
    """A root, the registries ``example`` and ``test``, and customers, on addresses of 127/8.

    FIRST and SECOND are the two servers of a hoster; LAME serves no zone, and at NOBODY nobody
    listens. The root and ``example`` are signed. What is in it: ``customers`` and ``delegated``.
    """

    def __init__(self, root: Path, prefix: str, port: int = 53) -> None:
        self.root = root
        self.prefix = prefix
        self.anchor = ""
        first, second, registry, top = self.zones()
        self.server = NameServer(
            root,
            {".": top},
            address=self.at(ROOT),
            port=port,
            others={
                self.at(REGISTRY): registry,
                self.at(FIRST): first,
                self.at(SECOND): second,
                self.at(LAME): {},
            },
            dynamic=("dynamic.example",),
        )

    def at(self, number: int) -> str:
        """Return an address of it."""
        return f"{self.prefix}{number}"

    def resolver(self) -> Recursor:
        """Return a resolver that begins at its root and checks signatures."""
        return Recursor(
            self.root,
            hint=self.at(ROOT),
            anchor=self.anchor,
            address=self.at(RESOLVER),
            port=self.server.port,
        )

    def zones(self) -> tuple[dict[str, str], dict[str, str], dict[str, str], str]:
        """Return the zones of FIRST, SECOND and REGISTRY, and the root."""
        keys = made(self.root / "keys")
        first, second, ds = customers(keys, self)
        example = signed(
            keys, "example", zone_text("example", *delegated(self, ds), servers=("ns.nic",))
        )
        test = zone_text("test", *registered_in_test(self), servers=("ns.nic",))
        top = zone_text(
            ".",
            *("example NS ns.nic.example", f"example DS {example.ds}"),
            *("test NS ns.nic.test", f"a.root.test A {self.at(ROOT)}"),
            *(f"ns.nic.{each} A {self.at(REGISTRY)}" for each in ("example", "test")),
            servers=("a.root.test",),
        )
        whole = signed(keys, ".", top)
        self.anchor = whole.ds
        return first, second, {"example": example.text, "test": test}, whole.text


def customers(keys: Path, net: Internet) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return the zones at FIRST and SECOND, and the DS records that customers handed in."""
    both = ("ns1", "ns2")
    hosts = (f"ns1 A {net.at(FIRST)}", f"ns2 A {net.at(SECOND)}")
    usual = (*hosts, "@ A 192.0.2.10", "www A 192.0.2.10")
    texts = {
        each: zone_text(each, *usual, servers=both)
        for each in (
            "half-lame.example",
            "half-gone.example",
            "deep.example",
            "unsigned.example",
            "hidden.example",
        )
    }
    texts["shop.example"] = zone_text("shop.example", *usual, *SHOP, servers=both)
    texts["hoster.test"] = zone_text("hoster.test", *usual, servers=both)
    texts["glueless.example"] = zone_text("glueless.example", "www A 192.0.2.10", servers=OUTSIDE)
    texts["dynamic.example"] = zone_text("dynamic.example", *usual, servers=both)
    texts["sub.deep.example"] = zone_text("sub.deep.example", *usual, servers=both)
    good = signed(
        keys, "signed.example", zone_text("signed.example", *usual, *SIGNED, servers=both)
    )
    old = signed(
        keys, "expired.example", zone_text("expired.example", *usual, servers=both), days=(-30, -2)
    )
    other = signed(keys, "mismatch.example", zone_text("mismatch.example", *usual, servers=both))
    texts |= {
        "signed.example": good.text,
        "expired.example": old.text,
        "mismatch.example": other.text,
    }
    ds = {
        "signed.example": good.ds,
        "expired.example": old.ds,
        "mismatch.example": other.wrong_ds,
        "unsigned.example": good.ds,
    }
    now = zone_text("lagging.example", *hosts, "www A 192.0.2.10", servers=both)
    before = zone_text("lagging.example", *hosts, "www A 192.0.2.99", servers=both, serial=1)
    return texts | {"lagging.example": now}, texts | {"lagging.example": before}, ds


OUTSIDE = ("ns1.hoster.test.", "ns2.hoster.test.")
SHOP = (
    "www AAAA 2001:db8::10",
    '@ CAA 0 issue "letsencrypt.org"',
    'text TXT "one " "two"',
    "alias CNAME www.hoster.test.",
    "far CNAME alias",
    "round CNAME about",
    "about CNAME round",
    "dangling CNAME nothing.hoster.test.",
    "lost CNAME www.nobody.example.",
    *(f"c{number} CNAME c{number + 1}" for number in range(12)),
    "c12 A 192.0.2.12",
    *(f"many A 192.0.2.{number}" for number in range(1, 100)),
)
SIGNED = ("*.wild A 192.0.2.10", "old DNAME hoster.test.", "alias CNAME www.expired.example.")


def delegated(net: Internet, ds: Mapping[str, str]) -> list[str]:
    """Return what the registry of ``example`` holds."""
    places = {
        "lame": (LAME,),
        "hidden": (FIRST,),
        "half-lame": (FIRST, LAME),
        "gone": (NOBODY,),
        "half-gone": (FIRST, NOBODY),
        **dict.fromkeys(
            ("shop", "lagging", "deep", "dynamic", "signed", "expired", "mismatch", "unsigned"),
            (FIRST, SECOND),
        ),
    }
    lines = [f"ns.nic A {net.at(REGISTRY)}"]
    for zone, numbers in places.items():
        for count, number in enumerate(numbers, 1):
            lines += [f"{zone} NS ns{count}.{zone}", f"ns{count}.{zone} A {net.at(number)}"]
    lines += [f"{apex.removesuffix('.example')} DS {record}" for apex, record in ds.items()]
    lines += [f"glueless NS {each}" for each in OUTSIDE]
    lines += ["left NS ns.right", "right NS ns.left"]  # each has its name server in the other
    return lines


def registered_in_test(net: Internet) -> list[str]:
    """Return what the registry of ``test`` holds."""
    return [
        f"ns.nic A {net.at(REGISTRY)}",
        *("hoster NS ns1.hoster", "hoster NS ns2.hoster"),
        *(f"ns1.hoster A {net.at(FIRST)}", f"ns2.hoster A {net.at(SECOND)}"),
    ]


@contextmanager
def internet(root: Path, port: int = 53) -> Iterator[Internet]:
    """Run the little internet below *root*."""
    with network() as prefix:
        net = Internet(root, prefix, port)
        with net.server:
            yield net
