"""Health: what is CRITICAL, what a WARNING, and what neither, in proportion to a lifetime."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.names.states import NameState
from proxygen.plan.backoff import RememberedFailure, order_purpose, purpose_of
from proxygen.plan.observed import Installed, Observed, ServiceState
from proxygen.reports.health import ExpiryThresholds, Level, first_to_end, health_findings, nearness
from proxygen.services import ServiceSettings, WebFacts
from tests import models
from tests.certificates import DAY, NOON
from tests.failures import NO, too_old
from tests.known_names import HOST, LATE, by_name, finding, waiting
from tests.known_names import SITE as OF_NAMES
from tests.known_names import A as CUSTOMER

SITE = models.site(
    "global: {url: mail.example.net, certificate: selfsigned}\n"
    "domains: {a.example: {url: www.a.example, certificate: selfsigned}}\n"
)
HOUR = timedelta(hours=1)
OURS = Installed(generation="0")
FACTS = WebFacts("/usr/sbin/nginx", (1, 22), Path("/etc/nginx/nginx.conf"))
WELL = ServiceState("nginx", ServiceSettings(), facts=FACTS, installed=OURS, pid=1)


def observed(**more: object) -> Observed:
    """Return what is where all is well, changed."""
    bundles, services = models.bundles(SITE), {"nginx": WELL}
    return replace(Observed(bundles, services, {}), **more)  # type: ignore[arg-type]


def bundle(days: float, left: timedelta, issuer: str = "acme") -> Bundle:
    """Return a bundle with a lifetime of *days*, of which *left* is left at noon."""
    ends = NOON + left
    made = models.bundles(SITE)["a.example"]
    return replace(made, issuer=issuer, not_before=ends - days * DAY, not_after=ends)


def told(state: Observed) -> list[tuple[str, str]]:
    """Return what is found at noon."""
    return [(each.level.name, each.words) for each in health_findings(SITE, state, NOON)]


def test_nothing_is_said_where_all_is_well() -> None:
    assert told(observed()) == []


@pytest.mark.parametrize(
    ("days", "left", "level"),
    [
        (90, 31 * DAY, Level.OK),
        (90, 5 * DAY + HOUR, Level.OK),
        (90, 5 * DAY, Level.WARNING),
        (90, 2 * DAY + HOUR, Level.WARNING),
        (90, 2 * DAY, Level.CRITICAL),
        (45, 5 * DAY, Level.WARNING),
        (45, 2 * DAY, Level.CRITICAL),
        # 160 hours, renewed when 80 are left: the last 32 are late, the last 12.8 an emergency.
        (160 / 24, 79 * HOUR, Level.OK),
        (160 / 24, 33 * HOUR, Level.OK),
        (160 / 24, 32 * HOUR, Level.WARNING),
        (160 / 24, 13 * HOUR, Level.WARNING),
        (160 / 24, 12 * HOUR, Level.CRITICAL),
        (90, -HOUR, Level.CRITICAL),
    ],
)
def test_an_end_is_near_in_proportion_to_the_lifetime(
    days: float, left: timedelta, level: Level
) -> None:
    assert nearness(bundle(days, left), NOON, ExpiryThresholds()) == level


@pytest.mark.parametrize(
    ("left", "level"), [(15 * DAY, Level.OK), (14 * DAY, Level.WARNING), (2 * DAY, Level.CRITICAL)]
)
def test_a_supplied_certificate_is_told_about_earlier(left: timedelta, level: Level) -> None:
    assert nearness(bundle(365, left, "file"), NOON, ExpiryThresholds()) == level


def test_limits_that_are_given_win_but_an_ended_one_is_critical_whatever_they_are() -> None:
    limits = ExpiryThresholds(warning=20 * DAY, critical=10 * DAY)
    assert nearness(bundle(90, 21 * DAY), NOON, limits) == Level.OK
    assert nearness(bundle(90, 20 * DAY), NOON, limits) == Level.WARNING
    assert nearness(bundle(90, 10 * DAY), NOON, limits) == Level.CRITICAL
    assert nearness(bundle(90, DAY), NOON, ExpiryThresholds(0 * DAY, 0 * DAY)) == Level.OK
    assert nearness(bundle(90, -DAY), NOON, ExpiryThresholds(0 * DAY, 0 * DAY)) == Level.CRITICAL


WANTED = next(each for each in SITE.certificates if each.owner == "a.example")
REFUSED = RememberedFailure(
    *("a.example", NOON, NOON - DAY, 3, NOON + DAY, NO),
    purpose=order_purpose(WANTED),
)


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({"bundles": {}}, "CRITICAL", "there is no global certificate yet"),
        (
            {"bundles": models.bundles(SITE) | {GLOBAL: models.stand_in(SITE)}},
            "CRITICAL",
            "the global certificate is a self-signed stand-in",
        ),
        ({"services": {"nginx": replace(WELL, pid=None)}}, "CRITICAL", "nginx is not running"),
        (
            {"services": {"nginx": replace(WELL, pid=None, refusal="nginx: [emerg] x")}},
            "CRITICAL",
            "nginx is not running: nginx refuses proxygen's part of its configuration: "
            "nginx: [emerg] x: run `proxygen apply`",
        ),
        (
            {"services": {"nginx": replace(WELL, refusal="nginx: [emerg] x")}},
            "CRITICAL",
            "nginx refuses proxygen's part of its configuration: nginx: [emerg] x: "
            "run `proxygen apply`",
        ),
        (
            {"services": {"nginx": replace(WELL, installed=replace(OURS, unserved=True))}},
            "CRITICAL",
            "nginx does not serve the right certificate",
        ),
        (
            {
                "services": {
                    "nginx": ServiceState("nginx", ServiceSettings(), error=too_old("nginx"))
                }
            },
            "CRITICAL",
            "nginx: nginx 2.2 is too old",
        ),
        (
            {"services": {"nginx": replace(WELL, installed=Installed())}},
            "WARNING",
            "nginx is not yet set up by proxygen",
        ),
        (
            {"failures": {"a.example": REFUSED}},
            "WARNING",
            "a.example: not obtained since 2026-11-19: the secret env:KEY cannot be read: no",
        ),
        (
            {"bundles": {GLOBAL: models.bundles(SITE)[GLOBAL]}},
            "WARNING",
            "a.example: no certificate yet",
        ),
        (
            {"bundles": models.bundles(SITE) | {"a.example": bundle(90, 27 * DAY)}},
            "WARNING",
            "a.example: renewal due since 2026-11-17",
        ),
        (
            {"bundles": models.bundles(SITE) | {"a.example": bundle(90, 3 * DAY)}},
            "WARNING",
            "a.example: expires in 3 days",
        ),
        (
            {"bundles": models.bundles(SITE) | {"a.example": bundle(90, 30 * HOUR)}},
            "CRITICAL",
            "a.example: expires in 30 hours",
        ),
        (
            {"abandoned": ("dovecot",)},
            "WARNING",
            "dovecot is no longer in `services`; its certificate will expire",
        ),
        (
            {"gone": ("dovecot",)},
            "WARNING",
            "dovecot was set up by proxygen, but is not on this host any more: "
            "run `proxygen uninstall dovecot`",
        ),
    ],
)
def test_what_is_wrong_is_told(change: dict[str, object], level: str, words: str) -> None:
    assert (level, words) in told(observed(**change))


def test_a_renewal_that_is_a_few_hours_late_is_none() -> None:
    late = bundle(90, 30 * DAY - 24 * HOUR)
    assert told(observed(bundles=models.bundles(SITE) | {"a.example": late})) == []


def test_the_gravest_stands_first() -> None:
    state = observed(services={"nginx": replace(WELL, pid=None)}, failures={"a.example": REFUSED})
    assert [level for level, _ in told(state)] == ["CRITICAL", "WARNING"]


def test_a_failure_of_what_nobody_wants_any_more_is_not_told() -> None:
    assert told(observed(failures={"gone.example": replace(REFUSED, of="gone.example")})) == []


def test_the_first_to_end_is_one_that_is_wanted() -> None:
    soon = replace(bundle(90, DAY), owner="gone.example")
    state = observed(bundles=models.bundles(SITE) | {"gone.example": soon})
    first = first_to_end(SITE, state)
    assert first is not None
    assert first.owner == GLOBAL


@pytest.mark.parametrize(
    "stale",
    [
        replace(REFUSED, again=NOON - 2 * DAY - HOUR),
        replace(REFUSED, purpose="of what was wanted before"),
    ],
)
def test_a_failure_that_tells_nothing_about_now_is_not_told(stale: RememberedFailure) -> None:
    assert told(observed(failures={"a.example": stale})) == []


def test_an_authority_is_told_while_it_is_left_alone() -> None:
    of = SITE.acme.directory
    away = replace(REFUSED, of=of, purpose=purpose_of(SITE.acme))
    words = f"{of} has issued nothing since 2026-11-19 12:00 UTC: {NO.what}"
    assert told(observed(authority_failures={of: away})) == [("WARNING", words)]
    for stale in (replace(away, again=NOON - 90 * DAY), replace(away, purpose="asked otherwise")):
        assert told(observed(authority_failures={of: stale})) == []


def of_names(book: dict[str, list[NameState]], **left: Bundle) -> list[tuple[str, str]]:
    """Return what is found where something is known of names; *left*: what is stored instead."""
    stored = models.bundles(OF_NAMES)
    bundles = {
        key: left.get(key.partition(".")[0].replace("-", "_"), stored[key]) for key in stored
    }
    names = {owner: by_name(known) for owner, known in book.items()}
    state = Observed({key: each for key, each in bundles.items() if each}, {}, {}, names=names)
    return [(each.level.name, each.words) for each in health_findings(OF_NAMES, state, NOON)]


def issued(left: timedelta) -> Bundle:
    """Return the certificate of the customer, that long before its end."""
    wanted = next(each for each in OF_NAMES.certificates if each.owner == CUSTOMER)
    return models.bundle(wanted, ends=NOON + left)


def test_a_customers_wrong_dns_wakes_nobody() -> None:
    assert of_names({CUSTOMER: [waiting(LATE), waiting(HOST)]}) == []
    for left in (DAY, -DAY):
        book = {CUSTOMER: [waiting(HOST)]}
        assert of_names(book, customer_a=issued(left)) == []
        assert of_names({}, customer_a=issued(left))
    assert of_names({CUSTOMER: [waiting(HOST)]}, customer_a=None) == []  # type: ignore[arg-type]
    assert of_names({}, customer_a=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", ["not-answered", "acme-challenge"])
def test_what_is_wrong_here_is_told_whoever_the_name_belongs_to(code: str) -> None:
    book = {CUSTOMER: [waiting(HOST, finding(code))]}
    (found,) = of_names(book, customer_a=issued(DAY))
    assert found[0] == "CRITICAL"


def test_the_names_of_the_global_url_are_the_operators_own() -> None:
    name = "smtp.example.net"
    assert of_names({GLOBAL: [waiting(name, since=NOON - DAY + HOUR)]}) == []
    ((level, words),) = of_names({GLOBAL: [waiting(name, since=NOON - DAY)]})
    assert level == "WARNING"
    assert f"global: issued: {name}: until" in words
    assert "cannot be proven now: the A record 198.51.100.7" in words
    bundle = models.bundles(OF_NAMES)[GLOBAL]
    late = replace(bundle, names=("mail.example.net",))
    ((level, words),) = of_names({GLOBAL: [waiting(name)]}, **{GLOBAL: late})
    assert (level, f"waiting for DNS: {name}: the A record" in words) == ("WARNING", True)
