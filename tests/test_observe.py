"""What is on this host, as far as it is read."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from proxygen import assemble, observe, registry
from proxygen.model.layout import Layout
from proxygen.services import Reading, ServiceSettings, postfix
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
