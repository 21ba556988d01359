"""Templates: those of the package, and the administrator's in their place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from jinja2.defaults import DEFAULT_FILTERS

from proxygen.errors import ServiceError
from proxygen.host import templates
from proxygen.plan.render import render_template
from proxygen.services import Rendered


def test_an_override_stands_in_for_ours_and_the_others_stay(tmp_path: Path) -> None:
    own = templates.load(tmp_path / "none").templates
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx/proxygen.conf.j2").write_text("mine")
    (tmp_path / "nginx/notes.txt").write_text("no template")
    found = templates.load(tmp_path).templates
    assert found.keys() == own.keys()
    assert found["nginx/proxygen.conf.j2"].text == "mine"
    assert found["nginx/proxygen.conf.j2"].label == str(tmp_path / "nginx/proxygen.conf.j2")
    assert found["dovecot/tls-2.3.conf.j2"] == own["dovecot/tls-2.3.conf.j2"]


def test_an_override_that_cannot_be_read_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "nginx/proxygen.conf.j2").mkdir(parents=True)
    (tmp_path / "postfix").mkdir()
    os.mkfifo(tmp_path / "postfix/main.cf.j2")
    found = templates.load(tmp_path)
    for name, words in (
        ("nginx/proxygen.conf.j2", "Is a directory"),
        ("postfix/main.cf.j2", "it is a pipe, not a regular file"),
    ):
        with pytest.raises(ServiceError, match=f"cannot be read: {words}") as caught:
            render_template(found, Rendered(name, "x", {}))
        assert str(caught.value.where) == f"{tmp_path / name}:1"
    assert found.templates["nginx/unknown_name.conf.j2"].text


def test_the_same_texts_are_the_former_templates_compiled_already(tmp_path: Path) -> None:
    former = templates.load(tmp_path)
    assert templates.load(tmp_path, former) is former
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx/proxygen.conf.j2").write_text("mine")
    changed = templates.load(tmp_path, former)
    assert changed.templates["nginx/proxygen.conf.j2"].text == "mine"
    assert changed.environment is not former.environment


@pytest.mark.parametrize("name", sorted(DEFAULT_FILTERS))
def test_no_filter_needs_a_file_where_none_can_be_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx/one.conf.j2").write_text(f"{{{{ ('a &amp; <b> é'|{name})|string|length }}}}")
    try:
        assert render_template(
            templates.load(tmp_path), Rendered("nginx/one.conf.j2", "x", {})
        ).isdigit()
    except ServiceError as error:  # a filter that wants something else
        words = str(error)
        assert not any(each in words for each in ("open files", "No module", "can't load", "/lib/"))


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("'\\N{SNOWMAN}'", "1"),
        ("'é'.encode('idna')", "7"),
        ("'é'.encode('punycode')", "3"),
        ("'é'.encode('latin-1')", "1"),
    ],
)
def test_no_codec_needs_a_file_where_none_can_be_opened(
    tmp_path: Path, text: str, length: str
) -> None:
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx/one.conf.j2").write_text(f"{{{{ {text}|length }}}}")
    given = templates.load(tmp_path)
    assert render_template(given, Rendered("nginx/one.conf.j2", "x", {})) == length
