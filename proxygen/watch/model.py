"""The model as the daemon has it: as the files are now, and as they were when last right."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxygen import assemble, registry
from proxygen.assemble import ModelFiles
from proxygen.errors import Mistake, ModelError, ProxygenError
from proxygen.host import files
from proxygen.model.layout import Layout
from proxygen.model.reading import read
from proxygen.model.site import Site
from proxygen.model.sources import Source, Unreadable
from proxygen.watch.fingerprints import UNREADABLE, of_text

Sources = tuple[Source | Unreadable, ...]


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
class Reading:
    """One look at the files: the *site*, or the *mistakes* for which there is none."""

    texts: Texts | None
    masks: tuple[str, ...]
    site: Site | None = None
    mistakes: tuple[Mistake | ProxygenError, ...] = ()


def look(layout: Layout, known: ModelFiles) -> Reading:
    """Read the files of the model as they are now, those that are not as they were *known*."""
    included: dict[str, Sources] = {}
    load = assemble.including(layout, known)

    def recorded(mask: str) -> Sources:
        included[mask] = tuple(load(mask))
        return included[mask]

    reading = Reading(None, ())
    try:
        main = assemble.source(layout.config)
        reading.texts = Texts(main, included)
        settings, applications = registry.settings(), registry.applications()
        reading.site = read(main, recorded, settings, applications, known.before)
    except ModelError as error:
        reading.mistakes = error.mistakes
    except ProxygenError as error:
        reading.mistakes = (error,)
    reading.masks = tuple(included)
    return reading


def keep(layout: Layout, texts: Texts) -> None:
    """Keep the files of a model that is right, for a start at which they are wrong.

    For root alone: they name the places of secrets.
    """
    written = json.dumps(as_json(texts)).encode()
    path = layout.watch / "model.json"
    if files.read(path) != written:
        files.folder(path.parent, 0o700)
        files.write(path, written)


def kept(layout: Layout) -> Site | None:
    """Return the last model that was right, None without one that still is."""
    try:
        texts = from_json(files.noted(layout.watch / "model.json"))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None

    def load(mask: str) -> Sequence[Source | Unreadable]:
        return texts.included.get(mask, ())

    try:
        return read(texts.main, load, registry.settings(), registry.applications())
    except ProxygenError:
        return None


def as_json(texts: Texts) -> dict[str, Any]:
    """Return the files as they are kept; latin-1 gives every octet back."""
    return {
        "main": source_json(texts.main),
        "included": {
            mask: [source_json(each) for each in many if isinstance(each, Source)]
            for mask, many in texts.included.items()
        },
    }


def source_json(source: Source) -> list[str]:
    """Return one file as it is kept."""
    return [source.name, str(source.folder), source.text.decode("latin-1")]


def from_json(kept: Mapping[str, Any]) -> Texts:
    """Return the files that were kept; raises what a damaged file leads to."""
    included = {mask: tuple(map(source, many)) for mask, many in kept["included"].items()}
    return Texts(source(kept["main"]), included)


def source(kept: Sequence[str]) -> Source:
    """Return one file that was kept."""
    name, folder, text = kept
    return Source(name, Path(folder), text.encode("latin-1"))
