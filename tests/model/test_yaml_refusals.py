"""What is no YAML is told where it stands, character for character, and with what to write."""

from __future__ import annotations

import pytest

from proxygen.errors import Mistake
from proxygen.model.yaml import parse_document

MAIN = "global:\n  url: https://mail.example\n"


def only(text: str | bytes) -> Mistake:
    """Return the one mistake of a text, of which nothing is read."""
    document = parse_document("m.yaml", text)
    assert document.value is None
    assert len(document.mistakes) == 1
    return document.mistakes[0]


@pytest.mark.parametrize(
    ("text", "place", "reason", "remedy"),
    [
        pytest.param("a: 1\nb: x\0y\n", "2:5", "NUL (U+0000)", "editors show it as ^@", id="NUL"),
        pytest.param("a: \x1b[31m\n", "1:4", "ESC (U+001B)", "^[", id="an escape sequence"),
        pytest.param("é: ü\r\nb:\r\n  c: \x07\n", "3:6", "(U+0007)", "^G", id="after CRLF and é"),
        pytest.param("a: b\n# \ufffe\n", "2:3", "(U+FFFE)", "remove it", id="no character at all"),
        pytest.param("a: b\n\x7f\n", "2:1", "DEL (U+007F)", "remove it", id="DEL"),
        pytest.param("a: \x85b\n\x9f", "3:1", "(U+009F)", "remove it", id="C1 after a next line"),
        pytest.param("\ta: 1\n", "1:1", "a tab stands here", "expand -t 2", id="a tab at first"),
        pytest.param("a:\n\tb: 1\n", "2:1", "a tab stands here", "spaces", id="a tab below a key"),
        pytest.param("a:\n  b: 1\n\tc: 2\n", "3:1", "a tab stands here", "spaces", id="then a tab"),
        pytest.param("a:\n  \tb: 1\n", "2:3", "a tab stands here", "spaces", id="spaces and a tab"),
        pytest.param("a: [b\n\tc]\n", "2:1", "a tab stands here", "spaces", id="a tab in a list"),
        pytest.param("a: |\n\tb\n", "2:1", "a tab stands here", "spaces", id="a tab in a block"),
        pytest.param("a: b: c\n", "1:5", "a second colon", "'a: b'", id="two colons"),
        pytest.param("a\nb: c\n", "2:2", "without a colon", "write `key:`", id="no colon above"),
        pytest.param("a: b\n  c: d\n", "2:4", "without a colon", "indent", id="indented too much"),
        pytest.param("a: b\nhello\n", "2:1", "a colon is missing", "`key: value`", id="no colon"),
        pytest.param("a: [b,\nc: d\n", "3:1", "line 1, column 4", "write `]`", id="an open list"),
        pytest.param("a: {b: c\nd: e\n", "2:2", "line 1, column 4", "write `}`", id="open braces"),
        pytest.param("a: 1\nb: 'c\n", "2:4", "is not closed", "the same mark", id="an open quote"),
        pytest.param('a: "c\n', "1:4", "is not closed", "the same mark", id="an open double one"),
        pytest.param("a: @b\n", "1:4", "begin with `@`", "in quotes", id="an at sign"),
        pytest.param("a: %b\n", "1:4", "begin with `%`", "in quotes", id="a percent sign"),
        pytest.param("a: `b`\n", "1:4", "begin with a backtick", "in quotes", id="a backtick"),
        pytest.param("a: *.b.example\n", "1:4", "begins with `*`", "'*.customer", id="a wildcard"),
        pytest.param("a: [*.b.example]\n", "1:5", "begins with `*`", "'*.", id="one in a list"),
        pytest.param("a: &.b\n", "1:4", "begins with `&`", "in quotes", id="an ampersand"),
        pytest.param("a: !x!y b\n", "1:4", "begins with `!`", "in quotes", id="a tag of nobody's"),
        pytest.param('a: "\\d"\n', "1:5", "no such escape", "single quotes", id="a backslash"),
        pytest.param("a:\n  b: 1\n c: 2\n", "3:2", "does not fit", "spaces", id="indented between"),
        pytest.param("a:\n- b\n- c\nd\n", "4:1", "a colon is missing", "`key", id="after a list"),
        pytest.param(
            "a: 'b' c\n", "1:8", "follows the end of a value", "whole", id="after a quote"
        ),
        pytest.param(
            "a: [b]]\n", "1:7", "follows the end of a value", "whole", id="one bracket more"
        ),
        pytest.param(
            "a: - b\n", "1:4", "a list cannot begin", "[a, b]", id="a list beside its key"
        ),
        pytest.param("a: [b,,c]\n", "1:7", "a value is missing", "a comma", id="two commas"),
        pytest.param("%FOO\na: b\n", "1:1", "a directive", "remove", id="a directive"),
        pytest.param("  a: b\nc: d\n", "2:1", "does not belong", "first column", id="outdented"),
        pytest.param(b"a: 1\nb: x\xfcy\n", "2:5", "the byte 0xFC", "iconv", id="ISO 8859-1"),
        pytest.param("ä: ö\n".encode() + b"\x80\n", "2:1", "the byte 0x80", "iconv", id="no lead"),
        pytest.param(b"\xef\xbb\xbfa: \xe4\n", "1:4", "the byte 0xE4", "iconv", id="after a mark"),
        pytest.param("a: b\n".encode("utf-16"), "1:1", "UTF-16", "-f UTF-16", id="UTF-16"),
        pytest.param(
            "a: b\n".encode("utf-16-le"), "1:2", "NUL", "-f UTF-16", id="without its mark"
        ),
        pytest.param(MAIN + "---\na: b\n", "3:1", "a second YAML", "`---`", id="two documents"),
    ],
)
def test_a_text_that_is_no_yaml(text: str | bytes, place: str, reason: str, remedy: str) -> None:
    document = parse_document("m.yaml", text)
    mistake = document.mistakes[0]
    assert len(document.mistakes) == 1
    assert f"{mistake.where.line}:{mistake.where.column}" == place
    assert reason in mistake.reason
    assert remedy in mistake.remedy


@pytest.mark.parametrize("text", ["a: b\r\nc: d\r\n", "\ufeffa: b\n", "a: b\t# c\n", "a:\tb\n"])
def test_line_ends_a_mark_at_the_beginning_and_tabs_beside_a_value_are_yaml(text: str) -> None:
    assert not parse_document("m.yaml", text.encode()).mistakes


def test_a_merge_key_is_told_once_and_by_its_name() -> None:
    document = parse_document("m.yaml", "a: &x\n  b: c\nd:\n  <<: *x\n")
    told = [(str(each.where), each.reason) for each in document.mistakes]
    assert told == [
        ("m.yaml:1:4", "a value that begins with `&` is an anchor in YAML, and the model has none"),
        ("m.yaml:4:3", "the merge key `<<` is not allowed in the model"),
    ]


@pytest.mark.parametrize("secret", ["hunter2hunter2", "s3cr3t"])
@pytest.mark.parametrize("form", ["key: '{}\n", "key: {}\0\n", "{}\nkey: 1\n", "k: [{}\nb: c\n"])
def test_no_words_of_the_file_are_quoted(form: str, secret: str) -> None:
    mistake = only(form.format(secret))
    assert secret not in str(mistake)
