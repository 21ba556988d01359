"""What the script needs that mails that proxygen cannot run, and the end of an outage.

That is systemd's ``proxygen-failed@.service`` with its script, which works without Python. It mails
once, notes that in ``told``, and mails again when that file is gone.
"""

from __future__ import annotations

import re
from contextlib import suppress

from proxygen.host import files
from proxygen.model.layout import Layout

ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=~-]{0,63}@[A-Za-z0-9][A-Za-z0-9._-]{0,188}")
"""What the script takes for an address."""


def note_contact(layout: Layout, contact: str | None) -> None:
    """Store who gets the mail besides root; write nothing if it is stored already.

    An address with other characters is not stored. A full disk is reported elsewhere.
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


def note_end(layout: Layout) -> None:
    """Note that proxygen runs again, so that the next outage is mailed."""
    told = layout.outage / "told"
    with suppress(OSError):
        if told.exists() or told.is_symlink():
            files.remove(told)
