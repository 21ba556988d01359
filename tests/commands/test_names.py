"""names: how every name stands, for people, for programs, and to forward."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from proxygen.failure import Scope, not_obtained
from proxygen.model.certificate import Bundle, KeyAndChain
from proxygen.names.causes import Cause
from proxygen.names.states import Answers, Evidence, Finding, NameState
from proxygen.stores import challenge_answers
from proxygen.stores.bundles import Bundles
from proxygen.stores.filesystem import FileStore
from proxygen.stores.keyspace import own_part
from proxygen.stores.names import NameStore
from tests import models
from tests.certificates import DAY, NOON
from tests.commands.test_cli import imported, proxygen
from tests.conftest import require
from tests.known_names import (
    ELSEWHERE,
    HOST,
    LATE,
    SITE,
    TEXT,
    A,
    evidence,
    finding,
    moved,
    refused,
    waiting,
)
from tests.live import nameserver
from tests.live.machine import temporary_root
from tests.live.nameserver import Internet
from tests.live.needs import needs
from tests.terminal.on_terminal import on_terminal

NOW = datetime.now(UTC).replace(microsecond=0)
BUECHER = "xn--bcher-kva.example"
MODEL = TEXT + "services: {}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root with a model file."""
    (tmp_path / "etc/proxygen").mkdir(parents=True)
    (tmp_path / "etc/proxygen/proxygen.yaml").write_text(MODEL)
    return tmp_path


def store(root: Path) -> FileStore:
    """Return the store of a root."""
    return FileStore(root / "var/lib/proxygen/store")


def shifted(known: NameState) -> NameState:
    """Return what was known at noon as if it were known now."""
    by = NOW - NOON

    def later(moment: datetime | None) -> datetime | None:
        return moment + by if moment else None

    found, told = known.evidence, known.refusal
    return replace(
        known,
        look_at=known.look_at + by,
        evidence=replace(found, at=found.at + by) if found else None,
        refusal=replace(told, at=told.at + by, since=told.since + by, again=told.again + by)
        if told
        else None,
        bad_since=later(known.bad_since),
        dropped=later(known.dropped),
    )


def know(root: Path, *known: NameState) -> None:
    """Note what is known of names of the customer."""
    NameStore(store(root)).note(A, map(shifted, known))


def issue(root: Path, *names: str) -> Bundle:
    """Store a certificate of the customer."""
    wanted = next(each for each in SITE.certificates if each.owner == A)
    made = models.bundle(replace(wanted, names=names or wanted.names), ends=NOW + 60 * DAY)
    pair = KeyAndChain(b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", b"chain\n")
    Bundles(store(root)).save(pair, made)
    return made


def lines(root: Path, *arguments: str) -> dict[str, str]:
    """Return the line of each name, without what stands below it."""
    run = proxygen("--root", root, "names", *arguments)
    assert run.returncode == 0, run.stderr
    body = [each for each in run.stdout.splitlines()[1:] if not each.startswith(" ")]
    body = [each for each in body if "  " in each]
    return {line.split("  ")[0]: line for line in body}


def said(root: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    """Return what ``--json`` says of each name."""
    run = proxygen("--root", root, "names", "--json", *arguments)
    assert run.returncode == 0, run.stderr
    return {each["name"]: each for each in json.loads(run.stdout)["names"]}


def test_every_name_is_told_and_what_is_in_trouble_first(root: Path) -> None:
    issue(root, HOST, A)
    know(root, waiting(), refused(BUECHER))
    shown = proxygen("--root", root, "names").stdout.splitlines()
    assert shown[0].split() == ["NAME", "OWNER", "STATE", "FOR"]
    assert shown[1].startswith(f"bücher.example ({BUECHER})")
    assert "the authority refused it: DNS problem: NXDOMAIN looking up A; next " in shown[1]
    assert shown[2].split()[:7] == [LATE, A, "waiting", "for", "DNS", "2", "d"]
    assert "  the A record 198.51.100.7 points to another server (404 Not Found); next" in shown[2]
    assert shown[-2:] == [
        "7 names: 1 waiting for DNS, 2 ready, 2 issued, 1 failed, 1 global,"
        " 2 of those that are ready not checked",
        "problems: 1 were refused: the authority could not look them up; 1 lead elsewhere",
    ]
    assert len(shown) == 1 + 7 + 2


def test_with_verbose_the_evidence_stands_below_each_name_with_a_problem(root: Path) -> None:
    know(root, waiting(), refused(BUECHER))
    shown = proxygen("--root", root, "names", "--verbose").stdout.splitlines()
    at = next(number for number, line in enumerate(shown) if line.startswith(LATE))
    assert shown[at + 1].startswith(f"    since {NOW - 2 * DAY:%Y-%m-%d %H:%M} UTC, next check ")
    assert shown[at + 1].endswith(f" {NOW + timedelta(hours=2):%Y-%m-%d %H:%M} UTC")
    assert shown[at + 2 : at + 4] == [
        "    the A record 198.51.100.7 points to another server (404 Not Found)",
        "    found: A 198.51.100.7",
    ]
    assert len(shown) == 1 + 7 + 2 * 3 + 2


def test_all_the_evidence_stands_below_a_name_one_line_for_each_thing(root: Path) -> None:
    found = evidence(
        ELSEWHERE,
        finding("caa"),
        addresses=("192.0.2.9", "2001:db8::9"),
        chain=("edge.example.org", "b.example.org"),
        caa=('0 issue "ca.example"',),
    )
    known = replace(waiting(), evidence=found, refusal=refused().refusal)
    know(root, known)
    run = proxygen("--root", root, "names", LATE)
    told = run.stdout.splitlines()[3:-1]
    assert [each.strip().partition(" (")[0] for each in told[:3]] == [
        "the A record 198.51.100.7 points to another server",
        f"the CAA records of {A} do not allow letsencrypt.org",
        "the authority refused it: DNS problem: NXDOMAIN looking up A",
    ]
    chain = f"CNAME {LATE} -> edge.example.org -> b.example.org"
    records = f'A 192.0.2.9; AAAA 2001:db8::9; {chain}; CAA 0 issue "ca.example"'
    assert told[3:] == [f"    found: {records}"]


def test_what_is_told_of_a_name_in_trouble_fits_a_terminal(root: Path) -> None:
    issue(root, HOST, A)
    know(root, waiting(), waiting(A))
    run = proxygen("--root", root, "names", LATE, A)
    below = [each for each in run.stdout.splitlines() if each.startswith("    ")]
    assert "    cannot be proven now" in below
    assert len(below) == 3 + 4
    assert max(map(len, below)) <= 80


def test_a_name_that_is_ready_and_waits_for_others_is_told_when_it_joins(root: Path) -> None:
    issue(root, HOST, A)
    looked = NameState(BUECHER, NOON + DAY, Evidence(NOON), ready_since=NOON)
    know(root, looked, waiting())
    just_now = datetime.now(UTC)  # the command's clock goes on while other tests run
    NameStore(store(root)).note(A, [replace(shifted(looked), ready_since=just_now)])
    joins = just_now + timedelta(minutes=5)
    assert lines(root)[f"bücher.example ({BUECHER})"].endswith(
        f"will be added to the certificate at {joins:%H:%M} UTC"
    )
    assert said(root)[BUECHER]["joins_at"] == joins.isoformat()


def test_an_issued_name_is_told_until_when_and_one_that_nobody_checked_as_such(
    root: Path,
) -> None:
    made = issue(root)
    found = lines(root)
    assert found[HOST].endswith(f"until {made.not_after:%Y-%m-%d}")
    assert found["mail.example.net"].endswith("not checked yet")
    assert found["mail.customer-b.example"].endswith("served with the global certificate")


def test_a_name_for_which_the_web_server_does_not_answer_is_not_told_as_ready(root: Path) -> None:
    challenge_answers.note_answers(
        own_part(store(root)), "nginx", Answers(frozenset({A}), frozenset({HOST}))
    )
    assert "  waiting for the web server  " in lines(root, HOST)[HOST]
    assert "  ready  " in lines(root, A)[A]
    told = said(root)
    assert (told[HOST]["state"], told[HOST]["answered"]) == ("waiting", False)
    assert (told[A]["state"], told[A]["answered"]) == ("ready", True)
    assert (told[LATE]["state"], told[LATE]["answered"]) == ("ready", None)
    assert set(lines(root, "--state", "waiting")) == {HOST}
    run = proxygen("--root", root, "names", "--explain", HOST)
    assert "the web server here does not answer" in run.stderr
    issue(root, HOST)
    (line,) = lines(root, HOST).values()
    assert "  issued  " in line
    assert "cannot be proven now: the web server here does not answer" in line


def test_names_are_chosen_by_name_by_domain_and_by_state(root: Path) -> None:
    know(root, waiting(), refused(BUECHER))
    assert set(lines(root, "bücher.example", "global")) == {
        f"bücher.example ({BUECHER})",
        "mail.example.net",
        "smtp.example.net",
    }
    assert len(lines(root, A)) == 4
    assert set(lines(root, "--state", "waiting")) == {LATE}
    assert len(lines(root, "--state", "waiting", "--state", "failed")) == 2
    assert set(lines(root, "--state", "other")) == {"mail.customer-b.example"}


@pytest.mark.parametrize("option", [(), ("--explain",)])
def test_an_unknown_name_is_answered_with_those_near_it(
    root: Path, option: tuple[str, ...]
) -> None:
    run = proxygen("--root", root, "names", *option, f"autodiscovery.{A}")
    assert run.returncode == 2
    assert f"the model has no name autodiscovery.{A}" in run.stderr
    assert f"do: near it: {LATE}" in run.stderr
    run = proxygen("--root", root, "names", *option, "no name")
    assert run.returncode == 2


def test_a_domain_of_another_name_is_no_name_but_has_some(root: Path) -> None:
    run = proxygen("--root", root, "names", "--explain", "customer-b.example")
    assert run.returncode == 2
    assert "such as mail.customer-b.example" in run.stderr


def test_programs_are_told_everything(root: Path) -> None:
    known = shifted(waiting())
    know(root, waiting(), refused(BUECHER), moved(A))
    issue(root, HOST)
    found = said(root)
    assert known.evidence
    assert known.bad_since
    assert found[LATE] == {
        "name": LATE,
        "unicode": LATE,
        "owner": A,
        "state": "waiting",
        "words": "the A record 198.51.100.7 points to another server (404 Not Found)",
        "since": known.bad_since.isoformat(),
        "next_check": known.look_at.isoformat(),
        "joins_at": None,
        "covered": False,
        "not_after": None,
        "at_risk": False,
        "challenge": "http-01",
        "answered": None,
        "unchecked": False,
        "checks": 7,
        "dropped": None,
        "evidence": {
            "at": known.evidence.at.isoformat(),
            "addresses": ["198.51.100.7"],
            "chain": [],
            "caa": [],
            "servers": [],
            "source": "authoritative",
            "findings": [
                {
                    "code": "elsewhere",
                    "grave": True,
                    "facts": {
                        "address": "198.51.100.7",
                        "type": "A",
                    },
                    "because": [
                        {
                            "code": "answered",
                            "facts": {"status": "404 Not Found"},
                            "because": [],
                            "words": "404 Not Found",
                        }
                    ],
                    "words": "the A record 198.51.100.7 points to another server (404 Not Found)",
                }
            ],
        },
        "refusal": None,
    }
    assert found[BUECHER]["unicode"] == "bücher.example"
    assert found[BUECHER]["refusal"]["problem"] == "urn:ietf:params:acme:error:dns"
    assert found[BUECHER]["refusal"]["count"] == 3
    assert found[BUECHER]["refusal"]["words"] == "DNS problem: NXDOMAIN looking up A"
    assert found[BUECHER]["refusal"]["failure"] is found[BUECHER]["refusal"]["what"] is None
    assert (found[A]["state"], bool(found[A]["dropped"])) == ("moved", True)
    assert (found[HOST]["state"], found[HOST]["covered"]) == ("issued", True)


def test_a_text_to_forward_is_in_the_owners_language_or_in_the_one_asked_for(root: Path) -> None:
    know(root, waiting())
    run = proxygen("--root", root, "names", "--explain", LATE)
    assert run.returncode == 0, run.stderr
    assert "Was gefunden wurde" in run.stdout
    assert f"    {LATE}. 3600 IN A 192.0.2.1\n" in run.stdout
    run = proxygen("--root", root, "names", "--explain", LATE, "--language", "fr", "--json")
    told = json.loads(run.stdout)
    assert (told["name"], told["language"]) == (LATE, "fr")
    assert "Ce qui a été constaté" in told["text"]
    run = proxygen("--root", root, "names", "--language", "fr")
    assert run.returncode == 2


def test_without_a_check_no_network_is_needed(root: Path) -> None:
    assert not imported("--root", root, "names") & {"dns", "acme", "requests", "rich", "asyncio"}


def test_ten_thousand_names_are_told(root: Path) -> None:
    names = "".join(
        f"  d{each}.example: {{url: www.d{each}.example, certificate: acme}}\n"
        for each in range(10_000)
    )
    model = MODEL.replace("services: {}\n", "") + names + "services: {}\n"
    (root / "etc/proxygen/proxygen.yaml").write_text(model)
    run = proxygen("--root", root, "names")
    assert run.returncode == 0
    assert len(run.stdout.splitlines()) == 10_009
    assert "10,006 ready" in run.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def net() -> Iterator[Internet]:
    """Return a little internet with a resolver."""
    require(["named"])
    with temporary_root() as folder, nameserver.internet(folder) as running, running.resolver():
        yield running


LOOKED_AT = """\
global: {{url: www.shop.example, certificate: selfsigned}}
domains:
  expired.example: {{url: www.expired.example, certificate: acme}}
  hoster.test: {{url: www.hoster.test, certificate: acme}}
acme:
  directory: https://127.0.0.1:1/directory
  terms_of_service_agreed: true
  challenge: dns-01
solvers: {{ours: {{exec: {{program: /bin/true}}}}}}
resolvers: ['{address}:{port}']
services: {{}}
"""


@needs("named")
def test_a_check_now_tells_what_is_there_and_keeps_nothing(root: Path, net: Internet) -> None:
    resolver = net.at(nameserver.RESOLVER)
    model = LOOKED_AT.format(address=resolver, port=net.server.port)
    (root / "etc/proxygen/proxygen.yaml").write_text(model)
    found = said(root, "--check")
    assert found["www.expired.example"]["state"] == "waiting"
    codes = [each["code"] for each in found["www.expired.example"]["evidence"]["findings"]]
    assert "dnssec" in codes
    assert found["www.hoster.test"]["state"] == "ready"
    assert found["www.hoster.test"]["evidence"]["source"] == "resolvers"
    assert found["www.shop.example"]["state"] == "other"
    assert said(root)["www.expired.example"]["evidence"] is None
    run = proxygen("--root", root, "names", "--check", "--explain", "www.expired.example")
    assert "DNSSEC" in run.stdout, run.stderr
    ran = on_terminal("--root", root, "names", "--check", out=False)
    assert "names checked [" in ran.terminal
    assert "names checked" not in ran.piped


def test_why_no_proof_was_published_is_told_as_any_other_failure(root: Path) -> None:
    known = refused(BUECHER, problem="")
    why = not_obtained("program-failed", Scope.HOST, program="/opt/dns", status=3, arguments="x")
    assert known.refusal
    know(root, replace(known, refusal=replace(known.refusal, words="", failure=why)))
    told = said(root)[BUECHER]["refusal"]
    assert told["what"] == why.what
    assert told["failure"] == why.as_json()
    assert told["failure"]["facts"]["status"] == 3


def test_what_a_later_version_found_stops_no_command(root: Path) -> None:
    found = Finding("later", because=(Cause("much-later"),))
    know(root, waiting(LATE, found), waiting(BUECHER, replace(found, code="servfail")))
    for command in (["names"], ["names", "--json"], ["names", "--explain", LATE], ["status"]):
        run = proxygen("--root", root, *command)
        assert run.returncode != 1, run.stderr
        assert "Traceback" not in run.stderr
        assert "later" in run.stdout or command == ["status"]
