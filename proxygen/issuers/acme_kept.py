"""What is stored of an authority between runs: our account there, and orders under way."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from josepy.b64 import b64encode
from josepy.jwk import JWK, JWKEC
from pydantic import AwareDatetime, Field

from proxygen.errors import IssueFailed
from proxygen.failure import Scope, not_obtained
from proxygen.issuers.acme_answers import AcmeObject, Url, Word
from proxygen.issuers.acme_key import account_key
from proxygen.model.certificate import KeyType
from proxygen.model.x509 import new_key
from proxygen.stores import Store
from proxygen.stores.bundles import order_key
from proxygen.stores.change import change_value, read_value
from proxygen.stores.codec import Codec

KEY, NEXT = "key", "key.next"
"""The account's key, and the one that is to take its place (RFC 8555 section 7.3.5)."""
MOST_MISSES, MOST_DELAYS = 3, 10
"""How often an order is tried that cannot be reached, or is not finished in time."""
AGAIN = timedelta(days=1)
"""How long a contact that was refused is not told again."""


class Unwanted(AcmeObject):
    """A contact that the authority did not accept, with the moment and its own words."""

    contact: str | None
    at: AwareDatetime
    words: Word

    def holds(self, contact: str | None, now: datetime) -> bool:
        """Return whether it is too early to send *contact* again."""
        return self.contact == contact and timedelta(0) <= now - self.at < AGAIN


class Registered(AcmeObject):
    """The account's URL, the contact that was sent, and the terms that were agreed to.

    *unwanted* is the contact of the model while the authority does not accept it.
    """

    url: Url
    contact: str | None = None
    terms: Word | None = None
    unwanted: Unwanted | None = None


REGISTERED = Codec[Registered](Registered)


class KeptAccount:
    """The account at one authority as it is stored; no request is sent.

    It is written only if the store still has what was read: what another process wrote stays.
    """

    def __init__(self, store: Store, directory: str) -> None:
        self.store = store
        self.folder = f"accounts/{hashlib.sha256(directory.encode()).hexdigest()[:16]}"
        self.known: dict[str, bytes | None] = {}

    def read(self, which: str = KEY) -> bytes | None:
        """Return a value as it is stored, None if there is none."""
        self.known[which] = self.store.get(f"{self.folder}/{which}")
        return self.known[which]

    def put(self, values: Mapping[str, bytes | None]) -> bool:
        """Put values where those that are known are still stored; return whether they were."""
        former = {f"{self.folder}/{which}": self.known.get(which) for which in values}
        new = {f"{self.folder}/{which}": value for which, value in values.items()}
        if kept := self.store.put_if(former, new):
            self.known |= values
        return kept

    def key(self, which: str = KEY) -> JWK | None:
        """Return a stored key, None if there is none; raise IssueFailed for a damaged one."""
        pem = self.read(which)
        if pem is None:
            return None
        key = account_key(pem)
        if key is None:
            place = f"{self.folder}/{which}"
            raise IssueFailed(
                not_obtained("account-key-damaged", Scope.HOST, place=place, final=True)
            )
        return key

    def new_key(self, which: str = KEY) -> JWK:
        """Return a new key, stored before anybody hears of it.

        If another process was quicker, return the one that it stored.
        """
        pem = new_key(KeyType.ECDSA_P256)
        if not self.put({which: pem}):
            return self.key(which) or self.new_key(which)
        return JWKEC(key=load_pem_private_key(pem, None))

    def bring(self, pem: bytes, registered: Registered) -> None:
        """Keep the key of an account that was there already, and what is known of that.

        Where another process was quicker what it stored counts from the next run on.
        """
        self.put({KEY: pem, "account": REGISTERED.written(registered)})

    def move(self) -> None:
        """Replace the key by the next one; the former key is forgotten.

        The authority knows no other by now, so this is right even if another process has begun to
        change the key.
        """
        pem = self.known.get(NEXT)
        if pem and not self.put({KEY: pem, NEXT: None}):
            self.put({KEY: pem})

    def drop_next(self) -> None:
        """Forget the next key."""
        self.put({NEXT: None})

    def registered(self) -> Registered | None:
        """Return what is known of the account, None for nothing.

        Something unreadable is nothing: registering the same key finds the account again.
        """
        return REGISTERED.read(self.read("account"))

    def register(self, registered: Registered) -> None:
        """Keep what is known of the account.

        Where another process registered it meanwhile, that stays: who uses the account next tells
        the authority what is missing.
        """
        self.put({"account": REGISTERED.written(registered)})


def thumbprint(key: JWK) -> str:
    """Return the thumbprint of a key as challenges have it (RFC 8555 section 8.1)."""
    return b64encode(key.thumbprint()).decode()


class KeptOrder(AcmeObject):
    """What is stored of an order: what it is for, its URL, and the key of the certificate.

    *misses* counts how often in a row it could not be fetched, *delays* how often it was not
    finished in time.
    """

    purpose: str
    url: Url
    key: str = Field(repr=False)
    misses: int = 0
    delays: int = 0


class OrdersOfOwner(AcmeObject):
    """The orders for one owner by the directory of their authority."""

    orders: dict[str, KeptOrder] = Field({}, repr=False)


ORDERS = Codec[OrdersOfOwner](OrdersOfOwner)


class KeptOrders:
    """The orders under way at one authority; those at another one stay beside them."""

    def __init__(self, store: Store, directory: str) -> None:
        self.store = store
        self.directory = directory

    def get(self, owner: str) -> KeptOrder | None:
        """Return what is stored about the owner's order."""
        return orders_in(self.store.get(order_key(owner))).get(self.directory)

    def put(self, owner: str, order: KeptOrder) -> None:
        """Keep the owner's order."""
        self.change(owner, {self.directory: order})

    def make_room(self, owner: str) -> None:
        """Forget the owner's order; raise OSError if another could not be stored."""
        key, kept = order_key(owner), False
        while not kept:  # it is written although nothing changes: that is what is tried
            former = read_value(self.store, key)
            kept = self.store.put_if({key: former}, {key: encode_orders(self.elsewhere(former))})

    def missed(self, owner: str) -> None:
        """Count that the owner's order could not be reached; it is forgotten after some times."""
        if order := self.get(owner):
            self.counted(owner, order.model_copy(update={"misses": order.misses + 1}))

    def delayed(self, owner: str) -> None:
        """Count that the owner's order was not finished in time; it is forgotten likewise."""
        if order := self.get(owner):
            self.counted(owner, order.model_copy(update={"misses": 0, "delays": order.delays + 1}))

    def counted(self, owner: str, order: KeptOrder) -> None:
        """Keep the owner's order, unless it was tried in vain too often."""
        if order.misses >= MOST_MISSES or order.delays >= MOST_DELAYS:
            self.drop(owner)
        else:
            self.put(owner, order)

    def drop(self, owner: str) -> None:
        """Forget the owner's order."""
        self.change(owner, {})

    def drop_all(self, owner: str) -> None:
        """Forget the owner's orders, at every authority."""
        change_value(self.store, order_key(owner), lambda _: None)

    def change(self, owner: str, order: Mapping[str, KeptOrder]) -> None:
        """Keep that of the owner at this authority, and what is at others."""

        def with_that(stored: bytes | None) -> bytes | None:
            orders = {**self.elsewhere(stored), **order}
            return encode_orders(orders) if orders else None

        change_value(self.store, order_key(owner), with_that)

    def elsewhere(self, stored: bytes | None) -> dict[str, KeptOrder]:
        """Return the orders at other authorities."""
        known = orders_in(stored).items()
        return {directory: order for directory, order in known if directory != self.directory}


def orders_in(stored: bytes | None) -> dict[str, KeptOrder]:
    """Return the orders that were stored, by directory; what cannot be read is forgotten."""
    kept = ORDERS.read(stored)
    return dict(kept.orders) if kept else {}


def encode_orders(orders: Mapping[str, KeptOrder]) -> bytes:
    """Return orders as they are stored."""
    return ORDERS.written(OrdersOfOwner(orders=dict(orders)))
