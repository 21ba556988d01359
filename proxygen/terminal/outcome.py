"""What a run did, as commands print it in the end."""

from __future__ import annotations

import click

from proxygen.apply.outcome import Outcome
from proxygen.errors import Coded, NotServed
from proxygen.model.site import Site
from proxygen.plan.schedule import told
from proxygen.plan.steps import Waiting
from proxygen.reports.document import document
from proxygen.terminal.printing import echo


def told_all(outcome: Outcome, *, as_json: bool) -> int:
    """Print what a run did; return the exit code."""
    if as_json:
        click.echo(document(outcome.as_json()))
    else:
        summary(outcome)
    return outcome.exit_code


def summary(outcome: Outcome) -> None:
    """Say in the end what failed, what is worth knowing, and that all is well when it is."""
    for warning in (each for each in outcome.warnings if not is_told(each, outcome)):
        echo(f"warning: {warning}", err=True)
    waiting(outcome)
    as_it_was(outcome)
    if outcome.locked:
        echo(f"no certificate was obtained: {outcome.locked}", err=True)
    if outcome.not_done:
        echo(f"{beginning(outcome)}:", err=True)
        for error, whose in alike(outcome).items():
            echo(f"{whose}: {error}", err=True)
    elif outcome.done:
        echo(f"{steps(outcome)} done")
    else:
        echo("nothing to do now" if outcome.waiting else "nothing to do")


def is_told(warning: str, outcome: Outcome) -> bool:
    """Return whether a failure tells what a warning says of a service."""
    if not isinstance(warning, Coded):
        return False
    if warning.code == "refused":
        return warning.of in {of for of, _ in outcome.failures}
    unserved = {of for of, error in outcome.not_done if isinstance(error, NotServed)}
    return warning.code in ("not-running", "not-served") and warning.of in unserved


def as_it_was(found: Outcome | Site) -> None:
    """Say which removals wait for a person, and which included files are set aside."""
    for each in (*found.held_back, *found.set_aside):
        echo(str(each), err=True)


def beginning(outcome: Outcome) -> str:
    """Return how what is told of failures begins."""
    if outcome.failures:
        return f"{steps(outcome)} done; not done"
    done = f"{steps(outcome)} done" if outcome.done else "nothing to do"
    return f"{done}, but not all is served"


def alike(outcome: Outcome) -> dict[str, str]:
    """Return whose failure it is by what is to be said of it, as one cause may be everybody's."""
    found: dict[str, list[str]] = {}
    for what, error in outcome.not_done:
        found.setdefault(str(error), []).append(what)
    return {
        words: ", ".join(of[:3]) + (f" and {len(of) - 3} more" if len(of) > 3 else "")
        for words, of in found.items()
    }


def waiting(outcome: Outcome) -> None:
    """Say which certificates wait, and how a person can have one tried now."""
    for words in told(outcome.waiting):
        echo(words, err=True)
    failed = next((each for each in outcome.waiting if may_hasten(each)), None)
    if failed:
        echo(f"  do: `proxygen apply {failed.owner}` tries it now", err=True)


def may_hasten(each: Waiting) -> bool:
    """Return whether a person may have a certificate tried before its pause is over."""
    return each.code in ("failed", "authority") and not each.asked


def steps(outcome: Outcome) -> str:
    """Return how many steps were done, in words."""
    return "1 step" if len(outcome.done) == 1 else f"{len(outcome.done)} steps"
