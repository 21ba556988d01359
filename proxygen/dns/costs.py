"""What a DNS message would cost to parse, told before it is: it may be made to cost much."""

from __future__ import annotations

from struct import Struct, error

from dns.rdatatype import RdataType

from proxygen.names.causes import Caused, cause

LARGEST = 16 * 1024
"""Octets; over TCP a message may have four times as many (RFC 1035 section 4.2.2)."""
RECORDS = 300
"""Of all sections, the question among them."""
WORK = 40_000
"""The squares of the labels of all names, as long names are costly; strings count likewise."""
OF_A_STRING = 20
LABELS = 255
"""Of a name: 127, each behind a pointer (RFC 1035 section 3.1)."""

NAMES = {
    RdataType.NS: (0, 1),
    RdataType.CNAME: (0, 1),
    RdataType.DNAME: (0, 1),
    RdataType.SOA: (0, 2),
    RdataType.RRSIG: (18, 1),
}
"""After how many octets so many names follow in a record."""
OTHERS = frozenset(
    {
        *(RdataType.A, RdataType.AAAA, RdataType.CAA, RdataType.TXT, RdataType.OPT),
        *(RdataType.DS, RdataType.DNSKEY),
    }
)
READ = frozenset(NAMES) | OTHERS
OPAQUE = b"\xff\x00"
"""A type for private use (RFC 6895 section 3.1), of which nothing is read but the length."""
COUNTS, FIXED = Struct("!4H"), Struct("!HHIH")


class TooHeavy(Caused):
    """A message would cost more than any honest one; *why* tells by what."""


class Scan:
    """Goes through a message once; *work* is what its names and strings would cost.

    What is not whole is an IndexError or a struct.error.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.work = 0

    def name(self, at: int) -> int:
        """Count the name that begins *at* an octet; return where it ends."""
        data, end, labels = self.data, 0, 0
        while size := data[at]:
            if size >= 0xC0:
                end = end or at + 2
                at = (size & 0x3F) << 8 | data[at + 1]
            else:
                at += 1 + size
            labels += 1
            if labels > LABELS:
                raise TooHeavy(cause("endless-name"))
        self.count(labels * labels)
        return end or at + 1

    def strings(self, at: int, end: int) -> None:
        """Count the strings of a TXT record."""
        while at < end:
            self.count(OF_A_STRING)
            at += 1 + self.data[at]

    def count(self, work: int) -> None:
        """Count work; raise TooHeavy."""
        self.work += work
        if self.work > WORK:
            raise TooHeavy(cause("long-names"))


def weigh_message(data: bytes, asked: int) -> tuple[bytes, int]:
    """Return a message with what nobody reads made opaque, and its weight; raise TooHeavy.

    Nobody reads records of types that are not in READ, nor *asked* for. The weight is about the
    number of records, and at least 1.
    """
    if len(data) > LARGEST:
        raise too_large()
    try:
        counts = COUNTS.unpack_from(data, 4)
        if sum(counts) > RECORDS:
            raise TooHeavy(cause("many-records", most=str(RECORDS)))
        return lighten_message(data, counts[0], sum(counts[1:]), asked)
    except (IndexError, error) as short:
        raise TooHeavy(cause("shorter")) from short


def too_large() -> TooHeavy:
    """Return that a message has too many octets."""
    return TooHeavy(cause("large", size=str(LARGEST // 1024)))


def lighten_message(data: bytes, questions: int, records: int, asked: int) -> tuple[bytes, int]:
    """Return a message with what nobody reads made opaque, and its weight."""
    scan, light, at = Scan(data), bytearray(data), 12
    for _ in range(questions):
        at = scan.name(at) + 4
    for _ in range(records):
        fixed = scan.name(at)
        rdtype, _, _, length = FIXED.unpack_from(data, fixed)
        at = fixed + FIXED.size
        if rdtype in NAMES:
            skipped, names = NAMES[RdataType(rdtype)]
            place = at + skipped
            for _ in range(names):
                place = scan.name(place)
        elif rdtype == RdataType.TXT:
            scan.strings(at, at + length)
        elif rdtype == RdataType.OPT:
            scan.count(length)
        elif rdtype not in OTHERS and rdtype != asked:
            light[fixed : fixed + 2] = OPAQUE
        at += length
    return bytes(light), 1 + records + len(data) // 64 + scan.work // 400
