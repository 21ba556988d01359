"""What ``--json`` prints, whatever the command: a version first, and codes for programs."""

from __future__ import annotations

import ast
import copy
import importlib
import json
import pickle
import pkgutil
import re
from pathlib import Path
from typing import Any

import click
import pytest

from proxygen import commands, errors
from proxygen.reports.document import VERSION
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


@pytest.mark.parametrize(
    ("arguments", "model", "code"),
    [
        (("apply", "nobody.example"), MODEL, "usage"),
        (("validate",), "global: {}\n", "model"),
        (("rollback",), MODEL, "usage"),
    ],
)
def test_a_refusal_has_a_code(
    arguments: tuple[str, ...], model: str, code: str, root: Path
) -> None:
    (root / "etc/proxygen/proxygen.yaml").write_text(model)
    assert said(root, *arguments)["code"] == code


def test_every_kind_of_error_has_a_code_of_its_own() -> None:
    kinds = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.ProxygenError)
    ]
    codes = [each.code for each in kinds]
    assert len(kinds) > 10
    assert len(set(codes)) == len(codes)
    assert all(each.isascii() and each == each.lower() and " " not in each for each in codes)


def test_what_a_run_did_and_warns_of_has_codes(root: Path) -> None:
    found = said(root, "apply")
    assert [(each["code"], each["of"]) for each in found["done"]] == [
        ("issue", "global"),
        ("issue", "a.example"),
    ]
    assert found["done"][0]["words"].startswith("issue the certificate of global (selfsigned)")
    (root / "etc/proxygen/proxygen.yaml").write_text(
        MODEL.replace(", certificate: selfsigned}\nservices", "}\nservices")
    )
    (warning,) = said(root, "plan")["warnings"]
    assert (warning["code"], warning["of"]) == ("not-covered", "a.example")
    assert "does not cover this name" in warning["words"]
    (same,) = said(root, "status")["warnings"]
    assert same == warning


WRONG = """\
global: {url: https://mail.example.net, certificate: selfsigned, colour: red}
domains:
  a.example: {url: https://www.a.example, certificate: selfsigned, backend: nowhere}
  b.example: {url: https://www.a.example, certificate: always}
  c.example: {certificate: selfsigned}
  a.example: {}
"""


def test_mistakes_of_a_model_have_codes(root: Path) -> None:
    (root / "etc/proxygen/proxygen.yaml").write_text(WRONG)
    found = {each["field"]: each["code"] for each in said(root, "validate")["mistakes"]}
    assert found["global.…"] == "unknown-field"
    assert found["domains.b.example.certificate"] == "value"
    assert found["domains.a.example.backend"] == "no-backend"
    assert found["domains.c.example.certificate"] == "needs-url"
    assert "yaml" in found.values()
    assert errors.OTHER not in found.values()


def test_every_mistake_is_made_with_a_code() -> None:
    folder = Path(commands.__file__).parents[1] / "model"
    without = [
        f"{path.name}:{node.lineno}"
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Mistake"
        and "code" not in {each.arg for each in node.keywords}
    ]
    assert not without


PLACES = {"Coded": 1, "coded": 0, "Finding": 1}
"""Which argument is the code."""


def codes() -> set[str]:
    """Return every code that stands in the source."""
    found = {each.code for each in vars(errors).values() if hasattr(each, "exit_code")}
    for path in Path(commands.__file__).parents[1].rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                at = PLACES.get(node.func.id)
                given = [node.args[at]] if at is not None and len(node.args) > at else []
                of_mistakes = node.keywords if node.func.id == "Mistake" else []
                given += [each.value for each in of_mistakes if each.arg == "code"]
                found |= {each.value for each in given if isinstance(each, ast.Constant)}
    return found


def test_every_code_is_told_in_the_documents() -> None:
    document = (Path(__file__).parents[2] / "docs/json.md").read_text()
    told = set(re.findall(r"`([a-z-]+)`", document))
    assert len(codes()) > 60
    assert codes() <= told


def test_validate_counts(root: Path) -> None:
    assert said(root, "validate")["model"] == {
        "file": str(root / "etc/proxygen/proxygen.yaml"),
        "domains": 1,
        "certificates": 2,
    }


def test_what_monitoring_finds_has_a_code(root: Path) -> None:
    codes = [each["code"] for each in said(root, "check")["findings"]]
    assert codes == ["no-global-certificate", "no-certificate"]


def test_words_keep_their_code_on_their_way() -> None:
    first = errors.Coded("it rains", "rain", "global")
    assert first == "it rains"
    assert list(errors.coded_words("other", [first, "it snows"], "a.example")) == [
        "it rains",
        "it snows",
    ]
    assert [
        *map(errors.words_json, errors.coded_words("snow", [first, "it snows"], "a.example"))
    ] == [
        {"code": "rain", "of": "global", "words": "it rains"},
        {"code": "snow", "of": "a.example", "words": "it snows"},
    ]
    for same in (copy.deepcopy(first), pickle.loads(pickle.dumps(first))):
        assert errors.words_json(same) == errors.words_json(first)
    assert errors.words_json("it hails") == {
        "code": errors.OTHER,
        "of": None,
        "words": "it hails",
    }


def test_the_commands_that_tell_something_print_json() -> None:
    assert set(NAMES) - set(PRINTING) == {"import_", "init", "schema", "watch"}


@pytest.mark.parametrize("path", ["cli.py", *(f"commands/{name}.py" for name in PRINTING)])
def test_no_document_is_printed_without_its_version(path: str) -> None:
    tree = ast.parse((Path(commands.__file__).parents[1] / path).read_text(encoding="utf-8"))
    dumping = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("dump", "dumps")
    ]
    assert not dumping, "print proxygen.reports.document.json_document()"
