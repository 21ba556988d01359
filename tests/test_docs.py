"""The documents are true: fields, commands, options, models, command lines, messages, links."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from packaging.requirements import Requirement

from proxygen import assemble, registry
from proxygen.cli import entry
from proxygen.model.layout import Layout
from proxygen.model.mistakes import expand_node
from proxygen.model.schema import main_type
from proxygen.stores.kinds import OWN, SHARED

HOUSE = Path(__file__).parent.parent
DOCUMENTS = (HOUSE / "README.md", *sorted((HOUSE / "docs").glob("*.md")))
README = DOCUMENTS[0].read_text()
COMMANDS = (HOUSE / "docs/commands.md").read_text()
MODEL = (HOUSE / "docs/model.md").read_text()

SCHEMA = main_type(registry.settings()).model_json_schema()
BASE: Mapping[str, Any] = {
    "global": {"url": "https://mail.example.net", "certificate": "selfsigned"},
    "acme": {"terms_of_service_agreed": True},
    "backends": {"groupware": {"upstreams": {"web": ["http://10.0.0.11:8080"]}}},
}
"""What a block that shows a part of a model is a part of."""


def fields(node: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield each field's name as docs/model.md writes it, with its default as the schema has it."""
    for form in expand_node(SCHEMA, node):
        for name, below in form.get("properties", {}).items():
            path = (*above, name)
            if above == ("acme", "fallback"):
                continue  # told once, as fields of `acme`
            dotted = re.sub(
                r"^(global|domains\.NAME)\.certificate\.", "certificate.", ".".join(path)
            )
            yield dotted, below.get("default")
            yield from fields(below, path)
        if isinstance(form.get("items"), dict):
            yield from fields(form["items"], (*above[:-1], f"{above[-1]}[]"))
        if isinstance(form.get("additionalProperties"), dict):
            key = "PATH" if above[-1] == "locations" else "NAME"
            yield from fields(form["additionalProperties"], (*above, key))


FIELDS = dict(fields(SCHEMA))


def rows(document: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the tables in a document."""
    for line in re.findall(r"(?m)^\| `.*\|$", document):
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_of_the_schema_has_its_row_with_its_default(name: str) -> None:
    found = [row for row in rows(MODEL) if row[0] == f"`{name}`"]
    assert len(found) == 1, f"docs/model.md has {len(found)} rows for `{name}`"
    default = FIELDS[name]
    if isinstance(default, str | int | list):
        shown = default if isinstance(default, str) else json.dumps(default)
        assert found[0][2] == f"`{shown}`"


def test_no_field_is_told_that_the_schema_does_not_have() -> None:
    told = {row[0].strip("`") for row in rows(MODEL) if len(row) == 4}
    assert told == FIELDS.keys()


def commands() -> list[tuple[str, click.Command]]:
    """Return every command by its name."""
    context = click.Context(entry)
    found = [(name, entry.get_command(context, name)) for name in entry.list_commands(context)]
    return [(name, command) for name, command in found if command]


def options(command: click.Command) -> list[str]:
    """Return the options of a command, ``--no-`` forms included."""
    return [
        flag
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for flag in (*parameter.opts, *parameter.secondary_opts)
        if flag not in ("-h", "--help")
    ]


@pytest.mark.parametrize(("name", "command"), commands(), ids=lambda each: str(each))
def test_every_command_has_its_row_with_its_options(name: str, command: click.Command) -> None:
    found = [row for row in rows(COMMANDS) if row[0].strip("`").split()[0] == name]
    assert len(found) == 1, f"docs/commands.md has {len(found)} rows for `{name}`"
    assert sorted(re.findall(r"`(-[^`]+)`", found[0][1])) == sorted(options(command))


@pytest.mark.parametrize("option", options(entry))
def test_every_option_before_the_command_is_told(option: str) -> None:
    assert re.search(rf"`[^`]*{option}\b[^`]*`", COMMANDS)


def blocks() -> Iterator[Any]:
    """Yield each block of YAML in the documents."""
    for path in DOCUMENTS:
        text = path.read_text()
        for found in re.finditer(r"(?ms)^```yaml\n(.*?)^```$", text):
            line = text.count("\n", 0, found.start()) + 1
            yield pytest.param(found[1], id=f"{path.name}:{line}")


@pytest.mark.parametrize("block", [*blocks()])
def test_every_block_of_yaml_is_a_model_or_a_part_of_one(block: str, tmp_path: Path) -> None:
    whole = re.search(r"(?m)^global:", block)
    path = tmp_path / "proxygen.yaml"
    # Parts are completed; what is whole goes to the reader as it stands. JSON is YAML.
    path.write_text(block if whole else json.dumps({**BASE, **yaml.safe_load(block)}))
    assert assemble.read_site(Layout(tmp_path, path)).main.host == "mail.example.net"


def test_the_readme_is_read_in_ten_minutes() -> None:
    assert README.count("\n") < 150


def test_the_index_leads_to_every_page() -> None:
    pages = {path.name for path in DOCUMENTS[1:]} - {"index.md"}
    index = (HOUSE / "docs/index.md").read_text()
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", index)) == pages


def links() -> Iterator[Any]:
    """Yield each link to a file of the checkout, with its anchor."""
    for path in DOCUMENTS:
        for target, anchor in re.findall(r"\]\(([^):#]*)(?:#([^)]*))?\)", path.read_text()):
            if target or anchor:
                there = path.parent / target if target else path
                yield pytest.param(there, anchor, id=f"{path.name} to {target}#{anchor}")


def anchors(document: str) -> set[str]:
    """Return what each heading is called, as mkdocs and code hosts do."""
    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", document))
    return {re.sub(r"[^\w\s-]", "", each).strip().lower().replace(" ", "-") for each in headings}


@pytest.mark.parametrize(("target", "anchor"), [*links()])
def test_every_link_leads_to_a_file_and_a_heading(target: Path, anchor: str) -> None:
    assert target.is_file()
    assert not anchor or anchor in anchors(target.read_text())


PLACEHOLDERS = {
    "DOMAIN": "customer-a.example",
    "NAME": "webmail.customer-a.example",
    "SERVICE": "nginx",
    "DAYS": "5",
    "SECONDS": "1",
}
"""What stands for a word in capitals of a command line."""
HOST = frozenset(
    {
        *("apt", "date", "journalctl", "ln", "python3", "rm", "sh", "systemctl", "tar"),
        *("tsig-keygen", "umask"),
    }
)
"""Debian's programs in the documents; tests/packaging/ and test_outage.py run what matters."""


def shell_blocks() -> Iterator[Any]:
    """Yield each block of command lines."""
    for path in DOCUMENTS:
        text = path.read_text()
        for found in re.finditer(r"(?ms)^```sh\n(.*?)^```$", text):
            line = text.count("\n", 0, found.start()) + 1
            yield pytest.param(found[1], id=f"{path.name}:{line}")


def split(line: str) -> Iterator[list[str]]:
    """Yield the words of each command in a line of a shell, without where its output goes."""
    lexer = shlex.shlex(re.sub(r"\$\([^)]*\)", "", line), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    command: list[str] = []
    words = [*lexer, ";"]
    for before, word in zip(["", *words], words, strict=False):
        if set(word) <= set("();&|<>"):
            if command:
                yield command
            command = []
        elif not set(before) & set("<>") and not re.fullmatch(r"[A-Z_]+=.*", word):
            command.append(word)


def block_commands(block: str) -> list[list[str]]:
    """Return the words of each command in a block."""
    lines = block.replace("\\\n", " ").splitlines()
    return [words for line in lines for words in split(line)]


def command_lines() -> list[tuple[str, ...]]:
    """Return the arguments of every ``proxygen`` in a block or within a text, each once."""
    found = set()
    for path in DOCUMENTS:
        text = path.read_text()
        blocks = re.findall(r"(?ms)^```sh\n(.*?)^```$", text)
        prose = re.sub(r"(?ms)^```.*?^```$", "", text)
        inline = re.findall(r"`(proxygen [a-z-][^`…]*)`", prose.replace("\n", " "))
        for words in (each for block in (*blocks, *inline) for each in block_commands(block)):
            if Path(words[0]).name == "proxygen":
                found.add(tuple(PLACEHOLDERS.get(word, word) for word in words[1:]))
    return sorted(found)


@pytest.mark.parametrize("line", command_lines(), ids=" ".join)
def test_every_command_line_is_understood(line: tuple[str, ...]) -> None:
    with suppress(click.exceptions.Exit):  # --version
        context = entry.make_context("proxygen", list(line))
        name, command, arguments = entry.resolve_command(context, list(line))
        assert command
        command.make_context(name, arguments, parent=context)


@pytest.mark.parametrize("block", [*shell_blocks()])
def test_every_program_in_a_block_of_command_lines_is_there(block: str) -> None:
    subprocess.run(["bash", "-n"], input=block, text=True, check=True)
    for words in block_commands(block):
        if words[:2] == [".venv/bin/python", "-m"]:
            assert find_spec(words[2])
        elif Path(words[0]).name not in {*HOST, "proxygen", "pip"}:
            assert (HOUSE / words[0]).stat().st_mode & 0o100, f"{words[0]} cannot be run"
        for word in words[1:]:
            if re.match(r"(tests|packaging)/", word):
                assert (HOUSE / word).exists(), f"there is no {word}"


@cache
def said() -> str:
    """Return all texts in the code and the languages, a line each."""
    files = [*(HOUSE / "proxygen").rglob("*.py"), *(HOUSE / "proxygen/languages").glob("*.yaml")]
    return "\n".join(text for path in files for text in texts(path))


def texts(path: Path) -> Iterator[str]:
    """Yield the texts in a file, ``…`` in place of what is filled in."""
    if path.suffix == ".yaml":
        yield path.read_text()
        return
    nodes = [*ast.walk(ast.parse(path.read_text()))]
    docstrings = {node.value for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            parts = (each.value if isinstance(each, ast.Constant) else "…" for each in node.values)
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and node not in docstrings:
            yield str(node.value)


def quoted() -> Iterator[str]:
    """Yield each message that a table of what you see quotes."""
    text = (HOUSE / "docs/troubleshooting.md").read_text()
    for seen in re.findall(r"(?m)^\| (?!you see)(.*?) \|", text):
        yield from re.findall(r"`([^`]+)`", seen)


@pytest.mark.parametrize("message", [*quoted()])
def test_every_message_that_is_quoted_exists(message: str) -> None:
    assert all(part.strip() in said() for part in re.split(r"…|\b[A-Z]{4,}\b", message))


DOCS = tomllib.loads((HOUSE / "pyproject.toml").read_text())["dependency-groups"]["docs"]


@pytest.mark.parametrize("asked", DOCS)
def test_the_lock_of_the_site_has_what_its_group_asks_for(asked: str) -> None:
    lock = (HOUSE / "docs/requirements.lock").read_text()
    wanted = Requirement(asked)
    found = re.search(rf"(?m)^{wanted.name}==(\S+)", lock)
    assert found
    assert found[1] in wanted.specifier, "make it anew, as docs/build says"
    assert "://" not in lock
    assert all("--hash=sha256:" in each for each in re.split(r"(?m)^(?=\S)", lock)[1:])


def test_each_kind_of_the_store_is_told_with_whose_it_is() -> None:
    told = list(rows((HOUSE / "docs/store.md").read_text()))
    found = {
        whose: {row[0].strip("`"): row[3] for row in told if row[1] == whose}
        for whose in ("shared", "own")
    }
    assert found == {"shared": dict(SHARED), "own": dict(OWN)}
