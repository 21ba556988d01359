"""The JSON Schema tells an editor what each field is, and what may stand there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from proxygen import registry
from proxygen.model.schema import Application, Included, main_type

SCHEMAS = {
    "model": main_type(registry.settings()).model_json_schema(),
    "included": Included.model_json_schema(),
    "application": Application.model_json_schema(),
}


def fields() -> Iterator[Any]:
    """Yield each field of each mapping."""
    for title, schema in SCHEMAS.items():
        for name, part in [(title, schema), *schema.get("$defs", {}).items()]:
            for field, below in part.get("properties", {}).items():
                yield pytest.param(below, id=f"{title}: {name}.{field}")


@pytest.mark.parametrize("field", [*fields()])
def test_every_field_has_a_description_of_one_short_sentence(field: dict[str, Any]) -> None:
    assert re.fullmatch(r"[A-Z`][^\n]{4,98}\.", field.get("description", ""))


def test_every_mapping_has_a_description() -> None:
    for schema in SCHEMAS.values():
        assert all(part.get("description") for part in schema.get("$defs", {}).values())


def part(name: str, field: str) -> dict[str, Any]:
    """Return a field's schema."""
    found: dict[str, Any] = SCHEMAS["model"]["$defs"][name]["properties"][field]
    return found


def patterns(node: Any) -> Iterator[str]:
    """Yield every pattern in a part of a schema."""
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        for below in node.values():
            yield from patterns(below)
    elif isinstance(node, list):
        for below in node:
            yield from patterns(below)


def accepted(node: Any, value: str) -> bool:
    """Return whether a text is accepted by one of the patterns of a schema's node."""
    found = [*patterns(node)]
    assert found
    return any(re.fullmatch(each, value) for each in found)


def test_editors_understand_every_pattern() -> None:
    for each in patterns(SCHEMAS["model"]):
        assert re.match(r"\^.*\$$", each)
        assert not re.search(r"\(\?(?![:!=])|\\[AZ]", each), "ECMA 262 has no such group"


@pytest.mark.parametrize(
    ("name", "field", "right", "wrong"),
    [
        ("Listen", "http", ("80", "192.0.2.1:80", "[2001:db8::1]:80"), ("x", "80;", "[::1]")),
        ("Listen", "https", ("443", "*:443"), ("https", "443 ssl")),
        ("ProxyProtocol", "from", ("192.0.2.0/24", "2001:db8::/32"), ("balancer", "any;")),
        (
            "NginxSettings",
            "program",
            ("/usr/sbin/nginx",),
            ("nginx", "", "/a\nb"),
        ),
        ("ServiceSettings", "configuration", ("/etc/postfix",), ("etc/postfix", "/a\0")),
        ("LocationFields", "read_timeout", ("60", "20m", "1H"), ("20 m", "20x", "m")),
        ("LocationFields", "body_size", ("50m", "1g"), ("50h",)),
        ("AcmeFields", "directory", ("letsencrypt", "https://ca.example/d"), ("http://a", "lets")),
        ("AcmeFields", "profile", ("tlsserver",), ("a b",)),
        ("ExternalAccountFields", "hmac_key", ("env:A", "file:a b"), ("secret", "env:")),
        ("ExternalAccountFields", "key_identifier", ("kid 1",), ("", "a\nb")),
    ],
)
def test_an_editor_sees_a_wrong_text(
    name: str, field: str, right: tuple[str, ...], wrong: tuple[str, ...]
) -> None:
    assert all(accepted(part(name, field), value) for value in right)
    assert not any(accepted(part(name, field), value) for value in wrong)


def test_numbers_are_bounded_for_editors() -> None:
    assert "'maximum': 65535, 'minimum': 1" in str(part("Listen", "https"))
    assert "'minimum': 0" in str(part("LocationFields", "read_timeout"))
