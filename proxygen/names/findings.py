"""Findings and causes as sentences, in the language of who reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from string import Formatter

from proxygen.failure import UNKNOWN
from proxygen.languages import ENGLISH, load_phrases
from proxygen.languages.language import Language
from proxygen.languages.lines import one_line, shorten_value
from proxygen.names.causes import Cause
from proxygen.names.states import Finding

WHY = "why"
"""The placeholder for what causes say."""

MOMENT = "at"
"""The fact that is a moment, in ISO 8601."""

NOTHING: Mapping[str, str] = {}


@cache
def terminal() -> Language:
    """Return the language of the terminal: English, in which a finding takes one line."""
    known = load_phrases(ENGLISH)
    short = {
        key.replace("terminal.", "finding.", 1): phrase
        for key, phrase in known.items()
        if key.startswith("terminal.")
    }
    return Language(ENGLISH, {**known, **short})


def finding_sentence(finding: Finding) -> str:
    """Return a finding in one line of the terminal."""
    return in_words(finding, finding.facts)


def sentence_about(name: str, finding: Finding) -> str:
    """Return a finding for a line that begins with the name: it is not said twice."""
    phrase = terminal().phrases[key_of(terminal(), "finding", finding.code)]
    facts = (
        (fact, "it" if value == name and phrase.startswith(f"{{{fact}}} ") else value)
        for fact, value in finding.facts
    )
    return in_words(finding, facts)


def in_words(finding: Finding, facts: Iterable[tuple[str, str]]) -> str:
    """Return a finding with these facts in one line of the terminal."""
    key = key_of(terminal(), "finding", finding.code)
    return fill_phrase(terminal(), key, facts, finding.because, {"code": finding.code})


def key_of(language: Language, kind: str, code: str) -> str:
    """Return the key of the phrase about a code; a later version may have stored another one."""
    return key if (key := f"{kind}.{code}") in language.phrases else f"{kind}.{UNKNOWN}"


def cause_words(
    causes: Iterable[Cause], language: Language | None = None, usual: Mapping[str, str] = NOTHING
) -> str:
    """Return what causes say, in one line; *usual* are facts that a phrase may want besides."""
    return "; ".join(reason_words(each, language, usual) for each in causes)


def reason_words(
    cause: Cause, language: Language | None = None, usual: Mapping[str, str] = NOTHING
) -> str:
    """Return what a cause says; one that is a finding says what that does.

    Without a language it is told in that of the terminal.
    """
    language = language or terminal()
    key = f"because.{cause.code}"
    key = key if key in language.phrases else f"finding.{cause.code}"
    key = key if key in language.phrases else f"because.{UNKNOWN}"
    return fill_phrase(language, key, cause.facts, cause.because, {**usual, "code": cause.code})


def fill_phrase(
    language: Language,
    key: str,
    facts: Iterable[tuple[str, str]],
    causes: Iterable[Cause],
    usual: Mapping[str, str] = NOTHING,
) -> str:
    """Return a phrase with its facts; one that is not known is told as such."""
    phrase, known, values = language.phrases[key], dict(facts), {}
    for place in places_of(phrase):
        if place == WHY:
            values[place] = shorten_value(cause_words(causes, language, usual)) or "…"
        elif place == MOMENT and place in known:
            values[place] = moment_words(one_line(known[place]), language)
        else:
            values[place] = one_line(known.get(place) or usual.get(place) or "…")
    return phrase.format_map(values)


@cache
def places_of(phrase: str) -> tuple[str, ...]:
    """Return the placeholders of a phrase."""
    return tuple(place for _, place, _, _ in Formatter().parse(phrase) if place)


def moment_words(kept: str, language: Language) -> str:
    """Return a moment as people write it; what is none stays as it is."""
    try:
        return language.moment(datetime.fromisoformat(kept))
    except (ValueError, OverflowError):
        return kept
