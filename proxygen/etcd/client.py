"""Client: what is asked of etcd, by whichever member answers.

Each wait has an end. A request that no member answered for certain is asked of the next one: what
is put or deleted without a condition may so be done twice, a transaction whose conditions it
changes itself cannot be (``Transaction``; see the marks of ``stores/etcd.py``).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from proxygen.credentials import KNOWN
from proxygen.etcd.answers import (
    Code,
    EtcdAway,
    EtcdEntry,
    EtcdError,
    EtcdRefused,
    EtcdTooMuch,
    Json,
    Listing,
    MemberStatus,
    Transacted,
    encoded,
    header_of,
    listing_in,
    number,
    parsed,
    parts,
    refused,
    status_in,
    transacted_in,
)
from proxygen.etcd.requests import Transaction, end_of, put_request, range_request
from proxygen.etcd.transport import FAILED, EtcdAccess, Member
from proxygen.host.connection import TooMuch

PAGE = 1000
"""Keys of a page; fewer where these are too much for an answer."""
ANOTHER_MEMBER = (Code.UNKNOWN, Code.LATE, Code.INTERNAL, Code.UNAVAILABLE)
"""Codes with which a member tells that it cannot do at present what another may."""
ANOTHER_TOKEN = (Code.INVALID, Code.UNAUTHENTICATED)
"""Codes of a token that is over, or of another revision of the users; the first has more uses."""
TRIES = 5
"""How often a listing is begun again whose revision was compacted meanwhile."""
PAUSE = 0.05
"""Seconds between two rounds of the members."""


class EtcdClient:
    """Asks the members of a cluster; many threads may share it."""

    def __init__(self, access: EtcdAccess) -> None:
        self.access = access
        self.members = tuple(Member(url, access) for url in access.endpoints)
        self.first = 0
        self.token = ""
        self.lock = threading.Lock()
        if access.password:
            KNOWN.add(access.password)

    def get(self, key: str, *, serializable: bool = False, revision: int = 0) -> EtcdEntry | None:
        """Return a key with its value, None if there is none, or was none at a *revision*.

        *serializable*: one member's word for it is enough, which may be old.
        """
        request = range_request(key) | ({"serializable": True} if serializable else {})
        request |= {"revision": str(revision)} if revision else {}
        found = listing_in(self.ask("/v3/kv/range", request)).entries
        return found[0] if found else None

    def below(
        self, prefix: str, *, since: int = 0, keys_only: bool = False, serializable: bool = False
    ) -> Listing:
        """Return all keys that begin with *prefix*, as they were at one revision.

        *since*: only those that were last changed at that revision or later.
        """
        options = {"keys_only": keys_only, "serializable": serializable}
        request: Json = {name: True for name, on in options.items() if on}
        request |= {"min_mod_revision": str(since)} if since else {}
        for _ in range(TRIES - 1):
            try:
                return self.pages(prefix, request)
            except EtcdRefused as error:
                if error.code != Code.COMPACTED:
                    raise
        return self.pages(prefix, request)

    def pages(self, prefix: str, request: Json) -> Listing:
        """Return the keys below a prefix, a page after the other."""
        entries: list[EtcdEntry] = []
        whole: Listing | None = None
        for page in self.each_page(prefix, request):
            whole = whole or page
            entries += page.entries
        if whole is None:
            raise EtcdError("etcd listed nothing, not even that there is nothing")
        return replace(whole, entries=tuple(entries))

    def each_page(self, prefix: str, request: Json) -> Iterator[Listing]:
        """Yield the keys below a prefix by pages, all of the revision of the first."""
        key, end, size, at = prefix, end_of(prefix), PAGE, 0
        while True:
            asked = request | range_request(key, end) | {"limit": str(size)}
            try:
                found = self.ask("/v3/kv/range", asked | ({"revision": str(at)} if at else {}))
            except EtcdTooMuch:
                if size == 1:
                    raise
                size = max(size // 8, 1)
                continue
            page = listing_in(found)
            yield page
            if not found.get("more") or not page.entries:
                return
            at, key = at or page.revision, page.entries[-1].key + "\0"

    def put(self, key: str, value: bytes, lease: int = 0) -> int:
        """Put a value; return the revision since which it is there."""
        return header_of(self.ask("/v3/kv/put", put_request(key, value, lease)))[0]

    def delete(self, key: str, end: str = "") -> int:
        """Delete a key, or all from it up to *end*; return how many there were."""
        return number(self.ask("/v3/kv/deleterange", range_request(key, end)), "deleted")

    def transact(self, transaction: Transaction) -> Transacted:
        """Do several things at once, or none, by conditions."""
        return transacted_in(self.ask("/v3/kv/txn", transaction.as_json()))

    def grant(self, seconds: int) -> int:
        """Return a new lease, which ends after *seconds* unless it is kept."""
        return number(self.ask("/v3/lease/grant", {"TTL": str(seconds)}), "ID")

    def keep(self, lease: int) -> int:
        """Keep a lease; return after how many seconds it ends now, 0 for one that is over."""
        found = self.ask("/v3/lease/keepalive", {"ID": str(lease)})
        return number(found.get("result", {}), "TTL")

    def revoke(self, lease: int) -> None:
        """End a lease, and with it the keys that were put with it; one that is over is no error."""
        try:
            self.ask("/v3/lease/revoke", {"ID": str(lease)})
        except EtcdRefused as error:
            if error.code != Code.NOT_FOUND:
                raise

    def compact(self, revision: int) -> None:
        """Have etcd forget what was before a revision; what it has forgotten is no error."""
        try:
            self.ask("/v3/kv/compaction", {"revision": str(revision), "physical": True})
        except EtcdRefused as error:
            if error.code != Code.COMPACTED:
                raise

    def statuses(self) -> dict[str, MemberStatus | EtcdError]:
        """Return by endpoint how each member is, or why it does not tell."""
        found: dict[str, MemberStatus | EtcdError] = {}
        for member in self.members:
            try:
                found[member.url] = status_in(
                    self.asked(member, "/v3/maintenance/status", b"{}", self.end())
                )
            except EtcdError as error:
                found[member.url] = error
        return found

    def raised(self) -> tuple[str, ...]:
        """Return what is wrong with the cluster, such as ``NOSPACE``: it takes nothing more."""
        found = self.ask("/v3/maintenance/alarm", {"action": "GET"})
        return tuple(str(each.get("alarm", "NONE"))[:40] for each in parts(found, "alarms"))

    def certificate_flaws(self) -> tuple[str, ...]:
        """Return what is wrong with the certificates of the members."""
        return tuple(each for member in self.members for each in member.certificate_flaws())

    def ask(self, path: str, request: Json) -> Json:
        """Return the answer of the first member that has one; raise EtcdError."""
        body, end = json.dumps(request).encode(), self.end()
        return self.of_any(lambda member: self.asked(member, path, body, end), end)

    def of_any(self, do: Callable[[Member], Json], end: float) -> Json:
        """Return what is done with the first member with which it can be, until a moment."""
        away: EtcdAway | None = None
        unsure = False
        while away is None or time.monotonic() < end:
            for member in self.in_turn():
                try:
                    found = do(member)
                except EtcdAway as error:
                    away, unsure = error, unsure or error.unsure
                    if time.monotonic() >= end:
                        break
                    continue
                self.first = self.members.index(member)
                return found
            time.sleep(PAUSE)
        raise EtcdAway(str(away), unsure=unsure)

    def in_turn(self) -> tuple[Member, ...]:
        """Return the members, that first which answered last."""
        first = self.first
        return (*self.members[first:], *self.members[:first])

    def asked(self, member: Member, path: str, body: bytes, end: float) -> Json:
        """Return the answer of one member, whose token is made anew if need be; raise EtcdError."""
        token = self.token_of(member, end)
        try:
            return self.exchange(member, path, body, token, end)
        except EtcdRefused as error:
            if not (token and error.code in ANOTHER_TOKEN):
                raise
        return self.exchange(member, path, body, self.token_of(member, end, token), end)

    def token_of(self, member: Member, end: float, former: str = "") -> str:
        """Return a token, another one than the *former*, empty where no user is named.

        Without one nothing is asked of etcd in a user's name: it would take the common name of the
        member's own certificate for the user's.
        """
        if not self.access.user:
            return ""
        with self.lock:
            if self.token in ("", former):
                self.token = ""
                self.token = self.authenticated(member, end)
            return self.token

    def authenticated(self, member: Member, end: float) -> str:
        """Return a new token, which is shown nowhere."""
        asked = {
            "name": self.access.user,
            "password": self.access.password.decode("utf-8", "replace"),
        }
        found = self.exchange(member, "/v3/auth/authenticate", json.dumps(asked).encode(), "", end)
        token = found.get("token")
        if not isinstance(token, str) or not 0 < len(token) <= 4096 or not token.isascii():
            raise EtcdError("etcd gave no token")
        return token

    def exchange(self, member: Member, path: str, body: bytes, token: str, end: float) -> Json:
        """Return the answer of one member to one request; raise EtcdError."""
        seconds = min(self.access.patience.answer, max(end - time.monotonic(), 0.001))
        try:
            answer = member.send(path, body, token, seconds)
        except TooMuch as error:
            raise EtcdTooMuch(f"{member.url} answered with too much: {error}") from error
        except FAILED as error:
            raise EtcdAway(f"{member.url} did not answer: {told(error)}", unsure=True) from error
        if answer.status == 200:
            return parsed(answer.body)
        why = refused(answer.status, answer.body)
        if why.code in ANOTHER_MEMBER:
            raise EtcdAway(f"{member.url}: {why}", unsure=True)
        raise why

    def end(self) -> float:
        """Return the moment of the monotonic clock at which nothing is waited for any more."""
        return time.monotonic() + self.access.patience.all


def told(error: BaseException) -> str:
    """Return what an error of the network says, in short, and nothing of what was sent."""
    words = str(error).rpartition("): ")[2] or type(error).__name__
    return words[:300]


def user_request(name: str, password: bytes) -> Json:
    """Return the request for a new user."""
    return {"name": name, "password": password.decode()}


def permission_request(role: str, prefix: str, kind: str) -> Json:
    """Return the request that lets a role READ, WRITE or READWRITE below a prefix."""
    perm = {"permType": kind, "key": encoded(prefix), "range_end": encoded(end_of(prefix))}
    return {"name": role, "perm": perm}
