"""Whatever the grammar refuses is told in our own words; pydantic's reach nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from proxygen import registry
from proxygen.model.mistakes import EXPECTED, LIMITS
from proxygen.model.schema import Application, Included, main_type, rest_type
from proxygen.model.yaml import parse_document
from tests.models import SMALLEST, mistakes, told

NAMES = ", ".join(f"n{number}.example" for number in range(100))
SOLVERS = ", ".join(f"s{number}: {{exec: {{program: /p}}}}" for number in range(65))
APP = SMALLEST + "backends: {app: {upstreams: {web: ['http://a']}, %s}}"
BACKEND = SMALLEST + "backends: {app: {%s}}"
NGINX = SMALLEST + "services: {nginx: {%s}}"
ACME = SMALLEST + "acme: {%s}"
GLOBAL = "global: {url: mail.example.net, certificate: selfsigned, %s}"

MAPPING = "write `key: value` lines below the key, or {}"
LIST = "write [a, b], or one `- item` a line"
SOCKET = "write PORT, IPV4:PORT or '[IPV6]:PORT', with a port from 1 to 65535"
NETWORK = (
    "write ADDRESS or ADDRESS/BITS with the first address of the network, such as 192.0.2.0/24"
)
ABSOLUTE = "begin it with `/`, such as /usr/sbin/nginx"
TIME = "write seconds, or a number with s, m, h or d, such as 20m"
SIZE = "write bytes, or a number with k, m or g, such as 50m"

KINDS: list[tuple[str, str, str, str]] = [
    ("bool_type", ACME % "terms_of_service_agreed: 1", "1 is not a boolean", "write true or false"),
    (
        "string_type",
        SMALLEST + "contact: 1",
        "1 is not a string",
        "put it in quotes if it is a number, true or false",
    ),
    ("int_type", NGINX % "hsts: x", "a string is not a whole number", "write a whole number"),
    ("int_type", NGINX % "hsts: true", "true is not a whole number", "write a whole number"),
    ("list_type", GLOBAL % "extra_names: a.example", "a string is not a list", LIST),
    ("tuple_type", NGINX % "listen: {http: 80}", "a number is not a list", LIST),
    ("tuple_type", NGINX % "listen: {http: {a: b}}", "a mapping is not a list", LIST),
    ("dict_type", SMALLEST + "backends: 1", "a number is not a mapping", MAPPING),
    ("dict_type", SMALLEST + "backends:", "an empty value is not a mapping", MAPPING),
    ("model_type", SMALLEST + "acme: x", "a string is not a mapping", MAPPING),
    ("missing", BACKEND % "", "`upstreams` is missing", "add `upstreams:` here"),
    ("extra_forbidden", SMALLEST + "acmee: {}", "unknown field `acmee`", "did you mean `acme`?"),
    (
        "literal_error",
        ACME % "challenge: dns-1",
        "'dns-1' is not allowed here",
        "write 'http-01', 'dns-01' or 'dns-persist-01'",
    ),
    (
        "too_short",
        BACKEND % "upstreams: {}",
        "an empty mapping has too few items",
        "write at least 1 item",
    ),
    (
        "too_short",
        BACKEND % "upstreams: {web: []}",
        "an empty list has too few items",
        "write at least 1 item",
    ),
    (
        "too_short",
        NGINX % "listen: {http: []}",
        "an empty list has too few items",
        "write at least 1 item",
    ),
    (
        "too_short",
        NGINX % "proxy_protocol: {from: []}",
        "an empty list has too few items",
        "write at least 1 item",
    ),
    (
        "too_long",
        GLOBAL % f"extra_names: [{NAMES}]",
        "a list has too many items",
        "write at most 99 items",
    ),
    (
        "too_long",
        SMALLEST + f"solvers: {{{SOLVERS}}}",
        "a mapping has too many items",
        "write at most 64 items",
    ),
    ("greater_than_equal", ACME % "http_port: 0", "0 is too small", "write at least 1"),
    ("greater_than_equal", NGINX % "hsts: -1", "-1 is too small", "write at least 0"),
    ("less_than_equal", ACME % "http_port: 65536", "65536 is too large", "write at most 65535"),
    (
        "value",
        NGINX % "listen: {http: [80, '*:80']}",
        "80 is listed twice",
        "keep one of the two",
    ),
    (
        "value",
        NGINX % "listen: {http: ['1.2.3.999:80']}",
        "'1.2.3.999:80' is not an address and port",
        SOCKET,
    ),
    (
        "value",
        NGINX % "listen: {http: ['[1.2.3.4]:80']}",
        "'[1.2.3.4]:80' is not an address and port",
        SOCKET,
    ),
    ("value", NGINX % "listen: {http: [0]}", "0 is not an address and port", SOCKET),
    ("value", NGINX % "verify: {except: [0]}", "0 is not an address and port", SOCKET),
    ("value", NGINX % "verify: {except: [smtp]}", "'smtp' is not an address and port", SOCKET),
    ("value", NGINX % "verify: {except: [25, 25]}", "25 is listed twice", "keep one of the two"),
    ("tuple_type", NGINX % "verify: {except: 25}", "a number is not a list", LIST),
    (
        "extra_forbidden",
        NGINX % "verify: {exept: [25]}",
        "unknown field `exept`",
        "did you mean `except`?",
    ),
    ("value", NGINX % "listen: {http: [[80]]}", "a list is not an address and port", SOCKET),
    (
        "value",
        NGINX % "proxy_protocol: {from: [10.0.0.1/8]}",
        "'10.0.0.1/8' is not a network",
        NETWORK,
    ),
    (
        "value",
        NGINX % "proxy_protocol: {from: ['fe80::1%a;b']}",
        "'fe80::1%a;b' is not a network",
        NETWORK,
    ),
    ("value", NGINX % "program: nginx", "'nginx' is not an absolute path", ABSOLUTE),
    ("value", NGINX % 'program: "/n\\0"', "'/n\\x00' is not an absolute path", ABSOLUTE),
    ("value", NGINX % 'configuration: "/n\\nx"', "'/n\\nx' is not an absolute path", ABSOLUTE),
    (
        "value",
        SMALLEST + "services: {postfix: {configuration: ../etc}}",
        "'../etc' is not an absolute path",
        ABSOLUTE,
    ),
    (
        "value",
        SMALLEST + "services: {dovecot: {program: ''}}",
        "'' is not an absolute path",
        ABSOLUTE,
    ),
    (
        "value",
        ACME % "profile: 'a b'",
        "'a b' is not the name of a certificate profile",
        "write it as the authority spells it: letters, digits and . _ -",
    ),
    (
        "value",
        ACME % 'external_account: {key_identifier: "a\\nb", hmac_key: env:A}',
        "what stands here is not a key identifier",
        "write it exactly as the authority gave it",
    ),
    (
        "value",
        ACME % "external_account: {key_identifier: '', hmac_key: env:A}",
        "what stands here is not a key identifier",
        "write it exactly as the authority gave it",
    ),
    (
        "value",
        APP % "locations: {/: {read_timeout: 20x}}",
        "'20x' is not a number with a unit",
        TIME,
    ),
    (
        "value",
        APP % "locations: {/: {read_timeout: 8d}}",
        "8d is too large",
        "write at most 7d",
    ),
    ("value", APP % "locations: {/: {body_size: 5t}}", "'5t' is not a number with a unit", SIZE),
    (
        "value",
        APP % "locations: {/: {body_size: 1025g}}",
        "1025g is too large",
        "write at most 1024g",
    ),
]


@pytest.mark.parametrize(("kind", "text", "reason", "remedy"), KINDS)
def test_every_kind_of_mistake_is_told_in_our_own_words(
    kind: str, text: str, reason: str, remedy: str
) -> None:
    ((_, _, said, todo),) = told(*mistakes(text))
    assert (said, todo) == (reason, remedy)


SAYS: dict[str, dict[str, str]] = {
    "bool": {"": "bool_type"},
    "str": {"": "string_type"},
    "int": {"": "int_type", "ge": "greater_than_equal", "le": "less_than_equal"},
    "list": {"": "list_type", "min_length": "too_short", "max_length": "too_long"},
    "tuple": {"": "tuple_type", "min_length": "too_short", "max_length": "too_long"},
    "dict": {"": "dict_type", "min_length": "too_short", "max_length": "too_long"},
    "literal": {"": "literal_error"},
    "model": {"": "model_type"},
    "model-fields": {"": "missing", "extra_behavior": "extra_forbidden"},
    "function-after": {"": "value"},
    "function-before": {"": "value"},
    "model-field": {},
    "nullable": {},
    "default": {},
    "definitions": {},
    "definition-ref": {},
    "function-wrap": {},  # of services: hands on what names them
    "tagged-union": {},  # both tags are known, as `kind_of` knows no other
}
"""By the node of pydantic's core schema, and by what bounds it: the type of its error."""
BOUNDS = frozenset(
    {"ge", "gt", "le", "lt", "min_length", "max_length", "pattern", "multiple_of", "fail_fast"}
)


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every node of a core schema; what is told to editors only is none."""
    if isinstance(schema, dict):
        if isinstance(schema.get("type"), str) and schema["type"] not in ("no-info", "with-info"):
            yield schema
        for name, below in schema.items():
            if name not in ("metadata", "json_schema_input_schema", "serialization"):
                yield from nodes(below)
    elif isinstance(schema, list | tuple):
        for below in schema:
            yield from nodes(below)


def errors_of(node: dict[str, Any]) -> set[str]:
    """Return the types of error that one node gives; fail for a node that is not allowed here."""
    known = SAYS[node["type"]]
    bounds = [name for name in node if name in BOUNDS or name in known]
    return {known[name] for name in ("", *bounds) if known}


@pytest.mark.parametrize("grammar", [main_type(registry.settings()), Included, Application])
def test_no_kind_of_mistake_that_the_grammar_knows_is_left_out(grammar: Any) -> None:
    for each in (grammar, rest_type(grammar)):
        kinds = {kind for node in nodes(each.__pydantic_core_schema__) for kind in errors_of(node)}
        assert kinds <= {kind for kind, *_ in KINDS}
        assert kinds <= {*EXPECTED, *LIMITS, "missing", "extra_forbidden", "literal_error", "value"}


@pytest.mark.parametrize(("kind", "text"), [each[:2] for each in KINDS])
def test_each_example_is_of_its_kind(kind: str, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        main_type(registry.settings()).model_validate(parse_document("x", text).value)
    assert caught.value.errors()[0]["type"] == kind


def test_a_text_is_never_bounded_by_pydantic_itself() -> None:
    for node in nodes(main_type(registry.settings()).__pydantic_core_schema__):
        assert node["type"] != "str" or not set(node) & BOUNDS
