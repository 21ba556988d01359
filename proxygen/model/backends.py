"""Backends: an application's locations as data, and what the model says beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from proxygen.errors import Mistake, Origin
from proxygen.model.mistakes import unknown
from proxygen.model.schema import Application, BackendFields, LocationFields
from proxygen.model.site import Backend, Location, Upstream
from proxygen.model.yaml import Document

Applications = Mapping[str, Application]


def backends(
    wanted: Mapping[str, BackendFields], document: Document, applications: Applications
) -> tuple[dict[str, Backend], list[Mistake]]:
    """Return the backends by name, and what is wrong with those that are left out."""
    built: dict[str, Backend] = {}
    mistakes: list[Mistake] = []
    for name, fields in wanted.items():
        wrong = list(wrong_in(name, fields, document, applications))
        mistakes += wrong
        if not wrong:
            where = document.key_origin("backends", name)
            built[name] = backend(name, fields, applications[fields.application], where)
    return built, mistakes


def wrong_in(
    name: str, fields: BackendFields, document: Document, applications: Applications
) -> Iterator[Mistake]:
    """Yield what is wrong with one backend."""
    application = applications.get(fields.application)
    if application is None:
        reason, remedy = unknown(fields.application, sorted(applications))
        where = document.origin("backends", name, "application")
        reason = reason.replace("field", "application")
        yield Mistake(where, f"backends.{name}.application", reason, remedy, code="no-application")
        return
    if not any(location.upstream in fields.upstreams for location in lead(fields, application)):
        needed = sorted({str(location.upstream) for location in lead(fields, application)})
        yield Mistake(
            document.origin("backends", name, "upstreams"),
            f"backends.{name}.upstreams",
            "no location leads to one of these upstreams",
            f"name one of them {' or '.join(needed)}, or add `locations`",
            code="no-upstream",
        )
    for path, location in fields.locations.items():
        known = application.locations.get(path)
        upstream = location.upstream or (known.upstream if known else None)
        if upstream not in fields.upstreams:
            yield Mistake(
                document.origin("backends", name, "locations", path),
                f"backends.{name}.locations.{path}",
                f"the upstream `{upstream}` is not there" if upstream else "`upstream` is missing",
                f"write one of: {', '.join(fields.upstreams)}",
                code="no-upstream",
            )
    for upstream, servers in fields.upstreams.items():
        if len({server.partition(":")[0] for server in servers}) > 1:
            yield Mistake(
                document.origin("backends", name, "upstreams", upstream),
                f"backends.{name}.upstreams.{upstream}",
                "http:// and https:// servers in one upstream",
                "make two upstreams of it",
                code="mixed-upstream",
            )


def lead(fields: BackendFields, application: Application) -> list[LocationFields]:
    """Return all locations, the application's and the model's."""
    return [*application.locations.values(), *fields.locations.values()]


def backend(name: str, fields: BackendFields, application: Application, where: Origin) -> Backend:
    """Return one backend; locations of upstreams that it does not have are left out."""
    merged = {path: said(location) for path, location in application.locations.items()}
    for path, location in fields.locations.items():
        merged[path] = merged.get(path, {}) | said(location)
    locations = [
        Location(path=path, **values)
        for path, values in merged.items()
        if values.get("upstream") in fields.upstreams
    ]
    return Backend(
        name=name,
        upstreams=tuple(Upstream(key, tuple(servers)) for key, servers in fields.upstreams.items()),
        locations=tuple(sorted(locations, key=lambda each: (-len(each.path), each.path))),
        origin=where,
    )


def said(location: LocationFields) -> dict[str, Any]:
    """Return what a location says, without what it leaves open."""
    return location.model_dump(exclude_none=True)
