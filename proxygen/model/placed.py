"""A domain with its place in a file of the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from proxygen.errors import Mistake, Origin
from proxygen.model.site import Owner, Site
from proxygen.model.sources import ParsedFile
from proxygen.model.yaml import Document

KEY = "domain "
"""How the claim of a domain begins, which no name is that could be served."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A domain with its place; *owner* is None if nothing right is left of it."""

    key: str
    typed: str
    where: Origin
    owner: Owner | None
    mistakes: tuple[Mistake, ...]

    @property
    def claims(self) -> tuple[str, ...]:
        """What nobody else may have: the domain and its names.

        A URL that was typed wrong is not one.
        """
        return (KEY + self.key, *filter(None, self.owner.names if self.owner else ()))


class PlacedOf(Protocol):
    """Returns the domains of a file; *once*: of a file as it was last right."""

    def __call__(self, file: ParsedFile, *, once: bool = False) -> tuple[Placed, ...]:
        """Return them; the same object while the file is the same."""


class Earlier(NamedTuple):
    """The main file with all that it said before and says no more, for what is held back.

    *document* is that, *site* the one without domains that it makes, *placed_of* returns the
    domains of a file that was found by a mask. *texts* are those of which something was needed.
    """

    document: Document
    site: Site
    placed_of: Callable[[ParsedFile, str], tuple[Placed, ...]]
    texts: tuple[bytes, ...] = ()
