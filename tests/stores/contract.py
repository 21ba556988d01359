"""What every store owes (``proxygen.stores``); a new store adds one line to test_stores.py."""

from __future__ import annotations

import threading

import pytest

from proxygen.stores import Store


class Contract:
    """The suite; a subclass has a fixture ``store`` that is empty."""

    def test_an_empty_store_has_nothing(self, store: Store) -> None:
        assert store.get("a/b") is None
        assert list(store.keys("a")) == []
        store.delete("a/b")

    @pytest.mark.parametrize("value", [b"", b"x", b"\x00\xff\n", b"long" * 500_000])
    def test_what_was_put_is_got(self, store: Store, value: bytes) -> None:
        store.put("a/b", value)
        assert store.get("a/b") == value

    def test_the_last_value_counts(self, store: Store) -> None:
        store.put("a/b", b"first, longer")
        store.put("a/b", b"last")
        assert store.get("a/b") == b"last"

    def test_a_deleted_value_is_gone_and_its_neighbour_is_not(self, store: Store) -> None:
        store.put("a/b", b"1")
        store.put("a/c", b"2")
        store.delete("a/b")
        store.delete("a/b")
        assert store.get("a/b") is None
        assert list(store.keys("a")) == ["a/c"]

    def test_keys_are_sorted_at_any_depth_and_of_their_folder_alone(self, store: Store) -> None:
        for key in ("a/z", "a/b/c", "a/b/d", "ab/x", "b"):
            store.put(key, b"")
        assert list(store.keys("a")) == ["a/b/c", "a/b/d", "a/z"]
        assert list(store.keys("a/b")) == ["a/b/c", "a/b/d"]
        assert list(store.keys("nothing")) == []

    def test_stamps_are_of_the_same_keys_and_differ_once_a_value_does(self, store: Store) -> None:
        for key in ("a/z", "a/b/c", "ab/x"):
            store.put(key, b"1")
        before = store.stamps("a")
        assert list(before) == list(store.keys("a")) == ["a/b/c", "a/z"]
        store.put("a/z", b"2")
        after = store.stamps("a")
        assert after["a/z"] is None or after["a/z"] != before["a/z"]
        assert store.stamps("nothing") == {}

    def test_the_names_of_owners_are_parts_of_keys(self, store: Store) -> None:
        for part in ("a.example", "xn--bcher-kva.example", "*.a.example", "x" * 180, "global"):
            store.put(f"bundles/{part}/{'0' * 32}", part.encode())
            assert store.get(f"bundles/{part}/{'0' * 32}") == part.encode()

    @pytest.mark.parametrize(
        "key",
        [
            *("", "/", "a/", "/a", "a//b", "..", "../a", "a/../../b", "a/.", "a/.hidden"),
            *("a\x00", "a\n", "a b", "ä", "a/" + "x" * 300, "a\\b", "/etc/passwd"),
        ],
    )
    def test_a_key_that_could_leave_its_place_is_refused(self, store: Store, key: str) -> None:
        for use in (store.get, store.delete, lambda each: store.put(each, b"")):
            with pytest.raises(ValueError, match="not a key"):
                use(key)

    def test_a_value_is_never_seen_in_part(self, store: Store) -> None:
        values = (b"a" * 200_000, b"b" * 300_000)
        store.put("a/b", values[0])
        seen: set[bytes | None] = set()
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                seen.add(store.get("a/b"))
                seen.update(store.get(key) for key in store.keys("a"))

        looking = threading.Thread(target=look)
        looking.start()
        for number in range(60):
            store.put("a/b", values[number % 2])
        done.set()
        looking.join()
        assert seen <= set(values)
