"""The small authority keeps RFC 8555 and RFC 9773, by the clock that it is handed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3
from acme.jws import JWS
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from josepy.b64 import b64decode, b64encode
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from proxygen.errors import IssueFailed, Origin
from proxygen.issuers.acme import AcmeIssuer
from proxygen.issuers.acme_transport import Pace
from proxygen.model import site
from proxygen.model.certificate import Certificate, KeyAndChain
from proxygen.model.x509 import dns_names
from proxygen.solvers.http01 import Http01Listener
from tests.live import ports
from tests.live.backend import Backend
from tests.live.small_authority import LETS_ENCRYPT, Limits, SmallAuthority, Window
from tests.standins import MemoryStore

START = datetime(2027, 3, 1, 12, 30, 15, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
URN = "urn:ietf:params:acme:error:"
HERE = Origin("proxygen.yaml", 1, 1)
NO_LIMITS = Limits(None, None, None, None)


@dataclass
class Clock:
    """A clock that a test moves."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, by: timedelta) -> None:
        """Let time pass."""
        self.now += by


@dataclass(frozen=True)
class Answer:
    """What the authority answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        """The JSON object that it is."""
        return dict(json.loads(self.body))

    @property
    def kind(self) -> str:
        """The last part of the problem's type."""
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.said["status"] == self.status
        return str(self.said["type"]).removeprefix(URN)


@dataclass
class Client:
    """A client of a few lines, with an account of its own."""

    authority: SmallAuthority
    solver: Http01Listener
    key: JWKEC = field(default_factory=lambda: JWKEC(key=new_key()))

    def __post_init__(self) -> None:
        roots = str(self.authority.trusted_root)
        self.pool = urllib3.PoolManager(ca_certs=roots, retries=False)
        self.kid: str | None = None
        self.kid = self.register(termsOfServiceAgreed=True).headers["Location"]

    def send(self, method: str, url: str, body: bytes | None = None, **headers: str) -> Answer:
        """Return the answer to one request."""
        reply = self.pool.request(method, url, body=body, headers=headers)
        return Answer(reply.status, reply.headers, reply.data)

    def register(self, **fields: Any) -> Answer:
        """Ask for an account."""
        return self.post("newAccount", fields, kid=None)

    def nonce(self) -> str:
        """Return a new nonce."""
        return self.send("HEAD", self.authority.url("newNonce")).headers["Replay-Nonce"]

    def post(self, place: str, payload: Any = None, **changed: Any) -> Answer:
        """Return the answer to a signed request; *changed* parts of it are as a test wants."""
        url = place if place.startswith("https:") else self.authority.url(place)
        text = b"" if payload is None else json.dumps(payload).encode()
        kid = changed.get("kid", self.kid)
        nonce = changed.get("nonce") or self.nonce()
        signed = JWS.sign(text, self.key, ES256, b64decode(nonce), changed.get("url", url), kid)
        body = {**signed.to_json(), **changed.get("parts", {})}
        kind = changed.get("content_type", "application/jose+json")
        return self.send("POST", url, json.dumps(body).encode(), **{"Content-Type": kind})

    def order(self, *names: str, **fields: Any) -> Answer:
        """Ask for an order."""
        identifiers = [{"type": "dns", "value": name} for name in names]
        return self.post("newOrder", {"identifiers": identifiers, **fields})

    def prove(self, order: Answer, answer: str | None = None) -> list[dict[str, Any]]:
        """Answer each challenge of an order; return what became of them."""
        ended = []
        for url in order.said["authorizations"]:
            authorization = self.post(url).said
            [challenge] = authorization["challenges"]
            token, name = challenge["token"], authorization["identifier"]["value"]
            thumbprint = b64encode(self.key.thumbprint()).decode()
            self.solver.present(name, token, answer or f"{token}.{thumbprint}")
            ended.append(self.post(challenge["url"], {}).said)
            self.solver.cleanup(name, token)
        return ended

    def finalize(self, order: Answer, request: x509.CertificateSigningRequest) -> Answer:
        """Send a signing request."""
        csr = b64encode(request.public_bytes(Encoding.DER)).decode()
        return self.post(order.said["finalize"], {"csr": csr})

    def obtain(self, *names: str, **fields: Any) -> x509.Certificate:
        """Return a new certificate."""
        order = self.order(*names, **fields)
        assert order.status == 201, order.said
        self.prove(order)
        finalized = self.finalize(order, request(*names))
        pem = self.post(finalized.said["certificate"]).body
        return x509.load_pem_x509_certificates(pem)[0]

    def renewal(self, certificate: x509.Certificate) -> Answer:
        """Ask when a certificate should be renewed."""
        return self.send("GET", self.authority.url("renewalInfo", identifier(certificate)))


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a new P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def request(
    *names: str, key: ec.EllipticCurvePrivateKey | None = None, common: str | None = None
) -> x509.CertificateSigningRequest:
    """Return a signing request."""
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else []
    sans = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    return builder.add_extension(sans, critical=False).sign(key or new_key(), SHA256())


def identifier(certificate: x509.Certificate) -> str:
    """Return the unique identifier of a certificate (RFC 9773 section 4.1)."""
    aki = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert aki.key_identifier
    serial = certificate.serial_number
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return f"{b64encode(aki.key_identifier).decode()}.{b64encode(octets).decode()}"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment of the tests says of proxies is not part of them."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def solver() -> Iterator[Http01Listener]:
    """What answers challenges."""
    port = ports.reserve()
    with Http01Listener(port, ("127.0.0.1",)) as listener:
        yield listener
    ports.release(port)


@pytest.fixture
def authority(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock, solver: Http01Listener
) -> Iterator[SmallAuthority]:
    """An authority; the parameter is its limits."""
    limits = getattr(request, "param", None)
    with SmallAuthority(tmp_path, clock=clock, http_port=solver.port, limits=limits) as running:
        yield running


@pytest.fixture
def client(authority: SmallAuthority, solver: Http01Listener) -> Client:
    """A client with an account."""
    return Client(authority, solver)


def issuer(
    authority: SmallAuthority, solver: Http01Listener, profile: str | None = None
) -> AcmeIssuer:
    """Return proxygen's own client, whose clock is the authority's."""
    settings = site.Acme(
        directory=authority.directory,
        contact="admin@proxygen.test",
        profile=profile,
        external_account=None,
        trusted_roots=(authority.trusted_root,),
        http_port=80,
        validation_port=80,
        limits=site.AuthorityLimits(),
        origin=HERE,
    )
    pace = Pace(first_pause=0.005, down=0)
    return AcmeIssuer(
        settings,
        MemoryStore(),
        lambda _: {"http-01": solver},
        authority.clock,
        lambda _: b"",
        pace,
    )


def wanted(*names: str) -> Certificate:
    """Return a certificate that a model wants."""
    return Certificate(names[0], names, "acme", HERE)


def chain(pair: KeyAndChain) -> list[x509.Certificate]:
    """Return the certificates."""
    return x509.load_pem_x509_certificates(pair.fullchain)


# proxygen's own client


@pytest.mark.parametrize("profile", LETS_ENCRYPT)
def test_proxygen_obtains_a_certificate_valid_by_the_clock_handed_in(
    authority: SmallAuthority, solver: Http01Listener, profile: str
) -> None:
    pair = issuer(authority, solver, profile).issue(wanted("a.example", "b.example"), None)
    leaf, intermediate = chain(pair)
    assert dns_names(leaf) == ("a.example", "b.example")
    assert leaf.not_valid_before_utc == START - HOUR
    assert leaf.not_valid_after_utc == START - HOUR + LETS_ENCRYPT[profile]
    leaf.verify_directly_issued_by(intermediate)
    intermediate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.issuing_root))
    [record] = authority.issued
    assert (record.names, record.profile, record.at) == (("a.example", "b.example"), profile, START)
    assert (record.not_before, record.not_after) == (START - HOUR, leaf.not_valid_after_utc)


def test_many_orders_of_proxygen_run_at_once(
    authority: SmallAuthority, solver: Http01Listener
) -> None:
    one = issuer(authority, solver)
    names = [f"www.d{number}.example" for number in range(60)]
    authority.ledger.limits = NO_LIMITS
    with ThreadPoolExecutor(one.concurrency) as threads:
        pairs = list(threads.map(lambda name: one.issue(wanted(name), None), names))
    assert sorted(dns_names(chain(pair)[0])[0] for pair in pairs) == sorted(names)
    assert len({each.serial for each in authority.issued}) == len(names)
    assert authority.refusals == 0
    assert authority.counts["newAccount"] == 1
    assert authority.counts["newOrder"] == len(authority.orders) == len(names)


def test_proxygen_reads_a_failed_validation_and_a_limit(
    authority: SmallAuthority, solver: Http01Listener
) -> None:
    one = issuer(authority, solver)
    authority.failing["bad.example"] = "connection"
    for _ in range(5):
        with pytest.raises(IssueFailed) as failed:
            one.issue(wanted("bad.example"), None)
        assert failed.value.failure.problem == f"{URN}connection"
    with pytest.raises(IssueFailed) as limited:
        one.issue(wanted("bad.example"), None)
    assert limited.value.failure.problem == f"{URN}rateLimited"
    assert limited.value.failure.retry_at == START + HOUR
    assert authority.refusals == 1


@pytest.mark.parametrize("how", ["503", "refuse"])
def test_an_authority_that_is_away_comes_back(
    authority: SmallAuthority, solver: Http01Listener, how: Any
) -> None:
    one = issuer(authority, solver)
    one.issue(wanted("before.example"), None)
    authority.away = how
    with pytest.raises(IssueFailed) as failed:
        one.issue(wanted("then.example"), None)
    assert (failed.value.failure.problem == f"{URN}serverInternal") == (how == "503")
    assert (authority.counts["away"] > 0) == (how == "503")
    authority.away = None
    assert one.issue(wanted("then.example"), None)
    assert [each.names for each in authority.issued] == [("before.example",), ("then.example",)]


# Requests


def test_the_directory_tells_what_there_is(client: Client, authority: SmallAuthority) -> None:
    told = client.send("GET", authority.directory).said
    assert set(told) == {"newNonce", "newAccount", "newOrder", "renewalInfo", "meta"}
    assert set(told["meta"]["profiles"]) == set(LETS_ENCRYPT)
    assert told["meta"]["termsOfService"]


def test_without_renewal_information_none_is_told(
    tmp_path: Path, clock: Clock, solver: Http01Listener
) -> None:
    with SmallAuthority(tmp_path, clock=clock, http_port=solver.port, ari=False) as authority:
        client = Client(authority, solver)
        assert "renewalInfo" not in client.send("GET", authority.directory).said
        assert client.renewal(client.obtain("a.example")).status == 404


@pytest.mark.parametrize(
    ("changed", "status", "kind"),
    [
        pytest.param({"url": "https://127.0.0.1/other"}, 403, "unauthorized", id="another url"),
        pytest.param({"nonce": b64encode(b"x" * 16).decode()}, 400, "badNonce", id="no nonce"),
        pytest.param({"content_type": "application/json"}, 415, "malformed", id="content type"),
        pytest.param({"parts": {"header": {}}}, 400, "malformed", id="an unprotected header"),
        pytest.param({"parts": {"payload": "e30"}}, 400, "malformed", id="another payload"),
        pytest.param({"parts": {"payload": "e30="}}, 400, "malformed", id="padding"),
        pytest.param({"parts": {"signature": "AAAA"}}, 400, "malformed", id="no signature"),
        pytest.param({"kid": "https://x/1"}, 400, "accountDoesNotExist", id="no account"),
        pytest.param({"kid": None}, 400, "malformed", id="a key where an account is named"),
    ],
)
def test_a_request_that_is_not_signed_as_it_must_be_is_refused(
    client: Client, changed: dict[str, Any], status: int, kind: str
) -> None:
    refused = client.post("newOrder", {"identifiers": []}, **changed)
    assert (refused.status, refused.kind) == (status, kind)
    assert refused.headers["Replay-Nonce"]


def test_another_key_cannot_sign_for_an_account(client: Client) -> None:
    client.key = JWKEC(key=new_key())
    assert client.order("a.example").said["detail"] == "JWS verification error"


def test_a_nonce_serves_once(client: Client) -> None:
    nonce = client.nonce()
    assert client.post(str(client.kid), nonce=nonce).status == 200
    again = client.post(str(client.kid), nonce=nonce)
    assert (again.status, again.kind) == (400, "badNonce")
    nonce = again.headers["Replay-Nonce"]
    assert client.post(str(client.kid), nonce=nonce).status == 200


def test_other_algorithms_are_refused_with_those_that_serve(client: Client) -> None:
    protected = {"alg": "HS256", "nonce": "", "url": "", "kid": client.kid}
    parts = {"protected": b64encode(json.dumps(protected).encode()).decode()}
    refused = client.post("newOrder", {}, parts=parts)
    assert refused.kind == "badSignatureAlgorithm"
    assert refused.said["algorithms"] == ["ES256", "RS256"]


def test_what_needs_a_signature_cannot_be_read_without(client: Client) -> None:
    assert client.send("GET", str(client.kid)).status == 405
    assert client.send("GET", client.authority.url("nothing")).status == 404


# Accounts


def test_a_key_has_one_account(client: Client) -> None:
    for fields in ({"onlyReturnExisting": True}, {"termsOfServiceAgreed": True}):
        again = client.register(**fields)
        assert (again.status, again.headers["Location"]) == (200, client.kid)
    client.key = JWKEC(key=new_key())
    unknown = client.register(onlyReturnExisting=True)
    assert (unknown.status, unknown.kind) == (400, "accountDoesNotExist")
    assert client.register().kind == "malformed"
    assert client.register(termsOfServiceAgreed=True).status == 201


def test_the_contact_of_an_account_can_change(client: Client) -> None:
    told = client.post(str(client.kid), {"contact": ["mailto:new@proxygen.test"]})
    assert told.said["contact"] == ["mailto:new@proxygen.test"]
    assert client.authority.accounts[0].contact == ("mailto:new@proxygen.test",)
    wrong = client.post(str(client.kid), {"contact": ["tel:+49"]})
    assert wrong.kind == "unsupportedContact"


def test_a_deactivated_account_is_refused(client: Client) -> None:
    client.post(str(client.kid), {"status": "deactivated"})
    assert client.order("a.example").kind == "unauthorized"


def test_an_account_sees_its_own_orders_alone(client: Client, solver: Http01Listener) -> None:
    order = client.order("a.example")
    other = Client(client.authority, solver)
    url = order.headers["Location"]
    for place in (url, *order.said["authorizations"], str(client.kid)):
        assert client.post(place).status == 200
        assert other.post(place).kind == "unauthorized"
    assert client.post(client.post(str(client.kid)).said["orders"]).said == {"orders": [url]}


# Orders


def test_an_order_goes_from_pending_to_valid(client: Client) -> None:
    order = client.order("A.example", "b.example", "a.example")
    url = order.headers["Location"]
    assert (order.status, order.said["status"]) == (201, "pending")
    assert [each["value"] for each in order.said["identifiers"]] == ["a.example", "b.example"]
    early = client.finalize(order, request("a.example", "b.example"))
    assert (early.status, early.kind) == (403, "orderNotReady")
    assert [each["status"] for each in client.prove(order)] == ["valid", "valid"]
    assert client.post(url).said["status"] == "ready"
    assert client.finalize(order, request("a.example", "b.example")).said["status"] == "valid"
    told = client.post(url).said
    assert told["profile"] == "classic"
    pem = client.post(told["certificate"])
    assert pem.headers["Content-Type"] == "application/pem-certificate-chain"
    assert len(x509.load_pem_x509_certificates(pem.body)) == 2


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"profile": "forever"}, "invalidProfile"),
        ({"notAfter": "2030-01-01T00:00:00Z"}, "malformed"),
        ({"identifiers": []}, "malformed"),
        ({"identifiers": [{"type": "dns", "value": "192.0.2.1"}]}, "unsupportedIdentifier"),
        ({"identifiers": [{"type": "dns", "value": "*.a.example"}]}, "rejectedIdentifier"),
    ],
)
def test_an_order_that_cannot_be_is_refused(client: Client, fields: Any, kind: str) -> None:
    assert client.order("a.example", **fields).kind == kind


def test_an_order_ends_by_the_clock(client: Client, clock: Clock) -> None:
    order = client.order("a.example")
    clock.forward(7 * DAY)
    assert client.post(order.headers["Location"]).said["status"] == "invalid"
    assert client.post(order.said["authorizations"][0]).status == 404


@pytest.mark.parametrize("names", [("a.example",), ("a.example", "b.example", "c.example")])
def test_a_signing_request_for_other_names_is_refused(
    client: Client, names: tuple[str, ...]
) -> None:
    order = client.order("a.example", "b.example")
    client.prove(order)
    assert client.finalize(order, request(*names)).kind == "badCSR"
    common = request("a.example", "b.example", common="c.example")
    assert client.finalize(order, common).kind == "badCSR"
    assert client.post(order.headers["Location"]).said["status"] == "ready"


def test_the_key_of_the_account_is_no_key_of_a_certificate(client: Client) -> None:
    own = new_key()
    client.key = JWKEC(key=own)
    client.kid = client.register(termsOfServiceAgreed=True).headers["Location"]
    order = client.order("a.example")
    client.prove(order)
    assert "account" in client.finalize(order, request("a.example", key=own)).said["detail"]


def test_a_signing_request_with_a_wrong_signature_is_refused(client: Client) -> None:
    order = client.order("a.example")
    client.prove(order)
    der = bytearray(request("a.example").public_bytes(Encoding.DER))
    der[-1] ^= 1
    answer = client.post(order.said["finalize"], {"csr": b64encode(bytes(der)).decode()})
    assert answer.kind == "badCSR"


# Validations


def test_a_challenge_is_fetched_from_the_name_over_http(
    tmp_path: Path, clock: Clock, solver: Http01Listener
) -> None:
    with (
        Backend() as web,
        SmallAuthority(tmp_path, clock=clock, http_port=web.port) as authority,
    ):
        client = Client(authority, solver)
        [challenge] = client.prove(client.order("seen.example"))
    assert web.seen == [f"GET seen.example /.well-known/acme-challenge/{challenge['token']}"]
    assert challenge["error"]["type"] == f"{URN}unauthorized"


def test_the_answer_must_be_the_key_authorization(client: Client) -> None:
    order = client.order("a.example")
    [challenge] = client.prove(order, answer="another.answer")
    assert challenge["status"] == "invalid"
    assert "did not match" in challenge["error"]["detail"]
    assert client.post(order.said["authorizations"][0]).said["status"] == "invalid"
    assert client.post(order.headers["Location"]).said["status"] == "invalid"


def test_a_web_server_that_is_not_there_is_a_failed_connection(
    tmp_path: Path, clock: Clock, solver: Http01Listener
) -> None:
    port = ports.reserve()
    with SmallAuthority(tmp_path, clock=clock, http_port=port) as authority:
        client = Client(authority, solver)
        [challenge] = client.prove(client.order("a.example"))
    ports.release(port)
    assert challenge["error"]["type"] == f"{URN}connection"


def test_a_test_can_make_validations_of_a_name_fail(client: Client) -> None:
    client.authority.failing["a.example"] = "connection"
    order = client.order("a.example", "b.example")
    assert [each["status"] for each in client.prove(order)] == ["invalid", "valid"]
    del client.authority.failing["a.example"]
    assert client.obtain("a.example", "b.example")


# Limits


def refused(answer: Answer) -> tuple[str, timedelta]:
    """Return the words of a refusal by a limit, and how long to wait."""
    assert (answer.status, answer.kind) == (429, "rateLimited")
    return answer.said["detail"], timedelta(seconds=int(answer.headers["Retry-After"]))


@pytest.mark.parametrize("authority", [Limits(orders=3)], indirect=True)
def test_new_orders_of_an_account_are_limited(
    client: Client, clock: Clock, solver: Http01Listener
) -> None:
    for number in range(3):
        assert client.order(f"n{number}.example").status == 201
        clock.forward(HOUR)
    clock.forward(-HOUR)
    words, wait = refused(client.order("more.example"))
    assert wait == HOUR
    assert words.startswith("too many new orders (3) from this account in the last 3h0m0s, retry")
    assert "after 2027-03-01 15:30:15 UTC: see https://letsencrypt.org/docs/rate-limits/" in words
    assert Client(client.authority, solver).order("other.example").status == 201
    clock.forward(wait)
    assert client.order("more.example").status == 201
    assert (client.authority.refusals, client.authority.refused) == (1, [words])


@pytest.mark.parametrize("authority", [Limits(registered_domain=2)], indirect=True)
def test_certificates_of_a_registered_domain_are_limited(client: Client, clock: Clock) -> None:
    client.obtain("a.shop.example")
    clock.forward(DAY)
    client.obtain("b.shop.example")
    words, wait = refused(client.order("c.shop.example", "other.example"))
    assert wait == 6 * DAY
    assert '(2) already issued for "shop.example" in the last 168h0m0s' in words
    assert client.order("shop.test").status == 201
    clock.forward(wait)
    assert client.order("c.shop.example").status == 201


@pytest.mark.parametrize("authority", [Limits(name_set=2)], indirect=True)
def test_certificates_of_a_set_of_names_are_limited(client: Client, clock: Clock) -> None:
    for _ in range(2):
        client.obtain("a.example", "b.example")
    words, wait = refused(client.order("b.example", "a.example"))
    assert wait == 7 * DAY
    assert "already issued for this exact set of identifiers" in words
    assert client.order("a.example").status == 201
    clock.forward(wait)
    assert client.order("a.example", "b.example").status == 201


@pytest.mark.parametrize("authority", [Limits(failed_validations=2)], indirect=True)
def test_failed_validations_of_a_name_are_limited(
    client: Client, clock: Clock, solver: Http01Listener
) -> None:
    client.authority.failing["a.example"] = "dns"
    for _ in range(2):
        client.prove(client.order("a.example"))
    words, wait = refused(client.order("a.example", "b.example"))
    assert wait == HOUR
    assert words.startswith('too many failed authorizations (2) for "a.example" in the last 1h0m0s')
    assert client.order("b.example").status == 201
    assert Client(client.authority, solver).order("a.example").status == 201
    clock.forward(wait)
    assert client.order("a.example").status == 201


@pytest.mark.parametrize("authority", [Limits(orders=1, registered_domain=1)], indirect=True)
def test_the_same_names_again_count_for_their_set_alone(client: Client) -> None:
    for _ in range(5):
        client.obtain("a.example")
    assert "exact set" in refused(client.order("a.example"))[0]
    assert "new orders" in refused(client.order("a.test"))[0]


@pytest.mark.parametrize("authority", [NO_LIMITS], indirect=True)
def test_without_limits_nothing_is_refused(client: Client) -> None:
    for _ in range(310):
        assert client.order("a.example").status == 201
    assert client.authority.refusals == 0


def test_by_default_the_limits_are_those_of_lets_encrypt() -> None:
    assert Limits() == Limits(300, 50, 5, 5)


# Renewal


@pytest.mark.parametrize(
    ("profile", "before_end", "width"),
    [
        pytest.param("classic", 30 * DAY, 1.8 * DAY, id="two thirds of 90 days"),
        pytest.param("tlsserver", 15 * DAY, 0.9 * DAY, id="two thirds of 45 days"),
        pytest.param("shortlived", 80 * HOUR, 3.2 * HOUR, id="the half of 160 hours"),
    ],
)
def test_a_window_is_suggested(
    client: Client, profile: str, before_end: timedelta, width: timedelta
) -> None:
    certificate = client.obtain("a.example", profile=profile)
    answer = client.renewal(certificate)
    start, end = (
        datetime.fromisoformat(answer.said["suggestedWindow"][k]) for k in ("start", "end")
    )
    assert end - start == width
    assert start + width / 2 == certificate.not_valid_after_utc - before_end
    assert answer.headers["Retry-After"] == "21600"
    assert "explanationURL" not in answer.said


def test_of_an_unknown_certificate_nothing_is_told(client: Client) -> None:
    known = identifier(client.obtain("a.example"))
    unknown = client.send("GET", client.authority.url("renewalInfo", f"{known[:-4]}AAAA"))
    assert (unknown.status, unknown.kind) == (404, "malformed")
    for wrong in ("nothing", "AAAA.AAAA"):
        answer = client.send("GET", client.authority.url("renewalInfo", wrong))
        assert (answer.status, answer.kind) == (400, "malformed")


def test_a_recalled_certificate_is_to_be_renewed_at_once(client: Client) -> None:
    authority = client.authority
    recalled, other = client.obtain("a.example", "b.example"), client.obtain("c.example")
    [record] = authority.recall("b.example", explanation="https://why.example/")
    assert record.serial == recalled.serial_number
    told = client.renewal(recalled).said
    assert datetime.fromisoformat(told["suggestedWindow"]["end"]) < START
    assert told["explanationURL"] == "https://why.example/"
    assert "explanationURL" not in client.renewal(other).said
    authority.recall(other.serial_number)
    moved = client.renewal(other).said["suggestedWindow"]
    assert datetime.fromisoformat(moved["end"]) < START


def test_a_window_can_be_moved(client: Client) -> None:
    certificate = client.obtain("a.example")
    client.authority.move(Window(START + DAY, START + 2 * DAY), "a.example")
    window = client.renewal(certificate).said["suggestedWindow"]
    assert window == {"start": "2027-03-02T12:30:15Z", "end": "2027-03-03T12:30:15Z"}


@pytest.mark.parametrize("authority", [Limits(1, 1, 1, 1)], indirect=True)
def test_what_replaces_a_certificate_is_exempt_from_every_limit(client: Client) -> None:
    first = client.obtain("a.example")
    assert refused(client.order("a.example"))
    order = client.order("a.example", replaces=identifier(first))
    assert order.said["replaces"] == identifier(first)
    client.authority.failing["a.example"] = "connection"
    client.prove(order)
    client.authority.failing.clear()
    second = client.obtain("a.example", "www.a.example", replaces=identifier(first))
    client.obtain("a.example", replaces=identifier(second))
    last = client.authority.issued[-1]
    assert (last.replaces, len(client.authority.issued)) == (identifier(second), 3)
    assert client.authority.refusals == 1


def test_a_certificate_is_replaced_once_by_an_order_that_lives(
    client: Client, clock: Clock
) -> None:
    first = identifier(client.obtain("a.example"))
    assert client.order("a.example", replaces=first).status == 201
    again = client.order("a.example", replaces=first)
    assert (again.status, again.kind) == (409, "alreadyReplaced")
    clock.forward(7 * DAY)
    assert client.obtain("a.example", replaces=first)
    clock.forward(7 * DAY)
    assert client.order("a.example", replaces=first).status == 409


def test_only_a_certificate_of_the_account_with_a_shared_name_is_replaced(
    client: Client, solver: Http01Listener
) -> None:
    first = identifier(client.obtain("a.example"))
    assert client.order("b.example", replaces=first).kind == "malformed"
    assert client.order("a.example", replaces=f"{first[:-4]}AAAA").kind == "malformed"
    assert client.order("a.example", replaces="nothing").kind == "malformed"
    other = Client(client.authority, solver)
    assert other.order("a.example", replaces=first).kind == "malformed"
    assert len(client.authority.orders) == 1
