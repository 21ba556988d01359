"""The man page, made from what `--help` prints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import cast

import click

UNUSUAL = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "^": r"\(ha", "~": r"\(ti"}
EMPHASIS = re.compile(r"`([^`]+)`")
EXIT_CODE = re.compile(r"(?m)^\| (\d+) \| (.*?) \|.*\|$")


def page(entry: click.Group, version: str, changed: datetime, reference: str) -> str:
    """Return proxygen(8): every command and option, and the exit codes of docs/commands.md."""
    context = click.Context(entry, info_name="proxygen", **entry.context_settings)
    lines = [
        f'.TH PROXYGEN 8 {changed:%Y-%m-%d} "proxygen {version}" "System Administration"',
        *(".SH NAME", rf"proxygen \- {plain(purpose(entry))}"),
        *(".SH SYNOPSIS", *usage(context)),
        *(".SH DESCRIPTION", *paragraphs(DESCRIPTION)),
        *(".SH OPTIONS", *options(context)),
        *(".SH COMMANDS", *commands(context)),
        *(".SH EXIT STATUS", *exit_codes(reference)),
        *(".SH FILES", *files()),
        *(".SH SEE ALSO", *paragraphs(SEE_ALSO)),
    ]
    return "\n".join(lines) + "\n"


DESCRIPTION = """\
One YAML file, the model, says which domains a mail and groupware server serves, at which URLs,
with which certificates. `proxygen apply` makes nginx, postfix and dovecot match it. Begin with
`proxygen init`, then `validate`, `plan` and `apply`; `proxygen install-service` has systemd keep
it so.

DOMAIN is one of `domains:` in the model, or `global`; SERVICE is `nginx`, `postfix` or
`dovecot`.
"""
FILES = {
    "/etc/proxygen/proxygen.yaml": "the model",
    "/var/lib/proxygen/": "keys, certificates, accounts, and the configuration that serves",
    "/usr/share/doc/proxygen/": "README.md, all documents (docs/index.md), examples",
    "/usr/share/proxygen/": "JSON Schemas of the model and of included files, for editors",
}
SEE_ALSO = "nginx(8), postfix(1), dovecot(1), systemctl(1), /usr/share/doc/proxygen/README.md"


def purpose(entry: click.Group) -> str:
    """Return in a word what proxygen is, as whatis(1) shows it."""
    text = str(entry.help).removesuffix(".")
    return text[:1].lower() + text[1:]


def commands(context: click.Context) -> Iterator[str]:
    """Yield what each command does, with its options."""
    group = cast(click.Group, context.command)
    for name in group.list_commands(context):
        command = cast(click.Command, group.get_command(context, name))
        below = click.Context(command, info_name=name, parent=context)
        yield from (f".SS {plain(name)}", *usage(below), ".PP")
        yield from paragraphs(str(command.help))
        yield from options(below)


def usage(context: click.Context) -> Iterator[str]:
    """Yield the line with which a command is called."""
    pieces = " ".join(context.command.collect_usage_pieces(context))
    yield rf".B {plain(context.command_path)}"
    yield plain(pieces)


def options(context: click.Context) -> Iterator[str]:
    """Yield a command's options, in the words of `--help`."""
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if record and isinstance(parameter, click.Option):
            yield from (".TP", rf".B {plain(record[0])}", marked(record[1]))


def exit_codes(reference: str) -> Iterator[str]:
    """Yield the exit codes as docs/commands.md lists them."""
    for code, means in EXIT_CODE.findall(reference):
        yield from (".TP", f".B {code}", marked(means))


def files() -> Iterator[str]:
    """Yield the places that everybody should know."""
    for path, what in FILES.items():
        yield from (".TP", f".I {plain(path)}", plain(what))


def paragraphs(text: str) -> Iterator[str]:
    """Yield paragraphs; one that click must not wrap (``\\b``) keeps its lines."""
    for index, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        if index:
            yield ".PP"
        lines = [line.strip() for line in paragraph.splitlines()]
        if lines[0] == "\b":
            yield from (".nf", *map(marked, lines[1:]), ".fi")
        else:
            yield marked(" ".join(lines))


def marked(text: str) -> str:
    """Return one line of text, what stands in backticks in bold."""
    shown = EMPHASIS.sub(lambda found: rf"\fB{plain(found[1])}\fR", plain_but_ticks(text))
    return shown if shown[:1] not in (".", "'") else rf"\&{shown}"


def plain_but_ticks(text: str) -> str:
    """Return text with every special character outside backticks taken for itself."""
    pieces = EMPHASIS.split(text)
    return "".join(f"`{each}`" if index % 2 else plain(each) for index, each in enumerate(pieces))


def plain(text: str) -> str:
    """Return text as man(7) takes it for itself."""
    shown = "".join(UNUSUAL.get(character, character) for character in text)
    return shown if shown[:1] != "." else rf"\&{shown}"
