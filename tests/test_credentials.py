"""What is a secret, or looks like one, and what does not."""

from __future__ import annotations

import base64
import logging
import sys
from collections.abc import Iterator

import pytest

from proxygen.credentials import KNOWN, conceal, concealed_words, is_pasted, may_be_secret
from proxygen.errors import Bug, Mistake, Origin, ServiceError, UsageError
from proxygen.failure import Scope, failure
from proxygen.host.logs import LogfmtFormatter

KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIcanary\n-----END EC PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"before {KEY} after", "before … after"),
        ("-----BEGIN PRIVATE KEY-----\nMC4CAQA", "…"),
        ("cannot reach https://user:s3cret@host/x", "cannot reach https://…@host/x"),
        ("https://tokenalone@host/", "https://…@host/"),
        ("https://user:with@sign@host/", "https://…@host/"),
        ("login as user:s3cret@mail.example.net", "login as …@mail.example.net"),
        ("root:$6$salt$hash/x.y:19000", "root:…:19000"),
        ("$2b$12$abcdefghijklmnopqrstuv", "…"),
        ("got ghp_abcdefghijklmnop", "got …"),
        ("AKIAIOSFODNN7EXAMPLE", "…"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.abc-def", "…"),
        ("mailto:hostmaster@example.net", "mailto:hostmaster@example.net"),
        ("at: /etc/x.yaml:3:4", "at: /etc/x.yaml:3:4"),
        ("acme.external_account.hmac_key: this is wrong", None),
        ("the secret env:NAME does not exist", None),
    ],
)
def test_what_has_the_shape_of_a_secret_is_left_out(said: str, shown: str | None) -> None:
    assert conceal(said) == (said if shown is None else shown)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Authorization: Bearer abcdef12", "Authorization: Bearer …"),
        ('{"password": "hunter2"}', '{"password": "…"}'),
        ("password=hunter2 user=x", "password=… user=x"),
        ("API_KEY: abc, next", "API_KEY: …, next"),
        ("X-Auth-Token: abc", "X-Auth-Token: …"),
        ("hmac_key: env:NAME", "hmac_key: env:NAME"),
        ("nginx: [emerg] unknown directive", "nginx: [emerg] unknown directive"),
        ('error: "certificate" is expired', 'error: "certificate" is expired'),
    ],
)
def test_what_others_call_a_secret_is_left_out_of_their_words(said: str, shown: str) -> None:
    assert concealed_words(said) == shown


@pytest.mark.parametrize(
    "value",
    [
        *("c2VjcmV0c2VjcmV0==", "Zm9vYmFyMTIz=", "deadbeefdeadbeef", "0123456789abcdef0123456789"),
        *("550e8400-e29b-41d4-a716-446655440000", "aB3dE6gH9jK2mN5pQ8", "x" * 1001),
        "lrYp3z7Qw9/Kd2xVb+81mNcTgHj4s0aP",
    ],
)
def test_a_value_like_a_key_is_not_shown(value: str) -> None:
    assert may_be_secret(value)


@pytest.mark.parametrize(
    "value",
    [
        *("mail.example.net", "autodiscover.very-long-name-2024-of-a-customer-berlin-1.example"),
        *("/etc/letsencrypt/live/customer01.example/fullchain.pem", "http://10.0.0.1:8080"),
        *("ecdsa-p256", "PROXYGEN_OVH_APPLICATION_SECRET_1", "*.wild.example", "2001:db8::1"),
        *("it@customer.example", "xn--bcher-kva.example", "domains.d/*.yaml", "20m"),
    ],
)
def test_usual_values_are_shown(value: str) -> None:
    assert not may_be_secret(value)
    assert not is_pasted(value) or "://" in value


@pytest.mark.parametrize(
    "text", ["a-" * 500_000, "a:" * 500_000, "eyJ" + "a" * 1_000_000, "-" * 9**6]
)
def test_a_megabyte_is_read_once(text: str) -> None:
    may_be_secret(text)  # the square of it would take hours


@pytest.fixture
def known() -> Iterator[str]:
    """Have a secret that was read."""
    former = KNOWN.forms
    KNOWN.add(b"hunter2 & Canary\n")
    yield "hunter2 & Canary"
    KNOWN.forms = former


def test_a_secret_that_was_read_is_in_no_error(known: str) -> None:
    spellings = (known, "hunter2%20%26%20Canary", base64.b64encode(known.encode()).decode())
    for spelling in spellings:
        error = UsageError(
            f"a {spelling}", where=f"b {spelling}", remedy=f"c {spelling}", words=f"d {spelling}"
        )
        refused = ServiceError(
            failure(
                "other-files",
                Scope.SERVICE,
                "nginx",
                words=f"f {spelling}",
                where=f"g {spelling}",
                fact=f"h {spelling}",
            )
        )
        bug = Bug("x", words=f"ValueError: {spelling!r}")
        mistake = Mistake(Origin("f", 1, 1), f"{spelling}", f"e {spelling}", f"f {spelling}")
        errors = f"{error} {error.as_json()} {error.args} {refused} {refused.as_json()} {refused!r}"
        said = f"{errors} {bug} {mistake} {mistake.as_json()}"
        assert spelling not in said
        assert "a …" in said


def test_a_secret_that_was_read_is_in_no_log_line(known: str) -> None:
    try:
        raise ValueError(known)
    except ValueError:
        record = logging.LogRecord("x", 40, "f", 1, "it was %s", (known,), sys.exc_info())
    line = LogfmtFormatter(journal=False).format(record)
    assert "Canary" not in line
    assert "ValueError" in line


def test_parts_of_a_key_file_are_known() -> None:
    former = KNOWN.forms
    try:
        KNOWN.add(b'key "ours" {\n algorithm hmac-sha256;\n secret "c2VjcmV0c2VjcmV0c2VjcmV0";\n};')
        assert conceal("BADKEY c2VjcmV0c2VjcmV0c2VjcmV0") == "BADKEY …"
        assert conceal("hmac-sha256 of ours") == "hmac-sha256 of ours"
    finally:
        KNOWN.forms = former
