"""What must hold for the site as a whole (DESIGN section 1)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

from proxygen.errors import Mistake, Origin
from proxygen.model.certificate import GLOBAL
from proxygen.model.hosts import BadName, extra_name, readable
from proxygen.model.mistakes import dotted, unknown
from proxygen.model.site import Owner, Site
from proxygen.model.yaml import Document, Map

Files = Mapping[str, Document]
Path = tuple[str | int, ...]


def broken(site: Site, main: Document, files: Files) -> Iterator[Mistake]:
    """Yield a mistake for each rule that does not hold; that of rule 8 is looked at before."""
    yield from unknown_backends(site, main, files)
    yield from terms_not_agreed(site, main, files)


def two_owners(name: str, owner: Owner, first: Owner, files: Files) -> Mistake:
    """A name belongs to exactly one owner (rule 8), here to the *first*; both places are named."""
    here, there = place(owner, name, files), place(first, name, files)
    return Mistake(
        origin(owner, here, files),
        dotted(here),
        f"the name {readable(name)} belongs to {title(first)} already, "
        f"at {origin(first, there, files)}",
        "remove the name at one of the places",
        first.origin,
        code="name-taken",
    )


def title(owner: Owner) -> str:
    """Return an owner as messages call it."""
    return "the global URL" if owner.key == GLOBAL else readable(owner.key)


def origin(owner: Owner, path: Path, files: Files) -> Origin:
    """Return where *path* stands in the file of its owner."""
    return files[owner.origin.file].origin(*path)


def place(owner: Owner, name: str, files: Files) -> Path:
    """Return the path to where *name* was typed, in whatever spelling."""
    extra = fields_of(owner, files).get("extra_names")
    for index, typed in enumerate(extra if isinstance(extra, list) else []):
        if isinstance(typed, str) and spelled(typed) == name:
            return (*owner.path, "extra_names", index)
    return (*owner.path, "url")


def fields_of(owner: Owner, files: Files) -> Map:
    """Return the fields of an owner as they were typed, none where there are no right ones."""
    fields: Map = files[owner.origin.file].value
    for step in owner.path:
        fields = below(fields, step)
    return fields


@functools.lru_cache(maxsize=4096)
def spelled(typed: str) -> str | None:
    """Return the name that was typed, None for what is none.

    Kept, as each of many mistakes looks at all names of two owners.
    """
    try:
        return extra_name(typed)
    except BadName:
        return None


def unknown_backends(site: Site, main: Document, files: Files) -> Iterator[Mistake]:
    """A backend that an owner or the defaults name is there."""
    named = set(mapping(main, "backends"))
    default = mapping(main, "defaults").get("backend")
    if isinstance(default, str) and default not in named:
        where = main.origin("defaults", "backend")
        yield Mistake(where, "defaults.backend", *missing(default, named), code="no-backend")
    for owner in site.owners:
        if owner.backend and owner.backend not in named and owner.backend != default:
            path = (*owner.path, "backend")
            where = origin(owner, path, files)
            yield Mistake(where, dotted(path), *missing(owner.backend, named), code="no-backend")


def mapping(document: Document, name: str) -> Map:
    """Return a field of the file that should hold a mapping, an empty one where it does not."""
    return below(document.value, name)


def below(fields: Map, name: str) -> Map:
    """Return the mapping below a field, an empty one where there is none."""
    value = fields.get(name)
    return value if isinstance(value, Map) else Map()


def missing(name: str, known: set[str]) -> tuple[str, str]:
    """Return reason and remedy for a backend that is not there."""
    reason, remedy = unknown(name, sorted(known))
    remedy = remedy if known else "add it below `backends:`"
    return reason.replace("field", "backend"), remedy


def terms_not_agreed(site: Site, main: Document, files: Files) -> Iterator[Mistake]:
    """An ACME certificate needs the authority's terms agreed to (RFC 8555 section 7.3).

    That is told in the main file where it asks for one itself, else where one is asked for.
    """
    asking = [
        each for each in site.owners if each.certificate and each.certificate.issuer == "acme"
    ]
    by_main = next((each for each in asking if is_asked_by_main(each, main, files)), None)
    for path in (("acme",), ("acme", "fallback"))[: len(site.authorities)]:
        fields = functools.reduce(below, path, main.value)
        if fields.get("terms_of_service_agreed") is True:
            continue
        field = dotted((*path, "terms_of_service_agreed"))
        for owner in (by_main,) if by_main else asking:
            at_main = owner is by_main and fields
            where = main.origin(*path, "terms_of_service_agreed") if at_main else asked_at(owner)
            yield Mistake(
                where,
                field,
                f"an ACME certificate is wanted (for {readable(owner.host or owner.key)}), but the "
                "authority's terms of service were not agreed to",
                "read them, then write `terms_of_service_agreed: true` there",
                code="terms",
            )


def asked_at(owner: Owner) -> Origin:
    """Return where the certificate of an owner is asked for."""
    return owner.certificate.origin if owner.certificate else owner.origin


def is_asked_by_main(owner: Owner, main: Document, files: Files) -> bool:
    """Return whether the main file asks for an owner's certificate, be it by `defaults`."""
    if owner.origin.file == main.name:
        return True
    return not fields_of(owner, files).get("certificate")
