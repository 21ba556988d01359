"""Hostile models: right ones with parts taken out, doubled, moved, or replaced by anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

MAIN = {
    "contact": "hostmaster@example.net",
    "language": "de",
    "global": {
        "url": "https://mail.example.net",
        "extra_names": ["smtp.example.net", "*.example.net"],
        "certificate": "acme",
        "challenge": "dns-01",
        "solver": "ours",
        "skip_preflight": ["smtp.example.net"],
        "backend": "app",
    },
    "defaults": {"certificate": "acme", "backend": "app", "challenge": "http-01"},
    "domains": {
        "a.example": {
            "url": "https://www.a.example",
            "extra_names": ["b.a.example", "*.a.example"],
            "certificate": "acme",
            "challenge": "dns-01",
            "solver": "theirs",
            "contact": "it@a.example",
        },
        "b.example": {
            "url": "www.b.example",
            "certificate": {"file": {"certificate": "b.p12", "password": "env:B"}},
        },
        "c.example": {},
        "d.example": {"url": "www.d.example", "skip_preflight": True, "certificate": "hook"},
    },
    "backends": {
        "app": {
            "application": "bluemind",
            "upstreams": {"web": ["http://10.0.0.1:80"], "core": ["https://[2001:db8::1]:8443"]},
            "locations": {"/": {"upstream": "web"}, "/e/": {"upstream": "core", "body_size": "5m"}},
        },
    },
    "acme": {
        "directory": "letsencrypt",
        "terms_of_service_agreed": True,
        "profile": "classic",
        "external_account": {"key_identifier": "k", "hmac_key": "env:H"},
        "trusted_roots": ["roots.pem"],
        "limits": {"orders": 5},
        "fallback": {"directory": "https://ca.example/dir", "terms_of_service_agreed": True},
    },
    "addresses": ["192.0.2.1", "2001:db8::1"],
    "resolvers": ["192.0.2.53", "[2001:db8::53]:53"],
    "solvers": {
        "ours": {"rfc2136": {"server": "ns.example.net", "key_name": "k.", "key": "env:K"}},
        "theirs": {"lexicon": {"provider": "ovh", "credentials": {"auth_key": "env:O"}}},
        "own": {"exec": {"program": "/usr/local/bin/dns"}},
    },
    "services": {"nginx": {"listen": {"http": ["80"], "https": ["443"]}}, "postfix": {}},
    "notifiers": {"email": {}},
    "metrics": {"listen": "127.0.0.1:9780"},
    "include": ["i.yaml", "j.yaml"],
}
INCLUDED = {
    "domains": {
        "e.example": {
            "url": "www.e.example",
            "certificate": "acme",
            "extra_names": ["x.e.example"],
        },
        "f.example": {"url": "https://www.f.example", "strict_names": True, "language": "fr"},
    }
}


@dataclass
class Raw:
    """Text that is put into the file as it is."""

    text: str


@dataclass
class Pairs:
    """A mapping, in which a key may stand twice, and need not be a word."""

    items: list[tuple[str, Any]]


Node = Raw | Pairs | list[Any]


def node(value: Any) -> Node:
    """Return a plain value as something that can be changed."""
    if isinstance(value, dict):
        return Pairs([(json.dumps(key), node(below)) for key, below in value.items()])
    return [node(each) for each in value] if isinstance(value, list) else Raw(json.dumps(value))


def text(of: Node) -> str:
    """Return the YAML."""
    if isinstance(of, Raw):
        return of.text
    if isinstance(of, list):
        return f"[{', '.join(map(text, of))}]"
    return f"{{{', '.join(f'{key}: {text(below)}' for key, below in of.items)}}}"


def places(of: Node) -> Iterator[tuple[Any, int]]:
    """Yield each place where a value stands: what holds it, and its index there."""
    within = of.items if isinstance(of, Pairs) else of if isinstance(of, list) else []
    for index, each in enumerate(within):
        yield of, index
        yield from places(each[1] if isinstance(of, Pairs) else each)


WORDS = (
    *("global", "url", "extra_names", "certificate", "acme", "file", "domains", "a.example"),
    *("backends", "app", "upstreams", "locations", "/", "services", "nginx", "include", "solver"),
    *("challenge", "dns-01", "http-01", "dns-persist-01", "solvers", "ours", "exec", "rfc2136"),
    *("www.a.example", "mail.example.net", "i.yaml", "proxygen.yaml", "*", "defaults", "key"),
    *("B.EXAMPLE.", "bücher.example", "xn--bcher-kva.example", "co.uk", "*.co.uk", "192.0.2.1"),
    *("[::1]", "::1", "*.a.example", "password", "skip_preflight", "fallback", "limits", "true"),
)
ODD = (
    *("", "~", "null", "true", "yes", "0", "-1", "1.5", ".inf", ".nan", "1e999", "0x10", "0o7"),
    *("99999999999999999999999999", "-0", "+1", "1_000", "1:30", "2001-01-01", "12:00:00"),
    *("2001-12-14t21:59:43.10-05:00", "<<", "=", "!!str x", "!!binary aGk=", "!x y", "&a b"),
    *("*a", "&a [*a]", "? x", "- x", "[]", "{}", "[[]]", "[{}]", "{a}", "{a: }", "{? [a] : b}"),
    *("{[a]: b}", "{{a: b}: c}", "{1: 2}", "{null: x}", "{true: x}", "{2001-01-01: x}", '{"": ""}'),
    *('"\\0"', '"\\u202e"', '"\\ud800"', '"\\U0010ffff"', '"\\x7f"', '"\\e[31m"', '"\\ufeff"'),
    *('"a\\nb"', '"a\\tb"', "|\n x", ">\n x", "\n---\n", "\n...\n", "%YAML 1.1", "\ufeff", "\0"),
    *(
        "\u2028",
        "\u0085",
        "'",
        '"',
        "`",
        "@",
        "#",
        "[",
        "{",
        "]",
        "}",
        ",",
        ":",
        "\t",
        "\r",
        "\x1b",
    ),
    *('"\u0130.example"', '"a\u200b.example"', '"ß.example"', '"a..example"', '".example"', '"*."'),
    *('"[::1%eth0]"', '"::ffff:1.2.3.4"', '"1.2.3.4.5"', '"0x7f.1"', '"https://"', '"https://["'),
    *('"env:"', '"file:"', '"file:/dev/zero"', '"/"', '"."', '".."', '"**"', '"127.0.0.1:99999"'),
    *(
        '"' + "a" * 300 + '.example"',
        '"' + "a." * 400 + 'example"',
        "9" * 5000,
        "[" * 30 + "]" * 30,
    ),
)
"""Text for a value or a key: odd YAML, and what is odd for one of the types of the model."""

PIECES = st.one_of(
    st.sampled_from(ODD),
    st.sampled_from(WORDS).map(json.dumps),
    st.text(max_size=8).map(lambda word: json.dumps(word, ensure_ascii=False)),
    st.text(max_size=6),
    st.integers().map(str),
    st.floats().map(str),
    st.dates().map(str),
)
VALUES = st.recursive(
    PIECES.map(Raw),
    lambda below: (
        st.lists(below, max_size=3) | st.lists(st.tuples(PIECES, below), max_size=3).map(Pairs)
    ),
    max_leaves=5,
)
BEGINNINGS = ("", "", "", "\ufeff", "---\n", "%YAML 1.1\n---\n", "# x\n", "\n")
ACTS = ("out", "out", "put", "put", "key", "more", "twice", "swap", "many")


@st.composite
def texts(draw: st.DrawFn, of: dict[str, Any]) -> bytes:
    """Return a model of which some parts are not as they should be."""
    whole = node(of)
    for _ in range(draw(st.integers(0, 5))):
        found = list(places(whole))
        if not found:
            break
        if draw(st.booleans()):  # what stands above much matters as much as all that is below
            found = [each for each in found if each[0] is whole] or found
        change(draw, whole, *found[draw(st.integers(0, len(found) - 1))])
    written = draw(st.sampled_from(BEGINNINGS)) + text(whole)
    encoding = draw(st.sampled_from(["utf-8"] * 9 + ["utf-16", "latin-1"]))
    octets = written.encode(encoding, "surrogatepass" if encoding == "utf-8" else "replace")
    if draw(st.integers(0, 9)) == 9:  # as if it were read while it is written, or damaged
        at = draw(st.integers(0, len(octets)))
        octets = octets[:at] + draw(st.binary(max_size=3)) + octets[at + draw(st.integers(0, 50)) :]
    return octets


def change(draw: st.DrawFn, whole: Node, holder: Any, index: int) -> None:
    """Change one place."""
    act, items = draw(st.sampled_from(ACTS)), holder.items if isinstance(holder, Pairs) else holder
    is_pairs = isinstance(holder, Pairs)
    if act == "out":
        del items[index]
    elif act == "key" and is_pairs:
        items[index] = (draw(PIECES), items[index][1])
    elif act == "twice":
        items.insert(index, items[index])
    elif act == "many":
        items[index:index] = [items[index]] * draw(st.integers(2, 120))
    elif act == "swap":
        found = list(places(whole))
        other, at = found[draw(st.integers(0, len(found) - 1))]
        value = other.items[at][1] if isinstance(other, Pairs) else other[at]
        value = Raw(text(value))
        items[index] = (items[index][0], value) if is_pairs else value
    else:
        value = draw(VALUES)
        if act == "more":
            items.insert(index, (draw(PIECES), value) if is_pairs else value)
        else:
            items[index] = (items[index][0], value) if is_pairs else value
