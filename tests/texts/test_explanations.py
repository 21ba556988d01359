"""A text about a name to forward: whole, in three languages, whatever was found.

``GOLDEN=update pytest tests/texts/test_explanations.py`` writes the looked-at copies anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from string import Formatter

import pytest

from proxygen.host import languages
from proxygen.host.suffixes import registered_domain
from proxygen.languages.language import Language
from proxygen.model.certificate import Bundle
from proxygen.names.causes import cause
from proxygen.names.states import Evidence, Finding, NameState
from proxygen.plan.records import CaaIssuer, Publishing
from proxygen.texts.explanations import WIDTH, explanation
from proxygen.texts.names import model_names
from proxygen.texts.remedies import NEEDED, REASONS, NameWords
from tests.certificates import NOON
from tests.known_names import (
    ELSEWHERE,
    FINDINGS,
    HOST,
    LATE,
    NOT_GRAVE,
    SITE,
    TEXT,
    URN,
    A,
    evidence,
    finding,
    moved,
    refused,
    waiting,
)
from tests.mails import noting_language
from tests.models import bundle, site

GOLDEN = Path(__file__).parents[1] / "golden/explanations"
CODES = languages.known_codes()
PUBLISHING = Publishing(
    ("192.0.2.1", "2001:db8::1"),
    {SITE.acme.directory: CaaIssuer("letsencrypt.org", "https://ca.example/acct/1")},
    registered_domain,
)
WANTED = next(each for each in SITE.certificates if each.owner == A)
REST = replace(WANTED, names=tuple(each for each in WANTED.names if each != LATE))
SOLVERS = "solvers: {ours: {exec: {program: /bin/true}}}\n"
PERSIST = TEXT.replace("    language: de\n", "    challenge: dns-persist-01\n")
DNS = TEXT.replace("    language: de\n", "    challenge: dns-01\n") + SOLVERS
SKIPPED = TEXT.replace("    language: de\n", "    skip_preflight: true\n")
WILD = DNS.replace("bücher.example", f"'*.{A}'")


def told(
    known: NameState | None = None,
    code: str | Language = "en",
    *,
    of: str = TEXT,
    name: str = LATE,
    issued: Bundle | None = None,
    publishing: Publishing = PUBLISHING,
) -> str:
    """Return the text about one name."""
    model = site(of)
    book = {A: {known.name: known}} if known else {}
    every = model_names(model, {A: issued} if issued else {}, book, NOON)
    one = next(each for each in every if each.name == name)
    language = languages.load(code) if isinstance(code, str) else code
    return explanation(one, model, publishing, language, NOON)


def placeholders(phrase: str) -> set[str]:
    """Return the names of a phrase's placeholders."""
    return {name for _, name, _, _ in Formatter().parse(phrase) if name}


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("found", sorted(FINDINGS))
def test_every_finding_has_its_words_in_every_language(found: str, code: str) -> None:
    phrases = languages.load(code).phrases
    facts = placeholders(FINDINGS[found]) | {"host", "server"}
    for key in (f"finding.{found}", f"needed.{NEEDED.get(found, found)}"):
        assert placeholders(phrases[key]) <= facts, key
        assert placeholders(phrases[key]) == placeholders(languages.load("en").phrases[key])


@pytest.mark.parametrize("code", CODES)
def test_no_finding_is_told_that_nobody_finds(code: str) -> None:
    phrases = languages.load(code).phrases
    assert {key.partition(".")[2] for key in phrases if key.startswith("finding.")} == set(FINDINGS)
    needed = {NEEDED.get(each, each) for each in FINDINGS}
    assert {key.partition(".")[2] for key in phrases if key.startswith("needed.")} == needed


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("found", sorted(set(FINDINGS) - NOT_GRAVE))
def test_a_text_about_any_finding_is_whole(found: str, code: str) -> None:
    text = told(waiting(LATE, finding(found)), code)
    assert not re.search(r"[{}]|None|Undefined|\bState\.", text)
    assert (
        NameWords(languages.load(code), "mail.example.net").found(LATE, finding(found))[:20] in text
    )
    assert text.endswith("\n")
    longest = max(text.splitlines(), key=len)
    assert len(longest) <= WIDTH or longest.startswith("    "), longest


@pytest.mark.parametrize("code", CODES)
def test_what_was_stored_without_its_facts_is_told_without_them(code: str) -> None:
    for found in sorted(FINDINGS):
        assert told(waiting(LATE, Finding(found)), code)


@pytest.mark.parametrize("problem", [*REASONS, "unheardOf"])
def test_what_the_authority_said_is_quoted_with_what_to_do(problem: str) -> None:
    for code in CODES:
        text = told(refused(problem=f"{URN}:{problem}"), code)
        assert "    | DNS problem: NXDOMAIN looking up A" in text
        assert not re.search(r"[{}]|None", text)


def test_the_exact_records_stand_there_with_how_to_check_them() -> None:
    text = told(waiting())
    assert f"    {LATE}. 3600 IN A 192.0.2.1\n    {LATE}. 3600 IN AAAA 2001:db8::1\n" in text
    assert f"    {LATE}. 3600 IN CNAME mail.example.net.\n" in text
    assert f"    dig +short A {LATE} @8.8.8.8\n        192.0.2.1\n" in text
    assert f"    dig +short AAAA {LATE} @8.8.8.8\n        2001:db8::1\n" in text
    assert "2026-11-20 14:00 UTC" in text  # the next look
    assert f"    {LATE}. IN A 198.51.100.7\n" in text  # as found


def test_an_apex_is_not_offered_an_alias_and_no_aaaa_is_to_be_there_without_ipv6() -> None:
    four = replace(PUBLISHING, addresses=("192.0.2.1",))
    text = told(waiting(A), name=A, publishing=four)
    assert "CNAME mail" not in text
    assert f"dig +short AAAA {A} @8.8.8.8\n        (nothing)\n" in text


def test_without_known_addresses_those_of_the_global_name_are_the_measure() -> None:
    none = replace(PUBLISHING, addresses=())
    assert "CNAME mail.example.net." in told(waiting(), publishing=none)
    text = told(waiting(A), name=A, publishing=none)
    assert "the same addresses as mail.example.net" in " ".join(text.split())
    assert "(the same as: dig +short A mail.example.net)" in text


def test_the_caa_record_that_is_missing_stands_there() -> None:
    text = told(waiting(LATE, finding("caa")))
    assert f'    {A}. 3600 IN CAA 0 issue "letsencrypt.org"\n' in text
    assert f'dig +short CAA {A} @8.8.8.8\n        0 issue "letsencrypt.org"\n' in text
    assert 'letsencrypt.org"\n        (there may be other CAA records as well)\n' in text


def test_records_that_were_found_are_lines_of_a_zone_file() -> None:
    found = evidence(finding("caa"), chain=("edge.example.org",), caa=('0 issue "ca.example"',))
    text = told(replace(waiting(), evidence=found))
    assert (
        f"    {LATE}. IN CNAME edge.example.org.\n"
        "    edge.example.org. IN A 198.51.100.7\n"
        f'    {A}. IN CAA 0 issue "ca.example"\n'
    ) in text
    unsaid = replace(found, findings=(ELSEWHERE,))  # nobody noted at which name they stand
    assert "IN CAA" not in told(replace(waiting(), evidence=unsaid))


def test_for_dns_01_the_delegation_and_not_where_the_name_leads() -> None:
    lost = finding("acme-challenge", name=f"_acme-challenge.{LATE}")
    text = told(waiting(LATE, lost), of=DNS)
    assert f"dig +short CNAME _acme-challenge.{LATE} @8.8.8.8" in text
    assert "IN A 192" not in text
    there = replace(PUBLISHING, zone="acme.example.net")
    text = told(waiting(LATE, lost), of=DNS, publishing=there)
    assert f"    _acme-challenge.{LATE}. 3600 IN CNAME {LATE}.acme.example.net.\n" in text


def test_for_dns_persist_01_the_record() -> None:
    record = "letsencrypt.org; accounturi=https://ca.example/acct/1"
    place = f"_validation-persist.{LATE}"
    text = told(waiting(LATE, finding("persist", name=place, record=record)), of=PERSIST)
    assert f'    {place}. 3600 IN TXT "{record}"\n' in text
    assert f'dig +short TXT {place} @8.8.8.8\n        "{record}"\n' in text
    text = told(name=HOST, of=PERSIST)  # not looked at yet
    assert f'    _validation-persist.{HOST}. 3600 IN TXT "{record}"\n' in text


def test_a_long_record_for_dns_persist_01_is_not_cut() -> None:
    """The account's URL is the authority's choice, and a part of it would name nobody's account."""
    account = f"https://ca.example/{'a' * 600}"
    record = f"ca.example; accounturi={account}; policy=wildcard"
    place = f"_validation-persist.{LATE}"
    text = told(waiting(LATE, finding("persist", name=place, record=record)), of=PERSIST)
    (line,) = (each for each in text.splitlines() if f"{place}. 3600 IN TXT" in each)
    strings = re.findall(r'"([^"]*)"', line)
    assert "".join(strings) == record
    assert max(map(len, strings)) <= 255
    assert f"        {line.partition(' TXT ')[2]}\n" in text  # what `dig` must print
    assert len(told(waiting(LATE, finding("persist", name=place, record="a" * 99_999)))) < 20_000


def test_a_name_that_is_fine_says_so_and_asks_for_nothing() -> None:
    text = told(issued=bundle(WANTED))
    assert "needs no attention" in text
    assert "IN A" not in text
    assert "dig" not in text
    assert "is ready for a certificate" in told(NameState(LATE, NOON, Evidence(NOON)))


def test_a_name_that_is_covered_and_could_not_be_renewed_is_told_until_when() -> None:
    text = " ".join(told(waiting(), issued=bundle(WANTED)).split())
    assert "at present it cannot be renewed" in text
    assert "198.51.100.7" in text


def test_names_that_nobody_checks_are_told_as_such() -> None:
    assert "not checked before" in " ".join(told(waiting(), of=SKIPPED).split())
    text = told(name="mail.customer-b.example")
    assert "served with the certificate of mail.example.net" in " ".join(text.split())
    for certificate in ("{file: {certificate: a.pem}}", "selfsigned", "hook"):
        of = TEXT.replace("    certificate: acme\n", f"    certificate: {certificate}\n")
        assert "Nothing" not in told(of=of)


def test_a_name_that_moved_away_is_told_that_it_may_be_meant() -> None:
    text = " ".join(told(moved(), issued=bundle(REST)).split())
    assert "renewed without it on 2026-11-19 12:00 UTC. If this is intended" in text


def test_of_a_wildcard_a_name_that_it_stands_for_is_looked_up() -> None:
    wild = f"*.{A}"
    text = told(waiting(wild, finding("nxdomain")), of=WILD, name=wild)
    assert f"    {wild}. 3600 IN CNAME mail.example.net.\n" in text
    assert f"dig +short A check.{A} @8.8.8.8" in text


def test_what_others_said_can_do_no_harm() -> None:
    evil = finding(
        "elsewhere", cause("said", words="\x1b[31m\nIgnore the above. {name}" + "x" * 9000)
    )
    text = told(waiting(LATE, evil))
    assert "\x1b" not in text
    assert len(text) < 6000
    many = evidence(ELSEWHERE, addresses=("198.51.100.7",) * 900, chain=("a\nb",) * 900)
    assert len(told(replace(waiting(), evidence=many))) < 6000


EXPIRED = cause(
    "zone",
    cause(
        "server",
        cause("expired", type="DNSKEY", at="2026-11-18T06:30:00+00:00"),
        server="ns1.example.org (203.0.113.53)",
    ),
    zone=A,
)
CASES: Mapping[str, dict[str, object]] = {
    "elsewhere-and-caa": {"known": waiting(LATE, ELSEWHERE, finding("caa"))},
    "nxdomain": {"known": waiting(A, finding("nxdomain")), "name": A},
    "dnssec": {"known": waiting(LATE, finding("dnssec", EXPIRED))},
    "refused": {"known": refused()},
    "moved": {"known": moved(), "issued": bundle(REST)},
    "issued": {"issued": bundle(WANTED)},
}


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", CASES)
def test_a_text_is_as_it_was_reviewed(name: str, code: str) -> None:
    text = told(code=code, **CASES[name])  # type: ignore[arg-type]
    path = GOLDEN / f"{name}-{code}.txt"
    if os.environ.get("GOLDEN") == "update":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def everything() -> Iterator[dict[str, object]]:
    """Yield cases that make use of all that can be told."""
    yield from CASES.values()
    yield {"known": refused(problem="")}
    for found in sorted(FINDINGS):
        yield {"known": waiting(LATE, finding(found))}
    yield {"known": waiting(LATE, finding("acme-challenge")), "of": DNS}
    yield {"known": waiting(), "of": SKIPPED}
    yield {"known": NameState(LATE, NOON, Evidence(NOON))}
    yield {"known": waiting(), "issued": bundle(WANTED)}
    yield {"known": waiting(A), "name": A, "publishing": replace(PUBLISHING, addresses=())}
    yield {"publishing": replace(PUBLISHING, addresses=("192.0.2.1",))}
    yield {"name": "mail.customer-b.example"}
    yield {"of": PERSIST}
    for each in ("{file: {certificate: a.pem}}", "selfsigned"):
        yield {"of": TEXT.replace("    certificate: acme\n", f"    certificate: {each}\n")}


@pytest.mark.parametrize("code", CODES)
def test_every_phrase_of_explanations_is_of_use(code: str) -> None:
    language, used = noting_language(code)
    for case in everything():
        told(code=language, **case)  # type: ignore[arg-type]
    assert {each for each in language.phrases if each.startswith("explain.")} <= used


@pytest.mark.parametrize("code", ["servfail", "servers-silent", "no-delegation", "caa-lookup"])
def test_a_command_to_copy_runs_nothing_else(code: str) -> None:
    """A zone has the name that its owner likes, which is not always the reader of the text."""
    zone = "|{touch,it}|sh.evil.test"
    text = told(waiting(LATE, finding(code, zone=zone, domain=zone)))
    (command,) = (line for line in text.splitlines() if "evil" in line and " dig " in line)
    assert f" '{zone}' " in command
