"""A word in the model is the name of a module; there is no list to extend."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from types import ModuleType

from pydantic import BaseModel, ValidationError

from proxygen.errors import ModelError
from proxygen.host import files
from proxygen.model.instances import kind_in
from proxygen.model.mistakes import mistakes_of
from proxygen.model.schema import Application
from proxygen.model.yaml import parse_document
from proxygen.services.service_kind import Service


def known_words(folder: str) -> tuple[str, ...]:
    """Return the words that a folder of the package defines, sorted.

    A module with an underscore in its name is not a word: it is a part of those beside it.
    """
    package = importlib.import_module(f"proxygen.{folder}")
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(name for name in names if "_" not in name))


def module_of(folder: str, word: str) -> ModuleType:
    """Return the module of a word; raise LookupError for an unknown one."""
    if word not in known_words(folder):
        raise LookupError(f"no {word} in {folder}")
    return importlib.import_module(f"proxygen.{folder}.{word}")


@cache
def services() -> dict[str, Service]:
    """Return one service of each kind, by the kind's word, which is its name."""
    return {word: service(word, word) for word in known_words("services")}


@cache
def service(kind: str, name: str) -> Service:
    """Return the service of a kind under a name."""
    named: Service = module_of("services", kind).SERVICE.named(name, kind)
    return named


class NamedServices(Mapping[str, Service]):
    """Every service by its name: one of each kind, and further ones that are named after theirs.

    Any such name leads to a service; told are those that have something below *live*.
    """

    def __init__(self, live: Path) -> None:
        self.live = live

    def __getitem__(self, name: str) -> Service:
        kind = kind_in(name, services())
        if kind is None:
            raise KeyError(name)
        return service(kind, name)

    def __iter__(self) -> Iterator[str]:
        known = services()
        yield from known
        there = (name for name in files.names(self.live) if name not in known)
        yield from sorted(name for name in there if kind_in(name, known))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@cache
def notifiers() -> dict[str, ModuleType]:
    """Return every known notifier by its word."""
    return {word: module_of("notifiers", word) for word in known_words("notifiers")}


@cache
def solvers() -> dict[str, ModuleType]:
    """Return every known solver that writes DNS records by its word."""
    known = {word: module_of("solvers", word) for word in known_words("solvers")}
    return {word: module for word, module in known.items() if hasattr(module, "Settings")}


def settings() -> dict[str, dict[str, type[BaseModel]]]:
    """Return the settings types of all services, notifiers and solvers, by folder and word."""
    rooms = {"notifiers": notifiers(), "solvers": solvers()}
    return {"services": {word: each.settings_type for word, each in services().items()}} | {
        room: {word: module.Settings for word, module in modules.items()}
        for room, modules in rooms.items()
    }


@cache
def applications() -> dict[str, Application]:
    """Return every known application by its word; raise ModelError for a broken one."""
    folder = resources.files("proxygen") / "applications"
    paths = sorted(Path(str(each)) for each in folder.iterdir() if each.name.endswith(".yaml"))
    found = {path.stem: application(path) for path in paths}
    return {word: with_base(each, found) for word, each in found.items()}


def with_base(found: Application, known: Mapping[str, Application]) -> Application:
    """Return an application with the locations of its base application, if it has one."""
    if found.base is None:
        return found
    base = known[found.base]
    return Application(
        instead=base.instead | found.instead, locations=base.locations | found.locations
    )


def application(path: Path) -> Application:
    """Return one application, parsed like a model."""
    document = parse_document(str(path), files.read(path) or b"")
    try:
        found = Application.model_validate(document.value)
    except ValidationError as error:
        document.mistakes += mistakes_of(document, error, Application)
    if document.mistakes:
        raise ModelError(tuple(document.mistakes))
    return found
