"""Certificates where hooks find them, laid out as below certbot's ``live`` folder.

``live/HOST`` is a link to ``archive/HOST/DIGEST``, which never changes, so that one rename switches
all four files. Only root may read them.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from proxygen.host import files
from proxygen.model.certificate import Bundle, KeyAndChain
from proxygen.model.layout import Layout, file_stem

END = b"-----END CERTIFICATE-----\n"


def place_lineage(layout: Layout, host: str, bundle: Bundle, pair: KeyAndChain) -> Path:
    """Write key and chain for hooks; return their folder (a link to it)."""
    link = layout.lineage(host)
    folder = archive_folder(layout, host) / bundle.digest[:16]
    for each in (layout.lineages, link.parent, folder.parent.parent, folder.parent, folder):
        files.folder(each, 0o700)
    leaf, end, chain = pair.fullchain.partition(END)
    for name, content, mode in (
        ("privkey.pem", pair.key, 0o600),
        ("cert.pem", leaf + end, 0o644),
        ("chain.pem", chain, 0o644),
        ("fullchain.pem", pair.fullchain, 0o644),
    ):
        files.write(folder / name, content, mode)
    files.link(link, f"../archive/{file_stem(host)}/{folder.name}")
    return link


def archive_folder(layout: Layout, host: str) -> Path:
    """Return the folder of everything that a lineage leads or led to."""
    return layout.lineages / "archive" / file_stem(host)


def forget_former(layout: Layout, host: str) -> None:
    """Remove what a lineage led to before."""
    present = Path(files.link_target(layout.lineage(host)) or "").name
    folder = archive_folder(layout, host)
    for name in files.names(folder):
        if name != present:
            files.remove(folder / name)


def tidy_lineages(layout: Layout, hosts: Collection[str]) -> None:
    """Remove the lineages of all other hosts, and everything when there is none."""
    wanted = {file_stem(host) for host in hosts}
    for folder in (layout.lineages / "live", layout.lineages / "archive"):
        for name in files.names(folder):
            if name not in wanted:
                files.remove(folder / name)
    if not wanted and layout.lineages.is_dir():
        files.remove(layout.lineages)
