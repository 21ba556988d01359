"""dehydrated: its config is a shell script, read as data; certs/NAME, accounts/CA."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterator
from pathlib import Path
from shlex import quote

from proxygen.host.files import is_regular
from proxygen.importing import DNS, ClientFolder, FoundAccount, Lineage
from proxygen.importing.reading import ClientFiles, is_url, mail_address

NAME = "dehydrated"
KNOWN = ("/etc/dehydrated", "/usr/local/etc/dehydrated", "/var/lib/dehydrated")
LONGEST_NAME = 253
CAS = {
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt-test": "https://acme-staging-v02.api.letsencrypt.org/directory",
    "zerossl": "https://acme.zerossl.com/v2/DV90",
    "buypass": "https://api.buypass.com/acme/directory",
    "buypass-test": "https://api.test4.buypass.no/acme/directory",
}
"""The words of dehydrated 0.7 for authorities."""


def find(folder: Path, reading: ClientFiles) -> ClientFolder:
    """Return the certificates of a folder with a config, or with certs alone."""
    said = configuration(folder, reading)
    base = Path(said.get("BASEDIR") or folder)
    certificates = Path(said.get("CERTDIR") or base / "certs")
    accounts = Path(said.get("ACCOUNTDIR") or base / "accounts")
    lineages = [
        found
        for path in reading.below(certificates)
        if (found := lineage(path, said, accounts, reading))
    ]
    listed = Path(said.get("DOMAINS_TXT") or base / "domains.txt")
    for name in waiting(listed, {each.name for each in lineages}, reading) if lineages else ():
        reading.note_unreadable(f"{listed}: {NAME} has no certificate for {name} yet")
    held = dict.fromkeys(each.account for each in lineages if each.account)
    return ClientFolder(tuple(lineages), tuple(held))


def waiting(listed: Path, names: Collection[str], reading: ClientFiles) -> Iterator[str]:
    """Yield the certificates that are listed and not there: the first name, or the alias."""
    for line in reading.text(listed).split("\n") if is_regular(listed) else ():
        words, _, alias = line.partition("#")[0].partition(">")
        if words.split() and (name := (alias.split() or words.split())[0]) not in names:
            yield ascii(name[:LONGEST_NAME])[1:-1]


def configuration(folder: Path, reading: ClientFiles) -> dict[str, str]:
    """Return what config and the files of its CONFIG_D set."""
    said = reading.variables(folder / "config", {"BASEDIR": str(folder)})
    if more := said.get("CONFIG_D"):
        for path in reading.below(Path(more)):
            if path.suffix == ".sh":
                said = reading.variables(path, said)
    return said


def lineage(
    folder: Path, said: dict[str, str], accounts: Path, reading: ClientFiles
) -> Lineage | None:
    """Return the certificate of a folder, whose own config may say more."""
    certificate, key = folder / "fullchain.pem", folder / "privkey.pem"
    there = {path.name for path in reading.below(folder)}
    if "fullchain.pem" not in there or not reading.pair(certificate, key, str(folder)):
        return None
    own = reading.variables(folder / "config", said) if "config" in there else said
    word = own.get("CA", "letsencrypt")
    directory = CAS.get(word, word)
    webroot = own.get("WELLKNOWN", "")
    return Lineage(
        NAME,
        folder.name,
        certificate,
        key,
        str(folder),
        directory if is_url(directory) else "",
        account(accounts, directory, own, reading),
        (webroot,) if webroot and own.get("CHALLENGETYPE", "http-01") == "http-01" else (),
        (f"HOOK={own['HOOK']}",) if own.get("HOOK") else (),
        f"# take {quote(folder.name)} out of {quote(own.get('DOMAINS_TXT') or 'domains.txt')}",
        DNS if own.get("CHALLENGETYPE") == DNS else "",
    )


def account(
    accounts: Path, directory: str, said: dict[str, str], reading: ClientFiles
) -> FoundAccount | None:
    """Return the account at an authority; None where its key is not there."""
    if not is_url(directory):
        return None
    named = urlsafe_b64encode(f"{directory}\n".encode()).decode().rstrip("=")
    key = accounts / named / "account_key.pem"
    if not reading.text(key):
        return None
    return FoundAccount(NAME, directory, key, mail_address(said.get("CONTACT_EMAIL")))
