"""Outage: what those must know who tell people that proxygen cannot run; and its end.

They are systemd's ``proxygen-failed@.service`` and its script, which works without Python. It
mails once, notes that in ``told``, and mails again when that is gone.
"""

from __future__ import annotations

import re
from contextlib import suppress

from proxygen.host import files
from proxygen.model.layout import Layout

ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=~-]{0,63}@[A-Za-z0-9][A-Za-z0-9._-]{0,188}")
"""What the script takes for an address."""


def note_contact(layout: Layout, contact: str | None) -> None:
    """Note who is told besides root; nothing is written when that is known.

    An address of other characters is not noted. A disk that takes nothing is told by others.
    """
    path = layout.outage / "contact"
    wanted = f"{contact}\n".encode() if contact and ADDRESS.fullmatch(contact) else None
    with suppress(OSError):
        if files.read(path, 1024) == wanted:
            return
    with suppress(OSError):
        if wanted is None:
            files.remove(path)
        else:
            files.folder(layout.outage, 0o700)
            files.write(path, wanted)


def over(layout: Layout) -> None:
    """Note that proxygen runs again, so that the next outage is told."""
    told = layout.outage / "told"
    with suppress(OSError):
        if told.exists() or told.is_symlink():
            files.remove(told)
