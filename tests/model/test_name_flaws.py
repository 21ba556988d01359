"""What keeps a text from being a host name is told by the character or label that is wrong."""

from __future__ import annotations

import pytest

from proxygen.model.hosts import BadName, extra_name, host_name

FORBIDDEN = "may not stand in a host name"


@pytest.mark.parametrize(
    ("typed", "why", "remedy"),
    [
        ("my_host.example", f"an underscore {FORBIDDEN}", "a hyphen"),
        ("my_host", f"an underscore {FORBIDDEN}", "a hyphen"),
        ("a b.example", f"a space {FORBIDDEN}", "remove the space"),
        ("a.example, b.example", f"a comma {FORBIDDEN}", "as a list"),
        ("a.example/x", f"a slash {FORBIDDEN}", "without a path"),
        ("a.example:443", f"a colon {FORBIDDEN}", "without a port"),
        ("a!b.example", f"`!` {FORBIDDEN}", "letters, digits and hyphens"),
        ("a\tb.example", f"a tab {FORBIDDEN}", "letters"),
        ("a\u00a0b.example", "the character (U+00A0, no-break space)", "letters"),
        ("a\x00.example", "(U+0000, control character)", "letters"),
        ("a\u202eb.example", "the character (U+202E, right-to-left override)", "letters"),
        ("\U0001f600.example", "`\U0001f600` (U+1F600, grinning face)", "letters"),
        ("a\u2044b.example", "(U+2044, fraction slash)", "letters"),
        (".a.example", "it begins with a dot", "remove one dot"),
        ("a..example", "nothing stands between two of its dots", "remove one dot"),
        ("-a.example", "may not begin or end with a hyphen", "remove the hyphen"),
        ("a-.example", "may not begin or end with a hyphen", "remove the hyphen"),
        ("ab--c.example", "may have `--` there", "remove one hyphen"),
        ("xn--a.example", "does not stand for any letters", "in its own letters"),
        ("\u0301a.example", "may not begin with a combining mark", "letters"),
        ("\u05d01a.example", "both writing directions", "letters"),
        ("a\u200db.example", "only other scripts use it", "letters"),
        ("ab-" * 21 + "c.example", "longer than 63 octets", "shorten it"),
        ("\u00e4" * 63 + ".example", "longer than 63 octets", "shorten it"),
        ("a.1x", "its last label does not begin with a letter", "letters"),
        ("1.2.3.400", "neither a host name nor an IP address", "letters"),
        ("mail", "has no domain", "host.domain"),
        ("", "the host name is empty", "host.domain"),
    ],
)
def test_what_is_wrong_with_a_name(typed: str, why: str, remedy: str) -> None:
    with pytest.raises(BadName) as caught:
        host_name(typed)
    assert why in caught.value.reason
    assert remedy in caught.value.remedy
    assert caught.value.reason.isprintable()
    assert "odepoint" not in caught.value.reason


def test_a_wildcard_has_the_same_rules_after_its_first_label() -> None:
    with pytest.raises(BadName, match="an underscore may not stand in a host name"):
        extra_name("*.my_host.example")


def test_a_name_that_may_be_a_secret_is_told_without_its_characters() -> None:
    with pytest.raises(BadName) as caught:
        host_name("ghp_0123456789abcdefghijABCDEFGHIJ_x.example")
    assert caught.value.reason == "what stands here is not a host name"
