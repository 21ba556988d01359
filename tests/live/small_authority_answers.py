"""The answers of a small ACME authority (RFC 8555, RFC 9773): its protocol, without a server."""

from __future__ import annotations

import secrets
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Literal, TypeVar

from cryptography.hazmat.primitives.serialization import Encoding

from tests.live.authority import pem
from tests.live.small_authority_dns import ISSUER, PERSIST, persisting, shown, texts
from tests.live.small_authority_limits import Ledger
from tests.live.small_authority_records import EXPIRES, Account, Authorization, Issued, Order
from tests.live.small_authority_rules import (
    HOUR,
    LOCALHOST,
    Signer,
    Window,
    check_rejected,
    checked_contact,
    checked_names,
    checked_request,
    identifier,
    offered_for,
    overridden,
    stamp,
    suggested,
    validate,
)
from tests.live.small_authority_wire import (
    Key,
    Problem,
    Reply,
    Request,
    Signed,
    decoded,
    encoded,
    malformed,
    not_yours,
    public_key,
    said,
    unauthorized,
)

MOST_NONCES = 20_000
CAA = {"caaIdentities": [ISSUER]}
Away = Literal["503", "refuse"]


class Answers:
    """What the authority knows, and what it says; many threads ask."""

    ari = True
    ari_retry_after = 21_600
    patience: float = 2
    challenges: tuple[str, ...] = ("http-01",)
    nameserver: tuple[str, int] | None = None
    port = 0
    how_away: Away | None = None

    def __init__(
        self,
        clock: Callable[[], datetime],
        http_port: int,
        profiles: Mapping[str, timedelta],
        ledger: Ledger,
    ) -> None:
        self.clock = clock
        self.http_port = http_port
        self.profiles = profiles
        self.ledger = ledger
        self.signer = Signer("Small Authority")
        self.lock = threading.RLock()
        self.nonces: dict[str, None] = {}
        self.accounts: list[Account] = []
        self.authorizations: list[Authorization] = []
        self.orders: list[Order] = []
        self.issued: list[Issued] = []
        self.known: dict[str, Issued] = {}
        self.name_sets: set[frozenset[str]] = set()
        self.replacing: defaultdict[str, list[Order]] = defaultdict(list)
        self.windows: dict[int, Window] = {}
        self.failing: dict[str, str] = {}
        self.rejecting: set[str] = set()
        self.refused: list[str] = []
        self.counts: Counter[str] = Counter()

    def window(self, issued: Issued) -> Window:
        """Return when a certificate should be renewed."""
        return self.windows.get(issued.serial) or suggested(issued.not_before, issued.not_after)

    def url(self, *parts: object) -> str:
        """Return a URL of its own."""
        return "/".join((f"https://{LOCALHOST}:{self.port}", *map(str, parts)))

    # Requests

    def answer(self, request: Request) -> Reply:
        """Return the answer to one request."""
        kind = request.kind
        try:
            reply = self.handled(request, kind)
        except Problem as problem:
            reply = problem.reply
            if problem.kind == "rateLimited":
                self.refused.append(problem.detail)
        index = f'<{self.url("directory")}>;rel="index"'
        links = ", ".join(filter(None, (reply.headers.get("Link"), index)))
        date = format_datetime(self.clock().astimezone(UTC), usegmt=True)
        headers = {**reply.headers, "Link": links, "Date": date}
        if request.method == "POST" or kind == "newNonce":
            headers |= {"Replay-Nonce": self.nonce(), "Cache-Control": "no-store"}
        return Reply(reply.status, reply.body, headers)

    def handled(self, request: Request, kind: str) -> Reply:
        """Return the answer; raise Problem."""
        known = kind in OPEN or kind in SIGNED
        with self.lock:
            self.counts["away" if self.how_away else kind if known else "unknown"] += 1
        if self.how_away:
            raise Problem("serverInternal", 503, "The service is down for maintenance")
        if not known or (kind == "renewalInfo" and not self.ari):
            raise malformed("Page not found", 404)
        if (request.method == "POST") == (kind in OPEN):
            raise malformed("Method not allowed", 405)
        return OPEN[kind](self, request) if kind in OPEN else self.signed(request, kind)

    def signed(self, request: Request, kind: str) -> Reply:
        """Return the answer to a signed request; raise Problem."""
        signed = Signed.read(request)
        if kind == "newAccount":
            key = public_key(signed.protected.get("jwk"))
            self.verify(request, signed, key)
            return self.new_account(key, signed)
        account = self.account_of(signed)
        self.verify(request, signed, account.key)
        return BY_ACCOUNT[kind](self, account, request.argument, signed)

    def verify(self, request: Request, signed: Signed, key: Key) -> None:
        """Raise Problem unless *key* signed this very request, now (RFC 8555 section 6)."""
        if "jwk" in signed.protected and "kid" in signed.protected:
            raise malformed("jwk and kid exclude each other")
        signed.check(key)
        if signed.field("url") != self.url(request.path.removeprefix("/")):
            raise unauthorized("the url of the protected header is another than that asked")
        nonce = signed.field("nonce")
        with self.lock:
            if nonce not in self.nonces:
                raise Problem("badNonce", 400, f"JWS has an invalid anti-replay nonce: {nonce}")
            del self.nonces[nonce]

    def nonce(self) -> str:
        """Return a new nonce; the oldest that nobody used is forgotten."""
        nonce = encoded(secrets.token_bytes(16))
        with self.lock:
            self.nonces[nonce] = None
            if len(self.nonces) > MOST_NONCES:
                del self.nonces[next(iter(self.nonces))]
        return nonce

    def account_of(self, signed: Signed) -> Account:
        """Return the account that a request names; raise Problem."""
        kid = signed.field("kid")
        number = kid.removeprefix(self.url("account", ""))
        if not number.isdecimal() or not 0 < int(number) <= len(self.accounts):
            raise Problem("accountDoesNotExist", 400, f'Account "{kid}" not found')
        account = self.accounts[int(number) - 1]
        if account.status != "valid":
            raise unauthorized(f'Account is not valid, has status "{account.status}"')
        return account

    # Without an account

    def show_directory(self, request: Request) -> Reply:
        """Tell where requests go (RFC 8555 section 7.1.1)."""
        kinds = ("newNonce", "newAccount", "newOrder", *(("renewalInfo",) if self.ari else ()))
        profiles = {name: f"certificates for {life}" for name, life in self.profiles.items()}
        meta = {"termsOfService": "https://terms.example/v1", "profiles": profiles, **CAA}
        return said(200, {**{kind: self.url(kind) for kind in kinds}, "meta": meta}, {})

    def new_nonce(self, request: Request) -> Reply:
        """Give a nonce, as every answer to a POST does (RFC 8555 section 7.2)."""
        return Reply(200 if request.method == "HEAD" else 204)

    def renewal_info(self, request: Request) -> Reply:
        """Tell when a certificate should be renewed (RFC 9773 section 4.2)."""
        found = self.found(request.argument)
        if found is None:
            raise malformed("Certificate not found", 404)
        return said(200, self.window(found).said, {"Retry-After": str(self.ari_retry_after)})

    def found(self, identifier: str) -> Issued | None:
        """Return the certificate of a unique identifier (RFC 9773 section 4.1)."""
        aki, dot, serial = identifier.partition(".")
        if not dot or decoded(aki) != self.signer.key_identifier or not decoded(serial):
            raise malformed("the certificate's identifier is none of this authority")
        return self.known.get(identifier)

    # Accounts

    def new_account(self, key: Key, signed: Signed) -> Reply:
        """Make an account, or find the one of *key* (RFC 8555 section 7.3)."""
        asked = signed.said
        with self.lock:
            accounts = (one for one in self.accounts if one.key.thumbprint == key.thumbprint)
            account = next(accounts, None)
            if account:
                return self.told_account(account, 200)
            if asked.get("onlyReturnExisting") is True:
                raise Problem("accountDoesNotExist", 400, "No account exists with this key")
            if asked.get("termsOfServiceAgreed") is not True:
                raise malformed("must agree to terms of service")
            account = Account(len(self.accounts) + 1, key, checked_contact(asked))
            self.accounts.append(account)
        return self.told_account(account, 201)

    def show_account(self, account: Account, argument: str, signed: Signed) -> Reply:
        """Show the account, with another contact or deactivated if that is asked."""
        if argument != str(account.number):
            raise not_yours()
        asked = signed.said if signed.payload else {}
        if "contact" in asked:
            account.contact = checked_contact(asked)
        if asked.get("status") == "deactivated":
            account.status = "deactivated"
        return self.told_account(account, 200)

    def told_account(self, account: Account, status: int) -> Reply:
        """Return the account object (RFC 8555 section 7.1.2)."""
        told = {
            "status": account.status,
            "contact": account.contact,
            "orders": self.url("orders", account.number),
        }
        return said(status, told, {"Location": self.url("account", account.number)})

    def show_orders(self, account: Account, argument: str, signed: Signed) -> Reply:
        """List the account's orders (RFC 8555 section 7.1.2.1)."""
        if argument != str(account.number):
            raise not_yours()
        own = [self.url("order", one.number) for one in self.orders if one.account is account]
        return said(200, {"orders": own}, {})

    # Orders

    def new_order(self, account: Account, argument: str, signed: Signed) -> Reply:
        """Make an order (RFC 8555 section 7.4; RFC 9773 section 5)."""
        asked, now = signed.said, self.clock()
        if "notBefore" in asked or "notAfter" in asked:
            raise malformed("NotBefore and NotAfter are not supported")
        names = checked_names(asked.get("identifiers"), self.challenges)
        check_rejected(names, self.rejecting)
        profile = self.chosen_profile(asked.get("profile"))
        with self.lock:
            replaces = self.replaced(account, names, asked.get("replaces"), now)
            renewal = self.counted(account, frozenset(names), replaces is not None, now)
            proofs = tuple(self.authorize(account, name, now) for name in names)
            number = len(self.orders) + 1
            order = Order(number, account, now, names, profile, replaces, renewal, proofs)
            self.orders.append(order)
            if replaces:
                self.replacing[replaces].append(order)
        return self.told_order(order, 201)

    def chosen_profile(self, asked: object) -> str:
        """Return the profile of an order; raise Problem for one that is not offered."""
        if asked is None:
            return "classic" if "classic" in self.profiles else next(iter(self.profiles))
        if not isinstance(asked, str) or asked not in self.profiles:
            raise Problem("invalidProfile", 400, f'profile "{asked}" is not offered')
        return asked

    def replaced(
        self, account: Account, names: tuple[str, ...], asked: object, now: datetime
    ) -> str | None:
        """Return the identifier of what an order replaces; raise Problem (RFC 9773 section 5)."""
        if asked is None:
            return None
        former = self.found(asked) if isinstance(asked, str) else None
        if former is None or former.account != account.number:
            raise malformed("the certificate to replace is none of this account")
        if not set(former.names) & set(names):
            raise malformed("the certificate to replace shares no identifier with the order")
        if any(one.status(now) != "invalid" for one in self.replacing[former.identifier]):
            detail = f"the certificate {asked} has already been replaced by another order"
            raise Problem("alreadyReplaced", 409, detail)
        return former.identifier

    def counted(
        self, account: Account, names: frozenset[str], replaces: bool, now: datetime
    ) -> bool:
        """Count a new order and return whether it renews; raise Problem at a limit.

        What replaces a certificate is exempt from every limit.
        """
        renewal = replaces or names in self.name_sets
        if not replaces:
            self.ledger.require(self.ledger.checked(account.number, names, renewal), now)
        self.ledger.take(self.ledger.for_order(account.number, renewal), now)
        return renewal

    def authorize(self, account: Account, name: str, now: datetime) -> Authorization:
        """Return a new authorization."""
        host, number = name.removeprefix("*."), len(self.authorizations) + 1
        wildcard = host != name
        offered = offered_for(name, self.challenges)
        one = Authorization(number, account, host, now + EXPIRES, offered, wildcard)
        self.authorizations.append(one)
        return one

    def show_order(self, account: Account, argument: str, signed: Signed) -> Reply:
        """Show an order, or finalize it."""
        number, _, finalize = argument.partition("/")
        order = self.order(account, number)
        if finalize == "finalize":
            self.finalize(order, signed)
        return self.told_order(order, 200)

    def order(self, account: Account, number: str) -> Order:
        """Return an order of the account; raise Problem."""
        order = one_of(self.orders, number)
        if order is None or order.account is not account:
            raise not_yours()
        return order

    def told_order(self, order: Order, status: int) -> Reply:
        """Return the order object (RFC 8555 section 7.1.3)."""
        told = {
            "status": order.status(self.clock()),
            "expires": stamp(order.expires),
            "identifiers": list(map(identifier, order.names)),
            "authorizations": [self.url("authz", one.number) for one in order.authorizations],
            "finalize": self.url("order", order.number, "finalize"),
            "profile": order.profile,
        }
        if order.replaces:
            told["replaces"] = order.replaces
        if order.issued:
            told["certificate"] = self.url("certificate", order.number)
        return said(status, told, {"Location": self.url("order", order.number)})

    def finalize(self, order: Order, signed: Signed) -> None:
        """Issue the certificate of a ready order (RFC 8555 section 7.4)."""
        der = decoded(str(signed.said.get("csr", "")))
        with self.lock:
            now = self.clock()
            status = order.status(now)
            if status != "ready":
                raise Problem("orderNotReady", 403, f'Order\'s status ("{status}") is not "ready"')
            order.issued = issued = self.sign(order, der, now)
            self.issued.append(issued)
            self.known[issued.identifier] = issued
            self.name_sets.add(frozenset(issued.names))
            limits = self.ledger.for_certificate(frozenset(issued.names), order.renewal)
            self.ledger.take(limits, now)

    def sign(self, order: Order, der: bytes, now: datetime) -> Issued:
        """Return the certificate of an order; raise Problem for a wrong signing request."""
        request = checked_request(der, frozenset(order.names), order.account.key.public)
        start = now.replace(microsecond=0) - HOUR  # for clients whose clock is behind
        valid = Window(start, start + self.profiles[order.profile])
        leaf = self.signer.sign(request, order.names, valid)
        return Issued(
            at=now,
            names=order.names,
            not_before=valid.start,
            not_after=valid.end,
            profile=order.profile,
            replaces=order.replaces,
            serial=leaf.serial_number,
            identifier=self.signer.identifier(leaf.serial_number),
            account=order.account.number,
            chain=leaf.public_bytes(Encoding.PEM) + pem(self.signer.intermediate.certificate),
        )

    def show_certificate(self, account: Account, argument: str, signed: Signed) -> Reply:
        """Send a certificate with its chain (RFC 8555 section 7.4.2)."""
        order = self.order(account, argument)
        if order.issued is None:
            raise malformed("Certificate not found", 404)
        return Reply(200, order.issued.chain, {"Content-Type": "application/pem-certificate-chain"})

    # Authorizations

    def show_authorization(self, account: Account, argument: str, signed: Signed) -> Reply:
        """Show an authorization (RFC 8555 section 7.1.4)."""
        one = self.authorization(account, argument)
        told = {
            "status": one.status,
            "expires": stamp(one.expires),
            "identifier": identifier(one.name),
            "challenges": [self.told_challenge(one, kind) for kind in one.offered],
            **({"wildcard": True} if one.wildcard else {}),
        }
        return said(200, told, {})

    def authorization(self, account: Account, argument: str) -> Authorization:
        """Return an authorization of the account that did not expire; raise Problem."""
        one = one_of(self.authorizations, argument)
        if one is None or one.account is not account:
            raise not_yours()
        if self.clock() >= one.expires:
            raise malformed("Expired authorization", 404)
        return one

    def show_challenge(self, account: Account, argument: str, signed: Signed) -> Reply:
        """Validate, or show a challenge again (RFC 8555 section 7.5.1)."""
        number, _, kind = argument.partition("/")
        one = self.authorization(account, number)
        if kind not in one.offered:
            raise malformed("No such challenge", 404)
        if signed.payload and signed.said == {}:
            self.prove(one, kind)
        up = {"Link": f'<{self.url("authz", one.number)}>;rel="up"'}
        return said(200, self.told_challenge(one, kind), up)

    def told_challenge(self, one: Authorization, kind: str) -> dict[str, object]:
        """Return the challenge object (RFC 8555 section 7.1.5, draft-ietf-acme-dns-persist)."""
        own = {"issuer-domain-names": [ISSUER]} if kind == PERSIST else {"token": one.token}
        told: dict[str, object] = {
            "type": kind,
            "url": self.url("challenge", one.number, kind),
            "status": "pending",
            **own,
        }
        if one.by != kind:
            return told
        processed = one.answered and one.status == "pending"
        told["status"] = "processing" if processed else one.status
        if one.validated:
            told["validated"] = stamp(one.validated)
        if one.error:
            told["error"] = one.error.document
        return told

    def prove(self, one: Authorization, kind: str) -> None:
        """Look for the answer, once; the client is answered afterwards."""
        with self.lock:
            if one.answered:
                return
            one.answered, one.by = True, kind
        try:
            error = self.looked(one)
        except Problem as problem:
            error = problem
        with self.lock:
            now = self.clock()
            one.error = error
            one.validated = None if error else now
            one.status = "invalid" if error else "valid"
            if error:
                self.ledger.take(self.ledger.for_failure(one.account.number, one.name), now)

    def looked(self, one: Authorization) -> Problem | None:
        """Return what is wrong with the answer to a challenge (RFC 8555 section 8)."""
        if kind := self.failing.get(one.name):
            return overridden(one.name, kind)
        if one.by == PERSIST:
            account = self.url("account", one.account.number)
            text = texts(f"_validation-persist.{one.name}", self.nameserver)
            return persisting(one, account, text, self.clock())
        expected = f"{one.token}.{one.account.key.thumbprint}"
        if one.by == "dns-01":
            return shown(texts(f"_acme-challenge.{one.name}", self.nameserver), expected)
        return validate(one.name, one.token, expected, self.http_port, self.patience)


OPEN: Mapping[str, Callable[[Answers, Request], Reply]] = {
    "directory": Answers.show_directory,
    "newNonce": Answers.new_nonce,
    "renewalInfo": Answers.renewal_info,
}
BY_ACCOUNT: Mapping[str, Callable[[Answers, Account, str, Signed], Reply]] = {
    "account": Answers.show_account,
    "orders": Answers.show_orders,
    "newOrder": Answers.new_order,
    "order": Answers.show_order,
    "authz": Answers.show_authorization,
    "challenge": Answers.show_challenge,
    "certificate": Answers.show_certificate,
}
SIGNED = {"newAccount", *BY_ACCOUNT}

T = TypeVar("T")


def one_of(things: list[T], number: str) -> T | None:
    """Return the thing of a number, None when there is none."""
    known = number.isdecimal() and 0 < int(number) <= len(things)
    return things[int(number) - 1] if known else None
