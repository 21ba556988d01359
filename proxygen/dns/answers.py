"""Answers of the DNS as values, for those who judge them; nothing here looks anything up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proxygen.names.causes import Cause


class ReplyKind(StrEnum):
    """Of one server's reply."""

    ANSWER = "answer"
    NO_DATA = "no-data"
    """The name is there, records of the type are not (RFC 2308 section 2.2)."""
    NX_DOMAIN = "nxdomain"
    """The name is not there, and none below it."""
    SERVFAIL = "servfail"
    REFUSED = "refused"
    LAME = "lame"
    """It answers, but not for the zone, or refers upward (RFC 1912 section 2.8)."""
    SILENT = "silent"
    """No answer in time, or it cannot be reached."""
    BROKEN = "broken"
    """What came is no answer."""


SETTLED = frozenset({ReplyKind.ANSWER, ReplyKind.NO_DATA, ReplyKind.NX_DOMAIN})
"""Kinds that say what the zone holds; the others say that a server does not serve it."""


class LookupFailure(StrEnum):
    """Why there is no answer about a name; a name without records of a type is none."""

    NONE = ""
    NX_DOMAIN = "nxdomain"
    """The zone is there, the name is not."""
    NO_DELEGATION = "no-delegation"
    """The registered domain does not exist, or is delegated to nobody."""
    SERVERS_SILENT = "servers-silent"
    SERVERS_LAME = "servers-lame"
    SERVFAIL = "servfail"
    CNAME_LOOP = "cname-loop"
    CHAIN_TOO_LONG = "chain-too-long"
    CANNOT_LOOK = "cannot-look"
    """Nobody could be asked: it is this installation's trouble, not the name's."""


class AnswerSource(StrEnum):
    """Who was asked."""

    AUTHORITATIVE = "authoritative"
    RESOLVERS = "resolvers"
    SYSTEM = "system"
    """The resolvers of this host, since no root server can be reached from it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What one server says.

    *server* is ``ns1.example.net (192.0.2.1)``, or the address alone; *records* are sorted and in
    presentation form, ``CNAME target`` for an alias; *why* tells what happened when there is no
    answer.
    """

    server: str
    kind: ReplyKind
    records: tuple[str, ...] = ()
    why: Cause | None = None


@dataclass(frozen=True, slots=True)
class LookupResult:
    """All about one name and one type.

    *records* stand at the end of *chain*, which are the targets of the CNAME records passed, in
    order, without a final dot; where servers differ they are what most of them say. *zone* is
    the apex of the zone of the last name, empty when unknown. *replies* hold one for each server
    that was asked for the last name, or for the first alias about which they differ. *because*
    tells which zone and which servers are in trouble; *dnssec* what is wrong with the signatures.
    *wildcard* is where a wildcard leads a name that begins with ``_``, which is not followed.
    """

    name: str
    rdtype: str
    records: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    zone: str = ""
    replies: tuple[Reply, ...] = ()
    failure: LookupFailure = LookupFailure.NONE
    because: tuple[Cause, ...] = ()
    dnssec: Cause | None = None
    wildcard: str = ""
    source: AnswerSource = AnswerSource.AUTHORITATIVE

    @property
    def differing(self) -> bool:
        """Return whether the servers that answered do not say the same."""
        said = {(each.kind, each.records) for each in self.replies if each.kind in SETTLED}
        return len(said) > 1


@dataclass(frozen=True, slots=True)
class Led:
    """Where a name leads just now: the *targets* of the aliases passed, in order.

    *replies* hold one for each server of the *zone* of the last, none when that is not known.
    *circling*: aliases lead in a circle, or too far. *crowded*: the time went while questions of
    ours waited for others, so that what is missing says nothing about the name. *wildcard* is where
    a wildcard would lead the last name, which has no alias of its own.
    """

    targets: tuple[str, ...] = ()
    replies: tuple[Reply, ...] = ()
    zone: str = ""
    circling: bool = False
    crowded: bool = False
    wildcard: str = ""
