"""What a small ACME authority reads and writes: HTTPS, signed requests, problem documents."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

URN = "urn:ietf:params:acme:error:"
LARGEST_REQUEST = 256 * 1024
IDLE = 120
"""Seconds after which a connection that says nothing is closed."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks; names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        """The first part of the path: what is asked."""
        return self.path.strip("/").partition("/")[0]

    @property
    def argument(self) -> str:
        """The rest of the path: of what."""
        return self.path.strip("/").partition("/")[2]


@dataclass(frozen=True, slots=True)
class Reply:
    """What it is answered."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def sent(self, method: str) -> bytes:
        """Return the whole answer; one to HEAD has no body."""
        head = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        head += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.status != HTTPStatus.NO_CONTENT:
            head.append(f"Content-Length: {len(self.body)}")
        text = "\r\n".join((*head, "", "")).encode()
        return text if method == "HEAD" else text + self.body


def said(status: int, value: Mapping[str, object], headers: Mapping[str, str]) -> Reply:
    """Return a JSON object as an answer."""
    body = json.dumps(value).encode()
    return Reply(status, body, {"Content-Type": "application/json", **headers})


class Problem(Exception):
    """An answer that is a problem document (RFC 8555 section 6.7)."""

    def __init__(
        self,
        kind: str,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: object,
    ) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more

    @property
    def document(self) -> dict[str, object]:
        """The problem document."""
        kind = f"{URN}{self.kind}"
        return {"type": kind, "detail": self.detail, "status": self.status, **self.more}

    @property
    def reply(self) -> Reply:
        """The answer."""
        problem = {"Content-Type": "application/problem+json", **self.headers}
        return Reply(self.status, json.dumps(self.document).encode(), problem)


def malformed(detail: str, status: int = 400) -> Problem:
    """Return the problem of a request that is not understood."""
    return Problem("malformed", status, detail)


def not_yours() -> Problem:
    """Return the problem of what is not there, or belongs to another account."""
    return unauthorized("this is not there, or belongs to another account")


def unauthorized(detail: str) -> Problem:
    """Return the problem of a request that is not allowed."""
    return Problem("unauthorized", 403, detail)


# Signed requests


@dataclass(frozen=True, slots=True)
class Key:
    """An account's public key, and its thumbprint (RFC 7638)."""

    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    thumbprint: str


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed request (RFC 8555 section 6.2): read, its signature not checked yet."""

    protected: Mapping[str, Any]
    payload: bytes
    signature: bytes
    signing_input: bytes

    @property
    def said(self) -> dict[str, Any]:
        """The payload as a JSON object."""
        return json_object(self.payload, "the payload")

    @classmethod
    def read(cls, request: Request) -> Signed:
        """Return the request's JWS; raise Problem where it is not as RFC 8555 wants it."""
        if request.headers.get("content-type") != "application/jose+json":
            raise malformed("the Content-Type must be application/jose+json", 415)
        jws = json_object(request.body, "the JWS")
        if jws.keys() != {"protected", "payload", "signature"}:
            raise malformed("the JWS must be flattened, without an unprotected header")
        if not all(isinstance(part, str) for part in jws.values()):
            raise malformed("the parts of the JWS must be strings")
        protected = json_object(decoded(jws["protected"]), "the protected header")
        if protected.get("alg") not in ALGORITHMS:
            detail = "an account's key signs with ES256 or RS256"
            raise Problem("badSignatureAlgorithm", 400, detail, algorithms=[*ALGORITHMS])
        signing_input = f"{jws['protected']}.{jws['payload']}".encode()
        return cls(protected, decoded(jws["payload"]), decoded(jws["signature"]), signing_input)

    def field(self, name: str) -> str:
        """Return a field of the protected header that must be a string."""
        value = self.protected.get(name)
        if not isinstance(value, str):
            raise malformed(f"the protected header has no {name}")
        return value

    def check(self, key: Key) -> None:
        """Raise Problem unless *key* made the signature (RFC 7518 sections 3.3 and 3.4)."""
        is_rsa = isinstance(key.public, rsa.RSAPublicKey)
        if is_rsa != (self.protected["alg"] == "RS256"):
            raise malformed("the signature is of another kind than the account's key")
        try:
            if isinstance(key.public, rsa.RSAPublicKey):
                key.public.verify(self.signature, self.signing_input, PKCS1v15(), SHA256())
            else:
                key.public.verify(self.of_curve, self.signing_input, ES256)
        except InvalidSignature:
            raise malformed("JWS verification error") from None

    @property
    def of_curve(self) -> bytes:
        """The signature of ES256 as libraries have it; raise Problem."""
        if len(self.signature) != 64:
            raise malformed("the signature of ES256 has 64 octets")
        r, s = (int.from_bytes(half, "big") for half in (self.signature[:32], self.signature[32:]))
        return encode_dss_signature(r, s)


ES256 = ec.ECDSA(SHA256())
ALGORITHMS = ("ES256", "RS256")


def rsa_key(jwk: Mapping[str, object]) -> Key:
    """Return the RSA key that a JWK is (RFC 7518 section 6.3); raise Problem."""
    n, e = str(jwk.get("n", "")), str(jwk.get("e", ""))
    try:
        modulus, exponent = (int.from_bytes(decoded(each), "big") for each in (n, e))
        public = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError as error:
        raise Problem("badPublicKey", 400, f"the account's key is none: {error}") from None
    if not 2048 <= public.key_size <= 4096:
        raise Problem("badPublicKey", 400, "the account's RSA key must have 2048 to 4096 bits")
    canonical = json.dumps({"e": e, "kty": "RSA", "n": n}, separators=(",", ":"))
    return Key(public, encoded(hashlib.sha256(canonical.encode()).digest()))


def public_key(jwk: object) -> Key:
    """Return the key that a JWK is: RSA, or P-256 (RFC 7517, RFC 7518); raise Problem."""
    if isinstance(jwk, dict) and jwk.get("kty") == "RSA":
        return rsa_key(jwk)
    if not isinstance(jwk, dict) or (jwk.get("kty"), jwk.get("crv")) != ("EC", "P-256"):
        raise Problem("badPublicKey", 400, "the account's key must be on the curve P-256")
    x, y = str(jwk.get("x", "")), str(jwk.get("y", ""))
    try:
        first, second = (int.from_bytes(decoded(each), "big") for each in (x, y))
        public = ec.EllipticCurvePublicNumbers(first, second, ec.SECP256R1()).public_key()
    except ValueError as error:
        raise Problem("badPublicKey", 400, f"the account's key is none: {error}") from None
    # RFC 7638 section 3: the required members, sorted, without white space.
    canonical = json.dumps({"crv": "P-256", "kty": "EC", "x": x, "y": y}, separators=(",", ":"))
    return Key(public, encoded(hashlib.sha256(canonical.encode()).digest()))


def json_object(text: bytes, what: str) -> dict[str, Any]:
    """Return the JSON object in *text*; raise Problem."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise malformed(f"{what} is no JSON object")
    return value


def encoded(octets: bytes) -> str:
    """Return *octets* as base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Return what base64url without padding says; raise Problem."""
    try:
        if "=" in text:
            raise ValueError("padding")
        padded = text + "=" * (-len(text) % 4)
        return base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise malformed("a part of the request is not base64url without padding") from None


# HTTPS


Answer = Callable[[Request], Reply]


class Server(socketserver.ThreadingTCPServer):
    """HTTPS on a loopback port: a thread for each connection, which is kept alive."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, port: int, certificate: Path, answer: Answer) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.answer = answer
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), Connection)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """End it, with every connection that is open."""
        self.shutdown()
        self.thread.join()
        self.server_close()
        for connection in tuple(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # its client was quicker

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that break off; ours are tested by their answers."""


class Connection(socketserver.BaseRequestHandler):
    """One client's connection."""

    server: Server

    def handle(self) -> None:
        """Answer requests, each with one write, until either side has enough."""
        plain: socket.socket = self.request
        plain.settimeout(IDLE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.server.context.wrap_socket(plain, server_side=True) as tls:
            self.server.open.add(tls)
            try:
                with tls.makefile("rb") as stream:
                    self.serve(tls, stream)
            finally:
                self.server.open.discard(tls)

    def serve(self, tls: socket.socket, stream: BinaryIO) -> None:
        """Answer the requests on *stream*."""
        while request := read(stream):
            tls.sendall(self.server.answer(request).sent(request.method))
            if request.headers.get("connection", "").lower() == "close":
                return


def read(stream: BinaryIO) -> Request | None:
    """Return the next request, None at the end; raise ConnectionError for what is none.

    The standard library's own reader takes longer than all the rest of an answer.
    """
    line = stream.readline(LARGEST_REQUEST).decode("latin-1").split()
    if len(line) != 3:
        return None
    headers: dict[str, str] = {}
    while (header := stream.readline(LARGEST_REQUEST)) not in (b"\r\n", b"\n"):
        name, colon, value = header.decode("latin-1").partition(":")
        if not colon or len(headers) > 100:
            raise ConnectionError("no HTTP header")
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    if not 0 <= length <= LARGEST_REQUEST:
        raise ConnectionError("too large")
    return Request(line[0], line[1], headers, stream.read(length))
