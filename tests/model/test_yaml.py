"""YAML is read with the place of everything, and refused with the place of what is wrong."""

from __future__ import annotations

import pytest

from proxygen.errors import MOST_MISTAKES, Origin
from proxygen.model.yaml import parse_document, scalar_value
from proxygen.model.yaml_refusals import ALIAS, ANCHOR, TAG

DEEP = "this is nested more than 16 levels deep"
TEXT = """\
first: 1
list:
  - one
  - {deep: [a, b]}
"quoted": "yes"
"""


def wrong(text: str | bytes) -> list[tuple[int, int, str]]:
    """Return line, column and reason of each mistake."""
    found = parse_document("f.yaml", text).mistakes
    return [(each.where.line, each.where.column, each.reason) for each in found]


def test_every_value_and_key_knows_its_place() -> None:
    document = parse_document("f.yaml", TEXT)
    assert document.value == {
        "first": 1,
        "list": ["one", {"deep": ["a", "b"]}],
        "quoted": "yes",
    }
    assert document.origin("first") == Origin("f.yaml", 1, 8)
    assert document.origin("list", 1, "deep", 1) == Origin("f.yaml", 4, 16)
    assert document.key_origin("list", 1, "deep") == Origin("f.yaml", 4, 6)
    assert document.key_origin("quoted") == Origin("f.yaml", 5, 1)


def test_what_is_not_there_is_placed_at_what_is_above_it() -> None:
    document = parse_document("f.yaml", TEXT)
    assert document.origin("list", 1, "missing") == document.origin("list", 1)
    assert document.origin("list", 7) == document.origin("list")
    assert document.key_origin("first", "x", "y") == document.origin("first")
    assert document.origin("nothing") == Origin("f.yaml", 1, 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("true", True), ("False", False), ("TRUE", True), ("null", None), ("~", None)),
        *(("yes", "yes"), ("on", "on"), ("No", "No"), ("tRue", "tRue"), ("nan", "nan")),
        *(("0", 0), ("-12", -12), ("+3", 3), ("999999999999999999", 10**18 - 1)),
        *(("007", "007"), ("0x1f", "0x1f"), ("1_0", "1_0"), ("1.5", "1.5"), ("1e9", "1e9")),
        *(("9" * 5000, "9" * 5000), ("12:30", "12:30"), ("2026-01-01", "2026-01-01")),
    ],
)
def test_a_plain_scalar_means_what_the_core_schema_says(text: str, value: object) -> None:
    assert scalar_value(text) == value
    assert type(scalar_value(text)) is type(value)


def test_quotes_make_a_text_of_anything() -> None:
    assert parse_document("f.yaml", "['true', '1', \"null\"]").value == ["true", "1", "null"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: &x 1", [(1, 4, ANCHOR)]),
        ("a: 1\nb: *x", [(2, 4, ALIAS)]),
        ("a: !!str 1", [(1, 4, TAG)]),
        ("a: !ruby/object {}", [(1, 4, TAG)]),
        ("a: 1\n---\nb: 1", [(2, 1, "a second YAML document begins here")]),
        ("a: 1\n--- !t\n", [(2, 1, "a second YAML document begins here")]),
        ("a: 1\n  \na: 2", [(3, 1, "duplicate key: it stands in line 1 already")]),
        ("? [a]\n: 1", [(1, 3, "a list or a mapping stands in the place of a key")]),
        ("{{a: b}: c}", [(1, 2, "a list or a mapping stands in the place of a key")]),
        ("&x a: 1", [(1, 1, ANCHOR)]),
        ("*x : 1", [(1, 1, ALIAS)]),
        (b"a: 1\nb: \xff", [(2, 4, "the byte 0xFF is not UTF-8 text")]),
        (b"\xff\xfea\x00", [(1, 1, "the file is UTF-16 text, not UTF-8")]),
        (b"a: \x00", [(1, 4, "NUL (U+0000) is not allowed in YAML")]),
        (b"a: \x1b[2J", [(1, 4, "ESC (U+001B) is not allowed in YAML")]),
    ],
)
def test_what_a_model_does_not_need_is_a_mistake(
    text: str | bytes, found: list[tuple[int, int, str]]
) -> None:
    assert wrong(text) == found


@pytest.mark.parametrize(
    "text",
    ["a: [", "a: {b", "\tb: 1", "a: b: c", "- a\nb: c", "a: 'x", 'a: "\\q"', 'a: "\\ud800"', "%X"],
)
def test_broken_syntax_is_one_mistake_and_no_value(text: str) -> None:
    document = parse_document("f.yaml", text)
    assert document.value is None
    (mistake,) = document.mistakes
    assert mistake.reason
    assert mistake.remedy


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert parse_document("f.yaml", b"\xef\xbb\xbfa: 1").value == {"a": 1}


def test_an_empty_file_has_no_value_and_no_mistake() -> None:
    for text in ("", "\n", "# nothing\n", "---\n"):
        document = parse_document("f.yaml", text)
        assert (document.value, document.mistakes) == (None, [])


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 200_000,
        "a: " + "{a: " * 200_000,
        "".join(f"{' ' * depth}a:\n" for depth in range(2000)),
        "- " * 100_000,
    ],
    ids=["lists", "mappings", "indented", "dashes"],
)
def test_deep_nesting_is_refused_at_once(text: str) -> None:
    assert [reason for _, _, reason in wrong(text)] == [DEEP]


def test_of_many_mistakes_a_few_hundred_are_told() -> None:
    assert len(wrong("a: 1\n" * 10_000)) == MOST_MISTAKES + 1
    assert len(wrong("- !x 1\n" * 10_000)) == MOST_MISTAKES + 1
