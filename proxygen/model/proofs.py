"""Whether the challenge that is to prove a name can prove it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import get_args

from proxygen.errors import Mistake
from proxygen.model.certificate import GLOBAL, Certificate
from proxygen.model.hosts import is_address, is_wildcard, readable_name
from proxygen.model.mistakes import dotted_path, unknown_name
from proxygen.model.rules import (
    Files,
    Path,
    fields_of,
    is_asked_by_main,
    mapping_field,
    origin_of,
    place_of_name,
    typed_name,
)
from proxygen.model.schema import DIRECTORIES, Challenge
from proxygen.model.site import Owner, Site
from proxygen.model.yaml import Document, Map

HTTP, DNS, PERSIST = CHALLENGES = get_args(Challenge)

ADDRESS_PROFILES = dict.fromkeys(DIRECTORIES.values(), "shortlived")
"""The profile with which known authorities issue for addresses (letsencrypt.org/docs/profiles)."""


def name_mistakes(site: Site, main: Document, files: Files) -> Iterator[Mistake]:
    """Yield a mistake for each name that cannot be proven."""
    typed = TypedChallenges(main, files)
    yield from not_one_kind(main)
    yield from without_solver(site, typed)
    yield from unknown_solver(typed.defaults, ("defaults",), main, main)
    yield from of_others(site, files)
    for owner in site.owners:
        fields = typed.of(owner)
        if "solver" in fields:
            yield from unknown_solver(fields, owner.path, files[owner.origin.file], main)
        if "skip_preflight" in fields and owner.host:  # not one that was typed wrong
            yield from unknown_names(owner, fields, files)
        if any(map(is_odd, owner.extra_names)):
            yield from names_without_proof(owner, typed)


def is_odd(name: str) -> bool:
    """Return whether a name is a wildcard or an address, which not every challenge proves."""
    return is_wildcard(name) or is_address(name)


def not_one_kind(main: Document) -> Iterator[Mistake]:
    """Each of `solvers` has one kind."""
    for name, fields in mapping_field(main, "solvers").items():
        said = fields.items() if isinstance(fields, Map) else ()
        words = [word for word, settings in said if settings is not None]
        if isinstance(fields, Map | None) and len(words) != 1:
            found = (
                f"this one has {len(words)}: {', '.join(words)}" if words else "this one has none"
            )
            yield Mistake(
                main.origin("solvers", name),
                dotted_path(("solvers", name)),
                f"a solver has one kind with its settings; {found}",
                f"write one kind, such as `{name}: {{rfc2136: {{…}}}}`",
                code="one-solver",
            )


@dataclass(frozen=True, slots=True)
class TypedChallenges:
    """What was typed about how names are proven, with its places."""

    main: Document
    files: Files

    @property
    def defaults(self) -> Map:
        """The fields of `defaults`."""
        return mapping_field(self.main, "defaults")

    def of(self, owner: Owner) -> Map:
        """Return the fields of an owner."""
        return fields_of(owner, self.files)

    def challenge(self, owner: Owner) -> tuple[object, Path, Document]:
        """Return the challenge that holds for an owner, with the place where it is set."""
        if said := self.of(owner).get("challenge"):
            return said, (*owner.path, "challenge"), self.files[owner.origin.file]
        if owner.key != GLOBAL and (said := self.defaults.get("challenge")):
            return said, ("defaults", "challenge"), self.main
        said = mapping_field(self.main, "acme").get("challenge") or HTTP
        return said, ("acme", "challenge"), self.main


def public_suffixes(
    site: Site, files: Files, is_public_suffix: Callable[[str], bool]
) -> Iterator[Mistake]:
    """A public suffix, below which anybody can register names, has no owner (publicsuffix.org).

    A name below its own domain is none if the domain is none: but for a handful of cities in Japan
    that is true, and it saves half of the lookups.
    """
    names = (
        name
        for owner in site.owners
        for name in (owner.key, *owner.names)
        if not name.endswith(f".{owner.key}")
    )
    hosts = (name.removeprefix("*.") for name in names if name and ":" not in name)
    found = set(filter(is_public_suffix, hosts)) - {GLOBAL}
    for owner in site.owners if found else ():
        if owner.key in found:
            yield Mistake(
                owner.origin, dotted_path(owner.path), *shared_suffix(owner.key), code="shared"
            )
        for name in owner.names:
            if name.removeprefix("*.") in found:
                path = place_of_name(owner, name, files)
                yield Mistake(
                    origin_of(owner, path, files),
                    dotted_path(path),
                    *shared_suffix(name),
                    code="shared",
                )


def of_others(site: Site, files: Files) -> Iterator[Mistake]:
    """A name of somebody else must not be proven by DNS, as that does not need it to lead here.

    The solver could prove names below another domain of the model, or below the global URL, for
    anybody.
    """
    keys = {owner.key: owner for owner in site.domains}
    keys |= {name.removeprefix("*."): site.main for name in site.main.names}
    for owner in site.domains:
        if owner.certificate is None or owner.certificate.challenge == HTTP:
            continue
        for name in owner.names:
            owning = next((keys[each] for each in names_upwards(name) if each in keys), owner)
            above = owning.key
            if above != owner.key and owner.certificate.issuer == "acme":
                path = place_of_name(owner, name, files)
                whose = "the global URL" if above == GLOBAL else readable_name(above)
                yield Mistake(
                    origin_of(owner, path, files),
                    dotted_path(path),
                    f"{readable_name(name)} belongs to {whose};"
                    f" {owner.certificate.challenge} would prove"
                    " it for any other domain too",
                    f"move it to `{'global' if above == GLOBAL else above}`, or write"
                    " `challenge: http-01` here",
                    owning.origin,
                    code="name-of-others",
                )


def names_upwards(name: str) -> Iterator[str]:
    """Yield a name without its wildcard, then each name above it."""
    rest = name.removeprefix("*.")
    while rest:
        yield rest
        rest = rest.partition(".")[2]


def shared_suffix(name: str) -> tuple[str, str]:
    """Return reason and remedy for a public suffix."""
    suffix = name.removeprefix("*.")
    what = f"{readable_name(suffix)} is a public suffix: anybody can register names below it"
    return (
        what,
        f"write the registered domain, such as customer.{suffix}",
    )


def unknown_solver(
    fields: Map, above: Path, document: Document, main: Document
) -> Iterator[Mistake]:
    """A solver that is named must exist."""
    name, known = fields.get("solver"), mapping_field(main, "solvers")
    if isinstance(name, str) and name not in known:
        path: Path = (*above, "solver")
        reason, remedy = unknown_name(name, sorted(known))
        yield Mistake(
            document.origin(*path),
            dotted_path(path),
            reason.replace("field", "solver"),
            remedy if known else "add it below `solvers:`",
            code="no-solver",
        )


def unknown_names(owner: Owner, fields: Map, files: Files) -> Iterator[Mistake]:
    """A name in `skip_preflight` must be one of that owner's."""
    listed = fields.get("skip_preflight")
    for index, typed in enumerate(listed if isinstance(listed, list) else []):
        name = typed_name(typed) if isinstance(typed, str) else None
        if name and name not in owner.names:
            path: Path = (*owner.path, "skip_preflight", index)
            yield Mistake(
                origin_of(owner, path, files),
                dotted_path(path),
                f"{readable_name(name)} is not a name of this"
                f" {'URL' if owner.key == GLOBAL else 'domain'}",
                "write one of its names, or remove it",
                code="not-its-name",
            )


def addresses_of_domains(owner: Owner, files: Files) -> Iterator[Mistake]:
    """A client that connects to an address sends no SNI (RFC 6066 section 3)."""
    for name in filter(is_address, owner.extra_names):
        path = place_of_name(owner, name, files)
        yield Mistake(
            origin_of(owner, path, files),
            dotted_path(path),
            f"{name} is an IP address: a client that connects to one sends no name (SNI), so nginx"
            " cannot choose a domain's certificate for it",
            "move it to `extra_names` of `global`",
            code="address",
        )


def names_without_proof(owner: Owner, typed: TypedChallenges) -> Iterator[Mistake]:
    """Yield a mistake for each name that the challenge cannot prove."""
    wanted, files = owner.certificate, typed.files
    if owner.key != GLOBAL:
        yield from addresses_of_domains(owner, files)
    if wanted and wanted.issuer == "acme" and typed.challenge(owner)[0] in CHALLENGES:
        yield from wildcards(owner, wanted, files)
        if owner.key == GLOBAL:
            yield from addresses(owner, wanted, files)


def wildcards(owner: Owner, wanted: Certificate, files: Files) -> Iterator[Mistake]:
    """http-01 cannot prove wildcards (RFC 8555 section 8.3 is about one host)."""
    for name in filter(is_wildcard, wanted.names if wanted.challenge == HTTP else ()):
        path = place_of_name(owner, name, files)
        yield Mistake(
            origin_of(owner, path, files),
            dotted_path(path),
            f"http-01 cannot prove the wildcard {readable_name(name)}",
            "write `challenge: dns-01` for this certificate, with a solver below `solvers`",
            code="wildcard",
        )


def addresses(owner: Owner, wanted: Certificate, files: Files) -> Iterator[Mistake]:
    """An address can only be proven over HTTP (RFC 8738), and not for every profile."""
    for name in filter(is_address, wanted.names):
        path = place_of_name(owner, name, files)
        here = origin_of(owner, path, files)
        if wanted.challenge != HTTP:
            yield Mistake(
                here,
                dotted_path(path),
                f"{wanted.challenge} cannot prove the IP address {name}; only http-01 can",
                "write `challenge: http-01` for this certificate, or remove the address",
                code="address",
            )
        for place_of, refusing in refusing_addresses(wanted):
            profile = ADDRESS_PROFILES[refusing]
            yield Mistake(
                here,
                dotted_path(path),
                f"{refusing} issues for an IP address ({name}) only with its profile {profile}",
                f"write `profile: {profile}` below `{place_of}`, or remove the address",
                code="address",
            )


def refusing_addresses(wanted: Certificate) -> Iterator[tuple[str, str]]:
    """Yield field and directory of each authority that issues for no addresses with its profile."""
    for above, asked in zip(("acme", "acme.fallback"), wanted.authorities, strict=False):
        if ADDRESS_PROFILES.get(asked.directory, asked.profile) != asked.profile:
            yield above, asked.directory


def without_solver(site: Site, typed: TypedChallenges) -> Iterator[Mistake]:
    """dns-01 needs a solver; a missing one is reported once, where dns-01 is asked for.

    In the main file only if the main file asks for the certificate too.
    """
    known = sorted(mapping_field(typed.main, "solvers"))
    told = set()
    for owner in (
        site.owners if len(known) != 1 else ()
    ):  # of the only one it was told what is wrong
        if lacks_solver(owner):
            _, path, document = typed.challenge(owner)
            if document is typed.main and not is_asked_by_main(owner, typed.main, typed.files):
                path, document = owner.path, typed.files[owner.origin.file]
            if (document.name, path) not in told:
                told.add((document.name, path))
                whose = readable_name(owner.host or "")
                remedy = f"write `solver:` for it, or in `defaults`: one of {', '.join(known)}"
                yield Mistake(
                    document.origin(*path),
                    dotted_path(path),
                    f"dns-01 needs a solver that writes the DNS records of {whose}",
                    remedy if known else "add one below `solvers:`: `ours: {rfc2136: {…}}`",
                    code="no-solver",
                )


def lacks_solver(owner: Owner) -> bool:
    """Return whether an owner needs DNS records written and names no solver."""
    wanted = owner.certificate
    dns = wanted is not None and wanted.issuer == "acme" and wanted.challenge == DNS
    return dns and wanted is not None and wanted.solver is None and bool(owner.host)
