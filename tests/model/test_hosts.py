"""Host names, URLs and mail addresses: many spellings, one form; nothing else passes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxygen.model.hosts import BadName, host_name, mail_address, url_host
from proxygen.model.layout import certificate_file, stem
from proxygen.plan.render import quote


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("a.example", "a.example"),
        ("A.Example.", "a.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.EXAMPLE", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),  # u and a combining diaeresis
        ("faß.example", "xn--fa-hia.example"),  # IDNA 2003 made fass of it
        ("a--b.example", "a--b.example"),
        ("1.2.3.4a.example", "1.2.3.4a.example"),
        ("a.xn--p1ai", "a.xn--p1ai"),
        ("a.рф", "a.xn--p1ai"),
    ],
)
def test_every_spelling_has_one_form(typed: str, name: str) -> None:
    assert host_name(typed) == name
    assert host_name(name) == name


@pytest.mark.parametrize(
    "typed",
    [
        *("", ".", "..", "a", "localhost", "global", ".a.example", "a..example", "a.example.."),
        *("127.0.0.1", "[::1]", "::1", "fe80::1%eth0", "1.2.3", "1.2.3.4.5", "0x7f.1"),
        *("*.a.example", "a.*.example", "_dmarc.a.example", "-a.example", "a-.example"),
        *("a b.example", " a.example", "a.example ", "a.example\n", "a\x00.example", "a\t.example"),
        *("a/b.example", "../../etc/passwd", "a.example/..", "a.example:443", "u@a.example"),
        *(
            "a;b.example",
            "a{b.example",
            "a$b.example",
            "a'b.example",
            'a"b.example',
            "a\\b.example",
        ),
        *("xn--a.example", "xn--.example", "ab--cd.example", "a\u202e.example", "☃.example"),
        *("a\u200d.example", "\ud800.example", "a.1", "a.example\x1b[2J"),
        *("a" * 64 + ".example", ".".join(["a" * 60] * 5), "ä" * 63 + ".example"),
    ],
)
def test_anything_else_is_refused_with_a_remedy(typed: str) -> None:
    with pytest.raises(BadName) as caught:
        host_name(typed)
    assert caught.value.remedy
    assert caught.value.reason.isprintable()


def test_the_longest_name_has_253_octets() -> None:
    longest = ".".join(["a" * 49] * 5) + ".ab"
    assert len(longest) == 252
    assert host_name(f"a{longest[1:]}") == longest
    assert len(host_name(f"{longest}c")) == 253
    with pytest.raises(BadName, match="DNS allows 253"):
        host_name(f"{longest}cd")


@pytest.mark.parametrize("part", ["a.", "ä.", "1.", "a-", "xn--", "\u0130", "[", "*."])
def test_a_megabyte_is_refused_at_once(part: str) -> None:
    start = time.monotonic()
    with pytest.raises(BadName) as caught:
        host_name(part * 500_000)
    assert time.monotonic() - start < 2
    assert len(caught.value.reason) < 1000


@given(st.text())
def test_any_text_is_a_name_or_refused(text: str) -> None:
    accepted(text)


LABEL = st.text("abAB019-_.ßäйü。xn\u0130\u200d", max_size=12)


@given(st.lists(LABEL, min_size=2, max_size=5).map(".".join))
def test_what_is_accepted_is_a_safe_file_name_and_needs_no_quotes(text: str) -> None:
    accepted(text)


def accepted(text: str) -> None:
    """See that *text* is refused, or that its name can do no harm anywhere."""
    try:
        name = host_name(text)
    except BadName:
        return
    assert host_name(name) == name
    assert quote(name) == name
    assert stem(name) == name
    assert "/" not in certificate_file(name, "0" * 64)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")


@pytest.mark.parametrize(
    ("typed", "host"),
    [
        ("https://a.example", "a.example"),
        ("HTTPS://A.example/", "a.example"),
        ("a.example", "a.example"),
        ("https://bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_a_url_is_https_and_a_host(typed: str, host: str) -> None:
    assert url_host(typed) == host


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("http://a.example", "`http://` is not served"),
        ("ftp://a.example", "`ftp://` is not served"),
        ("javascript://a.example", "`javascript://` is not served"),
        ("https://a.example:443", "more than a host name (from ':' on)"),
        ("https://a.example/x", "more than a host name (from '/' on)"),
        ("https://a.example//", "more than a host name (from '/' on)"),
        ("https://u:p@a.example", "more than a host name (from ':' on)"),
        ("https://u@a.example", "more than a host name (from '@' on)"),
        ("https://a.example?q", "more than a host name (from '?' on)"),
        ("https://a.example#f", "more than a host name (from '#' on)"),
        ("https://a.example\nx", "more than a host name (from '\\n' on)"),
        ("https://", "is not a full host name"),
        ("https://https://a.example", "more than a host name"),
    ],
)
def test_a_url_with_more_is_refused(typed: str, reason: str) -> None:
    with pytest.raises(BadName) as caught:
        url_host(typed)
    assert reason in caught.value.reason
    assert caught.value.remedy


def test_a_mail_address_has_its_domain_in_a_labels() -> None:
    assert mail_address("Host.Master+x@BÜCHER.example") == "Host.Master+x@xn--bcher-kva.example"


@pytest.mark.parametrize(
    "typed",
    [
        *("", "a", "@a.example", "a@", "a@b", "a b@a.example", "a@a.example\r\nBcc: b@b.example"),
        *("a\n@a.example", ".a@a.example", "a..b@a.example", "a.@a.example", '"a b"@a.example'),
        *("<a@a.example>", "a@b@a.example", "ä@a.example", "a@127.0.0.1", "a@[127.0.0.1]"),
        *("a" * 65 + "@a.example", "a,b@a.example", "a;b@a.example", "mailto:a@a.example"),
        *("=?utf-8?q?x?=@a.example", "a=?b@a.example"),
    ],
)
def test_what_is_no_mail_address_is_refused(typed: str) -> None:
    with pytest.raises(BadName):
        mail_address(typed)
