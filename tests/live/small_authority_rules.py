"""What a small ACME authority decides: renewal windows, certificates, validations."""

from __future__ import annotations

import http.client
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from tests.live.authority import Party, as_ca, as_leaf, blank, common_name, new_key
from tests.live.small_authority_wire import URN, Problem, encoded, malformed

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CHALLENGE = "/.well-known/acme-challenge/"
LOCALHOST = "127.0.0.1"
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2199, 1, 1, tzinfo=UTC)
"""How long the CA lives, whatever the clock of a test says."""


# Renewal information


@dataclass(frozen=True, slots=True)
class Window:
    """When a certificate should be renewed (RFC 9773 section 4.2), and a page that says why."""

    start: datetime
    end: datetime
    explanation: str | None = None

    @property
    def said(self) -> dict[str, object]:
        """What a client is told."""
        window = {"start": stamp(self.start), "end": stamp(self.end)}
        why = {"explanationURL": self.explanation} if self.explanation else {}
        return {"suggestedWindow": window, **why}


def suggested(not_before: datetime, not_after: datetime) -> Window:
    """Return Let's Encrypt's usual window: 2 % of the lifetime, around two thirds of it.

    Below ten days it lies around the half.
    """
    lifetime = not_after - not_before
    moment = not_after - lifetime / (2 if lifetime < 10 * DAY else 3)
    return Window(moment - lifetime / 100, moment + lifetime / 100)


def at_once(now: datetime, explanation: str | None) -> Window:
    """Return a window that is over: renew now."""
    return Window(now - HOUR, now - HOUR / 2, explanation)


def stamp(moment: datetime) -> str:
    """Return *moment* as RFC 3339 writes it, in whole seconds."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


# Certificates


class Signer:
    """The CA: a root and an intermediate, both on P-256."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root = self.party("Root", None)
        self.intermediate = self.party("Intermediate", self.root)
        subject_key = x509.SubjectKeyIdentifier
        found = self.intermediate.certificate.extensions.get_extension_for_class(subject_key)
        self.key_identifier = found.value.digest
        aki = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier
        self.authority_key = aki(found.value)

    def party(self, kind: str, above: Party | None) -> Party:
        """Return a CA's certificate with its key, signed by the one *above*."""
        key = new_key()
        signer = above.key if above else key
        name, issuer = f"{self.name} {kind}", f"{self.name} Root"
        times = {"not_before": FIRST, "not_after": LAST}
        builder = blank(name, key, issuer=issuer, signer=signer, **times)
        return Party(as_ca(builder, key).sign(signer, SHA256()), key)

    def sign(
        self, request: x509.CertificateSigningRequest, names: tuple[str, ...], window: Window
    ) -> x509.Certificate:
        """Return the leaf that *request* asks for, valid in *window*."""
        public = request.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(common_name(names[0]))
            .issuer_name(self.intermediate.certificate.subject)
            .not_valid_before(window.start)
            .not_valid_after(window.end)
            .serial_number(x509.random_serial_number())
            .public_key(public)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(self.authority_key, critical=False)
        )
        return as_leaf(builder, names).sign(self.intermediate.key, SHA256())

    def identifier(self, serial: int) -> str:
        """Return the unique identifier of a certificate (RFC 9773 section 4.1)."""
        # A DER integer is signed: one more octet where the highest bit is set.
        octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
        return f"{encoded(self.key_identifier)}.{encoded(octets)}"


def checked_request(
    der: bytes, names: frozenset[str], account_key: object
) -> x509.CertificateSigningRequest:
    """Return a signing request for exactly *names* (RFC 8555 section 7.4); raise Problem."""
    try:
        request = x509.load_der_x509_csr(der)
        proper = request.is_signature_valid
    except ValueError as error:
        raise bad_csr(f"cannot be read: {error}") from None
    if not proper:
        raise bad_csr("its signature is wrong")
    if requested(request) != names:
        raise bad_csr(f"it must be for exactly {', '.join(sorted(names))}")
    key = request.public_key()
    if key == account_key:
        raise bad_csr("its key must not be that of the account")
    curves = (ec.SECP256R1, ec.SECP384R1)
    elliptic = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, curves)
    if not elliptic and not (isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048):
        raise bad_csr("its key must be on P-256 or P-384, or RSA of at least 2048 bits")
    return request


def requested(request: x509.CertificateSigningRequest) -> set[str]:
    """Return the names that a signing request is for, in lower case."""
    common = [each.value for each in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    try:
        sans = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise bad_csr("it has no subjectAltName") from None
    others = [each.value for each in sans if not isinstance(each, x509.DNSName)]
    dns = sans.get_values_for_type(x509.DNSName)
    return {str(name).lower() for name in (*common, *dns, *others)}


def bad_csr(detail: str) -> Problem:
    """Return the problem of a signing request."""
    return Problem("badCSR", 400, f"the CSR is refused: {detail}")


def checked_names(asked: object, challenges: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of an order, in lower case, each once; raise Problem.

    Among them are addresses (RFC 8738), and wildcards where a challenge proves them.
    """
    if not isinstance(asked, list) or not 0 < len(asked) <= 100:
        raise malformed("an order has 1 to 100 identifiers")
    names = []
    for each in asked:
        name = str(each.get("value", "")).lower() if isinstance(each, dict) else ""
        if not isinstance(each, dict) or each.get("type") != identifier(name)["type"]:
            raise Problem("unsupportedIdentifier", 400, "identifiers must be of the type dns or ip")
        host, is_address = name.removeprefix("*."), identifier(name)["type"] == "ip"
        proper = "*" not in host and "." in host and name.isascii() and len(name) <= 253
        if not (proper or is_address) or not offered_for(name, challenges):
            raise Problem("rejectedIdentifier", 400, f'cannot issue for "{name}"')
        names.append(name)
    return tuple(dict.fromkeys(names))


def identifier(name: str) -> dict[str, str]:
    """Return a name as an identifier (RFC 8555 section 9.7.7, RFC 8738 section 3)."""
    try:
        return {"type": "ip", "value": str(ip_address(name))}
    except ValueError:
        return {"type": "dns", "value": name}


def offered_for(name: str, challenges: tuple[str, ...]) -> tuple[str, ...]:
    """Return by which of *challenges* a name can be proven."""
    if identifier(name)["type"] == "ip":
        return tuple(each for each in challenges if each == "http-01")
    return tuple(each for each in challenges if not (name.startswith("*.") and each == "http-01"))


def check_rejected(names: tuple[str, ...], rejecting: Collection[str]) -> None:
    """Raise Problem for names that a test wants to be refused, in the way of Let's Encrypt.

    One name is told in the text alone, several in subproblems (RFC 8555 section 6.7.1).
    """
    why = 'Cannot issue for "{}": The ACME server refuses to issue a certificate for this name'
    found = [name for name in names if name in rejecting]
    parts = [
        {
            "type": f"{URN}rejectedIdentifier",
            "detail": why.format(name),
            "identifier": identifier(name),
        }
        for name in found
    ]
    if len(found) == 1:
        raise Problem("rejectedIdentifier", 400, why.format(found[0]))
    if found:
        what = f"{why.format(found[0])} (and {len(found) - 1} more problems)"
        raise Problem("rejectedIdentifier", 400, what, subproblems=parts)


def checked_contact(asked: Mapping[str, object]) -> tuple[str, ...]:
    """Return the contact of an account (RFC 8555 section 7.3); raise Problem."""
    contact = asked.get("contact", [])
    if not isinstance(contact, list) or not all(isinstance(each, str) for each in contact):
        raise malformed("contact must be a list of URLs")
    for each in contact:
        if not each.startswith("mailto:"):
            raise Problem("unsupportedContact", 400, f'only mailto: is supported, not "{each}"')
        if "@" not in each or "?" in each or "," in each:
            raise Problem("invalidContact", 400, f'"{each}" is not one address')
    return tuple(contact)


# Validations


WHY = {
    "connection": "Fetching http://{name}: Timeout during connect (likely firewall problem)",
    "dns": "DNS problem: NXDOMAIN looking up A for {name}",
    "caa": "CAA record for {name} prevents issuance",
}


def validate(name: str, token: str, expected: str, port: int, patience: float) -> Problem | None:
    """Fetch the answer to http-01 as RFC 8555 section 8.3 says; return what is wrong with it.

    Redirects are not followed.
    """
    url = f"http://{name}{CHALLENGE}{token}"
    try:
        status, body = fetched(name, f"{CHALLENGE}{token}", port, patience)
    except (OSError, http.client.HTTPException) as error:
        told = f"{LOCALHOST}: Fetching {url}: {error or type(error).__name__}"
        return Problem("connection", 400, told)
    if status != 200:
        return unproven(f"Invalid response from {url}: {status}")
    if body.rstrip() != expected.encode():
        got = body[:200].decode("ascii", "replace")
        what = "The key authorization file from the server did not match this challenge."
        return unproven(f'{what} Expected "{expected}" (got "{got}")')
    return None


def fetched(name: str, path: str, port: int, patience: float) -> tuple[int, bytes]:
    """Return status and body of what *name*'s server answers."""
    connection = http.client.HTTPConnection(LOCALHOST, port, timeout=patience)
    try:
        headers = {"Host": name, "User-Agent": "small-authority", "Connection": "close"}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(4096)
    finally:
        connection.close()


def unproven(detail: str) -> Problem:
    """Return the problem of a wrong answer."""
    return Problem("unauthorized", 403, f"{LOCALHOST}: {detail}")


def overridden(name: str, kind: str) -> Problem:
    """Return the problem that a test wants the validation of *name* to have."""
    detail = WHY.get(kind, "validation of {name} fails as the test asked").format(name=name)
    return Problem(kind, 403 if kind in ("caa", "unauthorized") else 400, detail)
