"""Names that records prove: the zone of the record must be there, and a lasting record fit."""

from __future__ import annotations

import pytest

from proxygen.dns.answers import LookupFailure, LookupResult
from proxygen.model import persist
from proxygen.names.causes import cause
from proxygen.names.findings import finding_sentence
from proxygen.preflight import Asked, AuthorityIdentity
from tests.preflight.standins import ACCOUNT, PRIVATE_CA, Dns, evidence_found, only, told

RECORD = "_acme-challenge.shop.example"
NS1, X = (cause("said", words="ns1"),), (cause("said", words="x"),)
ALIAS = ("shop.acme.hoster.example",)


def by_dns(name: str = "shop.example") -> Asked:
    """Return a name to be proven by dns-01."""
    return Asked("shop.example", name, "dns-01", (PRIVATE_CA,), ("acme.hoster.example",))


def found(trouble: LookupFailure = LookupFailure.NONE, **more: object) -> LookupResult:
    """Return what there is where the record is to stand."""
    return LookupResult(RECORD, "TXT", failure=trouble, **({"zone": "shop.example"} | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "codes", "words"),
    [
        pytest.param(found(LookupFailure.NX_DOMAIN), [], "", id="no record yet"),
        pytest.param(found(records=("old",)), [], "", id="an old record"),
        pytest.param(found(LookupFailure.NX_DOMAIN, chain=ALIAS, zone="hoster.example"), [], "",
                     id="an alias, no record yet"),
        pytest.param(found(wildcard="web.other.example"), [("wildcard", False)],
                     "written at the name itself", id="a wildcard's alias"),
        pytest.param(found(wildcard="x.acme.hoster.example"), [], "",
                     id="a wildcard that leads to where records are written"),
        pytest.param(found(wildcard="web.other.example", dnssec=X[0]), [("dnssec", True)], "x",
                     id="a wildcard whose signature is wrong"),
        pytest.param(found(LookupFailure.NO_DELEGATION), [("no-delegation", True)],
                     "shop.example is not registered", id="not registered"),
        pytest.param(found(LookupFailure.SERVERS_SILENT, because=NS1), [("servers-silent", True)],
                     "do not answer (ns1)", id="silent"),
        pytest.param(found(LookupFailure.SERVERS_LAME, because=NS1), [("servers-lame", True)],
                     "do not serve the zone (ns1)", id="lame"),
        pytest.param(found(LookupFailure.SERVFAIL, because=X), [("servfail", True)], "error: x",
                     id="failing"),
        pytest.param(found(LookupFailure.NX_DOMAIN, dnssec=X[0]), [("dnssec", True)], "invalid: x",
                     id="dnssec"),
        pytest.param(found(LookupFailure.CANNOT_LOOK, because=X), [("cannot-look", False)], "x",
                     id="our own trouble"),
        pytest.param(found(LookupFailure.NO_DELEGATION, chain=ALIAS, zone=""),
                     [("acme-challenge", True)],
                     f"no record can be written for {RECORD}: its CNAME record points to {ALIAS[0]}"
                     ": hoster.example is not registered", id="an alias to nowhere"),
        pytest.param(found(LookupFailure.SERVERS_SILENT, chain=ALIAS, zone="hoster.example",
            because=NS1),
                     [("acme-challenge", True)], "hoster.example do not answer",
                     id="an alias to a dead zone"),
        pytest.param(found(LookupFailure.CNAME_LOOP, chain=(RECORD,)), [("acme-challenge", True)],
                     "form a loop", id="a circle"),
        pytest.param(found(LookupFailure.SERVERS_LAME, zone=RECORD, because=NS1),
                     [("acme-challenge", True)], "do not serve the zone",
                     id="a zone of its own that is dead"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["shop.example", "*.shop.example"])
def test_a_record_must_be_possible(
    name: str, answer: LookupResult, codes: list[tuple[str, bool]], words: str
) -> None:
    dns = Dns({(RECORD, "TXT"): answer})
    evidence = evidence_found(dns, by_dns(name))
    assert told(evidence) == codes
    assert all(words in finding_sentence(each) for each in evidence.findings)
    assert not [each for each in dns.asked if each[1] in ("A", "AAAA")]
    assert evidence.chain == answer.chain
    assert (("shop.example", "CAA") in dns.asked) is (evidence.grave is None)


def test_caa_is_judged_for_the_challenge_and_for_wildcards() -> None:
    def codes(record: str, name: str) -> list[tuple[str, bool]]:
        dns = Dns({("shop.example", "CAA"): ('0 issue "ca.test"', record)})
        return told(evidence_found(dns, by_dns(name)))

    assert codes('0 issuewild ";"', "*.shop.example") == [("caa", True)]
    assert codes('0 issuewild ";"', "shop.example") == []
    methods = '0 issuewild "ca.test; validationmethods={}"'
    assert codes(methods.format("http-01"), "*.shop.example") == [("caa", True)]
    assert codes(methods.format("dns-01"), "*.shop.example") == []


def test_a_wildcard_is_told_which_record_would_allow_it() -> None:
    dns = Dns({("shop.example", "CAA"): ('0 issuewild ";"',)})
    assert (
        only(evidence_found(dns, by_dns("*.shop.example"))).get("record") == '0 issuewild "ca.test"'
    )


def lasting(
    name: str, *records: str, authority: AuthorityIdentity = PRIVATE_CA
) -> list[tuple[str, bool]]:
    """Look at a name to be proven by a lasting record."""
    dns = Dns({("_validation-persist.shop.example", "TXT"): records})
    return told(evidence_found(dns, Asked("shop.example", name, "dns-persist-01", (authority,))))


FITTING = persist.record("ca.test", ACCOUNT, False)
FOR_WILDCARDS = persist.record("ca.test", ACCOUNT, True)


def test_a_lasting_record_must_be_there() -> None:
    assert lasting("shop.example", "v=spf1 -all", FITTING) == []
    assert lasting("shop.example", persist.record("ca.test", f"{ACCOUNT}0", False)) == [
        ("persist", True)
    ]
    assert lasting("*.shop.example", FITTING) == [("persist", True)]
    assert lasting("*.shop.example", FOR_WILDCARDS) == []


def test_the_missing_record_is_told_exactly() -> None:
    long = AuthorityIdentity("x", ("ca.test",), f"{ACCOUNT}/{'a' * 600}")
    for authority in (PRIVATE_CA, long):
        asked = Asked("shop.example", "*.shop.example", "dns-persist-01", (authority,))
        assert dict(only(evidence_found(Dns(), asked)).facts) == {
            "name": "_validation-persist.shop.example",
            "record": persist.record("ca.test", str(authority.account), True),
        }


@pytest.mark.parametrize(
    "authority", [AuthorityIdentity("x", ("ca.test",)), AuthorityIdentity("x", (), ACCOUNT)]
)
def test_a_lasting_record_that_nobody_can_write_yet_is_no_reason_to_wait(
    authority: AuthorityIdentity,
) -> None:
    assert lasting("shop.example", authority=authority) == [("cannot-look", False)]


def test_caa_must_allow_the_lasting_record_too() -> None:
    dns = Dns(
        {
            ("_validation-persist.shop.example", "TXT"): (FITTING,),
            ("shop.example", "CAA"): ('0 issue "ca.test; validationmethods=http-01"',),
        }
    )
    asked = Asked("shop.example", "shop.example", "dns-persist-01", (PRIVATE_CA,))
    assert told(evidence_found(dns, asked)) == [("caa", True)]


def test_an_alias_must_lead_into_what_is_delegated() -> None:
    led = found(LookupFailure.NX_DOMAIN, chain=("x.victim.example",), zone="victim.example")
    evidence = evidence_found(Dns({(RECORD, "TXT"): led}), by_dns())
    assert told(evidence) == [("acme-challenge", True)]
    assert (
        "points to x.victim.example, which is in none of the zones in `delegated`"
        in finding_sentence(only(evidence))
    )
