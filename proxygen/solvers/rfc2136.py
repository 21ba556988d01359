"""rfc2136: TXT records written by dynamic updates, signed with TSIG (RFC 2136, RFC 8945)."""

from __future__ import annotations

from proxygen.solvers import Writer, Writing
from proxygen.solvers.rfc2136_settings import Rfc2136Settings

Settings = Rfc2136Settings


def writer(settings: Rfc2136Settings, writing: Writing) -> Writer:
    """Return what sends the updates."""
    from proxygen.model.reading import secret_reference
    from proxygen.solvers.rfc2136_key import read_key
    from proxygen.solvers.rfc2136_update import Updates

    content = writing.secret(secret_reference(settings.key, writing.folder))
    return Updates(settings, read_key(content, settings.key_name, settings.algorithm))
