"""dns-persist-01: the record is written as the draft says, and read as strictly."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from proxygen.model import persist

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CA = ("ca.example", "other-name-of.ca.example")
ACCOUNT = "https://ca.example/acct/123?x=1"
BEFORE, AFTER = int(NOW.timestamp()) - 1, int(NOW.timestamp()) + 1
PLAIN = f"ca.example; accounturi={ACCOUNT}"


def test_the_record_stands_beside_the_name_and_a_wildcards_at_its_parent() -> None:
    assert persist.name("www.a.example") == "_validation-persist.www.a.example"
    assert persist.name("*.a.example") == "_validation-persist.a.example"


def test_a_record_that_was_made_is_accepted() -> None:
    narrow = persist.record("ca.example", ACCOUNT, wildcard=False)
    assert narrow == PLAIN
    assert persist.matches(narrow, CA, ACCOUNT, wildcard_needed=False, now=NOW)
    assert not persist.matches(narrow, CA, ACCOUNT, wildcard_needed=True, now=NOW)
    wide = persist.record("ca.example", ACCOUNT, wildcard=True)
    assert wide == f"{PLAIN}; policy=wildcard"
    for needed in (True, False):
        assert persist.matches(wide, CA, ACCOUNT, wildcard_needed=needed, now=NOW)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PLAIN.upper().replace(ACCOUNT.upper(), ACCOUNT), id="case of names and tags"),
        pytest.param(f"other-name-of.ca.example;accounturi={ACCOUNT}", id="another of its names"),
        pytest.param(f" ca.example. ;\taccounturi = {ACCOUNT} ", id="white space, a final dot"),
        pytest.param(f"{PLAIN}; color=blue; color=red", id="unknown parameters"),
        pytest.param(f"{PLAIN}; policy=narrow", id="an unknown policy"),
        pytest.param(f"{PLAIN}; persistUntil={AFTER}", id="a moment to come"),
    ],
)
def test_records_that_allow(text: str) -> None:
    assert persist.matches(text, CA, ACCOUNT, wildcard_needed=False, now=NOW)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("ca.example", id="no account"),
        pytest.param(f"evil.example; accounturi={ACCOUNT}", id="another authority"),
        pytest.param(f"; accounturi={ACCOUNT}", id="nobody"),
        pytest.param(f"ca.example; accounturi={ACCOUNT}4", id="another account"),
        pytest.param(f"ca.example; accounturi={ACCOUNT.replace('ca', 'CA')}", id="case of the URL"),
        pytest.param(f"{PLAIN}; accounturi={ACCOUNT}", id="an account twice"),
        pytest.param(f"{PLAIN};", id="an empty parameter"),
        pytest.param(f"{PLAIN}; policy", id="no value"),
        pytest.param(f"{PLAIN}; policy=wild card", id="white space in a value"),
        pytest.param(f"{PLAIN}; persistUntil={BEFORE}", id="a moment that is over"),
        pytest.param(f"{PLAIN}; persistUntil=soon", id="no moment"),
        pytest.param(f"{PLAIN}; persistUntil=-{AFTER}", id="no number of seconds"),
        pytest.param(f"{PLAIN}; persistUntil={'9' * 400}", id="seconds without end"),
        pytest.param(f"{PLAIN}; ä=b", id="a tag that is none"),
        pytest.param(f"{PLAIN}; x={'y' * 5000}", id="a record without end"),
    ],
)
def test_records_that_allow_nothing(text: str) -> None:
    assert not persist.matches(text, CA, ACCOUNT, wildcard_needed=False, now=NOW)


def test_the_policy_is_read_in_any_case() -> None:
    assert persist.matches(f"{PLAIN}; POLICY=WildCard", CA, ACCOUNT, wildcard_needed=True, now=NOW)
