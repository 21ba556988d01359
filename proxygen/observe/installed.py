"""What a service has of ours: its generation, and the notes beside it."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from typing import Any, TypedDict

from pydantic import TypeAdapter, ValidationError

from proxygen.assemble import Latest
from proxygen.failure import Scope, failure
from proxygen.host import files
from proxygen.host.additions import additions_in
from proxygen.host.own_part import OwnPart
from proxygen.model.layout import Live
from proxygen.plan.left_out import LeftOut, left_out_from
from proxygen.plan.observed import Installed, ServiceRefusal
from proxygen.plan.rendering import VERSION
from proxygen.services import (
    Additions,
)


def kept_additions(live: Live) -> dict[str, Additions]:
    """Return the directives that are stored, by digest, without damaged ones."""
    found: dict[str, Additions] = {}
    for digest in files.names(live.additions):
        scope = files.read_note(live.additions / digest / SCOPE).get("scope")
        if isinstance(scope, str):
            each = additions_in(scope, live.additions / digest)
            if each.digest == digest and not each.unread:
                found[digest] = each
    return found


def parts_left_out(live: Live) -> tuple[LeftOut, ...]:
    """Return the noted parts that a service refuses."""
    noted = files.read_note(live.folder / LEFT_OUT).get("left_out")
    found = map(left_out_from, noted) if isinstance(noted, list) else ()
    return tuple(each for each in found if each)


def read_installed(live: Live, own: OwnPart, user: str | None, latest: Latest) -> Installed:
    """Return what a service has of ours; *user* is its own system user."""
    target = files.link_target(live.current)
    texts_there, manifest, version = generation_contents(live.current, latest)
    private, shared = certificate_files(live, group_of(user))
    return Installed(
        generation=Path(target).name if target else None,
        files=texts_there,
        links=certificate_links(live.current),
        certificates=private,
        shared=shared,
        manifest=manifest,
        pointer=files.text(own.pointer.path) if own.pointer else None,
        written_for=version,
        begun=(live.folder / "begun").exists(),
        **last_probe(live),
        refused=refusal_noted(live),
        additions=kept_additions(live),
    )


class NotedProbe(TypedDict):
    """What was noted of the last look from outside, as in ``Installed``."""

    unserved: bool
    wrong_names: frozenset[str]
    unasked: frozenset[str]


def last_probe(live: Live) -> NotedProbe:
    """Return whether the last probe saw something wrong, for which names if known.

    And which names were not probed yet.
    """
    path = live.folder / UNSERVED
    return NotedProbe(
        unserved=path.exists(),
        wrong_names=names_noted(path),
        unasked=names_noted(live.folder / UNASKED),
    )


def names_noted(path: Path) -> frozenset[str]:
    """Return the names in a note; none if there is no such note."""
    noted = files.read_note(path).get("names")
    return frozenset(
        each for each in (noted if isinstance(noted, list) else []) if type(each) is str
    )


def refusal_noted(live: Live) -> ServiceRefusal | None:
    """Return why a service was not given what the model wants, None if it was."""
    noted = files.read_note(live.folder / REFUSED)
    if "what" in noted:  # as it was noted before codes were
        words, where = noted.get("words", ""), noted.get("where", "")
        before = failure("noted-before", Scope.SERVICE, live.folder.name, words=words, where=where)
        noted = {"since": noted.get("since"), "failure": before}
    try:
        return REFUSAL.validate_python(noted) if noted else None
    except ValidationError:
        return None


Contents = tuple[dict[str, str], dict[str, Any], tuple[int, ...]]


def generation_contents(folder: Path, latest: Latest) -> Contents:
    """Return texts, manifest and version of the generation in *folder*, read if files changed."""

    def read_all() -> Contents:
        return generation_texts(folder), manifest_of(folder), written_for(folder)

    stamps = [(name, files.stamp_of(folder / name)) for name in files.names(folder)]
    if not all(stamp for _, stamp in stamps):
        return read_all()
    return latest.of(f"contents of {folder}", (files.link_target(folder), stamps), read_all)


MANIFEST = "generation.json"
SETTINGS = "settings.json"
UNSERVED, UNASKED, REFUSED = "unserved", "unasked", "refused"
REFUSAL = TypeAdapter(ServiceRefusal)
LEFT_OUT = "left-out"
SCOPE = "scope.json"
"""What is noted beside directives that are kept; nginx includes it not."""


def manifest_of(generation: Path) -> dict[str, Any]:
    """Return what was noted when a generation was made; empty if it is none of ours."""
    noted = files.read_note(generation / MANIFEST)
    noted.pop(VERSION, None)
    endpoints = noted.get("endpoints")
    shaped = isinstance(endpoints, list) and all(
        isinstance(each, list) and list(map(type, each))[:3] == [str, int, str] and len(each) == 6
        for each in endpoints
    )
    return noted if shaped and isinstance(noted.get("certificates"), list) else {}


def written_for(generation: Path) -> tuple[int, ...]:
    """Return the version of its service that a generation was written for, empty if unknown."""
    noted = files.read_note(generation / MANIFEST).get(VERSION)
    numbers = noted if isinstance(noted, list) else []
    return tuple(numbers) if all(type(each) is int for each in numbers) else ()


def generation_texts(folder: Path) -> dict[str, str]:
    """Return the texts of a generation's files."""
    paths = [folder / name for name in files.names(folder) if name != MANIFEST]
    return {
        path.name: text
        for path in paths
        if files.is_regular(path)
        and not path.is_symlink()
        and (text := files.text(path)) is not None
    }


def certificate_links(folder: Path) -> dict[str, str]:
    """Return the names of the certificate files that a generation's links lead to."""
    found = {name: files.link_target(folder / name) for name in files.names(folder)}
    return {name: Path(target).name for name, target in found.items() if target}


def certificate_files(live: Live, group: int | None) -> tuple[frozenset[str], frozenset[str]]:
    """Return the certificate files that only root can read, and those that *group* can besides."""
    if not live.certificates.is_dir():
        return frozenset(), frozenset()
    with os.scandir(live.certificates) as entries:
        found = [(entry.name, status) for entry in entries if (status := status_of(entry))]
    private = frozenset(name for name, status in found if has_proper_mode(status, None))
    if group is None:
        return private, private
    return private, frozenset(name for name, status in found if has_proper_mode(status, group))


def status_of(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return the status of a file, None if another run removed it just now."""
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def has_proper_mode(status: os.stat_result, group: int | None) -> bool:
    """Return whether a certificate file has the mode and group that it should have."""
    mode = 0o600 if group is None else 0o640
    return (
        stat.S_ISREG(status.st_mode)
        and stat.S_IMODE(status.st_mode) == mode
        and (group is None or status.st_gid == group)
    )


def group_of(user: str | None) -> int | None:
    """Return the primary group of the user who reads certificates besides root.

    None if nobody does, or if we are not root: then all run as the same user.
    """
    if user is None or os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(user).pw_gid
    except KeyError:
        return None
