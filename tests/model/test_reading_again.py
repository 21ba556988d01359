"""A model that is read again and again is read as if it were read for the first time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import pytest

from proxygen import registry
from proxygen.errors import Mistake, ModelError
from proxygen.model.reading import Before, read_model
from proxygen.model.site import Site
from proxygen.model.sources import Source
from tests.models import source

Texts = Mapping[str, str]

MAIN = """\
global: {url: mail.example.net, certificate: selfsigned}
acme: {terms_of_service_agreed: true}
include: ["*.d.yaml"]
"""


def domain(name: str, more: str = "certificate: acme") -> str:
    """Return an included file with one domain."""
    return f"domains:\n  {name}: {{url: www.{name}, {more}}}\n"


def reading(texts: Texts, before: Before | None) -> Site | tuple[Mistake, ...]:
    """Return the site, or all that is wrong."""
    others = [source(name, text) for name, text in sorted(texts.items()) if name != "main"]

    def load(mask: str) -> Sequence[Source]:
        return [each for each in others if fnmatchcase(each.name, mask)]

    main = source("proxygen.yaml", texts["main"])
    try:
        return read_model(main, load, registry.settings(), registry.applications(), before)
    except ModelError as error:
        return error.mistakes


TWO = {"main": MAIN, "a.d.yaml": domain("a.example"), "b.d.yaml": domain("b.example")}
EDITS = {
    "a domain joins": TWO | {"c.d.yaml": domain("c.example")},
    "a domain leaves": {name: TWO[name] for name in ("main", "b.d.yaml")},
    "a domain moves to another file": TWO | {"a.d.yaml": "", "c.d.yaml": domain("a.example")},
    "a file gets another line": TWO | {"a.d.yaml": "\n" + domain("a.example")},
    "defaults": TWO | {"main": MAIN + "defaults: {certificate: selfsigned, contact: x@a.example}"},
    "language": TWO | {"main": MAIN + "language: fr"},
    "authority": TWO | {"main": MAIN.replace("{terms", "{directory: letsencrypt-staging, terms")},
    "profile": TWO | {"main": MAIN.replace("{terms", "{profile: shortlived, terms")},
    "key type": TWO | {"main": MAIN.replace("{terms", "{key_type: rsa-2048, terms")},
    "challenge": TWO | {"main": MAIN.replace("{terms", "{challenge: dns-persist-01, terms")},
    "preflight": TWO | {"main": MAIN.replace("{terms", "{preflight: false, terms")},
    "a domain's challenge": TWO | {"b.d.yaml": domain("b.example", "challenge: dns-01")},
    "a solver": TWO
    | {
        "main": MAIN + "defaults: {challenge: dns-01}\nsolvers: {ours: {exec: {program: /p}}}",
    },
    "two solvers": TWO
    | {
        "main": MAIN
        + "defaults: {challenge: dns-01}\n"
        + "solvers: {ours: {exec: {program: /p}}, theirs: {exec: {program: /p}}}",
    },
    "terms": TWO | {"main": MAIN.replace("true", "false")},
    "the global names": TWO | {"main": MAIN.replace("{url", "{extra_names: [www.a.example], url")},
    "no include": TWO | {"main": MAIN.partition("include")[0]},
    "two owners": TWO | {"b.d.yaml": domain("b.example", "extra_names: [www.a.example]")},
    "twice": TWO | {"b.d.yaml": domain("a.example")},
    "twice, the later one without a URL": TWO | {"b.d.yaml": "domains: {a.example: {backend: x}}"},
    "without a URL": TWO | {"b.d.yaml": "domains: {b.example: {certificate: acme}}"},
    "an unknown backend": TWO | {"b.d.yaml": domain("b.example", "backend: nowhere")},
    "an unknown field": TWO | {"b.d.yaml": domain("b.example", "nothing: 1")},
    "not YAML": TWO | {"b.d.yaml": "domains: {"},
    "the main file is wrong": TWO | {"main": "global: {"},
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_is_known_from_before_changes_nothing(edit: str) -> None:
    before = Before()
    for texts in (TWO, EDITS[edit], EDITS[edit], TWO):
        assert reading(texts, before) == reading(texts, None)


def test_any_edit_may_follow_any_other() -> None:
    before = Before()
    for texts in (*EDITS.values(), *reversed(EDITS.values())):
        assert reading(texts, before) == reading(texts, None)


def test_only_what_changed_is_read_again() -> None:
    before = Before()
    first, second = reading(TWO, before), reading(EDITS["a domain joins"], before)
    assert isinstance(first, Site)
    assert isinstance(second, Site)
    assert second.domains[0] is first.domains[0]
    assert second.domains[1] is first.domains[1]


def test_what_is_read_no_more_is_not_kept() -> None:
    before = Before()
    for texts in (TWO, EDITS["a domain leaves"], EDITS["a domain leaves"]):
        reading(texts, before)
    assert "a.d.yaml" not in {*before.placed, *before.files.present, *before.files.former}
