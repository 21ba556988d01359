"""`renew`: what is due, and nothing else; `--replace` for what is compromised."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxygen import assemble
from proxygen.model.certificate import Bundle
from proxygen.model.layout import Layout
from proxygen.stores.outbox import Outbox
from tests.conftest import require
from tests.failures import no
from tests.live import client
from tests.live.machine import Machine

MAIN = {"url": "https://mail.example.net", "certificate": "acme"}
A = {"a.example": {"url": "https://www.a.example", "certificate": "acme"}}
B = {"b.example": {"url": "https://www.b.example", "certificate": "acme"}}
WEB = ("nginx", "pebble")


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    """Return a machine with nginx and Pebble, a model with a domain, and all applied."""
    require(WEB)
    with Machine(root, WEB) as running:
        running.model(A, main=MAIN)
        assert running.proxygen("apply").returncode == 0
        yield running


def leaf(machine: Machine, name: str) -> x509.Certificate:
    """Return the certificate that nginx shows for *name*."""
    return client.leaf(machine.nginx.https, name)


def key_of(certificate: x509.Certificate) -> str:
    """Return a hash of a certificate's public key."""
    public = certificate.public_key()
    return hashlib.sha256(
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).hexdigest()


def make_due(machine: Machine, owner: str) -> Bundle:
    """Let a stored certificate be near its end, as far as its facts tell.

    And let these facts count: an authority with renewal information (Pebble since 2.5) would
    overrule them.
    """
    layout = Layout(machine.root, machine.config)
    bundles = assemble.build_installation(layout, lambda: datetime.now(UTC)).bundles
    bundle = bundles.facts(owner)
    assert bundle
    now = datetime.now(UTC)
    soon = now + timedelta(days=10)
    start = soon - timedelta(days=90)
    bundles.note(bundle, not_after=soon, not_before=start, renewal=None)
    unheard = no("not asked in this test", retry_at=now + timedelta(days=1))
    bundles.remember_failure("looks", machine.pebble.directory, unheard, now, 0.5)
    return bundle


def done(run: subprocess.CompletedProcess[str]) -> str:
    """Return what was said of a success."""
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_while_nothing_is_due_nothing_is_done_whatever_else_changed(web: Machine) -> None:
    shown = {"b.example": {"url": "https://www.b.example"}}
    web.model(A | shown, main=MAIN)
    assert done(web.proxygen("renew")) == "nothing to do\n"
    assert web.pebble.new_orders == 2


def test_what_is_due_is_renewed_and_served_with_a_new_key(web: Machine) -> None:
    before = leaf(web, "www.a.example")
    make_due(web, "a.example")
    said = done(web.proxygen("renew"))
    assert "issue the certificate of a.example (acme): it ends" in said
    after = leaf(web, "www.a.example")
    assert after.serial_number != before.serial_number
    assert key_of(after) != key_of(before)
    assert web.pebble.new_orders == 3
    assert done(web.proxygen("renew")) == "nothing to do\n"


def test_the_global_certificate_keeps_its_key_until_it_is_told_to_be_compromised(
    web: Machine,
) -> None:
    first = leaf(web, "mail.example.net")
    make_due(web, "global")
    done(web.proxygen("renew"))
    second = leaf(web, "mail.example.net")
    assert second.serial_number != first.serial_number
    assert key_of(second) == key_of(first)
    said = done(web.proxygen("renew", "--replace", "global"))
    assert "its replacement with a new key was asked for" in said
    assert key_of(leaf(web, "mail.example.net")) != key_of(first)
    assert web.pebble.new_orders == 4


def test_a_url_that_is_another_altogether_replaces_nothing(web: Machine) -> None:
    web.model({"a.example": {"url": "https://new.a.example", "certificate": "acme"}}, main=MAIN)
    done(web.proxygen("apply"))
    assert client.names(leaf(web, "new.a.example")) == {"new.a.example"}


def test_what_could_not_be_replaced_is_replaced_by_a_later_run(web: Machine) -> None:
    first = leaf(web, "www.a.example")
    web.pebble.dns.set_servfail("www.a.example")
    assert web.proxygen("renew", "--replace", "a.example").returncode == 5
    assert leaf(web, "www.a.example") == first
    web.pebble.dns.clear_servfail("www.a.example")
    done(web.proxygen("apply", "a.example"))
    assert leaf(web, "www.a.example") != first


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--replace",), "--replace is for certificates that are named"),
        (("--replace", "b.example"), "b.example has no certificate of its own"),
        (("nobody.example",), "the model has no domain nobody.example"),
    ],
)
def test_what_cannot_be_replaced_is_told(
    web: Machine, arguments: tuple[str, ...], words: str
) -> None:
    web.model(A | {"b.example": {"url": "https://www.b.example"}}, main=MAIN)
    run = web.proxygen("renew", *arguments)
    assert run.returncode == 2
    assert words in run.stderr


def test_a_certificate_that_a_killed_run_obtained_is_brought(web: Machine) -> None:
    layout = Layout(web.root, web.config)
    parts = assemble.build_installation(layout, lambda: datetime.now(UTC))
    former = parts.bundles.facts("a.example")
    assert former
    # As a run that was killed after it stored what it obtained, and before it installed it.
    make_due(web, "a.example")
    current = web.root / "var/lib/proxygen/live/nginx/current"
    serving = current.readlink()
    done(web.proxygen("renew"))
    current.unlink()
    current.symlink_to(serving)
    assert "install nginx" in done(web.proxygen("renew"))
    assert leaf(web, "www.a.example").not_valid_after_utc > former.not_before


def test_json_tells_what_was_done(web: Machine) -> None:
    make_due(web, "a.example")
    said = json.loads(web.proxygen("renew", "--json").stdout)
    assert said["exit_code"] == 0
    assert said["done"][0]["words"].startswith("issue the certificate of a.example")


def test_a_renewed_certificate_that_nginx_refuses_is_an_alert(web: Machine) -> None:
    local = web.nginx.conf_d / "zz-broken.conf"
    local.write_text("no such directive;\n")
    assert web.proxygen("renew", "--replace", "a.example").returncode == 4
    check = web.proxygen("check")
    assert check.returncode == 2
    assert "nginx does not serve the renewed certificate of a.example" in check.stdout
    layout = Layout(web.root, web.config)
    letters = Outbox(assemble.build_installation(layout, lambda: datetime.now(UTC)).store).waiting()
    (letter,) = (each.mail for each in letters.values())
    assert "nginx" in letter.text
    assert "unknown directive" in letter.text
    assert "1 mail waits for the mail server" in check.stdout
    local.unlink()
    done(web.proxygen("renew"))
    assert web.proxygen("check").returncode < 2
