"""Names of which something is known, for those who tell people of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from string import Formatter

from proxygen.languages import ENGLISH, load_phrases
from proxygen.names.causes import Cause, cause
from proxygen.names.findings import WHY
from proxygen.names.states import Evidence, Finding, NameState, NameStates, Refusal
from tests.certificates import DAY, NOON
from tests.models import site

TEXT = """\
contact: hostmaster@example.net
addresses: [192.0.2.1, "2001:db8::1"]
global: {url: mail.example.net, extra_names: [smtp.example.net], certificate: acme}
acme: {terms_of_service_agreed: true}
domains:
  customer-a.example:
    url: https://webmail.customer-a.example
    extra_names: [autodiscover.customer-a.example, bücher.example, customer-a.example]
    certificate: acme
    contact: it@customer-a.example
    language: de
  customer-b.example: {url: mail.customer-b.example}
"""
SITE = site(TEXT)


def phrases_below(kind: str) -> dict[str, str]:
    """Return the English phrases of a kind, by code."""
    every = load_phrases(ENGLISH).items()
    return {key.partition(".")[2]: each for key, each in every if key.startswith(f"{kind}.")}


FINDINGS = phrases_below("terminal")
A = "customer-a.example"
HOST, LATE = f"webmail.{A}", f"autodiscover.{A}"
URN = "urn:ietf:params:acme:error"

FACTS = {
    "zone": A,
    "domain": A,
    "chain": f"{LATE} → a.example.org → {LATE}",
    "type": "A",
    "address": "198.51.100.7",
    "needed": "letsencrypt.org",
    "records": '0 issue "ca.example"',
    "record": '0 issue "letsencrypt.org"',
    "name": LATE,
    "target": "web.hoster.example",
    "count": "40",
    "most": "16",
    "code": "from-tomorrow",
}
SERVERS = cause("servers", servers="ns1.example.org (203.0.113.53)")
CAUSES = {
    "caa": (cause("not-among", who="letsencrypt.org"),),
    "servers-silent": (SERVERS,),
    "servers-lame": (SERVERS,),
    "differing": (
        cause("shows", server="ns1.example.org", records="192.0.2.1"),
        cause("shows-nothing", server="ns2.example.org"),
    ),
}
FAILING = (cause("answers", rcode="SERVFAIL"),)
NOT_GRAVE = frozenset({"too-many", "cannot-look", "not-fetched", "through-proxy", "wildcard"})


def finding(code: str, *because: Cause, **facts: str) -> Finding:
    """Return a finding with the facts, and a cause, that its sentence tells."""
    wanted = {name for _, name, _, _ in Formatter().parse(FINDINGS[code]) if name}
    usual = {name: FACTS[name] for name in sorted(wanted - {WHY})}
    if code == "caa":
        usual["record"] = FACTS["record"]
    causes = (because or CAUSES.get(code, FAILING)) if WHY in wanted else ()
    return Finding(code, tuple((usual | facts).items()), code not in NOT_GRAVE, causes)


ANSWERED = cause("answered", status="404 Not Found")
ELSEWHERE = finding("elsewhere", ANSWERED)


def evidence(
    *findings: Finding, at: datetime = NOON - timedelta(hours=1), **more: object
) -> Evidence:
    """Return what a look found."""
    usual: dict[str, object] = {"addresses": ("198.51.100.7",), "source": "authoritative"}
    return Evidence(at, findings=findings, **usual | more)  # type: ignore[arg-type]


def waiting(
    name: str = LATE, *findings: Finding, since: datetime = NOON - 2 * DAY, **more: object
) -> NameState:
    """Return a name that has been in trouble since then."""
    known = NameState(
        name,
        NOON + timedelta(hours=2),
        evidence(*(findings or (ELSEWHERE,))),
        looks=7,
        bad_since=since,
    )
    return replace(known, **more)  # type: ignore[arg-type]


def refused(name: str = LATE, problem: str = f"{URN}:dns", **more: object) -> NameState:
    """Return a name that the authority refused, although nothing was wrong to see."""
    found = evidence()
    told = Refusal(
        at=NOON - timedelta(hours=1),
        since=NOON - 2 * DAY,
        count=3,
        again=NOON + timedelta(hours=3),
        problem=problem,
        words="DNS problem: NXDOMAIN looking up A",
        mark=found.mark,
    )
    return replace(NameState(name, NOON + timedelta(hours=3), found, told), **more)  # type: ignore[arg-type]


def moved(name: str = LATE, dropped: datetime = NOON - DAY) -> NameState:
    """Return a name that a certificate was renewed without."""
    return waiting(name, since=NOON - 6 * DAY, dropped=dropped)


def names(*known: NameState) -> NameStates:
    """Return what is known by name."""
    return by_name(known)


def by_name(known: Iterable[NameState]) -> dict[str, NameState]:
    """Return each by its name."""
    return {each.name: each for each in known}
