"""The records that a model needs: complete, and right as zone files."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from proxygen.host.suffixes import registered_domain
from proxygen.model.schema import DIRECTORIES
from proxygen.model.site import Site
from proxygen.names.states import Evidence
from proxygen.plan.records import (
    CaaIssuer,
    DnsRecord,
    Presence,
    Publishing,
    presence_of,
    quoted_strings,
    records,
    zone_fragment,
)
from tests.certificates import NOON
from tests.known_names import ELSEWHERE, HOST, LATE, SITE, TEXT, A, finding
from tests.models import site

LETSENCRYPT = DIRECTORIES["letsencrypt"]
ACCOUNT = "https://acme-v02.api.letsencrypt.org/acme/acct/1"
KNOWN = {LETSENCRYPT: CaaIssuer("letsencrypt.org", ACCOUNT)}
PUBLISHING = Publishing(("192.0.2.1", "2001:db8::1"), KNOWN, registered_domain)
SOLVERS = "solvers: {ours: {exec: {program: /bin/true}}}\n"


def lines(of: Site = SITE, told: Publishing = PUBLISHING) -> set[tuple[str, str, str]]:
    """Return each record that a site needs."""
    return {(each.name, each.type, each.value) for each in records(of, told)}


def test_names_lead_here_by_an_alias_where_they_may_be_one_and_else_by_addresses() -> None:
    found = lines()
    assert (HOST, "CNAME", "mail.example.net.") in found
    assert ("mail.customer-b.example", "CNAME", "mail.example.net.") in found
    for name in ("mail.example.net", "smtp.example.net", A, "xn--bcher-kva.example"):
        assert (name, "A", "192.0.2.1") in found
        assert (name, "AAAA", "2001:db8::1") in found
        assert (name, "CNAME", "mail.example.net.") not in found


def test_a_domain_below_another_that_gets_mail_is_no_alias() -> None:
    text = TEXT + "  dept.uni.example: {url: dept.uni.example}\n"
    found = {kind for name, kind, _ in lines(site(text)) if name == "dept.uni.example"}
    assert found == {"A", "AAAA"}


def test_without_addresses_only_aliases_are_known() -> None:
    found = {kind for _, kind, _ in lines(told=replace(PUBLISHING, addresses=()))}
    assert found == {"CNAME", "CAA"}


def test_an_address_that_a_certificate_names_needs_no_record() -> None:
    text = TEXT.replace("[smtp.example.net]", "[192.0.2.1]").replace(
        "acme: {", "acme: {directory: 'https://ca.example/dir', "
    )
    assert not [each for each in lines(site(text)) if each[0] == "192.0.2.1"]


def test_authorities_in_use_are_allowed_at_the_registered_domain_and_nowhere_else() -> None:
    found = {(name, value) for name, kind, value in lines() if kind == "CAA"}
    value = '0 issue "letsencrypt.org"'
    assert found == {
        ("example.net", value),
        (A, value),
        ("xn--bcher-kva.example", value),
    }


def test_strict_caa_names_account_and_challenges() -> None:
    more = f"  more.{A}: {{url: more.{A}, certificate: acme, challenge: dns-01}}\n"
    told = lines(site(TEXT + more + SOLVERS), replace(PUBLISHING, strict=True))
    found = {name: value for name, kind, value in told if kind == "CAA"}
    begin = f'0 issue "letsencrypt.org; accounturi={ACCOUNT}; validationmethods='
    assert found["example.net"] == f'{begin}http-01"'
    assert found[A] == f'{begin}http-01,dns-01"'


def test_an_authority_of_which_the_name_is_not_known_is_left_out() -> None:
    assert "CAA" not in {kind for _, kind, _ in lines(told=replace(PUBLISHING, identities={}))}


def test_the_record_of_dns_persist_01_names_our_account_and_wildcards() -> None:
    text = TEXT.replace("    language: de\n", "    challenge: dns-persist-01\n")
    text = text.replace("bücher.example", f"'*.{A}'")
    found = {name: value for name, kind, value in lines(site(text)) if kind == "TXT"}
    plain = f"letsencrypt.org; accounturi={ACCOUNT}"
    assert found == {
        f"_validation-persist.{HOST}": f'"{plain}"',
        f"_validation-persist.{LATE}": f'"{plain}"',
        f"_validation-persist.{A}": f'"{plain}; policy=wildcard"',
    }


def test_challenges_are_delegated_once_for_a_name_and_its_wildcard() -> None:
    text = TEXT.replace("    language: de\n", "    challenge: dns-01\n")
    text = text.replace("bücher.example", f"'*.{A}'") + SOLVERS
    told = replace(PUBLISHING, zone="acme.example.net")
    found = [each for each in records(site(text), told) if each.name.startswith("_acme")]
    assert {(each.name, each.value) for each in found} == {
        (f"_acme-challenge.{name}", f"{name}.acme.example.net.") for name in (HOST, LATE, A)
    }
    assert len(found) == 3
    assert not [each for each in records(site(text), PUBLISHING) if each.name.startswith("_")]


def test_only_the_records_of_some_owners() -> None:
    found = records(SITE, PUBLISHING, {"customer-b.example"})
    assert [each.name for each in found] == ["mail.customer-b.example"]


def test_a_long_text_is_several_strings() -> None:
    assert quoted_strings("x" * 300) == '"' + "x" * 255 + '" "' + "x" * 45 + '"'
    assert quoted_strings('a"b\\') == '"a\\"b\\\\"'


ALIAS = DnsRecord(HOST, "CNAME", "mail.example.net.", (A,), (HOST,))
OURS = DnsRecord(A, "A", "192.0.2.1", (A,), (A,))
CAA = DnsRecord(A, "CAA", '0 issue "letsencrypt.org"', (A,), (HOST, A))
STRICT = replace(CAA, value='0 issue "letsencrypt.org; validationmethods=http-01"')
PERSIST = DnsRecord(f"_validation-persist.{A}", "TXT", '"x"', (A,), (A,))
HERE = ("192.0.2.1",)


@pytest.mark.parametrize(
    ("record", "found", "expected"),
    [
        (ALIAS, Evidence(NOON, HERE, ("mail.example.net",)), Presence.THERE),
        (ALIAS, Evidence(NOON, HERE), Presence.OTHERWISE),
        (ALIAS, Evidence(NOON, ("198.51.100.7",), findings=(ELSEWHERE,)), Presence.MISSING),
        (ALIAS, Evidence(NOON, findings=(finding("nxdomain"),)), Presence.MISSING),
        (OURS, Evidence(NOON, HERE), Presence.THERE),
        (
            OURS,
            Evidence(NOON, ("198.51.100.7",), findings=(finding("through-proxy"),)),
            Presence.OTHERWISE,
        ),
        (OURS, Evidence(NOON, findings=(finding("cannot-look"),)), Presence.UNKNOWN),
        (OURS, None, Presence.UNKNOWN),
        (OURS, Evidence(NOON, findings=(finding("servers-silent"),)), Presence.UNKNOWN),
        (ALIAS, Evidence(NOON, findings=(finding("servfail"),)), Presence.UNKNOWN),
        (OURS, Evidence(NOON, HERE, findings=(finding("servfail"),)), Presence.THERE),
        (CAA, Evidence(NOON, findings=(finding("nxdomain"),)), Presence.UNKNOWN),
        (CAA, Evidence(NOON, HERE, findings=(finding("caa-lookup"),)), Presence.UNKNOWN),
        (OURS, Evidence(NOON, HERE, findings=(finding("caa-lookup"),)), Presence.THERE),
        (PERSIST, Evidence(NOON, findings=(finding("dnssec"),)), Presence.UNKNOWN),
        (CAA, Evidence(NOON, HERE), Presence.OPTIONAL),
        (CAA, Evidence(NOON, caa=('0 issue "letsencrypt.org"',)), Presence.THERE),
        (CAA, Evidence(NOON, caa=('0 issue "LetsEncrypt.org;a=b"',)), Presence.OTHERWISE),
        (CAA, Evidence(NOON, findings=(finding("caa"),)), Presence.MISSING),
        (STRICT, Evidence(NOON, HERE), Presence.MISSING),
        (PERSIST, Evidence(NOON, findings=(finding("persist"),)), Presence.MISSING),
        (PERSIST, Evidence(NOON), Presence.THERE),
    ],
)
def test_whether_a_record_is_there(
    record: DnsRecord, found: Evidence | None, expected: Presence
) -> None:
    looked = {(A, name): found for name in record.names} if found else {}
    assert presence_of(record, looked, HERE) is expected


def fragments(text: str) -> dict[str, str]:
    """Return what a fragment has for each domain."""
    parts = text.split("$ORIGIN ")[1:]
    return {part.partition("\n")[0].removesuffix("."): f"$ORIGIN {part}" for part in parts}


@pytest.mark.skipif(not shutil.which("named-checkzone"), reason="needs named-checkzone")
@pytest.mark.parametrize("strict", [False, True])
def test_the_fragment_is_a_zone_that_bind_takes(tmp_path: Path, strict: bool) -> None:
    text = TEXT.replace("    language: de\n", "    challenge: dns-persist-01\n")
    text = text.replace("bücher.example", f"bücher.example, '*.{A}'")
    told = replace(PUBLISHING, strict=strict, zone="acme.example.net")
    found = records(site(text), told)
    parts = fragments(zone_fragment(found, registered_domain, ("made by a test",)))
    assert set(parts) == {A, "customer-b.example", "example.net", "xn--bcher-kva.example"}
    dumped = ""
    for domain, part in parts.items():
        file = tmp_path / domain
        soa = "@ 60 IN SOA ns.example.org. admin.example.org. 1 60 60 60 60\n"
        file.write_text(f"$ORIGIN {domain}.\n{soa}@ 60 IN NS ns.example.org.\n{part}")
        run = subprocess.run(
            ["named-checkzone", "-D", "-i", "local", domain, file],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr + run.stdout
        dumped += run.stdout
    for each in found:
        at = [line.split() for line in dumped.splitlines() if line.startswith(f"{each.name}.")]
        assert any(line[1:4] == ["3600", "IN", each.type] for line in at), each


def test_remarks_are_comments_and_the_same_record_stands_once() -> None:
    text = zone_fragment(
        [ALIAS, replace(ALIAS, owners=("x.example",))], registered_domain, ("one", "two")
    )
    assert text.splitlines()[:2] == ["; one", "; two"]
    assert text.count("CNAME") == 1
    assert LATE not in text
