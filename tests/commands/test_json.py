"""What ``--json`` prints, whatever the command: a version first, and codes for programs."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

import click
import pytest

from proxygen import commands
from proxygen.plan.document import VERSION
from tests.commands.test_cli import MODEL, proxygen

NAMES = [each.name for each in pkgutil.iter_modules(commands.__path__)]


def command(name: str) -> click.Command:
    """Return a command of that module."""
    found: click.Command = importlib.import_module(f"proxygen.commands.{name}").command
    return found


PRINTING = [name for name in NAMES if any("--json" in each.opts for each in command(name).params)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root with a model file whose certificates ask nobody."""
    (tmp_path / "etc/proxygen").mkdir(parents=True)
    (tmp_path / "etc/proxygen/proxygen.yaml").write_text(MODEL)
    return tmp_path


def said(root: Path, *arguments: str) -> dict[str, Any]:
    """Return what a command prints as JSON, its keys in order."""
    run = proxygen("--root", root, *arguments, "--json")
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize("name", PRINTING)
def test_every_document_begins_with_its_version(name: str, root: Path) -> None:
    given = ["--no-start"] if name == "install_service" else []
    found = said(root, name.replace("_", "-"), *given)
    assert next(iter(found)) == "version"
    assert found["version"] == VERSION == 1
    assert len(found) > 1


def test_so_does_one_about_one_name(root: Path) -> None:
    found = said(root, "names", "--explain", "www.a.example")
    assert (found["version"], found["name"]) == (VERSION, "www.a.example")


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("status", "--nonsense"), ("apply", "nobody.example")]
)
def test_so_does_a_refusal(arguments: tuple[str, ...], root: Path) -> None:
    found = said(root, *arguments)
    assert (found["version"], found["exit_code"]) == (VERSION, 2)


def test_the_commands_that_tell_something_print_json() -> None:
    assert set(NAMES) - set(PRINTING) == {"init", "schema", "watch"}


@pytest.mark.parametrize("path", ["cli.py", *(f"commands/{name}.py" for name in PRINTING)])
def test_no_document_is_printed_without_its_version(path: str) -> None:
    tree = ast.parse((Path(commands.__file__).parents[1] / path).read_text(encoding="utf-8"))
    dumping = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("dump", "dumps")
    ]
    assert not dumping, "print proxygen.plan.document.document()"
