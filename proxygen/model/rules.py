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
    """Yield a mistake for each rule that does not hold."""
    yield from names_with_two_owners(site, files)
    yield from unknown_backends(site, main, files)
    yield from terms_not_agreed(site, main)


def names_with_two_owners(site: Site, files: Files) -> Iterator[Mistake]:
    """A name belongs to exactly one owner (rule 8); both places are named."""
    owners: dict[str, Owner] = {}
    for owner in site.owners:
        for name in filter(None, owner.names):  # not one that was typed wrong
            first = owners.setdefault(name, owner)
            if first is not owner:
                here, there = place(owner, name, files), place(first, name, files)
                reason = (
                    f"the name {readable(name)} belongs to {title(first)} already, "
                    f"at {origin(first, there, files)}"
                )
                remedy = "remove the name at one of the places"
                yield Mistake(origin(owner, here, files), dotted(here), reason, remedy)


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
        yield Mistake(where, "defaults.backend", *missing(default, named))
    for owner in site.owners:
        if owner.backend and owner.backend not in named and owner.backend != default:
            path = (*owner.path, "backend")
            where = origin(owner, path, files)
            yield Mistake(where, dotted(path), *missing(owner.backend, named))


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


def terms_not_agreed(site: Site, main: Document) -> Iterator[Mistake]:
    """An ACME certificate needs the authority's terms agreed to (RFC 8555 section 7.3)."""
    asked = next((each for each in site.certificates if each.issuer == "acme"), None)
    for path in (("acme",), ("acme", "fallback"))[: len(site.authorities)]:
        fields = functools.reduce(below, path, main.value)
        if asked and fields.get("terms_of_service_agreed") is not True:
            where = (*path, "terms_of_service_agreed")
            whom = asked.names[0] or asked.owner
            yield Mistake(
                main.origin(*where) if fields else asked.origin,
                dotted(where),
                f"an ACME certificate is wanted (for {readable(whom)}), but the authority's terms "
                "of service were not agreed to",
                "read them, then write `terms_of_service_agreed: true` there",
            )
