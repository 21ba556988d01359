"""Arguments -> one command; errors -> a message and an exit code."""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import re
import sys
import traceback
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from proxygen import DOCUMENTS, __version__
from proxygen.credentials import concealed_words
from proxygen.errors import ProxygenError, ServiceError, UsageError, did_you_mean
from proxygen.failure import Scope, failure
from proxygen.languages.lines import terminal_text
from proxygen.reports.document import json_document

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

MODEL = "/etc/proxygen/proxygen.yaml"
PLAIN = re.compile(r"[A-Za-z0-9._/+=@~-]+")
"""Paths that stand for themselves in every configuration file."""
INTERRUPTED = 130
COMPLETE = "_PROXYGEN_COMPLETE"
"""The variable by which a shell asks for completions (click's "Shell Completion")."""


class Commands(click.Group):
    """The commands; a module is imported only when its command is the one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the name of every command, sorted; a module's underscore is its hyphen.

        One at its end stands where Python knows the word itself: ``import_.py``.
        """
        package = importlib.import_module("proxygen.commands")
        names = (module.name for module in pkgutil.iter_modules(package.__path__))
        return sorted(name.removesuffix("_").replace("_", "-") for name in names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one command, None for an unknown name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name.replace("-", "_")
        module = importlib.import_module(f"proxygen.commands.{name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant, quickly where a shell completes the words after it.

        For an unknown one tell the nearest.
        """
        if ctx.resilient_parsing:
            from proxygen.terminal.completion import stand_in

            if found := stand_in(args, lambda: self.get_command(ctx, args[0])):
                return found
        elif not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = did_you_mean(args[0], self.list_commands(ctx), "see `proxygen --help`")
            raise UsageError(f"No such command {args[0]!r}", remedy=near)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that go on as was typed.

        bash shows no more of a command than its name, so none is imported for it.
        """
        from click.shell_completion import CompletionItem

        if not os.environ.get(COMPLETE, "").startswith("bash"):
            return super().shell_complete(ctx, incomplete)
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        items = [CompletionItem(name) for name in names]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Every field of the model: {DOCUMENTS}/model.md",
)
@click.version_option(__version__, prog_name="proxygen", message="%(prog)s %(version)s")
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"The model file (default: {MODEL}).",
)
@click.option(
    "--root",
    metavar="DIR",
    default="/",
    type=click.Path(path_type=Path, file_okay=False),
    help="Use paths below DIR instead of /, for trials.",
)
@click.pass_context
def entry(ctx: click.Context, config: Path | None, root: Path) -> None:
    """Keep the TLS certificates of nginx, postfix and dovecot as one model file says."""
    from proxygen.host import environment, files
    from proxygen.model.layout import Layout

    root = files.absolute_path(root)
    if root == Path("/"):  # below another one it is a trial, with what a trial needs
        environment.forget_trust()
    if not PLAIN.fullmatch(str(root)):
        raise UsageError(
            f"--root {root}: services cannot be told of such a path",
            remedy="use one of letters, digits and . _ - + = @ ~",
        )
    ctx.obj = Layout(root, config or root / MODEL.lstrip("/"))


def main() -> NoReturn:
    """Run the command line; every way out has its exit code (DESIGN section 6).

    What others must be able to read is made readable whatever the caller's umask is; what they
    must not is created with a mode of its own.
    """
    os.umask(0o022)
    try:
        code = entry.main(prog_name="proxygen", complete_var=COMPLETE, standalone_mode=False)
    except click.ClickException as error:
        code = refused_by_click(error)
    except click.exceptions.Abort:
        click.echo("interrupted; `proxygen apply` finishes whatever was begun", err=True)
        leave_at_once(INTERRUPTED)
    except ProxygenError as error:
        code = print_error(error)
    except BrokenPipeError:
        leave_at_once(0)
    except OSError as error:
        code = print_error(refused_by_the_system(error))
    except Exception:  # noqa: BLE001 - a bug of ours; what it quotes may be a secret
        code = told_bug(traceback.format_exc())
    end_with(code if isinstance(code, int) else 0)


def refused_by_click(error: click.ClickException) -> int:
    """Say what is wrong with the command line, as JSON where asked for; return the exit code."""
    if "--json" not in sys.argv[1:]:
        error.show()
        return error.exit_code
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context else "proxygen"
    return print_error(UsageError(error.format_message(), remedy=f"see `{command} --help`"))


def refused_by_the_system(error: OSError) -> ProxygenError:
    """Return what to say when the system refused a file."""
    words = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    if isinstance(error, PermissionError):
        return UsageError(failure("file-forbidden", Scope.COMMAND, words=words))
    return ServiceError(failure("file-refused", Scope.HOST, words=words))


def print_error(error: ProxygenError) -> int:
    """Say what went wrong, in words or as JSON where asked for; return the exit code.

    Where standard output takes nothing it is said in words, to standard error.
    """
    if "--json" in sys.argv[1:]:
        with contextlib.suppress(OSError):
            click.echo(json_document(error.as_json() | {"exit_code": error.exit_code}))
            return error.exit_code
    with contextlib.suppress(OSError):
        click.echo(str(error), err=True)
    return error.exit_code


def told_bug(trace: str) -> int:
    """Show the traceback of a bug; return its exit code."""
    with contextlib.suppress(OSError):
        click.echo(terminal_text(concealed_words(trace.rstrip())), err=True)
    return ProxygenError.exit_code


def end_with(code: int) -> NoReturn:
    """End with an exit code, whether or not what was printed could be written."""
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    except OSError:
        leave_at_once(code)
    sys.exit(code)


def leave_at_once(code: int) -> NoReturn:
    """End at once: whatever a thread still waits for, it may be killed at any instant."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)
