"""What was found about names, as a store of version 3 holds it, is read as the newest does."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from proxygen.names.causes import cause
from proxygen.names.findings import finding_sentence
from proxygen.names.states import Evidence, Finding, NameState, state_after_check
from proxygen.stores import VERSION_KEY
from proxygen.stores.filesystem import FileStore
from proxygen.stores.forward import Forward, values_forward
from proxygen.stores.names import NameStore
from tests.certificates import NOON
from tests.standins import MemoryStore

KEPT = Path(__file__).parent / "former_names.json"
"""The names of one owner, as proxygen wrote them before findings had causes."""

OWNER = "a.example"
HOST, WAITING, REFUSED, BOTH, PROXIED = (f"{each}.{OWNER}" for each in "owrgt")
FOUND = "198.51.100.7"


def former(value: bytes = KEPT.read_bytes()) -> MemoryStore:
    """Return a store of version 3 with what is known of an owner's names."""
    store = MemoryStore()
    store.put(VERSION_KEY, b"3\n")
    store.put(f"names/{OWNER}", value)
    return store


def evidence(*findings: Finding, hours: int = 0) -> Evidence:
    """Return what a check finds some hours later, as far as it is the same as it was."""
    at, caa = NOON + timedelta(hours=hours), ('0 issue "ca"',)
    return Evidence(at, (FOUND,), ("x.example",), caa, ("ns1",), "authoritative", findings)


@pytest.fixture
def names() -> dict[str, NameState]:
    """What the newest reads of it."""
    return dict(NameStore(Forward(former())).of(OWNER))


def test_since_when_and_how_often_are_kept(names: dict[str, NameState]) -> None:
    old = {each["name"]: each for each in json.loads(KEPT.read_bytes())["names"]}
    assert names.keys() == old.keys() == {WAITING, REFUSED, BOTH, PROXIED}
    for name, known in names.items():
        assert known.looks == old[name]["looks"]
        assert str(known.look_at) == old[name]["look_at"]
        assert (known.bad_since and str(known.bad_since)) == old[name]["bad_since"]
        refusal = old[name]["refusal"]
        assert (known.refusal and known.refusal.count) == (refusal and refusal["count"])
        again = old[name]["look_at"] if name == BOTH else refusal and refusal["again"]
        assert (known.refusal and str(known.refusal.again)) == again
    assert (names[WAITING].looks, names[WAITING].bad_since) == (2, NOON)


def test_a_former_sentence_is_told_as_it_was_said(names: dict[str, NameState]) -> None:
    found = names[WAITING].evidence
    assert found
    elsewhere, differing = found.findings
    assert finding_sentence(elsewhere) == (
        f"the A record {FOUND} points to another server"
        " (after a redirect to http://x/: connection refused)"
    )
    assert finding_sentence(differing) == (
        "the name servers of a.example give different answers (ns1: 192.0.2.1; ns2: nothing)"
    )
    assert dict(elsewhere.facts) == {"type": "A", "address": FOUND}


def test_the_next_check_tells_it_by_codes_and_counts_on(names: dict[str, NameState]) -> None:
    why = cause("redirected", cause("refused"), place="http://x/")
    found = Finding("elsewhere", (("type", "A"), ("address", FOUND)), because=(why,))
    known = state_after_check(names[WAITING], WAITING, evidence(found, hours=1), 0.0)
    assert (known.looks, known.bad_since, known.obstacle) == (3, NOON, found)


@pytest.mark.parametrize("name", [REFUSED, PROXIED])
def test_the_same_found_again_is_no_change_after_a_refusal(
    names: dict[str, NameState], name: str
) -> None:
    proxied = Finding("through-proxy", (("address", FOUND),), False)
    why = (cause("no-answer", seconds="10"),)
    unfetched = Finding("not-fetched", (("address", FOUND),), False, why)
    same = evidence(*((unfetched, proxied) if name == REFUSED else (proxied,)))
    refusal = names[name].refusal
    assert refusal
    assert refusal.mark
    assert not refusal.is_outdated(same)
    assert refusal.is_outdated(evidence())


def test_a_refusal_of_a_name_in_trouble_holds_until_the_next_check(
    names: dict[str, NameState],
) -> None:
    """What was in trouble is told by codes then, which is nothing else found, or it was mended."""
    refusal, found = names[BOTH].refusal, names[BOTH].evidence
    assert refusal
    assert refusal.holds(found, NOON)
    assert not refusal.is_outdated(evidence(Finding("elsewhere", (("type", "A"),))))
    due = names[BOTH].look_at
    still = state_after_check(names[BOTH], BOTH, replace(found or evidence(), at=due), 0.0)
    mended = state_after_check(names[BOTH], BOTH, replace(evidence(), at=due), 0.0)
    assert (still.is_ready(due), mended.is_ready(due)) == (False, True)


def test_a_refusal_that_ends_before_the_next_check_ends_then() -> None:
    page = json.loads(KEPT.read_bytes())
    (both,) = (each for each in page["names"] if each["name"] == BOTH)
    both["look_at"] = "2026-11-21 12:00:00+00:00"
    refusal = NameStore(Forward(former(json.dumps(page).encode()))).of(OWNER)[BOTH].refusal
    assert refusal
    assert str(refusal.again) == both["refusal"]["again"]


def test_it_is_brought_forward_once() -> None:
    store = former()
    store.put_all(values_forward(store, b"3"))
    first = dict(store.values)
    assert b'"words"' in (first[f"names/{OWNER}"] or b"")
    store.put_all(values_forward(store, b"3"))
    assert store.values == first


@pytest.mark.parametrize(
    "damage",
    [
        *(b"", b"{", b"[]", b"null", b'{"names": 1}', b'{"names": [1]}', b"\xff", b"[" * 100_000),
        b'{"names": [{"evidence": {"findings": [{}]}}]}',
        b'{"names": [{"evidence": {"findings": [{"facts": [["words", "x"]], "grave": 1}]}}]}',
    ],
    ids=range(10),
)
def test_what_is_damaged_is_left_as_it_is(damage: bytes) -> None:
    values = values_forward(former(damage), b"3")
    assert f"names/{OWNER}" not in values
    assert not NameStore(Forward(former(damage))).all()


def test_a_run_that_writes_brings_the_names_forward(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put_all(former().values)
    NameStore(Forward(store)).note(OWNER, [state_after_check(None, HOST, Evidence(NOON), 0.0)])
    assert len(NameStore(FileStore(tmp_path)).of(OWNER)) == 5
    assert NameStore(FileStore(tmp_path)).of(OWNER)[WAITING].looks == 2
