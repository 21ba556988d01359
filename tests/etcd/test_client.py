"""The client against a real etcd: what it asks, and that every wait and answer is bounded."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from proxygen.etcd import client as client_module
from proxygen.etcd.answers import (
    LARGEST_ANSWER,
    Code,
    EtcdAway,
    EtcdError,
    EtcdRefused,
    EtcdTooMuch,
    parsed,
)
from proxygen.etcd.client import EtcdClient
from proxygen.etcd.requests import (
    Transaction,
    changed_at,
    created_at,
    is_absent,
    to_delete,
    to_put,
    to_read,
    value_is,
)
from proxygen.etcd.transport import EtcdAccess, EtcdPatience
from tests.live.etcd import Etcd
from tests.live.wire import Wire

SOON = EtcdPatience(connect=1, answer=1, all=2, silent=1)


@pytest.mark.parametrize("value", [b"", b"x", b"\x00\xff\n", b"long" * 300_000])
def test_what_was_put_is_got_until_it_is_deleted(alone: Etcd, prefix: str, value: bytes) -> None:
    client = alone.client()
    assert client.get(prefix + "a") is None
    revision = client.put(prefix + "a", value)
    found = client.get(prefix + "a")
    assert found
    assert (found.value, found.created, found.changed) == (value, revision, revision)
    assert client.get(prefix + "a", serializable=True) == found
    assert [client.delete(prefix + "a"), client.delete(prefix + "a")] == [1, 0]
    assert client.get(prefix + "a") is None


def test_a_value_beyond_etcds_bound_is_refused_with_a_code(alone: Etcd, prefix: str) -> None:
    with pytest.raises(EtcdRefused) as refused:
        alone.client().put(prefix + "a", b"x" * 2 * 1024 * 1024)
    assert refused.value.code in (Code.INVALID, Code.FULL)


def test_a_listing_of_many_pages_is_of_one_revision(
    alone: Etcd, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = alone.client()
    for number in range(25):
        client.put(f"{prefix}{number:02}", b"%d" % number)
    client.put(prefix[:-1] + "0", b"a neighbour")
    monkeypatch.setattr(client_module, "PAGE", 10)
    pages = client.each_page(prefix, {})
    found = list(next(pages).entries)
    client.put(f"{prefix}24", b"changed meanwhile")
    client.delete(f"{prefix}23")
    for page in pages:
        found += page.entries
    assert [each.value for each in found] == [b"%d" % number for number in range(25)]
    assert len(client.below(prefix).entries) == 24
    assert [each.value for each in client.below(prefix, keys_only=True).entries] == [b""] * 24


def test_a_listing_tells_what_changed_since(alone: Etcd, prefix: str) -> None:
    client = alone.client()
    client.put(prefix + "a", b"1")
    listed = client.below(prefix)
    client.put(prefix + "b", b"2")
    since = client.below(prefix, since=listed.revision + 1)
    assert [each.key for each in since.entries] == [prefix + "b"]
    assert (since.cluster, since.revision) == (listed.cluster, listed.revision + 1)


def test_a_listing_whose_revision_is_compacted_between_its_pages_begins_anew(
    alone: Etcd, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, other = alone.client(), alone.client()
    for number in range(4):
        client.put(f"{prefix}{number}", b"")
    monkeypatch.setattr(client_module, "PAGE", 2)
    ask, asked = client.ask, []

    def compacting(path: str, request: dict[str, object]) -> dict[str, object]:
        asked.append(path)
        if len(asked) == 2:
            other.compact(other.put(f"{prefix}4", b""))
        return ask(path, request)

    monkeypatch.setattr(client, "ask", compacting)
    assert len(client.below(prefix).entries) == 5


def test_pages_become_smaller_where_values_are_large(alone: Etcd, prefix: str) -> None:
    client = alone.client()
    for number in range(9):
        client.put(f"{prefix}{number}", b"x" * 1024 * 1024)
    assert len(client.below(prefix).entries) == 9


def test_a_transaction_does_all_or_none_by_its_conditions(alone: Etcd, prefix: str) -> None:
    client, key = alone.client(), prefix + "a"
    made = client.transact(Transaction((is_absent(key),), (to_put(key, b"1"),)))
    assert made.succeeded
    for condition, holds in (
        (is_absent(key), False),
        (value_is(key, b"1"), True),
        (value_is(key, b"2"), False),
        (created_at(key, made.revision), True),
        (changed_at(key, made.revision - 1), False),
    ):
        found = client.transact(Transaction((condition,), (), (to_read(key),)))
        assert found.succeeded is holds
        assert [each and each.value for each in found.read] == ([] if holds else [b"1"])
    both = (to_put(prefix + "b", b"2"), to_delete(key))
    assert not client.transact(Transaction((value_is(key, b"2"),), both)).succeeded
    assert client.get(prefix + "b") is None
    assert client.transact(Transaction((value_is(key, b"1"),), both)).succeeded
    assert [each.value for each in client.below(prefix).entries] == [b"2"]


def test_a_lease_takes_its_keys_with_it(alone: Etcd, prefix: str) -> None:
    client = alone.client()
    lease = client.grant(60)
    client.put(prefix + "a", b"", lease)
    assert client.keep(lease) == 60
    client.revoke(lease)
    client.revoke(lease)
    assert client.keep(lease) == 0
    assert client.get(prefix + "a") is None
    with pytest.raises(EtcdRefused) as refused:
        client.put(prefix + "a", b"", lease)
    assert refused.value.code == Code.NOT_FOUND


def test_members_tell_how_they_are(alone: Etcd) -> None:
    client = EtcdClient(alone.access(endpoints=[*alone.endpoints, "http://127.0.0.1:1"]))
    here, away = client.statuses().values()
    assert not isinstance(here, EtcdError)
    assert here.version.startswith("3.")
    assert here.size > 0
    assert isinstance(away, EtcdAway)


def test_the_next_member_is_asked_where_one_is_not_there(alone: Etcd, prefix: str) -> None:
    client = alone.client(endpoints=["http://127.0.0.1:1", *alone.endpoints])
    client.put(prefix + "a", b"1")
    assert client.first == 1, "and asked first from then on"


def test_where_nobody_answers_it_is_told_in_time_and_whether_it_is_sure() -> None:
    client = EtcdClient(EtcdAccess(("http://127.0.0.1:1",), patience=SOON))
    begun = time.monotonic()
    with pytest.raises(EtcdAway, match=r"127\.0\.0\.1:1 did not answer"):
        client.get("a")
    assert time.monotonic() - begun < 60


@contextmanager
def answering(answer: bytes, *, drip: float = 0) -> Iterator[str]:
    """Have a server that gives that answer to every request; return its endpoint."""
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                try:
                    for at in range(0, len(answer), 1 if drip else len(answer)):
                        connection.sendall(answer[at : at + (1 if drip else len(answer))])
                        if drip and ended.wait(drip):
                            return
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        ended.set()
        server.shutdown(socket.SHUT_RDWR)


def http(body: bytes) -> bytes:
    """Return an answer with a body."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(http(b"x" * (LARGEST_ANSWER + 1)), EtcdTooMuch, id="too large"),
        pytest.param(http(b"[" * 100_000), EtcdError, id="nested without end"),
        pytest.param(http(b"[]"), EtcdError, id="no object"),
        pytest.param(http(b'{"kvs": {}}'), EtcdError, id="no list"),
        pytest.param(http(b'{"kvs": [{"key": "%"}]}'), EtcdError, id="no base64"),
        pytest.param(http(b'{"kvs": [{"key": 1}]}'), EtcdError, id="no text"),
        pytest.param(
            http(b'{"kvs": [{"key": "YQ==", "mod_revision": "' + b"9" * 5000 + b'"}]}'),
            EtcdError,
            id="a number without end",
        ),
        pytest.param(
            http(b'{"kvs": [{"key": "YQ==", "mod_revision": "--5"}]}'), EtcdError, id="two signs"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", EtcdAway, id="cut short"),
        pytest.param(b"\x16\x03\x01", EtcdAway, id="no HTTP"),
        pytest.param(b"HTTP/1.1 302 Found\r\nLocation: /v3\r\n\r\n", EtcdAway, id="redirect"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000_000, EtcdError, id="headers"),
    ],
)
def test_an_answer_that_is_none_is_an_error_that_stores_raise(
    answer: bytes, error: type[EtcdError]
) -> None:
    with answering(answer) as url, pytest.raises(error) as raised:
        EtcdClient(EtcdAccess((url,), patience=SOON)).get("a")
    assert isinstance(raised.value, OSError)


def test_an_answer_that_drips_is_not_waited_for() -> None:
    with answering(http(b"{}" + b" " * 100_000), drip=0.05) as url, pytest.raises(EtcdAway):
        EtcdClient(EtcdAccess((url,), patience=SOON)).get("a")


def test_a_member_that_is_slow_is_waited_for(alone: Etcd, prefix: str) -> None:
    with Wire(alone.members[0].client) as wire:
        wire.delay = 0.2
        client = EtcdClient(EtcdAccess((wire.url,)))
        client.put(prefix + "a", b"1")
        assert client.get(prefix + "a")


def test_a_connection_that_was_cut_is_made_anew(alone: Etcd, prefix: str) -> None:
    with Wire(alone.members[0].client) as wire:
        client = EtcdClient(EtcdAccess((wire.url,)))
        client.put(prefix + "a", b"1")
        wire.cut()
        assert client.get(prefix + "a")


def test_no_secret_is_shown(guarded: Etcd) -> None:
    access = guarded.access("root", b"tell-nobody")
    client = EtcdClient(access)
    with pytest.raises(EtcdRefused) as refused:
        client.get("a")
    assert refused.value.code in (Code.INVALID, Code.UNAUTHENTICATED)
    assert "tell-nobody" not in f"{access!r} {refused.value!r} {vars(client)!r}"


def test_what_is_no_json_is_told() -> None:
    with pytest.raises(EtcdError, match="no JSON"):
        parsed(b"\xff")
