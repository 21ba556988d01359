"""ACME (RFC 8555): certificates from an authority that asks for proof of each name."""

from __future__ import annotations

import copy
import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from acme import messages
from pydantic import Field

from proxygen.errors import IssueFailed
from proxygen.issuers import acme_failures
from proxygen.issuers.acme_account import Account, encoded, location
from proxygen.issuers.acme_answers import Directory, Order, Said, Status, Url, https
from proxygen.issuers.acme_failures import Over, Refused, Wrong
from proxygen.issuers.acme_network import Network
from proxygen.issuers.acme_order import Course
from proxygen.issuers.acme_transport import Pace, Transport
from proxygen.model import verdicts, x509
from proxygen.model.certificate import Certificate, KeyAndChain, Secret
from proxygen.model.layout import stem
from proxygen.model.site import Acme
from proxygen.solvers import Solver
from proxygen.stores import Store

MOST_CERTIFICATES = 10
AT_ONCE = 24


class AcmeIssuer:
    """Obtains certificates from one authority; many orders run at once.

    Nothing is sent before the first certificate is due. An order is remembered in the store
    from the moment the authority created it until ``finished``, so that a run that was killed
    is continued with the same order and key.
    """

    concurrency = AT_ONCE

    def __init__(
        self,
        settings: Acme,
        store: Store,
        solver: Solver,
        now: Callable[[], datetime],
        secrets: Callable[[Secret], bytes],
        pace: Pace | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.solver = solver
        self.now = now
        self.secrets = secrets
        self.pace = pace or Pace()
        transport = Transport(settings.trusted_roots, self.concurrency, now, self.pace)
        self.network = Network(transport)
        self.lock = threading.Lock()
        self.joined: Account | None = None
        self.failed: tuple[float, IssueFailed] | None = None

    def issue(self, wanted: Certificate, former: KeyAndChain | None) -> KeyAndChain:
        """Return key and chain for *wanted*; raise IssueFailed with the authority's words."""
        account = self.account()
        try:
            return self.ordered(account, wanted, former)
        except Over as over:
            self.finished(wanted.owner)
            raise acme_failures.of_names(wanted.names, over) from over
        except Refused as refused:
            raise acme_failures.of_names(wanted.names, refused) from refused
        except Wrong:
            self.finished(wanted.owner)
            raise

    def finished(self, owner: str) -> None:
        """Forget the owner's order."""
        self.store.delete(order_key(owner))

    def account(self) -> Account:
        """Return the account, which the first thread registers while the others wait.

        When that fails it fails for all: who asks within a minute is told the same at once.
        """
        with self.lock:
            if self.failed and time.monotonic() < self.failed[0]:
                raise copy.copy(self.failed[1])
            if self.joined is None:
                try:
                    self.joined = self.join()
                except IssueFailed as error:
                    self.failed = (time.monotonic() + self.pace.down, error)
                    raise
            return self.joined

    def join(self) -> Account:
        """Read the directory and return the account there."""
        try:
            directory = Directory.read(self.network.get(https(self.settings.directory)).body)
        except (IssueFailed, Refused, ValueError) as error:
            raise no_directory(self.settings, error) from error
        self.network.new_nonce = directory.new_nonce
        check_profile(self.settings, directory)
        return Account(self.settings, self.store, self.network, directory, self.secrets)

    def ordered(
        self, account: Account, wanted: Certificate, former: KeyAndChain | None
    ) -> KeyAndChain:
        """Return key and chain by the order that was begun before, or by a new one."""
        if begun := self.continued(account, wanted, former):
            pair = self.walked(account, begun, wanted)
            if former is None or x509.chain_of(pair)[0] != x509.chain_of(former)[0]:
                return pair
            # A killed run had stored this one, but not said that it was finished.
        return self.walked(account, self.begin(account, wanted, former), wanted)

    def walked(self, account: Account, begun: Begun, wanted: Certificate) -> KeyAndChain:
        """Return key and chain by the order *begun*."""
        course = Course(account, begun.url, self.solver, self.now, self.pace)
        order = course.walk(begun.order, x509.signing_request(begun.key, wanted.names))
        return self.received(course.certificate(order), begun.key, wanted)

    def continued(
        self, account: Account, wanted: Certificate, former: KeyAndChain | None
    ) -> Begun | None:
        """Return the order that a killed run began, if it was for the same and still lives."""
        kept = self.kept(wanted)
        if kept is None or kept.purpose != purpose(self.settings, wanted, former):
            return None
        try:
            order = Order.read(account.look(kept.url).body)
        except Refused as refused:
            if refused.status == 429 or refused.status >= 500:
                raise
            return None
        lives = order.status is not Status.INVALID and order.is_for(wanted.names)
        return Begun(kept.url, kept.key.encode(), order) if lives else None

    def kept(self, wanted: Certificate) -> Kept | None:
        """Return what is stored about the owner's order."""
        stored = self.store.get(order_key(wanted.owner))
        try:
            return Kept.read(stored) if stored else None
        except IssueFailed:
            return None

    def begin(self, account: Account, wanted: Certificate, former: KeyAndChain | None) -> Begun:
        """Make a new order, and store it before anything else is sent."""
        key = x509.key_for(wanted, former)
        # Without room for what must be remembered there is no order.
        self.store.put(order_key(wanted.owner), b"{}")
        answer = account.post(account.directory.new_order, new_order(self.settings, wanted))
        url = location(answer, "order")
        kept = Kept(purpose=purpose(self.settings, wanted, former), url=url, key=key.decode())
        self.store.put(order_key(wanted.owner), kept.model_dump_json().encode())
        order = Order.read(answer.body)
        if not order.is_for(wanted.names):
            raise Wrong(
                f"the authority made an order for other names than {', '.join(wanted.names[:3])}",
                where=url,
                remedy="ask its operators",
            )
        return Begun(url, key, order)

    def received(self, pem: bytes, key: bytes, wanted: Certificate) -> KeyAndChain:
        """Return what the authority sent if a client would accept it; raise Wrong."""
        try:
            pair = KeyAndChain(key, certificates_alone(pem))
            verdicts.require(pair, wanted.names, self.now())
        except IssueFailed as error:
            raise Wrong(
                f"the authority sent a wrong certificate for {wanted.names[0]}: {error.what}",
                remedy="check this host's clock; if it is right, ask the authority's operators",
                words=error.words,
            ) from error
        return pair


class Kept(Said):
    """What is stored of an order: what it is for, its URL, and the key of the certificate."""

    purpose: str
    url: Url
    key: str = Field(repr=False)


@dataclass(frozen=True, slots=True)
class Begun:
    """An order at the authority, and the private key of its certificate."""

    url: str
    key: bytes = field(repr=False)
    order: Order


def order_key(owner: str) -> str:
    """Return the key of the owner's order in the store."""
    return f"orders/{stem(owner)}"


def purpose(settings: Acme, wanted: Certificate, former: KeyAndChain | None) -> str:
    """Return what an order is for, so that it is never continued for anything else."""
    kept = hashlib.sha256(former.key).hexdigest() if wanted.keep_key and former else None
    facts = {
        "directory": settings.directory,
        "profile": settings.profile,
        "names": sorted(wanted.names),
        "key_type": wanted.key_type.value,
        "kept_key": kept,
    }
    return json.dumps(facts, sort_keys=True)


def new_order(settings: Acme, wanted: Certificate) -> bytes:
    """Return the payload of a new order (RFC 8555 section 7.4)."""
    identifiers = [
        messages.Identifier(typ=messages.IDENTIFIER_FQDN, value=name)
        for name in dict.fromkeys(wanted.names)
    ]
    return encoded(messages.NewOrder(identifiers=identifiers, profile=settings.profile))


def check_profile(settings: Acme, directory: Directory) -> None:
    """Raise IssueFailed when the authority does not know the profile."""
    profiles = directory.meta.profiles
    if settings.profile and settings.profile not in profiles:
        raise IssueFailed(
            f"the authority has no profile {settings.profile!r}",
            where=settings.origin,
            remedy="set `acme.profile` to one that it has"
            f" ({', '.join(sorted(profiles)) or 'it has none'}), or remove it",
            final=True,
        )


def certificates_alone(pem: bytes) -> bytes:
    """Return the certificates in *pem* and nothing else of it; raise IssueFailed."""
    chain = x509.chain_of(KeyAndChain(b"", pem))
    if len(chain) > MOST_CERTIFICATES:
        raise IssueFailed(f"a chain of {len(chain)} certificates")
    return b"".join(map(x509.certificate_pem, chain))


def no_directory(settings: Acme, error: Exception) -> IssueFailed:
    """Return the error for a directory that cannot be read."""
    told: dict[str, Any] = {"remedy": "check `acme.directory`: it must be an https:// URL"}
    if isinstance(error, IssueFailed):
        said = (error.what, str(error.where or ""), error.words)
        words = "\n".join(line for line in said if line)
        told = {"remedy": error.remedy, "words": words, "final": error.final}
    elif isinstance(error, Refused):
        told = {
            "remedy": "check `acme.directory`; if it is right, try again later",
            "words": acme_failures.words(error.problem),
            "retry_at": error.retry_at,
        }
    return IssueFailed(
        f"the ACME directory {settings.directory} cannot be used", where=settings.origin, **told
    )
