"""Sites and rounds in which there is something to tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from proxygen.failure import NotObtained, Scope, failure, not_obtained
from proxygen.host import languages, templates
from proxygen.issuers.acme_failures import MEANINGS, UNKNOWN
from proxygen.languages.language import Language
from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.model.site import Site
from proxygen.names.states import NameStates
from proxygen.plan.backoff import RememberedFailure, order_purpose, purpose_of
from proxygen.plan.observed import Installed, Observed, ServiceState
from proxygen.plan.steps import PostponedOrder
from proxygen.services import ServiceSettings
from proxygen.texts.alerts import RoundResult, WrongModel, alerts
from proxygen.texts.digests import Digest, ToldAlerts, plan_mails
from proxygen.texts.mails import Mail, Sender
from tests.certificates import DAY, NOON
from tests.models import bundle, bundles, site

URN = "urn:ietf:params:acme:error"
NO_SPACE = "[Errno 28] No space left on device: '/var/lib/proxygen/store'"
TEXT = """\
contact: hostmaster@example.net
global: {url: mail.example.net, certificate: acme}
acme: {terms_of_service_agreed: true}
domains:
  customer-a.example:
    url: https://webmail.customer-a.example
    extra_names: [autodiscover.customer-a.example]
    certificate: acme
    contact: it@customer-a.example
    language: de
  customer-b.example:
    url: https://mail.customer-b.example
    certificate: {file: {certificate: b.pem}}
    contact: info@customer-b.example
    language: fr
  customer-c.example: {url: https://post.customer-c.example, certificate: acme}
"""
SITE = site(TEXT)
DIRECTORY = SITE.acme.directory
HOUR = timedelta(hours=1)
TEMPLATE_OF_OURS = templates.own_templates()
SENDER = Sender("mail.example.net", "hostmaster@example.net")


def noting_language(code: str) -> tuple[Language, set[str]]:
    """Return a language, and a set to which each of its phrases is added once it is used."""
    used: set[str] = set()

    class Noting(dict[str, str]):
        def __getitem__(self, key: str) -> str:
            used.add(key)
            return super().__getitem__(key)

    return Language(code, Noting(languages.load(code).phrases)), used


def ending(of: Site = SITE, **left: timedelta) -> dict[str, Bundle]:
    """Return the bundles of a site; *left* by the first label after ``customer_``, or global."""
    found = bundles(of)
    for wanted in of.certificates:
        name = wanted.owner.partition(".")[0].removeprefix("customer-")
        if name in left:
            found[wanted.owner] = bundle(wanted, ends=NOON + left[name])
    return found


def remembered_failure(of: str = "customer-a.example", **more: Any) -> RememberedFailure:
    """Return a failure: the name could not be looked up."""
    usual: dict[str, Any] = {
        "of": of,
        "at": NOON - HOUR,
        "since": NOON - 2 * DAY,
        "count": 4,
        "again": NOON + 23 * HOUR,
        "purpose": next(
            (order_purpose(each) for each in SITE.certificates if each.owner == of), ""
        ),
    }
    said = {name: more.pop(name) for name in ("problem", "words") if name in more}
    return RememberedFailure(**{"failure": refusal(of, **said)} | usual | more)


def refusal(of: str, problem: str | None = f"{URN}:dns", words: str = "") -> NotObtained:
    """Return why a certificate could not be obtained: an authority says so, or its file does."""
    if problem is None:
        return not_obtained("file-empty", file="/etc/b.pem", words=words, final=True)
    said = words or f"webmail.{of}: DNS problem: NXDOMAIN looking up A ({URN}:dns)"
    meant = MEANINGS.get(problem.rpartition(":")[2], UNKNOWN)
    parts = (failure(meant, Scope.OWNER),)
    names = (f"webmail.{of}",)
    return not_obtained("names-refused", parts=parts, problem=problem, words=said, names=names)


def round_result(
    issued: Mapping[str, Bundle] | None = None,
    *attempts: RememberedFailure,
    troubles: Mapping[str, RememberedFailure] | None = None,
    services: tuple[ServiceState, ...] = (),
    names: Mapping[str, NameStates] | None = None,
    **more: Any,
) -> RoundResult:
    """Return a round."""
    observed = Observed(
        bundles=bundles(SITE) if issued is None else issued,
        services={each.name: each for each in services},
        sources={},
        failures={each.of: each for each in attempts},
        authority_failures=troubles or {},
        names=names or {},
    )
    return RoundResult(**{"observed": observed} | more)


def digests(
    found: RoundResult,
    told: Mapping[str, ToldAlerts] | None = None,
    now: datetime = NOON,
    of: Site = SITE,
) -> dict[str, Digest]:
    """Return what is told now, by recipient."""
    now_told = plan_mails(of, found, alerts(of, found, now), told or {}, now)
    return {each.reader.key: each for each in now_told.digests}


def service(name: str = "nginx", *, unserved: bool = False) -> ServiceState:
    """Return a service that runs."""
    return ServiceState(name, ServiceSettings(), pid=7, installed=Installed(unserved=unserved))


def everything(now: datetime = NOON) -> RoundResult:
    """Return a round in which all goes wrong that can be told of."""
    issued = ending(a=4 * DAY, b=6 * DAY, c=-DAY, **{GLOBAL: 3 * DAY})
    return round_result(
        issued,
        remembered_failure(),
        troubles={DIRECTORY: authority_failure()},
        services=(service(unserved=True),),
        waiting=(waiting("customer-a.example"),),
        unwritable=failure("nothing-stored", Scope.HOST, words=NO_SPACE),
        wrong=WrongModel(now - 2 * DAY, "domains.x: `url` is missing\n  at: proxygen.yaml:7:3"),
        terms={DIRECTORY: "https://letsencrypt.org/documents/new.pdf"},
    )


def authority_failure(**more: Any) -> RememberedFailure:
    """Return the failure of a whole authority."""
    usual: dict[str, Any] = {
        "of": DIRECTORY,
        "at": NOON - 3 * DAY,
        "purpose": purpose_of(SITE.acme),
        "failure": not_obtained(
            "directory-refused",
            Scope.AUTHORITY,
            DIRECTORY,
            words="503 Service Unavailable",
            problem=more.pop("problem", None),
        ),
    }
    return remembered_failure(**usual | more)


def waiting(owner: str, code: str = "failed") -> PostponedOrder:
    """Return that an owner's certificate has to wait."""
    wanted = next(each for each in SITE.certificates if each.owner == owner)
    return PostponedOrder(wanted, NOON + 5 * HOUR, code, failure("order-not-placed", Scope.OWNER))


def speaking(of: Site, language: str) -> Site:
    """Return a site of which everybody is told in one language."""
    domains = tuple(replace(each, language=language) for each in of.domains)
    return replace(of, language=language, domains=domains)


def plain(**more: Any) -> Mail:
    """Return a letter."""
    usual: dict[str, Any] = {
        "id": "0123456789abcdef",
        "recipient": "hostmaster@example.net",
        "kind": "warning",
        "subject": "Certificate of https://mail.example.net ends",
        "text": "It ends.\n",
        "html": "<p>It ends.</p>\n",
        "language": "en",
        "at": NOON,
    }
    return Mail(**usual | more)
