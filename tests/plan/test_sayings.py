"""What a look says in its own English words is told in the language of the text."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

import proxygen
from proxygen.host import languages
from proxygen.plan.findings import sentence
from proxygen.plan.remedies import Telling
from proxygen.plan.sayings import QUOTED, SAYINGS, translated
from tests.names import LATE, finding

OURS = Path(proxygen.__file__).parent
SYSTEM = {
    "refused": errno.ECONNREFUSED,
    "timed-out": errno.ETIMEDOUT,
    "no-route": errno.EHOSTUNREACH,
    "no-network": errno.ENETUNREACH,
}


def in_language(code: str, words: str) -> str:
    """Return words about a name in a language."""
    return translated(words, LATE, languages.load(code))


@pytest.mark.parametrize("key", sorted(SAYINGS.keys() - SYSTEM.keys()))
def test_a_saying_is_said_by_those_who_look(key: str) -> None:
    sources = "".join(path.read_text() for path in (OURS / "preflight").glob("*.py"))
    sources += (OURS / "plan/caa.py").read_text()
    for piece in re.split(r"\{\w+\}", SAYINGS[key]):
        assert piece.strip() in sources


@pytest.mark.parametrize("key", sorted(SYSTEM))
def test_a_saying_of_the_system_is_what_it_says(key: str) -> None:
    assert os.strerror(SYSTEM[key]).lower() == SAYINGS[key]


@pytest.mark.parametrize("key", sorted(SAYINGS))
def test_english_stays_as_it_was_said_and_other_languages_do_not(key: str) -> None:
    words = re.sub(r"\{\w+\}", "x1", SAYINGS[key])
    assert in_language("en", words) == words
    for code in ("de", "fr"):
        phrase = languages.load(code).phrases[f"words.{key}"]
        assert in_language(code, words) == re.sub(r"\{\w+\}", "x1", phrase) != words


def test_words_within_words_are_translated_too() -> None:
    words = "after a redirect to https://a.example/x: no answer within 10 s"
    assert in_language("de", words) == (
        "nach einer Weiterleitung zu https://a.example/x: keine Antwort innerhalb von 10 s"
    )


def test_what_others_said_stays_as_it_is() -> None:
    for words in ("404 Not Found (nginx)", "no {family} here, or {0}", "a" * 500, ""):
        assert in_language("fr", words).startswith(words[:299])


@pytest.mark.parametrize("code", QUOTED)
def test_a_finding_that_quotes_another_quotes_it_in_the_same_language(code: str) -> None:
    quoting = finding("caa-lookup", words=sentence(finding(code)))
    german = Telling(languages.load("de"), "mail.example.net").found(LATE, quoting)
    assert "the name servers" not in german
    assert "is not registered" not in german
    assert "signatures" not in german
