"""Findings in one line."""

from __future__ import annotations

import re
import string

import pytest

from proxygen.plan.findings import SENTENCES, sentence
from proxygen.plan.names import Finding


@pytest.mark.parametrize("code", SENTENCES)
def test_every_finding_is_a_sentence_with_its_facts(code: str) -> None:
    facts = [name for _, name, _, _ in string.Formatter().parse(SENTENCES[code]) if name]
    told = sentence(Finding(code, tuple((name, f"<{name}>") for name in facts)))
    assert all(f"<{name}>" in told for name in facts)
    assert not re.search("[{}…]", told)


def test_a_finding_that_was_kept_without_a_fact_is_told_without_it() -> None:
    told = sentence(Finding("nxdomain", (("zone", "shop.example"),)))
    assert told == "… does not exist in the zone shop.example"


def test_what_others_said_is_bounded_printable_and_no_instruction_to_format() -> None:
    told = sentence(Finding("servfail", (("words", "{zone} \x1b[2J\n" + "x" * 5000),)))
    assert told.startswith(r"the name servers fail: {zone} \x1b[2J xxx")
    assert len(told) < 400
