"""Progress: a line for each step as it is done, and on a terminal a bar."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from proxygen.apply.outcome import SILENT, TOLD_LATER, Progress, tell_nobody
from proxygen.errors import Coded
from proxygen.terminal.bar import Bar
from proxygen.terminal.colours import obeys_sequences
from proxygen.terminal.printing import print_text

MANY = 20
"""Steps of a kind that are told as they are done; of the others it is told how many there were."""


@contextmanager
def show_progress(*, quiet: bool, verbose: bool = False) -> Iterator[Progress]:
    """Have a line a step, and on a terminal a bar; *verbose*: however many steps there are."""
    if quiet:
        yield SILENT
        return
    lines = StepLines(verbose)
    with progress_bar() as shown:
        lines.bar = shown
        yield Progress(lines.say, shown.count if shown else tell_nobody)
    lines.close()


@contextmanager
def progress_bar() -> Iterator[Bar | None]:
    """Have a bar on standard error where it is a terminal, else none."""
    if not obeys_sequences(sys.stderr):
        yield None
        return
    shown = Bar(sys.stderr)
    shown.start()
    try:
        yield shown
    finally:
        shown.close()


@dataclass(slots=True)
class StepLines:
    """Steps as they are done; what fails is told in the end, by cause."""

    verbose: bool
    bar: Bar | None = None
    told: Counter[str] = field(default_factory=Counter)

    def say(self, words: str) -> None:
        """Print a step, above the bar."""
        code = words.code if isinstance(words, Coded) else ""
        if code in TOLD_LATER:
            if self.bar:
                self.bar.fail()
            return
        self.told[code] += 1
        if code and self.told[code] > MANY and not self.verbose:
            return
        if self.bar:
            self.bar.above(partial(print_text, words))
        else:
            print_text(words)

    def close(self) -> None:
        """Tell how many steps were not told."""
        left = sum(count - MANY for code, count in self.told.items() if code and count > MANY)
        if left and not self.verbose:
            print_text(f"… and {left:,} more of these steps: --verbose shows every one")
