"""What is stored moves when the model begins or ends to ask for two types of keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from proxygen.errors import Origin
from proxygen.model.certificate import Bundle, Certificate, KeyType
from proxygen.plan.filing import filed_anew, with_filed

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WANTED = Certificate("a.example", ("a.example",), "acme", Origin("m.yaml", 1, 1))
OF_RSA = replace(WANTED, key_type=KeyType.RSA_2048)
BESIDE = replace(OF_RSA, owner="a.example_rsa")


def bundle(owner: str, key_type: str, *, stand_in: bool = False) -> Bundle:
    return Bundle(
        *(owner, ("a.example",), "acme", "CA", NOON, NOON, "1"),
        *("f" * 64, "5" * 64, "d" * 64, key_type),
        stand_in=stand_in,
    )


@pytest.mark.parametrize(
    ("wanted", "stored", "moved"),
    [
        pytest.param(
            (WANTED, BESIDE),
            {"a.example": "rsa-2048"},
            {"a.example_rsa": "a.example"},
            id="an ECDSA one joins that of RSA",
        ),
        pytest.param(
            (OF_RSA,),
            {"a.example": "ecdsa-p256", "a.example_rsa": "rsa-2048"},
            {"a.example": "a.example_rsa"},
            id="the ECDSA one leaves",
        ),
        pytest.param(
            (WANTED,),
            {"a.example": "ecdsa-p256", "a.example_rsa": "rsa-2048"},
            {},
            id="the RSA one leaves",
        ),
        pytest.param(
            (WANTED, BESIDE),
            {"a.example": "ecdsa-p256", "a.example_rsa": "rsa-2048"},
            {},
            id="all is where it belongs",
        ),
        pytest.param((WANTED, BESIDE), {"a.example": "ecdsa-p256"}, {}, id="nothing of RSA"),
        pytest.param(
            (replace(WANTED, key_type_said=False),), {"a.example": "rsa-2048"}, {}, id="-"
        ),
        pytest.param((WANTED, BESIDE), {}, {}, id="nothing stored"),
    ],
)
def test_what_is_stored_goes_where_it_is_wanted(
    wanted: tuple[Certificate, ...], stored: Mapping[str, str], moved: Mapping[str, str]
) -> None:
    bundles = {owner: bundle(owner, kind) for owner, kind in stored.items()}
    found = {new.owner: old.owner for new, old in filed_anew(wanted, bundles)}
    assert found == moved
    then = with_filed(wanted, bundles)
    assert then.keys() == bundles.keys() | moved.keys()
    assert not [*filed_anew(wanted, then)]
    assert all(each.owner == owner for owner, each in then.items())


def test_a_stand_in_belongs_to_nobody_else() -> None:
    bundles = {"a.example": bundle("a.example", "rsa-2048", stand_in=True)}
    assert with_filed((WANTED, BESIDE), bundles) == bundles
