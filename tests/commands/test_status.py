"""status: all that is known of every certificate, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxygen.bundles import Bundles
from proxygen.errors import IssueFailed
from proxygen.model.certificate import RenewalInfo
from proxygen.plan.renewal import renew_at
from proxygen.stores.filesystem import FileStore
from tests import models
from tests.certificates import DAY
from tests.commands.test_cli import MODEL, proxygen
from tests.commands.test_cli import root as root

ACME = MODEL.replace("www.a.example, certificate: selfsigned", "www.a.example, certificate: acme")
ACME += (
    "acme: {directory: 'https://ca.example/dir', profile: short, terms_of_service_agreed: true}\n"
)
NOW = datetime.now(UTC).replace(microsecond=0)


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


def test_a_failure_is_told_with_its_next_attempt_and_what_to_do(
    root: Path, bundles: Bundles
) -> None:
    (root / "etc/proxygen/proxygen.yaml").write_text(ACME)
    wanted = list(models.site(ACME).certificates)[1]
    error = IssueFailed(
        "the authority refused it",
        remedy="correct the A record",
        problem="urn:ietf:params:acme:error:dns",
        words="no A record",
        retry_at=NOW + timedelta(hours=3),
    )
    bundles.failed(wanted, error, NOW, 0.5)
    said = of(root, "a.example")
    assert said["last_error"] == {
        "at": NOW.isoformat(),
        "since": NOW.isoformat(),
        "count": 1,
        "next_attempt": (NOW + timedelta(hours=3)).isoformat(),
        "what": "the authority refused it",
        "remedy": "correct the A record",
        "problem": "urn:ietf:params:acme:error:dns",
        "words": "no A record",
    }
    assert said["waiting"]["code"] == "failed"  # type: ignore[index]
    assert said["due"]["code"] == "issuer"  # type: ignore[index]
    assert said["authorities"] == [{"directory": "https://ca.example/dir", "profile": "short"}]
    told = proxygen("--root", root, "status").stdout
    assert "last error" in told
    assert f"next attempt {NOW + timedelta(hours=3):%Y-%m-%d %H:%M} UTC" in told


def test_the_trouble_of_an_authority_is_told_and_who_waits_for_it(
    root: Path, bundles: Bundles
) -> None:
    (root / "etc/proxygen/proxygen.yaml").write_text(ACME)
    bundles.hold("troubles", "https://ca.example/dir", IssueFailed("it is down"), NOW, 0.0)
    run = proxygen("--root", root, "status", "--json")
    said = json.loads(run.stdout)
    assert [each["authority"] for each in said["troubles"]] == ["https://ca.example/dir"]
    assert said["troubles"][0]["next_attempt"] == (NOW + timedelta(minutes=1)).isoformat()
    waiting = next(each for each in said["owners"] if each["owner"] == "a.example")["waiting"]
    assert waiting["code"] == "authority"
    told = proxygen("--root", root, "status").stdout
    assert "authority https://ca.example/dir: failed once: it is down" in told
    assert "waits until" in told


def test_renewal_information_is_told(root: Path, bundles: Bundles) -> None:
    moment = NOW + 20 * DAY
    suggested = RenewalInfo(
        look_at=NOW + DAY,
        start=NOW + 19 * DAY,
        end=NOW + 21 * DAY,
        moment=moment,
        explanation="https://ca.example/why",
    )
    bundles.note(replace(bundles.all()["a.example"], renewal=suggested))
    said = of(root, "a.example")["certificate"]
    assert said["renew_at"] == moment.isoformat()  # type: ignore[index]
    assert said["renewal_info"] == {  # type: ignore[index]
        "window_start": (NOW + 19 * DAY).isoformat(),
        "window_end": (NOW + 21 * DAY).isoformat(),
        "moment": moment.isoformat(),
        "explanation": "https://ca.example/why",
        "look_at": (NOW + DAY).isoformat(),
    }
    assert f"{moment:%Y-%m-%d}" in proxygen("--root", root, "status").stdout


def test_the_renewal_of_a_short_life_is_told_to_the_minute(root: Path, bundles: Bundles) -> None:
    short = replace(
        bundles.all()["a.example"], not_before=NOW - DAY, not_after=NOW + timedelta(hours=136)
    )
    bundles.note(short)
    told = proxygen("--root", root, "status").stdout
    assert f"{renew_at(short):%Y-%m-%d %H:%M}" in told
