"""What must hold for the site as a whole (DESIGN section 1)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

from proxygen.errors import Mistake, Origin
from proxygen.model.certificate import GLOBAL, OWN_KEYS
from proxygen.model.hosts import BadName, extra_name, readable_name
from proxygen.model.mistakes import dotted_path, unknown_name
from proxygen.model.schema import DIRECTORIES
from proxygen.model.site import Owner, Site
from proxygen.model.yaml import Document, Map

Files = Mapping[str, Document]
Path = tuple[str | int, ...]


def rule_mistakes(site: Site, main: Document, files: Files) -> Iterator[Mistake]:
    """Yield a mistake for each rule that does not hold; rule 8 is checked before."""
    yield from unknown_backends(site, main, files)
    yield from terms_not_agreed(site, main, files)
    yield from keys_of_others(site, files)


def two_owners(name: str, owner: Owner, first: Owner, files: Files) -> Mistake:
    """A name belongs to exactly one owner (rule 8), here to the *first*; both places are named."""
    here, there = place_of_name(owner, name, files), place_of_name(first, name, files)
    return Mistake(
        origin_of(owner, here, files),
        dotted_path(here),
        f"{readable_name(name)} already belongs to {owner_title(first)}, at "
        f"{origin_of(first, there, files)}",
        "remove the name at one of the two places",
        first.origin,
        code="name-taken",
    )


def owner_title(owner: Owner) -> str:
    """Return an owner as messages call it."""
    return "the global URL" if owner.key == GLOBAL else readable_name(owner.key)


def origin_of(owner: Owner, path: Path, files: Files) -> Origin:
    """Return the place of *path* in the file of its owner."""
    return files[owner.origin.file].origin(*path)


def place_of_name(owner: Owner, name: str, files: Files) -> Path:
    """Return the path to where *name* was typed, in whatever spelling."""
    extra = fields_of(owner, files).get("extra_names")
    for index, typed in enumerate(extra if isinstance(extra, list) else []):
        if isinstance(typed, str) and typed_name(typed) == name:
            return (*owner.path, "extra_names", index)
    return (*owner.path, "url")


def fields_of(owner: Owner, files: Files) -> Map:
    """Return the fields of an owner as they were typed, none if there are no right ones."""
    fields: Map = files[owner.origin.file].value
    for step in owner.path:
        fields = mapping_below(fields, step)
    return fields


@functools.lru_cache(maxsize=4096)
def typed_name(typed: str) -> str | None:
    """Return the name that was typed, None if it is none.

    Cached, as each of many mistakes compares all names of two owners.
    """
    try:
        return extra_name(typed)
    except BadName:
        return None


def unknown_backends(site: Site, main: Document, files: Files) -> Iterator[Mistake]:
    """A backend that an owner or `defaults` names must exist."""
    named = set(mapping_field(main, "backends"))
    default = mapping_field(main, "defaults").get("backend")
    if isinstance(default, str) and default not in named:
        where = main.origin("defaults", "backend")
        yield Mistake(
            where, "defaults.backend", *missing_backend(default, named), code="no-backend"
        )
    for owner in site.owners:
        if owner.backend and owner.backend not in named and owner.backend != default:
            path = (*owner.path, "backend")
            where = origin_of(owner, path, files)
            yield Mistake(
                where, dotted_path(path), *missing_backend(owner.backend, named), code="no-backend"
            )


def keys_of_others(site: Site, files: Files) -> Iterator[Mistake]:
    """`key_type` is about keys that proxygen makes, so not about certificates of others."""
    for owner in site.owners:
        issuer = owner.certificate.issuer if owner.certificate else GLOBAL
        if issuer in OWN_KEYS or not owner.host or not fields_of(owner, files).get("key_type"):
            continue
        path = (*owner.path, "key_type")
        yield Mistake(
            origin_of(owner, path, files),
            dotted_path(path),
            f"proxygen makes no key for this certificate, which is {ISSUERS[issuer]}",
            "remove `key_type`: it is for `certificate: acme` and `selfsigned`"
            + (", or write it below `global:`" if issuer == GLOBAL else ""),
            code="key-of-others",
        )


ISSUERS = {
    "file": "supplied as files",
    "hook": "handed over by another ACME client",
    GLOBAL: "the global one",
}


def mapping_field(document: Document, name: str) -> Map:
    """Return the mapping in a field of the file, an empty one if it holds something else."""
    return mapping_below(document.value, name)


def mapping_below(fields: Map, name: str) -> Map:
    """Return the mapping below a field, an empty one if there is none."""
    value = fields.get(name)
    return value if isinstance(value, Map) else Map()


def missing_backend(name: str, known: set[str]) -> tuple[str, str]:
    """Return reason and remedy for an unknown backend."""
    reason, remedy = unknown_name(name, sorted(known))
    remedy = remedy if known else "add it below `backends:`"
    return reason.replace("field", "backend"), remedy


def terms_not_agreed(site: Site, main: Document, files: Files) -> Iterator[Mistake]:
    """An ACME certificate needs agreement to the authority's terms (RFC 8555 section 7.3).

    A mistake is in the main file if that asks for the certificate, otherwise where it is asked for.
    """
    asking = [
        each for each in site.owners if each.certificate and each.certificate.issuer == "acme"
    ]
    by_main = next((each for each in asking if is_asked_by_main(each, main, files)), None)
    paths = (("acme",), ("acme", "fallback"))
    for path, authority in zip(paths, site.authorities, strict=False):
        fields = functools.reduce(mapping_below, path, main.value)
        if fields.get("terms_of_service_agreed") is True:
            continue
        field = dotted_path((*path, "terms_of_service_agreed"))
        for owner in (by_main,) if by_main else asking:
            at_main = owner is by_main and fields
            where = main.origin(*path, "terms_of_service_agreed") if at_main else asked_at(owner)
            yield Mistake(
                where,
                field,
                f"{readable_name(owner.host or owner.key)} wants an ACME certificate,"
                " but you have not agreed"
                " to the authority's terms of service",
                f"{READ.get(authority.directory, 'read them')}, then write"
                f" `terms_of_service_agreed: true` below `{dotted_path(path)}`",
                code="terms",
            )


READ = dict.fromkeys(DIRECTORIES.values(), "read them at https://letsencrypt.org/repository/")
"""Where the terms of known authorities are published, by directory."""


def asked_at(owner: Owner) -> Origin:
    """Return the place where the certificate of an owner is asked for."""
    return owner.certificate.origin if owner.certificate else owner.origin


def is_asked_by_main(owner: Owner, main: Document, files: Files) -> bool:
    """Return whether the main file asks for an owner's certificate, also by `defaults`."""
    if owner.origin.file == main.name:
        return True
    return not fields_of(owner, files).get("certificate")
