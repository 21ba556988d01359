"""uninstall: every service as it was before proxygen."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from proxygen import assemble
from proxygen.apply.change import as_service_error
from proxygen.apply.outcome import Outcome
from proxygen.apply.removal import remove_own_part
from proxygen.assemble import Installation
from proxygen.errors import Coded, ServiceError, UsageError, coded_words
from proxygen.host import files, lock
from proxygen.model.layout import Layout
from proxygen.observe.services import set_up
from proxygen.plan.observed import ServiceState
from proxygen.reports.document import json_document
from proxygen.terminal import completion
from proxygen.terminal.arguments import JSON, require_services
from proxygen.terminal.outcome import print_summary
from proxygen.terminal.printing import print_text
from proxygen.terminal.walk import without_daemon


@click.command(short_help="Remove proxygen's configuration from the services.")
@click.argument(
    "services", nargs=-1, metavar="[SERVICE]...", shell_complete=completion.complete_services
)
@click.option("--purge", is_flag=True, help="Also remove keys, certificates and the ACME account.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@JSON
@click.pass_obj
def command(
    layout: Layout, services: tuple[str, ...], purge: bool, yes: bool, as_json: bool
) -> int:
    """Remove proxygen's part of the configuration from the services.

    From each SERVICE, or from all of them; what proxygen changed gets its former value. The model
    and your own directives stay, and so do keys and certificates unless you give --purge. A
    service that has nothing of proxygen is left alone; one that is gone, or cannot check or
    reload its configuration, is no obstacle: a warning says what was not done.
    """
    if purge and services:
        raise UsageError("--purge is for all services at once", remedy="name no service")
    if purge and not yes:
        confirm_removal(f"Remove every key and certificate below {layout.var}?")
    outcome = Outcome()
    with without_daemon(layout), lock.hold(layout.obtaining), lock.hold(layout.lock):
        installation = assemble.build_installation(layout, lambda: datetime.now(UTC))
        found = set_up(installation)
        require_services(services, found, installation)
        for name in dict.fromkeys(services or found):
            if name in found:
                uninstall_service(found[name], installation, outcome)
            else:
                words = f"proxygen has not set up {name}, so there is nothing to remove"
                outcome.warnings.append(Coded(words, "not-set-up", name))
        if purge and not outcome.failures:
            outcome.done.append(Coded(purge_all(layout), "purged"))
    if as_json:
        click.echo(json_document(outcome.as_json()))
    else:
        for words in outcome.done:
            print_text(words)
        print_summary(outcome)
    return outcome.exit_code


def confirm_removal(question: str) -> None:
    """Ask on the terminal, and stop without a yes; raise UsageError where there is none."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on", remedy="give --yes")
    click.confirm(question, abort=True)


def uninstall_service(state: ServiceState, installation: Installation, outcome: Outcome) -> None:
    """Take proxygen's part out of one service."""
    try:
        with as_service_error(state.name):
            told = remove_own_part(state, installation)
    except ServiceError as error:
        outcome.failures.append((state.name, error))
        return
    outcome.warnings += coded_words("left", told, state.name)
    outcome.done.append(Coded(f"{state.name}: as it was before proxygen", "removed", state.name))


def purge_all(layout: Layout) -> str:
    """Remove all that proxygen keeps, but what services still read; return what was done."""
    kept = [each for each in files.names(layout.var / "live") if layout.live(each).folder.is_dir()]
    if not kept:
        files.remove(layout.var)
        return f"removed {layout.var}"
    for name in files.names(layout.var):
        if name != "live":
            files.remove(layout.var / name)
    return f"removed {layout.var}, but for live/{', live/'.join(kept)}"
