"""One ACME order, from its authorizations to the certificate (RFC 8555 section 7.4)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from acme import messages
from cryptography import x509

from proxygen.errors import IssueFailed
from proxygen.issuers.acme_account import Account, encoded
from proxygen.issuers.acme_answers import (
    TOKEN,
    Authorization,
    Challenge,
    Order,
    Problem,
    Status,
)
from proxygen.issuers.acme_failures import Over, Refused, Wrong
from proxygen.issuers.acme_transport import Answer, Pace
from proxygen.solvers import Solver

CHALLENGE = "http-01"


class Course:
    """One order on its way from *pending* to *valid* (RFC 8555 section 7.1.6)."""

    def __init__(
        self,
        account: Account,
        url: str,
        solver: Solver,
        now: Callable[[], datetime],
        pace: Pace,
    ) -> None:
        self.account = account
        self.url = url
        self.solver = solver
        self.now = now
        self.pace = pace
        self.deadline = time.monotonic() + pace.order

    def walk(self, order: Order, request: bytes) -> Order:
        """Return the order once it is valid; raise Over when it ends otherwise."""
        if order.status is Status.PENDING:
            self.prove(order)
            order = self.order(Status.PENDING)
        if order.status is Status.READY:
            order = self.finalized(order, request)
        elif order.status is Status.PROCESSING:
            order = self.order(Status.PROCESSING)
        if order.status is not Status.VALID:
            unsaid = Problem(detail=f"the order is {order.status.value}, without a reason")
            raise Over(order.error or unsaid)
        return order

    def finalized(self, order: Order, request: bytes) -> Order:
        """Send the signing request; return the order once it is no longer processed."""
        csr = messages.CertificateRequest(csr=x509.load_pem_x509_csr(request))
        answer = self.account.post(order.finalize, encoded(csr))
        order = Order.read(answer.body)
        if order.status is Status.PROCESSING:
            self.pause(answer.retry_at, self.pace.first_pause)
            return self.order(Status.PROCESSING)
        return order

    def certificate(self, order: Order) -> bytes:
        """Return the certificate of a valid order as it was sent."""
        if order.certificate is None:
            raise Wrong("the authority's order is valid, but names no certificate", where=self.url)
        return self.account.look(order.certificate).body

    def order(self, passing: Status) -> Order:
        """Return the order once its status is another than *passing*."""
        for answer in self.looks(self.url):
            order = Order.read(answer.body)
            if order.status is not passing:
                return order
        raise AssertionError("looks never ends")

    def prove(self, order: Order) -> None:
        """Prove what is not proven yet: present all, answer all, then wait for each."""
        found = [
            (url, Authorization.read(self.account.look(url).body)) for url in self.asked(order)
        ]
        check_names(order, [authorization for _, authorization in found])
        open_ones = [(url, one) for url, one in found if one.status is Status.PENDING]
        chosen = [(url, one, http01(one)) for url, one in open_ones]
        try:
            for _, one, challenge in chosen:
                self.present(one.name, challenge)
            answered = [(url, self.answer(url, challenge)) for url, _, challenge in chosen]
            settled = [self.settled(url, answer) for url, answer in answered]
        finally:
            for _, one, challenge in chosen:
                self.solver.cleanup(one.name, str(challenge.token))
        known = [one for _, one in found if one.status is not Status.PENDING]
        check_valid([*known, *settled])

    def asked(self, order: Order) -> tuple[str, ...]:
        """Return the URLs of the order's authorizations, each once."""
        return tuple(dict.fromkeys(order.authorizations))

    def present(self, name: str, challenge: Challenge) -> None:
        """Make the key authorization visible (RFC 8555 section 8.1)."""
        token = str(challenge.token)
        self.solver.present(name, token, f"{token}.{self.account.thumbprint}")

    def answer(self, url: str, challenge: Challenge) -> Answer | None:
        """Tell the authority that it may look; it already does after a run was killed."""
        if challenge.status is not Status.PENDING:
            return None
        try:
            return self.account.post(str(challenge.url), b"{}")
        except Refused:
            if Authorization.read(self.account.look(url).body).status is Status.PENDING:
                raise
            return None  # the look that a killed run asked for ended just now

    def settled(self, url: str, answer: Answer | None) -> Authorization:
        """Return the authorization once it is no longer pending."""
        self.pause(answer.retry_at if answer else None, self.pace.first_pause)
        for looked in self.looks(url):
            authorization = Authorization.read(looked.body)
            if authorization.status is not Status.PENDING:
                return authorization
        raise AssertionError("looks never ends")

    def looks(self, url: str) -> Iterator[Answer]:
        """Return what stands at *url*, again and again, with growing pauses."""
        pause = self.pace.first_pause
        while True:
            answer = self.account.look(url)
            yield answer
            self.pause(answer.retry_at, pause)
            pause = min(2 * pause, self.pace.longest_pause)

    def pause(self, retry_at: datetime | None, seconds: float) -> None:
        """Wait *seconds*, or as long as the authority asks; raise IssueFailed past the deadline.

        The order stays stored: the next run continues it.
        """
        if retry_at:
            seconds = max(seconds, (retry_at - self.now()).total_seconds())
        if time.monotonic() + seconds > self.deadline:
            raise IssueFailed(
                "the authority has not finished the order yet",
                where=self.url,
                retry_at=self.now() + timedelta(seconds=seconds),
                remedy="nothing: the next run continues the same order",
            )
        time.sleep(seconds)


def http01(authorization: Authorization) -> Challenge:
    """Return the http-01 challenge; raise Wrong when there is none that can be used."""
    offered = {one.type: one for one in authorization.challenges}
    challenge = offered.get(CHALLENGE)
    if challenge is None:
        raise Wrong(
            f"the authority does not offer {CHALLENGE} for {authorization.name}",
            remedy="use an authority that does; none does for wildcard names",
            final=True,
            words=f"offered: {', '.join(offered) or 'nothing'}",
        )
    if challenge.url is None or not TOKEN.fullmatch(challenge.token or ""):
        raise Wrong(
            f"the authority's challenge for {authorization.name} has no URL or no token",
            remedy="ask its operators: a token is base64url (RFC 8555 section 8.3)",
        )
    return challenge


def check_names(order: Order, authorizations: list[Authorization]) -> None:
    """Raise Wrong unless the authorizations are for names of the order."""
    asked = {("dns", one.value.lower().removeprefix("*.")) for one in order.identifiers}
    foreign = {(one.identifier.type, one.name) for one in authorizations} - asked
    if foreign:
        raise Wrong(
            "the authority wants proof of what was not asked for",
            remedy="ask its operators",
            words=", ".join(f"{kind} {name}" for kind, name in sorted(foreign)[:10]),
        )


def check_valid(authorizations: list[Authorization]) -> None:
    """Raise Over, with every name's own problem, unless all are valid."""
    failed = [one for one in authorizations if one.status is not Status.VALID]
    if failed:
        failed.sort(key=lambda one: one.name)
        unproven = tuple(one.name for one in failed if one.is_unproven)
        raise Over(Problem(subproblems=tuple(one.problem for one in failed)), unproven)
