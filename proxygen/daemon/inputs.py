"""The files whose change is a reason for a round, and what is watched for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from proxygen.daemon.fingerprints import of_text
from proxygen.errors import UsageError
from proxygen.host import files
from proxygen.host.masks import folders as looked_into
from proxygen.host.masks import names
from proxygen.model.certificate import Secret
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.plan.observed import ServiceState

DEPTH = ("*", "*/*")
"""How far below the folder of its main file a service's configuration is looked at."""


def of_model(layout: Layout, masks: Iterable[str]) -> set[str]:
    """Return the files of the model as they are now.

    For a mask that names too many, their folder: whoever reads the model reports it.
    """
    folder = layout.config.parent
    found = {str(layout.config)}
    for mask in masks:
        start = "" if mask.startswith("/") else f"{str(folder).rstrip('/')}/"
        try:
            found.update(start + name for name in names(folder, mask))
        except UsageError:
            found.add(str(folder))
    return found


def of_site(site: Site | None) -> set[str]:
    """Return the other files that a model names: supplied certificates, secrets and roots."""
    if site is None:
        return set()
    found: set[Path] = set()
    secrets: list[Secret | None] = []
    for wanted in site.certificates:
        if wanted.file:
            found.update(wanted.file.paths)
            secrets.append(wanted.file.password)
    for authority in site.authorities:
        found.update(authority.trusted_roots)
        if authority.external_account:
            secrets.append(authority.external_account.hmac_key)
    places = {each.place for each in secrets if each and each.kind == "file"}
    return {str(each) for each in found} | places


def of_administrator(layout: Layout) -> set[str]:
    """Return the administrator's templates and local directives, folders included."""
    masks = ("templates/*/*.j2", "nginx.d/*", "nginx.d/*/*.conf")
    return {str(path) for mask in masks for path in layout.etc.glob(mask)}


def input_folders(layout: Layout, masks: Iterable[str]) -> frozenset[str]:
    """Return the folders in which a new name may be an input, whether or not they exist."""
    above = [layout.etc / "templates", layout.etc / "nginx.d"]
    found = [*above, *(each for folder in above for each in folders_below(folder))]
    for mask in masks:
        found += searched_folders(layout.config.parent, mask)
    return frozenset(map(str, found))


def folders_below(folder: Path) -> Iterator[Path]:
    """Yield the folders in a folder."""
    return (folder / name for name in files.names(folder) if (folder / name).is_dir())


def searched_folders(folder: Path, mask: str) -> Iterator[Path]:
    """Yield every folder that a mask with wildcards searches."""
    return (folder / each for each in looked_into(folder, mask))


def read_by(layout: Layout, state: ServiceState) -> list[str]:
    """Return a service's own main files and those of ours that it reads."""
    if state.facts is None:
        return []
    current = layout.live(state.name).current
    return [*own_files(state.facts.main), *(str(current / name) for name in files.names(current))]


def linked_by(layout: Layout, name: str) -> dict[str, str]:
    """Return which generation of ours serves, and which certificates there are."""
    live = layout.live(name)
    serving = files.link_target(live.current) or ""
    return {str(live.current): serving, str(live.certificates): folder_listing(live.certificates)}


def own_files(main: Path) -> Iterator[str]:
    """Yield a service's main files: those of one kind with its main file, beside and below it."""
    yield str(main)
    if main.suffix:
        for depth in DEPTH:
            for path in sorted(main.parent.glob(f"{depth}{main.suffix}")):
                if path != main:
                    yield str(path)


def folder_listing(folder: Path) -> str:
    """Return a hash that changes when a name is added to or removed from a folder."""
    return of_text("\n".join(files.names(folder)).encode())


def of_services(layout: Layout, states: Iterable[ServiceState]) -> frozenset[str]:
    """Return the folders in which a change may concern what services serve."""
    found: list[Path] = []
    for state in states:
        if state.facts:
            live = layout.live(state.name)
            above = state.facts.main.parent
            found += [above, *folders_below(above), live.current, live.certificates]
    return frozenset(map(str, found))
