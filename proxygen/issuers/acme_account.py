"""The account at an ACME authority: made once, its key kept before it is registered."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable

from acme import messages
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from josepy.b64 import b64encode
from josepy.json_util import JSONObjectWithFields
from josepy.jwk import JWKEC

from proxygen.errors import IssueFailed
from proxygen.issuers import acme_failures
from proxygen.issuers.acme_answers import Directory, Said, Url
from proxygen.issuers.acme_failures import Refused
from proxygen.issuers.acme_network import Network
from proxygen.issuers.acme_transport import Answer
from proxygen.model.certificate import KeyType, Secret
from proxygen.model.site import Acme, ExternalAccount
from proxygen.model.x509 import new_key
from proxygen.stores import Store

BASE64URL = re.compile(rb"[A-Za-z0-9_-]+")


class Registered(Said):
    """What is stored about the account: its URL, and the contact it was told."""

    url: Url
    contact: str | None = None


class Account:
    """Signs requests; registers itself when it must, whichever thread notices first."""

    def __init__(
        self,
        settings: Acme,
        store: Store,
        network: Network,
        directory: Directory,
        secrets: Callable[[Secret], bytes],
    ) -> None:
        self.settings = settings
        self.store = store
        self.network = network
        self.directory = directory
        self.secrets = secrets
        self.lock = threading.Lock()
        self.folder = f"accounts/{hashlib.sha256(settings.directory.encode()).hexdigest()[:16]}"
        self.key = JWKEC(key=self.stored_key())
        self.thumbprint = b64encode(self.key.thumbprint()).decode()
        self.url = self.stored_url() or self.register()

    def post(self, url: str, payload: bytes) -> Answer:
        """Return the answer to a signed request; raise Refused or IssueFailed.

        An authority that forgot the account gets the same key again, and the request anew.
        """
        return self.known(lambda account: self.network.post(url, payload, self.key, account))

    def look(self, url: str) -> Answer:
        """Return what stands at *url*; raise as ``post`` does."""
        return self.known(lambda account: self.network.look(url, self.key, account))

    def known(self, request: Callable[[str], Answer]) -> Answer:
        """Return the answer to *request*, registered anew if the authority asks who we are."""
        account = self.url
        try:
            return request(account)
        except Refused as refused:
            if refused.problem.kind != "accountDoesNotExist":
                raise
        with self.lock:
            if self.url == account:
                self.url = self.register()
        return request(self.url)

    def stored_key(self) -> ec.EllipticCurvePrivateKey:
        """Return the account's key; a new one is stored before anybody hears of it."""
        pem = self.store.get(f"{self.folder}/key")
        if pem is None:
            pem = new_key(KeyType.ECDSA_P256)
            self.store.put(f"{self.folder}/key", pem)
        try:
            key = load_pem_private_key(pem, None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise IssueFailed(
                "the stored key of the ACME account is none",
                where=f"{self.folder}/key in the store",
                remedy="restore it from a backup, or delete it to have a new account",
                final=True,
            )
        return key

    def stored_url(self) -> str | None:
        """Return the URL of the account as it was registered, its contact brought up to date."""
        kept = self.store.get(f"{self.folder}/account")
        if kept is None:
            return None
        try:
            registered = Registered.read(kept)
        except IssueFailed:
            return None  # the authority knows it: registering the same key finds it again
        if registered.contact != self.settings.contact:
            return self.tell_contact(registered.url)
        return registered.url

    def tell_contact(self, url: str) -> str | None:
        """Change the contact (RFC 8555 section 7.3.2); None when the authority forgot us."""
        update = messages.UpdateRegistration(contact=self.contact)
        try:
            self.network.post(url, encoded(update), self.key, url)
        except Refused as refused:
            if refused.problem.kind == "accountDoesNotExist":
                return None
            raise self.refused(refused) from refused
        return self.keep(url)

    def register(self) -> str:
        """Create the account, or find the one of our key (RFC 8555 section 7.3)."""
        agreed = messages.NewRegistration(
            contact=self.contact,
            terms_of_service_agreed=True,
            external_account_binding=self.binding(),
        )
        url = self.directory.new_account
        try:
            answer = self.network.post(url, encoded(agreed), self.key, None)
        except Refused as refused:
            raise self.refused(refused) from refused
        return self.keep(location(answer, "account"))

    def keep(self, url: str) -> str:
        """Store and return the account's URL."""
        registered = Registered(url=url, contact=self.settings.contact)
        self.store.put(f"{self.folder}/account", registered.model_dump_json().encode())
        return url

    @property
    def contact(self) -> tuple[str, ...]:
        """The contact as the authority wants it."""
        return (f"mailto:{self.settings.contact}",) if self.settings.contact else ()

    def binding(self) -> dict[str, object] | None:
        """Return the external account binding (RFC 8555 section 7.3.4), None without one."""
        external = self.settings.external_account
        if external is None:
            if self.directory.meta.binding:
                raise unbound(self.settings)
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
            raise IssueFailed(
                "the secret of the external account is not base64url",
                where=self.settings.origin,
                remedy="write the HMAC key exactly as the authority gave it",
                final=True,
            )
        return given.decode("ascii")

    def refused(self, refused: Refused) -> IssueFailed:
        """Return the error for a registration that was refused."""
        return acme_failures.of_account(refused, self.directory.meta.terms)


def encoded(message: JSONObjectWithFields) -> bytes:
    """Return the payload of a request."""
    return json.dumps(message.to_json()).encode()


def location(answer: Answer, what: str) -> str:
    """Return the URL of what was created; raise IssueFailed when the authority names none."""
    try:
        return Registered(url=answer.headers.get("Location", "")).url
    except ValueError:
        raise IssueFailed(
            f"the authority did not say where the new {what} is",
            remedy="ask the authority's operators: RFC 8555 requires a Location header",
        ) from None


def unbound(settings: Acme) -> IssueFailed:
    """Return the error for an authority that wants a binding which the model has not."""
    return IssueFailed(
        "the authority wants accounts to be bound to one that exists there",
        where=settings.origin,
        remedy="set `acme.external_account` to what the authority gave you",
        problem="urn:ietf:params:acme:error:externalAccountRequired",
        final=True,
    )
