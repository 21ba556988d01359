"""status: all that is known of every certificate, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from proxygen import assemble
from proxygen.apply.hooks import Ran, failed_exit, keep_runs
from proxygen.failure import Scope, failure
from proxygen.host import lock
from proxygen.model.certificate import RenewalInfo
from proxygen.model.layout import Layout
from proxygen.plan.backoff import purpose_of
from proxygen.plan.renewal import renew_at
from proxygen.reports.status import OwnerLine, with_hooks
from proxygen.stores.bundles import Bundles
from proxygen.stores.filesystem import FileStore
from proxygen.stores.keyspace import own_part
from proxygen.stores.names import NameStore
from proxygen.stores.outbox import DeliveryFailure, Outbox, QueuedMail
from tests import models
from tests.certificates import DAY
from tests.commands.test_cli import MODEL, proxygen
from tests.commands.test_cli import root as root
from tests.failures import NO, no
from tests.known_names import HOST, LATE, A, waiting
from tests.known_names import TEXT as NAMES
from tests.mails import plain

ACME = MODEL.replace("www.a.example, certificate: selfsigned", "www.a.example, certificate: acme")
ACME += (
    "acme: {directory: 'https://ca.example/dir', profile: short, terms_of_service_agreed: true}\n"
)
NOW = datetime.now(UTC).replace(microsecond=0)
UNUSABLE = failure("mail-server-unusable", Scope.HOST, words="no", server="mail.example", port=25)


@pytest.fixture
def bundles(root: Path) -> Bundles:
    """Return the bundles of a root after an apply."""
    assert proxygen("--root", root, "apply").returncode == 0
    return Bundles(FileStore(root / "var/lib/proxygen/store"))


def of(root: Path, owner: str) -> dict[str, object]:
    """Return what ``status --json`` says of one owner."""
    run = proxygen("--root", root, "status", "--json")
    assert run.returncode == 0, run.stderr
    return next(each for each in json.loads(run.stdout)["owners"] if each["owner"] == owner)


def test_a_failure_is_told_with_its_next_try_and_what_to_do(root: Path, bundles: Bundles) -> None:
    (root / "etc/proxygen/proxygen.yaml").write_text(ACME)
    wanted = list(models.site(ACME).certificates)[1]
    error = no(
        "no A record",
        problem="urn:ietf:params:acme:error:dns",
        retry_at=NOW + timedelta(hours=3),
    )
    bundles.failed(wanted, error, NOW, 0.5)
    said = of(root, "a.example")
    assert said["last_error"] == {
        "at": NOW.isoformat(),
        "since": NOW.isoformat(),
        "count": 1,
        "next_attempt": (NOW + timedelta(hours=3)).isoformat(),
        "what": "the secret env:KEY cannot be read: no A record",
        "remedy": "set the environment variable, or name a readable file that contains it",
        "problem": "urn:ietf:params:acme:error:dns",
        "words": "no A record",
        "failure": {
            "code": "secret-unreadable",
            "scope": "owner",
            "of": None,
            "facts": {"place": "env:KEY"},
            "parts": [],
        },
    }
    assert said["postponed"]["code"] == "failed"  # type: ignore[index]
    assert said["due"]["code"] == "issuer"  # type: ignore[index]
    assert said["authorities"] == [{"directory": "https://ca.example/dir", "profile": "short"}]
    told = proxygen("--root", root, "status").stderr
    assert "not obtained: a.example: last error" in told
    assert f"next attempt {NOW + timedelta(hours=3):%Y-%m-%d %H:%M} UTC" in told


def test_the_failure_of_an_authority_is_told_and_who_waits_for_it(
    root: Path, bundles: Bundles
) -> None:
    (root / "etc/proxygen/proxygen.yaml").write_text(ACME)
    asked = purpose_of(models.site(ACME).acme)
    again = NOW + timedelta(hours=3)
    error = no("it is down", retry_at=again)
    bundles.remember_failure("troubles", "https://ca.example/dir", error, NOW, 0.0, asked)
    run = proxygen("--root", root, "status", "--json")
    said = json.loads(run.stdout)
    assert [each["authority"] for each in said["failing_authorities"]] == ["https://ca.example/dir"]
    assert said["failing_authorities"][0]["next_attempt"] == again.isoformat()
    waiting = next(each for each in said["owners"] if each["owner"] == "a.example")["postponed"]
    assert waiting["code"] == "authority"
    told = proxygen("--root", root, "status").stdout
    assert f"authority https://ca.example/dir: failed once: {error.what}" in told
    assert "a.example: postponed until" in proxygen("--root", root, "status").stderr


def test_renewal_information_is_told(root: Path, bundles: Bundles) -> None:
    moment = NOW + 20 * DAY
    suggested = RenewalInfo(
        look_at=NOW + DAY,
        start=NOW + 19 * DAY,
        end=NOW + 21 * DAY,
        moment=moment,
        explanation="https://ca.example/why",
    )
    bundles.note(bundles.all()["a.example"], renewal=suggested)
    said = of(root, "a.example")["certificate"]
    assert said["renew_at"] == moment.isoformat()  # type: ignore[index]
    assert said["renewal_info"] == {  # type: ignore[index]
        "window_start": (NOW + 19 * DAY).isoformat(),
        "window_end": (NOW + 21 * DAY).isoformat(),
        "moment": moment.isoformat(),
        "explanation": "https://ca.example/why",
        "next_poll": (NOW + DAY).isoformat(),
    }
    assert f"{moment:%Y-%m-%d}" in proxygen("--root", root, "status").stdout


def test_the_renewal_of_a_short_life_is_told_to_the_minute(root: Path, bundles: Bundles) -> None:
    made = bundles.all()["a.example"]
    bundles.note(made, not_before=NOW - DAY, not_after=NOW + timedelta(hours=136))
    short = bundles.all()["a.example"]
    told = proxygen("--root", root, "status").stdout
    assert f"{renew_at(short):%Y-%m-%d %H:%M}" in told


def whole(root: Path) -> dict[str, Any]:
    """Return all that ``status --json`` says."""
    run = proxygen("--root", root, "status", "--json")
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def ran(hook: str, status: int = 0, at: datetime = NOW) -> Ran:
    """Return how a run of a deploy hook went."""
    return Ran(hook, "deploy", at, 0.25, failed_exit(status), "first\nlast words\x1b[31m\n\n")


def test_what_hooks_did_is_told_and_those_that_failed_last_to_people(
    root: Path, bundles: Bundles
) -> None:
    once = ran("20-fixed", 1, NOW - DAY)
    keep_runs(
        own_part(bundles.store),
        "a.example",
        [once, ran("10-copy", 3), ran("20-fixed")],
    )
    said = {each["owner"]: each["hooks"] for each in whole(root)["owners"]}
    assert said["global"] == []
    assert [(each["hook"], each["problem"]) for each in said["a.example"]] == [
        ("20-fixed", "exited with status 1"),
        ("10-copy", "exited with status 3"),
        ("20-fixed", ""),
    ]
    assert said["a.example"][1] == {
        "hook": "10-copy",
        "event": "deploy",
        "at": NOW.isoformat(),
        "seconds": 0.25,
        "problem": "exited with status 3",
        "failure": {
            "code": "hook-ended",
            "scope": "host",
            "of": None,
            "facts": {"status": 3},
            "parts": [],
        },
        "words": "first\nlast words\x1b[31m\n\n",
    }
    told = proxygen("--root", root, "status").stderr
    (line,) = (each for each in told.splitlines() if "hook " in each)
    assert line.startswith("a.example: hook deploy.d/10-copy: exited with status 3 (0.2 s), ")
    assert line.endswith(r": last words\x1b[31m")


def test_of_hooks_that_never_ran_nothing_is_read(bundles: Bundles) -> None:
    class Listed(FileStore):
        """A store that tells which values were read."""

        def get(self, key: str) -> bytes | None:
            read.append(key)
            return super().get(key)

    read: list[str] = []
    keep_runs(own_part(bundles.store), "a.example", [ran("10-copy")])
    layout = Layout(bundles.store.root.parents[3], Path("proxygen.yaml"))  # type: ignore[attr-defined]
    parts = replace(
        assemble.build_installation(layout, lambda: NOW), own=own_part(Listed(layout.store))
    )
    owners = models.site(MODEL).owners
    lines = [OwnerLine(each, False, None, (), None) for each in owners]
    assert [len(each.hooks) for each in with_hooks(lines, parts)] == [0, 1]
    assert read == ["host/hooks/runs/a.example"]


def test_mails_that_wait_are_told_with_the_next_try(root: Path, bundles: Bundles) -> None:
    none = {"waiting": 0, "oldest": None, "next_attempt": None, "last_error": None}
    assert whole(root)["mail"] == none
    box = Outbox(bundles.store)
    box.post(QueuedMail(plain(), NOW - DAY, 1, NOW + timedelta(hours=1)))
    moment = f"{NOW + timedelta(hours=1):%Y-%m-%d %H:%M} UTC"
    line = f"1 mail waits for the mail server; next attempt {moment}"
    assert line in proxygen("--root", root, "status").stdout
    box.post(QueuedMail(plain(recipient="it@a.example"), NOW))
    box.note_delivery_failure(DeliveryFailure(2, NOW + timedelta(hours=1), UNUSABLE))
    assert whole(root)["mail"] == {
        "waiting": 2,
        "oldest": (NOW - DAY).isoformat(),
        "next_attempt": (NOW + timedelta(hours=1)).isoformat(),
        "last_error": {
            "what": UNUSABLE.what,
            "count": 2,
            "next_attempt": (NOW + timedelta(hours=1)).isoformat(),
            "failure": UNUSABLE.as_json(),
        },
    }
    line = f"2 mails wait for the mail server: {UNUSABLE.what}; next attempt {moment}"
    assert line in proxygen("--root", root, "status").stdout


def test_whether_the_daemon_runs_is_told(root: Path, bundles: Bundles) -> None:
    assert whole(root)["daemon"] is False
    with lock.hold(root / "var/lib/proxygen/watch/lock"):  # as the daemon does
        assert whole(root)["daemon"] is True


def test_a_failure_of_long_ago_is_no_last_error(root: Path, bundles: Bundles) -> None:
    wanted = list(models.site(MODEL).certificates)[1]
    bundles.failed(wanted, NO, NOW - 9 * DAY, 0.5)
    assert of(root, "a.example")["last_error"] is None
    assert "last error" not in proxygen("--root", root, "status").stderr


def test_names_that_no_certificate_covers_are_counted_and_the_first_is_told(root: Path) -> None:
    text = NAMES + "services: {}\n"
    (root / "etc/proxygen/proxygen.yaml").write_text(text)
    book = NameStore(FileStore(root / "var/lib/proxygen/store"))
    known = [replace(waiting(name), bad_since=NOW - DAY) for name in (LATE, A)]
    book.note(A, known)
    said = of(root, A)
    assert said["names_left_out"] == [
        {
            "name": name,
            "state": "waiting",
            "since": (NOW - DAY).isoformat(),
            "words": "the A record 198.51.100.7 points to another server (404 Not Found)",
        }
        for name in (LATE, A)
    ]
    told = proxygen("--root", root, "status")
    assert f"not ready: 2 names lead elsewhere: {LATE}, {A}\n" in told.stderr
    assert told.stderr.count(LATE) == 1
    verbose = proxygen("--root", root, "status", "--verbose").stderr
    assert f"not ready: 2 names lead elsewhere:\n  {LATE}: the A record 198.51.100.7" in verbose


def test_a_certificate_that_waits_for_the_name_of_its_url_is_told(root: Path) -> None:
    (root / "etc/proxygen/proxygen.yaml").write_text(NAMES + "services: {}\n")
    book = NameStore(FileStore(root / "var/lib/proxygen/store"))
    book.note(A, [replace(waiting(HOST), look_at=NOW + DAY)])
    assert of(root, A)["postponed"]["code"] == "names"  # type: ignore[index]
    told = proxygen("--root", root, "status").stderr
    assert f"{A}: postponed until {NOW + DAY:%Y-%m-%d %H:%M} UTC, as {HOST} is not ready" in told
    assert told.count("the A record") == 1
