"""What is set aside and what is held back, as the commands tell it and end."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from proxygen import assemble
from proxygen.apply.outcome import Outcome, Progress
from proxygen.assemble import Installation
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.reconcile import Alone, reconcile
from proxygen.terminal.walk import Show, run_of, site_for_second_round
from tests.commands.test_cli import proxygen
from tests.live.authority import Authority

MAIN = """\
global: {url: https://mail.example.net, certificate: selfsigned}
defaults: {certificate: selfsigned}
include: [domains.d/*.yaml]
services: {}
"""
NEEDY = (
    MAIN.replace("defaults: {", "defaults: {backend: app, ")
    + "backends: {app: {upstreams: {web: ['http://10.0.0.1']}}}\n"
)
LATER = MAIN.replace("[domains.d/*.yaml]", "[{files: domains.d/*.yaml, certificates: domains.d/}]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of the included files, with two customers."""
    folder = tmp_path / "etc/proxygen/domains.d"
    folder.mkdir(parents=True)
    (folder.parent / "proxygen.yaml").write_text(MAIN)
    (folder / "a.yaml").write_text(domains(*(f"a{number}.example" for number in range(8))))
    (folder / "b.yaml").write_text(domains("b.example"))
    return folder


def domains(*names: str) -> str:
    """Return an included file."""
    return "domains:\n" + "".join(f"  {name}: {{url: www.{name}}}\n" for name in names)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    return proxygen("--root", folder.parents[2], *arguments)


def said(folder: Path, *arguments: str) -> dict[str, Any]:
    """Return what a command says as JSON."""
    found = json.loads(run(folder, *arguments, "--json").stdout)
    assert isinstance(found, dict)
    return found


def served(folder: Path) -> set[str]:
    """Return whose certificates `status` shows."""
    return {each["owner"] for each in said(folder, "status")["owners"]} - {"global"}


def kept(folder: Path) -> dict[Path, int]:
    """Return what is kept of the model, and when it was written."""
    there = folder.parents[2] / "var/lib/proxygen/store/model"
    return {each: each.stat().st_mtime_ns for each in there.rglob("*") if each.is_file()}


def test_a_file_that_is_set_aside_is_told_by_every_command(folder: Path) -> None:
    assert run(folder, "apply").returncode == 0
    (folder / "b.yaml").write_text("domains:\n  b.example: {url: www.b.example, nope: 1}\n")
    (folder / "c.yaml").write_text(domains("c.example"))
    before = kept(folder)
    for command, code in (("validate", 3), ("plan", 9), ("status", 0), ("check", 1)):
        found = run(folder, command)
        assert found.returncode == code, found.stdout + found.stderr
        words = found.stdout + found.stderr
        assert "unknown field" in words
        assert f"{folder}/b.yaml:2:35" in words
    assert before == kept(folder)
    found = run(folder, "apply")
    assert found.returncode == 9, found.stdout + found.stderr
    assert (
        "b.yaml is set aside: its domain stays as it was when the file was last right"
        in found.stderr
    )
    assert "1 step done" in found.stdout  # that of c.example
    again = said(folder, "apply")
    assert again["exit_code"] == 9
    (told,) = again["set_aside"]
    assert (told["file"], told["kept"], told["lost"]) == (f"{folder}/b.yaml", ["b.example"], [])
    assert told["mistakes"][0]["line"] == 2
    assert told["mistakes"][0]["remedy"]
    assert "b.example" in served(folder)
    (mistake,) = said(folder, "validate")["mistakes"]
    assert mistake["file"] == f"{folder}/b.yaml"
    (folder / "b.yaml").write_text(domains("b.example"))
    assert run(folder, "apply").returncode == 0


def test_a_removal_that_is_held_back_is_told_by_every_command(folder: Path) -> None:
    assert run(folder, "apply").returncode == 0
    (folder / "a.yaml").write_text("")
    (folder / "c.yaml").write_text(domains("c.example"))
    for command, code in (("validate", 0), ("plan", 8), ("status", 0), ("check", 1)):
        found = run(folder, command)
        assert found.returncode == code, found.stdout + found.stderr
        assert "--confirm-removal" in found.stdout + found.stderr
    found = said(folder, "apply")
    assert found["exit_code"] == 8
    (told,) = found["held_back"]
    assert (told["file"], told["why"], len(told["domains"])) == (f"{folder}/a.yaml", "empty", 8)
    assert len(served(folder)) == 10
    (folder / "b.yaml").write_text("domains: {")
    assert said(folder, "apply")["exit_code"] == 8  # the first of 8 and 9
    assert run(folder, "apply", "--confirm-removal").returncode == 9
    assert served(folder) == {"b.example", "c.example"}


def test_one_customer_who_leaves_needs_no_confirmation(folder: Path) -> None:
    assert run(folder, "apply").returncode == 0
    (folder / "b.yaml").unlink()
    assert run(folder, "apply").returncode == 0
    assert "b.example" not in served(folder)


def test_a_folder_that_is_not_there_takes_nothing_away(folder: Path) -> None:
    assert run(folder, "apply").returncode == 0
    folder.rename(folder.with_name("elsewhere"))
    assert run(folder, "plan").returncode == 8
    assert run(folder, "apply").returncode == 8
    assert len(served(folder)) == 9
    folder.with_name("elsewhere").rename(folder)
    assert run(folder, "apply").returncode == 0


def test_a_failure_counts_more_than_what_is_set_aside(folder: Path) -> None:
    (folder / "b.yaml").write_text("domains: {")
    (folder / "c.yaml").write_text(
        "domains: {c.example: {url: www.c.example, certificate: {file: {certificate: none.pem}}}}"
    )
    assert run(folder, "apply").returncode == 5
    assert run(folder, "plan").returncode == 5


def test_what_is_right_is_kept_once(folder: Path) -> None:
    assert run(folder, "apply").returncode == 0
    before = kept(folder)
    assert len(before) == 4  # the main file, two others, the serial
    assert {each.stat().st_mode & 0o777 for each in before} == {0o600}
    assert run(folder, "apply").returncode == 0
    assert kept(folder) == before


def test_a_main_file_that_is_wrong_stops_everything(folder: Path) -> None:
    assert run(folder, "apply").returncode == 0
    (folder.parent / "proxygen.yaml").write_text(MAIN + "nope: 1\n")
    (folder / "c.yaml").write_text(domains("c.example"))
    before = kept(folder)
    assert run(folder, "apply").returncode == 3
    assert kept(folder) == before


def test_what_others_than_root_write_should_be_bounded(folder: Path) -> None:
    assert "others than root" not in run(folder, "validate").stderr
    os.chown(folder / "b.yaml", 65534, 65534)
    for command in ("validate", "plan", "apply"):
        assert "users other than root can write" in run(folder, command).stderr
    assert said(folder, "validate")["warnings"]
    (folder.parent / "proxygen.yaml").write_text(LATER)
    assert "others than root" not in run(folder, "validate").stderr
    (folder.parent / "proxygen.yaml").write_text(MAIN)
    os.chown(folder / "b.yaml", 0, 0)
    folder.chmod(0o777)
    assert "users other than root can write" in run(folder, "validate").stderr


@pytest.mark.parametrize("link", ["file", "folder"])
def test_what_is_bounded_is_read_where_links_lead(folder: Path, link: str) -> None:
    outside = folder.parent / "private"
    outside.mkdir()
    issued = Authority().issue("www.c.example")
    made = issued.fullchain + issued.key
    (outside / "c.pem").write_bytes(made)
    (folder.parent / "proxygen.yaml").write_text(LATER)
    name = "c.pem" if link == "file" else "sub/c.pem"
    certificate = f"{{file: {{certificate: {name}}}}}"
    (folder / "c.yaml").write_text(
        f"domains: {{c.example: {{url: www.c.example, certificate: {certificate}}}}}"
    )
    if link == "file":
        (folder / name).symlink_to(outside / "c.pem")
    else:
        (folder / "sub").symlink_to(outside)
    for command in ("validate", "plan", "apply"):
        found = run(folder, command)
        assert found.returncode == 5, found.stdout + found.stderr
        assert f"it is not in {folder}" in found.stdout + found.stderr
    (folder / name.partition("/")[0]).unlink()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(made)
    assert run(folder, "validate").returncode == 0
    assert run(folder, "apply").returncode == 0


def taking(name: str) -> str:
    """Return the file of b.example with one domain more, whose URL has a name of another."""
    return domains("b.example") + f"  new.example: {{url: {name}}}\n"


@pytest.mark.parametrize("later", [False, True])
def test_a_name_that_is_held_back_is_not_taken(folder: Path, later: bool) -> None:
    assert run(folder, "apply").returncode == 0
    (folder / "a.yaml").write_text("")
    if later:
        assert run(folder, "apply").returncode == 8
    (folder / "b.yaml").write_text(taking("www.a1.example"))
    for _ in range(2):
        found = said(folder, "apply")
        assert found["exit_code"] == 8
        assert [len(each["domains"]) for each in found["held_back"]] == [8]
        (told,) = found["set_aside"]
        assert (told["file"], told["kept"]) == (f"{folder}/b.yaml", ["b.example"])
        (mistake,) = told["mistakes"]
        assert (mistake["line"], mistake["field"]) == (3, "domains.new.example.url")
        assert "--confirm-removal" in mistake["remedy"]
        assert "new.example" not in served(folder)
    (folder / "a.yaml").write_text(domains(*(f"a{number}.example" for number in range(8))))
    assert said(folder, "apply")["exit_code"] == 9
    assert "a1.example" in served(folder)
    assert "new.example" not in served(folder)
    (folder / "a.yaml").write_text("")
    assert run(folder, "apply", "--confirm-removal").returncode == 0
    assert served(folder) == {"b.example", "new.example"}
    assert run(folder, "apply").returncode == 0


def test_a_file_that_is_set_aside_and_no_longer_fits_stops_nobody(folder: Path) -> None:
    (folder.parent / "proxygen.yaml").write_text(NEEDY)
    text = "domains:\n  {}: {{url: www.{}, backend: app}}\n"
    (folder / "b.yaml").write_text(
        text.format("b.example", "b.example") + "  z.example: {url: www.z.example}\n"
    )
    assert run(folder, "apply").returncode == 0
    (folder / "b.yaml").write_text("domains: {")
    (folder.parent / "proxygen.yaml").write_text(MAIN)
    (folder / "c.yaml").write_text(domains("c.example"))
    for _ in range(2):
        found = said(folder, "apply")
        assert found["exit_code"] == 9, found
        (told,) = found["set_aside"]
        assert (told["kept"], told["lost"]) == (["z.example"], ["b.example"])
        assert any("unknown backend" in each["reason"] for each in told["mistakes"])
        assert {"c.example", "z.example", "a1.example"} <= served(folder)
    (folder.parent / "proxygen.yaml").write_text(NEEDY)
    assert said(folder, "apply")["set_aside"][0]["lost"] == []
    assert "b.example" in served(folder)


def test_what_the_model_file_loses_at_once_stays_with_what_is_held_back(folder: Path) -> None:
    (folder.parent / "proxygen.yaml").write_text(NEEDY)
    assert run(folder, "apply").returncode == 0
    (folder.parent / "proxygen.yaml").write_text(MAIN)
    (folder / "a.yaml").write_text("")
    (folder / "c.yaml").write_text(domains("c.example"))
    assert run(folder, "validate").returncode == 0
    assert run(folder, "check").returncode == 1
    for _ in range(2):
        found = said(folder, "apply")
        assert found["exit_code"] == 8, found
        (told,) = found["held_back"]
        assert (len(told["domains"]), told["lost"]) == (8, [])
        assert len(served(folder)) == 10
    assert run(folder, "apply", "--confirm-removal").returncode == 0
    assert served(folder) == {"b.example", "c.example"}


def test_a_file_that_is_named_and_missing_is_told_as_long_as_it_is(folder: Path) -> None:
    main = folder.parent / "proxygen.yaml"
    main.write_text(MAIN.replace("*.yaml", "a.yaml, domains.d/b.yaml"))
    assert run(folder, "apply").returncode == 0
    (folder / "b.yaml").unlink()
    for _ in range(2):
        found = run(folder, "apply")
        assert found.returncode == 8, found.stderr
        assert "b.yaml, which does not exist" in found.stderr
    assert "b.example" in served(folder)
    assert run(folder, "apply", "--confirm-removal").returncode == 0
    for command in ("apply", "renew", "validate"):
        found = run(folder, command)
        assert found.returncode == 0, found.stderr
        assert "b.yaml, which does not exist" in found.stderr
    assert "b.example" not in served(folder)
    main.write_text(MAIN.replace("*.yaml", "a.yaml"))
    assert "not there" not in run(folder, "apply").stderr
    main.write_text(MAIN.replace("*.yaml", "a.yaml, domains.d/never.yaml"))
    assert run(folder, "apply").returncode == 3


def test_a_file_that_is_named_and_whose_domains_moved_is_told_likewise(folder: Path) -> None:
    main = folder.parent / "proxygen.yaml"
    main.write_text(MAIN.replace("*.yaml", "a.yaml, domains.d/b.yaml"))
    assert run(folder, "apply").returncode == 0
    (folder / "b.yaml").unlink()
    with (folder / "a.yaml").open("a") as file:
        file.write("  b.example: {url: www.b.example}\n")
    for _ in range(3):
        found = run(folder, "apply")
        assert found.returncode == 0, found.stderr
        assert "b.yaml, which does not exist" in found.stderr


SILENTLY = Show(as_json=True)


def once(site: Site, parts: Installation, shown: Progress, alone: Alone) -> Outcome:
    """Do what `apply` does."""
    return reconcile(site, parts, shown, alone=alone)


def test_what_another_run_kept_before_ours_began_counts(folder: Path) -> None:
    layout = Layout(folder.parents[2], folder.parent / "proxygen.yaml")
    assert run(folder, "apply").returncode == 0
    (folder / "a.yaml").write_text("")
    read = assemble.read_site(layout, confirmed=True)
    (folder / "c.yaml").write_text(domains("c.example"))
    assert run(folder, "apply").returncode == 8
    outcome = run_of(layout, read, once, show=SILENTLY)
    assert outcome.exit_code == 0
    (folder / "c.yaml").write_text("domains: {")
    (told,) = said(folder, "apply")["set_aside"]
    assert told["kept"] == ["c.example"]
    assert served(folder) == {"b.example", "c.example"}


def test_what_is_confirmed_is_so_for_one_round(folder: Path) -> None:
    layout = Layout(folder.parents[2], folder.parent / "proxygen.yaml")
    read = assemble.read_site(layout, confirmed=True)
    assert run_of(layout, read, once, show=SILENTLY).exit_code == 0
    second = site_for_second_round(layout, read)
    (folder / "a.yaml").write_text("")
    assert run(folder, "apply").returncode == 8
    assert run_of(layout, second, once, show=SILENTLY).exit_code == 8
    assert len(served(folder)) == 9
