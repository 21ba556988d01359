"""Tables: columns as wide as what is in them, on one line for each row."""

from __future__ import annotations

from proxygen.terminal.tables import table_lines


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    assert table_lines(
        ("NAME", "STATE", ""), [("a.example", "ready", "so far"), ("b", "", "")]
    ) == [
        "NAME       STATE",
        "a.example  ready  so far",
        "b",
    ]


def test_a_table_without_rows_is_its_headings() -> None:
    assert table_lines(("NAME", "STATE"), []) == ["NAME  STATE"]


def test_a_cell_moves_no_terminal_and_stays_on_its_line() -> None:
    (_, line) = table_lines(("NAME", "STATE"), [("a\nb", "\x1b[31mfailed\u202e")])
    assert line == "a b   \\x1b[31mfailed\\u202e"
