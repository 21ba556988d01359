"""http-01: what a client sees, what stays on disk, and what a hostile one cannot do."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_IMODE

import pytest

from proxygen.errors import IssueFailed
from proxygen.solvers.http01 import MOST_CLIENTS, Http01Listener, Webroot, client_network
from tests.live import ports
from tests.live.processes import until

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
ANSWER = f"{TOKEN}.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
URL = f"/.well-known/acme-challenge/{TOKEN}"
HOSTILE = ["", ".", "..", "../../etc/cron.d/x", "a/b", "a b", "x" * 300, "a\n", "töken", "a\0"]


# Answers as files


def test_an_answer_is_readable_by_the_web_server_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "var/lib/proxygen/challenges"
    former = os.umask(0o077)
    try:
        Webroot(folder).present("a.example", TOKEN, ANSWER)
    finally:
        os.umask(former)
    file = folder / ".well-known/acme-challenge" / TOKEN
    assert file.read_text() == ANSWER
    assert S_IMODE(file.stat().st_mode) == 0o644
    made = [parent for parent in file.parents if tmp_path in parent.parents]
    assert {S_IMODE(parent.stat().st_mode) for parent in made} == {0o755}


def test_an_answer_is_taken_back_however_often(tmp_path: Path) -> None:
    webroot = Webroot(tmp_path)
    webroot.present("a.example", TOKEN, ANSWER)
    webroot.cleanup("a.example", TOKEN)
    webroot.cleanup("a.example", TOKEN)
    assert list(webroot.place.iterdir()) == []


def test_an_answer_may_be_presented_again(tmp_path: Path) -> None:
    webroot = Webroot(tmp_path)
    webroot.present("a.example", TOKEN, "former.answer")
    webroot.present("a.example", TOKEN, ANSWER)
    assert [path.read_text() for path in webroot.place.iterdir()] == [ANSWER]


@pytest.mark.parametrize("token", HOSTILE)
def test_a_token_is_never_a_path(tmp_path: Path, token: str) -> None:
    webroot = Webroot(tmp_path / "challenges")
    with pytest.raises(IssueFailed, match=r"a\.example"):
        webroot.present("a.example", token, ANSWER)
    webroot.cleanup("a.example", token)
    assert list(tmp_path.rglob("*")) == []


def test_nothing_is_made_before_the_first_answer(tmp_path: Path) -> None:
    webroot = Webroot(tmp_path / "challenges")
    webroot.sweep(datetime.now(UTC))
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_removed_after_a_day(tmp_path: Path) -> None:
    killed = Webroot(tmp_path)
    for token in ("old", "young"):
        killed.present("a.example", token, ANSWER)
    yesterday = (datetime.now(UTC) - timedelta(hours=25)).timestamp()
    os.utime(killed.place / "old", (yesterday, yesterday))
    Webroot(tmp_path).present("a.example", TOKEN, ANSWER)
    assert {path.name for path in killed.place.iterdir()} == {"young", TOKEN}


def test_at_the_end_a_process_removes_its_own_answers_and_no_other(tmp_path: Path) -> None:
    first, second = Webroot(tmp_path), Webroot(tmp_path)
    first.present("a.example", TOKEN, ANSWER)
    second.present("b.example", "second", ANSWER)
    second.present("c.example", "gone", ANSWER)
    second.cleanup("c.example", "gone")
    for token in ("of-another-run", "gone"):
        (first.place / token).write_text(ANSWER)
    Webroot.withdraw()
    assert {path.name for path in first.place.iterdir()} == {"of-another-run", "gone"}


def test_an_answer_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".well-known").write_text("a file where a folder belongs")
    with pytest.raises(IssueFailed, match="cannot be written") as failed:
        Webroot(tmp_path).present("a.example", TOKEN, ANSWER)
    assert str(tmp_path) in str(failed.value.where)


# The listener


@pytest.fixture
def port() -> Iterator[int]:
    """Return a free port."""
    chosen = ports.reserve()
    yield chosen
    ports.release(chosen)


@pytest.fixture
def listener(port: int) -> Iterator[Http01Listener]:
    """Return a listener on IPv4 and IPv6 that has one answer."""
    with Http01Listener(port, ("127.0.0.1", "::1")) as listening:
        listening.present("a.example", TOKEN, ANSWER)
        yield listening


def ask(
    listener: Http01Listener, method: str = "GET", path: str = URL, host: str = "127.0.0.1"
) -> tuple[int, bytes, dict[str, str]]:
    """Return status, body and headers of what a client is answered."""
    connection = http.client.HTTPConnection(host, listener.port, timeout=5)
    try:
        connection.request(method, path)
        reply = connection.getresponse()
        return reply.status, reply.read(), dict(reply.getheaders())
    finally:
        connection.close()


def raw(listener: Http01Listener, sent: bytes) -> bytes:
    """Return all that a client is answered that speaks no proper HTTP."""
    with socket.create_connection(("127.0.0.1", listener.port), timeout=5) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(4096), b""))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_answer_is_served_on_each_family(listener: Http01Listener, host: str) -> None:
    if host == "::1" and not socket.has_dualstack_ipv6():
        pytest.skip("this host has no IPv6")
    status, body, headers = ask(listener, host=host)
    assert (status, body) == (200, ANSWER.encode())
    assert "Server" not in headers


def test_head_is_answered_without_the_body(listener: Http01Listener) -> None:
    status, body, headers = ask(listener, "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(ANSWER)))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", URL),
        ("DELETE", URL),
        ("GET", "/"),
        ("GET", "/.well-known/acme-challenge/"),
        ("GET", "/.well-known/acme-challenge/unknown"),
        ("GET", "/.well-known/acme-challenge/../../etc/passwd"),
        ("GET", f"{URL}/"),
        ("GET", f"{URL}?query"),
    ],
)
def test_anything_else_is_not_found(listener: Http01Listener, method: str, path: str) -> None:
    status, body, _ = ask(listener, method, path)
    assert (status, body) == (404, b"")


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\r\n\r\n", id="an empty line"),
        pytest.param(b"\x16\x03\x01\x02\x00" * 50, id="TLS"),
        pytest.param(f"GET {URL} HTTP/1.1\r\n".encode() + b"x: y\r\n" * 5000, id="no end"),
    ],
)
def test_what_is_no_request_gets_no_answer(listener: Http01Listener, sent: bytes) -> None:
    try:
        reply = raw(listener, sent)
    except OSError:
        return  # closed while more was being sent, or before we said that this is all
    assert ANSWER.encode() not in reply
    assert ask(listener)[0] == 200


def test_a_silent_client_does_not_keep_others_waiting(listener: Http01Listener) -> None:
    with socket.create_connection(("127.0.0.1", listener.port)):
        assert ask(listener)[0] == 200


def test_a_client_that_drips_is_cut_off(port: int) -> None:
    with (
        Http01Listener(port, ("127.0.0.1",), patience=0.3) as listening,
        ThreadPoolExecutor(1) as threads,
    ):
        listening.present("a.example", TOKEN, ANSWER)
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            ended = threading.Event()
            threads.submit(drip, client, ended)
            head = answered(client)
            ended.set()
    assert b"200" not in head


@contextlib.contextmanager
def crowd(listener: Http01Listener, count: int) -> Iterator[list[socket.socket]]:
    """Have clients of one address that connect, begin a request, and say no more."""
    place, source = ("127.0.0.1", listener.port), ("127.0.0.66", 0)
    clients: list[socket.socket] = []
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            client = socket.create_connection(place, timeout=30, source_address=source)
            clients.append(stack.enter_context(client))
            with contextlib.suppress(ConnectionError):
                client.sendall(b"GET ")
        yield clients


@pytest.fixture
def patient(port: int) -> Iterator[Http01Listener]:
    """Return a listener that would wait for a silent client longer than any test lasts."""
    with Http01Listener(port, ("127.0.0.1", "::1"), patience=600) as listening:
        listening.present("a.example", TOKEN, ANSWER)
        yield listening


@pytest.mark.parametrize("count", [MOST_CLIENTS, 4 * MOST_CLIENTS])
def test_silent_clients_do_not_keep_the_authority_out(patient: Http01Listener, count: int) -> None:
    with crowd(patient, count):
        assert ask(patient)[0] == 200
        assert len(patient.visits.open) <= MOST_CLIENTS


def test_the_oldest_idle_connection_ends(patient: Http01Listener) -> None:
    with crowd(patient, MOST_CLIENTS) as clients:
        until(lambda: len(patient.visits.open) == MOST_CLIENTS, "all to be in")
        assert ask(patient)[0] == 200
        clients[0].settimeout(30)
        assert answered(clients[0])[:12] in (b"", b"HTTP/1.1 404")
        clients[-1].sendall(f"{URL} HTTP/1.1\r\n\r\n".encode().removeprefix(b"GET "))
        assert answered(clients[-1])[:12] == b"HTTP/1.1 200"


def test_who_asks_once_is_not_pushed_out_by_who_asks_for_all(patient: Http01Listener) -> None:
    """The authority connected first, and its request is slow to come."""
    with socket.create_connection(("127.0.0.1", patient.port), timeout=30) as authority:
        until(lambda: len(patient.visits.open) == 1, "it to be in")
        with crowd(patient, 3 * MOST_CLIENTS):
            authority.sendall(f"GET {URL} HTTP/1.1\r\n\r\n".encode())
            assert answered(authority)[:12] == b"HTTP/1.1 200"


def test_its_end_waits_for_no_silent_client(port: int) -> None:
    with Http01Listener(port, ("127.0.0.1",), patience=600) as listening:
        listening.present("a.example", TOKEN, ANSWER)
        with crowd(listening, 3):
            until(lambda: len(listening.visits.open) == 3, "all to be in")
            listening.__exit__()
    assert not listening.visits.open


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_all_addresses_of_a_network_count_as_one(address: str, origin: str) -> None:
    assert client_network(address) == origin


def drip(client: socket.socket, ended: threading.Event) -> None:
    """Send a letter now and then."""
    with contextlib.suppress(OSError):
        while not ended.wait(0.05):
            client.sendall(b"G")


def answered(client: socket.socket) -> bytes:
    """Return what arrives first, nothing when the connection is reset."""
    with contextlib.suppress(ConnectionError):
        return client.recv(4096)
    return b""


def test_an_answer_that_was_taken_back_is_served_no_more(listener: Http01Listener) -> None:
    listener.cleanup("a.example", TOKEN)
    listener.cleanup("a.example", TOKEN)
    assert ask(listener)[0] == 404


@pytest.mark.parametrize("token", HOSTILE)
def test_the_listener_too_refuses_hostile_tokens(listener: Http01Listener, token: str) -> None:
    with pytest.raises(IssueFailed):
        listener.present("a.example", token, ANSWER)


def test_it_listens_from_the_first_answer_to_the_end_of_the_block(port: int) -> None:
    with Http01Listener(port, ("127.0.0.1",)) as listening:
        with pytest.raises(ConnectionRefusedError):
            ask(listening)
        listening.present("a.example", TOKEN, ANSWER)
        assert ask(listening)[0] == 200
    with pytest.raises(ConnectionRefusedError):
        ask(listening)
    assert not [one for one in threading.enumerate() if one.name.startswith("http-01")]


def test_a_taken_port_is_an_error_that_names_who_holds_it(port: int) -> None:
    with (
        socket.create_server(("127.0.0.1", port)),
        Http01Listener(port, ("127.0.0.1",)) as listening,
        pytest.raises(IssueFailed, match=str(port)) as failed,
    ):
        listening.present("a.example", TOKEN, ANSWER)
    assert str(os.getpid()) in failed.value.remedy


def test_a_host_without_one_family_uses_the_other(port: int) -> None:
    with Http01Listener(port, ("127.0.0.1", "2001:db8::1")) as listening:
        listening.present("a.example", TOKEN, ANSWER)
        assert ask(listening)[0] == 200
