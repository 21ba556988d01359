"""nginx's configuration, as words and directives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxygen.services.nginx_lexer import (
    DEEPEST,
    Directive,
    directives_below,
    include_places,
    parse_configuration,
    write_word,
)
from proxygen.services.service_includes import spelled_out

ODD = st.text("a1 \\\"'{};#$\n\t\r.*[~é\0", max_size=40)
"""What somebody may write: all characters that mean something to nginx."""


def told(above: Directive) -> list[object]:
    """Return what stands in a block: words, and a list of what stands in each block."""
    found: list[object] = []
    for each in above.block:
        found.append((each.name, *each.arguments))
        found += [told(each)] if each.block else []
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b c;d;", [("a", "b", "c"), ("d",)]),
        ("a{b;c{d e;}}f;", [("a",), [("b",), ("c",), [("d", "e")]], ("f",)]),
        ("a # b;\nc;# d", [("a", "c")]),
        ("a b#c d}e;", [("a", "b#c", "d}e")]),
        ("a b\"c d'e;", [("a", 'b"c', "d'e")]),
        ("a \"b ;{}#'\" 'c\";';", [("a", "b ;{}#'", 'c";')]),
        ("a '' \"\";", [("a", "", "")]),
        (r"""a "\"b\\" 'it\'s' c\;d \{2\};""", [("a", '"b\\', "it's", "c\\;d", "\\{2\\}")]),
        (r"a ~^\d{2;}x$;", [("a", r"~^\d"), [("2",)], ("x$",)]),
        (r'a "\t\n\r\d" \tb;', [("a", "\t\n\r\\d", "\tb")]),
        ("a ${b}c $d {e;}f;", [("a", "${b}c", "$d"), [("e",)], ("f",)]),
        ("a $d{e;}f;", [("a", "$d"), [("e",)], ("f",)]),
        ("a 'b\nc'\r\n\td\n;", [("a", "b\nc", "d")]),
        ("a\vb \u00a0;", [("a\vb", "\u00a0")]),
    ],
)
def test_words_are_what_they_are_to_nginx(text: str, expected: list[object]) -> None:
    assert told(parse_configuration(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a", []),
        ("}a;", [("a",)]),
        (";;{b;}a;", [("a",)]),
        ("a {b", [("a",)]),
        ('a "b;', []),
        ("a b\\", []),
        ("a 'b'c;", [("a", "b", "c")]),
        ("a b} c;", [("a", "b}", "c")]),
        ("a b }c;", [("c",)]),
    ],
)
def test_what_nginx_refuses_is_passed_over(text: str, expected: list[object]) -> None:
    assert told(parse_configuration(text)) == expected


@pytest.mark.parametrize(
    "lua",
    [
        "",
        'return { a = \'}\', b = "}\\"}" }',
        "-- it's }\nx = 1",
        "--[[ } ' ]] y()",
        "--[==[ ]] } ]==] y()",
        "x = [[ } ]] .. [=[ ]] } ]=]",
        "if a[b[1]] - 2 then z{} end",
        "include /x.conf;",
    ],
)
def test_lua_is_no_configuration(lua: str) -> None:
    text = f"location / {{ content_by_lua_block {{ {lua}\n}} a b; }}"
    text += f"\nset_by_lua_block $x {{{lua}\n}}c;"
    assert told(parse_configuration(text)) == [
        ("location", "/"),
        [("content_by_lua_block",), ("a", "b")],
        ("set_by_lua_block", "$x"),
        ("c",),
    ]
    assert not list(include_places(text))


def test_lua_that_does_not_end_reaches_to_the_end() -> None:
    for lua in ("{", "[[ }", "--[[ }", "--[=[ ]] }", "-- }"):
        assert told(parse_configuration(f"a_by_lua_block {{ {lua} b;")) == [("a_by_lua_block",)]


def test_a_directive_knows_its_place() -> None:
    text = "# a\nevents {}\n\nhttp { # b\n  server 'x\ny'\n z; listen 80;\n}\n"
    found = {
        each.name: each
        for each in directives_below(parse_configuration(text, "/etc/nginx/nginx.conf"))
    }
    assert found["listen"].where == "/etc/nginx/nginx.conf:7"
    assert (found["events"].line, found["http"].line, found["server"].line) == (2, 4, 5)
    server = found["server"]
    assert (server.last_line, found["listen"].last_line) == (7, 7)
    assert text[server.start : server.end] == "server 'x\ny'\n z;"
    quoted = parse_configuration('\n"a" b;').block[0]
    assert (quoted.line, quoted.start, quoted.end) == (2, 1, 7)


def test_what_a_path_of_names_leads_to() -> None:
    root = parse_configuration("http { server { a 1; a; } server { a 2; } } server { a 3; } a 4;")
    assert [each.arguments for each in root.below("http", "server", "a")] == [("1",), (), ("2",)]
    assert (root.first("a"), root.first("b"), root.below("b", "a")) == ("4", "", [])


@given(ODD)
def test_whatever_is_written_is_read(text: str) -> None:
    for each in directives_below(parse_configuration(text)):
        assert text[each.end - 1] in ";{"
        assert each.start < each.end
    assert spelled_out(text, include_places, lambda words, _: words) == text


@given(st.lists(ODD, min_size=1, max_size=4))
def test_a_word_that_is_written_is_read_as_it_was(words: list[str]) -> None:
    read = parse_configuration(" ".join(map(write_word, words)) + ";")
    assert told(read) == [tuple(words)]


def test_what_is_deep_or_long_costs_no_more_than_its_length() -> None:
    deep = parse_configuration("a {" * 50_000)
    assert sum(1 for _ in directives_below(deep)) == DEEPEST
    for text in ('"' * 99_999, "'\\" * 99_999, "${" * 99_999, "[[" * 99_999, "# \n" * 99_999):
        assert not list(directives_below(parse_configuration(text)))
        assert len(list(directives_below(parse_configuration(f"a_by_lua_block {{ {text}")))) == 1


def test_includes_stand_where_they_are() -> None:
    text = "include a;\n# include b;\nx 'include c;';include  \"d e\" ;noinclude f;x{include\ng;}"
    assert [each.mask for each in include_places(text)] == ["a", "d e", "g"]
    changed = spelled_out(text, include_places, lambda words, mask: f"<{mask}:{len(words)}>")
    assert changed == "<a:10>\n# include b;\nx 'include c;';<d e:16>noinclude f;x{<g:10>}"
