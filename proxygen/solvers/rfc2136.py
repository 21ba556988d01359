"""rfc2136: TXT records written by dynamic updates, signed with TSIG (RFC 2136, RFC 8945)."""

from __future__ import annotations

from proxygen.solvers import Writer, Writing
from proxygen.solvers.rfc2136_settings import Settings


def writer(settings: Settings, writing: Writing) -> Writer:
    """Return what sends the updates."""
    from proxygen.model.reading import secret
    from proxygen.solvers.rfc2136_key import key
    from proxygen.solvers.rfc2136_update import Updates

    content = writing.secret(secret(settings.key, writing.folder))
    return Updates(settings, key(content, settings.key_name, settings.algorithm))
