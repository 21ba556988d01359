"""Host names, URLs and mail addresses: many spellings, one form; nothing else passes."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxygen.model.certificate import san_matches
from proxygen.model.hosts import (
    BadName,
    example_of,
    extra_name,
    host_name,
    is_address,
    is_wildcard,
    mail_address,
    readable_name,
    url_host,
)
from proxygen.model.layout import certificate_file, file_stem
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
    with pytest.raises(BadName) as caught:
        host_name(part * 500_000)  # the square of it would take hours
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
    assert file_stem(name) == name
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
        ("http://a.example", "begins with https://, not with `http://`"),
        ("ftp://a.example", "begins with https://, not with `ftp://`"),
        ("javascript://a.example", "begins with https://, not with `javascript://`"),
        ("https://a.example:443", "has a port after the host name"),
        ("https://a.example/x", "has a path after the host name"),
        ("https://a.example//", "has a path after the host name"),
        ("https://u:p@a.example", "has a user before the host name"),
        ("https://u@a.example", "has a user before the host name"),
        ("https://a.example?q", "has a query after the host name"),
        ("https://a.example#f", "has a fragment after the host name"),
        ("https://a.example\nx", "has white space"),
        ("https://a_b.example", "an underscore may not stand in a host name"),
        ("https://", "the host name is empty"),
        ("https://https://a.example", "has a second scheme"),
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


# What a certificate names besides hosts.


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("a.example", "a.example"),
        ("*.a.example", "*.a.example"),
        ("*.BÜCHER.example.", "*.xn--bcher-kva.example"),
        ("*.co.uk", "*.co.uk"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_an_extra_name_has_one_form(typed: str, name: str) -> None:
    assert extra_name(typed) == name
    assert extra_name(name) == name
    assert is_wildcard(name) is typed.startswith("*")
    assert is_address(name) is (":" in name or name[0].isdigit())


@pytest.mark.parametrize(
    "typed",
    [
        *("*", "*.", "*.a", "*.*.example", "a.*.example", "a*.example", "*a.example", ".*.example"),
        *("*.192.0.2.1", "*.[::1]", "*.::1", "*. a.example", "*.a.example;", "*.a..example"),
        *("[192.0.2.1]", "[::1", "::1]", "[[::1]]", "fe80::1%eth0", "::1%", "192.0.2.1/32"),
        *("192.0.2.1:443", "[::1]:443", "1.2.3.256", "::g", ":", "::1\n", "٣.1.1.1", "0x7f.1", "1"),
    ],
)
def test_any_other_extra_name_is_refused_with_a_remedy(typed: str) -> None:
    with pytest.raises(BadName) as caught:
        extra_name(typed)
    assert caught.value.remedy
    assert caught.value.reason.isprintable()


def test_a_wildcard_has_room_for_a_label() -> None:
    longest = ".".join(["a" * 49] * 5) + ".a"
    assert len(f"*.{longest}") == 253
    assert extra_name(f"*.{longest}") == f"*.{longest}"
    with pytest.raises(BadName, match="the name has 254 octets; DNS allows 253"):
        extra_name(f"*.{longest}b")


OCTET = st.integers(0, 300).map(str)
NAMES = st.one_of(
    st.text(),
    st.lists(LABEL, min_size=2, max_size=5).map(".".join),
    st.lists(LABEL, min_size=2, max_size=5).map(lambda labels: "*." + ".".join(labels)),
    st.lists(OCTET, min_size=4, max_size=4).map(".".join),
    st.ip_addresses(v=6).flatmap(
        lambda address: st.sampled_from([str(address), address.exploded, f"[{address}]"])
    ),
    st.text("0123456789abcdefABCDEF:.[]%", max_size=30),
)


@given(NAMES)
def test_an_extra_name_is_what_it_says_and_nothing_else(text: str) -> None:
    try:
        name = extra_name(text)
    except BadName:
        return
    assert extra_name(name) == name
    assert quote(name) == name
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.:*")
    assert len(name) <= 253
    if is_address(name):
        assert str(ipaddress.ip_address(name)) == name
        assert not is_wildcard(name)
    elif is_wildcard(name):
        assert host_name(name[2:]) == name[2:]
        assert san_matches(name, example_of(name))
    else:
        assert host_name(name) == name


@given(st.text(max_size=40))
def test_what_cannot_be_read_as_an_address_is_none(text: str) -> None:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        assert not is_address(text)
    else:
        assert is_address(text)


@pytest.mark.parametrize("length", [3, 10, 235, 236, 237, 238, 240, 250, 251])
def test_the_example_of_a_wildcard_is_a_host_that_it_stands_for(length: int) -> None:
    parent = ("a" * 49 + ".") * 6
    parent = parent[-length - 1 :].strip(".")
    asked = example_of(f"*.{parent}")
    assert san_matches(f"*.{parent}", asked)
    assert len(asked) <= 253
    assert asked.partition(".")[0].strip("-") == asked.partition(".")[0] != ""


# How names are shown.


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.example", "a.example"),
        ("*.a.example", "*.a.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("global", "global"),
        ("", ""),
        ("xn--bcher-kva.example", "bücher.example (xn--bcher-kva.example)"),
        ("*.xn--bcher-kva.example", "*.bücher.example (*.xn--bcher-kva.example)"),
        ("www.xn--p1ai", "www.рф (www.xn--p1ai)"),
        (
            "xn--80ak6aa92e.com",  # all of it Cyrillic
            "\u0430\u0440\u0440\u04cf\u0435.com (xn--80ak6aa92e.com)",
        ),
        ("xn--a.example", "xn--a.example"),
        ("xn--" + "9" * 59 + ".example", "xn--" + "9" * 59 + ".example"),
    ],
)
def test_a_name_is_shown_in_both_spellings(name: str, shown: str) -> None:
    assert readable_name(name) == shown


@given(st.lists(LABEL, min_size=2, max_size=5).map(".".join))
def test_whatever_is_shown_ends_with_what_the_dns_has(text: str) -> None:
    try:
        name = host_name(text)
    except BadName:
        return
    shown = readable_name(name)
    assert shown == name or shown.endswith(f" ({name})")
    assert shown.isprintable()
    assert host_name(shown.partition(" (")[0]) == name
