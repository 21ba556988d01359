"""Signed requests to an ACME authority, and the nonces they use up (RFC 8555 section 6)."""

from __future__ import annotations

import json
import re
from collections import deque
from contextlib import suppress

from acme.jws import JWS
from josepy.b64 import b64decode, b64encode
from josepy.jwk import JWK

from proxygen.errors import IssueFailed
from proxygen.failure import Scope, not_obtained
from proxygen.issuers.acme_answers import problem_in
from proxygen.issuers.acme_failures import AuthorityRefused
from proxygen.issuers.acme_key import signature_algorithm
from proxygen.issuers.acme_transport import AcmeResponse, Transport, Unreached

NONCE = re.compile(r"[A-Za-z0-9_-]{1,500}", re.ASCII)
MOST_NONCES = 200
NO_SUCH_METHOD = frozenset({405, 501})
NONCE_TRIES = 10
"""Pebble rejects one nonce of twenty: ten in a row are no chance any more."""


class Network:
    """Speaks with one authority; many threads share it and its nonces."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.new_nonce = ""
        self.nonces: deque[str] = deque(maxlen=MOST_NONCES)

    def get(self, url: str) -> AcmeResponse:
        """Return what *url* answers without a signature; raise AuthorityRefused or IssueFailed."""
        return self.accepted(self.send("GET", url, None, self.transport.end()))

    def post(self, url: str, payload: bytes, key: JWK, account: str | None) -> AcmeResponse:
        """Return the answer to *payload*, signed as *account*, or with the key itself if None.

        Raise AuthorityRefused or IssueFailed.
        """
        return self.posted(url, payload, key, account, self.transport.end())

    def fetch(self, url: str, key: JWK, account: str) -> AcmeResponse:
        """Return what stands at *url* (POST-as-GET, RFC 8555 section 6.3).

        Asked again once when the connection breaks, as servers close idle ones at any time.
        """
        end = self.transport.end()
        try:
            return self.posted(url, b"", key, account, end)
        except Unreached as unreached:
            if not unreached.broken:
                raise
            return self.posted(url, b"", key, account, end)

    def posted(
        self, url: str, payload: bytes, key: JWK, account: str | None, end: float
    ) -> AcmeResponse:
        """Return the answer to a request that is over at the moment *end*.

        A rejected nonce is replaced (RFC 8555 section 6.5).
        """
        for _ in range(NONCE_TRIES):
            signed = self.signed(url, payload, key, account, end)
            try:
                return self.accepted(self.send("POST", url, signed, end))
            except AuthorityRefused as refused:
                if refused.problem.kind != "badNonce":
                    raise
                last = refused
        raise last

    def signed(self, url: str, payload: bytes, key: JWK, account: str | None, end: float) -> bytes:
        """Return the request's body (RFC 8555 section 6.2)."""
        nonce = b64decode(self.nonce(end))
        signature = JWS.sign(payload, key, signature_algorithm(key), nonce, url, account)
        return json.dumps(signature.to_json()).encode()

    def nonce(self, end: float) -> str:
        """Return a nonce that was not used before.

        Where HEAD brings none, GET may (RFC 8555 section 7.2).
        """
        for method in (None, "HEAD", "GET"):
            if method:
                answer = self.send(method, self.new_nonce, None, end)
                if answer.status not in NO_SUCH_METHOD:
                    self.accepted(answer)
            with suppress(IndexError):
                return self.nonces.pop()
        words = f"HTTP status {answer.status}"
        failure = not_obtained("no-nonce", Scope.AUTHORITY, where=self.new_nonce, words=words)
        raise IssueFailed(failure)

    def accepted(self, answer: AcmeResponse) -> AcmeResponse:
        """Return *answer* if it is a success; raise AuthorityRefused."""
        if 200 <= answer.status < 300:
            return answer
        refused = problem_in(answer.body)
        if not refused.detail and not refused.title:
            refused = refused.model_copy(update={"detail": f"HTTP status {answer.status}"})
        raise AuthorityRefused(refused, answer.status, answer.retry_at)

    def send(self, method: str, url: str, body: bytes | None, end: float) -> AcmeResponse:
        """Return the answer to one request, and keep the nonce that it brought.

        After one without an answer the next begins with a new nonce: whether the authority is
        there at all shows then, before each order waits in vain for itself.
        """
        try:
            answer = self.transport.send(method, url, body, end)
        except Unreached:
            self.nonces.clear()
            raise
        nonce = answer.headers.get("Replay-Nonce", "")
        if NONCE.fullmatch(nonce) and survives(nonce):
            self.nonces.append(nonce)
        return answer


def survives(nonce: str) -> bool:
    """Return whether a nonce is still the same after it was decoded and encoded to be signed."""
    try:
        return b64encode(b64decode(nonce)) == nonce.encode()
    except ValueError:
        return False
