"""LeftOut: a part of its configuration that a service refuses, as stored in its note."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter, ValidationError

from proxygen.failure import Failure

BIND = re.compile(r"bind\(\) to (\S+) failed")


class PartKind(StrEnum):
    """The kinds of parts that may be left out, in the order in which they are suspected.

    The administrator's directives for one owner, or for all; his templates for a service; an
    owner's certificate; a backend; and at last an owner as a whole.
    """

    ADDITIONS = "additions"
    TEMPLATES = "templates"
    CERTIFICATE = "certificate"
    BACKEND = "backend"
    OWNER = "owner"


@dataclass(frozen=True, slots=True, order=True)
class ConfigurationPart:
    """A part that may be left out; *version* is a hash of its content."""

    kind: PartKind
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part that a service refuses, with the service's *words*, and the place *where* it is.

    *at_reload* is the master process that accepted the check but did not reload; 0 if the check
    failed. *why* is the failure if the service said nothing.
    """

    part: ConfigurationPart
    words: str
    where: str = ""
    at_reload: int = 0
    why: Failure | None = None

    @property
    def taken(self) -> tuple[str, ...]:
        """The addresses on which it could not listen, as nginx writes them."""
        return tuple(dict.fromkeys(BIND.findall(self.words))) if self.at_reload else ()

    @property
    def is_of_a_name(self) -> bool:
        """Whether it was refused because a name has no address."""
        return "host not found" in self.words

    @property
    def of(self) -> str:
        """The owner or part that it concerns, as in ``Failure.of``."""
        if self.part.kind is PartKind.ADDITIONS:
            return f"nginx.d/{self.part.name}".rstrip("/")
        if self.part.kind is PartKind.TEMPLATES:
            return f"templates/{self.part.name}"
        return f"nginx/{self.part.name}"

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return asdict(self)


NOTED = TypeAdapter(LeftOut)


def left_out_from(noted: object) -> LeftOut | None:
    """Return what was stored, None for anything else."""
    try:
        return NOTED.validate_python(noted)
    except ValidationError:
        return None
