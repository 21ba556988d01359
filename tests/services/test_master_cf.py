"""master.cf as postfix reads it: options in all their forms, with their lines."""

from __future__ import annotations

import pytest

from proxygen.services.master_cf import MasterOption, options_in

CHAIN = "smtpd_tls_chain_files"


@pytest.mark.parametrize(
    ("arguments", "line", "written"),
    [
        pytest.param(f" -o {CHAIN}=/x", 1, f"-o {CHAIN}=/x", id="on the line of the service"),
        pytest.param(f"\n  -o {CHAIN}=/x", 2, f"-o {CHAIN}=/x", id="on a line of its own"),
        pytest.param(f"\n\t-o\n\t{CHAIN}=/x", 3, f"-o {CHAIN}=/x", id="apart from its -o"),
        pytest.param(f"\n  -o{CHAIN}=/x", 2, f"-o{CHAIN}=/x", id="joined"),
        pytest.param(f"\n  -vo {CHAIN}=/x", 2, f"-vo {CHAIN}=/x", id="behind another option"),
        pytest.param(f"\n  -v -vo{CHAIN}=/x", 2, f"-vo{CHAIN}=/x", id="joined behind another"),
        pytest.param(
            f"\n  -o {{ {CHAIN} = /x }}", 2, f"-o {{ {CHAIN} = /x }}", id="with braces and spaces"
        ),
        pytest.param(f"\n  -o {{\n  {CHAIN}\n  = /x}}", 2, None, id="braces over several lines"),
        pytest.param(
            f"\n# a comment\n  # another\n\n  -o a=b -o {CHAIN}=/x -o c=d",
            5,
            f"-o {CHAIN}=/x",
            id="several on a line, after comments",
        ),
        pytest.param(f"\n  -o {CHAIN}=/y\n  -o {CHAIN}=/x", 3, f"-o {CHAIN}=/x", id="twice"),
        pytest.param(f"\n  -s 5 -o {CHAIN}=/x", 2, f"-o {CHAIN}=/x", id="after one with a value"),
    ],
)
def test_an_option_is_found_in_whatever_form(arguments: str, line: int, written: str) -> None:
    text = f"smtps inet n - y - - smtpd{arguments}\nsmtp unix - - y - - smtp\n  -o {CHAIN}=/z\n"
    *_, found, other = (each for each in options_in(text) if each.name == CHAIN)
    assert (found.service, found.kind, found.value, found.line) == ("smtps", "inet", "/x", line)
    assert written is None or found.written == written
    assert (other.service, other.kind, other.value) == ("smtp", "unix", "/z")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(" -o", id="nothing follows"),
        pytest.param(" -o nothing", id="no equals sign"),
        pytest.param(" -- -o a=b", id="after the end of options"),
        pytest.param(" x -o a=b", id="after an argument"),
        pytest.param(" -so a=b", id="the value of another option"),
        pytest.param("\n# -o a=b", id="in a comment"),
    ],
)
def test_what_is_no_option_is_none(arguments: str) -> None:
    assert list(options_in(f"smtp inet n - y - - smtpd{arguments}\n")) == []


def test_a_value_keeps_its_spaces_and_references() -> None:
    text = "smtp inet n - y - - smtpd -o { a = $b, ${c?{d}} $(e) } -o f=g=h\n"
    assert list(options_in(text)) == [
        MasterOption("smtp", "inet", "a", "$b, ${c?{d}} $(e)", 1, "-o { a = $b, ${c?{d}} $(e) }"),
        MasterOption("smtp", "inet", "f", "g=h", 1, "-o f=g=h"),
    ]


@pytest.mark.parametrize(
    "hostile", ["", "{" * 9000, "}" * 9000, "\x00 -o\n" * 99, "a " * 9 + "-o {", " \n -o a=b"]
)
def test_any_text_can_be_read(hostile: str) -> None:
    assert all(each.line > 0 for each in options_in(hostile))
