"""Findings and their causes in one line: by codes, in every language, whoever made them."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import proxygen
from proxygen.dns.answers import LookupFailure
from proxygen.dns.wire import ERRORS
from proxygen.failure import UNKNOWN
from proxygen.host import languages
from proxygen.names.causes import MOST, Cause, cause
from proxygen.names.findings import (
    MOMENT,
    WHY,
    cause_words,
    finding_sentence,
    reason_words,
    sentence_about,
    terminal,
)
from proxygen.names.states import Finding
from proxygen.texts.remedies import NameWords
from tests.known_names import FINDINGS, LATE, finding, phrases_below

CAUSES = phrases_below("because")
OURS = Path(proxygen.__file__).parent
MAKERS = {"cause": CAUSES, "Cause": CAUSES, "finding": FINDINGS, "Finding": FINDINGS}
ELSEWHERE_TOO = frozenset(
    {"reports/health.py", "model/inspection.py", "commands/check.py", "reports/check.py"}
)
"""Who has findings of another kind."""

MADE_OF = {
    "preflight/findings.py": {str(each) for each in LookupFailure if each},
    "dns/wire.py": set(ERRORS.values()),
    "dns/questions.py": {"many-questions", "much-said"},
}
"""The codes of a module that stand in no call."""

PASSED_ON = {
    "dns/questions.py": 1,
    "dns/wire.py": 1,
    "names/causes.py": 1,
    "names/states.py": 1,
    "preflight/findings.py": 2,
    "stores/former_names.py": 2,
}
"""How many calls of a module make a cause or a finding of one that is there."""


def placeholders(phrase: str) -> set[str]:
    """Return the names of a phrase's placeholders."""
    return {name for _, name, _, _ in string.Formatter().parse(phrase) if name}


def made() -> Iterator[tuple[str, ast.Call]]:
    """Yield each call that makes a finding or a cause, with its module."""
    for path in sorted(OURS.rglob("*.py")):
        module = path.relative_to(OURS).as_posix()
        if module in ELSEWHERE_TOO:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and name_of(node) in MAKERS and node.args:
                yield module, node


def name_of(call: ast.Call) -> str:
    """Return what is called."""
    return call.func.id if isinstance(call.func, ast.Name) else ""


def code_of(call: ast.Call) -> str | None:
    """Return the code in a call, None where it is not written there."""
    first = call.args[0]
    return first.value if isinstance(first, ast.Constant) else None


WRITTEN = [(module, call) for module, call in made() if code_of(call) is not None]


def maker(call: ast.Call) -> dict[str, str]:
    """Return the phrases of what a call makes."""
    return MAKERS[name_of(call)]


def test_every_code_that_can_be_made_has_a_phrase_and_every_phrase_is_used() -> None:
    codes: dict[int, set[str]] = {id(CAUSES): set(), id(FINDINGS): set()}
    for _, call in WRITTEN:
        codes[id(maker(call))].add(str(code_of(call)))
    codes[id(CAUSES)] |= MADE_OF["dns/wire.py"] | MADE_OF["dns/questions.py"]
    codes[id(FINDINGS)] |= MADE_OF["preflight/findings.py"]
    said = {"said"}  # as sentences of a former store are kept
    assert codes[id(CAUSES)] | said | {UNKNOWN} == CAUSES.keys()
    assert codes[id(FINDINGS)] | {UNKNOWN} == FINDINGS.keys()


def test_no_code_is_made_up_while_it_runs() -> None:
    unknown: dict[str, int] = {}
    for module, call in made():
        if code_of(call) is None:
            unknown[module] = unknown.get(module, 0) + 1
    assert unknown == PASSED_ON


@pytest.mark.parametrize(
    ("module", "call"), WRITTEN, ids=[f"{module}:{call.lineno}" for module, call in WRITTEN]
)
def test_what_is_made_has_the_facts_that_its_phrase_tells(module: str, call: ast.Call) -> None:
    phrase = placeholders(maker(call)[str(code_of(call))])
    has_causes = len(call.args) > 1 and name_of(call) in ("cause", "finding")
    given = {each.arg for each in call.keywords if each.arg} | ({WHY} if has_causes else set())
    if name_of(call) == "Finding":
        assert code_of(call) == "persist"
        given = {"name", "record"}
    assert phrase <= given


@pytest.mark.parametrize("code", languages.known_codes())
def test_every_language_tells_every_code_with_the_same_facts(code: str) -> None:
    phrases = languages.load(code).phrases
    for kind, known in (("finding", FINDINGS), ("because", CAUSES)):
        told = {key.partition(".")[2]: each for key, each in phrases.items() if kind in key[:8]}
        told = {each: phrases[f"{kind}.{each}"] for each in told if f"{kind}.{each}" in phrases}
        assert told.keys() == known.keys()
    for each, phrase in CAUSES.items():
        assert placeholders(phrases[f"because.{each}"]) == placeholders(phrase)
    for each, phrase in FINDINGS.items():  # which say it at more length
        hidden = {"name", "record"}
        missing = placeholders(phrase) - placeholders(phrases[f"finding.{each}"])
        assert missing <= hidden


def test_every_code_is_documented() -> None:
    document = (OURS.parent / "docs/names.md").read_text()
    assert not [code for code in (*FINDINGS, *CAUSES) if f"`{code}`" not in document]


@pytest.mark.parametrize(
    ("module", "call"), WRITTEN, ids=[f"{module}:{call.lineno}" for module, call in WRITTEN]
)
def test_no_fact_is_a_sentence_of_ours(module: str, call: ast.Call) -> None:
    values = [node for each in call.keywords if each.arg for node in ast.walk(each.value)]
    texts = [each.value for each in values if isinstance(each, ast.Constant)]
    assert not [each for each in texts if isinstance(each, str) and " " in each.strip()]


def test_codes_of_findings_and_of_causes_are_apart() -> None:
    assert CAUSES.keys() & FINDINGS.keys() == {UNKNOWN}


def full(code: str, phrases: dict[str, str]) -> Cause:
    """Return a cause with all that its phrase tells."""
    names = placeholders(phrases[code]) - {WHY, MOMENT, "code"}
    return cause(code, cause("refused"), **{name: f"<{name}>" for name in sorted(names)})


@pytest.mark.parametrize("code", FINDINGS)
def test_every_finding_is_a_sentence_with_its_facts(code: str) -> None:
    made = full(code, FINDINGS)
    told = finding_sentence(Finding(code, made.facts, because=made.because))
    assert all(value in told for _, value in made.facts)
    assert not re.search("[{}…]", told)


@pytest.mark.parametrize("code", [each for each in CAUSES if len(CAUSES[each]) > 25])
@pytest.mark.parametrize("language", ["de", "fr"])
def test_a_cause_is_told_whole_in_the_language_of_the_reader(code: str, language: str) -> None:
    told = reason_words(full(code, CAUSES), languages.load(language))
    assert told != reason_words(full(code, CAUSES))
    assert not re.search(r"[{}]|\b(the|of|is|it|no|record|zone of|connection) ", told)


def test_a_cause_within_a_cause_is_told_in_the_same_language() -> None:
    answer = cause("no-answer", seconds="10")
    redirected = finding("elsewhere", cause("redirected", answer, place="https://a.example/x"))
    german = NameWords(languages.load("de"), "mail.example.net").found(LATE, redirected)
    assert german.endswith(
        "(nach einer Weiterleitung zu https://a.example/x: keine Antwort innerhalb von 10 s)."
    )


@pytest.mark.parametrize("code", ["servers-silent", "servers-lame", "servfail", "dnssec"])
def test_a_finding_that_holds_another_tells_it_in_the_same_language(code: str) -> None:
    for language in ("de", "fr"):
        phrases = languages.load(language)
        telling = NameWords(phrases, "mail.example.net")
        for outer in ("caa-lookup", "acme-challenge"):
            told = telling.found(LATE, finding(outer, finding(code).as_cause()))
            inner = telling.found(LATE, finding(code))
            assert inner in told
            assert not re.search(r"\b(the|of|answers|zone of) ", told)


def test_a_moment_is_written_as_the_reader_does() -> None:
    late = cause("expired", type="A", at="2026-11-20T12:00:00+00:00")
    assert reason_words(late) == "the signature of the A record expired on 2026-11-20 12:00 UTC"
    assert reason_words(late, languages.load("fr")).endswith(": 20/11/2026 à 12 h 00 (UTC)")
    assert "at noon" in reason_words(cause("expired", type="A", at="at noon"))


def test_a_finding_that_was_kept_without_a_fact_is_told_without_it() -> None:
    told = finding_sentence(Finding("nxdomain", (("zone", "shop.example"),)))
    assert told == "… does not exist in the zone shop.example"
    assert finding_sentence(Finding("servfail")) == "the name servers answer with an error: …"


def test_what_others_said_is_bounded_printable_and_no_instruction_to_format() -> None:
    said = Cause("said", (("words", "{zone} \x1b[2J\n" + "x" * 5000),))
    told = finding_sentence(Finding("servfail", because=(said,)))
    assert told.startswith(r"the name servers answer with an error: {zone} \x1b[2J xxx")
    assert len(told) < 400
    kept = cause("said", *([said] * 50), words="y" * 5000)
    assert (len(kept.get("words")), len(kept.because)) == (300, MOST)


@pytest.mark.parametrize(
    ("code", "facts", "words"),
    [
        ("nxdomain", {"name": LATE, "zone": LATE}, f"it does not exist in the zone {LATE}"),
        ("nxdomain", {"name": "x.example", "zone": "example"}, "x.example does not exist in the"),
        ("no-delegation", {"domain": LATE}, "it is not registered"),
        ("private", {"address": "10.0.0.1"}, "10.0.0.1 cannot be reached"),
    ],
)
def test_a_line_that_begins_with_the_name_does_not_say_it_twice(
    code: str, facts: dict[str, str], words: str
) -> None:
    assert sentence_about(LATE, Finding(code, tuple(facts.items()))).startswith(words)


def test_several_causes_are_told_one_after_the_other() -> None:
    two = (cause("shows", server="ns1", records="192.0.2.1"), cause("shows-nothing", server="ns2"))
    assert cause_words(two) == "ns1: 192.0.2.1; ns2: no records"
    assert cause_words(two, languages.load("de")) == "ns1: 192.0.2.1; ns2: keine Einträge"
    assert terminal().code == "en"


def test_what_a_later_version_found_is_told_by_its_code() -> None:
    later = Cause("from-tomorrow", (("x", "y"),))
    found = Finding("in-a-year", because=(later,))
    assert finding_sentence(found).endswith("does not know: in-a-year")
    assert sentence_about(LATE, found) == finding_sentence(found)
    assert finding_sentence(Finding("servfail", because=(later,))).endswith(
        "not know: from-tomorrow"
    )
    assert reason_words(found.as_cause()).endswith("not know: in-a-year")
    for code in languages.known_codes():
        telling = NameWords(languages.load(code), "mail.example.net")
        for each in (telling.found, telling.needed):
            assert "in-a-year" in each(LATE, found)
            assert LATE in each(LATE, found)
        assert "from-tomorrow" in reason_words(later, languages.load(code))
        assert "from-tomorrow" in telling.found(LATE, Finding("servfail", because=(later,)))
