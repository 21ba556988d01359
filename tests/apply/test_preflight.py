"""Names looked at: those of one owner one after the other, those of many side by side."""

from __future__ import annotations

from proxygen.apply.preflight import in_turn
from proxygen.errors import Origin
from proxygen.model.certificate import Certificate


def test_an_owner_with_many_names_holds_nobody_up() -> None:
    here = Origin("m.yaml", 1, 1)
    many = Certificate("a.example", ("a1.example", "a2.example", "a3.example"), "acme", here)
    few = Certificate("b.example", ("b1.example",), "acme", here)
    asked = [(each, name) for each in (many, few) for name in each.names]
    assert [name for _, name in in_turn(asked)] == [
        *("a1.example", "b1.example"),
        *("a2.example", "a3.example"),
    ]
