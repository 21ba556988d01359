"""lego: NAME.crt, NAME.key and NAME.json for each certificate; an account a server and address."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from proxygen.importing import ClientFolder, FoundAccount, Lineage
from proxygen.importing.reading import ClientFiles, mail_address
from proxygen.model.schema import DIRECTORIES

NAME = "lego"
KNOWN = ("~/.lego", "/etc/lego", "/var/lib/lego", "/etc/ssl/lego", "/.lego")
HOSTS = {urlsplit(url).netloc: url for url in DIRECTORIES.values()}
"""lego notes the host of an authority, not its directory."""


def find(folder: Path, reading: ClientFiles) -> ClientFolder:
    """Return the certificates and accounts in a folder that was lego's --path."""
    held = tuple(accounts(folder, reading))
    only = held[0] if len(held) == 1 else None
    lineages = []
    for path in reading.below(folder / "certificates"):
        if path.suffix != ".json":
            continue
        noted = reading.fields(path)
        certificate, key = path.with_suffix(".crt"), path.with_suffix(".key")
        if noted.get("domain") and reading.pair(certificate, key, str(path)):
            directory = HOSTS.get(host_of(noted), "")
            of = next((each for each in held if each.directory == directory), only)
            given = (path.stem, certificate, key, str(path), of.directory if of else directory, of)
            lineages.append(Lineage(NAME, *given))
    return ClientFolder(tuple(lineages), held)


def host_of(noted: dict[str, object]) -> str:
    """Return the host of the authority that a certificate is from."""
    try:
        return urlsplit(str(noted.get("certUrl", ""))).netloc
    except ValueError:
        return ""


def accounts(folder: Path, reading: ClientFiles) -> list[FoundAccount]:
    """Return the accounts; one whose authority is not known has the host in its directory."""
    found = []
    for server in reading.below(folder / "accounts"):
        for holder in reading.below(server):
            told = reading.fields(holder / "account.json")
            keys = [key for key in reading.below(holder / "keys") if key.suffix == ".key"]
            if told and len(keys) == 1:
                host = server.name.replace("_", ":")
                directory = HOSTS.get(host, f"https://{host}")
                found.append(
                    FoundAccount(NAME, directory, keys[0], mail_address(told.get("email")))
                )
    return found
