"""Completion: what a shell is offered, quickly, and silent where nothing can be read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from proxygen.cli import entry
from proxygen.terminal import completion
from tests.live.needs import needs

MODEL = """\
global: {url: https://mail.example.net, certificate: selfsigned, extra_names: [imap.example.net]}
domains:
  a.example: {url: https://www.a.example, extra_names: ["*.a.example"]}
  müller.example: {url: 7, extra_names: nothing}
  "$(touch x)": {}
  "*": {}
  b.example:
include: [domains.d/d.yaml, {files: "domains.d/[!d].yaml", certificates: domains.d}, 7]
"""
ALL = ["a.example", "b.example", "c.example", "global", "müller.example"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root with a model, part of which is wrong."""
    folder = tmp_path / "etc/proxygen"
    (folder / "domains.d").mkdir(parents=True)
    (folder / "proxygen.yaml").write_text(MODEL)
    (folder / "domains.d/c.yaml").write_text("domains: {c.example: {}}\n")
    (folder / "domains.d/d.yaml").write_text("domains: {d.example: {]\n")
    (folder / "domains.d/e.yaml").symlink_to("nowhere")
    return tmp_path


def completed(*line: object, more: str = "") -> list[str]:
    """Return what bash is offered for the last word of a line, which is *more*."""
    words = ["proxygen", *map(str, line)]
    run = subprocess.run(
        [sys.executable, "-P", "-m", "proxygen"],
        env=os.environ
        | {
            "_PROXYGEN_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join([*words, more]),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr == ""
    assert "Traceback" not in run.stdout
    return [each.removeprefix("plain,") for each in run.stdout.splitlines() if each]


@pytest.mark.parametrize("command", ["apply", "renew", "dns"])
def test_domains_are_those_of_the_model(root: Path, command: str) -> None:
    assert completed("--root", root, command) == ALL
    assert completed("--root", root, command, more="c") == ["c.example"]


def test_names_are_owners_and_what_they_are_called(root: Path) -> None:
    named = ["imap.example.net", "mail.example.net", "www.a.example"]
    assert completed("--root", root, "names") == sorted([*ALL, *named])
    assert completed("--root", root, "names", "--explain", more="www") == ["www.a.example"]
    assert completed("--root", root, "names", "--state", more="wa") == ["waiting"]


@pytest.mark.parametrize("command", ["rollback", "uninstall"])
def test_services_are_those_that_proxygen_knows(command: str) -> None:
    assert completed(command) == ["dovecot", "nginx", "postfix"]
    assert completed(command, "nginx") == ["dovecot", "postfix"]


def test_what_stands_there_already_is_not_offered_again(root: Path) -> None:
    assert "a.example" not in completed("--root", root, "apply", "a.example")


def test_the_model_is_the_one_that_the_line_names(root: Path) -> None:
    model = root / "etc/proxygen/domains.d/c.yaml"
    assert completed("--config", model, "apply") == ["c.example", "global"]
    assert completed(f"--config={model}", "apply") == ["c.example", "global"]


def test_commands_and_options_are_offered(root: Path) -> None:
    assert completed(more="na") == ["names"]
    assert completed(more="--ro") == ["--root"]
    assert completed("--root", root, "apply", "a.example", more="--wait-d") == ["--wait-dns"]


@pytest.mark.parametrize("text", ["", "7\n", "global: {", "\0", "include: [nowhere/**/*]\n", None])
def test_a_wrong_model_or_none_is_silent(tmp_path: Path, text: str | None) -> None:
    model = tmp_path / "proxygen.yaml"
    if text is not None:
        model.write_text(text)
    assert not set(completed("--config", model, "apply")) - {"global"}
    assert completed("--config", tmp_path, "apply") == []


def test_a_home_that_nobody_has_is_silent() -> None:
    assert completed("--config=~nobody-has-it/proxygen.yaml", "apply") == ["global"]


@pytest.mark.parametrize("command", sorted(completion.ARGUMENTS))
def test_what_stands_for_a_command_says_the_same(root: Path, command: str) -> None:
    option = "--json"  # with one the command itself is asked
    assert completed("--root", root, command) == completed("--root", root, command, option)


def test_every_command_with_arguments_completes_them() -> None:
    context = click.Context(entry)
    commands = {name: entry.get_command(context, name) for name in entry.list_commands(context)}
    having = {
        name
        for name, command in commands.items()
        if command and any(isinstance(each, click.Argument) for each in command.params)
    }
    assert having == set(completion.ARGUMENTS)


def test_nothing_is_imported_that_it_does_not_use(root: Path) -> None:
    program = (
        "import sys\nfrom proxygen import cli\n"
        "try: cli.main()\n"
        "finally: print('modules', *sorted(sys.modules), file=sys.stderr)\n"
    )
    line = {"COMP_WORDS": f"proxygen --root {root} apply ", "COMP_CWORD": "4"}
    run = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=os.environ | line | {"_PROXYGEN_COMPLETE": "bash_complete"},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {each.partition(".")[0] for each in run.stderr.split()}
    assert "plain,a.example" in run.stdout
    unused = {"acme", "cryptography", "pydantic", "jinja2", "requests", "rich", "idna", "dns"}
    assert not loaded & unused


@needs("bash")
def test_bash_itself_completes_a_domain(root: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin/proxygen"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m proxygen "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(_PROXYGEN_COMPLETE=bash_source proxygen)"\n'
        f"COMP_WORDS=(proxygen --root {root} apply a.ex) COMP_CWORD=4\n"
        "_proxygen_completion proxygen\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    run = subprocess.run(
        ["bash", "-c", script],
        env=os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        cwd=Path.cwd(),
    )
    assert run.stdout == "a.example\n"
