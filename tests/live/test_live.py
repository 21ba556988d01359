"""The harness itself: programs answer, keep apart, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.live import client, needs, ports
from tests.live.authority import Authority, write_private
from tests.live.backend import Backend
from tests.live.dovecot import Dovecot
from tests.live.machine import Machine, runnable
from tests.live.nginx import Nginx
from tests.live.pebble import Manners, Pebble
from tests.live.postfix import Postfix
from tests.live.processes import NotReady, Process, runs, session_of, until


def left_of(pid: int) -> list[int]:
    """Return the processes of a session that still run."""
    return [one.pid for one in psutil.process_iter() if session_of(one.pid) == pid and runs(one)]


def test_a_port_is_given_once() -> None:
    given = [ports.reserve() for _ in range(50)]
    ports.release(*given)
    assert len(set(given)) == len(given)


def test_a_port_held_by_another_run_is_not_given() -> None:
    port = ports.reserve()
    code = f"from tests.live import ports; print(ports.claim({port}))"
    try:
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    finally:
        ports.release(port)
    assert other.stdout == "False\n"


def test_a_port_in_use_is_not_given() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not ports.claim(server.getsockname()[1])


def test_what_ignores_its_signal_is_killed_with_its_children(tmp_path: Path) -> None:
    code = (
        "import signal, subprocess, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen(['sleep', '60']); print('deaf', flush=True); time.sleep(60)\n"
    )
    log = tmp_path / "out"
    process = Process([sys.executable, "-c", code], log=log)
    until(lambda: "deaf" in log.read_text(), "the process to ignore SIGTERM")
    assert process.stop(seconds=0.2) == -signal.SIGKILL
    assert left_of(process.pid) == []


def test_a_program_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, psutil; from tests.live.processes import Process, until\n"
        f"pid = Process(['sleep', '60'], log=pathlib.Path({str(tmp_path / 'out')!r})).pid\n"
        "until(lambda: psutil.Process(pid).name() == 'sleep', 'the program')\n"
        "print(pid, flush=True); os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    until(lambda: left_of(int(killed.stdout)) == [], "the program to end")


@needs("nginx")
def test_nginx_that_cannot_start_says_why_and_leaves_nothing(root: Path) -> None:
    nginx = Nginx(root)
    nginx.configure()
    nginx.main.write_text("nonsense;\n")
    with pytest.raises(NotReady, match="nonsense"):
        nginx.start()
    assert nginx.process is None


@needs("nginx")
def test_nginx_runs_below_its_root_and_can_start_again(root: Path) -> None:
    with Nginx(root) as nginx:
        first = nginx.pid
        assert (root / "run/nginx.pid").read_text().strip() == str(first)
        nginx.stop()
        assert left_of(first) == []
        nginx.start()
        assert len(nginx.workers) == 1


@needs("nginx")
def test_nginx_passes_requests_to_a_backend(root: Path) -> None:
    with Backend("app") as backend, Nginx(root) as nginx:
        passing = f"proxy_pass {backend.url}; proxy_set_header Host $http_host;"
        site = f"server {{ listen 127.0.0.1:{nginx.http}; location / {{ {passing} }} }}"
        (nginx.conf_d / "site.conf").write_text(site)
        os.kill(nginx.pid, signal.SIGHUP)
        reply = until(
            lambda: client.get(
                nginx.http, "a.example", "/x?y", tls=False, method="POST", body=b"12345"
            ),
            "the server block",
        )
    assert (reply.status, reply.json["host"], reply.json["path"]) == (200, "a.example", "/x?y")
    assert (reply.json["backend"], reply.json["length"]) == ("app", 5)
    assert backend.seen == ["POST a.example /x?y"]


def test_a_backend_echoes_a_websocket() -> None:
    upgrade = (
        b"GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with (
        Backend() as backend,
        socket.create_connection(("127.0.0.1", backend.port), timeout=5) as browser,
    ):
        browser.sendall(upgrade)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += browser.recv(1024)
        browser.sendall(b"hello")
        echo = browser.recv(1024)
    # The accept value is that of the example in RFC 6455 section 1.3.
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer
    assert echo == b"hello"


@needs("postfix")
def test_postfix_shows_its_certificate_on_three_ports(root: Path) -> None:
    with Postfix(root) as postfix:
        pid = postfix.pid
        shown = {
            client.names(client.leaf(postfix.smtp, starttls="smtp")),
            client.names(client.leaf(postfix.submission, starttls="smtp")),
            client.names(client.leaf(postfix.smtps)),
        }
    assert shown == {frozenset({"localhost"})}
    assert left_of(pid) == []


@needs("dovecot")
def test_dovecot_shows_its_certificate_on_every_port(root: Path) -> None:
    with Dovecot(root) as dovecot:
        pid = dovecot.pid
        shown = {
            client.names(client.leaf(dovecot.imap, starttls="imap")),
            client.names(client.leaf(dovecot.imaps)),
            client.names(client.leaf(dovecot.pop3, starttls="pop3")),
            client.names(client.leaf(dovecot.pop3s)),
        }
        if dovecot.has_sieve:
            shown.add(client.names(client.leaf(dovecot.sieve, starttls="sieve")))
    assert shown == {frozenset({"localhost"})}
    assert left_of(pid) == []


@needs("pebble")
def test_pebble_shows_its_directory_and_root(root: Path) -> None:
    with Pebble(root, http_port=1, manners=Manners(nonces_rejected=50)) as pebble:
        pebble.dns.set_servfail("a.example")
        pebble.dns.add_a("b.example", "127.0.0.2")
        assert b"BEGIN CERTIFICATE" in pebble.issuing_root
        assert "Configured to reject 50% of good nonces" in pebble.log
        assert (pebble.new_orders, pebble.new_accounts) == (0, 0)


def test_an_authority_makes_what_a_client_accepts(root: Path) -> None:
    authority = Authority()
    issued = authority.issue("a.example", "www.a.example")
    write_private(root / "a.pem", issued.key + issued.fullchain)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(root / "a.pem")
    assert handshake(server, authority.root_pem, "www.a.example") == issued.certificate
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, authority.root_pem, "b.example")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, Authority().root_pem, "a.example")


def handshake(server: ssl.SSLContext, trust: bytes, name: str) -> object:
    """Let a client meet *server* in one process and return the certificate it saw."""
    from cryptography import x509

    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.context(trust).wrap_bio(back, there, server_hostname=name)
    theirs = server.wrap_bio(there, back, server_side=True)
    for side in (ours, theirs, ours, theirs):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return x509.load_der_x509_certificate(ours.getpeercert(binary_form=True) or b"")


@needs("nginx", "pebble", "dovecot")
def test_two_machines_run_side_by_side(root: Path) -> None:
    (root / "a").mkdir()
    (root / "b").mkdir()
    with Machine(root / "a", runnable()) as one, Machine(root / "b", runnable()) as other:
        pids = one.pids + other.pids
        assert one.surroundings() != other.surroundings()
        assert len(set(pids)) == 2 * (1 + len(runnable()))
    assert [left for pid in pids for left in left_of(pid)] == []
