"""One ACME order, from its authorizations to the certificate (RFC 8555 section 7.4)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from acme import messages
from cryptography import x509

from proxygen.errors import IssueFailed
from proxygen.failure import NotObtained, not_obtained, refusal_of_name
from proxygen.issuers.acme_account import Account, encode_payload
from proxygen.issuers.acme_answers import (
    TOKEN,
    Authorization,
    Challenge,
    Identifier,
    Order,
    Problem,
    Status,
)
from proxygen.issuers.acme_failures import (
    NO_ADVICE,
    Advice,
    AuthorityRefused,
    Over,
    Unfinished,
    WrongAnswer,
)
from proxygen.issuers.acme_transport import AcmeResponse, Pace
from proxygen.model import persist
from proxygen.model.certificate import DNS, HTTP, PERSIST, Certificate
from proxygen.model.hosts import is_wildcard
from proxygen.solvers import Solver


@dataclass(frozen=True, slots=True)
class Proof:
    """How one authorization, at *url*, is proven: *solver* presents the answer to *challenge*."""

    url: str
    authorization: Authorization
    challenge: Challenge
    solver: Solver

    @property
    def name(self) -> str:
        """The name that is proven."""
        return self.authorization.name

    @property
    def token(self) -> str:
        """The challenge's token; dns-persist-01 has none."""
        return self.challenge.token or ""


class Course:
    """One order on its way from *pending* to *valid* (RFC 8555 section 7.1.6)."""

    def __init__(
        self,
        account: Account,
        url: str,
        wanted: Certificate,
        solvers: Mapping[str, Solver],
        now: Callable[[], datetime],
        pace: Pace,
    ) -> None:
        self.account = account
        self.url = url
        self.wanted = wanted
        self.solvers = solvers
        self.now = now
        self.pace = pace
        self.deadline = time.monotonic() + pace.order

    def walk(self, order: Order, request: bytes) -> Order:
        """Return the order once it is valid; raise Over if it ends otherwise."""
        if order.status is Status.PENDING:
            self.prove(order)
            order = self.order(Status.PENDING)
        if order.status is Status.READY:
            order = self.finalized(order, request)
        elif order.status is Status.PROCESSING:
            order = self.order(Status.PROCESSING)
        if order.status is not Status.VALID:
            unsaid = Problem(detail=f"status: {order.status.value}")
            raise Over(order.error or unsaid)
        return order

    def finalized(self, order: Order, request: bytes) -> Order:
        """Send the signing request; return the order once it is no longer processed."""
        csr = messages.CertificateRequest(csr=x509.load_pem_x509_csr(request))
        if order.finalize is None:
            raise WrongAnswer(not_obtained("no-finalize-named", where=self.url))
        answer = self.post(order.finalize, encode_payload(csr))
        order = Order.read(answer.body)
        if order.status is Status.PROCESSING:
            self.pause(answer.retry_at, self.pace.first_pause)
            return self.order(Status.PROCESSING)
        return order

    def certificate(self, order: Order) -> bytes:
        """Return the certificate of a valid order as it was sent."""
        if order.certificate is None:
            raise WrongAnswer(not_obtained("no-certificate-named", where=self.url))
        return self.poll(order.certificate).body

    def order(self, passing: Status) -> Order:
        """Return the order once its status is another than *passing*."""
        for answer in self.polls(self.url):
            order = Order.read(answer.body)
            if order.status is not passing:
                return order
        raise AssertionError("looks never ends")

    def prove(self, order: Order) -> None:
        """Prove what is not proven yet: present all, answer all, then wait for each."""
        found = [(url, Authorization.read(self.poll(url).body)) for url in self.asked(order)]
        check_names(self.wanted, [authorization for _, authorization in found])
        proofs = [self.proof(url, one) for url, one in found if one.status is Status.PENDING]
        try:
            self.publish(proofs)
            self.settle(proofs)
            answered = [(each.url, self.answer(each.url, each.challenge)) for each in proofs]
            settled = [self.settled(url, answer) for url, answer in answered]
        finally:
            for each in proofs:
                each.solver.cleanup(each.name, each.token)
        known = [one for _, one in found if one.status is not Status.PENDING]
        check_valid([*known, *settled], self.advice(proofs))

    def proof(self, url: str, authorization: Authorization) -> Proof:
        """Return how an authorization is proven; raise IssueFailed if it cannot be."""
        challenge = choose_challenge(authorization, self.solvers, self.wanted)
        return Proof(url, authorization, challenge, self.solvers[challenge.type])

    def advice(self, proofs: list[Proof]) -> Advice:
        """Return what to do about names that are not proven, by type of challenge."""
        records = [
            f'{persist.name(each.name)}. IN TXT "{record}"'
            for each in proofs
            for record in self.records(each)
        ]
        return Advice(frozenset(each.challenge.type for each in proofs), tuple(records))

    def records(self, proof: Proof) -> Iterator[str]:
        """Yield the record that dns-persist-01 wants to see."""
        for issuer in proof.challenge.issuers[:1] if proof.challenge.type == PERSIST else ():
            yield persist.record(issuer, self.account.url, is_wildcard(proof.name))

    def asked(self, order: Order) -> tuple[str, ...]:
        """Return the URLs of the order's authorizations, each once."""
        return tuple(dict.fromkeys(order.authorizations))

    def present(self, proof: Proof) -> None:
        """Publish the key authorization (RFC 8555 section 8.1)."""
        key_authorization = f"{proof.token}.{self.account.thumbprint}"
        proof.solver.present(proof.name, proof.token, key_authorization)

    def publish(self, proofs: list[Proof]) -> None:
        """Publish every answer; raise IssueFailed that names all for which it cannot be done."""
        failures: list[NotObtained] = []
        for each in proofs:
            try:
                self.present(each)
            except IssueFailed as error:
                if not error.failure.refused:
                    raise  # nor could any other name's answer be published
                failures.append(error.failure)
        if failures:
            raise IssueFailed(of_several(failures))

    def settle(self, proofs: list[Proof]) -> None:
        """Wait until the authority would see all that was presented; its own time begins then."""
        begun = time.monotonic()
        for solver in {id(each.solver): each.solver for each in proofs}.values():
            solver.settle([(each.name, each.token) for each in proofs if each.solver is solver])
        self.deadline += time.monotonic() - begun

    def answer(self, url: str, challenge: Challenge) -> AcmeResponse | None:
        """Tell the authority that it may look; it already does after a run was killed."""
        if challenge.status is not Status.PENDING:
            return None
        try:
            return self.post(str(challenge.url), b"{}")
        except AuthorityRefused:
            if Authorization.read(self.poll(url).body).status is Status.PENDING:
                raise
            return None  # the look that a killed run asked for ended just now

    def settled(self, url: str, answer: AcmeResponse | None) -> Authorization:
        """Return the authorization once it is no longer pending."""
        self.pause(answer.retry_at if answer else None, self.pace.first_pause)
        for looked in self.polls(url):
            authorization = Authorization.read(looked.body)
            if authorization.status is not Status.PENDING:
                return authorization
        raise AssertionError("looks never ends")

    def polls(self, url: str) -> Iterator[AcmeResponse]:
        """Return what stands at *url*, again and again, with growing pauses."""
        pause = self.pace.first_pause
        while True:
            answer = self.poll(url)
            yield answer
            self.pause(answer.retry_at, pause)
            pause = min(2 * pause, self.pace.longest_pause)

    def poll(self, url: str) -> AcmeResponse:
        """Return what stands at *url*; raise Unfinished once the time for the order is over."""
        self.check_time(0)
        return self.account.fetch(url)

    def post(self, url: str, payload: bytes) -> AcmeResponse:
        """Return the answer to a signed request; raise as ``look`` does."""
        self.check_time(0)
        return self.account.post(url, payload)

    def pause(self, retry_at: datetime | None, seconds: float) -> None:
        """Wait *seconds*, or as long as the authority asks; raise Unfinished past the deadline.

        Asking how an order stands costs nothing, so a wish for hours (ZeroSSL asks for a day)
        counts as one for the longest pause: the order may be finished in seconds.
        """
        if retry_at:
            asked = min((retry_at - self.now()).total_seconds(), self.pace.longest_asked)
            seconds = max(seconds, asked)
        self.check_time(seconds)
        time.sleep(seconds)

    def check_time(self, seconds: float) -> None:
        """Raise Unfinished if the time for the order is over in so many *seconds*.

        The order stays stored: the next run continues it.
        """
        if time.monotonic() + seconds > self.deadline:
            again = self.now() + timedelta(seconds=seconds)
            raise Unfinished(not_obtained("order-not-finished", where=self.url, retry_at=again))


def of_several(failures: list[NotObtained]) -> NotObtained:
    """Return the first failure, with what the others say besides."""
    first, *others = failures
    if not others:
        return first
    return replace(
        first,
        code="several",
        facts=(),
        parts=tuple(failures),
        words="\n".join(filter(None, dict.fromkeys(each.words for each in failures))),
        refused=tuple(name for each in failures for name in each.refused),
    )


def choose_challenge(
    authorization: Authorization, solvers: Mapping[str, Solver], wanted: Certificate
) -> Challenge:
    """Return the first challenge that is offered, in the order of *solvers*; raise WrongAnswer.

    One that cannot be used is as good as none.
    """
    offered = {one.type: one for one in authorization.challenges}
    kind = next((each for each in solvers if each in offered), None)
    if kind is None:
        raise WrongAnswer(not_offered(authorization.name, tuple(offered), wanted))
    challenge = offered[kind]
    proper = kind == PERSIST or TOKEN.fullmatch(challenge.token or "")
    if challenge.url is None or not proper:
        raise WrongAnswer(not_obtained("challenge-incomplete", name=authorization.name))
    return challenge


def not_offered(name: str, offered: tuple[str, ...], wanted: Certificate) -> NotObtained:
    """Return the failure for a challenge that the authority does not have for a name."""
    others = [kind for kind in (HTTP, DNS) if kind in offered]
    failure = not_obtained(
        f"{others[0]}-offered" if others else "challenge-not-offered",
        where=wanted.origin,
        final=True,
        name=name,
        challenge=str(wanted.challenge),
        words=", ".join(offered),
    )
    # For no name then: the others would fare no better.
    return failure if wanted.challenge == PERSIST else refusal_of_name(name, failure)


def check_names(wanted: Certificate, authorizations: list[Authorization]) -> None:
    """Raise WrongAnswer unless the authorizations are for names that were ordered."""
    ordered = map(Identifier.of, wanted.names)
    asked = {(one.type, one.name.removeprefix("*.")) for one in ordered}
    foreign = {(one.identifier.type, one.identifier.name) for one in authorizations} - asked
    if foreign:
        words = ", ".join(f"{kind} {name}" for kind, name in sorted(foreign)[:10])
        raise WrongAnswer(not_obtained("proof-of-others", words=words))


def check_valid(authorizations: list[Authorization], advice: Advice = NO_ADVICE) -> None:
    """Raise Over, with every name's own problem, unless all are valid."""
    failed = [one for one in authorizations if one.status is not Status.VALID]
    if failed:
        failed.sort(key=lambda one: one.name)
        unproven = tuple(one.name for one in failed if one.is_unproven)
        problem = Problem(subproblems=tuple(one.problem for one in failed))
        raise Over(problem, unproven, advice)
