"""The model as the daemon reads it, with the files as they were read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from proxygen import assemble
from proxygen.assemble import ModelFiles
from proxygen.daemon.fingerprints import UNREADABLE, of_text
from proxygen.errors import Mistake, ModelError, ProxygenError
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.model.sources import Source, UnreadableFile

LARGEST = 256 * 1024 * 1024
"""Octets of what is kept: a main file, those included, and their names, most letters as two."""

Sources = tuple[Source | UnreadableFile, ...]


@dataclass(frozen=True, slots=True)
class Texts:
    """The files of a model: the *main* one, and those *included* by the mask that names them."""

    main: Source
    included: Mapping[str, Sources]

    def fingerprints(self) -> Iterator[tuple[str, str]]:
        """Yield (path, fingerprint) of each file, as it was read."""
        for each in (self.main, *(one for many in self.included.values() for one in many)):
            yield each.name, of_text(each.text) if isinstance(each, Source) else UNREADABLE


@dataclass(slots=True)
class ModelReading:
    """The result of reading the files: the *site*, or the *mistakes* for which there is none."""

    texts: Texts | None
    masks: tuple[str, ...]
    site: Site | None = None
    mistakes: tuple[Mistake | ProxygenError, ...] = ()


def read_files(layout: Layout, known: ModelFiles) -> ModelReading:
    """Read the files of the model that are not as they were *known*."""
    included: dict[str, Sources] = {}
    load = assemble.include_reader(layout, known)

    def recorded(mask: str) -> Sources:
        included[mask] = tuple(load(mask))
        return included[mask]

    reading = ModelReading(None, ())
    try:
        main = assemble.read_source(layout.config)
        reading.texts = Texts(main, included)
        reading.site = assemble.settled_site(layout, main, recorded, known)
    except ModelError as error:
        reading.mistakes = error.mistakes
    except ProxygenError as error:
        reading.mistakes = (error,)
    reading.masks = tuple(included)
    return reading
