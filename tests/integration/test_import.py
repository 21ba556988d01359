"""`proxygen import` on a host that real clients set up: a model, and nobody sees another one."""

from __future__ import annotations

import json
import os
import signal
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from josepy.jwk import JWKRSA

from proxygen.issuers.acme_key import account_key
from tests.conftest import require
from tests.integration.test_adoption import UNREACHABLE, Host, watched
from tests.live import client
from tests.live.acme_clients import Certbot
from tests.live.machine import PROGRAMS
from tests.live.processes import made, until

pytestmark = pytest.mark.apart

MAIL, SMTP = "mail.example.net", "smtp.example.net"
SITES = ("www.a.example", "www.b.example", "www.c.example", "www.d.example", "www.e.example")

SITE = """\
server {{
    listen 127.0.0.1:{https} ssl; # managed by Certbot
    server_name {name};
    ssl_certificate {live}/fullchain.pem; # managed by Certbot
    ssl_certificate_key {live}/privkey.pem; # managed by Certbot
    client_max_body_size 20m;
    add_header Strict-Transport-Security "max-age=31536000" always;
    location / {{
        proxy_pass http://127.0.0.1:{backend};
        proxy_set_header Host $host;
    }}
}}
server {{
    listen 127.0.0.1:{http};
    server_name {name};
    location /.well-known/acme-challenge/ {{
        root {webroot};
    }}
    location / {{
        return 301 https://$host$request_uri;
    }}
}}
"""


class Imported(Host):
    """A machine with lineages of the real certbot, which nginx, postfix and dovecot present."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.webroot = made(root / "var/www/html")

    @property
    def places(self) -> dict[str, tuple[int, str | None, str]]:
        """Where clients meet certificates: every service by each name, and every site."""
        found = {place: at for place, at in super().places.items() if place != "site"}
        found |= {
            f"{place} {SMTP}": (port, protocol, SMTP)
            for place, (port, protocol, _) in found.items()
        }
        return found | {name: (self.nginx.https, None, name) for name in SITES}

    @property
    def certbot(self) -> Certbot:
        """The real certbot with this machine's /etc/letsencrypt."""
        return Certbot(self.root / "etc/letsencrypt", self.pebble, self.nginx.http)

    def obtain(self, *names: str) -> Path:
        """Have certbot obtain a certificate by the webroot that nginx serves."""
        asked = [word for name in names for word in ("-d", name)]
        self.certbot("certonly", "--webroot", "-w", str(self.webroot), *asked)
        return self.root / "etc/letsencrypt/live" / names[0]

    def challenges(self) -> None:
        """Have nginx answer certbot's challenges."""
        text = (
            f"server {{ listen 127.0.0.1:{self.nginx.http}; server_name {MAIL} {' '.join(SITES)};"
            f" location /.well-known/acme-challenge/ {{ root {self.webroot}; }} }}\n"
        )
        (self.nginx.conf_d / "before.conf").write_text(text)
        os.kill(self.nginx.pid, signal.SIGHUP)

    def site_of(self, name: str, live: Path, backend: int) -> None:
        """Have nginx serve a site as certbot's users write them."""
        ports = {"http": self.nginx.http, "https": self.nginx.https, "backend": backend}
        text = SITE.format(name=name, live=live, webroot=self.webroot, **ports)
        (self.nginx.conf_d / f"{name}.conf").write_text(text)


def of_file(path: Path) -> bytes:
    """Return that of the leaf in a file."""
    return x509.load_pem_x509_certificate(path.read_bytes()).fingerprint(SHA256())


def digest(path: Path) -> str:
    """Return a hash of a file."""
    return sha256(path.read_bytes()).hexdigest()


def everything(folder: Path) -> dict[str, str]:
    """Return a hash of every file below a folder, and where links lead."""
    return {
        str(path): str(path.readlink()) if path.is_symlink() else digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture
def host(root: Path) -> Iterator[Imported]:
    """Return a machine that certbot set up."""
    require(PROGRAMS)
    with Imported(root) as running:
        yield running


def set_up(host: Imported, backend: int = 1) -> dict[str, bytes]:
    """Set a host up with six lineages; return what is shown at each name."""
    host.challenges()
    until(lambda: answers(host), "nginx to answer")
    live = {MAIL: host.obtain(MAIL, SMTP)}
    live |= {name: host.obtain(name) for name in SITES}
    (host.nginx.conf_d / "before.conf").unlink()
    for name, folder in live.items():
        host.site_of(name, folder, backend)
    host.mail(live[MAIL])
    marks = {name: of_file(folder / "fullchain.pem") for name, folder in live.items()}
    for program in (host.nginx, host.postfix, host.dovecot):
        assert program
        os.kill(program.pid, signal.SIGHUP)
    expected = {
        place: marks[at[2] if at[2] in marks else MAIL] for place, at in host.places.items()
    }
    for place, mark in expected.items():
        until(lambda p=place, m=mark: host.shown(p) == m, f"{place} to reload")
    return expected


@contextmanager
def unrefused(host: Imported) -> Iterator[list[str]]:
    """Have clients connect to nginx at every name, over and over; yield who was refused."""
    refused: list[str] = []
    over = threading.Event()

    def connect(name: str) -> None:
        while not over.wait(0.05):
            try:
                client.leaf(host.nginx.https, name)
            except OSError as error:
                refused.append(f"{name}: {error}")

    clients = [threading.Thread(target=connect, args=(name,)) for name in (MAIL, SMTP, *SITES)]
    for each in clients:
        each.start()
    try:
        yield refused
    finally:
        over.set()
        for each in clients:
            each.join()


def answers(host: Imported) -> bool:
    """Return whether nginx serves certbot's webroot."""
    folder = made(host.webroot / ".well-known/acme-challenge")
    (folder / "there").write_text("yes")
    url = f"http://127.0.0.1:{host.nginx.http}/.well-known/acme-challenge/there"
    with suppress(OSError), urllib.request.urlopen(url, timeout=2) as reply:
        return bool(reply.read() == b"yes")
    return False


def corrected(host: Imported, **acme: str) -> None:
    """Correct the model as a person does: the private authority, and where nothing listens."""
    ours = host.surroundings()
    model = yaml.safe_load(host.config.read_text())
    model["acme"] |= ours["acme"] | acme
    model["notifiers"] = {"email": {"host": "127.0.0.1", "port": 1}}
    host.config.write_text(json.dumps(model))


def test_six_lineages_are_imported_and_nobody_sees_another_certificate(host: Imported) -> None:
    marks = set_up(host)
    orders, accounts = host.pebble.new_orders, host.pebble.new_accounts
    before = {part: everything(host.root / "etc" / part) for part in OTHERS}

    run = host.proxygen("import", "--agree-to-terms")
    assert run.returncode == 0, run.stdout + run.stderr
    assert {part: everything(host.root / "etc" / part) for part in OTHERS} == before
    assert not list(host.root.glob("var/lib/proxygen/store/*"))

    corrected(host)
    run = host.proxygen("validate")
    assert run.returncode == 0, run.stdout + run.stderr
    with watched(host) as seen, unrefused(host) as refused:
        run = host.proxygen("apply")
    assert run.returncode == 0, run.stdout + run.stderr
    assert seen == {place: {mark} for place, mark in marks.items()}
    assert refused == []
    assert {place: host.shown(place) for place in marks} == marks
    assert (host.pebble.new_orders, host.pebble.new_accounts) == (orders, accounts)

    again = host.proxygen("import")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "nothing new was found" in again.stdout
    run = host.proxygen("renew", "--replace", "a.example")
    assert run.returncode == 0, run.stdout + run.stderr
    assert host.shown(SITES[0]) != marks[SITES[0]]
    assert host.pebble.new_orders == orders + 1
    key = next(host.root.glob("var/lib/proxygen/store/accounts/*/key")).read_bytes()
    assert account_key(key) == JWKRSA.json_loads(host.certbot.account_key.read_text())

    run = host.proxygen("uninstall")
    assert run.returncode == 0, run.stdout + run.stderr
    assert {part: everything(host.root / "etc" / part) for part in OTHERS} == before


def test_the_same_while_the_authority_is_away(host: Imported) -> None:
    marks = set_up(host)
    orders = host.pebble.new_orders
    assert host.proxygen("import", "--agree-to-terms").returncode == 0
    corrected(host, **UNREACHABLE)
    with watched(host) as seen, unrefused(host) as refused:
        run = host.proxygen("apply")
    assert run.returncode == 0, run.stdout + run.stderr
    assert seen == {place: {mark} for place, mark in marks.items()}
    assert refused == []
    assert {place: host.shown(place) for place in marks} == marks
    assert host.pebble.new_orders == orders


OTHERS = ("letsencrypt", "nginx", "postfix", "dovecot")
