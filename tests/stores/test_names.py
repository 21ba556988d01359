"""The name book: what is known of names outlives a run, on any store."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from proxygen.names.causes import cause
from proxygen.names.states import (
    Evidence,
    Finding,
    NameState,
    dropped_state,
    state_after_check,
    state_after_refusal,
)
from proxygen.stores import Values
from proxygen.stores.filesystem import FileStore
from proxygen.stores.names import NameStore
from tests.certificates import NOON
from tests.standins import MemoryStore

OWNER, NAME, OTHER = "a.example", "www.a.example", "imap.a.example"
WHY = cause("redirected", cause("answered", status="404 Not Found"), place="http://b.example/")
ELSEWHERE = Finding("elsewhere", (("type", "A"), ("address", "192.0.2.7")), because=(WHY,))


def waiting(name: str = NAME) -> NameState:
    """Return what is known of a name in trouble."""
    found = Evidence(
        NOON, ("192.0.2.7",), ("x.example",), ('0 issue "ca"',), ("ns1",), "system", (ELSEWHERE,)
    )
    return state_after_check(None, name, found, 0.5)


def ready(name: str = OTHER) -> NameState:
    """Return what is known of a name that is ready."""
    return state_after_check(None, name, Evidence(NOON), 0.5)


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(waiting(), id="in trouble"),
        pytest.param(
            state_after_refusal(waiting(), NAME, "urn:x", "its words", NOON, 0.5), id="refused"
        ),
        pytest.param(
            state_after_refusal(None, NAME, "", "", NOON, 0.5), id="refused without a look"
        ),
        pytest.param(dropped_state(ready(NAME), NOON), id="dropped"),
    ],
)
def test_what_is_noted_outlives_the_run(known: NameState) -> None:
    store = MemoryStore()
    NameStore(store).note(OWNER, [known])
    assert NameStore(store).all() == {OWNER: {NAME: known}}
    assert NameStore(store).of(OWNER) == {NAME: known}


def test_what_is_known_of_ready_names_is_every_process_s() -> None:
    store = MemoryStore()
    ours, theirs = NameStore(store), NameStore(store)
    ours.note(OWNER, [ready()])
    assert theirs.all() == {OWNER: {OTHER: ready()}}
    later = NOON + timedelta(seconds=5)
    theirs.hasten(OWNER, later)
    assert ours.all()[OWNER][OTHER].look_at == later
    ours.note(OWNER, [waiting()])
    theirs.forget(OWNER, [OTHER])
    assert ours.all() == {OWNER: {NAME: waiting()}} == {OWNER: ours.of(OWNER)}


def test_what_is_known_of_several_owners_is_stored_at_once() -> None:
    store = MemoryStore()
    book = NameStore(store)
    book.note(OWNER, [ready()])
    book.note_all({OWNER: [waiting()], "b.example": [ready()], "c.example": []})
    assert NameStore(store).all() == {
        OWNER: {NAME: waiting(), OTHER: ready()},
        "b.example": {OTHER: ready()},
    }


def test_of_processes_that_note_names_of_one_owner_none_is_lost(tmp_path: Path) -> None:
    books = [NameStore(FileStore(tmp_path)), NameStore(FileStore(tmp_path))]

    def note(number: int) -> None:
        books[number % 2].note(OWNER, [waiting(f"n{number}.a.example")])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(note, range(40)))
    assert len(NameStore(FileStore(tmp_path)).of(OWNER)) == 40


def test_what_is_forgotten_leaves_nothing() -> None:
    store = MemoryStore()
    book = NameStore(store)
    book.note(OWNER, [waiting(), ready()])
    book.forget(OWNER, [NAME])
    assert NameStore(store).all() == {OWNER: {OTHER: ready()}}
    book.forget(OWNER, [OTHER])
    assert book.of(OWNER) == {}
    assert store.values == {}


def test_what_nobody_wants_is_not_kept() -> None:
    book = NameStore(MemoryStore())
    book.note(OWNER, [waiting(), ready()])
    book.note("b.example", [waiting("www.b.example")])
    book.keep({OWNER: (NAME,)})
    assert book.all() == {OWNER: {NAME: waiting()}}


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b'{"owner": "b.example", "names": []}', id="of another owner"),
        pytest.param(json.dumps({"owner": OWNER, "names": [{"name": 1}]}).encode(), id="types"),
        pytest.param(
            json.dumps(
                {"owner": OWNER, "names": [{"name": NAME, "look_at": "2026-11-20 12:00:00"}]}
            ).encode(),
            id="a moment without a zone",
        ),
    ],
)
def test_a_damaged_page_is_not_known_and_harms_no_other(damage: bytes) -> None:
    store = MemoryStore()
    book = NameStore(store)
    book.note(OWNER, [waiting()])
    book.note("b.example", [waiting("www.b.example")])
    (key,) = (each for each in store.keys("names") if store.get(each) and OWNER in each)
    store.put(key, damage)
    assert NameStore(store).all() == {"b.example": {"www.b.example": waiting("www.b.example")}}
    assert NameStore(store).of(OWNER) == {}


class Full(MemoryStore):
    """A store on a disk that takes nothing."""

    def put_if(self, former: Values, values: Values) -> bool:
        """Refuse."""
        raise OSError(28, "No space left on device")


def test_what_could_not_be_stored_is_known_to_this_run() -> None:
    book = NameStore(Full())
    with pytest.raises(OSError, match="No space"):
        book.note(OWNER, [waiting()])
    assert book.all() == {OWNER: {NAME: waiting()}}


def test_what_another_run_stored_wins_over_what_could_not_be() -> None:
    store = Full()
    book = NameStore(store)
    with pytest.raises(OSError, match="No space"):
        book.note(OWNER, [waiting()])
    other = state_after_refusal(ready(NAME), NAME, "", "no", NOON, 0.0)
    store.values[f"names/{OWNER}"] = page(other)
    assert book.all() == {OWNER: {NAME: other}} == {OWNER: book.of(OWNER)}
    store.values.clear()
    assert book.all() == {}


def test_a_full_disk_is_no_reason_not_to_forget_or_hasten() -> None:
    """What could not be stored is known to this run, and the round goes on."""
    store = Full()
    store.values[f"names/{OWNER}"] = page(waiting(), waiting(OTHER))
    book = NameStore(store)
    book.keep({OWNER: (NAME,)})
    assert book.of(OWNER) == {NAME: waiting()}
    later = NOON + timedelta(seconds=5)
    book.hasten(OWNER, later)
    assert book.all()[OWNER][NAME].look_at == later


def test_trouble_that_another_run_settled_is_not_remembered() -> None:
    store = MemoryStore()
    book = NameStore(store)
    book.note(OWNER, [waiting(), ready()])
    NameStore(store).forget(OWNER, [NAME])
    assert book.all() == {OWNER: {OTHER: ready()}}


def page(*known: NameState) -> bytes:
    """Return the page of an owner as it is stored."""
    store = MemoryStore()
    NameStore(store).note(OWNER, known)
    return store.get(f"names/{OWNER}") or b""


def test_a_person_hastens_the_names_of_one_owner() -> None:
    store = MemoryStore()
    book = NameStore(store)
    book.note(OWNER, [waiting()])
    later = NOON + timedelta(seconds=5)
    book.hasten(OWNER, later)
    book.hasten("nobody.example", later)
    assert NameStore(store).of(OWNER)[NAME].look_at == later
