"""Renders what each service of this host should have, and tells where clients meet it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from proxygen.assemble import Installation
from proxygen.errors import ProxygenError, ServiceError
from proxygen.failure import Scope, failure
from proxygen.model.certificate import GLOBAL
from proxygen.model.site import Site
from proxygen.model.views import VIEWS, View
from proxygen.plan.observed import Observed
from proxygen.plan.render import Templates
from proxygen.plan.rendering import Rendering, overrides_in, rendering_of
from proxygen.services import Endpoint, Facts, ServiceSettings


def render_services(
    site: Site, installation: Installation, observed: Observed
) -> tuple[dict[str, Rendering], tuple[tuple[str, ProxygenError], ...]]:
    """Return what each usable service should have, and why the others are not usable."""
    wanted: dict[str, Rendering] = {}
    failures: list[tuple[str, ProxygenError]] = []
    for name, state in observed.services.items():
        try:
            if state.error:
                raise state.error
            wanted[name] = wanted_of(name, site, installation, observed)
        except ServiceError as error:
            failures.append((name, error))
            if former := with_former_templates(name, site, installation, observed):
                wanted[name] = former
    return wanted, tuple(failures)


def with_former_templates(
    name: str, site: Site, installation: Installation, observed: Observed
) -> Rendering | None:
    """Return what a service should have with the templates that it accepted last.

    None if these are not known, or no better.
    """
    state = observed.services[name]
    former = overrides_in(state.installed.manifest)
    if state.facts is None or former is None or former == state.facts.overrides:
        return None
    try:
        there = replace(state, facts=replace(state.facts, overrides=former))
        services = {**observed.services, name: there}
        return wanted_of(name, site, installation, replace(observed, services=services))
    except ServiceError:
        return None


def wanted_of(name: str, site: Site, installation: Installation, observed: Observed) -> Rendering:
    """Return what one service should have; it gets its role's view and nothing else.

    It depends only on that view and a few facts, so it is computed once for the same ones.
    """
    module, state = installation.services[name], observed.services[name]
    if state.facts is None:
        raise state.error or ServiceError(failure("service-not-observed", Scope.SERVICE, name))
    view = VIEWS[module.role](site, observed.bundles)
    given = (view, state.settings, state.facts)
    make = partial(service_rendering, name, installation, *given)
    return installation.latest.of(
        f"wanted {name}", (*given, installation.layout, installation.templates), make
    )


def service_rendering(
    name: str, installation: Installation, view: View, settings: ServiceSettings, facts: Facts
) -> Rendering:
    """Return what one service should have for a view."""
    module, templates = installation.services[name], templates_for(name, installation, facts)
    return rendering_of(
        name,
        module.wanted(view, settings, facts, installation.layout.of(name)),
        module.pointer(facts.main),
        module.endpoints(name, view, settings, facts),
        templates,
        installation.layout.live(name),
        facts.version,
        templates.overriding(module.kind),
    )


def templates_for(name: str, installation: Installation, facts: Facts) -> Templates:
    """Return the templates of a service's files: the present ones, or the former ones."""
    kind = installation.services[name].kind
    if facts.overrides is None or facts.overrides == installation.templates.overriding(kind):
        return installation.templates
    return installation.templates.instead(kind, facts.overrides)


def probed_endpoints(site: Site, installation: Installation, observed: Observed) -> list[Endpoint]:
    """Return where clients meet certificates, for the services that can be worked with.

    Without the places that the model leaves out of verification.
    """
    found: list[Endpoint] = []
    for name, state in observed.services.items():
        if state.facts and GLOBAL in observed.bundles:
            module = installation.services[name]
            view = VIEWS[module.role](site, observed.bundles)
            places = module.endpoints(name, view, state.settings, state.facts)
            found += state.settings.verified(places)
    return found
