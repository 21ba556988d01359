"""Assemble: the parts that a model names, built from what stands in it."""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxygen import registry
from proxygen.bundles import Bundles
from proxygen.errors import IssueFailed, UsageError
from proxygen.host import files
from proxygen.issuers import Issuer
from proxygen.model.certificate import Secret
from proxygen.model.layout import Layout
from proxygen.model.reading import read
from proxygen.model.site import Site
from proxygen.model.sources import Source, Unreadable
from proxygen.solvers import Solver
from proxygen.stores import Store
from proxygen.stores.filesystem import FileStore

if TYPE_CHECKING:
    from proxygen.plan.render import Templates

MOST_FILES = 200_000


@dataclass(frozen=True)
class Parts:
    """All that a round works with; *now* is the only clock."""

    layout: Layout
    store: Store
    bundles: Bundles
    templates: Templates
    services: Mapping[str, Any]
    now: Callable[[], datetime]


def site(layout: Layout) -> Site:
    """Return the site that the model file describes; raise ModelError or UsageError."""
    return read(
        source(layout.config), including(layout), registry.settings(), registry.applications()
    )


def source(path: Path) -> Source:
    """Return a file of the model; raise UsageError when it cannot be read."""
    try:
        text = files.read(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", remedy="correct it") from error
    if text is None:
        raise UsageError(
            f"there is no model file {path}",
            remedy="write one with `proxygen init`, or name another with --config",
        )
    return Source(str(path), path.parent.absolute(), text)


def including(layout: Layout) -> Callable[[str], Sequence[Source | Unreadable]]:
    """Return how the files of an `include` are found, relative to the model file."""

    def load(mask: str) -> Sequence[Source | Unreadable]:
        folder = layout.config.parent
        found = glob.iglob(mask, root_dir=folder, recursive=True)  # noqa: PTH207 not hidden ones
        paths = sorted({folder / name for name in islice(found, MOST_FILES + 1)})
        if len(paths) > MOST_FILES:
            raise UsageError(f"{mask} names more than {MOST_FILES} files", where=str(layout.config))
        if "**" in mask:  # which names every folder besides
            paths = [path for path in paths if not path.is_dir()]
        return tuple(map(included, paths))

    return load


def included(path: Path) -> Source | Unreadable:
    """Return a file that an `include` found, or why it cannot be read."""
    try:
        text = files.read(path)
    except OSError as error:
        return Unreadable(str(path), error.strerror or str(error))
    if text is None:
        return Unreadable(str(path), os.strerror(errno.ENOENT))
    return Source(str(path), path.parent.absolute(), text)


def parts(layout: Layout, now: Callable[[], datetime]) -> Parts:
    """Return what every round needs; issuers come when one is due."""
    from proxygen.host import templates

    store = FileStore(layout.store)
    return Parts(
        layout=layout,
        store=store,
        bundles=Bundles(store),
        templates=templates.load(layout.etc / "templates"),
        services=registry.services(),
        now=now,
    )


@contextmanager
def issuers(
    parts: Parts, site: Site, words: set[str], *, listen: bool
) -> Iterator[dict[str, Issuer]]:
    """Have the named issuers for a block; *listen*: no web server answers the challenges."""
    built: dict[str, Issuer] = {}
    if "file" in words:
        from proxygen.issuers.file import FileIssuer

        built["file"] = FileIssuer(parts.now, secret)
    if "selfsigned" in words:
        from proxygen.issuers.selfsigned import SelfSignedIssuer

        built["selfsigned"] = SelfSignedIssuer(parts.now)
    if "acme" not in words:
        yield built
        return
    from proxygen.issuers.acme import AcmeIssuer
    from proxygen.solvers.http01 import Listener, Webroot

    with ExitStack() as stack:
        solver: Solver = Webroot(parts.layout.challenges)
        if listen:
            solver = stack.enter_context(Listener(site.acme.http_port))
        built["acme"] = AcmeIssuer(site.acme, parts.store, solver, parts.now, secret)
        yield built


def secret(reference: Secret) -> bytes:
    """Return the secret that a reference leads to; raise IssueFailed when there is none."""
    try:
        if reference.kind == "env":
            return os.environb[reference.place.encode()]
        found = files.read(Path(reference.place), 64 * 1024)
    except (KeyError, OSError) as error:
        raise missing(reference) from error
    if found is None:
        raise missing(reference)
    return found.rstrip(b"\r\n")


def missing(reference: Secret) -> IssueFailed:
    """Return the error for a secret that is not there."""
    return IssueFailed(
        f"the secret {reference.kind}:{reference.place} is not there",
        remedy="set the variable, or make the file readable",
        final=True,
    )
