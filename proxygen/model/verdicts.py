"""What a client would say of a certificate, before it is ever served."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, PublicKeyAlgorithmOID

from proxygen.errors import IssueFailed
from proxygen.model.certificate import KeyAndChain, matches
from proxygen.model.material import readable
from proxygen.model.x509 import (
    chain_of,
    covered_names,
    extension,
    has_weak_signature,
    is_self_signed,
    issued,
    key_of,
    public_key,
    spki,
    title,
)

CLOCK_SKEW = timedelta(minutes=5)
SMALLEST_RSA = 2048
MOST_NAMED = 10
REMEDY = "correct what is named here, or have a new certificate issued"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one check, in *words*; one that is not *ok* is a warning unless serious."""

    check: str
    ok: bool
    words: str
    serious: bool

    def __str__(self) -> str:
        return f"{self.check}: {self.words}"


@dataclass(frozen=True, slots=True)
class Presented:
    """What a server would present, to a client that asks for *names* at *now*."""

    key: bytes
    chain: tuple[x509.Certificate, ...]
    names: tuple[str, ...]
    now: datetime
    roots: tuple[x509.Certificate, ...] | None

    @property
    def leaf(self) -> x509.Certificate:
        """The server's own certificate."""
        return self.chain[0]

    @property
    def signed(self) -> tuple[x509.Certificate, ...]:
        """The certificates whose signature counts: a root's is not looked at."""
        return (self.leaf, *(ca for ca in self.chain[1:] if not is_self_signed(ca)))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a client would not like."""

    words: str
    serious: bool = True


Find = Callable[[Presented], Iterator[Finding]]


def inspect(
    pair: KeyAndChain, names: Sequence[str], now: datetime, *, roots: bytes | None = None
) -> tuple[Verdict, ...]:
    """Return one verdict on each of CHECKS, in their order.

    *roots*: the CAs that the client trusts, as PEM; without, that the chain leads to one of
    them is taken on trust. Raise IssueFailed when key or chain cannot be read at all.
    """
    with readable("the trusted roots"):
        trusted = tuple(x509.load_pem_x509_certificates(roots)) if roots else None
    with readable("the private key"):
        key = spki(key_of(pair.key).public_key())
    presented = Presented(key, chain_of(pair), tuple(names), now, trusted)
    return tuple(verdict(check, good, find, presented) for check, good, find in CHECKS)


def require(pair: KeyAndChain, names: Sequence[str], now: datetime) -> tuple[Verdict, ...]:
    """Return the warnings; raise IssueFailed (final) naming all that is serious."""
    bad = tuple(verdict for verdict in inspect(pair, names, now) if not verdict.ok)
    serious = [str(verdict) for verdict in bad if verdict.serious]
    if serious:
        raise IssueFailed(
            f"clients would refuse the certificate: {'; '.join(serious)}",
            final=True,
            remedy=REMEDY,
        )
    return bad


def verdict(check: str, good: str, find: Find, presented: Presented) -> Verdict:
    """Return the verdict of one check; what cannot be read is as bad as what is wrong."""
    try:
        with readable("the certificate"):
            findings = tuple(find(presented))
    except IssueFailed as error:
        findings = (Finding(f"{error.what}: {error.words}"),)
    words = "; ".join(finding.words for finding in findings)
    return Verdict(check, not findings, words or good, any(found.serious for found in findings))


def pair_differs(presented: Presented) -> Iterator[Finding]:
    """The private key must be that of the leaf."""
    if public_key(presented.leaf) != presented.key:
        yield Finding(f"the private key is not that of {title(presented.leaf)}")


def chain_broken(presented: Presented) -> Iterator[Finding]:
    """Each certificate must be issued by the next, and the last by somebody known."""
    for certificate, issuer in pairwise(presented.chain):
        if not issued(certificate, issuer):
            what = f"{title(certificate)} was not issued by {title(issuer)}, which follows it"
            yield Finding(what)
    for below, authority in enumerate(presented.chain[1:]):
        yield from not_an_authority(authority, below)
    yield from end_of_chain(presented)


def not_an_authority(authority: x509.Certificate, below: int) -> Iterator[Finding]:
    """An issuer must be a CA (RFC 5280 section 6.1.4), *below*: the intermediates under it."""
    basic = extension(authority, x509.BasicConstraints)
    if not basic or not basic.ca:
        yield Finding(f"{title(authority)} is not a CA")
    elif basic.path_length is not None and basic.path_length < below:
        yield Finding(f"{title(authority)} allows only {basic.path_length} CAs below it")
    usage = extension(authority, x509.KeyUsage)
    if usage and not usage.key_cert_sign:
        yield Finding(f"{title(authority)} may not sign certificates (key usage)")


def end_of_chain(presented: Presented) -> Iterator[Finding]:
    """The last one must be known to the client, or issued by a root that is."""
    last = presented.chain[-1]
    if presented.roots is not None:
        if not any(last == root or issued(last, root) for root in presented.roots):
            yield Finding(f"{title(last)} was issued by none of the trusted roots")
    elif len(presented.chain) == 1 and is_self_signed(last):
        yield Finding("self-signed: clients must be told to trust it", serious=False)
    elif len(presented.chain) == 1:
        what = "no intermediate certificate: clients that do not know the issuer refuse it"
        yield Finding(what, serious=False)


def names_missing(presented: Presented) -> Iterator[Finding]:
    """Every name must be among the SANs: clients ignore the common name (RFC 9525)."""
    present = covered_names(presented.leaf)
    if not present:
        what = "has no DNS names or addresses (subject alternative names)"
        yield Finding(f"{title(presented.leaf)} {what}")
        return
    missing = [
        name for name in presented.names if not any(matches(pattern, name) for pattern in present)
    ]
    if missing:
        yield Finding(f"not covered: {listed(missing)} (it covers {listed(present)})")


def dates_wrong(presented: Presented) -> Iterator[Finding]:
    """All of the chain must be valid now; both ends belong to it (RFC 5280 section 4.1.2.5)."""
    for certificate in presented.chain:
        ahead = certificate.not_valid_before_utc - presented.now
        if ahead > timedelta(0):
            start = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            what = f"{title(certificate)} is not valid before {start}"
            yield Finding(what, serious=ahead > CLOCK_SKEW)
        if presented.now > certificate.not_valid_after_utc:
            end = f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
            yield Finding(f"{title(certificate)} expired on {end}")


def keys_weak(presented: Presented) -> Iterator[Finding]:
    """Keys must be long enough, and of a kind that clients know."""
    for certificate in presented.chain:
        if certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
            yield Finding(f"{title(certificate)}: browsers do not take RSASSA-PSS keys")
        if found := weakness(certificate.public_key()):
            yield Finding(f"{title(certificate)}: {found.words}", found.serious)


def weakness(key: object) -> Finding | None:
    """Return what clients have against a public key."""
    match key:
        case rsa.RSAPublicKey(key_size=bits):
            enough = bits >= SMALLEST_RSA
            return None if enough else Finding(f"RSA key of {bits} bits, {SMALLEST_RSA} are needed")
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1() | ec.SECP384R1()):
            return None
        case ec.EllipticCurvePublicKey(curve=ec.SECP521R1()):
            return Finding("Chrome does not take P-521 keys", serious=False)
        case ec.EllipticCurvePublicKey(curve=curve):
            return Finding(f"clients do not take keys on the curve {curve.name}")
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            return Finding("browsers do not take Ed25519 and Ed448 keys", serious=False)
        case _:
            return Finding("a kind of key that clients do not take, such as DSA")


def signatures_weak(presented: Presented) -> Iterator[Finding]:
    """Nobody must be able to forge it."""
    for certificate in presented.signed:
        if has_weak_signature(certificate):
            yield Finding(f"{title(certificate)} is signed with SHA-1 or MD5, which can be forged")


def usage_wrong(presented: Presented) -> Iterator[Finding]:
    """The leaf must be for servers, and its issuers for issuing such (RFC 5280 4.2.1.3, .12)."""
    for certificate in presented.chain:
        purposes = extension(certificate, x509.ExtendedKeyUsage)
        if purposes and ExtendedKeyUsageOID.SERVER_AUTH not in purposes:
            yield Finding(f"{title(certificate)} is not for servers (extended key usage)")
    usage = extension(presented.leaf, x509.KeyUsage)
    if usage and not usage.digital_signature:
        yield Finding(f"{title(presented.leaf)} may not sign handshakes (key usage)")
    basic = extension(presented.leaf, x509.BasicConstraints)
    if basic and basic.ca:
        yield Finding(f"{title(presented.leaf)} is a CA: some clients refuse it", serious=False)


CHECKS: tuple[tuple[str, str, Find], ...] = (
    ("pair", "the private key is that of the certificate", pair_differs),
    ("chain", "each certificate is issued by the next", chain_broken),
    ("names", "every name is covered", names_missing),
    ("dates", "valid now", dates_wrong),
    ("key", "long enough, and of a kind that clients know", keys_weak),
    ("signature", "signed with a safe algorithm", signatures_weak),
    ("usage", "for servers", usage_wrong),
)


def listed(names: Sequence[str]) -> str:
    """Return names for a message, not all of very many."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
