"""Finds the lineages of all clients in their usual folders."""

from __future__ import annotations

from collections.abc import Iterable
from os.path import realpath
from pathlib import Path

from proxygen.importing import Client, ClientInventory, acme_sh, certbot, dehydrated, lego, mod_md
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
                found.lineages += there.lineages
                found.accounts += there.accounts
        found.troubles += reading.troubles
        if reading.troubles:
            found.unsure.add(client.NAME)
    unique = {tuple(map(realpath, (each.certificate, each.key))): each for each in found.lineages}
    found.lineages = list(unique.values())
    found.troubles = list(dict.fromkeys(found.troubles))
    return found
