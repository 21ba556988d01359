"""What a server's message means, seen from the zone that it was asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate

import dns.flags
import dns.name
import dns.rcode
import dns.rdatatype
from dns.message import Message
from dns.rdata import Rdata
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.NS import NS
from dns.rrset import RRset

from proxygen.dns.answers import Reply, ReplyKind
from proxygen.dns.wire import NameServer, WireReply
from proxygen.languages.lines import terminal_text
from proxygen.names.causes import Cause, cause

RECORDS = 100
TEXT = 1000
ALL_TEXT = 8000
"""Of all records of one name and type; a hundred answers to challenges take half of it."""
CHAIN = 10
"""CNAME records that are followed; authorities follow about as many."""
HOSTLESS = cause("hostless")
NO_SOA = 60
"""Seconds that "there is none" is kept when no SOA says how long."""

NAME = re.compile(r"(?!-)[a-z0-9_-]+(?:\.[a-z0-9_-]+)*", re.ASCII)
"""Letters, digits, hyphens (RFC 952), and the underscore of names that no host has (RFC 8552)."""

RCODES = {
    dns.rcode.SERVFAIL: ReplyKind.SERVFAIL,
    dns.rcode.REFUSED: ReplyKind.REFUSED,
    dns.rcode.NOTAUTH: ReplyKind.LAME,
}


@dataclass(frozen=True, slots=True)
class Heard:
    """What one message says about a name.

    *target* is that of the alias which stands at the name; *apex* the apex of the zone that the
    message shows to answer, empty when it shows none; *cut* the zone below to which it refers;
    *rrset* the records themselves, or the SOA record with which it says that there are none.
    """

    server: NameServer
    kind: ReplyKind
    records: tuple[str, ...] = ()
    why: Cause | None = None
    target: str = ""
    apex: str | None = None
    cut: str = ""
    seconds: float = 0.0
    rrset: RRset | None = None
    message: Message | None = None

    def reply(self) -> Reply:
        """Return it as a value."""
        return Reply(str(self.server), self.kind, self.records, self.why)


def is_under(name: str, apex: str) -> bool:
    """Return whether *name* is *apex* or below it; everything is below the root, ``""``."""
    return not apex or name == apex or name.endswith(f".{apex}")


def plain_name(name: dns.name.Name) -> str:
    """Return a name in lower case without its final dot.

    It is empty for the root, and for a name that host names never are. With a dot or a backslash
    within a label, text would put it into another zone; and names reach programs, messages, and
    commands that people copy into a shell, so that nothing there may mean anything else.
    """
    text = name.to_text(omit_final_dot=True).lower()
    return text if NAME.fullmatch(text) else ""


def read_response(said: WireReply, apex: str, name: str, rdtype: str) -> Heard:
    """Return what an authoritative server of *apex* says about *name*."""
    message = said.message
    if message is None or message.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return refusal_heard(said)
    if not message.answer and (cut := referred_zone(message, apex, name)):
        why = cause("refers", zone=cut)
        return Heard(said.server, ReplyKind.LAME, why=why, cut=cut, message=message)
    if not message.flags & dns.flags.AA:
        return Heard(
            said.server, ReplyKind.LAME, why=cause("not-authoritative", zone=zone_words(apex))
        )
    return authoritative_heard(said.server, message, apex, name, rdtype)


def resolver_reply(said: WireReply, name: str, rdtype: str) -> Heard:
    """Return what a resolver says about *name*."""
    message = said.message
    if message is None or message.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return refusal_heard(said)
    if not message.flags & (dns.flags.RA | dns.flags.AA) and not message.answer:
        return Heard(said.server, ReplyKind.REFUSED, why=cause("no-resolver"))
    return authoritative_heard(said.server, message, "", name, rdtype)


def refusal_heard(said: WireReply) -> Heard:
    """Return why there is no answer; servers add theirs as an extended error (RFC 8914)."""
    message = said.message
    if message is None:
        return Heard(said.server, said.kind, why=said.why)
    code, rcode = message.rcode(), dns.rcode.to_text(message.rcode())
    words = "; ".join(terminal_text(each.to_text())[:200] for each in message.extended_errors()[:3])
    told = (
        cause("answers-with", rcode=rcode, words=words) if words else cause("answers", rcode=rcode)
    )
    return Heard(said.server, RCODES.get(code, ReplyKind.BROKEN), why=told, message=message)


def referred_zone(message: Message, apex: str, name: str) -> str:
    """Return the zone to which a message refers: below *apex*, towards *name*; else ``""``.

    A referral elsewhere is none: it would let a server speak for other people's zones.
    """
    if any(each.rdtype == dns.rdatatype.SOA for each in message.authority):
        return ""
    for each in message.authority:
        owner = plain_name(each.name) if each.rdtype == dns.rdatatype.NS else ""
        if owner and owner != apex and is_under(owner, apex) and is_under(name, owner):
            return owner
    return ""


def authoritative_heard(
    server: NameServer, message: Message, apex: str, name: str, rdtype: str
) -> Heard:
    """Return what an answer says from the zone at *apex*, or one below."""
    zone = shown_apex(message, apex, name)
    if (rrset := records_at(message.answer, name, RdataType.make(rdtype))) is not None:
        return answer_heard(server, message, zone, rrset, presented_records(rrset))
    if (alias := records_at(message.answer, name, dns.rdatatype.CNAME)) is not None:
        return answer_heard(server, message, zone, alias, (f"CNAME {plain_name(alias[0].target)}",))
    return absence_heard(server, message, zone)


def answer_heard(
    server: NameServer, message: Message, zone: str | None, rrset: RRset, texts: tuple[str, ...]
) -> Heard:
    """Return an answer: records, or an alias, which has one target (RFC 2181 section 10.1)."""
    target = plain_name(rrset[0].target) if rrset.rdtype == dns.rdatatype.CNAME else ""
    if rrset.rdtype == dns.rdatatype.CNAME and not target:
        return Heard(server, ReplyKind.BROKEN, why=HOSTLESS)
    return Heard(
        server,
        ReplyKind.ANSWER,
        texts,
        target=target,
        apex=zone,
        seconds=float(rrset.ttl),
        rrset=rrset,
        message=message,
    )


def absence_heard(server: NameServer, message: Message, zone: str | None) -> Heard:
    """Return that there is none, kept as long as the SOA record says (RFC 2308 section 5)."""
    kind = ReplyKind.NX_DOMAIN if message.rcode() == dns.rcode.NXDOMAIN else ReplyKind.NO_DATA
    soas = (e for e in message.authority if e.rdtype == dns.rdatatype.SOA and len(e))
    soa = next(soas, None)
    seconds = min(soa.ttl, soa[0].minimum) if soa else NO_SOA
    return Heard(server, kind, apex=zone, seconds=float(seconds), rrset=soa, message=message)


def records_at(section: list[RRset], name: str, rdtype: RdataType) -> RRset | None:
    """Return the records of a type at *name*."""
    for each in section:
        if each.rdtype == rdtype and plain_name(each.name) == name and len(each):
            return each
    return None


def shown_apex(message: Message, apex: str, name: str) -> str | None:
    """Return the apex of the zone that answers, None when the message does not show it.

    A server that serves a zone and one below it answers from the lower, without a referral.
    """
    shows = [each.name for each in message.authority if each.rdtype in APEX_TYPES]
    shows += [each[0].signer for each in message.answer if each.rdtype == dns.rdatatype.RRSIG]
    shows += [each.name for each in message.answer if each.rdtype == dns.rdatatype.SOA]
    apexes = [plain_name(each) for each in shows]
    return max(
        (e for e in apexes if is_under(e, apex) and is_under(name, e)), key=len, default=None
    )


def hosts_in(rrset: RRset | None) -> set[str]:
    """Return the hosts that NS records name."""
    return {plain_name(each.target) for each in rrset or () if isinstance(each, NS)} - {""}


APEX_TYPES = frozenset({dns.rdatatype.SOA, dns.rdatatype.NS})


def presented_records(rrset: RRset) -> tuple[str, ...]:
    """Return records in presentation form, sorted, no more and no longer than anybody needs."""
    texts = sorted({rdata_text(each) for each in list(rrset)[:RECORDS]})
    lengths = accumulate(map(len, texts))
    return tuple(each for each, length in zip(texts, lengths, strict=True) if length <= ALL_TEXT)


def rdata_text(rdata: Rdata) -> str:
    """Return one record; a TXT record's strings are joined (RFC 7208 section 3.3)."""
    strings = getattr(rdata, "strings", None)
    joined = b"".join(strings).decode("utf-8", "backslashreplace") if strings else rdata.to_text()
    return terminal_text(joined[:TEXT]).replace("\n", "\\n")[:TEXT]


def zone_words(apex: str) -> str:
    """Return the apex of a zone as it is written."""
    return apex or "."
