"""Key material that would cost minutes: one clean error, other domains and the daemon go on."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import hostile
from tests.certificates import openssl
from tests.conftest import require
from tests.live import client
from tests.live.machine import Machine
from tests.live.needs import needs
from tests.live.processes import Process, environment, until

pytestmark = pytest.mark.apart

MAIN = {"url": "https://mail.example.net", "certificate": "selfsigned"}
OTHER = {"b.example": {"url": "https://www.b.example", "certificate": "selfsigned"}}
WEB = ("nginx", "pebble")
BUSY = 400
"""Seconds for what takes twenty of the processor, on a machine with much else to do."""


def is_given_up(said: str) -> bool:
    """Return whether it was too costly: by the processor, or by the clock of a busy machine."""
    return "it took too much time" in said or "could not be read within" in said


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    """Return a machine with nginx alone."""
    require(WEB)
    with Machine(root, WEB) as running:
        yield running


def supplied(machine: Machine, content: bytes, **more: Any) -> None:
    """Write a model in which a customer supplied *content*, and another domain is right."""
    file = {"certificate": "a.pem", **more}
    a = {"url": "https://www.a.example", "certificate": {"file": file}}
    machine.model({"a.example": a} | OTHER, main=MAIN)
    (machine.config.parent / "a.pem").write_bytes(content)


def spent() -> float:
    """Return the processor time of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def absurd_password(folder: Path) -> bytes:
    return hostile.pkcs12(folder, hostile.ABSURD)


def scrypt(_: Path) -> bytes:
    return hostile.certificate() + hostile.scrypt(2**20)


def long_rsa(_: Path) -> bytes:
    return hostile.certificate() + hostile.armored(hostile.rsa_der(8676))


def diffie_hellman(_: Path) -> bytes:
    return hostile.certificate() + hostile.armored(hostile.dh_der())


@needs("openssl")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (absurd_password, "2147487743 iterations"),
        (scrypt, "scrypt with N=1048576"),
        (long_rsa, "8192 are supported for RSA"),
        (diffie_hellman, "clients do not accept Diffie-Hellman keys"),
    ],
)
def test_what_is_seen_to_be_costly_is_not_read(web: Machine, make: Any, words: str) -> None:
    supplied(web, make(web.root))
    for command in ("validate", "plan", "apply", "apply"):
        before = spent()
        run = web.proxygen(command)
        said = run.stdout + run.stderr
        assert run.returncode == 5, said
        assert words in said
        assert "a.pem" in said
        assert "Traceback" not in said
        assert spent() - before < 15
    assert client.names(client.leaf(web.nginx.https, "www.b.example")) == {"www.b.example"}


@needs("openssl")
@pytest.mark.timeout(2 * BUSY)
def test_what_is_not_seen_is_given_up_and_read_again_only_when_it_changes(web: Machine) -> None:
    supplied(web, hostile.pkcs12(web.root, hostile.ABSURD, hidden=True))
    run = web.proxygen("apply", seconds=BUSY)
    assert run.returncode == 5, run.stdout + run.stderr
    assert is_given_up(run.stderr)
    assert client.names(client.leaf(web.nginx.https, "www.b.example")) == {"www.b.example"}
    for command in ("apply", "validate", "plan", "validate"):
        before = spent()
        again = web.proxygen(command)
        assert again.returncode == 5
        assert is_given_up(again.stdout + again.stderr)
        assert spent() - before < 15
    (web.config.parent / "a.pem").write_bytes(hostile.pkcs12(web.root, 2048))
    run = web.proxygen("apply")
    assert run.returncode == 0, run.stdout + run.stderr
    assert client.names(client.leaf(web.nginx.https, "www.a.example")) == {"www.a.example"}


@needs("openssl")
@pytest.mark.timeout(3 * BUSY)
def test_the_daemon_serves_others_beside_it_and_stops(web: Machine) -> None:
    supplied(web, hostile.pkcs12(web.root, hostile.ABSURD, hidden=True))
    places = ("--root", str(web.root), "--config", str(web.config))
    log = web.root / "watch.out"
    daemon = Process(
        [sys.executable, "-P", "-m", "proxygen", *places, "watch"], log=log, env=environment()
    )
    try:
        until(lambda: is_given_up(log.read_text()), "the end", BUSY)
        until(
            lambda: (
                client.names(client.leaf(web.nginx.https, "www.b.example")) == {"www.b.example"}
            ),
            "the other domain",
            BUSY,
        )
    finally:
        code = daemon.stop(seconds=60)
    assert code == 0, log.read_text()


@needs("openssl")
def test_a_hook_is_brought_what_would_be_costly(web: Machine) -> None:
    web.model(OTHER, main=MAIN)
    key = web.root / "key.pem"
    key.write_bytes(hostile.armored(hostile.dh_der()))
    chain = web.root / "chain.pem"
    chain.write_bytes(hostile.certificate())
    run = web.proxygen("hook", "--certificate", str(chain), "--key", str(key))
    assert run.returncode == 5, run.stdout + run.stderr
    assert "Diffie-Hellman" in run.stderr


@needs("openssl")
@pytest.mark.timeout(2 * BUSY)
def test_a_long_key_behind_a_password_is_given_up(web: Machine) -> None:
    folder = web.root
    (folder / "k.der").write_bytes(hostile.rsa_der(19_630))
    made = openssl(
        *("pkcs8", "-topk8", "-inform", "DER", "-in", folder / "k.der", "-passout", "pass:secret")
    )
    (folder / "secret").write_text("secret")
    supplied(web, hostile.certificate() + made, password=f"file:{folder}/secret")
    run = web.proxygen("validate", seconds=BUSY)
    assert run.returncode == 5, run.stdout + run.stderr
    assert "a.pem" in run.stdout
