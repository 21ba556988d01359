"""Whether clients would accept a certificate, found out before it is served."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, PublicKeyAlgorithmOID

from proxygen.errors import IssueFailed
from proxygen.failure import Failure, NotObtained, Scope, Value, not_obtained
from proxygen.model.certificate import KeyAndChain, san_matches
from proxygen.model.material import unreadable_as
from proxygen.model.x509 import (
    certificate_title,
    chain_of,
    covered_names,
    extension_of,
    has_weak_signature,
    identity_facts,
    is_issued_by,
    is_self_signed,
    key_of,
    public_key,
    spki,
)

CLOCK_SKEW = timedelta(minutes=5)
SMALLEST_RSA = 2048


@dataclass(frozen=True, slots=True)
class CertificateFlaw:
    """One reason why clients refuse a certificate, or some of them do (not *serious*)."""

    failure: Failure
    serious: bool = True


def certificate_flaw(code: str, *, serious: bool = True, **facts: Value) -> CertificateFlaw:
    """Return a finding by its code; *facts* fill its phrase."""
    return CertificateFlaw(Failure(code, Scope.OWNER, facts=tuple(facts.items())), serious)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one check: what was *found*, or in words what is *good*.

    One that is neither *ok* nor *serious* is a warning.
    """

    check: str
    good: str
    found: tuple[CertificateFlaw, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.found

    @property
    def serious(self) -> bool:
        """Whether clients would refuse the certificate."""
        return any(each.serious for each in self.found)

    @property
    def words(self) -> str:
        """The outcome in English."""
        return "; ".join(each.failure.what for each in self.found) or self.good

    def __str__(self) -> str:
        return f"{self.check}: {self.words}"


@dataclass(frozen=True, slots=True)
class Presented:
    """What a server would present to a client that asks for *names* at *now*."""

    key: bytes
    chain: tuple[x509.Certificate, ...]
    names: tuple[str, ...]
    now: datetime
    roots: tuple[x509.Certificate, ...] | None

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate of the server itself."""
        return self.chain[0]

    @property
    def signed(self) -> tuple[x509.Certificate, ...]:
        """The certificates whose signature clients verify: all but roots."""
        return (self.leaf, *(ca for ca in self.chain[1:] if not is_self_signed(ca)))


Find = Callable[[Presented], Iterator[CertificateFlaw]]


def inspect_pair(
    pair: KeyAndChain, names: Sequence[str], now: datetime, *, roots: bytes | None = None
) -> tuple[CheckResult, ...]:
    """Return one verdict for each of CHECKS, in their order.

    *roots* are the CAs that the client trusts, as PEM; without them, the end of the chain is not
    checked against any. Raise IssueFailed if key or chain cannot be read at all.
    """
    with unreadable_as("client-roots-unreadable"):
        trusted = tuple(x509.load_pem_x509_certificates(roots)) if roots else None
    with unreadable_as("key-unreadable"):
        key = spki(key_of(pair.key).public_key())
    presented = Presented(key, chain_of(pair), tuple(names), now, trusted)
    return tuple(check_result(check, good, find, presented) for check, good, find in CHECKS)


def require_usable(
    pair: KeyAndChain, names: Sequence[str], now: datetime
) -> tuple[CheckResult, ...]:
    """Return the warnings; raise IssueFailed (final) with all serious findings."""
    bad = tuple(verdict for verdict in inspect_pair(pair, names, now) if not verdict.ok)
    if any(verdict.serious for verdict in bad):
        raise IssueFailed(serious_failure(bad))
    return bad


def serious_failure(verdicts: Sequence[CheckResult]) -> NotObtained:
    """Return the failure with all serious findings as parts."""
    found = (each for one in verdicts for each in one.found if one.serious)
    parts = tuple(each.failure for each in found)
    return not_obtained("certificate-refused-by-clients", parts=parts, final=True)


def check_result(check: str, good: str, find: Find, presented: Presented) -> CheckResult:
    """Return the verdict of one check; what it cannot read counts as wrong."""
    try:
        with unreadable_as("certificate-unreadable"):
            return CheckResult(check, good, tuple(find(presented)))
    except IssueFailed as error:
        return CheckResult(check, good, (CertificateFlaw(error.failure),))


def pair_differs(presented: Presented) -> Iterator[CertificateFlaw]:
    """The private key must belong to the leaf."""
    if public_key(presented.leaf) != presented.key:
        facts = tuple(identity_facts(presented.leaf).items())
        yield CertificateFlaw(Failure("key-of-another", Scope.OWNER, facts=facts))


def chain_broken(presented: Presented) -> Iterator[CertificateFlaw]:
    """Each certificate must be issued by the next one, and the last one by a known CA."""
    for certificate, issuer in pairwise(presented.chain):
        if not is_issued_by(certificate, issuer):
            own, next_one = certificate_title(certificate), certificate_title(issuer)
            yield certificate_flaw("not-issued-by-next", title=own, issuer=next_one)
    for below, authority in enumerate(presented.chain[1:]):
        yield from not_an_authority(authority, below)
    yield from end_of_chain(presented)


def not_an_authority(authority: x509.Certificate, below: int) -> Iterator[CertificateFlaw]:
    """An issuer must be a CA (RFC 5280 section 6.1.4); *below* counts intermediates below it."""
    basic = extension_of(authority, x509.BasicConstraints)
    if not basic or not basic.ca:
        yield certificate_flaw("no-ca", title=certificate_title(authority))
    elif basic.path_length is not None and basic.path_length < below:
        yield certificate_flaw(
            "ca-too-short", title=certificate_title(authority), count=basic.path_length
        )
    usage = extension_of(authority, x509.KeyUsage)
    if usage and not usage.key_cert_sign:
        yield certificate_flaw("ca-may-not-sign", title=certificate_title(authority))


def end_of_chain(presented: Presented) -> Iterator[CertificateFlaw]:
    """The client must trust the last certificate, or a root that issued it."""
    last = presented.chain[-1]
    if presented.roots is not None:
        if not any(last == root or is_issued_by(last, root) for root in presented.roots):
            yield certificate_flaw("root-not-trusted", title=certificate_title(last))
    elif len(presented.chain) == 1 and is_self_signed(last):
        yield certificate_flaw("self-signed", serious=False)
    elif len(presented.chain) == 1:
        yield certificate_flaw("no-intermediate", serious=False)


def names_missing(presented: Presented) -> Iterator[CertificateFlaw]:
    """Every name must be among the SANs: clients ignore the common name (RFC 9525)."""
    present = covered_names(presented.leaf)
    if not present:
        yield certificate_flaw("without-names", title=certificate_title(presented.leaf))
        return
    missing = [
        name
        for name in presented.names
        if not any(san_matches(pattern, name) for pattern in present)
    ]
    if missing:
        yield certificate_flaw("names-not-covered", missing=tuple(missing), present=tuple(present))


def dates_wrong(presented: Presented) -> Iterator[CertificateFlaw]:
    """The whole chain must be valid now; both dates are included (RFC 5280 section 4.1.2.5)."""
    for certificate in presented.chain:
        ahead = certificate.not_valid_before_utc - presented.now
        if ahead > timedelta(0):
            start = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            serious = ahead > CLOCK_SKEW
            yield certificate_flaw(
                "not-valid-yet", serious=serious, title=certificate_title(certificate), start=start
            )
        if presented.now > certificate.not_valid_after_utc:
            end = f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
            yield certificate_flaw("expired", title=certificate_title(certificate), end=end)


def keys_weak(presented: Presented) -> Iterator[CertificateFlaw]:
    """Keys must be long enough, and of a type that clients support."""
    for certificate in presented.chain:
        if certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
            yield certificate_flaw("rsassa-pss", title=certificate_title(certificate))
        yield from weaknesses(certificate.public_key(), certificate_title(certificate))


def weaknesses(key: object, title: str) -> Iterator[CertificateFlaw]:
    """Yield why clients refuse the public key of the certificate called *title*."""
    match key:
        case rsa.RSAPublicKey(key_size=bits) if bits < SMALLEST_RSA:
            yield certificate_flaw("weak-rsa", title=title, bits=bits, needed=SMALLEST_RSA)
        case rsa.RSAPublicKey():
            pass
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1() | ec.SECP384R1()):
            pass
        case ec.EllipticCurvePublicKey(curve=ec.SECP521R1()):
            yield certificate_flaw("p-521", serious=False, title=title)
        case ec.EllipticCurvePublicKey(curve=curve):
            yield certificate_flaw("unusual-curve", title=title, curve=curve.name)
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            yield certificate_flaw("edwards-key", serious=False, title=title)
        case _:
            yield certificate_flaw("unusual-key", title=title)


def signatures_weak(presented: Presented) -> Iterator[CertificateFlaw]:
    """No signature may use a hash that can be forged."""
    for certificate in presented.signed:
        if has_weak_signature(certificate):
            yield certificate_flaw("weak-signature", title=certificate_title(certificate))


def usage_wrong(presented: Presented) -> Iterator[CertificateFlaw]:
    """The leaf must be for servers, and its issuers must be allowed to issue such.

    RFC 5280 sections 4.2.1.3 and 4.2.1.12.
    """
    for certificate in presented.chain:
        purposes = extension_of(certificate, x509.ExtendedKeyUsage)
        if purposes and ExtendedKeyUsageOID.SERVER_AUTH not in purposes:
            yield certificate_flaw("not-for-servers", title=certificate_title(certificate))
    usage = extension_of(presented.leaf, x509.KeyUsage)
    if usage and not usage.digital_signature:
        yield certificate_flaw("may-not-sign-handshakes", title=certificate_title(presented.leaf))
    basic = extension_of(presented.leaf, x509.BasicConstraints)
    if basic and basic.ca:
        yield certificate_flaw("leaf-is-ca", serious=False, title=certificate_title(presented.leaf))


CHECKS: tuple[tuple[str, str, Find], ...] = (
    ("pair", "the private key belongs to the certificate", pair_differs),
    ("chain", "each certificate was issued by the next one", chain_broken),
    ("names", "the certificate covers every name", names_missing),
    ("dates", "every certificate is valid now", dates_wrong),
    ("key", "keys are long enough, and of a type that clients support", keys_weak),
    ("signature", "every signature uses a safe algorithm", signatures_weak),
    ("usage", "the certificate is for servers", usage_wrong),
)
