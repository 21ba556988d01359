"""mod_md of Apache: domains/NAME/md.json with pubcert.pem and privkey.pem.

The keys of its accounts are encrypted with a key of its own, so that they are not imported.
"""

from __future__ import annotations

from pathlib import Path

from proxygen.host.files import is_regular
from proxygen.importing import DNS, ClientFolder, Lineage
from proxygen.importing.reading import ClientFiles, is_url

NAME = "mod_md"
KNOWN = ("/etc/apache2/md", "/var/lib/apache2/md", "/etc/httpd/md", "/var/cache/apache2/md")
KINDS = ("", ".secp256r1", ".secp384r1", ".rsa2048", ".rsa3072", ".rsa4096")


def find(folder: Path, reading: ClientFiles) -> ClientFolder:
    """Return the managed domains of a MDStoreDir that have certificates."""
    lineages = []
    for path in reading.below(folder / "domains"):
        noted = path / "md.json"
        told = reading.fields(noted) if is_regular(noted) else {}
        there = {each.name for each in reading.below(path)} if told else set()
        for kind in KINDS:
            certificate, key = path / f"pubcert{kind}.pem", path / f"privkey{kind}.pem"
            if certificate.name in there and reading.pair(certificate, key, str(noted)):
                given = (path.name, certificate, key, str(noted), directory(told))
                lineages.append(
                    Lineage(
                        NAME,
                        *given,
                        stop=f"# take `MDomain {path.name}` out of Apache's configuration",
                        challenge=challenge(told),
                    )
                )
                break
    if lineages and any(reading.below(folder / "accounts")):
        reading.note_unreadable(
            f"{folder / 'accounts'}: mod_md encrypts the keys of its accounts, so that proxygen "
            "makes an account of its own"
        )
    return ClientFolder(tuple(lineages))


def challenge(told: dict[str, object]) -> str:
    """Return by which challenge a domain is proven, as in ``Lineage``."""
    authority = told.get("ca")
    listed = authority.get("challenges") if isinstance(authority, dict) else None
    return DNS if listed == [DNS] else ""


def directory(told: dict[str, object]) -> str:
    """Return the directory of the authority that a domain has its certificate from."""
    authority = told.get("ca")
    if not isinstance(authority, dict):
        return ""
    listed = authority.get("urls")
    first = listed[0] if isinstance(listed, list) and listed else authority.get("url")
    return str(first) if is_url(first) else ""
