"""Completion: the domains, names and services that a shell offers while they are typed."""

from __future__ import annotations

import os
import pkgutil
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from proxygen.errors import ProxygenError

HARMLESS = re.compile(r"[^\W_][\w.-]*")
"""What a shell takes for itself: a model may hold what customers wrote, and a name with ``$`` in
it must not get onto a command line by the tab key."""

Words = list[str]
Complete = Callable[[click.Context, click.Parameter, str], Words]


def complete_domains(context: click.Context, parameter: click.Parameter, typed: str) -> Words:
    """Return the owners that the model has."""
    return offered_words(model_owners(context), context, parameter, typed)


def complete_names(context: click.Context, parameter: click.Parameter, typed: str) -> Words:
    """Return the owners that the model has, and all of their names."""
    found = (
        word for key, fields in owners_with_fields(context) for word in (key, *names_of(fields))
    )
    return offered_words(found, context, parameter, typed)


def complete_services(context: click.Context, parameter: click.Parameter, typed: str) -> Words:
    """Return the services that proxygen knows."""
    modules = pkgutil.iter_modules([str(Path(__file__).parents[1] / "services")])
    known = (module.name for module in modules if "_" not in module.name)
    return offered_words(known, context, parameter, typed)


def offered_words(
    words: Iterator[str], context: click.Context, parameter: click.Parameter, typed: str
) -> Words:
    """Return the words that go on as was typed, but none that stands on the line already.

    Nothing where the model cannot be read: a shell is no place to tell it.
    """
    given = context.params.get(str(parameter.name))
    before = set(given) if isinstance(given, tuple) else set()
    found: set[str] = set()
    with suppress(ProxygenError, OSError, ValueError):
        found.update(word for word in words if word.startswith(typed) and HARMLESS.fullmatch(word))
    return sorted(found - before)


def model_owners(context: click.Context) -> Iterator[str]:
    """Yield each owner of the model."""
    return (key for key, _ in owners_with_fields(context))


def owners_with_fields(context: click.Context) -> Iterator[tuple[str, Any]]:
    """Yield each owner of the model with its fields, whether or not all of it is right."""
    for index, document in enumerate(model_documents(context)):
        if index == 0:
            yield "global", document.get("global")
        below = document.get("domains")
        yield from below.items() if isinstance(below, dict) else ()


def names_of(fields: Any) -> Iterator[str]:
    """Yield the names among an owner's fields."""
    if not isinstance(fields, dict):
        return
    extra = fields.get("extra_names")
    for each in (fields.get("url"), *(extra if isinstance(extra, list) else ())):
        if isinstance(each, str):
            yield each.removeprefix("https://").removesuffix("/")


def model_documents(context: click.Context) -> Iterator[dict[str, Any]]:
    """Yield what the files of the model hold, the main file first."""
    from proxygen.host import masks

    main = model_file(context)
    yield (first := file_document(main))
    included = first.get("include")
    for asked in included if isinstance(included, list) else ():
        mask = asked.get("files") if isinstance(asked, dict) else asked
        for name in sorted(masks.names(main.parent, mask)) if isinstance(mask, str) else ():
            with suppress(OSError):
                yield file_document(main.parent / name)


def file_document(path: Path) -> dict[str, Any]:
    """Return what one file holds, nothing for one that is not there or no mapping."""
    from proxygen.host import files
    from proxygen.model.yaml import LARGEST_MAIN, parse_document

    found = parse_document(str(path), files.read(path, LARGEST_MAIN) or b"").value
    return found if isinstance(found, dict) else {}


def model_file(context: click.Context) -> Path:
    """Return the model file that the line so far leads to."""
    given = context.find_root().params
    usual = Path(given.get("root") or "/") / "etc/proxygen/proxygen.yaml"
    given_or_usual = given.get("config") or usual
    return Path(os.path.expanduser(given_or_usual))  # noqa: PTH111 nobody's home is no error


ARGUMENTS: dict[str, Complete] = {
    **dict.fromkeys(("apply", "renew", "dns"), complete_domains),
    "names": complete_names,
    **dict.fromkeys(("rollback", "uninstall"), complete_services),
}
"""What the arguments of a command are, so that it need not be imported to complete them."""


class CompletionCommand(click.Command):
    """Stands for a command while words after it are completed, as those are typed most.

    Importing the real one takes longer than reading a model. For its options it is imported.
    """

    def __init__(self, name: str, real: Callable[[], click.Command | None]) -> None:
        argument = click.Argument(["words"], nargs=-1, shell_complete=ARGUMENTS[name])
        super().__init__(name, params=[argument], add_help_option=False)
        self.real = real

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the options that go on as was typed."""
        command = self.real()
        return command.shell_complete(ctx_of(command, ctx), incomplete) if command else []


def ctx_of(command: click.Command, context: click.Context) -> click.Context:
    """Return the context of a command in the place of its stand-in's."""
    return click.Context(command, context.parent, context.info_name, resilient_parsing=True)


def stand_in(
    arguments: list[str], real: Callable[[], click.Command | None]
) -> tuple[str, click.Command, list[str]] | None:
    """Return who completes the words after a command, None where its options must be known."""
    if not arguments or arguments[0] not in ARGUMENTS:
        return None
    name, *below = arguments
    if any(each.startswith("-") for each in below):
        return None
    return name, CompletionCommand(name, real), below
