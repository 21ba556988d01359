"""Dynamic updates (RFC 2136): the zone found at the server, one value added or deleted."""

from __future__ import annotations

from collections.abc import Iterator

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update

from proxygen.errors import IssueFailed
from proxygen.failure import NotObtained, not_obtained, refusal_of_name
from proxygen.host.connection import places_of
from proxygen.languages.lines import terminal_text
from proxygen.solvers.rfc2136_key import Key
from proxygen.solvers.rfc2136_settings import Rfc2136Settings


class Updates:
    """Writes TXT records at one name server; each exchange is a connection of its own."""

    def __init__(self, settings: Rfc2136Settings, key: Key) -> None:
        self.settings = settings
        self.key = dns.tsig.Key(dns.name.from_text(key.name), key.secret, key.algorithm)
        self.patience = float(settings.propagation_timeout)
        self.delegated = tuple(settings.delegated)
        self.zones: dict[str, dns.name.Name] = {}

    def add(self, name: str, value: str) -> None:
        """Add a value, beside those that are there."""
        owner = dns.name.from_text(name)
        update = self.update(name)
        update.add(owner, self.settings.ttl, dns.rdatatype.TXT, f'"{value}"')
        self.send(update, name)

    def remove(self, name: str, value: str) -> None:
        """Delete that value alone (RFC 2136 section 2.5.4)."""
        update = self.update(name)
        update.delete(dns.name.from_text(name), dns.rdatatype.TXT, f'"{value}"')
        self.send(update, name)

    def update(self, name: str) -> dns.update.UpdateMessage:
        """Return an update of the zone of *name* without anything in it."""
        if name not in self.zones:
            self.zones[name] = self.zone(name)
        return dns.update.UpdateMessage(self.zones[name])

    def zone(self, name: str) -> dns.name.Name:
        """Return the zone of *name* at the server itself: others may know another version of it.

        Signed, as some servers choose what they show by the key.
        """
        owner = dns.name.from_text(name)
        while owner != dns.name.root:
            answer = self.exchange(dns.message.make_query(owner, dns.rdatatype.SOA))
            if found := apex_in(answer, owner):
                return found
            owner = owner.parent()
        failure = not_obtained("no-zone-there", server=self.place, name=name)
        raise IssueFailed(refusal_of_name(name, failure))

    def send(self, update: dns.update.UpdateMessage, name: str) -> None:
        """Send an update; raise IssueFailed unless it was made."""
        answer = self.exchange(update)
        if answer.rcode() != dns.rcode.NOERROR:
            raise IssueFailed(self.refused(answer.rcode(), name))

    def exchange(self, message: dns.message.Message) -> dns.message.Message:
        """Return the signed answer to a message, which is signed; raise IssueFailed."""
        message.use_tsig(self.key)
        failed: Exception | None = None
        for address in self.addresses():
            try:
                answer = dns.query.tcp(
                    message, address, timeout=self.settings.timeout, port=self.settings.port
                )
            except dns.tsig.PeerError as error:
                raise IssueFailed(self.wrong_key(error)) from error
            except (OSError, dns.exception.DNSException) as error:
                failed = error
                continue
            if not answer.had_tsig and answer.rcode() == dns.rcode.NOERROR:
                # Nobody vouches for it (RFC 8945 section 5.3).
                raise IssueFailed(not_obtained("answer-unsigned", server=self.place))
            return answer
        raise IssueFailed(self.unreached(failed)) from failed

    def addresses(self) -> Iterator[str]:
        """Return the addresses of the server; raise IssueFailed if its name has none."""
        try:
            found = places_of(self.settings.server, self.settings.port, self.settings.timeout)
        except OSError as error:
            raise IssueFailed(self.unreached(error)) from error
        return iter(dict.fromkeys(str(address[0]) for _, address in found))

    @property
    def place(self) -> str:
        """The server, for a message."""
        return f"{self.settings.server} port {self.settings.port}"

    def unreached(self, error: Exception | None) -> NotObtained:
        """Return the failure of a server without a usable answer."""
        late = isinstance(error, dns.exception.Timeout)
        there = "name-server-not-asked" if error else "name-server-without-address"
        code = "name-server-late" if late else there
        words = terminal_text(str(error or ""))[:MOST_WORDS]
        return not_obtained(code, server=self.place, words=words)

    def wrong_key(self, error: dns.tsig.PeerError) -> NotObtained:
        """Return the failure for a signature that it does not accept (RFC 8945 section 5.2).

        A wrong clock is not final: it may be set right.
        """
        kind = type(error)
        return not_obtained(
            TSIG.get(kind, "tsig-not-accepted"),
            server=self.place,
            key=self.key.name.to_text(omit_final_dot=True),
            final=kind is not dns.tsig.PeerBadTime,
            words=terminal_text(str(error))[:MOST_WORDS],
        )

    def refused(self, code: dns.rcode.Rcode, name: str) -> NotObtained:
        """Return the failure for an update that was not made."""
        said = dns.rcode.to_text(code)
        failure = not_obtained(
            CODES.get(said, "update-not-made"),
            server=self.place,
            name=name,
            key=self.key.name.to_text(omit_final_dot=True),
            words=said,
        )
        return refusal_of_name(name, failure) if said in OF_THE_ZONE else failure


MOST_WORDS = 500
TSIG = {
    dns.tsig.PeerBadKey: "tsig-bad-key",
    dns.tsig.PeerBadSignature: "tsig-bad-signature",
    dns.tsig.PeerBadTime: "tsig-bad-time",
    dns.tsig.PeerBadTruncation: "tsig-bad-truncation",
}
CODES = {
    "REFUSED": "update-refused",
    "NOTAUTH": "update-not-authoritative",
    "NOTZONE": "update-not-of-zone",
    "SERVFAIL": "update-server-failed",
    "NOTIMP": "update-not-implemented",
}
"""What the answer to an update means (RFC 2136 section 2.2)."""
OF_THE_ZONE = frozenset({"REFUSED", "NOTAUTH", "NOTZONE"})
"""Answers that are about one zone: others of the same server may be written."""


def apex_in(answer: dns.message.Message, owner: dns.name.Name) -> dns.name.Name | None:
    """Return the zone of *owner* that an authoritative answer tells, None if it tells none.

    Its SOA record is the answer, or stands beside "there is none" (RFC 2308 section 3).
    """
    if not answer.flags & dns.flags.AA:
        return None
    for rrset in (*answer.answer, *answer.authority):
        if rrset.rdtype == dns.rdatatype.SOA and owner.is_subdomain(rrset.name):
            return rrset.name
    return None
