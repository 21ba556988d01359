"""rollback: the configuration that served before the last change serves again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import click

from proxygen import assemble
from proxygen.apply.change import as_service_error, switch_to
from proxygen.apply.outcome import SILENT, Outcome, Progress, tell_nobody
from proxygen.apply.service import LiveService
from proxygen.assemble import Installation
from proxygen.errors import (
    Coded,
    NotServed,
    ServiceError,
    UsageError,
    words_json,
)
from proxygen.failure import Scope, failure
from proxygen.host import lock
from proxygen.model.layout import Layout
from proxygen.observe.services import set_up, states_with_notes
from proxygen.plan.observed import ServiceState
from proxygen.reports.document import json_document
from proxygen.terminal import completion
from proxygen.terminal.arguments import JSON, typed_services
from proxygen.terminal.outcome import print_summary
from proxygen.terminal.printing import print_text
from proxygen.terminal.walk import without_daemon
from proxygen.texts.warnings import not_asked


@click.command(short_help="Restore what served before the last change.")
@click.argument(
    "services", nargs=-1, metavar="[SERVICE]...", shell_complete=completion.complete_services
)
@JSON
@click.pass_obj
def command(layout: Layout, services: tuple[str, ...], as_json: bool) -> int:
    """Restore the configuration that served before the last change.

    For each SERVICE, or for all of them. A second `rollback` restores the newer configuration
    again. The model is not changed: correct it, or the next `apply` installs the same again.
    Exit code 4: there is nothing to go back to.
    """
    outcome = Outcome()
    with without_daemon(layout), lock.hold(layout.obtaining), lock.hold(layout.lock):
        installation = assemble.build_installation(layout, lambda: datetime.now(UTC))
        found = typed_services(services, set_up(installation), installation)
        if not found:
            raise UsageError("proxygen has set up no service", remedy="nothing is to be done")
        said = {
            state.name: roll_back(
                state, installation, outcome, explicit=bool(services), quiet=as_json
            )
            for state in found
        }
    if not outcome.done and not outcome.failures:
        outcome.failures += [(state.name, nothing_to_go_back_to(state.name)) for state in found]
        said = dict.fromkeys(said)
    states = {state.name: state for state in found}
    outcome.warnings += not_asked(states_with_notes(states, layout).values())
    if as_json:
        click.echo(json_document(outcome.as_json() | {"services": services_json(said)}))
    else:
        for words in (each for each in said.values() if each):
            print_text(words)
        print_summary(outcome)
    return outcome.exit_code


def services_json(said: Mapping[str, str | None]) -> dict[str, dict[str, str | None]]:
    """Return what became of each service as ``--json`` prints it; the failures tell why."""
    failed = {"code": "failed", "of": None, "words": None}
    return {
        name: words_json(words) if words else failed | {"of": name} for name, words in said.items()
    }


def nothing_to_go_back_to(name: str) -> ServiceError:
    """Return the error about a service that has served nothing else of ours."""
    return ServiceError(failure("nothing-before", Scope.SERVICE, name))


def roll_back(
    state: ServiceState,
    installation: Installation,
    outcome: Outcome,
    *,
    explicit: bool,
    quiet: bool,
) -> str | None:
    """Take one service back; return what happened, None for a failure.

    One without a former state is an error when it was named, else only where no other has one:
    a run mostly changes one service, and the others never had another state.
    """
    try:
        with as_service_error(state.name):
            service = LiveService(state, installation)
            former = service.generations.before_present()
            if former is None:
                if explicit:
                    raise nothing_to_go_back_to(state.name)
                return Coded(f"{state.name}: nothing to go back to", "nothing", state.name)
            target = service.target(former)
            endpoints = service.settings.verified(service.generations.endpoints_of(former))
            shown = SILENT if quiet else Progress(print_text, tell_nobody)
            switch_to(service, target, endpoints, shown, service.former)
    except (ServiceError, NotServed) as error:
        outcome.failures.append((state.name, error))
        return None
    words = f"{state.name}: serves its former configuration again"
    outcome.done.append(Coded(words, "restored", state.name))
    return outcome.done[-1]
