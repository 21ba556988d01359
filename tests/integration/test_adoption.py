"""A host that certbot had set up: what is valid there serves on, is adopted, and renewed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tests.conftest import require
from tests.live import client
from tests.live.authority import Authority, Issued, Key, write_private
from tests.live.dovecot import PRESENTED_2_3, PRESENTED_2_4
from tests.live.machine import PROGRAMS, Machine
from tests.live.postfix import settled
from tests.live.processes import made, until

pytestmark = pytest.mark.apart

MAIL, SITE = "mail.example.net", "www.a.example"
MAIN = {"url": f"https://{MAIL}", "certificate": "acme"}
A = {"a.example": {"url": f"https://{SITE}", "certificate": "acme"}}
UNREACHABLE = {"directory": "https://127.0.0.1:1/dir"}

HTTP_BLOCK = """\
server {{
    listen 127.0.0.1:{http};
    server_name {name};
    return 301 https://$host$request_uri;
}}
"""
HTTPS_BLOCK = """\
server {{
    listen 127.0.0.1:{https} ssl; # managed by Certbot
    server_name {name};
    ssl_certificate {live}/fullchain.pem; # managed by Certbot
    ssl_certificate_key {live}/privkey.pem; # managed by Certbot
    location / {{
        return 200 "of certbot";
    }}
}}
"""


class Host(Machine):
    """A machine whose services have certificates as certbot leaves them."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, PROGRAMS)
        self.authority_before = Authority("Former CA")

    def lineage(
        self,
        *names: str,
        key: Key | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        by: Authority | None = None,
        folder: str = "",
    ) -> tuple[Path, Issued]:
        """Make what certbot has of a certificate: files in archive, links to them in live."""
        issued = (by or self.authority_before).issue(
            *names, key=key, not_before=not_before, not_after=not_after
        )
        etc, name = self.root / "etc/letsencrypt", folder or names[0]
        archive, live = made(etc / "archive" / name), made(etc / "live" / name)
        parts = {
            "cert": issued.leaf,
            "chain": issued.intermediate,
            "fullchain": issued.fullchain,
            "privkey": issued.key,
        }
        for part, content in parts.items():
            write_private(archive / f"{part}1.pem", content)
            (live / f"{part}.pem").symlink_to(f"../../archive/{name}/{part}1.pem")
        return live, issued

    def site(self, name: str, live: Path, file: str = "") -> None:
        """Have nginx serve a site with two server blocks, as certbot writes them."""
        ports = {"http": self.nginx.http, "https": self.nginx.https}
        text = (HTTP_BLOCK + HTTPS_BLOCK).format(name=name, live=live, **ports)
        (self.nginx.conf_d / f"{file or name}.conf").write_text(text)

    def mail(self, live: Path) -> None:
        """Have postfix and dovecot present a certificate."""
        self.postfix_presents(live)
        self.dovecot_presents(live)

    def postfix_presents(self, live: Path) -> None:
        """Have postfix present a certificate."""
        assert self.postfix
        lines = [
            line
            for line in self.postfix.main.read_text().splitlines()
            if not line.startswith(("smtpd_tls_cert_file", "smtpd_tls_key_file"))
        ]
        lines += [f"smtpd_tls_cert_file = {live}/fullchain.pem"]
        lines += [f"smtpd_tls_key_file = {live}/privkey.pem"]
        self.postfix.main.write_text("\n".join([*lines, ""]))
        settled(self.postfix.main)

    def dovecot_presents(self, live: Path) -> None:
        """Have dovecot present a certificate."""
        assert self.dovecot
        text = PRESENTED_2_4 if self.dovecot.is_2_4 else PRESENTED_2_3
        places = {"certificate": live / "fullchain.pem", "key": live / "privkey.pem"}
        self.dovecot.write("conf.d/10-ssl.conf", "ssl = yes\n" + text.format(**places))

    def reload(self, shown: dict[str, Issued]) -> None:
        """Have every service read its configuration again, and wait until it does."""
        assert self.postfix
        assert self.dovecot
        for program in (self.nginx, self.postfix, self.dovecot):
            os.kill(program.pid, signal.SIGHUP)
        for place, issued in shown.items():
            until(lambda p=place, i=issued: self.shown(p) == fingerprint(i), f"{place} to reload")

    @property
    def places(self) -> dict[str, tuple[int, str | None, str]]:
        """Where clients meet certificates: port, protocol and name."""
        assert self.postfix
        assert self.dovecot
        return {
            "smtp": (self.postfix.smtp, "smtp", MAIL),
            "smtps": (self.postfix.smtps, None, MAIL),
            "imap": (self.dovecot.imap, "imap", MAIL),
            "imaps": (self.dovecot.imaps, None, MAIL),
            "https": (self.nginx.https, None, MAIL),
            "site": (self.nginx.https, None, SITE),
        }

    def shown(self, place: str) -> bytes:
        """Return the fingerprint of what clients are shown somewhere."""
        port, protocol, name = self.places[place]
        return client.leaf(port, name, starttls=protocol).fingerprint(SHA256())


def fingerprint(issued: Issued) -> bytes:
    """Return that of a certificate."""
    return issued.certificate.fingerprint(SHA256())


@contextmanager
def watched(host: Host) -> Iterator[dict[str, set[bytes]]]:
    """Have clients connect to every place over and over for the time of a block.

    Dovecot ends connections without a login when it reloads: such a client tries again.
    """
    seen: dict[str, set[bytes]] = {place: set() for place in host.places}
    over = threading.Event()

    def connect(place: str) -> None:
        while not over.wait(0.05):
            with suppress(OSError):
                seen[place].add(host.shown(place))

    clients = [threading.Thread(target=connect, args=(place,)) for place in host.places]
    for each in clients:
        each.start()
    try:
        yield seen
    finally:
        over.set()
        for each in clients:
            each.join()


@pytest.fixture
def host(root: Path) -> Iterator[Host]:
    """Return a machine whose services have certificates already."""
    require(PROGRAMS)
    with Host(root) as running:
        yield running


def said(run: subprocess.CompletedProcess[str]) -> str:
    """Return all that a command said."""
    return run.stdout + run.stderr


EVERYWHERE = ("smtp", "smtps", "imap", "imaps", "https")


def lived_in(host: Host, *names: str) -> tuple[Issued, Issued]:
    """Set a host up as certbot does; return its certificates, the global one first."""
    live, main = host.lineage(*(names or (MAIL,)))
    live_a, site = host.lineage(SITE)
    host.mail(live)
    host.site(MAIL, live)
    host.site(SITE, live_a)
    host.reload(dict.fromkeys(EVERYWHERE, main) | {"site": site})
    return main, site


@pytest.mark.parametrize("acme", [{}, UNREACHABLE], ids=["reachable", "unreachable"])
def test_what_fits_is_adopted_and_nobody_sees_anything_else(
    host: Host, acme: dict[str, str]
) -> None:
    main, site = lived_in(host)
    host.model(A, main=MAIN, acme=acme)
    with watched(host) as seen:
        run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    assert seen == {
        **{place: {fingerprint(main)} for place in EVERYWHERE},
        "site": {fingerprint(site)},
    }
    assert host.pebble.new_orders == 0
    assert "adopt the certificate of global from" in run.stdout
    owners = json.loads(host.proxygen("status", "--json").stdout)["owners"]
    for owner in owners:
        assert owner["certificate"]["adopted"]
        assert owner["certificate"]["renew_at"]
        assert owner["served_with"] == "own" or owner["owner"] == "global"
    assert "nothing to do" in host.proxygen("apply").stdout


@pytest.mark.parametrize("acme", [{}, UNREACHABLE], ids=["reachable", "unreachable"])
def test_what_lacks_a_name_serves_until_the_wanted_one_is_there(
    host: Host, acme: dict[str, str]
) -> None:
    main, site = lived_in(host)
    more = {"extra_names": ["smtp.example.net"]}
    also = {"a.example": {**A["a.example"], "extra_names": ["autodiscover.a.example"]}}
    host.model(also, main=MAIN | more, acme=acme)
    with watched(host) as seen:
        run = host.proxygen("apply")
    now = {place: host.shown(place) for place in host.places}
    assert run.returncode == (5 if acme else 0), said(run)
    for place in EVERYWHERE:
        assert seen[place] <= {fingerprint(main), now[place]}
        assert (now[place] == fingerprint(main)) is bool(acme)
    assert seen["site"] <= {fingerprint(site), now["site"]}
    assert (now["site"] == fingerprint(site)) is bool(acme)
    if not acme:
        keys = [client.leaf(host.nginx.https, name).public_key() for name in (MAIL, SITE)]
        assert keys[0] == main.certificate.public_key()  # TLSA records name it
        assert keys[1] != site.certificate.public_key()


def test_an_rsa_key_is_kept_unless_the_model_says_another_type(host: Host) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    live, main = host.lineage(MAIL, key=key)
    host.mail(live)
    host.reload(dict.fromkeys(("smtp", "smtps", "imap", "imaps"), main))
    host.model({}, main=MAIN)
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    assert host.pebble.new_orders == 0
    assert host.shown("https") == fingerprint(main)

    host.model({}, main=MAIN | {"extra_names": ["imap.example.net"]})
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    renewed = client.leaf(host.nginx.https, MAIL)
    assert client.names(renewed) == {MAIL, "imap.example.net"}
    assert renewed.public_key() == key.public_key()

    host.model({}, main=MAIN, acme={"key_type": "ecdsa-p256"})
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    assert client.leaf(host.nginx.https, MAIL).public_key() != key.public_key()


def test_uninstall_gives_back_what_was_there(host: Host) -> None:
    main, site = lived_in(host)
    before = {path: path.read_bytes() for path in configuration(host)}
    host.model(A, main=MAIN)
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    assert {path: path.read_bytes() for path in configuration(host)} != before
    with watched(host) as seen:
        run = host.proxygen("uninstall", "--yes")
    assert run.returncode == 0, said(run)
    assert {path: path.read_bytes() for path in configuration(host)} == before
    assert set().union(*seen.values()) == {fingerprint(main), fingerprint(site)}


def configuration(host: Host) -> list[Path]:
    """Return the files of the services and of certbot."""
    folders = ("nginx", "postfix", "dovecot", "letsencrypt")
    found = [path for name in folders for path in (host.root / "etc" / name).rglob("*")]
    return sorted(path for path in found if path.is_file())


def test_the_plan_tells_what_clients_see_now_and_will(host: Host) -> None:
    main, _ = lived_in(host)
    until = f"valid until {main.certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    b = {"b.example": {"url": "https://www.b.example", "certificate": "acme"}}
    host.model(A | b, main=MAIN | {"extra_names": ["smtp.example.net"]})
    told = host.proxygen("plan").stdout
    assert "adopt the certificate of global from" in told
    assert f"now: certificate from Former CA Intermediate {until}" in told
    assert f"then: certificate from Former CA Intermediate {until} (adopted)" in told
    assert f"later: a new certificate from {host.pebble.directory}" in told
    assert "self-signed" not in told
    assert "BEGIN" not in told
    plan = json.loads(host.proxygen("plan", "--json").stdout)
    shown = {each["name"]: each for each in plan["shown"]}
    assert set(shown[MAIL]["services"]) == {"nginx", "postfix", "dovecot"}
    assert shown[SITE]["services"] == ["nginx"]
    assert shown[SITE]["later"] is None  # it counts as any other
    assert "which does not cover this name" in shown["www.b.example"]["now"]["words"]
    then = shown["www.b.example"]["then"]
    assert then["words"].startswith("the global certificate: certificate from Former CA")
    assert {then["code"], shown["www.b.example"]["now"]["code"]} == {"not-covered"}
    assert shown[MAIL]["later"]["code"] == "new"
    step = plan["steps"][0]
    assert (step["step"], step["owner"]) == ("adopt", "global")
    assert not (host.root / "var/lib/proxygen").exists()


def test_the_plan_tells_of_a_stand_in_and_why_it_is_made(host: Host) -> None:
    ended = datetime.now(UTC) - timedelta(days=1)
    before = ended - timedelta(days=30)
    live, _ = host.lineage(MAIL, not_before=before, not_after=ended)
    host.site(MAIL, live)
    fifo = host.root / "etc/fifo"
    os.mkfifo(fifo)
    host.postfix_presents(fifo)
    other, _ = host.lineage("other.example.net")
    host.dovecot_presents(other)
    host.model({}, main=MAIN)
    run = host.proxygen("plan")
    assert run.returncode == 0, said(run)
    assert "issue a stand-in for global" in run.stdout
    assert "certificate from Former CA Intermediate that expired on" in run.stdout
    assert "then: a self-signed stand-in, which clients refuse or warn of" in run.stdout
    assert (
        f"nginx: the certificate in {live}/fullchain.pem, {live}/privkey.pem is not adopted"
        in run.stderr
    )
    assert "expired on" in run.stderr
    assert "postfix" in run.stderr
    assert "not covered: mail.example.net" in run.stderr


def test_services_that_differ_are_given_what_covers_most_and_the_plan_says_so(host: Host) -> None:
    short, _ = host.lineage(MAIL, folder="short")
    wide, main = host.lineage(MAIL, "smtp.example.net", folder="wide")
    host.site(MAIL, short)
    host.postfix_presents(wide)
    host.dovecot_presents(short)
    host.model({}, main=MAIN | {"extra_names": ["smtp.example.net"]}, acme=UNREACHABLE)
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    words = "adopt the certificate of global from postfix: from Former CA Intermediate"
    assert words in run.stdout
    assert "have another one" in run.stdout
    for place in EVERYWHERE:  # a process of before the reload may take one connection more
        until(lambda place=place: host.shown(place) == fingerprint(main), f"it at {place}")


def test_a_store_that_was_lost_is_rebuilt_from_what_serves(host: Host) -> None:
    host.model(A, main=MAIN)
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    served = {place: host.shown(place) for place in host.places}
    shutil.rmtree(host.root / "var/lib/proxygen/store")
    host.model(A, main=MAIN, acme=UNREACHABLE)
    with watched(host) as seen:
        run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    assert seen == {place: {shown} for place, shown in served.items()}
    assert "adopt the certificate of a.example from nginx" in run.stdout


def test_where_there_is_nothing_valid_a_name_of_others_stays_theirs(host: Host) -> None:
    live, theirs = host.lineage("www.theirs.example")
    host.site("www.theirs.example", live)
    host.reload({})
    until(lambda: shown_for(host, "www.theirs.example") == fingerprint(theirs), "nginx to reload")
    host.model(A, main=MAIN)
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    assert shown_for(host, "www.theirs.example") == fingerprint(theirs)
    assert client.names(client.leaf(host.nginx.https, SITE)) == {SITE}


def shown_for(host: Host, name: str) -> bytes:
    """Return the fingerprint of what nginx shows for a name."""
    return client.leaf(host.nginx.https, name).fingerprint(SHA256())


@pytest.mark.parametrize("named", ["/proc/kmsg", "/dev/zero", "/etc", "{root}/gone", "{root}/huge"])
def test_what_is_named_but_is_no_certificate_costs_nothing(host: Host, named: str) -> None:
    with (host.root / "huge").open("wb") as file:
        file.truncate(1 << 40)
    path = named.format(root=host.root)
    assert host.postfix
    text = host.postfix.main.read_text().replace("smtpd_tls_cert_file=", "smtpd_tls_dcert_file=")
    host.postfix.main.write_text(f"{text}smtpd_tls_chain_files = {path}\n")
    settled(host.postfix.main)
    host.model({}, main=MAIN)
    run = host.proxygen("plan")
    assert run.returncode == 0, said(run)
    assert "issue a stand-in for global" in run.stdout
    assert f"postfix: the certificate in {path} is not adopted for the global URL" in run.stderr


def test_a_key_with_a_password_is_adopted_with_it(host: Host) -> None:
    live, main = host.lineage(MAIL)
    key = load_pem_private_key(main.key, None)
    locked = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"second")
    )
    (live / "privkey.pem").unlink()
    write_private(live / "privkey.pem", locked)
    write_private(live / "passwords", b"first\nsecond\n")
    host.site(MAIL, live)
    site = host.nginx.conf_d / f"{MAIL}.conf"
    site.write_text(f"ssl_password_file {live}/passwords;\n{site.read_text()}")
    host.model({}, main=MAIN, acme=UNREACHABLE)
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    assert host.shown("https") == fingerprint(main)
    assert "second" not in said(run)


# What cannot be stored.


def nothing_fits(host: Host, owner: str, what: str) -> Path:
    """Have the store take no key, or no facts, of an owner; return what is in the way."""
    store = host.root / "var/lib/proxygen/store"
    if what == "key":
        made(store / "bundles")
        (store / "bundles" / owner).write_text("in the way")
        return store / "bundles" / owner
    return made(store / "certificates/ecdsa-p256" / owner / "in the way").parent


B = {"b.example": {"url": "https://www.b.example", "certificate": "selfsigned"}}


@pytest.mark.parametrize("what", ["key", "facts"])
@pytest.mark.parametrize("acme", [{}, UNREACHABLE], ids=["reachable", "unreachable"])
def test_an_adoption_that_cannot_be_stored_concerns_its_domain_alone(
    host: Host, what: str, acme: dict[str, str]
) -> None:
    main, site = lived_in(host)
    way = nothing_fits(host, "a.example", what)
    host.model(A | B, main=MAIN, acme=acme)
    with watched(host) as seen:
        for _ in range(2):
            run = host.proxygen("apply")
            assert run.returncode == 5, said(run)
            assert "a.example: the store cannot be written to" in run.stderr
            assert "warning: a.example" not in said(run)
    assert all(seen[place] == {fingerprint(main)} for place in EVERYWHERE)
    assert seen["site"] == {fingerprint(site)}
    assert host.pebble.new_orders == 0
    assert client.names(client.leaf(host.nginx.https, "www.b.example")) == {"www.b.example"}
    shutil.rmtree(way) if way.is_dir() else way.unlink()
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    assert host.shown("site") == fingerprint(site)
    owners = json.loads(host.proxygen("status", "--json").stdout)["owners"]
    assert all(each["certificate"]["adopted"] for each in owners if each["owner"] != "b.example")


def test_what_cannot_be_stored_of_a_store_that_was_lost_serves_on(host: Host) -> None:
    host.model(A, main=MAIN)
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    served = {place: host.shown(place) for place in host.places}
    shutil.rmtree(host.root / "var/lib/proxygen/store")
    nothing_fits(host, "a.example", "key")
    host.model(A | B, main=MAIN, acme=UNREACHABLE)
    with watched(host) as seen:
        run = host.proxygen("apply")
    assert run.returncode == 5, said(run)
    assert seen == {place: {shown} for place, shown in served.items()}
    assert client.names(client.leaf(host.nginx.https, "www.b.example")) == {"www.b.example"}


@pytest.mark.parametrize("what", ["key", "facts"])
def test_a_global_certificate_that_cannot_be_stored_leaves_the_services_as_they_are(
    host: Host, what: str
) -> None:
    main, site = lived_in(host)
    before = configuration(host), [each.read_bytes() for each in configuration(host)]
    way = nothing_fits(host, "global", what)
    host.model(A, main=MAIN)
    with watched(host) as seen:
        run = host.proxygen("apply")
    assert run.returncode == 5, said(run)
    assert "global: the store cannot be written to" in run.stderr
    assert "stand-in" not in said(run)
    assert {*seen["https"], *seen["smtp"], *seen["imap"]} == {fingerprint(main)}
    assert seen["site"] == {fingerprint(site)}
    assert before == (configuration(host), [each.read_bytes() for each in configuration(host)])
    shutil.rmtree(way) if way.is_dir() else way.unlink()
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    assert host.shown("https") == fingerprint(main)


def test_while_the_global_certificate_cannot_be_stored_others_are_renewed(host: Host) -> None:
    host.model(A, main=MAIN)
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    shown = host.shown("https")
    (host.root / "var/lib/proxygen/store/certificates/ecdsa-p256/global").unlink()
    shutil.rmtree(host.root / "var/lib/proxygen/store/bundles/global")
    nothing_fits(host, "global", "key")
    host.model({"a.example": A["a.example"] | {"extra_names": ["x.a.example"]}}, main=MAIN)
    run = host.proxygen("apply")
    assert run.returncode == 5, said(run)
    assert host.shown("https") == shown
    (host.root / "var/lib/proxygen/store/bundles/global").unlink()
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    assert host.shown("https") == shown
    assert client.names(client.leaf(host.nginx.https, SITE)) == {SITE, "x.a.example"}
