"""What is on this host, as far as it is read."""

from __future__ import annotations

import os
from pathlib import Path

from proxygen import observe
from proxygen.services import Reading

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
