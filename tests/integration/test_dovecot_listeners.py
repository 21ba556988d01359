"""Where the dovecot of this host listens, as it tells itself: nothing is started."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from proxygen.model.layout import Layout
from proxygen.observe.answers import answer_questions
from proxygen.services import Listener, ServiceSettings, dovecot
from tests.conftest import require
from tests.live.needs import path_of
from tests.live.processes import environment

IMAP = {Listener("127.0.0.1", 143, "imap"), Listener("127.0.0.1", 993, None)}
POP3 = {Listener("127.0.0.1", 110, "pop3"), Listener("127.0.0.1", 995, None)}


def listeners(folder: Path, text: str) -> set[Listener]:
    """Return the listeners of a configuration that says nothing else."""
    require(("dovecot",))
    program = path_of("dovecot")
    command = [program, "--version"]
    said = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
    versions = ("dovecot_config_version = 2.4.0", "dovecot_storage_version = 2.4.0")
    first = "" if said.stdout.startswith("2.3") else "\n".join(versions)
    main = folder / "etc/dovecot/dovecot.conf"
    main.parent.mkdir(parents=True)
    main.write_text(f"{first}\nprotocols = imap pop3\n{text}\n!include_try conf.d/*.conf\n")
    layout = Layout(folder, folder / "etc/proxygen/proxygen.yaml").of("dovecot")
    asked = dovecot.questions(program, ServiceSettings(), layout)
    facts = dovecot.facts(program, ServiceSettings(), layout, answer_questions(asked))
    assert facts.warnings == ()
    return set(facts.listeners)


def imaps(inside: str) -> str:
    """Return a configuration with one block about IMAP with TLS from the first byte."""
    return f"service imap-login {{\n  inet_listener imaps {{\n    {inside}\n  }}\n}}\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", IMAP | POP3, id="nothing is said of them"),
        pytest.param(imaps("port = 993"), IMAP | POP3, id="TLS at once without a word of it"),
        pytest.param(
            imaps("port = 1993"),
            {Listener("127.0.0.1", 143, "imap"), Listener("127.0.0.1", 1993, None)} | POP3,
            id="another port",
        ),
        pytest.param(imaps("port = 0"), {Listener("127.0.0.1", 143, "imap")} | POP3, id="off"),
        pytest.param(
            "listen = ::1",
            {Listener("::1", each.port, each.starttls) for each in IMAP | POP3},
            id="another address",
        ),
        pytest.param(
            imaps("port = 1").replace("imaps", "mine"),
            {Listener("127.0.0.1", 1, "imap")} | IMAP | POP3,
            id="one more",
        ),
    ],
)
def test_default_ports_count_as_those_that_are_set(
    text: str, found: set[Listener], tmp_path: Path
) -> None:
    assert listeners(tmp_path, text) == found
