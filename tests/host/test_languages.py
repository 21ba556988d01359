"""Languages: what people are told, loaded from the files of the package."""

from __future__ import annotations

import string
from typing import get_args

import pytest

from proxygen.host import languages
from proxygen.model.schema import Language

ENGLISH = {
    key: phrase
    for key, phrase in languages.load("en").phrases.items()
    if not key.startswith("terminal.")  # which speaks English only
}


def placeholders(phrase: str) -> set[str]:
    """Return the names of a phrase's placeholders."""
    return {name for _, name, _, _ in string.Formatter().parse(phrase) if name is not None}


def test_each_language_of_the_model_is_a_file_and_each_file_a_language_of_the_model() -> None:
    assert languages.known_codes() == tuple(sorted(get_args(Language)))


@pytest.mark.parametrize("code", languages.known_codes())
def test_every_language_has_the_same_keys(code: str) -> None:
    found = languages.load(code).phrases
    assert {key for key in found if code != "en" or key in ENGLISH} == ENGLISH.keys()


@pytest.mark.parametrize("code", languages.known_codes())
@pytest.mark.parametrize("key", ENGLISH)
def test_every_phrase_says_something_with_the_same_placeholders(code: str, key: str) -> None:
    phrase = languages.load(code).phrases[key]
    assert phrase
    same = placeholders(ENGLISH[key])
    if key.endswith(".one"):  # which may write the number as a word
        assert placeholders(phrase) - {"number"} == same - {"number"}
    else:
        assert placeholders(phrase) == same


@pytest.mark.parametrize("code", [each for each in languages.known_codes() if each != "en"])
def test_no_sentence_was_left_in_english(code: str) -> None:
    phrases = languages.load(code).phrases
    assert not [key for key, each in ENGLISH.items() if len(each) > 25 and phrases[key] == each]
