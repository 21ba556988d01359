"""main.cf: read and edited as postfix itself would."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from proxygen.services.main_cf import edited, parameters_in
from tests.live.needs import needs

TEXT = """\
# The administrator's.
compatibility_level = 3.6
smtpd_relay_restrictions = permit_mynetworks,
  permit_sasl_authenticated
# A comment between a line and its continuation.
   # An indented one.

\tdefer_unauth_destination
smtpd_tls_security_level=may
 smtpd_tls_loglevel = 1
mydestination =
smtpd_tls_security_level = encrypt
inet_interfaces = all"""


def test_what_a_text_sets() -> None:
    assert parameters_in(TEXT) == {
        "compatibility_level": "3.6",
        "smtpd_relay_restrictions": (
            "permit_mynetworks,  permit_sasl_authenticated\tdefer_unauth_destination"
        ),
        "smtpd_tls_security_level": "encrypt",
        "mydestination": "",
        "inet_interfaces": "all",
    }


def test_a_name_without_a_value_is_damaged() -> None:
    assert parameters_in("a\nb =\nc = d\n") == {"a": None, "b": "", "c": "d"}


@pytest.mark.parametrize("space", ["\xa0", "\u2028", "\x85", "\x1c"])
def test_space_that_postfix_does_not_know_belongs_to_a_word(space: str) -> None:
    assert parameters_in(f"a = {space}\n{space}b = c\n") == {"a": space, f"{space}b": "c"}
    assert edited(f"a = 1\n{space}b = c\n", {"a": None}) == f"{space}b = c\n"


@needs("postfix")
@pytest.mark.parametrize("space", ["\xa0", "\u2028", "\x85"])
def test_postconf_takes_no_such_space_for_a_continuation(space: str, tmp_path: Path) -> None:
    text = f"relayhost = [a.example]\n{space}mydestination = b\n"
    (tmp_path / "main.cf").write_text(text)
    (tmp_path / "master.cf").write_text("")
    command = ["postconf", "-c", str(tmp_path), "-h", "relayhost"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == f"{parameters_in(text)['relayhost']}\n"


@pytest.mark.parametrize("text", ["", "\n", "   x", "# only\n", "=\n = \n", "\x00\r\n", "a"])
def test_any_text_can_be_read_and_edited(text: str) -> None:
    parameters_in(text)
    assert parameters_in(edited(text, {"b": "c"}))["b"] == "c"
    assert edited(text, {}) == text


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        pytest.param("a = 1\nb = 2\n", {"a": "3"}, "a = 3\nb = 2\n", id="set"),
        pytest.param("a = 1\n", {"b": "2"}, "a = 1\nb = 2\n", id="added"),
        pytest.param("a = 1", {"b": "2"}, "a = 1\nb = 2\n", id="added after a line without end"),
        pytest.param("", {"b": "2"}, "b = 2\n", id="added to nothing"),
        pytest.param("a = 1\nb = 2\n", {"a": None}, "b = 2\n", id="gone"),
        pytest.param("a = 1\n", {"b": None}, "a = 1\n", id="gone before"),
        pytest.param("a = 1\n  2\n# c\n\t3\nb = 4\n", {"a": None}, "# c\nb = 4\n", id="continued"),
        pytest.param("a = 1\nb = 2\na = 3\n", {"a": "4"}, "a = 4\nb = 2\n", id="twice"),
        pytest.param("a=1\nb = 2\na = 3\n", {"a": "1"}, "a=1\nb = 2\n", id="as it is"),
        pytest.param("a\nb = 2\n", {"a": "1"}, "a = 1\nb = 2\n", id="damaged"),
        pytest.param("a_b = 1\n#a = 2\n x = 3\n", {"a": None, "x": None}, None, id="others"),
    ],
)
def test_edited(before: str, changes: dict[str, str | None], after: str | None) -> None:
    assert edited(before, changes) == (before if after is None else after)


@needs("postfix")
@pytest.mark.parametrize(
    "changes",
    [
        {"smtpd_tls_security_level": "may", "tls_ssl_options": "NO_TICKET"},
        {"smtpd_tls_security_level": None, "smtpd_relay_restrictions": None},
        {"smtpd_relay_restrictions": "reject", "mydestination": None, "inet_interfaces": None},
    ],
)
def test_postconf_reads_what_was_edited_as_it_was_meant(
    changes: dict[str, str | None], tmp_path: Path
) -> None:
    main = tmp_path / "main.cf"
    main.write_text(edited(TEXT + "\n", changes))
    (tmp_path / "master.cf").write_text("")
    said = subprocess.run(
        ["postconf", "-c", str(tmp_path), "-n"], capture_output=True, text=True, check=True
    ).stdout
    read = parameters_in(said)
    read.pop("config_directory", None)
    wanted = parameters_in(TEXT) | changes
    assert folded(read) == folded(wanted)


def folded(values: dict[str, str | None]) -> dict[str, list[str]]:
    """Return the words of each value that is there."""
    return {name: value.split() for name, value in values.items() if value is not None}
