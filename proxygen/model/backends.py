"""Backends: the locations of an application, changed and extended by the model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from proxygen.errors import Mistake, Origin
from proxygen.model.mistakes import unknown_name
from proxygen.model.schema import Application, BackendFields, LocationFields
from proxygen.model.site import Backend, Location, Upstream
from proxygen.model.yaml import Document

Applications = Mapping[str, Application]


def backends(
    wanted: Mapping[str, BackendFields], document: Document, applications: Applications
) -> tuple[dict[str, Backend], list[Mistake]]:
    """Return the backends by name, and the mistakes of those that are left out."""
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
    """Yield the mistakes of one backend."""
    application = applications.get(fields.application)
    if application is None:
        reason, remedy = unknown_name(fields.application, sorted(applications))
        where = document.origin("backends", name, "application")
        reason = reason.replace("field", "application")
        yield Mistake(where, f"backends.{name}.application", reason, remedy, code="no-application")
        return
    locations = merge_locations(fields, application)
    needed = sorted({each["upstream"] for each in locations.values() if "upstream" in each})
    if not set(needed) & fields.upstreams.keys():
        yield Mistake(
            document.origin("backends", name, "upstreams"),
            f"backends.{name}.upstreams",
            "no location uses any of these upstreams",
            f"rename one of them to {' or '.join(needed)}, or add `locations`",
            code="no-upstream",
        )
    circling = in_circles(locations)
    for path in fields.locations:
        for reason, remedy, code in wrong_at(path, locations[path], fields, circling):
            where = document.origin("backends", name, "locations", path)
            yield Mistake(where, f"backends.{name}.locations.{path}", reason, remedy, code=code)
    for upstream, servers in fields.upstreams.items():
        if len({server.partition(":")[0] for server in servers}) > 1:
            yield Mistake(
                document.origin("backends", name, "upstreams", upstream),
                f"backends.{name}.upstreams.{upstream}",
                "one upstream has both http:// and https:// servers",
                "make two upstreams of them",
                code="mixed-upstream",
            )


def wrong_at(
    path: str, location: Mapping[str, Any], fields: BackendFields, circling: Collection[str]
) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong with a location of the model: reason, remedy and code."""
    upstream, redirect = location.get("upstream"), location.get("redirect")
    if redirect is None and upstream not in fields.upstreams:
        reason = f"unknown upstream `{upstream}`" if upstream else "`upstream` is missing"
        yield reason, f"write one of: {', '.join(fields.upstreams)}", "no-upstream"
    if path in circling:
        reason = f"redirect loop: {redirect} sends the browser back here"
        yield reason, "write a path that another location serves", "redirect-loop"
    if location.get("password") and redirect:
        reason = "nginx asks for no password before a redirect"
        yield (
            reason,
            "set it at the path of the redirect instead",
            "redirect-password",
        )
    elif location.get("password") and fields.password_file is None:
        yield (
            "`password` needs a file with passwords",
            "add `password_file` to the backend",
            "no-passwords",
        )
    rewrite = location.get("rewrite", "")
    if rewrite.endswith("/") and not path.endswith("/") and not location.get("exact"):
        reason = f"nginx would pass {path}../x on as {rewrite}../x, which leads above {rewrite}"
        yield reason, f"write the path as {path}/", "rewrite-above"


def in_circles(locations: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return the paths whose redirects lead back to themselves, maybe through others."""
    redirects = {path: each["redirect"] for path, each in locations.items() if "redirect" in each}
    leads = {path: location_taking(redirect, locations) for path, redirect in redirects.items()}
    found, passed = set[str](), set[str]()
    for start in leads:
        way, here = list[str](), start
        while here in leads and here not in passed:
            passed.add(here)
            way.append(here)
            here = leads[here] or ""
        if here in way:
            found.update(way[way.index(here) :])
    return found


def location_taking(asked: str, locations: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the path of the location that serves a path, as nginx chooses it."""
    if asked in locations:
        return asked
    begin = (asked[:end] for end in range(len(asked) - 1, 0, -1))
    return next(
        (path for path in begin if path in locations and not locations[path].get("exact")), None
    )


def backend(name: str, fields: BackendFields, application: Application, where: Origin) -> Backend:
    """Return one backend; locations of upstreams that it does not have are left out.

    Locations with a password stay without an upstream: otherwise `/` would serve their requests
    without asking for the password.
    """
    locations = []
    for path, values in merge_locations(fields, application).items():
        known = values.get("upstream") in fields.upstreams
        if known or values.get("redirect") or values.get("password"):
            upstream = values["upstream"] if known else None
            locations.append(Location(**(values | {"path": path, "upstream": upstream})))
    return Backend(
        name=name,
        upstreams=tuple(Upstream(key, tuple(servers)) for key, servers in fields.upstreams.items()),
        locations=tuple(sorted(locations, key=lambda each: (-len(each.path), each.path))),
        origin=where,
        password_file=fields.password_file,
    )


def merge_locations(fields: BackendFields, application: Application) -> dict[str, dict[str, Any]]:
    """Return the fields of each location by its path; the model's come before the application's."""
    found = {path: said_of_location(location) for path, location in application.locations.items()}
    for values in found.values():
        upstream = values.get("upstream")
        if upstream not in fields.upstreams and upstream in application.instead:
            values["upstream"] = application.instead[upstream]
    for path, location in fields.locations.items():
        found[path] = found.get(path, {}) | said_of_location(location)
    return found


def said_of_location(location: LocationFields) -> dict[str, Any]:
    """Return the fields of a location that are set."""
    return location.model_dump(exclude_none=True)
