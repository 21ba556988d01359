"""A store of a former version is read as the newest, and becomes it at once or not at all."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import pytest

from proxygen.apply.hooks import last_runs
from proxygen.failure import Scope, failure, not_obtained
from proxygen.stores import VERSION, VERSION_KEY
from proxygen.stores.bundles import Bundles
from proxygen.stores.filesystem import FileStore
from proxygen.stores.forward import Forward, values_forward
from proxygen.stores.keyspace import own_part, shared_part
from proxygen.stores.outbox import Outbox
from tests.standins import MemoryStore
from tests.stores.killing import killed

OLD = {
    "accounts/0123456789abcdef/key": b"account",
    "certificates/a.example": b'{"key_type": "rsa-2048"}',
    "certificates/b.example": b'{"key_type": "rsa-1024"}',
    "certificates/global": b"{damaged",
    "former/postfix.json": b"main.cf",
    "hooks/deployed/a.example": b"fingerprint",
    "hooks/runs/a.example": b"[]",
    "hooks/since": b"{}",
    "orders/a.example": b"begun",
}
"""Of a store of version 1, which tells none."""
ATTEMPT = (
    b'{"of": "a.example", "at": "2026-11-20T12:00:00Z", "since": "2026-11-20T12:00:00Z", '
    b'"count": 2, "again": "2026-11-20T13:00:00Z", "what": "the authority refused it", '
    b'"words": "NXDOMAIN", "remedy": "publish it", "problem": "urn:dns", "purpose": "p"}'
)
"""A failure as a store of version 3 has it."""
SHARED = {
    "accounts/0123456789abcdef/key": b"account",
    "certificates/other/b.example": b'{"key_type": "rsa-1024"}',
    "certificates/other/global": b"{damaged",
    "certificates/rsa-2048/a.example": b'{"key_type": "rsa-2048"}',
    "orders/a.example": b"begun",
}
OWN = {
    "former/postfix": b"main.cf",
    "hooks/deployed/a.example": b"fingerprint",
    "hooks/runs/a.example": b"[]",
    "hooks/since": b"{}",
}
WHOSE = ("accounts", "certificates", "orders")


def old(root: Path) -> FileStore:
    """Return a store of version 1."""
    store = FileStore(root)
    store.put_all(OLD)
    return store


def parts(store: Forward) -> tuple[dict[str, bytes | None], dict[str, bytes | None]]:
    """Return what is shared and what is the host's own, by listing it."""
    whole, mine = shared_part(store), own_part(store)
    return (
        {key: whole.get(key) for kind in WHOSE for key in whole.keys(kind)},
        {key: mine.get(key) for kind in ("former", "hooks") for key in mine.keys(kind)},
    )


def files_in(root: Path) -> dict[str, bytes]:
    """Return all files of a store."""
    found = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def test_who_reads_finds_all_in_its_new_place_and_changes_nothing(tmp_path: Path) -> None:
    store = Forward(old(tmp_path))
    assert parts(store) == (SHARED, OWN)
    assert list(own_part(store).stamps("hooks")) == [key for key in OWN if key.startswith("hooks")]
    assert (own_part(store).has("hooks/since"), store.has("hooks/since")) == (True, False)
    assert files_in(tmp_path) == OLD


def test_the_first_who_writes_brings_it_forward(tmp_path: Path) -> None:
    store = Forward(old(tmp_path))
    own_part(store).put("hooks/since", b"more")
    new = {f"host/{key}": value for key, value in OWN.items()} | {"host/hooks/since": b"more"}
    assert files_in(tmp_path) == {**SHARED, **new, "version": b"%d\n" % VERSION}
    assert not Forward(FileStore(tmp_path)).is_behind
    assert parts(Forward(FileStore(tmp_path))) == (SHARED, OWN | {"hooks/since": b"more"})


def test_killed_before_each_change_it_is_of_one_version_or_the_other(tmp_path: Path) -> None:
    found = []
    for at in count(1):
        root = tmp_path / str(at)
        if not killed(Forward(old(root)), at, Forward.bring):
            break
        version = FileStore(root).get(VERSION_KEY)
        found.append(version)
        assert parts(Forward(FileStore(root))) == (SHARED, OWN)
        Forward(FileStore(root)).bring()
        store = FileStore(root)
        assert (store.get(VERSION_KEY), store.get("hooks/since")) == (b"%d\n" % VERSION, None)
        assert parts(Forward(store)) == (SHARED, OWN)
    assert len(set(found)) == 2


def test_what_another_process_does_to_it_counts(tmp_path: Path) -> None:
    ours, theirs = Forward(old(tmp_path)), Forward(FileStore(tmp_path))
    shared_part(theirs).put_all({"orders/a.example": None, "orders/b.example": b"begun"})
    own_part(theirs).delete("hooks/since")
    assert own_part(ours).get("hooks/since") is None
    assert list(shared_part(ours).keys("orders")) == ["orders/b.example"]
    ours.bring()
    assert parts(ours) == parts(theirs)


def test_it_is_read_once_to_be_brought_forward_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old(tmp_path)
    read: list[str] = []
    get = FileStore.get

    def noted(store: FileStore, key: str) -> bytes | None:
        read.append(key)
        return get(store, key)

    monkeypatch.setattr(FileStore, "get", noted)
    store = Forward(FileStore(tmp_path))
    assert not read.count("certificates/a.example")
    store.bring()
    assert own_part(store).get("hooks/since")
    assert read.count("certificates/a.example") == 1
    read.clear()
    only_read = Forward(old(tmp_path / "other"))
    for _ in range(3):
        assert list(shared_part(only_read).keys("certificates"))
    assert read.count("certificates/a.example") == 1


def test_an_empty_store_is_of_the_newest_version_once_something_is_there(tmp_path: Path) -> None:
    store = Forward(FileStore(tmp_path / "store"))
    store.delete("orders/a.example")
    assert not (tmp_path / "store").exists()
    store.put("orders/a.example", b"")
    assert files_in(tmp_path / "store") == {"orders/a.example": b"", "version": b"%d\n" % VERSION}


@pytest.mark.parametrize("noted", [None, *(b"%d" % version for version in range(1, VERSION))])
def test_steps_find_nothing_to_do_in_a_store_that_lost_its_version(noted: bytes | None) -> None:
    store = MemoryStore()
    store.put_all({**SHARED, **{f"host/{key}": value for key, value in OWN.items()}})
    assert values_forward(store, noted) == {VERSION_KEY: b"%d\n" % VERSION}


def test_each_kind_is_in_one_part(tmp_path: Path) -> None:
    store = Forward(FileStore(tmp_path))
    for part, kind in (
        (shared_part(store), "hooks"),
        (shared_part(store), "host"),
        (own_part(store), "orders"),
    ):
        with pytest.raises(ValueError, match="not a key"):
            part.put(f"{kind}/a.example", b"")
        with pytest.raises(ValueError, match="not a key"):
            list(part.keys(kind))
    shared_part(store).put("orders/a.example", b"1")
    own_part(store).put("hooks/runs/a.example", b"2")
    assert files_in(tmp_path).keys() == {"orders/a.example", "host/hooks/runs/a.example", "version"}


def test_a_failure_that_was_noted_in_sentences_is_known_by_a_code(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put_all(
        {
            "attempts/a.example": ATTEMPT,
            "attempts/b.example": b"{damaged",
            "troubles/0123456789abcdef": ATTEMPT.replace(b"a.example", b"https://ca/dir"),
            "unusable/c.example": b'{"mark": "m", "what": "it is empty", "until": null}',
            VERSION_KEY: b"3",
        }
    )
    bundles = Bundles(Forward(store))
    found = bundles.failures()
    assert [*found] == ["a.example"]
    assert (found["a.example"].count, found["a.example"].purpose) == (2, "p")
    assert found["a.example"].failure == not_obtained(
        "noted-before", words="the authority refused it\nNXDOMAIN", problem="urn:dns"
    )
    assert found["a.example"].failure.what.endswith(": the authority refused it")
    trouble = bundles.failures_below("troubles")["https://ca/dir"]
    assert trouble.failure.everybody
    Forward(store).bring()
    assert store.get("unusable/c.example") is None
    assert store.get("attempts/b.example") == b"{damaged"
    assert Bundles(Forward(store)).failures() == found


def test_words_that_were_noted_with_a_secret_are_brought_without() -> None:
    store = MemoryStore()
    secret = b"password=hunter22hunter"
    run = json.dumps([RAN | {"problem": secret.decode(), "words": ""}]).encode()
    attempt = ATTEMPT.replace(b"NXDOMAIN", secret)
    assert secret in attempt
    store.put_all(
        {"attempts/a.example": attempt, "host/hooks/runs/a.example": run, VERSION_KEY: b"3"}
    )
    assert not [each for each in values_forward(store, b"3").values() if secret in (each or b"")]


RAN = {"hook": "10", "event": "deploy", "at": "2026-11-20 12:00:00+00:00", "seconds": 0.5}
FORMER = {
    "version": b"3\n",
    "host/hooks/runs/a.example": [
        RAN | {"problem": "exited with status 3", "words": "gone"},
        RAN | {"problem": "", "words": ""},
    ],
    "host/hooks/runs/b.example": b"[damaged",
    "mail-trouble": {"count": 2, "again": "2026-11-20 12:00:00+00:00", "what": "cannot be used"},
}
"""Of a store of version 3, which kept sentences."""


def test_sentences_of_a_store_of_version_3_become_words_of_a_failure() -> None:
    store = MemoryStore()
    store.put_all(
        {
            key: each if isinstance(each, bytes) else json.dumps(each).encode()
            for key, each in FORMER.items()
        }
    )
    forward = Forward(store)
    failed, well = last_runs(own_part(forward), "a.example")
    assert failed.failure == failure("noted-before", Scope.HOST, words="exited with status 3")
    assert (failed.words, well.failure) == ("gone", None)
    assert last_runs(own_part(forward), "b.example") == ()
    trouble = Outbox(shared_part(forward)).delivery_failure()
    assert trouble is not None
    assert (trouble.count, trouble.failure.words) == (2, "cannot be used")
