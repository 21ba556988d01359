"""What is on this host, as far as it is read."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from proxygen import assemble, observe, registry
from proxygen.apply import refusals
from proxygen.model.layout import Layout
from proxygen.observe import REFUSED, refusal_noted
from proxygen.plan.observed import Refused
from proxygen.services import Reading, ServiceSettings, postfix
from tests.certificates import NOON
from tests.failures import too_old
from tests.mails import HOUR
from tests.models import site

INCLUDE = r"^include (?P<mask>[^;]*);"


def test_a_configuration_is_read_within_bounds_with_what_it_includes(tmp_path: Path) -> None:
    main = tmp_path / "main.conf"
    main.write_text("include *.part;\n")
    (tmp_path / "a.part").write_text("a\n")
    assert observe.read(Reading(main, INCLUDE)).out == "include *.part;\n\na\n"
    for name in ("b", "c"):
        (tmp_path / f"{name}.part").touch()
        os.truncate(tmp_path / f"{name}.part", 40 * 1024 * 1024)
    answer = observe.read(Reading(main, INCLUDE))
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == f"{main}: more than 64 MiB with what it includes"


def test_a_service_that_is_missing_is_told_by_its_name(tmp_path: Path) -> None:
    program = tmp_path / "usr/sbin/postfix"
    layout = Layout(tmp_path, tmp_path / "proxygen.yaml")
    known = replace(
        assemble.parts(layout, lambda: datetime.now(UTC)),
        services={"postfix-out": registry.service("postfix", "postfix-out")},
    )
    settings = ServiceSettings(program=str(program))
    state = observe.state("postfix-out", settings, known)
    assert state.name == "postfix-out"
    assert state.error
    assert state.error.what == "postfix-out was not found on this host"
    assert "install postfix," in state.error.remedy


def test_a_program_is_looked_for_by_the_word_of_the_kind() -> None:
    service = replace(postfix.SERVICE, programs=()).named("postfix-out", "sh")
    program = observe.program_of(service, ServiceSettings())
    assert program
    assert Path(program).name == "sh"
    nothing_said = site("global: {url: mail.example.net, certificate: selfsigned}")
    assert observe.wanted_services(nothing_said, {service.name: service}) == {
        "postfix-out": ServiceSettings()
    }


def test_why_a_service_was_not_given_what_is_wanted_is_noted_by_a_code(tmp_path: Path) -> None:
    live = Layout(tmp_path, tmp_path / "proxygen.yaml").live("dovecot")
    refusals.note(live, too_old(), NOON)
    assert refusal_noted(live) is None  # nothing of ours is there yet
    live.folder.mkdir(parents=True)
    refusals.note(live, too_old(), NOON)
    refusals.note(live, too_old(), NOON + HOUR)
    assert refusal_noted(live) == Refused(NOON, too_old().failure)
    text = (live.folder / REFUSED).read_text()
    assert '"too-old"' in text
    assert "is too old" not in text
    refusals.settle(live)
    assert refusal_noted(live) is None


def test_what_was_noted_in_sentences_is_known_as_words(tmp_path: Path) -> None:
    live = Layout(tmp_path, tmp_path / "proxygen.yaml").live("nginx")
    live.folder.mkdir(parents=True)
    noted = {"since": NOON.isoformat(), "what": "nginx refused", "where": "a:1", "words": "[emerg]"}
    (live.folder / REFUSED).write_text(json.dumps(noted | {"remedy": "correct it"}))
    found = refusal_noted(live)
    assert found is not None
    assert (found.since, found.failure.code) == (NOON, "noted-before")
    assert (found.failure.words, found.failure.where) == ("[emerg]", "a:1")
    (live.folder / REFUSED).write_text('{"what": 7, "since": "never"}')
    assert refusal_noted(live) is None
