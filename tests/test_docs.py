"""The documents say what is true: every field, command and option, and models that are read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from proxygen import assemble, registry
from proxygen.cli import entry
from proxygen.model.layout import Layout
from proxygen.model.mistakes import expanded
from proxygen.model.schema import main_type
from proxygen.stores.kinds import OWN, SHARED

HOUSE = Path(__file__).parent.parent
DOCUMENTS = (HOUSE / "README.md", *sorted((HOUSE / "docs").glob("*.md")))
README = DOCUMENTS[0].read_text()
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
    for form in expanded(SCHEMA, node):
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
    found = [row for row in rows(README) if row[0].strip("`").split()[0] == name]
    assert len(found) == 1, f"README.md has {len(found)} rows for `{name}`"
    assert sorted(re.findall(r"`(-[^`]+)`", found[0][1])) == sorted(options(command))


@pytest.mark.parametrize("option", options(entry))
def test_every_option_before_the_command_is_told(option: str) -> None:
    assert re.search(rf"`[^`]*{option}\b[^`]*`", README)


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
    assert assemble.site(Layout(tmp_path, path)).main.host == "mail.example.net"


def links() -> Iterator[Any]:
    """Yield each link to a file of the checkout."""
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", path.read_text()):
            yield pytest.param(path.parent / target, id=f"{path.name} to {target}")


@pytest.mark.parametrize("target", [*links()])
def test_every_link_leads_to_a_file(target: Path) -> None:
    assert target.is_file()


def test_each_kind_of_the_store_is_told_with_whose_it_is() -> None:
    told = list(rows((HOUSE / "docs/store.md").read_text()))
    found = {
        whose: {row[0].strip("`"): row[3] for row in told if row[1] == whose}
        for whose in ("shared", "own")
    }
    assert found == {"shared": dict(SHARED), "own": dict(OWN)}
