"""Mails in German and French hold no sentence of ours in English, whatever failed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from proxygen.errors import NotServed, ServiceError
from proxygen.failure import (
    Failure,
    NotObtained,
    Scope,
    failure,
    failure_words,
    not_obtained,
    refusal_of_name,
)
from proxygen.host import languages
from proxygen.model.certificate import GLOBAL
from proxygen.names.states import NameState, Refusal
from proxygen.texts.alerts import RoundResult
from proxygen.texts.contents import content
from proxygen.texts.mails import plain_text
from tests.certificates import DAY, NOON
from tests.known_names import LATE
from tests.mails import (
    SENDER,
    SITE,
    authority_failure,
    digests,
    ending,
    remembered_failure,
    round_result,
    service,
    speaking,
)
from tests.texts.test_explanations import told as explained
from tests.texts.test_mails import one_by_one, rounds

ENGLISH = languages.load("en").phrases
OTHERS = [each for each in languages.known_codes() if each != "en"]
CODES = sorted(
    key.split(".")[1] for key in ENGLISH if key.startswith("failure.") and key.endswith(".what")
)
PLACE = re.compile(r"\{\w+\}")
SHORTEST = 12
"""Characters from which on a piece of a phrase is a piece of a sentence."""


def pieces(phrase: str) -> list[str]:
    """Return what stands between the placeholders of a phrase, short pieces left out."""
    found = (" ".join(each.split()).strip(' ;:,.()`"') for each in PLACE.split(phrase))
    return [each for each in found if len(each) >= SHORTEST]


@cache
def english_beside(code: str) -> list[str]:
    """Return the pieces of our English phrases that another language does not have."""
    theirs = " ".join(languages.load(code).phrases.values())
    every = {each for phrase in ENGLISH.values() for each in pieces(phrase)}
    return sorted(each for each in every if each not in theirs)


def english_in(said: str, code: str) -> list[str]:
    """Return the pieces of our English phrases in a text in another language."""
    said = " ".join(said.split())
    return [each for each in english_beside(code) if each in said]


def facts_of(code: str) -> dict[str, Any]:
    """Return a value for each placeholder of the phrases about a failure."""
    kinds = (f"failure.{code}.what", f"failure.{code}.remedy")
    known = {name for kind in kinds for name in PLACE.findall(ENGLISH.get(kind, ""))}
    names = {name.strip("{}") for name in known} - {"of", "parts", "words", "where", "code"}
    return {name: f"<{name}>" for name in sorted(names)}


def failed(code: str, of: str = "postfix") -> Failure:
    """Return a failure of that code with a part of its own."""
    part = failure("file-empty", Scope.OWNER, file="/etc/b.pem")
    return failure(code, Scope.SERVICE, of, words="W", parts=(part,), **facts_of(code))


def not_issued(code: str) -> NotObtained:
    """Return why a certificate could not be obtained: a failure of that code, in two ways."""
    part = not_obtained("command-late", command="sleep 9", seconds=9)
    return not_obtained(code, words="W\nX", parts=(part,), **facts_of(code))


def rounds_with(code: str) -> Iterator[RoundResult]:
    """Yield rounds in which that failure is told of everything that it may be told of."""
    obtained = remembered_failure(failure=not_issued(code))
    supplied = remembered_failure("customer-b.example", failure=not_issued(code), purpose="")
    yield round_result(ending(a=DAY, b=DAY), obtained, supplied)
    yield round_result(
        ending(a=DAY, **{GLOBAL: DAY}), troubles={SITE.acme.directory: authority_failure()}
    )
    error = NotServed(failed(code))
    yield round_result(services=(service(),), failures=(("nginx", error),))
    stopped = replace(service(), error=ServiceError(failed(code)))
    yield round_result(services=(stopped,))
    if f"failure.{code}.remedy" in ENGLISH:  # as each has that tells why nothing can be stored
        yield round_result(unwritable=failed(code))


def mails(found: RoundResult, code: str) -> str:
    """Return all mails about a round in one language."""
    language = languages.load(code)
    of = speaking(SITE, code)
    written = (
        content(each, language, SENDER.host, SENDER.contact, NOON)
        for each in digests(found, of=of).values()
    )
    return "\n".join(f"{each.subject}\n{plain_text(each)}" for each in written)


@pytest.mark.parametrize("code", OTHERS)
@pytest.mark.parametrize("of", CODES)
def test_a_mail_about_any_failure_is_in_the_language_of_its_reader(of: str, code: str) -> None:
    whole = "\n".join(mails(found, code) for found in rounds_with(of))
    assert english_in(whole, code) == []
    here = failure_words(failed(of), languages.load(code).phrases)
    for each in (here.what, here.remedy):
        assert "?" not in PLACE.sub("", each.replace("Webserver?", "").replace("web ?", ""))
        assert not PLACE.search(each)


@pytest.mark.parametrize("code", OTHERS)
def test_a_mail_of_any_other_kind_is_in_the_language_of_its_reader(code: str) -> None:
    for found in (*(each for _, each in rounds()), *one_by_one()):
        assert english_in(mails(found, code), code) == []


@pytest.mark.parametrize("code", OTHERS)
@pytest.mark.parametrize("of", CODES)
def test_a_text_to_forward_about_any_failure_is_in_one_language(of: str, code: str) -> None:
    why = refusal_of_name(LATE, not_issued(of)).refused[0]
    refusal = Refusal(NOON - DAY, NOON - DAY, 1, NOON + DAY, "", why.words, why.failure)
    known = NameState(LATE, NOON + DAY, refusal=refusal)
    assert english_in(explained(known, code), code) == []


def test_a_phrase_that_is_left_in_english_is_found() -> None:
    assert english_in("Grund: der private Schlüssel passt nicht zu CN=x.", "de") == []
    assert (
        english_in(
            "Grund: the private key does not belong to the certificate of CN=x, ausgestellt", "de"
        )
        != []
    )
