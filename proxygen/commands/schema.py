"""schema: the JSON Schema of the model file, for editors."""

from __future__ import annotations

import json

import click

from proxygen import registry
from proxygen.model.schema import Included, main_type


@click.command
@click.option("--included", is_flag=True, help="Print the schema of an included file.")
def command(included: bool) -> int:
    """Print the JSON Schema of the model file.

    An editor with a YAML language server finds it by a first line in the model such as

    \b
    # yaml-language-server: $schema=proxygen.schema.json
    """
    grammar = Included if included else main_type(registry.settings())
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    click.echo(json.dumps(schema | grammar.model_json_schema(), indent=2))
    return 0
