"""Several services of one kind, and nginx as mail front: each on its own, with real programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from tests.live import client, needs, ports
from tests.live.authority import snakeoil
from tests.live.machine import Machine, temporary_root
from tests.live.nginx import Nginx
from tests.live.postfix import Postfix
from tests.live.processes import made, until

pytestmark = needs("nginx", "postfix", "pebble")
GLOBAL = {"url": "https://mail.example.net", "certificate": "selfsigned"}
MODULE = Path("/usr/lib/nginx/modules/ngx_mail_module.so")
INCLUDE = re.compile(r"`(include [^`]+;)`")
SPOKEN = (("imap", "imap"), ("pop3", "pop3"), ("smtp", "smtp"))

MAIL = """
mail {{
    auth_http 127.0.0.1:1;
    server_name mail.example.net;
    starttls on;
    {presented}
    server {{
        listen 127.0.0.1:{0};
        protocol imap;
    }}
    server {{
        listen 127.0.0.1:{1};
        protocol pop3;
    }}
    server {{
        listen 127.0.0.1:{2};
        protocol smtp;
        smtp_auth none;
    }}
    server {{
        listen 127.0.0.1:{3} ssl;
        protocol imap;
    }}
}}
"""


class MailFront(Nginx):
    """nginx whose ``mail {}`` stands in a file of its own, as BlueMind has it."""

    @property
    def file(self) -> Path:
        return self.main.parent / "global.d/mail.conf"

    def configure(self) -> None:
        super().configure()
        self.ports += self.reserve_more(4)
        made(self.file.parent)
        pair = "ssl_certificate {};\n    ssl_certificate_key {};".format(*snakeoil(self.root))
        self.present(pair)
        head = f"load_module {MODULE};\n" if MODULE.exists() else ""
        more = f"include {self.main.parent}/global.d/*.conf;\n"
        self.main.write_text(head + self.main.read_text() + more)

    def reserve_more(self, count: int) -> tuple[int, ...]:
        return tuple(ports.reserve() for _ in range(count))

    def present(self, words: str) -> None:
        self.file.write_text(MAIL.format(*self.ports[-4:], presented=words))

    def leaves(self) -> list[x509.Certificate]:
        return [
            client.leaf(port, name, starttls=starttls)
            for port, starttls in zip(self.ports[-4:], ("imap", "pop3", "smtp", None), strict=True)
            for name in ("mail.example.net", "other.example")
        ]


@pytest.fixture
def machine() -> Iterator[Machine]:
    with temporary_root() as root, Machine(root, ("nginx", "pebble", "postfix")) as running:
        yield running


@pytest.fixture
def out(machine: Machine) -> Iterator[Postfix]:
    with Postfix(made(machine.root / "out")) as running:
        first = machine.postfix
        assert first
        text = f"multi_instance_directories = {running.main.parent}\n"
        first.main.write_text(first.main.read_text() + text)
        yield running


def fingerprint(leaf: x509.Certificate) -> str:
    return leaf.fingerprint(SHA256()).hex()


def test_each_of_two_postfix_is_set_up_checked_proven_and_taken_out(
    machine: Machine, out: Postfix
) -> None:
    assert machine.postfix
    first, folder = machine.postfix, str(out.main.parent)
    before = {each: each.main.read_text() for each in (first, out)}
    machine.model(main=GLOBAL)
    name = f"postfix-{out.main.parent.name.removeprefix('postfix-')}"
    told = machine.proxygen("plan").stderr
    assert f"add `{name}: {{configuration: {folder}}}` to `services`" in told
    machine.model(main=GLOBAL, services={"postfix-out": {"configuration": folder}})
    done = machine.proxygen("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    ours = {fingerprint(client.leaf(port, starttls="smtp")) for port in (first.smtp, out.smtp)}
    ours.add(fingerprint(client.leaf(out.smtps)))
    assert len(ours) == 1
    live = machine.root / "var/lib/proxygen/live"
    assert f"{live}/postfix-out/current/global.pem" in out.main.read_text()
    assert f"{live}/postfix/current/global.pem" in first.main.read_text()
    again = machine.proxygen("apply")
    assert "nothing to do" in again.stdout
    status = json.loads(machine.proxygen("status", "--json").stdout)
    assert {"postfix", "postfix-out"} <= {each["service"] for each in status["services"]}

    gone = machine.proxygen("uninstall", "postfix-out", "--yes")
    assert gone.returncode == 0, gone.stderr
    assert out.main.read_text() == before[out]
    assert first.main.read_text() != before[first]
    until(
        lambda: fingerprint(client.leaf(out.smtp, starttls="smtp")) not in ours,
        "postfix-out to present its own certificate again",
    )


def test_one_that_fails_does_not_hold_up_the_other(machine: Machine, out: Postfix) -> None:
    assert machine.postfix
    machine.model(main=GLOBAL, services={"postfix-out": {"configuration": str(out.main.parent)}})
    (out.main.parent / "master.cf").write_text("no service at all\n")
    done = machine.proxygen("apply")
    assert done.returncode == 4
    assert "postfix-out" in done.stderr
    shown = client.leaf(machine.postfix.smtp, starttls="smtp")
    assert "mail.example.net" in client.names(shown)


@pytest.fixture
def front() -> Iterator[tuple[Machine, MailFront]]:
    with temporary_root() as root:
        machine = Machine(root, ("nginx", "pebble"))
        nginx = MailFront(root)
        machine.nginx = nginx
        with machine:
            yield machine, nginx


def test_a_mail_front_presents_the_global_certificate_once_it_includes_it(
    front: tuple[Machine, MailFront],
) -> None:
    machine, nginx = front
    machine.model(main=GLOBAL)
    before = {fingerprint(each) for each in nginx.leaves()}
    planned = machine.proxygen("plan")
    line = next(
        n
        for n, each in enumerate(nginx.file.read_text().splitlines(), 1)
        if "ssl_certificate " in each
    )
    assert f"{nginx.file}:{line} presents" in planned.stderr
    found = INCLUDE.search(planned.stderr)
    assert found
    done = machine.proxygen("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    nginx.present(found[1])
    after = machine.proxygen("apply")
    assert after.returncode == 0, after.stdout + after.stderr
    assert "presents" not in after.stderr
    ours = {fingerprint(client.leaf(nginx.https, "mail.example.net"))}
    assert {fingerprint(each) for each in nginx.leaves()} == ours != before

    refused = machine.proxygen("uninstall", "--yes")
    assert refused.returncode == 4
    assert str(nginx.file) in refused.stderr
    assert {fingerprint(each) for each in nginx.leaves()} == ours


def test_of_two_nginx_each_serves_the_urls_and_rolls_back_by_itself(machine: Machine) -> None:
    with Nginx(made(machine.root / "in")) as inside:
        listen = {
            "http": [f"127.0.0.1:{inside.http}"],
            "https": [f"127.0.0.1:{inside.https}"],
        }
        mine = {"listen": listen, "configuration": str(inside.main)}
        machine.model(main=GLOBAL, services={"nginx-inside": mine})
        done = machine.proxygen("apply")
        assert done.returncode == 0, done.stdout + done.stderr
        assert client.leaf(inside.https, "mail.example.net") == client.leaf(
            machine.nginx.https, "mail.example.net"
        )
        answered = machine.root / "var/lib/proxygen/store/host/answered"
        assert not (answered / "nginx-inside").exists()

        (inside.main.parent / "conf.d/zz.conf").write_text("proxi_pass x;\n")
        more = {"extra.example": {"url": "https://extra.example"}}
        machine.model(more, main=GLOBAL, services={"nginx-inside": mine})
        failed = machine.proxygen("apply")
        assert failed.returncode == 4
        assert "nginx-inside refuses its configuration" in failed.stderr
        assert machine.proxygen("rollback", "nginx").returncode == 0
        none = machine.proxygen("rollback", "nginx-inside")
        assert none.returncode == 4

        (inside.main.parent / "conf.d/zz.conf").unlink()
        taken = machine.proxygen("uninstall", "nginx-inside", "--yes")
        assert taken.returncode == 0, taken.stderr
        assert not (inside.main.parent / "conf.d/00-proxygen.conf").exists()
        assert (machine.nginx.conf_d / "00-proxygen.conf").exists()


def test_two_that_are_one_process_are_told_apart(machine: Machine) -> None:
    folder = made(machine.root / "etc/nginx-copy/conf.d").parent
    text = machine.nginx.main.read_text().replace("/etc/nginx/", "/etc/nginx-copy/")
    (folder / "nginx.conf").write_text(text)  # with the same `pid`
    machine.model(main=GLOBAL, services={"nginx-copy": {"urls": False}})
    done = machine.proxygen("apply")
    assert done.returncode == 4
    assert "nginx-copy is the same as nginx" in done.stderr
    assert client.leaf(machine.nginx.https, "mail.example.net")


def test_init_and_import_write_further_postfix(machine: Machine, out: Postfix) -> None:
    folder = str(out.main.parent)
    arguments = ("--url", "https://mail.example.net", "--contact", "a@example.net")
    for command in ("init", "import"):
        machine.config.unlink(missing_ok=True)
        more = ("--certificate", "selfsigned", "--application", "none") if command == "init" else ()
        done = machine.proxygen(command, *arguments, *more)
        assert done.returncode == 0, done.stderr
        services = yaml.safe_load(machine.config.read_text())["services"]
        assert services["postfix-postfix"] == {"configuration": folder}
        assert {"nginx", "postfix"} <= set(services)
        assert "services" not in machine.proxygen("validate").stdout


def test_the_daemon_may_write_to_the_folders_of_all(machine: Machine, out: Postfix) -> None:
    machine.model(main=GLOBAL, services={"postfix-out": {"configuration": str(out.main.parent)}})
    done = machine.proxygen("install-service", "--no-start")
    assert done.returncode == 0, done.stderr
    unit = machine.root / "etc/systemd/system/proxygen.service"
    assert f"-{out.main.parent}" in unit.read_text()
