"""What reading a key would cost, told by its outermost bytes before a library reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from proxygen.failure import Failure, Scope, failure

LONGEST_NUMBER = 8192
"""Bits of an RSA modulus. The time to check a key grows with the fourth power of its length."""
MOST_ROUNDS = 5_000_000
"""Iterations of all passwords in a file together; programs write from 2,048 to 1,000,000."""
MOST_MEMORY = 256 * 1024 * 1024
MOST_WORK = 1024 * 1024 * 1024
"""Octets that scrypt needs, and that it goes through (128·N·r, 128·N·r·p, RFC 7914)."""
MOST_ELEMENTS = 20_000

INTEGER, BITS, OCTETS, OBJECT, CONSTRUCTED = 0x02, 0x03, 0x04, 0x06, 0x20
UNWANTED = {
    bytes.fromhex("2a864886f70d010301"): "Diffie-Hellman",
    bytes.fromhex("2a8648ce3e0201"): "Diffie-Hellman",
    bytes.fromhex("2a8648ce380401"): "DSA",
}


@dataclass(frozen=True, slots=True)
class Element:
    """One element of DER: its tag and its content."""

    tag: int
    content: bytes

    @property
    def number(self) -> int:
        """The value of an INTEGER."""
        return int.from_bytes(self.content, "big", signed=True)


def costly_parameters(der: bytes) -> Failure | None:
    """Return why keys are too costly, or useless, to read; None if nothing is found.

    Nothing is found in what is not DER or is encrypted: for that, the process that reads it has
    limits.
    """
    rounds = 0
    for row in element_rows(der):
        for each in row:
            bits = int.from_bytes(each.content, "big").bit_length() if each.tag == INTEGER else 0
            if bits > LONGEST_NUMBER:
                return failure("large-number", Scope.OWNER, bits=bits, most=LONGEST_NUMBER)
            if each.tag == OBJECT and (kind := UNWANTED.get(each.content)):
                return failure("unwanted-key", Scope.OWNER, kind=kind)
        numbers = after_salt(row)
        if len(numbers) > 2 and (found := costly_scrypt(*numbers[:3])):
            return found
        rounds += sum(numbers[:1])
    if rounds > MOST_ROUNDS:
        return failure("many-rounds", Scope.OWNER, rounds=str(rounds)[:40], most=MOST_ROUNDS)
    return None


def after_salt(row: Sequence[Element]) -> list[int]:
    """Return the numbers that follow a salt.

    In all parameters of passwords (RFC 8018 appendix A, RFC 7292 section 4, RFC 7914 section 7),
    the numbers of iterations, or other costs, follow the salt; nothing else in keys looks like
    that.
    """
    salt = next((index for index, each in enumerate(row) if each.tag == OCTETS), len(row))
    numbers: list[int] = []
    for each in row[salt + 1 :]:
        if each.tag != INTEGER:
            break
        numbers.append(max(each.number, 0))
    return numbers


def costly_scrypt(cost: int, block: int, parallel: int) -> Failure | None:
    """Return why scrypt with these parameters is too costly, None if it is not."""
    memory = 128 * cost * block
    if memory > MOST_MEMORY or memory * parallel > MOST_WORK:
        given = {"cost": cost, "block": block, "parallel": parallel}
        numbers = {name: str(number)[:40] for name, number in given.items()}
        return Failure("scrypt-costly", Scope.OWNER, facts=tuple(numbers.items()))
    return None


def element_rows(der: bytes) -> Iterator[tuple[Element, ...]]:
    """Yield the elements that follow one another, of the whole and of all in it, in one pass."""
    waiting, seen = [der], 0
    while waiting:
        row = tuple(elements(waiting.pop()))
        seen += len(row)
        if seen > MOST_ELEMENTS:
            return
        yield row
        waiting.extend(below for each in row if (below := inner_elements(each)))


def inner_elements(element: Element) -> bytes:
    """Return the elements inside one, also inside strings of octets or bits that begin like one."""
    if element.tag & CONSTRUCTED or (element.tag == OCTETS and element.content[:1] == b"\x30"):
        return element.content
    return element.content[1:] if (element.tag, element.content[:2]) == (BITS, b"\0\x30") else b""


def elements(data: bytes) -> Iterator[Element]:
    """Yield the elements that follow one another, up to what is not DER."""
    at = 0
    while at + 2 <= len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            octets = length & 0x7F
            if not 1 <= octets <= 4:
                return
            length = int.from_bytes(data[at : at + octets], "big")
            at += octets
        if at + length > len(data):
            return
        yield Element(tag, data[at : at + length])
        at += length
