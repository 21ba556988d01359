"""Whatever stands in the files of a model, it is read, or every mistake is told; nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings

from proxygen import registry
from proxygen.errors import ModelError
from proxygen.host.suffixes import is_public
from proxygen.model.reading import Before, read_model
from proxygen.model.sources import Source
from tests.model import hostile_models as hostile
from tests.models import SMALLEST, mistakes, source

MAIN, INCLUDED = (
    hostile.text(hostile.node(each)).encode() for each in (hostile.MAIN, hostile.INCLUDED)
)
# The same examples on every machine: what chance finds elsewhere becomes a test below.
EXAMPLES = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def refusal(main: bytes, files: dict[str, bytes], before: Before | None = None) -> str | None:
    """Return what is said against a model, None for nothing; anything else is our bug."""

    def load(mask: str) -> Sequence[Source]:
        return [source(mask, files[mask])] if mask in files else []

    known, applications = registry.settings(), registry.applications()
    try:
        read_model(source("proxygen.yaml", main), load, known, applications, before, is_public)
    except ModelError as error:
        return told(error)
    return None


def told(error: ModelError) -> str:
    """Return a model's mistakes as they are told; each is whole, and fit for a terminal."""
    assert error.mistakes
    assert all(each.reason and each.remedy for each in error.mistakes)
    assert str(error).replace("\n", "").replace("\t", "").isprintable()
    assert json.dumps(error.as_json())
    return str(error)


def test_the_models_that_are_spoiled_are_right() -> None:
    assert refusal(MAIN, {"i.yaml": INCLUDED, "j.yaml": b""}) is None


@given(hostile.texts(hostile.MAIN), hostile.texts(hostile.INCLUDED))
@EXAMPLES
@pytest.mark.timeout(900)
def test_a_spoiled_model_is_read_or_refused_and_a_second_time_likewise(
    main: bytes, included: bytes
) -> None:
    """Whoever reads again and again says the same as who reads for the first time."""
    files, before = {"i.yaml": included, "j.yaml": b""}, Before()
    refusal(MAIN, files, before)
    assert refusal(main, files, before) == refusal(main, files)


@given(hostile.texts(hostile.INCLUDED), hostile.texts(hostile.INCLUDED))
@EXAMPLES
@pytest.mark.timeout(900)
def test_spoiled_included_files_are_read_or_refused(one: bytes, two: bytes) -> None:
    refusal(MAIN, {"i.yaml": one, "j.yaml": two})


# What chance found.

TWO_WRONG = "domains: {a.example: {url: 'x y'}, b.example: {url: 'https://'}}\n"


@pytest.mark.parametrize(
    "above",
    ["", "global:\n", "global: x\n", "global: []\n", "global: {}\n", "global: {url: 1}\n"],
)
def test_wrong_urls_beside_a_global_that_is_none_are_told_each(above: str) -> None:
    found = [each.field for each in mistakes(above + TWO_WRONG)]
    assert {"domains.a.example.url", "domains.b.example.url"} < set(found)
    assert found[0].startswith("global")


def test_two_wrong_urls_are_not_one_name_of_two_owners() -> None:
    found = mistakes(SMALLEST + TWO_WRONG)
    assert len(found) == 2
    assert not any("belongs to" in each.reason for each in found)
