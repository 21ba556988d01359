"""A place compared with itself before a change: what differs, and what proves nothing."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from proxygen.apply.change import our_doing
from proxygen.apply.outcome import never
from proxygen.apply.probe import AT_ONCE, Patience, Seen
from tests.apply.test_probe import Tls, listening, silent, wanted
from tests.live.authority import Authority

AT_ONCE_OVER = Patience(0, 0, never, timeout=0.2)


@pytest.fixture
def former(tmp_path: Path) -> Tls:
    """Return what is shown with the former files."""
    return Tls(Authority(), tmp_path)


def test_a_place_that_shows_something_else_than_before_is_our_doing(former: Tls) -> None:
    with listening(former.shake) as port:
        bad = ((wanted(port, former), Seen("0" * 64)),)
        assert our_doing(bad, Patience(30, 30, never)) == bad


def test_a_place_that_shows_the_same_as_before_is_not(former: Tls) -> None:
    with listening(former.shake) as port:
        meant = replace(wanted(port, former), bundle=replace(former.bundle, fingerprint="0" * 64))
        assert our_doing(((meant, Seen(former.fingerprint)),), AT_ONCE_OVER) == ()


def test_what_was_not_asked_with_the_former_files_proves_nothing(former: Tls) -> None:
    with listening(former.shake) as port:
        bad = [(wanted(port, former, f"{n}.example"), Seen("0" * 64)) for n in range(40)]
        found = our_doing(tuple(bad), Patience(0, 0, never))
    assert found == tuple(bad[:AT_ONCE])


@pytest.mark.parametrize("words", ["connection refused", "STARTTLS is not offered"])
def test_a_place_without_tls_before_and_after_is_not(former: Tls, words: str) -> None:
    with listening(silent) as port:
        bad = ((wanted(port, former), Seen(None, words)),)
        assert our_doing(bad, AT_ONCE_OVER) == ()


def test_a_place_that_is_slow_to_come_back_is_asked_with_patience(former: Tls) -> None:
    """It presents a certificate with the former files, but not at once after their reload."""
    count = iter(range(100))

    def act(connection: socket.socket) -> None:
        if next(count) >= 3:
            former.shake(connection)

    with listening(act) as port:
        bad = ((wanted(port, former), Seen(None, "connection refused")),)
        assert our_doing(bad, Patience(30, 30, never)) == bad
