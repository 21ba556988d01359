"""acme.sh: NAME/ or NAME_ecc/ with NAME.conf (shell, read as data); ca/HOST/PATH has accounts."""

from __future__ import annotations

import binascii
from base64 import b64decode
from pathlib import Path
from shlex import quote

from proxygen.host.files import is_foreign, is_regular
from proxygen.importing import DNS, STANDALONE, ClientFolder, FoundAccount, Lineage
from proxygen.importing.reading import ClientFiles, is_url, mail_address

NAME = "acme.sh"
KNOWN = ("~/.acme.sh", "/etc/acme.sh", "/opt/acme.sh", "/usr/local/share/acme.sh")
START, END = "__ACME_BASE64__START_", "__ACME_BASE64__END_"


def find(folder: Path, reading: ClientFiles) -> ClientFolder:
    """Return the certificates and accounts in acme.sh's home."""
    if not is_regular(folder / "account.conf") and not reading.is_folder(folder / "ca"):
        return ClientFolder()
    held: dict[str, FoundAccount] = {}
    lineages = []
    for path in reading.below(folder):
        name = path.name.removesuffix("_ecc")
        noted = path / f"{name}.conf"
        found = lineage(path, name, folder, reading) if is_regular(noted) else None
        if found:
            lineages.append(found)
            if found.account:
                held[found.account.directory] = found.account
    return ClientFolder(tuple(lineages), tuple(held.values()))


def lineage(path: Path, name: str, home: Path, reading: ClientFiles) -> Lineage | None:
    """Return the certificate of a folder."""
    noted = path / f"{name}.conf"
    said = reading.variables(noted)
    certificate, key = path / "fullchain.cer", path / f"{name}.key"
    if not said.get("Le_Domain"):
        reading.note_unreadable(f"{noted} tells no domain that can be read")
        return None
    if not reading.pair(certificate, key, str(noted)):
        return None
    directory = said.get("Le_API", "")
    ways = said.get("Le_Webroot", "").split(",")
    folders = tuple(each for each in ways if each.startswith("/"))
    ecc = " --ecc" if path.name.endswith("_ecc") else ""
    whose = "# not as root, but as whose it is: " if is_foreign(home) else ""
    reload = decode_value(said.get("Le_ReloadCmd", ""))
    return Lineage(
        NAME,
        name,
        certificate,
        key,
        str(noted),
        directory if is_url(directory) else "",
        account(home, directory, reading),
        folders,
        (f"Le_ReloadCmd={reload}",) if reload else (),
        f"{whose}{quote(str(home / 'acme.sh'))} --remove -d {quote(name)}{ecc}",
        challenge(ways),
    )


def challenge(ways: list[str]) -> str:
    """Return by which challenge a certificate is proven, as in ``Lineage``."""
    if any(each.startswith("dns") for each in ways):
        return DNS
    return STANDALONE if "no" in ways else ""


def decode_value(value: str) -> str:
    """Return a value that acme.sh may have encoded."""
    if not (value.startswith(START) and value.endswith(END)):
        return value
    try:
        return b64decode(value[len(START) : -len(END)], validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def account(home: Path, directory: str, reading: ClientFiles) -> FoundAccount | None:
    """Return the account at an authority; None where its key is not there."""
    if not is_url(directory):
        return None
    place = home.joinpath("ca", *directory.removeprefix("https://").split("/"))
    if ".." in place.parts or not reading.text(place / "account.key"):
        return None
    said = reading.variables(place / "ca.conf")
    return FoundAccount(NAME, directory, place / "account.key", mail_address(said.get("CA_EMAIL")))
