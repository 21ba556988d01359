"""Services: the kind in a service's name, and what each of several must have for itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from proxygen.errors import Mistake
from proxygen.model.mistakes import dotted_path
from proxygen.model.yaml import Document

FURTHER = "-[a-z0-9][a-z0-9_-]{0,30}"
"""What follows the kind in the name of a further service, as postmulti(1) names instances."""
MOST_SERVICES = 64


def kind_in(name: str, kinds: Collection[str]) -> str | None:
    """Return the kind of the service of that name: `postfix-out` is one of postfix."""
    if name in kinds:
        return name
    kind = name.partition("-")[0]
    return kind if kind in kinds and re.fullmatch(FURTHER, name[len(kind) :]) else None


@dataclass(frozen=True, slots=True)
class ServiceClaim:
    """What a service must have for itself: *value* among those of *group*.

    *path* leads to it in the settings, *words* are what messages call it. Two claims of a
    group are for the same if they have the same value, or if one has none: it is for all of them.
    """

    path: tuple[str | int, ...]
    group: str
    value: str
    words: str


class Claiming(Protocol):
    """The settings of a service, as far as they tell what it must have for itself."""

    def claims(self, name: str, kind: str) -> Iterator[ServiceClaim]:
        """Yield what the service of that name must have for itself."""


def shared_claims(services: Mapping[str, Claiming], document: Document) -> Iterator[Mistake]:
    """Yield a mistake for each service that claims what one before it has, once for each two."""
    taken: list[tuple[str, ServiceClaim]] = []
    kinds = {name.partition("-")[0] for name in services}
    for name, settings in services.items():
        own = [*settings.claims(name, kind_in(name, kinds) or name)]
        told = set[str]()
        for claim in own:
            for other, theirs in taken:
                if is_same(claim, theirs) and other not in told:
                    told.add(other)
                    yield shared(document, (name, claim), (other, theirs))
        taken += [(name, claim) for claim in own]


def is_same(one: ServiceClaim, other: ServiceClaim) -> bool:
    """Return whether two claims are for the same."""
    return one.group == other.group and (
        one.value == other.value or not one.value or not other.value
    )


def shared(
    document: Document, mine: tuple[str, ServiceClaim], theirs: tuple[str, ServiceClaim]
) -> Mistake:
    """Return the mistake of a service that claims what another one has; both places are named."""
    path, there = (("services", name, *claim.path) for name, claim in (mine, theirs))
    where, against = (
        document.origin(*each) if is_there(document, each) else document.key_origin(*each[:2])
        for each in (path, there)
    )
    return Mistake(
        where,
        dotted_path(path),
        f"{mine[1].words} already belongs to {theirs[0]}, at {against}",
        REMEDIES[str(mine[1].path[0])],
        against,
        code="service-shares",
    )


def is_there(document: Document, path: tuple[str | int, ...]) -> bool:
    """Return whether a field was written."""
    value: Any = document.value
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True


REMEDIES = {
    "configuration": "give each service a folder of its own, and name it as `configuration`",
    "listen": "give each a `listen` of its own; for one that only serves mail write `urls: false`",
}
"""What to do where services claim the same, by the field that says so."""
