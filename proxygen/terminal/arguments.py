"""What is typed on the command line -> what it means in the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from proxygen.errors import UsageError, did_you_mean
from proxygen.model.certificate import GLOBAL
from proxygen.model.hosts import BadName, host_name
from proxygen.model.types import seconds

if TYPE_CHECKING:
    from proxygen.assemble import Installation
    from proxygen.model.site import Site
    from proxygen.plan.observed import ServiceState

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
VERBOSE = click.option(
    "--verbose", is_flag=True, help="Print every name instead of one line for each cause."
)


def typed_duration(context: click.Context, option: click.Parameter, typed: str | None) -> int:  # noqa: ARG001
    """Return the seconds that were typed, such as ``10m``; 0 for none."""
    try:
        return seconds(typed) if typed else 0
    except BadName as error:
        raise click.BadParameter(f"{error.reason}; {error.remedy}") from error


def typed_owner(typed: str, site: Site) -> str:
    """Return the owner that was typed; raise UsageError for one that the model has not."""
    try:
        name = typed if typed == GLOBAL else host_name(typed)
    except BadName as error:
        near = did_you_mean(typed, (each.key for each in site.owners), error.remedy)
        raise UsageError(f"{typed}: {error.reason}", remedy=near) from error
    if name in {each.key for each in site.owners}:
        return name
    whose = next((each.key for each in site.owners if name in each.names), None)
    every = (each.key for each in site.owners)
    near = did_you_mean(name, every, "write it as in `domains:`")
    remedy = f"{typed} is a name of {whose}: write that" if whose else near
    raise UsageError(f"the model has no domain {typed}", remedy=remedy)


def typed_services(
    services: tuple[str, ...], found: dict[str, ServiceState], installation: Installation
) -> list[ServiceState]:
    """Return the states of the services that were named, of all when none was.

    Raise UsageError for one that proxygen has not set up.
    """
    require_services(services, found, installation)
    if unknown := sorted(set(services) - set(found)):
        raise UsageError(f"proxygen has not set up {', '.join(unknown)}", remedy=one_of(found))
    return [state for name, state in found.items() if not services or name in services]


def require_services(
    services: tuple[str, ...], found: dict[str, ServiceState], installation: Installation
) -> None:
    """Raise UsageError if one of those that were named is no service."""
    if unheard := sorted(set(services) - set(installation.services)):
        what = " is no service" if len(unheard) == 1 else " are no services"
        near = did_you_mean(unheard[0], installation.services, one_of(found))
        raise UsageError(" and ".join(unheard) + what, remedy=near)


def one_of(found: dict[str, ServiceState]) -> str:
    """Return which services can be named."""
    return f"name one of: {', '.join(found) or '(none is set up)'}"
