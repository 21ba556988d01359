"""What every store owes (``proxygen.stores``); a new store adds one line to test_stores.py."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxygen.stores import Store, Values

KEYS = ("a/b", "a/c", "a-b/c", "d/e/f", "g")
VALUES = st.sampled_from((None, b"", b"1", b"2"))
SEVERAL = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4)
KILLED_AT = st.none() | st.integers(1, 12)


class Contract:
    """The suite; a subclass has fixtures ``store``, which is empty, and ``another``.

    *another* returns a new store that is empty, and how it is opened once more.
    """

    def killed(self, store: Store, at: int, do: Callable[[Store], object]) -> bool:
        """Do something in a process that is killed before its change *at*; return whether it was.

        A store whose values go with their process has no others to be killed.
        """
        do(store)
        return False

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
        for key in ("a/z", "a/b-/c", "a/b/c", "a/b/d", "ab/x", "b"):
            store.put(key, b"")
        assert list(store.keys("a")) == ["a/b/c", "a/b/d", "a/b-/c", "a/z"]
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
        uses: tuple[Callable[[str], object], ...] = (
            store.get,
            store.delete,
            lambda each: store.put(each, b""),
            lambda each: store.put_all({"b": b"", each: b""}),
            lambda each: store.put_if({each: None}, {"b": b""}),
        )
        for use in uses:
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

    def test_several_values_are_put_and_deleted_at_once(self, store: Store) -> None:
        store.put_all({"a/b": b"1", "a/c": b"2", "d/e/f": b"3", "g": None})
        assert [store.get(key) for key in KEYS] == [b"1", b"2", None, b"3", None]
        store.put_all({"a/b": None, "a/c": b"4", "g": b"5", "d/e/f": None})
        assert [store.get(key) for key in KEYS] == [None, b"4", None, None, b"5"]
        assert list(store.keys("a")) == list(store.stamps("a")) == ["a/c"]
        store.put_all({})

    def test_a_value_makes_room_for_a_folder_of_its_name_at_once(self, store: Store) -> None:
        store.put("a/b", b"1")
        store.put_all({"a/b": None, "a/b/c": b"2", "a/b/d": b"3"})
        assert (store.get("a/b"), store.get("a/b/c"), store.get("a/b/d")) == (None, b"2", b"3")

    @pytest.mark.parametrize(
        ("former", "changed"),
        [
            pytest.param({}, True, id="whatever is there"),
            pytest.param({"a/b": b"1"}, True, id="unchanged"),
            pytest.param({"a/b": b"1", "a/c": None, "g": b"2"}, True, id="several unchanged"),
            pytest.param({"a/b": b"2"}, False, id="another value"),
            pytest.param({"a/b": None}, False, id="a value where none was"),
            pytest.param({"a/c": b""}, False, id="none where an empty one was"),
            pytest.param({"a/b": b"1", "g": b"1"}, False, id="one of several changed"),
        ],
    )
    @pytest.mark.parametrize(
        "values",
        [
            pytest.param({"a/b": b"new"}, id="one"),
            pytest.param({"a/b": None}, id="one deleted"),
            pytest.param({"a/b": b"new", "a/c": b"new", "g": None}, id="several"),
            pytest.param({}, id="none"),
        ],
    )
    def test_put_if_unchanged(
        self, store: Store, former: Values, changed: bool, values: Values
    ) -> None:
        before = {"a/b": b"1", "g": b"2"}
        store.put_all(before)
        assert store.put_if(former, values) is changed
        after = {**before, **values} if changed else before
        assert {key: store.get(key) for key in KEYS} == {key: after.get(key) for key in KEYS}

    def test_of_many_who_change_the_same_value_none_is_lost(self, store: Store) -> None:
        def count() -> None:
            for _ in range(15):
                while True:
                    former = store.get("a/b")
                    values = {"a/b": b"%d" % (int(former or 0) + 1), "a/c": former}
                    if store.put_if({"a/b": former}, values):
                        break

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (store.get("a/b"), store.get("a/c")) == (b"60", b"59")

    def test_who_has_read_one_of_several_reads_the_others_as_they_are_since(
        self, store: Store
    ) -> None:
        pair = ("a/b", "d/e/f")
        done = threading.Event()
        wrong: list[tuple[bytes, bytes]] = []

        def look() -> None:
            while not done.is_set():
                for first, second in (pair, pair[::-1]):
                    one, other = store.get(first) or b"0", store.get(second) or b"0"
                    if int(other) < int(one):
                        wrong.append((one, other))

        looking = threading.Thread(target=look)
        looking.start()
        for number in range(1, 60):
            store.put_all(dict.fromkeys(pair, b"%d" % number))
        done.set()
        looking.join()
        assert wrong == []

    def test_whatever_is_put_and_whoever_is_killed_it_is_all_or_nothing(
        self, another: Callable[[], tuple[Store, Callable[[], Store]]]
    ) -> None:
        @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(history=st.lists(st.tuples(SEVERAL, SEVERAL | st.none(), KILLED_AT), max_size=8))
        def holds(history: list[tuple[Values, Values | None, int | None]]) -> None:
            store, again = another()
            known: dict[str, bytes] = {}
            for values, former, at in history:
                known = self.step(store, again, known, values, former or {}, at)

        holds()

    def step(
        self,
        store: Store,
        again: Callable[[], Store],
        known: dict[str, bytes],
        values: Values,
        former: Values,
        at: int | None,
    ) -> dict[str, bytes]:
        """Put values where the former ones hold, perhaps killed; return what is there then."""
        put = operator.methodcaller("put_if", former, values)
        holds = all(known.get(key) == value for key, value in former.items())
        after = without_none({**known, **values}) if holds else known
        killed = False
        if at:
            killed = self.killed(store, at, put)
        else:
            assert put(store) is holds
        found = everything(again())
        assert found == after or (killed and found == known)
        assert everything(store) == found
        return found


def everything(store: Store) -> dict[str, bytes]:
    """Return all values of a store, and be sure that it lists the same ones."""
    found = without_none({key: store.get(key) for key in KEYS})
    listed = [key for folder in ("a", "a-b", "d") for key in store.keys(folder)]
    assert listed == [key for key in KEYS[:-1] if key in found]
    assert [key for key in KEYS if store.has(key)] == list(found)
    assert [key for folder in ("a", "a-b", "d") for key in store.stamps(folder)] == listed
    return found


def without_none(values: Mapping[str, bytes | None]) -> dict[str, bytes]:
    """Return the values that are some."""
    return {key: value for key, value in values.items() if value is not None}
