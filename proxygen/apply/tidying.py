"""Removes what a run that was killed left in the store, maybe by a later run."""

from __future__ import annotations

from contextlib import suppress

from proxygen.assemble import Installation
from proxygen.host import files
from proxygen.model.layout import Layout
from proxygen.model.site import Site


def note_killed(layout: Layout) -> None:
    """Note that a run was killed: who deploys finds that out, and who obtains tidies up."""
    with suppress(OSError):
        files.write(layout.untidy, b"")


def tidy_up(site: Site, installation: Installation, *, killed: bool) -> None:
    """Remove what nobody needs if a run was *killed*, or that was noted.

    The caller must hold the lock of obtaining, so that nobody else stores certificates meanwhile.
    """
    note = installation.layout.untidy
    if killed or note.exists():
        installation.bundles.tidy(each.key for each in site.holders)
        with suppress(OSError):
            files.remove(note)
