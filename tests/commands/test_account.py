"""account: what it shows, a new key, a backup and its check, against the real Pebble."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE
from typing import Any

import pytest

from proxygen.host import lock
from proxygen.model.layout import Layout
from tests.live import needs, ports
from tests.live.machine import proxygen, temporary_root
from tests.live.pebble import Pebble

pytestmark = needs("pebble", "pebble-challtestsrv")


class Place:
    """A host with a model, and Pebble; orders are answered by the built-in listener."""

    def __init__(self, root: Path, port: int, *authorities: Pebble) -> None:
        self.root = root
        self.config = root / "proxygen.yaml"
        self.layout = Layout(root, self.config)
        first, *others = [self.authority(each) for each in authorities]
        acme = first | {"http_port": port, "preflight": False}
        acme |= {"fallback": others[0]} if others else {}
        model = {
            "contact": "hostmaster@proxygen.test",
            "global": {"url": "https://mail.account.example", "certificate": "acme"},
            "acme": acme,
            "services": {},
        }
        self.config.write_text(json.dumps(model))

    def authority(self, pebble: Pebble) -> dict[str, Any]:
        """Return what a model says of an authority."""
        return {
            "directory": pebble.directory,
            "trusted_roots": [str(pebble.trusted_root)],
            "terms_of_service_agreed": True,
        }

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        return proxygen(self.root, self.config, *map(str, arguments))

    def accounts(self, *arguments: str) -> list[dict[str, Any]]:
        """Return what is shown as JSON."""
        run = self.run("account", "--json", *arguments)
        assert run.returncode == 0, run.stdout + run.stderr
        return list(json.loads(run.stdout)["accounts"])

    def apply(self) -> None:
        """Obtain the certificate."""
        run = self.run("apply")
        assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture
def place() -> Iterator[Place]:
    """A host whose account is made."""
    port = ports.reserve()
    with temporary_root() as root, Pebble(root / "authority", http_port=port) as pebble:
        made = Place(root, port, pebble)
        made.apply()
        yield made
    ports.release(port)


@pytest.fixture(scope="module")
def new() -> Iterator[Place]:
    """A host with two authorities, and no account yet."""
    with temporary_root() as root:
        pebbles = [Pebble(root / name, http_port=1) for name in ("one", "two")]
        with pebbles[0], pebbles[1]:
            yield Place(root, 80, *pebbles)


def test_an_account_is_shown_as_the_authority_knows_it(place: Place) -> None:
    [account] = place.accounts()
    assert account["created"]
    assert account["url"].startswith(account["directory"].removesuffix("dir") + "my-account/")
    assert account["contact"] == "hostmaster@proxygen.test"
    assert account["terms"]
    shown = place.run("account").stdout
    for value in (account["directory"], account["url"], account["thumbprint"], account["contact"]):
        assert value in shown
    assert "PRIVATE" not in shown


def test_every_authority_is_shown_before_there_is_an_account(new: Place) -> None:
    accounts = new.accounts()
    assert len({each["directory"] for each in accounts}) == 2
    assert [each["created"] for each in accounts] == [False, False]
    assert new.run("account").stdout.count("none yet") == 2
    assert new.accounts("--authority", accounts[1]["directory"]) == [accounts[1]]


def test_nothing_can_be_done_with_an_account_that_is_not_there(new: Place, tmp_path: Path) -> None:
    for arguments in (("--roll-over",), ("--export", tmp_path / "x")):
        run = new.run("account", *arguments)
        assert run.returncode == 2
        assert "proxygen has no account at" in run.stderr
    assert not (tmp_path / "x").exists()
    assert not any("sign-me-up" in log.read_text() for log in new.root.rglob("pebble.out"))


def test_an_authority_that_the_model_has_not_is_two(new: Place) -> None:
    run = new.run("account", "--authority", "letsencrypt")
    assert run.returncode == 2
    assert new.accounts()[0]["directory"] in run.stderr


def test_one_thing_at_a_time(new: Place, tmp_path: Path) -> None:
    run = new.run("account", "--roll-over", "--export", tmp_path / "x")
    assert run.returncode == 2
    assert "one thing at a time" in run.stderr


def test_a_roll_over_changes_the_key_and_nothing_else(place: Place) -> None:
    [before] = place.accounts()
    run = place.run("account", "--roll-over")
    assert run.returncode == 0, run.stderr
    assert "backups from before are of no use" in run.stdout
    [after] = place.accounts()
    assert after["thumbprint"] != before["thumbprint"]
    assert after | {"thumbprint": before["thumbprint"]} == before
    model = json.loads(place.config.read_text())
    model["global"]["extra_names"] = ["more.account.example"]
    place.config.write_text(json.dumps(model))
    place.apply()
    assert place.accounts() == [after]


def test_a_roll_over_waits_for_no_other_run(place: Place) -> None:
    with lock.hold(place.layout.obtaining):
        run = place.run("account", "--roll-over")
        assert run.returncode == 7
        assert place.run("account").returncode == 0


def test_a_backup_is_for_its_owner_alone_and_good_until_the_key_changes(
    place: Place, tmp_path: Path
) -> None:
    path = tmp_path / "account.json"
    exported = place.run("account", "--export", path)
    assert exported.returncode == 0, exported.stderr
    assert S_IMODE(path.stat().st_mode) == 0o600
    [account] = place.accounts()
    saved = json.loads(path.read_text())
    assert (saved["url"], saved["contact"]) == (account["url"], account["contact"])
    assert "PRIVATE KEY" in saved["key"]
    assert "PRIVATE KEY" not in exported.stdout
    good = place.run("account", "--check", path, "--json")
    assert json.loads(good.stdout) == {
        "version": 1,
        "checked": True,
        "accounts": [account],
    }
    place.run("account", "--roll-over")
    stale = place.run("account", "--check", path)
    assert stale.returncode == 2
    assert "not the one in use" in stale.stderr


def test_a_backup_replaces_no_file(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "there"
    path.write_text("mine")
    run = place.run("account", "--export", path)
    assert run.returncode == 2
    assert path.read_text() == "mine"
    nowhere = place.run("account", "--export", tmp_path / "no" / "folder")
    assert nowhere.returncode == 2
    assert "Traceback" not in nowhere.stderr


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\0" * 100_000])
def test_what_is_no_backup_is_two(new: Place, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "backup"
    if content is not None:
        path.write_bytes(content)
    run = new.run("account", "--check", path)
    assert run.returncode == 2
    assert "do: name a file that `proxygen account --export` wrote" in run.stderr
    for words in ("Traceback", "JSON", "Field", "validation", "|"):
        assert words not in run.stderr
