"""Failure: a frozen value that is told in each language, stored, and handed on by exceptions."""

from __future__ import annotations

import ast
import copy
import dataclasses
import json
import pickle
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter

import proxygen
from proxygen import failure as module
from proxygen.credentials import KNOWN
from proxygen.errors import (
    IssueFailed,
    LockHeld,
    NotServed,
    ProxygenError,
    ServiceError,
    StoreFailed,
    UsageError,
)
from proxygen.failure import (
    LONGEST_FACT,
    LONGEST_WORDS,
    MOST_VALUES,
    SAID,
    Failure,
    NotObtained,
    RefusedName,
    Scope,
    failure,
    failure_with_place,
    failure_words,
    made_again,
    not_obtained,
)
from proxygen.languages import load_phrases
from proxygen.notifiers import Undelivered
from proxygen.stores.filesystem import FileStore
from tests.certificates import NOON
from tests.standins import MemoryStore

PACKAGE = Path(proxygen.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
REFUSED = not_obtained(
    "names-refused",
    names=("a.example", "b.example"),
    words="NXDOMAIN",
    where="proxygen.yaml:3:1",
    parts=(failure("acme-dns", Scope.OWNER), failure("acme-caa", Scope.OWNER)),
    problem="urn:ietf:params:acme:error:dns",
    retry_at=NOON,
    unproven=("a.example",),
    refused=(RefusedName("a.example", "dns", "NXDOMAIN"),),
)


@pytest.mark.parametrize("error", [IssueFailed(REFUSED), ProxygenError(failure("bug", Scope.HOST))])
@pytest.mark.parametrize("name", ["failure", "what", "where", "remedy", "words"])
def test_an_exception_hands_a_failure_on_and_nothing_changes_it(
    error: ProxygenError, name: str
) -> None:
    with pytest.raises(AttributeError):
        setattr(error, name, "another")
    with pytest.raises(dataclasses.FrozenInstanceError):
        error.failure.code = "another"  # type: ignore[misc]


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_exception_may_be_copied_and_sent_elsewhere(again: object) -> None:
    assert callable(again)
    found = again(StoreFailed(REFUSED))
    assert (type(found), found.failure) == (StoreFailed, REFUSED)


def test_a_failure_is_told_in_each_language_with_what_its_parts_say() -> None:
    english = failure_words(REFUSED)
    assert english.text == str(REFUSED) == str(IssueFailed(REFUSED))
    assert english.what.startswith("the authority refused a.example and b.example: it could not")
    assert "; a CAA record" in english.what
    assert "that point to this host; allow this authority" in english.remedy
    assert english.text.endswith("\n  | NXDOMAIN")
    german, french = (failure_words(REFUSED, load_phrases(code)) for code in ("de", "fr"))
    assert german.what.startswith("die Zertifizierungsstelle hat a.example und b.example ")
    assert french.what.startswith("l'autorité a refusé a.example et b.example : ")


def test_of_several_names_the_first_ones_are_told() -> None:
    names = tuple(f"{each}.example" for each in "abcdefghijklm")
    assert not_obtained("challenges-not-answered", names=names).what.endswith(
        "for a.example, b.example, c.example, d.example, e.example, f.example, g.example, "
        "h.example, i.example and 4 more"
    )


def test_words_that_a_sentence_quotes_are_not_told_twice() -> None:
    one = not_obtained("nothing-stored", Scope.HOST, words="No space left on device")
    assert str(one).count("No space left") == 1
    assert IssueFailed(one).words == "No space left on device"


def test_a_failure_holds_no_secret_and_is_bounded() -> None:
    url, key = "https://me:hunter22@host/", "-----BEGIN PRIVATE KEY-----\nMIG\n"
    one = failure("x", Scope.HOST, where=url, words=f"password=abcdef {url} {key}", a=url, b=(key,))
    assert not [each for each in ("hunter22", "MIG", "abcdef") if each in repr(one)]
    long = failure("x", Scope.HOST, words="w" * 10**6, a="a" * 10**6, b=("b" * 10**6,) * 10**4)
    facts = dict(long.facts)
    assert len(long.words) == LONGEST_WORDS
    assert len(str(facts["a"])) == LONGEST_FACT
    assert isinstance(facts["b"], tuple)
    assert (len(facts["b"]), len(facts["b"][0])) == (MOST_VALUES, LONGEST_FACT)


@pytest.mark.parametrize("before", [0, 100, 1_990, 2_000, 3_900, 3_990])
@pytest.mark.parametrize("much", [0, 1_900])
def test_no_part_of_a_secret_is_left_where_it_is_cut(
    monkeypatch: pytest.MonkeyPatch, before: int, much: int
) -> None:
    monkeypatch.setattr(KNOWN, "forms", ("hunter22hunter22",))
    key = "-----BEGIN PRIVATE KEY-----" + "M" * much + "-----END PRIVATE KEY-----"
    text = (key if much else "") + "w" * before + "hunter22hunter22" + "x" * LONGEST_FACT
    one = failure("x", Scope.HOST, a=text, b=(text,), where=text)
    assert "hunt" not in repr(one)
    words = " " * LONGEST_WORDS + "x" * (LONGEST_WORDS - 6) + "hunter22hunter22" + "x" * 200_000
    assert "hunt" not in repr(failure("x", Scope.HOST, words=f"x{words}"))


def test_facts_of_any_type_stand_in_the_order_of_their_names() -> None:
    one = Failure("x", Scope.HOST, facts=(("b", 1), ("a", 2), ("b", "x"), ("b", ("y",))))
    assert [name for name, _ in one.facts] == ["a", "b", "b", "b"]


def test_who_reads_what_was_stored_conceals_nothing_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored = TypeAdapter(NotObtained)
    kept = stored.dump_json(REFUSED)
    asked: list[str] = []
    for each in ("conceal", "concealed_words"):
        monkeypatch.setattr(module, each, lambda text: asked.append(text) or text)
    assert stored.validate_json(kept, strict=True) == REFUSED
    assert not asked
    assert made_again(REFUSED) == REFUSED
    assert asked


def test_a_failure_of_a_command_line_that_lost_its_sentence_is_told_without() -> None:
    assert str(Failure(SAID, Scope.HOST)) == "?"


def test_only_an_error_of_a_command_line_or_of_the_model_has_sentences() -> None:
    makers = {
        path.name
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and node.module == "proxygen.failure"
        and "typed_failure" in {each.name for each in node.names}
    }
    assert makers == {"errors.py"}


def test_no_store_of_the_tests_takes_a_failure_with_its_sentences(tmp_path: Path) -> None:
    error = UsageError("a sentence", remedy="do this")
    kept = not_obtained("program-error", Scope.HOST, parts=(error.failure,))
    for store in (FileStore(tmp_path), MemoryStore()):
        with pytest.raises(AssertionError, match="sentence"):
            store.put("x", json.dumps(dataclasses.asdict(kept)).encode())
        with pytest.raises(AssertionError, match="sentence"):
            store.put("x", TypeAdapter(NotObtained).dump_json(kept))
        store.put("x", TypeAdapter(NotObtained).dump_json(REFUSED))


def test_the_same_went_wrong_where_code_and_facts_are_the_same() -> None:
    one = Failure("x", Scope.HOST, facts=(("b", 1), ("a", "y")))
    assert one == failure("x", Scope.HOST, a="y", b=1)
    assert hash(one) == hash(failure("x", Scope.HOST, b=1, a="y"))


def test_a_failure_is_stored_and_read_as_it_was() -> None:
    stored = TypeAdapter(NotObtained)
    assert stored.validate_json(stored.dump_json(REFUSED), strict=True) == REFUSED


def test_what_another_version_stored_is_told_as_far_as_it_is_known() -> None:
    assert "does not know: from-tomorrow" in failure("from-tomorrow", Scope.HOST).what
    assert failure("limits-reached", Scope.OWNER).what.startswith("the rate limits of")
    assert "?" in not_obtained("challenges-not-answered").what


def test_it_tells_where_unless_it_did() -> None:
    one = failure("x", Scope.HOST)
    assert failure_with_place(one, "here").where == "here"
    assert failure_with_place(failure_with_place(one, "here"), "there").where == "here"
    assert failure_with_place(one, None) is one


def test_programs_are_told_code_scope_and_facts() -> None:
    said = IssueFailed(REFUSED).as_json()
    assert said["code"] == "not-obtained"
    assert said["failure"]["code"] == "names-refused"
    assert said["failure"]["scope"] == "owner"
    assert said["failure"]["facts"] == {"names": ("a.example", "b.example")}
    assert [each["code"] for each in said["failure"]["parts"]] == ["acme-dns", "acme-caa"]
    assert UsageError("what", remedy="do").as_json()["failure"] is None


def test_who_tells_nothing_reads_no_phrases() -> None:
    script = (
        "import sys; from proxygen.errors import IssueFailed;"
        "from proxygen.failure import not_obtained;"
        "IssueFailed(not_obtained('long-chain', count=3)).as_json;"
        "assert 'yaml' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def constants(path: Path) -> Iterator[tuple[ast.AST, str]]:
    """Yield each text in a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node, node.value


MAKING = {
    *("failure", "Failure", "not_obtained", "NotObtained", "material_refusal", "secret_missing"),
    *("unreadable_as", "read_cheaply"),
}
"""What makes a failure of a code, its first text."""

MADE_OF = {
    "no-{}-location": ("order", "account"),
    "clock-{}": ("ahead", "behind", "ahead-by-days", "behind-by-days"),
    "{}-offered": ("http-01", "dns-01"),
    "{}-found": ("no-key", "no-certificate"),
    "{}-but": ("no-key", "no-certificate"),
}
"""Codes that are put together."""

CODES = {
    key.removeprefix("failure.").removesuffix(".what")
    for key in load_phrases("en")
    if key.startswith("failure.") and key.endswith(".what")
}
KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def test_each_code_is_a_word_that_some_module_knows() -> None:
    known = {text for path in MODULES for _, text in constants(path)}
    known |= {made.format(each) for made, words in MADE_OF.items() for each in words}
    assert all(KEBAB.fullmatch(each) for each in CODES)
    assert sorted(CODES - known) == []


def made_in(path: Path) -> Iterator[tuple[ast.Call, str]]:
    """Yield each call that makes a failure, with the code; of either code where it has two."""
    making = MAKING | ({"certificate_flaw"} if path.name == "inspection.py" else set())
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and called(call) in making and call.args:
            yield from ((call, text) for each in call.args[:2] for text in texts(each))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_each_code_that_is_made_has_phrases_and_the_facts_that_they_name(path: Path) -> None:
    codes = [(call, text) for call, text in made_in(path) if KEBAB.fullmatch(text)]
    assert sorted({code for _, code in codes} - CODES) == []
    for call, code in codes:
        facts = {each.arg for each in call.keywords} | TOLD_ANYHOW
        assert None in facts or placeholders(code) <= facts or code in OTHERWISE, code


OTHERWISE = {
    *("names-refused", "scrypt-costly", "key-costly", "pkcs12-costly"),
    *("secret-unreadable", "secret-missing", "secret-empty"),
    *("acme-user-action-at", "acme-persist-unseen-records"),
    *("certificate-there", "key-of-another", "place-shows", "place-shows-any"),
}
"""Codes that are given their facts by a function between; tests of their modules tell them."""

TOLD_ANYHOW = {"of", "where", "words", "parts", "code"}
"""Placeholders that need no fact."""


def placeholders(code: str) -> set[str]:
    """Return what the phrases of a code leave open."""
    said = (load_phrases("en").get(f"failure.{code}.{part}", "") for part in ("what", "remedy"))
    return {name for each in said for _, name, _, _ in string.Formatter().parse(each) if name}


def called(call: ast.Call) -> str:
    """Return the name of what is called."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def texts(node: ast.AST) -> Iterator[str]:
    """Yield the texts of which one is an argument."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*texts(node.body), *texts(node.orelse))


def caught(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield each name of a caught exception, with what is done with it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.name:
            yield from ((node.name, below) for each in node.body for below in ast.walk(each))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_nobody_changes_an_exception_that_was_caught(path: Path) -> None:
    changed = []
    for name, node in caught(ast.parse(path.read_text(encoding="utf-8"))):
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets += [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else []
        changed += [
            each.lineno
            for each in targets
            if isinstance(each, ast.Attribute)
            and isinstance(each.value, ast.Name)
            and each.value.id == name
        ]
    assert not changed, "raise another one, of a failure that was replaced"


def test_only_who_typed_a_command_is_told_a_sentence_without_a_code() -> None:
    for kind in (ProxygenError, IssueFailed, ServiceError, NotServed, LockHeld, Undelivered):
        with pytest.raises(TypeError):
            kind("a sentence", remedy="do this")
