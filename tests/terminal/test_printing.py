"""Lines: what is said while a run goes on, and what is kept for its end."""

from __future__ import annotations

import pytest

from proxygen.apply.outcome import FAILED, NOT_READY
from proxygen.errors import Coded
from proxygen.terminal.printing import print_text, readable_text
from proxygen.terminal.progress import MANY, StepLines

URL = "http://www.a.example/.well-known/acme-challenge/aB3-_x"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (
            f"192.0.2.1: Fetching {URL}: Connection refused",
            "192.0.2.1: Fetching http://www.a.example/…: Connection refused",
        ),
        (
            f'Get "{URL}": dial tcp: connection refused',
            'Get "http://www.a.example/…": dial tcp: connection refused',
        ),
        (
            "Invalid response from https://b.example:8443/.well-known/acme-challenge/t [::1]: 404",
            "Invalid response from https://b.example:8443/… [::1]: 404",
        ),
        ("see https://letsencrypt.org/docs/", "see https://letsencrypt.org/docs/"),
    ],
)
def test_of_the_url_of_a_challenge_the_host_is_told(words: str, shown: str) -> None:
    assert readable_text(words) == shown


def test_what_moves_a_terminal_is_escaped() -> None:
    assert readable_text("\x1b[31mred") == "\\x1b[31mred"


def test_what_fails_is_told_in_the_end_alone(capsys: pytest.CaptureFixture[str]) -> None:
    lines = StepLines(verbose=True)
    lines.say(Coded("failed: issue the certificate of a.example: no", FAILED, "a.example"))
    lines.say(Coded("waiting for DNS: a.example: no", NOT_READY, "a.example"))
    lines.say("reload nginx")
    lines.close()
    assert capsys.readouterr().out == "reload nginx\n"


@pytest.mark.parametrize("verbose", [False, True])
def test_very_many_steps_are_counted(capsys: pytest.CaptureFixture[str], verbose: bool) -> None:
    lines = StepLines(verbose)
    for number in range(1000):
        lines.say(Coded(f"issue the certificate of d{number}.example", "issue"))
    lines.say("reload nginx")
    lines.close()
    shown = capsys.readouterr().out.splitlines()
    assert "reload nginx" in shown
    if verbose:
        assert len(shown) == 1001
    else:
        assert len(shown) == MANY + 2
        assert shown[-1] == "… and 980 more of these steps: --verbose shows every one"


def test_who_does_not_listen_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("click.echo", gone)
    print_text("nobody hears it")
