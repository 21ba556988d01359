"""dns-lexicon: one of its providers asked for a TXT record; it is imported when it is used."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol
from urllib.parse import quote

from proxygen.errors import IssueFailed
from proxygen.failure import NotObtained, Scope, not_obtained
from proxygen.languages.lines import terminal_text
from proxygen.solvers.lexicon_settings import LexiconSettings

MOST_WORDS = 1000
LONGEST = 120.0


class Operations(Protocol):
    """What is used of a provider of dns-lexicon (``lexicon.interfaces.Provider``)."""

    def authenticate(self) -> None:
        """Log in."""

    def create_record(self, rtype: str, name: str, content: str) -> bool:
        """Create a record; nothing happens when the same one is there."""

    def delete_record(
        self, identifier: str | None, rtype: str | None, name: str | None, content: str | None
    ) -> bool:
        """Delete the records that match."""

    def cleanup(self) -> None:
        """Let go of what it holds."""


class Provider:
    """Writes records by a provider, one at a time: some write the whole zone at each change.

    *zone* tells the zone of a name; *longest* is in seconds, for one change. The provider's class
    is used without ``lexicon.client``, which would guess the zone from a list of suffixes that it
    fetches from the Internet.
    """

    def __init__(
        self,
        settings: LexiconSettings,
        credentials: Mapping[str, str],
        zone: Callable[[str], str],
        longest: float = LONGEST,
    ) -> None:
        self.longest = longest
        self.settings = settings
        self.credentials = dict(credentials)
        self.zone = zone
        self.patience = float(settings.propagation_timeout)
        self.delegated = tuple(settings.delegated)
        self.provider, self.resolver = import_provider(settings.provider)
        self.one_at_a_time = threading.Lock()

    def add(self, name: str, value: str) -> None:
        """Create the record."""
        self.ask(name, lambda provider: provider.create_record("TXT", name, value))

    def remove(self, name: str, value: str) -> None:
        """Delete the record with that value."""
        self.ask(name, lambda provider: provider.delete_record(None, "TXT", name, value))

    def ask(self, name: str, request: Callable[[Operations], bool]) -> None:
        """Have the provider do one thing; raise IssueFailed with its words.

        Some providers wait for an answer as long as it takes. Nobody can end that, so it is done
        in a thread that may be left behind, and nothing else is asked until it is over.
        """
        zone = self.settings.zone or self.zone(name)
        until = time.monotonic() + self.longest
        if not self.one_at_a_time.acquire(timeout=self.longest):
            raise IssueFailed(self.late(zone))
        told: Future[bool] = Future()
        threading.Thread(target=self.do, args=(zone, request, told), daemon=True).start()
        try:
            done = told.result(max(until - time.monotonic(), 0))
        except Exception as error:  # noqa: BLE001 - each of 100 providers raises what it likes
            if not told.done():
                raise IssueFailed(self.late(zone)) from None
            raise IssueFailed(self.failed(zone, error)) from None  # its traceback may hold secrets
        if not done:
            raise IssueFailed(self.failed(zone, None))

    def do(self, zone: str, request: Callable[[Operations], bool], told: Future[bool]) -> None:
        """Have the provider do one thing, and let the next one ask."""
        try:
            provider = self.provider(self.config(zone))
            provider.authenticate()
            try:
                done = request(provider)
            finally:
                provider.cleanup()
        except BaseException as error:  # noqa: BLE001 - as above; some even end the program
            self.one_at_a_time.release()
            told.set_exception(error)
        else:
            self.one_at_a_time.release()
            told.set_result(done)

    def config(self, zone: str) -> Any:
        """Return what the provider is told; nothing of the environment.

        Most look for the zone beside their own options, some among them.
        """
        own = {**self.settings.options, **self.credentials, "domain": zone}
        return self.resolver().with_dict(
            {
                "provider_name": self.settings.provider,
                "domain": zone,
                "ttl": self.settings.ttl,
                self.settings.provider: own,
            }
        )

    def late(self, zone: str) -> NotObtained:
        """Return the failure of a provider that does not come to an end."""
        provider, seconds = self.settings.provider, round(self.longest)
        return not_obtained("provider-late", provider=provider, zone=zone, seconds=seconds)

    def failed(self, zone: str, error: Exception | None) -> NotObtained:
        """Return the failure for what the provider did not do; no secret is in its words."""
        words = f"{type(error).__name__}: {error}" if error else ""
        for secret in filter(None, self.credentials.values()):
            for form in {secret, quote(secret), quote(secret, safe="")}:
                words = words.replace(form, "…")
        provider, words = self.settings.provider, terminal_text(words)[:MOST_WORDS]
        return not_obtained("provider-failed", provider=provider, zone=zone, words=words)


def import_provider(name: str) -> tuple[Callable[[Any], Operations], Callable[[], Any]]:
    """Return the class of a provider, and what holds its options; raise IssueFailed."""
    try:
        from lexicon._private.discovery import find_providers, load_provider_module
        from lexicon.config import ConfigResolver
    except ImportError as error:
        failure = not_obtained("no-lexicon", Scope.HOST, final=True, words=error)
        raise IssueFailed(failure) from error
    available = find_providers()
    if name not in available:
        raise IssueFailed(not_obtained("no-provider", final=True, provider=name))
    if not available[name]:
        failure = not_obtained("provider-needs-packages", Scope.HOST, final=True, provider=name)
        raise IssueFailed(failure)
    return load_provider_module(name).Provider, ConfigResolver
