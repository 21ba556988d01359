"""The store on etcd passes the contract; who writes and is cut off, late or killed does no harm."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from proxygen.etcd.answers import EtcdAway, Json
from proxygen.etcd.client import EtcdClient
from proxygen.etcd.transport import EtcdAccess, EtcdPatience
from proxygen.stores import Store
from proxygen.stores.etcd import MOST_KEYS, EtcdStore, TermOver
from proxygen.stores.sealed import Sealed
from proxygen.stores.sealing import new_keyring
from tests.conftest import require
from tests.live.etcd import Etcd
from tests.live.machine import temporary_root
from tests.live.wire import Wire
from tests.stores.contract import Contract

Opened = tuple[Store, Callable[[], Store]]
KEYS = new_keyring()


@pytest.fixture(scope="module")
def alone() -> Iterator[Etcd]:
    """Return a cluster of one member."""
    require(["etcd"])
    with temporary_root() as root, Etcd(root) as running:
        yield running


def new_place() -> str:
    """Return a place of one's own."""
    return f"/proxygen/{secrets.token_hex(4)}/"


@pytest.fixture
def place() -> str:
    """Return a place of one's own."""
    return new_place()


class TestEtcdStore(Contract):
    """The store of several servers."""

    def made(self, alone: Etcd, place: str) -> Store:
        """Return a store there."""
        return EtcdStore(alone.client(), place)

    @pytest.fixture
    def store(self, alone: Etcd, place: str) -> Store:
        return self.made(alone, place)

    @pytest.fixture
    def another(self, alone: Etcd) -> Callable[[], Opened]:
        def new() -> Opened:
            place = new_place()
            return self.made(alone, place), lambda: self.made(alone, place)

        return new


class TestSealedEtcdStore(TestEtcdStore):
    """The same, as several servers use it."""

    def made(self, alone: Etcd, place: str) -> Store:
        """Return a store there."""
        return Sealed(EtcdStore(alone.client(), place), KEYS, f"{place}store/")


def test_a_transaction_whose_answer_is_lost_is_done_once_and_told_to_be_done(
    alone: Etcd, place: str
) -> None:
    with Wire(alone.members[0].client) as wire:
        store = EtcdStore(alone.client(endpoints=[wire.url, *alone.endpoints]), place)
        store.put("a/b", b"1")
        before = store.stamps("a")["a/b"]
        store.client.first = 0
        wire.lose_answer_to = b"/v3/kv/txn"
        assert store.put_if({"a/b": b"1"}, {"a/b": b"2"})
        assert wire.lost
        store.client.first, lost = 0, wire.lost
        assert store.put_if({"a/b": b"2"}, {"a/b": None})
        assert wire.lost > lost
        store.client.first = 0
        store.put("a/b", b"3")
    assert isinstance(before, int)
    entry = store.client.get(store.full("a/b"))
    assert entry
    assert entry.created == entry.changed, "it was put once after it was deleted"


def test_who_lost_is_not_told_to_have_won_after_a_lost_answer(alone: Etcd, place: str) -> None:
    """Even where another has meanwhile put what one wanted to put."""
    other = EtcdStore(alone.client(), place)
    other.put("a/b", b"1")
    with Wire(alone.members[0].client) as wire:
        store = EtcdStore(alone.client(endpoints=[wire.url, *alone.endpoints]), place)
        store.put("g", b"")
        other.put("a/b", b"2")
        store.client.first = 0
        wire.lose_answer_to = b"/v3/kv/txn"
        assert not store.put_if({"a/b": b"1"}, {"a/b": b"2"})


def test_several_values_that_fit_into_no_transaction_are_put_or_none(
    alone: Etcd, place: str
) -> None:
    store = EtcdStore(alone.client(), place)
    many = {f"names/n{number}": b"%d" % number for number in range(5 * MOST_KEYS)}
    store.put_all(many | {"model/main": b"x" * 3 * 1024 * 1024})
    again = EtcdStore(alone.client(), place)
    assert {key: again.get(key) for key in many} == many
    assert again.get("model/main") == b"x" * 3 * 1024 * 1024
    assert again.put_if({**many, "model/main": b"x" * 3 * 1024 * 1024}, dict.fromkeys(many))
    assert list(again.keys("names")) == []
    assert not again.put_if({**many}, {"a/b": b""})
    assert not again.has("a/b")
    left = again.client.below(place, keys_only=True).entries
    kinds = {each.key.removeprefix(place).split("/")[0] for each in left}
    assert "store.journal" not in kinds
    store.put("model/main", b"")
    assert not [each for each in store.client.below(place).entries if "store.parts" in each.key]


class Killed(BaseException):
    """Stands for the end of a process."""


class Dying(EtcdClient):
    """A client whose process ends before it asks more than *left* times."""

    def __init__(self, access: EtcdAccess, left: int) -> None:
        super().__init__(access)
        self.left = left

    def ask(self, path: str, request: Json) -> Json:
        """Ask, or end."""
        if self.left == 0:
            raise Killed
        self.left -= 1
        return super().ask(path, request)


def test_what_a_killed_writer_began_counts_from_one_moment_on(alone: Etcd, place: str) -> None:
    """Killed before each of its requests: all of its values are there, or none."""
    many = {f"names/n{number}": b"new" for number in range(2 * MOST_KEYS)}
    found: list[bool] = []
    for at in range(100):
        below = f"{place}{at}/"
        EtcdStore(alone.client(), below).put_all(dict.fromkeys(list(many)[:3], b"old"))
        try:
            EtcdStore(Dying(alone.access(), at), below).put_all(many)
        except Killed:
            reader = EtcdStore(alone.client(), below)
            values = {key: value for key in many if (value := reader.get(key)) is not None}
            assert list(reader.keys("names")) == sorted(values)
            assert values in (many, dict.fromkeys(list(many)[:3], b"old"))
            found.append(values == many)
            reader.put("g", b"")
            assert {key: reader.get(key) for key in values} == values
            continue
        break
    assert found == sorted(found)
    assert {True, False} <= set(found)


def test_a_write_of_a_term_that_is_over_is_refused(alone: Etcd, place: str) -> None:
    client = alone.client()
    term = client.put(f"{place}orderer", b"one")
    store = EtcdStore(alone.client(), place, lambda: term)
    store.put("a/b", b"1")
    client.delete(f"{place}orderer")
    with pytest.raises(TermOver):
        store.put("a/b", b"2")
    client.put(f"{place}orderer", b"another")
    for use in (
        lambda: store.put("a/b", b"2"),
        lambda: store.delete("a/b"),
        lambda: store.put_if({"a/b": b"1"}, {"a/b": b"2"}),
        lambda: store.put_all({f"a/n{number}": b"" for number in range(3 * MOST_KEYS)}),
    ):
        with pytest.raises(TermOver):
            use()
    assert store.get("a/b") == b"1"
    assert list(store.keys("a")) == ["a/b"]


def test_where_etcd_is_away_writing_and_reading_raise_an_oserror(place: str) -> None:
    soon = EtcdPatience(connect=1, answer=1, all=1, silent=1)
    store = EtcdStore(EtcdClient(EtcdAccess(("http://127.0.0.1:1",), patience=soon)), place)
    with pytest.raises(EtcdAway):
        store.put("a/b", b"")
    with pytest.raises(OSError, match="did not answer"):
        store.get("a/b")
