"""CAA records judged: the examples of RFC 8659 and RFC 8657, and what is typed in between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxygen.names.caa import caa_decision, needed_record
from proxygen.names.causes import Cause, cause

CA1, CA2 = "ca1.example.net", "ca2.example.org"
ACCOUNT = "https://example.net/account/1234"


def allowed(
    *records: str,
    ca: str = CA1,
    account: str | None = ACCOUNT,
    challenge: str = "http-01",
    wildcard: bool = False,
) -> bool:
    """Return the verdict about one authority."""
    return caa_decision(records, (ca,), account, challenge, wildcard=wildcard).allowed


ONE, TWO = f'0 issue "{CA1}"', f'0 issue "{CA2}"'


@pytest.mark.parametrize(
    ("records", "ca1", "ca2"),
    [
        pytest.param((), True, True, id="none"),
        pytest.param((ONE,), True, False, id="4.2: one"),
        pytest.param((ONE, TWO), True, True, id="4.2: either"),
        pytest.param((f'0 issue "{CA1}; account=230123"',), True, False, id="4.2: a parameter"),
        pytest.param(('0 issue ";"',), False, False, id="4.2: nobody"),
        pytest.param(('0 issue "%%%%%"',), False, False, id="4.2: malformed is nobody"),
        pytest.param(('0 issue "%%%%%"', ONE), True, False, id="malformed beside one"),
        pytest.param(('0 issue ";"', ONE), True, False, id="nobody beside one"),
        pytest.param(('0 iodef "mailto:a@example.com"',), True, True, id="4.4: reports alone"),
        pytest.param((ONE, '128 tbs "Unknown"'), False, False, id="4.5: critical and unknown"),
        pytest.param((ONE, '0 tbs "Unknown"'), True, False, id="unknown, not critical"),
        pytest.param((ONE, '1 tbs "Unknown"'), False, False, id="the other end of the flags"),
        pytest.param((f'128 issue "{CA1}"',), True, False, id="critical and known"),
        pytest.param((ONE, '128 iodef "mailto:a@b.example"'), True, False, id="critical report"),
        pytest.param((ONE, '128 issuemail "x.example"'), True, False, id="critical for mail"),
        pytest.param((f'0 ISSUE "{CA1.upper()}"',), True, False, id="4: case does not matter"),
        pytest.param((f"0 issue {CA1}",), True, False, id="without quotes"),
        pytest.param((f'0 issue "{CA1[:-1]}"',), False, False, id="nearly"),
        pytest.param((f'0 issue "www.{CA1}"',), False, False, id="below"),
        pytest.param((f'0 issue "{CA1}.',), False, False, id="cut off"),
        pytest.param(("garbage",), False, False, id="unreadable"),
        pytest.param(('0 issuewild ";"',), True, True, id="4.3: about wildcards alone"),
    ],
)
def test_rfc_8659(records: tuple[str, ...], ca1: bool, ca2: bool) -> None:
    assert (allowed(*records, ca=CA1), allowed(*records, ca=CA2)) == (ca1, ca2)


@pytest.mark.parametrize(
    ("records", "wild", "plain"),
    [
        pytest.param((ONE, f'0 issuewild "{CA2}"'), {CA2}, {CA1}, id="wild: one each"),
        pytest.param((ONE,), {CA1}, {CA1}, id="wild2: issue serves for both"),
        pytest.param((f'0 issuewild "{CA2}"', '0 issue ";"'), {CA2}, set(), id="wild3"),
        pytest.param(('0 issuewild ";"', ONE), set(), {CA1}, id="no wildcards"),
        pytest.param((f'0 issuewild "{CA1}"',), {CA1}, {CA1, CA2}, id="wildcards alone"),
    ],
)
def test_issuewild_wins_for_wildcards_and_is_ignored_for_others(
    records: tuple[str, ...], wild: set[str], plain: set[str]
) -> None:
    cas = (CA1, CA2)
    assert {each for each in cas if allowed(*records, ca=each, wildcard=True)} == wild
    assert {each for each in cas if allowed(*records, ca=each)} == plain


@pytest.mark.parametrize(
    ("value", "right"),
    [
        (CA1, True),
        (f" \t{CA1}\t ", True),
        (f"{CA1};", True),
        (f"{CA1} ; ", True),
        (f"{CA1}; policy=ev", True),
        (f"{CA1} ;policy = ev ; a=b", True),
        (f"{CA1}; a=", True),
        (f"{CA1}; a=b;", False),
        (f"{CA1}; ; a=b", False),
        (f"{CA1}; policy", False),
        (f"{CA1}; =ev", False),
        (f"{CA1}; policy=e v", False),
        (f"{CA1}; -a=b", False),
        (f"{CA1} {CA1}", False),
        (f"{CA1}.", False),
        (f"-{CA1}", False),
        (f".{CA1}", False),
        (f"{CA1}\n", False),
        (f"{CA1}; a=b\n", False),
        (f"{CA1}; a=ü", False),
        ("", False),
    ],
)
def test_the_value_is_read_as_section_4_2_says(value: str, right: bool) -> None:
    escaped = "".join(f"\\{ord(each):03}" if each in "\n\tü" else each for each in value)
    assert allowed(f'0 issue "{escaped}"') is right


def account(number: int) -> str:
    """Return the URL of an account."""
    return f"https://example.net/account/{number}"


@pytest.mark.parametrize(
    ("records", "mine", "right"),
    [
        pytest.param(("accounturi={0}1234",), 1234, True, id="ours"),
        pytest.param(("accounturi={0}1234",), 12345, False, id="another"),
        pytest.param(("accounturi={0}1234",), 123, False, id="the beginning of another"),
        pytest.param(("accounturi={0}1234", "accounturi={0}2345"), 2345, True, id="one of two"),
        pytest.param(("accounturi={0}1234; accounturi={0}1234",), 1234, False, id="twice"),
        pytest.param(("AccountURI={0}1234",), 2345, False, id="case does not matter"),
        pytest.param(("accounturi={0}1234",), None, True, id="no account yet"),
        pytest.param(
            ("accounturi={0}1; accounturi={0}2",), None, False, id="twice, whoever we are"
        ),
    ],
)
def test_rfc_8657_accounts(records: tuple[str, ...], mine: int | None, right: bool) -> None:
    texts = (f'0 issue "{CA1}; {each.format(account(0)[:-1])}"' for each in records)
    assert allowed(*texts, account=account(mine) if mine else None) is right


@pytest.mark.parametrize(
    ("records", "http", "dns"),
    [
        pytest.param(("validationmethods=dns-01",), False, True, id="one"),
        pytest.param(("validationmethods=dns-01,http-01",), True, True, id="a list"),
        pytest.param(("validationmethods=dns-01", "validationmethods=http-01"), True, True,
                     id="two records"),
        pytest.param(("validationmethods=dns-01; validationmethods=http-01",), False, False,
                     id="twice"),
        pytest.param(("validationmethods=",), False, False, id="none"),
        pytest.param(("validationmethods=http-01,",), False, False, id="malformed"),
        pytest.param(("validationmethods=x-http-01,dns-01x",), False, False, id="nearly"),
        pytest.param(("validationmethods=ca-foo",), False, False, id="the authority's own"),
        pytest.param((f"accounturi={ACCOUNT}; validationmethods=dns-01",), False, True, id="both"),
        pytest.param((f"accounturi={ACCOUNT}5; validationmethods=dns-01",), False, False,
                     id="both, another account"),
    ],
)  # fmt: skip
def test_rfc_8657_methods(records: tuple[str, ...], http: bool, dns: bool) -> None:
    texts = tuple(f'0 issue "{CA1}; {each}"' for each in records)
    assert allowed(*texts, challenge="http-01") is http
    assert allowed(*texts, challenge="dns-01") is dns


def test_any_of_the_names_of_an_authority_serves() -> None:
    assert caa_decision((TWO,), (CA1, CA2.upper()), None, "http-01", wildcard=False).allowed
    assert not caa_decision((TWO,), (CA1,), None, "http-01", wildcard=False).allowed


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (TWO, cause("not-among", who=CA1)),
        ('128 tbs "x"', cause("critical", tag="tbs")),
        ("no record", cause("unreadable")),
        ('0 issue "%"', cause("malformed", tag="issue")),
        (f'0 issue "{CA1}; validationmethods=dns-01"', cause("method", challenge="http-01")),
        (f'0 issue "{CA1}; validationmethods=_"', cause("methods")),
        (f'0 issue "{CA1}; accounturi=x"', cause("account", account=ACCOUNT)),
        (f'0 issue "{CA1}; accounturi=x; accounturi=y"', cause("accounts")),
    ],
)
def test_a_verdict_tells_why(record: str, why: Cause) -> None:
    assert caa_decision((TWO, record), (CA1,), ACCOUNT, "http-01", wildcard=False).cause == why


@given(st.lists(st.text(max_size=80) | st.text(alphabet='01 issue"wld;=.\\abc-', max_size=60)))
def test_anything_is_judged_and_what_is_strange_allows_nobody(records: list[str]) -> None:
    assert isinstance(allowed(*records), bool)
    assert not allowed(*records, '0 issue ";"', ca="not.in.any.record")


@given(
    records=st.permutations((ONE, TWO, '0 issue "%"', '0 iodef "x"', '0 issuewild ";"')),
    wildcard=st.booleans(),
)
def test_the_order_of_records_does_not_matter(records: list[str], wildcard: bool) -> None:
    assert allowed(*records, wildcard=wildcard) is not wildcard


@given(wildcard=st.booleans())
def test_the_record_that_is_told_to_be_needed_allows_it(wildcard: bool) -> None:
    record = needed_record((CA1,), wildcard=wildcard)
    assert allowed('0 issuewild ";"', '0 issue ";"', record, wildcard=wildcard)


def test_a_long_value_takes_no_time_to_refuse() -> None:
    assert not allowed(f'0 issue "{"a-" * 30_000}"')
    assert not allowed(f'0 issue "{CA1};{"a=b ;" * 12_000}"')
