"""certbot: a file in renewal/ tells of each lineage (INI, never executed)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shlex import quote

from proxygen.host.files import is_regular
from proxygen.importing import DNS, STANDALONE, ClientFolder, FoundAccount, Lineage
from proxygen.importing.reading import ClientFiles, is_plain, is_url

NAME = "certbot"
KNOWN = ("/etc/letsencrypt",)
HOOKS = ("renew_hook", "post_hook", "pre_hook", "installer")
FOR_ALL = ("deploy-hook", "renew-hook", "post-hook", "pre-hook")
"""What cli.ini may have the same for all lineages."""
FOLDERS = ("deploy", "post", "pre")


def find(folder: Path, reading: ClientFiles) -> ClientFolder:
    """Return the lineages of a configuration folder, each with its account."""
    shared = tuple(hooks_of_all(folder, reading))
    lineages = tuple(
        replace(found, hooks=(*found.hooks, *shared))
        for path in reading.below(folder / "renewal")
        if path.suffix == ".conf" and (found := lineage(path, folder, reading))
    )
    accounts = dict.fromkeys(each.account for each in lineages if each.account)
    return ClientFolder(lineages, tuple(accounts))


def lineage(path: Path, folder: Path, reading: ClientFiles) -> Lineage | None:
    """Return what a renewal file tells of; None where that is not there."""
    said = settings(reading.text(path))
    certificate, key = said.get("fullchain", ("", 0)), said.get("privkey", ("", 0))
    where = f"{path}:{certificate[1]}" if certificate[1] else str(path)
    if not reading.pair(certificate[0], key[0], where):
        return None
    directory = said.get("server", ("", 0))[0]
    return Lineage(
        NAME,
        path.stem,
        Path(certificate[0]),
        Path(key[0]),
        where,
        directory if is_url(directory) else "",
        account(folder, directory, said.get("account", ("", 0))[0], reading),
        webroots(said),
        tuple(f"{name} = {said[name][0]}" for name in HOOKS if said.get(name, ("", 0))[0]),
        f"mv {quote(str(path))} {quote(f'{path}.off')}",
        challenge(said),
    )


def hooks_of_all(folder: Path, reading: ClientFiles) -> Iterator[str]:
    """Yield what certbot runs after each renewal, whatever lineage it is of."""
    if is_regular(folder / "cli.ini"):
        said = settings(reading.text(folder / "cli.ini"))
        yield from (f"{name} = {said[name][0]}" for name in FOR_ALL if name in said)
    for name in FOLDERS:
        hooks = reading.below(folder / "renewal-hooks" / name)
        yield from (str(path) for path in hooks if is_regular(path))


def challenge(said: dict[str, tuple[str, int]]) -> str:
    """Return by which challenge a lineage is proven, as in ``Lineage``."""
    by, preferred = (said.get(name, ("", 0))[0] for name in ("authenticator", "pref_challs"))
    if "dns" in by or preferred.startswith("dns"):
        return DNS
    return STANDALONE if by == "standalone" else ""


def settings(text: str) -> dict[str, tuple[str, int]]:
    """Return what a renewal file sets, each with its line; below [[webroot_map]] with a prefix."""
    found: dict[str, tuple[str, int]] = {}
    prefix = ""
    for number, line in enumerate(text.split("\n"), 1):
        written = line.strip()
        if written.startswith("["):
            prefix = "map " if written == "[[webroot_map]]" else ""
            continue
        name, equals, value = written.partition("=")
        if equals and not written.startswith("#"):
            bare = value.strip()
            value = bare[1:-1] if re.fullmatch(r"\"[^\"]*\"|'[^']*'", bare) else bare
            found[prefix + name.strip()] = ("" if value == "None" else value, number)
    return found


def webroots(said: dict[str, tuple[str, int]]) -> tuple[str, ...]:
    """Return the folders in which challenges are answered."""
    listed = said.get("webroot_path", ("", 0))[0].split(",")
    mapped = [value for name, (value, _) in said.items() if name.startswith("map ")]
    return tuple(dict.fromkeys(each for word in (*listed, *mapped) if (each := word.strip())))


def account(folder: Path, directory: str, name: str, reading: ClientFiles) -> FoundAccount | None:
    """Return the account that a lineage was ordered by; None where its key is not there."""
    if not is_url(directory) or not is_plain(name):
        return None
    place = folder.joinpath("accounts", *directory.removeprefix("https://").split("/"), name)
    key = place / "private_key.json"
    if ".." in place.parts or not reading.fields(key):
        return None
    return FoundAccount(NAME, directory, key)
