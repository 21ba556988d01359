"""ACME (RFC 8555): certificates from an authority that asks for proof of each name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from acme import messages

from proxygen.errors import IssueFailed
from proxygen.failure import not_obtained
from proxygen.issuers import acme_failures, acme_renewal
from proxygen.issuers.acme_account import Account, location_of
from proxygen.issuers.acme_answers import AnswerUnreadable, Directory, Identifier, Order, Status
from proxygen.issuers.acme_failures import AuthorityRefused, Over, Unfinished, Unseen, WrongAnswer
from proxygen.issuers.acme_kept import KeptAccount, KeptOrder, KeptOrders
from proxygen.issuers.acme_order import Course
from proxygen.issuers.acme_renewal import Suggested
from proxygen.issuers.acme_server import AcmeServer, Once
from proxygen.issuers.acme_transport import AcmeResponse, Pace, Unreached
from proxygen.model import inspection, x509
from proxygen.model.certificate import Certificate, KeyAndChain, Secret
from proxygen.model.site import Acme
from proxygen.solvers import Solver, Solvers
from proxygen.stores import Store

IDENTIFIERS = {"dns": messages.IDENTIFIER_FQDN, "ip": messages.IDENTIFIER_IP}
TOO_MANY = 429
MOST_CERTIFICATES = 10
AT_ONCE = 24

Ordered = Callable[[Certificate, bool], None]
"""Told of each new order; true when the authority took it as the replacement of a certificate."""


def count_nothing(wanted: Certificate, exempt: bool) -> None:
    """Keep no account of orders."""


class AcmeIssuer:
    """Obtains certificates from one authority; many orders run at the same time.

    Nothing is sent before the first certificate is due. An order is stored from the moment the
    authority created it until ``finished``, so that a run that was killed is continued with the
    same order and key. *solvers* returns the solvers of a certificate. *ordered* is called once for
    each new order.
    """

    concurrency = AT_ONCE

    def __init__(
        self,
        settings: Acme,
        store: Store,
        solvers: Solvers,
        now: Callable[[], datetime],
        secrets: Callable[[Secret], bytes],
        pace: Pace | None = None,
        ordered: Ordered = count_nothing,
    ) -> None:
        self.settings = settings
        self.store = store
        self.solvers = solvers
        self.now = now
        self.secrets = secrets
        self.pace = pace or Pace()
        self.ordered = ordered
        self.server = AcmeServer(settings, self.concurrency, now, self.pace)
        self.account = Once(self.join, self.pace.down)
        self.orders = KeptOrders(store, settings.directory)
        self.proved_by: dict[int, Solver] = {}

    @property
    def new_terms(self) -> str | None:
        """The URL of the authority's terms, once after they changed; an order finds it out."""
        return self.account.made.new_terms if self.account.made else None

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings about the account and about proofs, although certificates are obtained."""
        account = self.account.made.notes if self.account.made else ()
        return (*account, *(note for each in self.proved_by.values() for note in each.notes))

    def issue(
        self, wanted: Certificate, former: KeyAndChain | None, replaces: str | None = None
    ) -> KeyAndChain:
        """Return key and chain for *wanted*; raise IssueFailed with the authority's words.

        *replaces* is sent to an authority that offers renewal information; if it refuses the order
        because of it, the order is made without.
        """
        self.solvers(wanted)  # nothing is ordered when there is nobody who could prove the names
        account = self.account()
        try:
            return self.obtained(account, wanted, former, replaces)
        except Over as over:
            self.orders.drop(wanted.owner)
            raise IssueFailed(acme_failures.of_names(wanted.names, over)) from over
        except AuthorityRefused as refused:
            if refused.status != TOO_MANY:
                self.missed(wanted)
            raise IssueFailed(acme_failures.of_names(wanted.names, refused)) from refused
        except WrongAnswer:
            self.orders.drop(wanted.owner)
            raise
        except Unfinished:
            with suppress(OSError):
                self.orders.delayed(wanted.owner)
            raise
        except (Unreached, AnswerUnreadable, Unseen) as failed:
            if not failed.failure.everybody:  # that is the authority's trouble, not the order's
                self.missed(wanted)
            raise

    def missed(self, wanted: Certificate) -> None:
        """Count an order that could not be continued; after several times a new one is made."""
        with suppress(OSError):
            self.orders.missed(wanted.owner)

    def finished(self, owner: str) -> None:
        """Forget the owner's orders, also those at other authorities."""
        self.orders.drop_all(owner)

    def renewal_info(self, identifier: str) -> Suggested | None:
        """Return what the authority suggests for the certificate with that unique identifier.

        None if it offers no renewal information; raise IssueFailed if it gives none for this
        certificate, or for *everybody*. Many threads may call this; no account is needed.
        """
        return acme_renewal.suggested_window(self.server, identifier)

    def identity(self) -> AcmeIdentity:
        """Return the names of authority and account in CAA records; raise IssueFailed.

        This polls its directory and registers no account.
        """
        registered = KeptAccount(self.store, self.settings.directory).registered()
        identities = self.server.directory().meta.caa_identities
        return AcmeIdentity(identities, registered.url if registered else None)

    def join(self) -> Account:
        """Return the account, registered if it must be; raise IssueFailed."""
        with acme_failures.for_everybody():
            self.server.check_clock()
            check_profile(self.settings, self.server.directory())
            return Account(self.server, self.store, self.secrets)

    def obtained(
        self,
        account: Account,
        wanted: Certificate,
        former: KeyAndChain | None,
        replaces: str | None,
    ) -> KeyAndChain:
        """Return key and chain by the order that was begun before, or by a new one."""
        if begun := self.continued(account, wanted, former):
            pair = self.walked(account, begun, wanted)
            if former is None or x509.chain_of(pair)[0] != x509.chain_of(former)[0]:
                return pair
            # A killed run had stored this one, but not said that it was finished.
        return self.walked(account, self.begin(account, wanted, former, replaces), wanted)

    def walked(self, account: Account, begun: Begun, wanted: Certificate) -> KeyAndChain:
        """Return key and chain by the order *begun*."""
        solvers = self.solvers(wanted)
        self.proved_by |= {id(each): each for each in solvers.values()}
        course = Course(account, begun.url, wanted, solvers, self.now, self.pace)
        order = course.walk(begun.order, x509.signing_request(begun.key, wanted.names))
        return self.received(course.certificate(order), begun.key, wanted)

    def continued(
        self, account: Account, wanted: Certificate, former: KeyAndChain | None
    ) -> Begun | None:
        """Return the order that a killed run began, if it was for the same and is still usable."""
        kept = self.orders.get(wanted.owner)
        if kept is None or kept.purpose != self.purpose(account, wanted, former):
            return None
        try:
            order = Order.read(account.fetch(kept.url).body)
        except AuthorityRefused as refused:
            if refused.status == TOO_MANY:
                raise
            if refused.status < 500:
                return None
            raise Unseen(acme_failures.order_unseen(kept.url, refused)) from refused
        lives = order.status is not Status.INVALID and order.is_for(wanted.names)
        return Begun(kept.url, kept.key.encode(), order) if lives else None

    def begin(
        self,
        account: Account,
        wanted: Certificate,
        former: KeyAndChain | None,
        replaces: str | None,
    ) -> Begun:
        """Make a new order, and store it before anything else is sent."""
        key = x509.key_for(wanted, former)
        # Without room for what must be remembered there is no order.
        self.orders.make_room(wanted.owner)
        answer = self.made(account, wanted, replaces)
        url = location_of(answer, "order")
        kept = KeptOrder(purpose=self.purpose(account, wanted, former), url=url, key=key.decode())
        self.orders.put(wanted.owner, kept)
        self.ordered(wanted, took_replacement(answer, replaces))
        order = Order.read(answer.body)
        if not order.is_for(wanted.names):
            raise WrongAnswer(not_obtained("order-of-others", where=url, names=wanted.names))
        return Begun(url, key, order)

    def made(self, account: Account, wanted: Certificate, replaces: str | None) -> AcmeResponse:
        """Return the answer to a new order, made without *replaces* if that may be the reason.

        RFC 9773 section 5 has it sent only to authorities that offer renewal information.
        """
        place = account.directory.new_order
        if replaces and account.directory.renewal_info:
            try:
                return account.post(place, new_order(self.settings, wanted, replaces))
            except AuthorityRefused as refused:
                if not acme_failures.may_be_replaces(refused):
                    raise
        return account.post(place, new_order(self.settings, wanted, None))

    def purpose(self, account: Account, wanted: Certificate, former: KeyAndChain | None) -> str:
        """Return a text that tells what an order is for; it is never continued for anything else.

        What it replaces does not matter: that it was begun is what counts.
        """
        kept = hashlib.sha256(former.key).hexdigest() if wanted.keep_key and former else None
        facts = {
            "directory": self.settings.directory,
            "account": account.url,
            "profile": self.settings.profile,
            "names": sorted(wanted.names),
            "key_type": wanted.key_type.value,
            "kept_key": kept,
        }
        return json.dumps(facts, sort_keys=True)

    def received(self, pem: bytes, key: bytes, wanted: Certificate) -> KeyAndChain:
        """Return what the authority sent if a client would accept it; raise WrongAnswer."""
        try:
            pair = KeyAndChain(key, certificates_alone(pem))
            inspection.require_usable(pair, wanted.names, self.now())
        except IssueFailed as error:
            wrong = not_obtained(
                "wrong-certificate",
                name=wanted.names[0],
                parts=(error.failure,),
                words=error.words,
            )
            raise WrongAnswer(wrong) from error
        return pair


@dataclass(frozen=True, slots=True)
class AcmeIdentity:
    """Whom CAA records allow (RFC 8555 section 7.1.1, RFC 8657): the authority, our account.

    *account* is its URL, None before there is one.
    """

    caa_identities: tuple[str, ...]
    account: str | None


@dataclass(frozen=True, slots=True)
class Begun:
    """An order at the authority, and the private key of its certificate."""

    url: str
    key: bytes = field(repr=False)
    order: Order


def new_order(settings: Acme, wanted: Certificate, replaces: str | None) -> bytes:
    """Return the payload of a new order (RFC 8555 section 7.4, RFC 9773 section 5)."""
    identifiers = [
        messages.Identifier(typ=IDENTIFIERS[Identifier.of(name).type], value=name)
        for name in dict.fromkeys(wanted.names)
    ]
    order = messages.NewOrder(identifiers=identifiers, profile=settings.profile)
    facts = order.to_json() | ({"replaces": replaces} if replaces else {})
    return json.dumps(facts).encode()


def took_replacement(answer: AcmeResponse, replaces: str | None) -> bool:
    """Return whether an order was accepted as a replacement: its *replaces* comes back then.

    RFC 9773 section 5. An authority that does not know the field does not return it.
    """
    try:
        return replaces is not None and Order.read(answer.body).replaces == replaces
    except IssueFailed:
        return False


def check_profile(settings: Acme, directory: Directory) -> None:
    """Raise IssueFailed if the authority does not have the profile."""
    profiles = directory.meta.profiles
    if settings.profile and settings.profile not in profiles:
        raise IssueFailed(
            not_obtained(
                "unknown-profile" if profiles else "no-profiles",
                where=settings.origin,
                final=True,
                profile=settings.profile,
                profiles=tuple(sorted(profiles)),
            )
        )


def certificates_alone(pem: bytes) -> bytes:
    """Return the certificates in *pem* and nothing else; raise IssueFailed."""
    chain = x509.chain_of(KeyAndChain(b"", pem))
    if len(chain) > MOST_CERTIFICATES:
        raise IssueFailed(not_obtained("long-chain", count=len(chain)))
    return b"".join(map(x509.certificate_pem, chain))
