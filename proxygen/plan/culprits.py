"""Parts of a configuration that a service refuses, and what is served without them.

A part belongs to one owner, or to the administrator. It is found by asking the service with it and
without it (``apply/culprits.py``), and is left out until it changes, or the service accepts it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from proxygen.failure import Failure, Scope, failure, failure_words
from proxygen.model.certificate import Bundle
from proxygen.model.hosts import readable_name
from proxygen.model.layout import file_stem
from proxygen.model.site import Site
from proxygen.plan.left_out import BIND, ConfigurationPart, LeftOut, PartKind
from proxygen.plan.observed import Installed
from proxygen.plan.rendering import (
    ADDITIONS,
    closed_in,
    digests_in,
    overrides_in,
    served_fingerprints,
)
from proxygen.services import EVERYWHERE, Additions, Facts, WebFacts
from proxygen.services.nginx_lexer import directives_below, parse_configuration
from proxygen.services.nginx_others import socket_of


def parts_of(
    site: Site, bundles: Mapping[str, Bundle], facts: Facts, service: str
) -> Iterator[ConfigurationPart]:
    """Yield every part that may be left out; the owner of the global URL is not among them."""
    if facts.overrides:
        yield ConfigurationPart(
            PartKind.TEMPLATES, service, hash_of(repr(sorted(facts.overrides.items())))
        )
    if isinstance(facts, WebFacts):
        yield from parts_of_owners(site, bundles, facts.additions)


def parts_of_owners(
    site: Site, bundles: Mapping[str, Bundle], additions: Mapping[str, Additions]
) -> Iterator[ConfigurationPart]:
    """Yield every part that belongs to an owner, a backend, or to every server block."""
    keys = {owner.key for owner in site.owners if owner.names}
    for scope, each in sorted(additions.items(), reverse=True):  # those for all come last
        if scope == EVERYWHERE or scope in keys:
            yield ConfigurationPart(PartKind.ADDITIONS, scope, each.digest)
    for owner in site.domains:
        if owner.names and owner.certificate and owner.key in bundles:
            yield ConfigurationPart(PartKind.CERTIFICATE, owner.key, bundles[owner.key].digest)
    for name in sorted({owner.backend for owner in site.owners if owner.names and owner.backend}):
        yield ConfigurationPart(PartKind.BACKEND, name, hash_of(repr(site.backends[name])))
    for owner in site.domains:
        if owner.names:
            yield ConfigurationPart(
                PartKind.OWNER, owner.key, hash_of(repr((owner.names, owner.backend)))
            )


def hash_of(text: str) -> str:
    """Return a hash of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def facts_without(
    facts: Facts, parts: Collection[ConfigurationPart], site: Site, present: Installed
) -> Facts:
    """Return the facts by which a service gets its configuration without these parts.

    An owner whose directives are left out keeps those that the service accepted last. If there
    never were any, it stays as it was; an owner that was never served is answered with 503, as
    without its directives it might be open to everybody.
    """
    named = names_of(parts)
    if named[PartKind.TEMPLATES]:
        facts = replace(facts, overrides=overrides_in(present.manifest))
    if not isinstance(facts, WebFacts):
        return facts
    additions, closed = dict(facts.additions), set(facts.closed)
    for scope in named[PartKind.ADDITIONS]:
        del additions[scope]
        digest = digests_in(present.manifest).get(scope)
        if digest and digest in present.additions:
            additions[scope] = present.additions[digest]
        elif scope != EVERYWHERE and (digest or not was_open(scope, site, present)):
            closed.add(scope)
    backends, certificates = named[PartKind.BACKEND], named[PartKind.CERTIFICATE]
    closed |= {owner.key for owner in site.owners if owner.backend in backends}
    return replace(
        facts,
        additions=additions,
        closed=frozenset(closed),
        shown={
            **facts.shown,
            **{key: former_certificate(key, site, present) for key in certificates},
        },
        dropped=facts.dropped | named[PartKind.OWNER],
    )


def names_of(parts: Collection[ConfigurationPart]) -> dict[PartKind, frozenset[str]]:
    """Return the names of parts by their kind."""
    return {kind: frozenset(each.name for each in parts if each.kind is kind) for kind in PartKind}


def former_certificate(key: str, site: Site, present: Installed) -> tuple[str, str] | None:
    """Return digest and fingerprint of the earlier certificate with which an owner is served.

    None if that is the global one, if there is none, or if its file is damaged. The stored
    certificate is never it: that is the one that the service refuses.
    """
    own = re.compile(rf"{re.escape(file_stem(key))}-([0-9a-f]{{16}})\.pem")
    found = [own.fullmatch(name) for name in sorted(present.former)]
    digests = [match[1] for match in found if match]
    host = next((owner.host for owner in site.owners if owner.key == key), None)
    marks = {name: mark for _, _, name, _, _, mark in present.manifest.get("endpoints", ())}
    mark = (marks.get(host) or "").partition("+")[0]
    return (digests[0], mark) if digests and mark else None


def was_open(key: str, site: Site, present: Installed) -> bool:
    """Return whether an owner is served at present, and not answered with 503."""
    if not knows_additions(present):
        return False
    shown = served_fingerprints(present.manifest)
    names = next((owner.names for owner in site.owners if owner.key == key), ())
    return key not in closed_in(present.manifest) and any(name in shown for name in names)


def may_leave_out(part: ConfigurationPart, present: Installed) -> bool:
    """Return whether a part may be left out at all.

    Templates only if it is known which ones were there before. Directives for all server blocks
    only if earlier ones are in force: they may be what protects them.
    """
    if part.kind is PartKind.TEMPLATES:
        return present.generation is not None and overrides_in(present.manifest) is not None
    return part.name != EVERYWHERE or knows_additions(present)


def is_new(part: ConfigurationPart, present: Installed) -> bool:
    """Return whether a part is directives that are not in force yet and that may be left out."""
    if part.kind is not PartKind.ADDITIONS or not may_leave_out(part, present):
        return False
    if present.generation is not None and not knows_additions(present):
        return False
    return digests_in(present.manifest).get(part.name) != part.version


def suspected_parts(
    new: Sequence[ConfigurationPart], words: str, additions: Mapping[str, Additions]
) -> list[ConfigurationPart]:
    """Return those of the *new* directives that may have kept a service from reloading.

    That is those that its words name. If it could not listen on a port, those with that port, or
    else those that have it listen at all.
    """
    if named := [each for each in new if f"/additions/{each.version}/" in words]:
        return named
    ports = {place.rpartition(":")[2] for place in BIND.findall(words)}
    told = {each: set(listened_at(additions[each.name])) for each in new}
    return [each for each in new if told[each] & ports] or [each for each in new if told[each]]


def listened_at(additions: Additions) -> Iterator[str]:
    """Yield the ports at which directives have nginx listen."""
    for _, text in additions.files:
        listens = (
            each for each in directives_below(parse_configuration(text)) if each.name == "listen"
        )
        yield from (socket_of(each).rpartition(":")[2] for each in listens)


def knows_additions(present: Installed) -> bool:
    """Return whether it was noted which directives are in force."""
    return present.generation is not None and ADDITIONS in present.manifest


def consequence_code(refused: LeftOut, facts: Facts) -> str:
    """Return the failure code that says what is served instead of a refused part."""
    name, kind = refused.part.name, refused.part.kind
    if kind is PartKind.TEMPLATES or not isinstance(facts, WebFacts):
        return "templates-left-out"
    if kind is PartKind.OWNER:
        return "owner-left-out"
    if kind is PartKind.CERTIFICATE:
        return "former-certificate-shown" if facts.shown.get(name) else "global-certificate-shown"
    if kind is PartKind.BACKEND:
        return "backend-closed"
    if name in facts.closed:
        return "directives-closed"
    if name in facts.additions:
        return "directives-former" if name != EVERYWHERE else "directives-of-all-former"
    return "directives-none" if name != EVERYWHERE else "directives-of-all-none"


def why_left_out(refused: LeftOut, service: str, facts: Facts) -> Failure:
    """Return the failure that says what a service refuses, and what is served instead."""
    return failure(
        consequence_code(refused, facts),
        Scope.SERVICE,
        service,
        where=refused.where,
        words=refused.words,
        parts=(refused.why,) if refused.why else (),
        part=readable_name(refused.part.name),
    )


def left_out_sentence(refused: LeftOut, service: str, facts: Facts) -> str:
    """Return the warning about what is left out."""
    why = why_left_out(refused, service, facts)
    first = (failure_words(why).words.strip().splitlines() or [""])[0][:300]
    place = f"{refused.where}: " if refused.where else ""
    return f"{why.what}: {place}{first}"
