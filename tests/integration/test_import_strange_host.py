"""`proxygen import` and `apply` on a host that is set up otherwise than most: nobody loses."""

from __future__ import annotations

import os
import signal
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256

from proxygen.model.certificate import san_matches
from tests.conftest import require
from tests.importing.test_clients import write
from tests.integration.test_adoption import UNREACHABLE, Host
from tests.integration.test_import import corrected, everything
from tests.live import client
from tests.live.machine import PROGRAMS
from tests.live.processes import until

MAIL = "mail.example.net"
SITES = (
    *("www.a.example", "a.example", "x.re.example", "www.php.example", "php.example"),
    *("both.example", "old.example", "spare.example", "nobody.example", "imap.a.example"),
)
ALL = (MAIL, "smtp.example.net", "mail.a.example", "imap.a.example")
OTHERS = ("letsencrypt", "nginx", "postfix", "dovecot")

BLOCK = """\
server {{
    listen 127.0.0.1:{https} ssl{more};
    server_name {names};
{pairs}
    {inner}
}}
"""
PASSED = "location / { proxy_pass http://127.0.0.1:1; }"

Shown = tuple[bytes, frozenset[str], datetime]


class Strange(Host):
    """A machine with what is allowed and rarely done."""

    def lineage_of(self, *names: str, **more: object) -> Path:
        """Make a lineage of certbot's; return its folder."""
        live, _ = self.lineage(*names, **more)  # type: ignore[arg-type]
        name = more.get("folder") or names[0]
        write(
            self.root / f"etc/letsencrypt/renewal/{name}.conf",
            f"fullchain = {live}/fullchain.pem\nprivkey = {live}/privkey.pem\n"
            f"server = {self.pebble.directory}\nauthenticator = webroot\n",
        )
        return live

    def block(self, names: str, *live: Path, more: str = "", inner: str = PASSED) -> str:
        """Return a server block."""
        pairs = "".join(
            f"    ssl_certificate {each}/fullchain.pem;\n"
            f"    ssl_certificate_key {each}/privkey.pem;\n"
            for each in live
        )
        https = self.nginx.https
        return BLOCK.format(https=https, names=names, pairs=pairs, more=more, inner=inner)

    def set_up(self) -> None:
        """Write all configurations, and have the services read them."""
        assert self.postfix
        assert self.dovecot
        main = self.lineage_of(MAIL, "smtp.example.net")
        a = self.lineage_of("www.a.example", "a.example")
        php = self.lineage_of("www.php.example", "php.example")
        ec = self.lineage_of("both.example")
        key = rsa.generate_private_key(65537, 2048)
        both = self.lineage_of("both.example", key=key, folder="both-rsa")
        ended = datetime.now(UTC) - timedelta(days=2)
        old = self.lineage_of("old.example", not_before=ended - timedelta(days=80), not_after=ended)
        self.lineage_of("spare.example")
        expression = self.lineage_of("x.re.example")
        imap, sni = self.lineage_of("imap.a.example"), self.lineage_of("mail.a.example")
        blocks = (
            self.block("www.php.example", php, more=" default_server", inner='return 200 "php";'),
            self.block("www.a.example", a),
            self.block(MAIL, main),
            self.block(r'"~^x\.(?<which>re)\.example$"', expression),
            self.block("both.example", ec, both),
            self.block("old.example", old),
        )
        for number, text in enumerate(blocks):
            write(self.root / f"etc/nginx/sites-available/{number}", text)
            path = self.nginx.conf_d / f"{number}.conf"
            path.symlink_to(f"../sites-available/{number}")
        self.mail(main)
        table = write(
            self.root / "etc/postfix/sni",
            f"mail.a.example {sni}/privkey.pem {sni}/fullchain.pem\n",
        )
        with self.postfix.main.open("a") as file:
            file.write(f"tls_server_sni_maps = texthash:{table}\n")
        names = ("ssl_server_cert_file = ", "ssl_server_key_file = ")
        cert, key_of = names if self.dovecot.is_2_4 else ("ssl_cert = <", "ssl_key = <")
        self.dovecot.write(
            "conf.d/20-names.conf",
            f"local_name imap.a.example {{\n  {cert}{imap}/fullchain.pem\n"
            f"  {key_of}{imap}/privkey.pem\n}}\n",
        )
        for program in (self.nginx, self.postfix, self.dovecot):
            os.kill(program.pid, signal.SIGHUP)

    @property
    def places(self) -> dict[str, tuple[int, str | None, str]]:
        """Where clients meet certificates: every service by each name."""
        services = {k: v for k, v in super().places.items() if k not in ("https", "site")}
        found = {
            f"{service} {name}": (port, protocol, name)
            for service, (port, protocol, _) in services.items()
            for name in (*ALL, "a.example")
        }
        return found | {f"https {each}": (self.nginx.https, None, each) for each in (*ALL, *SITES)}

    def everywhere(self) -> dict[str, Shown | None]:
        """Return what clients are shown at every place; None where they are refused."""
        return {place: self.met(place) for place in self.places}

    def met(self, place: str) -> Shown | None:
        """Return what a client is shown at a place."""
        port, protocol, name = self.places[place]
        try:
            found = client.leaf(port, name, starttls=protocol)
        except (ssl.SSLError, OSError):
            return None
        return found.fingerprint(SHA256()), client.names(found), found.not_valid_after_utc

    def is_up(self) -> bool:
        """Return whether all services have read what they were given."""
        with suppress(OSError):
            found = self.everywhere()
            return all(
                is_good(found[place], name)
                for place, name in (
                    (f"smtp {MAIL}", MAIL),
                    ("smtp mail.a.example", "mail.a.example"),
                    ("imap imap.a.example", "imap.a.example"),
                    ("https x.re.example", "x.re.example"),
                    ("https both.example", "both.example"),
                )
            )
        return False


def is_good(shown: Shown | None, name: str) -> bool:
    """Return whether clients that ask for a name are content with what they are shown."""
    if shown is None:
        return False
    _, names, ends = shown
    return any(san_matches(each, name) for each in names) and ends > datetime.now(UTC)


@pytest.fixture
def host(root: Path) -> Iterator[Strange]:
    """Return a machine that is set up like that."""
    require(PROGRAMS)
    with Strange(root) as running:
        running.set_up()
        until(running.is_up, "the services to read their configuration", 60)
        yield running


def lost(host: Strange, before: dict[str, Shown | None]) -> dict[str, Shown | None]:
    """Return where clients were content before, and are not any more."""
    now = host.everywhere()
    names = {place: name for place, (_, _, name) in host.places.items()}
    return {
        place: now[place]
        for place, name in names.items()
        if is_good(before[place], name) and not is_good(now[place], name)
    }


@pytest.mark.parametrize("away", [True, False], ids=["the authority is away", "it is there"])
def test_nobody_who_was_content_is_not_any_more(host: Strange, away: bool) -> None:
    before = host.everywhere()
    files = {part: everything(host.root / "etc" / part) for part in OTHERS}
    run = host.proxygen("import", "--agree-to-terms")
    said = run.stdout + run.stderr
    assert run.returncode == 0, said
    corrected(host, **(UNREACHABLE if away else {}))
    run = host.proxygen("validate")
    assert run.returncode == 0, run.stdout + run.stderr
    run = host.proxygen("apply")
    assert run.returncode in (0, 5), run.stdout + run.stderr
    assert lost(host, before) == {}, said + run.stdout + run.stderr
    now = host.everywhere()
    if away:
        same = {place for place in before if before[place] == now[place]}
        good = {place for place, (_, _, n) in host.places.items() if is_good(before[place], n)}
        assert good <= same
    for name in ("www.php.example", "both.example", "imap.a.example", "mail.a.example"):
        assert f"certbot goes on with {name}" in said or f"goes on with {name}" in said
    model = yaml.safe_load(host.config.read_text())
    assert "postfix" not in model["services"]
    run = host.proxygen("uninstall")
    assert run.returncode == 0, run.stdout + run.stderr
    assert {part: everything(host.root / "etc" / part) for part in OTHERS} == files
