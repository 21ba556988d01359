"""Lines and progress, on a terminal or not; nobody has to listen."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from proxygen.apply.outcome import SILENT, Progress, nothing


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """Have a progress bar on a terminal, else a line a step."""
    if quiet:
        yield SILENT
    elif sys.stderr.isatty():
        with bar() as shown:
            yield shown
    else:
        yield Progress(echo, nothing)


@contextmanager
def bar() -> Iterator[Progress]:
    """Have a progress bar of the certificates, with the steps scrolling above it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("certificates"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    with Bar(*columns, console=console, transient=True) as shown:
        task = shown.add_task("", total=None, visible=False)

        def count(done: int, of: int) -> None:
            shown.update(task, completed=done, total=of, visible=True)

        yield Progress(unheard(console.print), count)


def unheard(say: Callable[..., None]) -> Callable[..., None]:
    """Return *say* such that it is no reason to stop the work when nobody listens any more."""

    def quietly(*words: Any, **how: Any) -> None:
        with suppress(OSError):
            say(*words, **how)

    return quietly


echo = unheard(click.echo)
