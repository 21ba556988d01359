"""Sealed values: opened for their key alone, by who has the key of their class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxygen.errors import UsageError
from proxygen.stores import Store
from proxygen.stores.filesystem import FileStore
from proxygen.stores.kinds import SHARED
from proxygen.stores.sealed import Sealed
from proxygen.stores.sealing import (
    FOR_ALL,
    HEADER,
    KEY,
    LATEST_SERIAL,
    OWNERS_PART,
    KeyMissing,
    Keyring,
    SealBroken,
    SealingClass,
    SealingKey,
    class_of,
    header_in,
    is_older,
    keyring_in,
    keyring_text,
    new_keyring,
    next_serial,
)
from proxygen.stores.sealing_keys import place_of_keys, read_keyring, write_keyring
from tests.standins import MemoryStore
from tests.stores.contract import Contract

G, D, S = SealingClass.GLOBAL, SealingClass.DOMAINS, SealingClass.SECRETS
KEYS = new_keyring()
PLACE = "/proxygen/a/store/"


class TestSealedMemory(Contract):
    """A store whose values are sealed."""

    @pytest.fixture
    def store(self) -> Store:
        return Sealed(MemoryStore(), KEYS, PLACE)

    @pytest.fixture
    def another(self) -> Callable[[], tuple[Store, Callable[[], Store]]]:
        def new() -> tuple[Store, Callable[[], Store]]:
            store = MemoryStore()
            return Sealed(store, KEYS, PLACE), lambda: Sealed(store, KEYS, PLACE)

        return new


@pytest.mark.parametrize(
    ("key", "of"),
    [
        ("bundles/global/0123", G),
        ("bundles/a.example/0123", D),
        ("certificates/rsa-2048/global", G),
        ("certificates/other/a.example", D),
        ("certificates/global/a.example", D),
        ("names/global", G),
        ("names/a.example", D),
        ("model/files/0123", G),
        ("version", G),
        ("accounts/0123/key", S),
        ("orders/global", S),
        ("orders/a.example", S),
        ("mail/0123", S),
        ("bundles", S),
        ("whatever-comes/global", S),
    ],
)
def test_which_values_are_of_which_class(key: str, of: SealingClass) -> None:
    assert class_of(key) == of


def test_kinds_that_are_given_a_class_exist() -> None:
    assert FOR_ALL | OWNERS_PART.keys() <= SHARED.keys()


@given(value=st.binary(max_size=300), key=st.text(max_size=30), of=st.sampled_from(SealingClass))
def test_what_was_sealed_is_opened_for_its_key(value: bytes, key: str, of: SealingClass) -> None:
    sealed = KEYS.seal(key, of, value, 7)
    assert KEYS.unseal(key, of, sealed) == value
    assert KEYS.seal(key, of, value, 7) != sealed
    assert len(value) < 8 or value not in sealed


@given(data=st.data())
def test_no_octet_of_a_sealed_value_can_be_another_one(data: st.DataObject) -> None:
    sealed = bytearray(KEYS.seal("a/b", D, b"value", 7))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((SealBroken, KeyMissing)):
        KEYS.unseal("a/b", D, bytes(sealed))


@pytest.mark.parametrize("octets", [b"", b"\x01", b"x" * (HEADER.size + 15), b"\x02" + b"x" * 60])
def test_what_is_no_sealed_value_is_told(octets: bytes) -> None:
    assert header_in(octets) is None
    with pytest.raises(SealBroken):
        KEYS.unseal("a", G, octets)


def test_a_value_that_was_moved_to_another_key_or_installation_does_not_open() -> None:
    below = MemoryStore()
    store = Sealed(below, KEYS, PLACE)
    store.put_all({"bundles/a.example/1": b"a", "bundles/b.example/1": b"b"})
    below.put("bundles/b.example/1", below.get("bundles/a.example/1") or b"")
    with pytest.raises(SealBroken, match=r"bundles/b\.example/1"):
        store.get("bundles/b.example/1")
    with pytest.raises(SealBroken):
        Sealed(below, KEYS, "/proxygen/other/store/").get("bundles/a.example/1")


def test_a_host_with_mail_alone_opens_and_makes_what_is_global_and_nothing_else() -> None:
    below = MemoryStore()
    whole = {"bundles/global/1": b"g", "bundles/a.example/1": b"d", "accounts/1/key": b"s"}
    Sealed(below, KEYS, PLACE).put_all(whole)
    mail = Sealed(below, KEYS.only(G), PLACE)
    assert mail.get("bundles/global/1") == b"g"
    for key in ("bundles/a.example/1", "accounts/1/key"):
        for use in (mail.get, mail.delete, lambda key: mail.put(key, b"")):
            with pytest.raises(KeyMissing):
                use(key)
    with pytest.raises(KeyMissing):
        mail.put("bundles/new.example/1", b"")
    forged = KEYS.seal(PLACE + "bundles/a.example/1", G, b"forged", 2**62)
    below.put("bundles/a.example/1", forged)
    with pytest.raises(KeyMissing):
        Sealed(below, KEYS, PLACE).get("bundles/a.example/1")


def test_the_first_key_seals_and_all_open_and_what_a_host_has_no_key_for_stays() -> None:
    new = SealingKey(D, b"n" * KEY)
    both = Keyring((new, *KEYS.keys))
    below = MemoryStore()
    key = "bundles/a.example/1"
    Sealed(below, KEYS, PLACE).put(key, b"old")
    rotating = Sealed(below, both, PLACE)
    assert rotating.get(key) == b"old"
    assert not both.is_current(D, below.get(key) or b"")
    assert rotating.put_if({key: b"old"}, {key: b"new"})
    assert both.is_current(D, below.get(key) or b"")
    behind = Sealed(below, KEYS, PLACE)
    for use in (behind.get, behind.delete, lambda each: behind.put(each, b"")):
        with pytest.raises(KeyMissing, match=new.id.hex()):
            use(key)
    assert rotating.get(key) == b"new"


def test_a_value_that_takes_the_place_of_another_has_a_larger_serial_whatever_the_clock() -> None:
    below = MemoryStore()
    times = iter([1000, 900, 900, 2000])
    store = Sealed(below, KEYS, PLACE, lambda: next(times))
    sealed: list[bytes] = []
    for value in (b"1", b"2", b"3", b"4"):
        store.put("version", value)
        sealed.append(below.get("version") or b"")
    serials = [header.serial for each in sealed if (header := header_in(each))]
    assert serials == [1000, 1001, 1002, 2000]
    assert [is_older(each, sealed[2]) for each in sealed] == [True, True, False, False]
    assert next_serial(None, 5) == 5


def test_what_takes_the_place_of_a_value_with_the_latest_serial_can_be_opened() -> None:
    """Who keeps the values can write any serial into one, and know the id of its key."""
    below = MemoryStore()
    store = Sealed(below, KEYS, PLACE)
    store.put("version", b"1")
    header = header_in(below.get("version") or b"")
    assert header
    forged = replace(header, serial=LATEST_SERIAL).octets + bytes(20)
    for value in (b"2", b"3"):
        below.put("version", forged)
        store.put("version", value)
        assert store.get("version") == value


def test_a_broken_value_is_as_none_and_is_replaced() -> None:
    below = MemoryStore()
    store = Sealed(below, KEYS, PLACE)
    below.put("version", b"damaged")
    assert not store.put_if({"version": b"damaged"}, {"version": b"5"})
    assert store.put_if({"version": None}, {"version": b"5"})
    assert store.get("version") == b"5"


def test_keys_are_never_shown() -> None:
    ring = repr(KEYS) + repr(KEYS.keys) + str(KEYS)
    assert not [each for each in KEYS.keys if repr(each.key) in ring or each.key.hex() in ring]


def test_a_file_of_keys_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "sealing.keys"
    write_keyring(path, KEYS)
    assert path.stat().st_mode & 0o7777 == 0o600
    assert read_keyring(path) == KEYS
    with pytest.raises(FileExistsError):
        write_keyring(path, new_keyring())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_a_file_of_keys_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "sealing.keys"
    write_keyring(path, KEYS)
    path.chmod(mode)
    with pytest.raises(UsageError, match="others than root"):
        read_keyring(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("globl " + "A" * 43 + "=", "line 1 is not"),
        ("global", "line 1 is not"),
        ("# x\nglobal c2VjcmV0", "the key in line 2"),
        ("global %%%", "the key in line 1"),
        (keyring_text(KEYS) * 2, "twice"),
        ("\x00" * 100, "line 1"),
    ],
)
def test_a_file_of_keys_that_is_none_is_told_without_showing_it(
    tmp_path: Path, content: str, told: str
) -> None:
    path = tmp_path / "sealing.keys"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(UsageError, match=told) as refused:
        read_keyring(path)
    assert "c2VjcmV0" not in str(refused.value)


def test_a_missing_file_of_keys_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="bring back this host's sealing keys"):
        read_keyring(tmp_path / "sealing.keys")


def test_a_credential_of_systemd_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert place_of_keys(tmp_path) == tmp_path / "sealing.keys"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert place_of_keys(tmp_path / "etc") == tmp_path / "etc/sealing.keys"
    write_keyring(tmp_path / "proxygen-sealing.keys", KEYS)
    assert place_of_keys(tmp_path / "etc") == tmp_path / "proxygen-sealing.keys"


def test_a_sealed_store_is_no_plain_one(tmp_path: Path) -> None:
    Sealed(FileStore(tmp_path), KEYS, PLACE).put("bundles/global/1", b"-----BEGIN PRIVATE KEY")
    assert b"PRIVATE" not in (tmp_path / "bundles/global/1").read_bytes()
    assert replace(KEYS) == keyring_in(keyring_text(KEYS).encode())
