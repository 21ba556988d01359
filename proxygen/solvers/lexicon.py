"""lexicon: TXT records written by one of dns-lexicon's providers (package `dns-lexicon`)."""

from __future__ import annotations

from proxygen.solvers import Writer, Writing
from proxygen.solvers.lexicon_settings import LexiconSettings

Settings = LexiconSettings


def writer(settings: LexiconSettings, writing: Writing) -> Writer:
    """Return what asks the provider; raise IssueFailed if the package or a secret is missing."""
    from proxygen.model.reading import secret_reference
    from proxygen.solvers.lexicon_provider import Provider

    credentials = {
        name: writing.secret(secret_reference(reference, writing.folder)).decode("utf-8", "replace")
        for name, reference in settings.credentials.items()
    }
    return Provider(settings, credentials, writing.zone)
