"""What is worth a warning although nothing failed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.model.site import Site
from proxygen.names.states import NameState
from proxygen.plan.backoff import order_purpose
from proxygen.plan.observed import Observed, ServiceState
from proxygen.services import Additions, ServiceSettings, WebFacts
from proxygen.texts.bounds import bounded_warnings
from proxygen.texts.warnings import site_warnings, without_addresses
from tests.certificates import DAY, NOON
from tests.failures import NO, too_old
from tests.known_names import HOST, LATE, A, by_name, finding, moved, refused, waiting
from tests.known_names import SITE as OF_NAMES
from tests.mails import remembered_failure
from tests.models import bundle, bundles, site, stand_in

TEXT = """\
global: {url: mail.example.net, certificate: selfsigned}
domains:
  own.example: {url: www.own.example, certificate: selfsigned}
  shared.example: {url: www.shared.example, extra_names: [b.shared.example]}
  none.example: {}
"""
SITE = site(TEXT)
ALL = bundles(SITE)
FACTS = WebFacts("/usr/sbin/nginx", (1, 22, 1), Path("/etc/nginx/nginx.conf"))


def told(
    of: Site = SITE, issued: dict[str, Bundle] | None = None, *states: ServiceState
) -> tuple[str, ...]:
    """Return the warnings."""
    services = {state.name: state for state in states}
    return site_warnings(of, Observed(ALL if issued is None else issued, services, {}), NOON)


def test_names_that_the_global_certificate_does_not_cover_are_named_with_what_to_do() -> None:
    assert told() == (
        "shared.example: the global certificate is used for www.shared.example, b.shared.example, "
        "but does not cover these names, so browsers show a warning; set `certificate:` for the "
        "domain, or add the names to the global certificate",
    )


def test_a_domain_without_a_url_is_not_warned_about() -> None:
    assert not [words for words in told() if "none.example" in words]


def test_nothing_is_said_when_the_global_certificate_covers_all() -> None:
    covering = replace(ALL[GLOBAL], names=("*.shared.example", "mail.example.net"))
    assert told(issued=ALL | {GLOBAL: covering}) == ()


def test_a_certificate_that_is_not_there_yet_is_told_as_such() -> None:
    (own, _) = told(issued={GLOBAL: ALL[GLOBAL]})
    assert own.startswith("own.example: the global certificate is used for www.own.example")
    assert own.endswith("this ends once its own certificate is obtained")


def test_a_stand_in_is_told_once_and_not_for_every_name() -> None:
    (words,) = told(issued={GLOBAL: stand_in(SITE)})
    assert words.startswith("the global certificate is a self-signed stand-in")


def test_an_ended_certificate_is_told_before_what_is_less_grave() -> None:
    past = bundle(SITE.global_certificate, ends=NOON - DAY)
    assert told(issued=ALL | {GLOBAL: past})[0] == (
        "the certificate of global expired on 2026-11-19 12:00 UTC"
    )
    still = bundle(SITE.global_certificate, ends=NOON)
    assert not [words for words in told(issued=ALL | {GLOBAL: still}) if "expired" in words]


def test_a_thousand_names_are_ten_warnings_and_a_count() -> None:
    lines = "\n".join(f"  d{each}.example: {{url: w{each}.example}}" for each in range(1000))
    many = site(TEXT.partition("domains:")[0] + "domains:\n" + lines)
    found = [*bounded_warnings(site_warnings(many, Observed(bundles(many), {}, {}), NOON))]
    assert len(found) == 11
    assert found[-1] == "… and 990 more of this kind"


def test_services_that_do_not_run_or_work_against_us_are_told() -> None:
    warned = replace(FACTS, warnings=("smtpd_tls_cert_file is set",))
    running = ServiceState("postfix", ServiceSettings(), warned, pid=7)
    stopped = ServiceState("nginx", ServiceSettings(), FACTS)
    unusable = ServiceState("dovecot", ServiceSettings(), error=too_old())
    covering = {GLOBAL: replace(ALL[GLOBAL], names=("*.shared.example",))}
    assert told(SITE, ALL | covering, running, stopped, unusable) == (
        "smtpd_tls_cert_file is set",
        "nginx is not running; proxygen does not start services",
    )


def test_a_name_without_an_address_is_warned_about() -> None:
    nameless = {"app7.internal": "Name or service not known"}
    servers = '["http://app7.internal:8080", "http://10.0.0.1:80", "http://[::1]:80"]'
    text = f"{TEXT}backends: {{b: {{upstreams: {{web: {servers}}}}}}}\ndefaults: {{backend: b}}\n"
    many = site(text)
    seen = Observed(ALL, {}, {}, nameless=nameless)
    facts = replace(FACTS, addresses={"app7.internal": ("10.0.0.7",)})
    before = replace(seen, services={"nginx": ServiceState("nginx", ServiceSettings(), facts)})
    what = "backend b: no address found for app7.internal (Name or service not known); "
    remedy = "; correct the name, its DNS or /etc/hosts, then run `proxygen apply`"
    assert list(without_addresses(many, seen)) == [
        f"{what}it is left out, and requests that no other server accepts get status 502{remedy}"
    ]
    assert list(without_addresses(many, before)) == [
        f"{what}requests still go to 10.0.0.7, which it had last{remedy}"
    ]
    assert not list(without_addresses(many, Observed(ALL, {}, {})))


def test_a_name_that_nginx_looks_up_itself_is_warned_about() -> None:
    text = """\
# proxy_pass http://comment.example;
location /a { proxy_pass http://app.example:8080/x; }
location /b { proxy_pass http://10.0.0.1; grpc_pass grpc://proxygen.b.web; }
location /c { proxy_pass http://group; proxy_pass http://$host; return 200 "proxy_pass a.b;"; }
location /d { fastcgi_pass php.example:9000; proxy_pass http://unix:/run/x; }
location /e { proxy_pass http://late.example/$uri; set $to late.example; proxy_pass http://$to; }
location /f { proxy_pass
    "https://quoted.example"; }
location /g { memcached_pass cache.example:11211; }
"""
    added = Additions("own.example", (("own.conf", text),), "5" * 32)
    state = ServiceState(
        "nginx", ServiceSettings(), replace(FACTS, additions={"own.example": added}), pid=7
    )
    found = [words for words in told(SITE, ALL, state) if "looks up" in words]
    assert [words.partition(" when it starts")[0] for words in found] == [
        "nginx.d/own.example/own.conf:2: nginx looks up app.example",
        "nginx.d/own.example/own.conf:5: nginx looks up php.example",
        "nginx.d/own.example/own.conf:8: nginx looks up quoted.example",
        "nginx.d/own.example/own.conf:9: nginx looks up cache.example",
    ]
    assert all("resolver" in words for words in found)


def test_a_certificate_near_its_end_is_warned_about_with_its_last_failure() -> None:
    near = bundle(next(iter(SITE.certificates)), ends=NOON + 2 * DAY)
    covering = replace(near, names=("*.shared.example",))
    about = order_purpose(SITE.global_certificate)
    failed = remembered_failure(GLOBAL, failure=NO, purpose=about)
    seen = Observed(ALL | {GLOBAL: covering}, {}, {}, failures={GLOBAL: failed})
    assert site_warnings(SITE, seen, NOON) == (
        "the certificate of global expires on 2026-11-22 12:00 UTC; it has not been renewed "
        "yet: the secret env:KEY cannot be read: no",
    )


def test_a_supplied_certificate_near_its_end_is_warned_about() -> None:
    own = site("global: {url: a.example, certificate: {file: {certificate: a.pem}}}")
    near = bundle(own.global_certificate, ends=NOON + 29 * DAY)
    assert told(own, {GLOBAL: near}) == (
        "the certificate of global expires on 2026-12-19 12:00 UTC; a new one is needed",
    )


def of_names(*known: NameState, issued: dict[str, Bundle] | None = None) -> tuple[str, ...]:
    """Return the warnings about names of which something is known."""
    stored = bundles(OF_NAMES) if issued is None else issued
    return site_warnings(OF_NAMES, Observed(stored, {}, {}, names={A: by_name(known)}), NOON)


def unissued() -> dict[str, Bundle]:
    """Return all bundles but that of one domain."""
    return {key: each for key, each in bundles(OF_NAMES).items() if key != A}


def test_names_that_no_certificate_covers_are_warned_about_with_what_was_found() -> None:
    told = of_names(waiting(), issued=unissued())
    assert (
        f"{LATE} ({A}): waiting for DNS since 2026-11-18 12:00 UTC: the A record 198.51.100.7 "
        "points to another server (404 Not Found)"
    ) in told
    (line,) = (each for each in of_names(refused(), issued=unissued()) if "failed" in each)
    since = "2026-11-18 12:00 UTC"
    assert line.startswith(f"{LATE} ({A}): failed since {since}: the authority refused it: DNS")


def test_a_name_is_told_once_in_a_warning() -> None:
    for name in (LATE, A):
        known = waiting(name, finding("nxdomain", name=name, zone="zone.example"))
        (line,) = (each for each in of_names(known, issued=unissued()) if "zone" in each)
        assert line.count(name) == 1
        assert line.endswith(": it does not exist in the zone zone.example")


def test_a_name_that_moved_away_or_is_covered_still_is_not_warned_about() -> None:
    wanted = next(each for each in OF_NAMES.certificates if each.owner == A)
    rest = bundle(replace(wanted, names=tuple(set(wanted.names) - {LATE})))
    assert not [each for each in of_names(moved(), issued=unissued() | {A: rest}) if LATE in each]
    assert not [each for each in of_names(waiting()) if LATE in each]


def test_a_hundred_names_that_wait_are_ten_warnings_and_a_count() -> None:
    names = ", ".join(f"n{each}.x.example" for each in range(99))
    of = site(
        "global: {url: mail.example.net, certificate: acme}\n"
        "acme: {terms_of_service_agreed: true}\n"
        f"domains: {{x.example: {{url: x.example, extra_names: [{names}], certificate: acme}}}}\n"
    )
    book = {"x.example": by_name(waiting(f"n{each}.x.example") for each in range(99))}
    stored = {key: each for key, each in bundles(of).items() if key == GLOBAL}
    told = site_warnings(of, Observed(stored, {}, {}, names=book), NOON)
    assert sum("waiting for DNS" in each for each in told) == 99
    found = [*bounded_warnings(told)]
    assert sum("waiting for DNS" in each for each in found) == 10
    assert "… and 89 more of this kind" in found


def test_where_a_urls_dns_is_why_there_is_no_certificate_one_warning_is_enough() -> None:
    told = of_names(waiting(HOST), issued=unissued())
    assert sum(HOST in each for each in told) == 1


def test_a_certificate_that_ends_because_of_its_url_is_warned_about_with_what_was_found() -> None:
    wanted = next(each for each in OF_NAMES.certificates if each.owner == A)
    soon = bundles(OF_NAMES) | {A: bundle(wanted, ends=NOON + DAY)}
    (line,) = (each for each in of_names(waiting(HOST), issued=soon) if "expires on" in each)
    assert f"{HOST}: the A record 198.51.100.7 points to another server" in line


def test_of_one_that_ended_long_ago_and_whose_url_has_moved_nobody_hears_any_more() -> None:
    wanted = next(each for each in OF_NAMES.certificates if each.owner == A)
    for days, warned in ((27, True), (28, False)):
        issued = bundles(OF_NAMES) | {A: bundle(wanted, ends=NOON - days * DAY)}
        told = of_names(waiting(HOST, since=NOON - 60 * DAY), issued=issued)
        assert any(f"the certificate of {A} expired" in each for each in told) is warned
