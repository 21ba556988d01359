"""What a service refuses and goes without: told by a code, noted in the service's own words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from proxygen.failure import Scope, failure, failure_words
from proxygen.host.additions import read_additions
from proxygen.languages import load_phrases
from proxygen.model.layout import Layout
from proxygen.plan.culprits import left_out_sentence, why_left_out
from proxygen.plan.left_out import ConfigurationPart, LeftOut, PartKind, left_out_from
from proxygen.services import EVERYWHERE, Additions, WebFacts

OWN = "a.example"
WEB = WebFacts("/usr/sbin/nginx", (1, 22, 1), Path("/etc/nginx/nginx.conf"))
GIVEN = {name: Additions(name, (), "0" * 32) for name in (OWN, EVERYWHERE)}
WORDS = 'nginx: [emerg] unknown directive "x" in /etc/proxygen/nginx.d/a.example/x.conf:3\nmore'


def refused(kind: PartKind, name: str = OWN) -> LeftOut:
    """Return a part that a service refuses."""
    return LeftOut(
        ConfigurationPart(kind, name, "0" * 32), WORDS, "/etc/proxygen/nginx.d/a.example/x.conf:3"
    )


@pytest.mark.parametrize(
    ("part", "facts", "code", "begins"),
    [
        (
            refused(PartKind.TEMPLATES, "nginx"),
            {},
            "templates-left-out",
            "nginx refuses the output",
        ),
        (
            refused(PartKind.OWNER),
            {},
            "owner-left-out",
            "nginx refuses the server block of a.example, which",
        ),
        (
            refused(PartKind.CERTIFICATE),
            {},
            "global-certificate-shown",
            "nginx refuses the certifi",
        ),
        (
            refused(PartKind.CERTIFICATE),
            {"shown": {OWN: ("0" * 16, "1" * 16)}},
            "former-certificate-shown",
            "nginx refuses the certificate of a.example",
        ),
        (refused(PartKind.BACKEND, "web"), {}, "backend-closed", "nginx refuses the backend web"),
        (
            refused(PartKind.ADDITIONS),
            {"closed": frozenset({OWN})},
            "directives-closed",
            "nginx refuses the directives of a.example; its requests",
        ),
        (
            refused(PartKind.ADDITIONS),
            {"additions": GIVEN},
            "directives-former",
            "nginx refuses the d",
        ),
        (
            refused(PartKind.ADDITIONS),
            {},
            "directives-none",
            "nginx refuses the directives of a.exam",
        ),
        (
            refused(PartKind.ADDITIONS, EVERYWHERE),
            {"additions": GIVEN},
            "directives-of-all-former",
            "nginx refuses the directives for all server blocks; the last",
        ),
        (
            refused(PartKind.ADDITIONS, EVERYWHERE),
            {},
            "directives-of-all-none",
            "nginx refuses the directives for all server blocks, which",
        ),
    ],
)
def test_it_is_told_by_a_code_in_each_language(
    part: LeftOut, facts: dict[str, object], code: str, begins: str
) -> None:
    why = why_left_out(part, "nginx", replace(WEB, **facts))  # type: ignore[arg-type]
    assert (why.code, why.scope, why.of) == (code, Scope.SERVICE, "nginx")
    assert (why.words, why.where) == (part.words, part.where)
    assert why.what.startswith(begins)
    assert why.remedy.endswith("everything else is up to date")
    others = {failure_words(why, load_phrases(each)).what for each in ("en", "de", "fr")}
    assert len(others) == 3
    assert all("nginx" in each and "?" not in each and "{" not in each for each in others)


def test_the_warning_tells_the_place_and_the_first_line() -> None:
    words = left_out_sentence(refused(PartKind.OWNER), "nginx", WEB)
    assert words.endswith(f": {refused(PartKind.OWNER).where}: {WORDS.splitlines()[0]}")


def test_no_sentence_of_ours_is_noted() -> None:
    part = refused(PartKind.ADDITIONS)
    noted = part.as_json()
    assert left_out_from(json.loads(json.dumps(noted))) == part
    assert set(noted) == {"part", "words", "where", "at_reload", "why"}
    assert left_out_from({name: each for name, each in noted.items() if name != "why"}) == part
    assert left_out_from({"part": 7}) is None


def test_what_the_service_says_nothing_of_is_noted_by_a_code_and_told() -> None:
    why = failure("old-workers-serve", Scope.SERVICE, "nginx")
    part = LeftOut(refused(PartKind.ADDITIONS).part, "", at_reload=7, why=why)
    assert left_out_from(json.loads(json.dumps(part.as_json()))) == part
    assert "old workers" not in json.dumps(part.as_json()).replace("old-workers-serve", "")
    assert left_out_sentence(part, "nginx", WEB).endswith("but its old workers are still running")
    assert (
        "seine alten Prozesse"
        in failure_words(why_left_out(part, "nginx", WEB), load_phrases("de")).words
    )


def test_directives_that_cannot_be_read_are_named_apart_from_why(tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path / "etc/proxygen/proxygen.yaml")
    path = layout.etc / "nginx.d" / OWN / "a: b.conf"
    path.mkdir(parents=True)
    found = read_additions(layout)[OWN]
    assert (found.unread, found.trouble) == (str(path), f"{path}: Is a directory")
