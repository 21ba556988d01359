"""Finds the lineages of all clients in their usual folders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from os.path import realpath
from pathlib import Path

from proxygen.errors import IssueFailed
from proxygen.importing import (
    Client,
    ClientFolder,
    ClientInventory,
    FoundAccount,
    acme_sh,
    certbot,
    dehydrated,
    lego,
    mod_md,
)
from proxygen.importing.reading import ClientFiles
from proxygen.model.layout import Layout

CLIENTS: tuple[Client, ...] = (certbot, lego, dehydrated, acme_sh, mod_md)
HOME = "/root"


def lineages(layout: Layout, more: Iterable[Path]) -> ClientInventory:
    """Return the lineages in the usual folders, and in *more*, of all clients."""
    found = ClientInventory()
    for client in CLIENTS:
        reading = ClientFiles()
        usual = (layout.host(each.replace("~", HOME)) for each in client.KNOWN)
        for folder in dict.fromkeys((*usual, *more)):
            if reading.is_folder(folder):
                there = client.find(folder, reading)
                unusable = dict(unusable_keys(there, reading))
                found.lineages += [
                    replace(each, account=None if each.account in unusable else each.account)
                    for each in there.lineages
                ]
                found.accounts += (each for each in there.accounts if each not in unusable)
                found.troubles += unusable.values()
        found.troubles += reading.troubles
        if reading.troubles:
            found.unsure.add(client.NAME)
    unique = {tuple(map(realpath, (each.certificate, each.key))): each for each in found.lineages}
    found.lineages = list(unique.values())
    found.troubles = list(dict.fromkeys(found.troubles))
    return found


def unusable_keys(there: ClientFolder, reading: ClientFiles) -> Iterator[tuple[FoundAccount, str]]:
    """Yield the accounts whose key cannot be used, each with what is told of it."""
    if there.accounts:
        from proxygen.issuers.acme_key import key_of_client  # heavy: no other command needs it
    for each in there.accounts:
        try:
            key_of_client(reading.text(each.key).encode())
        except IssueFailed:
            yield (
                each,
                f"{each.key} is no private key of an account that can be used: another account is"
                " taken, or a new one made",
            )
