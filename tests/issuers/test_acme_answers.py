"""What an authority says of a name: its own reasons, or that the name could not be proven."""

from __future__ import annotations

import json

import pytest

from proxygen.issuers.acme_answers import MOST_NAMES, URN, Authorization, Problem
from proxygen.issuers.acme_failures import Over
from proxygen.issuers.acme_order import check_valid


def refused(name: str, kind: str | None, status: str = "invalid") -> Authorization:
    """Return an authorization that came to nothing, for a reason or without one."""
    challenge = {"type": "http-01", "error": {"type": URN + kind} if kind else None}
    identifier = {"type": "dns", "value": name}
    return Authorization.model_validate(
        {"identifier": identifier, "status": status, "challenges": [challenge]}, strict=False
    )


@pytest.mark.parametrize(
    ("kind", "unproven"),
    [
        ("connection", True),
        ("dns", True),
        ("dnssec", True),
        ("unauthorized", True),
        ("incorrectResponse", True),
        (None, True),
        ("caa", False),
        ("rejectedIdentifier", False),
        ("rateLimited", False),
    ],
)
def test_only_a_failed_validation_leaves_a_name_unproven(kind: str | None, unproven: bool) -> None:
    with pytest.raises(Over) as over:
        check_valid([refused("a.example", kind)])
    assert over.value.unproven == (("a.example",) if unproven else ())


def test_one_name_that_cannot_be_proven_is_told_among_others() -> None:
    with pytest.raises(Over) as over:
        check_valid([refused("b.example", "caa"), refused("a.example", "connection")])
    assert over.value.unproven == ("a.example",)
    expired = refused("c.example", None, "expired")
    with pytest.raises(Over) as over:
        check_valid([expired])
    assert over.value.unproven == ()


def test_no_problem_has_more_parts_than_names_may_be_ordered() -> None:
    part = {"subproblems": [{"detail": "no"}] * 100}
    body = json.dumps({"subproblems": [part] * 100}).encode()
    assert len(list(Problem.read(body).leaves)) == MOST_NAMES
