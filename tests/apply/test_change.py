"""A place compared with itself before a change: what differs, and what proves nothing."""

from __future__ import annotations

import errno
import socket
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from proxygen.apply.change import consisting_of, not_served, why_not_changed
from proxygen.apply.comparison import our_doing
from proxygen.apply.outcome import never_stop
from proxygen.apply.probe import AT_ONCE, Patience, Probed, ProbeOutcome, failure_met, probe
from proxygen.errors import ServiceError
from proxygen.failure import Scope, failure, failure_words
from proxygen.languages import load_phrases
from proxygen.services import Endpoint
from tests.apply.test_probe import Tls, listening, silent, wanted
from tests.certificates import make, root
from tests.live.authority import Authority

AT_ONCE_OVER = Patience(0, 0, never_stop, timeout=0.2)


@pytest.fixture
def former(tmp_path: Path) -> Tls:
    """Return what is shown with the former files."""
    return Tls(Authority(), tmp_path)


def test_a_place_that_shows_something_else_than_before_is_our_doing(former: Tls) -> None:
    with listening(former.shake) as port:
        bad = ((wanted(port, former), Probed("0" * 64)),)
        assert our_doing(bad, Patience(30, 30, never_stop)) == bad


def test_a_place_that_shows_the_same_as_before_is_not(former: Tls) -> None:
    with listening(former.shake) as port:
        meant = replace(wanted(port, former), bundle=replace(former.bundle, fingerprint="0" * 64))
        assert our_doing(((meant, Probed(former.fingerprint)),), AT_ONCE_OVER) == ()


def test_what_was_not_asked_with_the_former_files_proves_nothing(former: Tls) -> None:
    with listening(former.shake) as port:
        bad = [(wanted(port, former, f"{n}.example"), Probed("0" * 64)) for n in range(40)]
        found = our_doing(tuple(bad), Patience(0, 0, never_stop))
    assert found == tuple(bad[:AT_ONCE])


@pytest.mark.parametrize("words", ["connection refused", "STARTTLS is not offered"])
def test_a_place_without_tls_before_and_after_is_not(former: Tls, words: str) -> None:
    with listening(silent) as port:
        bad = ((wanted(port, former), Probed(None, failure_met("not-connected", words))),)
        assert our_doing(bad, AT_ONCE_OVER) == ()


def test_a_place_that_is_slow_to_come_back_is_asked_with_patience(former: Tls) -> None:
    """It presents a certificate with the former files, but not at once after their reload."""
    count = iter(range(100))

    def act(connection: socket.socket) -> None:
        if next(count) >= 3:
            former.shake(connection)

    with listening(act) as port:
        bad = (
            (
                wanted(port, former),
                Probed(None, failure_met("not-connected", "connection refused")),
            ),
        )
        assert our_doing(bad, Patience(30, 30, never_stop)) == bad


FULL = OSError(errno.ENOSPC, "No space left on device", "/var/lib/x")
LATE = failure("command-late", Scope.HOST, command="nginx -s reload", seconds=120)
RELOAD = failure("not-reloaded", Scope.SERVICE, "nginx", words="[emerg] bind() failed")


def test_a_change_that_was_taken_back_says_what_happened_and_what_is_in_place() -> None:
    said = ServiceError(consisting_of("taken-back", "nginx", RELOAD))
    assert said.what == "nginx did not reload"
    assert said.remedy.startswith("the previous files are back in place; correct the")
    assert (said.words, said.failure.of) == (RELOAD.words, "nginx")
    assert said.as_json()["failure"]["parts"] == [RELOAD.as_json()]
    stays = consisting_of("new-files-stay", "nginx", LATE)
    assert stays.remedy.startswith(
        "the new files stay in place, as nginx refuses the previous ones; run"
    )


def test_what_could_not_be_taken_back_either_has_both_reasons() -> None:
    met = why_not_changed("nginx", ServiceError(RELOAD)), why_not_changed("nginx", FULL)
    both = consisting_of("not-taken-back", "nginx", *met)
    assert both.words == f"{RELOAD.words}\n{FULL}"
    assert "nginx did not reload; nginx could not be changed: " in both.what
    assert (
        "nginx hat nicht neu geladen; nginx konnte " in failure_words(both, load_phrases("de")).what
    )


def test_another_certificate_is_told_by_its_subject_issuer_and_end_beside_the_wanted_one(
    former: Tls,
) -> None:
    """Nobody finds a certificate by the hash of it."""
    other = make("other.example", issuer=root(), names=("other.example",))
    leaf = other.certificate.public_bytes(Encoding.DER)
    place = wanted(443, former)
    seen = Probed("0" * 64, leaf=leaf)
    (line,) = str(not_served("nginx", ProbeOutcome(((place, seen),)))).splitlines()[-1:]
    ends = f"valid until {other.certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    assert f"shows the certificate of other.example, issued by Root, {ends}, instead of" in line
    assert f"issued by {former.bundle.issued_by}, valid until " in line
    assert "0" * 16 not in line
    refusing = replace(place, bundle=None)
    line = str(not_served("nginx", ProbeOutcome(((refusing, seen),)))).splitlines()[-1]
    assert line.endswith(f"issued by Root, {ends}, instead of refusing the connection")


def test_what_is_seen_is_kept_only_where_it_is_wrong(former: Tls) -> None:
    with listening(former.shake) as port:
        assert not probe(wanted(port, former)).leaf
        meant = replace(wanted(port, former), bundle=replace(former.bundle, fingerprint="0" * 64))
        assert sha256(probe(meant).leaf).hexdigest() == former.fingerprint


def test_what_a_client_saw_instead_is_told_place_by_place_without_a_sentence() -> None:
    place = Endpoint("nginx", "127.0.0.1", 443, "a.example", None)
    wrong = tuple((replace(place, port=port), Probed("0" * 64)) for port in range(1, 30))
    found = not_served("nginx", ProbeOutcome(wrong, (place,)))
    assert found.failure.code == "not-served-nor-asked"
    assert dict(found.failure.facts) == {"places": 29, "unasked": 1}
    assert found.words == ""
    lines = failure_words(found.failure, load_phrases("de")).words.splitlines()
    assert (len(lines), lines[-1]) == (21, "… und 9 weitere")
    assert all(line.endswith(f"(SHA-256 {'0' * 64})") for line in lines[:-1])
    late = not_served(
        "nginx", ProbeOutcome(((place, Probed(None, failure_met("no-answer", seconds="5"))),))
    )
    assert str(late).endswith("| nginx 127.0.0.1:443 as a.example: no answer within 5 s")
    assert failure_words(late.failure, load_phrases("fr")).words.endswith(
        " : pas de réponse en 5 s"
    )
