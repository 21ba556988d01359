"""The account at an ACME authority: created once, its key stored before it is registered."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from acme import messages
from acme.jws import JWS
from josepy.json_util import JSONObjectWithFields
from josepy.jwk import JWK

from proxygen.errors import IssueFailed
from proxygen.failure import NotObtained, Scope, not_obtained
from proxygen.issuers import acme_failures
from proxygen.issuers.acme_answers import LONGEST_TEXT, URN
from proxygen.issuers.acme_failures import AuthorityRefused
from proxygen.issuers.acme_kept import NEXT, KeptAccount, Registered, Unwanted, thumbprint
from proxygen.issuers.acme_key import account_key, key_of_client, signature_algorithm
from proxygen.issuers.acme_server import AcmeServer
from proxygen.issuers.acme_transport import AcmeResponse
from proxygen.model.certificate import Secret
from proxygen.model.site import Acme, ExternalAccount
from proxygen.stores import Store

BASE64URL = re.compile(rb"[A-Za-z0-9_-]+")


class Account:
    """Signs requests; registers itself when it must, whichever thread notices first.

    *new_terms* is the URL of the authority's terms if they changed since they were agreed to; the
    model says that they are agreed to, and the authority was told so. *notes* are warnings about an
    account that can be used nevertheless.
    """

    def __init__(
        self, server: AcmeServer, store: Store, secrets: Callable[[Secret], bytes]
    ) -> None:
        self.server = server
        self.settings = server.settings
        self.network = server.network
        self.directory = server.directory()
        self.kept = KeptAccount(store, server.settings.directory)
        self.secrets = secrets
        self.lock = threading.Lock()
        self.new_terms: str | None = None
        self.notes: tuple[str, ...] = ()
        self.brought: bytes | None = None
        self.key = self.stored_key()
        self.url = self.stored_url() or self.register()

    @property
    def thumbprint(self) -> str:
        """The thumbprint of its key."""
        return thumbprint(self.key)

    def post(self, url: str, payload: bytes) -> AcmeResponse:
        """Return the answer to a signed request; raise AuthorityRefused or IssueFailed.

        If the authority forgot the account, the same key is registered again, and the request
        repeated.
        """
        return self.post_registered(
            lambda account: self.network.post(url, payload, self.key, account)
        )

    def fetch(self, url: str) -> AcmeResponse:
        """Return the resource at *url*; raise as ``post`` does."""
        return self.post_registered(lambda account: self.network.fetch(url, self.key, account))

    def post_registered(self, request: Callable[[str], AcmeResponse]) -> AcmeResponse:
        """Return the answer to *request*, registered anew if the authority asks who we are."""
        account = self.url
        try:
            return request(account)
        except AuthorityRefused as refused:
            if refused.problem.kind != "accountDoesNotExist":
                raise
        with self.lock, acme_failures.for_everybody():
            if self.url == account:
                self.url = self.register()
        return request(self.url)

    def stored_key(self) -> JWK:
        """Return the account's key: the stored one, else that of the model, else a new one.

        An interrupted roll-over is finished, unless the authority refuses it.
        """
        key = self.kept.key() or self.brought_key() or self.kept.new_key()
        coming = self.kept.key(NEXT)
        if coming is None:
            return key
        if self.settled(key, coming):
            self.kept.move()
            return coming
        self.kept.drop_next()
        return key

    def brought_key(self) -> JWK | None:
        """Return the key of an account that the model names, None for none; raise IssueFailed.

        It is stored once the authority was asked for its account.
        """
        reference = self.settings.account_key
        if reference is None:
            return None
        with acme_failures.for_everybody():
            try:
                self.brought = key_of_client(self.secrets(reference))
            except IssueFailed as error:
                where = error.failure.where or str(self.settings.origin)
                raise IssueFailed(replace(error.failure, where=where)) from error
        return account_key(self.brought)

    def settled(self, key: JWK, coming: JWK) -> bool:
        """Return whether the account's key is the one that is coming, now at the latest.

        The request of the run that was interrupted may still be under way, so it is not enough to
        ask which key the authority knows: the key is changed once more. Whichever request comes
        second is signed with a key that no longer counts.
        """
        place, account = self.directory.key_change, find_account(self.server, key)
        if place and account:
            with suppress(AuthorityRefused):
                self.network.post(place, key_change(place, account, key, coming), key, account)
                return True
        return find_account(self.server, coming) is not None

    def roll_over(self) -> None:
        """Replace the account's key by a new one (RFC 8555 section 7.3.5).

        It is stored before the authority hears of it, and becomes the account's key once the
        authority agreed. Raise IssueFailed; without a clear answer, the next use of the account
        tries again.
        """
        place = self.directory.key_change
        if place is None:
            where = self.settings.origin
            raise IssueFailed(not_obtained("no-key-change", where=where, final=True))
        self.key = self.stored_key()
        coming = self.kept.new_key(NEXT)
        try:
            self.post_registered(
                lambda account: self.network.post(
                    place, key_change(place, account, self.key, coming), self.key, account
                )
            )
        except AuthorityRefused as refused:
            if refused.problem.kind and refused.status < 500:
                self.kept.drop_next()
            raise IssueFailed(self.refused(refused)) from refused
        self.kept.move()
        self.key = coming

    def stored_url(self) -> str | None:
        """Return the URL of the account as it was registered, with contact and terms updated."""
        registered = self.kept.registered()
        if registered is None:
            return None
        terms = self.directory.meta.terms
        if "terms" in registered.model_fields_set and terms != registered.terms:
            self.new_terms = terms
        contact = self.settings.contact
        if registered.unwanted and registered.unwanted.holds(contact, self.server.now()):
            self.notes = (untaken_note(registered, registered.unwanted),)
            contact = registered.contact
        if (contact, terms) == (registered.contact, registered.terms):
            return registered.url
        return self.tell(registered, contact)

    def tell(self, known: Registered, contact: str | None) -> str | None:
        """Update contact and agreement (RFC 8555 section 7.3.2); return None if the account is
        unknown.

        If the authority accepts no update, certificates are obtained nevertheless, unless somebody
        must act before the account can be used again: RFC 8555 has no way of agreeing to new terms.
        """
        update = messages.UpdateRegistration(
            contact=contact_urls(contact), terms_of_service_agreed=True
        )
        told = known.model_copy(update={"terms": self.directory.meta.terms})
        try:
            self.network.post(known.url, encode_payload(update), self.key, known.url)
            told = told.model_copy(update={"contact": contact})
        except AuthorityRefused as refused:
            if refused.problem.kind == "accountDoesNotExist":
                return None
            if refused.problem.kind == "userActionRequired":
                raise IssueFailed(self.refused(refused)) from refused
            if contact != known.contact:
                told = self.without(contact, told, refused)
        self.kept.register(told)
        return told.url

    def without(
        self, contact: str | None, known: Registered, refused: AuthorityRefused
    ) -> Registered:
        """Return what is known of an account whose new contact was refused, and note that."""
        words = acme_failures.problem_words(refused.problem)[:LONGEST_TEXT]
        unwanted = Unwanted(contact=contact, at=self.server.now(), words=words)
        self.notes = (untaken_note(known, unwanted),)
        return known.model_copy(update={"unwanted": unwanted})

    def register(self) -> str:
        """Create the account, or find the one of our key (RFC 8555 section 7.3).

        The key that the model names must be of one: no other is made in its place.
        """
        if self.brought:
            return self.keep_brought(self.brought, self.brought_account())
        agreed = messages.NewRegistration(
            contact=contact_urls(self.settings.contact),
            terms_of_service_agreed=True,
            external_account_binding=self.binding(),
        )
        url = self.directory.new_account
        try:
            answer = self.network.post(url, encode_payload(agreed), self.key, None)
        except AuthorityRefused as refused:
            raise IssueFailed(self.refused(refused)) from refused
        return self.keep(location_of(answer, "account"))

    def brought_account(self) -> str:
        """Return the URL of the account whose key the model names; raise IssueFailed."""
        if url := find_account(self.server, self.key):
            return url
        where = self.settings.origin
        raise IssueFailed(
            not_obtained("account-key-unknown", Scope.AUTHORITY, where=where, final=True)
        )

    def keep(self, url: str) -> str:
        """Store what the authority was told of the account, and return its URL."""
        contact, terms = self.settings.contact, self.directory.meta.terms
        self.kept.register(Registered(url=url, contact=contact, terms=terms))
        return url

    def keep_brought(self, pem: bytes, url: str) -> str:
        """Store an account that was there already, with its key; bring its contact up to date."""
        known = Registered(url=url, terms=self.directory.meta.terms)
        self.kept.bring(pem, known)
        self.brought = None
        contact = self.settings.contact
        return self.tell(known, contact) or url if contact else url

    def binding(self) -> dict[str, object] | None:
        """Return the external account binding (RFC 8555 section 7.3.4), None without one."""
        external = self.settings.external_account
        if external is None:
            if self.directory.meta.binding:
                raise IssueFailed(unbound_failure(self.settings))
            return None
        return messages.ExternalAccountBinding.from_data(
            self.key.public_key(),
            external.key_identifier,
            self.hmac_key(external),
            messages.Directory({"newAccount": self.directory.new_account}),
        )

    def hmac_key(self, external: ExternalAccount) -> str:
        """Return the secret of the binding as base64url, without padding."""
        secret = self.secrets(external.hmac_key).strip().rstrip(b"=")
        given = secret.translate(bytes.maketrans(b"+/", b"-_"))  # some hand out plain base64
        if not BASE64URL.fullmatch(given) or len(given) % 4 == 1:
            where = self.settings.origin
            raise IssueFailed(not_obtained("binding-not-base64url", where=where, final=True))
        return given.decode("ascii")

    def refused(self, refused: AuthorityRefused) -> NotObtained:
        """Return why a registration was refused."""
        return acme_failures.of_account(refused, self.directory.meta.terms)


def contact_urls(contact: str | None) -> tuple[str, ...]:
    """Return a contact as a ``mailto:`` URL."""
    return (f"mailto:{contact}",) if contact else ()


def untaken_note(known: Registered, unwanted: Unwanted) -> str:
    """Return the warning about a contact that the authority did not accept."""
    return (
        f"the authority of the account {known.url} did not accept the contact"
        f" {unwanted.contact or '(none)'} and keeps {known.contact or 'none'}; correct `contact`"
        f" ({unwanted.words})"
    )


def find_account(server: AcmeServer, key: JWK) -> str | None:
    """Return the URL of the account that a key is of, None for none (RFC 8555 section 7.3.1)."""
    asked = messages.NewRegistration(only_return_existing=True)
    directory = server.directory()
    try:
        answer = server.network.post(directory.new_account, encode_payload(asked), key, None)
    except AuthorityRefused as refused:
        if refused.problem.kind == "accountDoesNotExist":
            return None
        raise IssueFailed(acme_failures.of_account(refused, directory.meta.terms)) from refused
    return location_of(answer, "account")


def key_change(place: str, account: str, present: JWK, coming: JWK) -> bytes:
    """Return the payload that changes an account's key: signed with the one that is coming."""
    facts = {"account": account, "oldKey": present.public_key().to_json()}
    inner = JWS.sign(json.dumps(facts).encode(), coming, signature_algorithm(coming), None, place)
    return json.dumps(inner.to_json()).encode()


def encode_payload(message: JSONObjectWithFields) -> bytes:
    """Return the payload of a request."""
    return json.dumps(message.to_json()).encode()


def location_of(answer: AcmeResponse, what: str) -> str:
    """Return the URL of what was created; raise IssueFailed if the authority sent none."""
    try:
        return Registered(url=answer.headers.get("Location", "")).url
    except ValueError:
        raise IssueFailed(not_obtained(f"no-{what}-location")) from None


def unbound_failure(settings: Acme) -> NotObtained:
    """Return the failure for an authority that requires a binding that the model does not have."""
    problem = f"{URN}externalAccountRequired"
    return not_obtained("no-binding", where=settings.origin, problem=problem, final=True)
