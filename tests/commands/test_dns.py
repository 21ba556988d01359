"""dns: the records that the model needs, and what of them is missing in a real DNS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands.test_cli import proxygen
from tests.conftest import require
from tests.known_names import HOST, TEXT, A
from tests.live import nameserver
from tests.live.machine import temporary_root
from tests.live.nameserver import Internet
from tests.live.needs import needs

MODEL = TEXT + "services: {}\n"
LIVE = """\
global: {{url: www.hoster.test, certificate: selfsigned}}
addresses: [192.0.2.10]
domains:
  shop.example: {{url: alias.shop.example, extra_names: [www.shop.example, no.shop.example]}}
  lagging.example: {{url: lagging.example}}
resolvers: ['{address}:{port}']
services: {{}}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root with a model file."""
    (tmp_path / "etc/proxygen").mkdir(parents=True)
    (tmp_path / "etc/proxygen/proxygen.yaml").write_text(MODEL)
    return tmp_path


@pytest.fixture(scope="module")
def net() -> Iterator[Internet]:
    """Return a little internet with a resolver."""
    require(["named"])
    with temporary_root() as folder, nameserver.internet(folder) as running, running.resolver():
        yield running


@pytest.fixture
def live(root: Path, net: Internet) -> Path:
    """Return a root whose model has names of that internet."""
    text = LIVE.format(address=net.at(nameserver.RESOLVER), port=net.server.port)
    (root / "etc/proxygen/proxygen.yaml").write_text(text)
    return root


def said(root: Path, *arguments: str) -> dict[str, Any]:
    """Return what ``--json`` says."""
    run = proxygen("--root", root, "dns", "--json", *arguments)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_the_records_of_the_whole_model_are_a_table(root: Path) -> None:
    run = proxygen("--root", root, "dns", "--no-check")
    assert run.returncode == 0, run.stderr
    shown = [line.split() for line in run.stdout.splitlines()]
    assert shown[0] == ["NAME", "TYPE", "VALUE", "FOR"]
    assert [HOST, "CNAME", "mail.example.net.", A] in shown
    assert ["mail.example.net", "AAAA", "2001:db8::1", "global"] in shown
    assert run.stdout.splitlines()[-1] == "14 records"


def test_of_one_domain_only_its_own(root: Path) -> None:
    found = said(root, "--no-check", "customer-b.example")["records"]
    assert [each["name"] for each in found] == ["mail.customer-b.example"]
    assert found[0] == {
        "name": "mail.customer-b.example",
        "type": "CNAME",
        "value": "mail.example.net.",
        "owners": ["customer-b.example"],
        "for": ["mail.customer-b.example"],
        "present": None,
        "now": None,
        "why": None,
    }
    assert proxygen("--root", root, "dns", "no.example").returncode == 2


def test_the_zone_fragment_has_an_origin_for_each_domain(root: Path) -> None:
    text = proxygen("--root", root, "dns", "--no-check", "--zone").stdout
    assert text.startswith("; records that the model needs, ")
    assert f"\n$ORIGIN {A}.\n{HOST}. 3600 IN CNAME mail.example.net.\n" in text
    assert f'\n{A}. 3600 IN CAA 0 issue "letsencrypt.org"\n' in text


def test_what_makes_no_sense_is_refused(root: Path) -> None:
    assert proxygen("--root", root, "dns", "--missing", "--no-check").returncode == 2
    assert proxygen("--root", root, "dns", "--no-check", "--delegate-to", "a b").returncode == 2


def test_strict_caa_without_an_account_says_so(root: Path) -> None:
    found = said(root, "--no-check", "--strict-caa")
    values = {each["value"] for each in found["records"] if each["type"] == "CAA"}
    assert values == {'0 issue "letsencrypt.org; validationmethods=http-01"'}
    assert any("there is no account" in each["words"] for each in found["notes"])


@needs("named")
def test_whether_each_record_is_there_is_looked_up(live: Path) -> None:
    found = {
        (each["name"], each["type"]): (each["present"], each["now"])
        for each in said(live)["records"]
    }
    assert found == {
        ("www.hoster.test", "A"): ("there", None),
        ("alias.shop.example", "CNAME"): ("there", None),
        ("www.shop.example", "CNAME"): ("missing", "192.0.2.10 2001:db8::10"),
        ("no.shop.example", "CNAME"): ("missing", None),
        ("lagging.example", "A"): ("missing", None),
    }


@needs("named")
def test_only_what_is_missing_now(live: Path) -> None:
    run = proxygen("--root", live, "dns", "--missing")
    shown = run.stdout.splitlines()
    assert [line.split()[0] for line in shown[1:-1]] == [
        "www.shop.example",
        "no.shop.example",
        "lagging.example",
    ]
    assert shown[-1] == "3 records, 3 missing"
    run = proxygen("--root", live, "dns", "--missing", "global")
    assert run.stdout == "nothing is missing\n"
    text = proxygen("--root", live, "dns", "--missing", "--zone").stdout
    assert "\nno.shop.example. 3600 IN CNAME www.hoster.test.\n" in text


@needs("named")
def test_addresses_that_the_model_does_not_tell_are_those_of_the_global_name(live: Path) -> None:
    model = live / "etc/proxygen/proxygen.yaml"
    model.write_text(model.read_text().replace("addresses: [192.0.2.10]\n", ""))
    found = said(live, "--no-check")
    assert found["addresses"] == ["192.0.2.10"]
    assert any("`addresses:` is not in the model" in each["words"] for each in found["notes"])
    model.write_text(model.read_text().replace("www.hoster.test", "no.hoster.test"))
    run = proxygen("--root", live, "dns", "--no-check")
    assert run.returncode == 0
    assert "note: the addresses of this installation are not known" in run.stderr


@needs("named")
def test_a_name_of_which_no_challenge_was_fetched_leads_here_by_our_addresses_alone(
    live: Path,
) -> None:
    model = live / "etc/proxygen/proxygen.yaml"
    model.write_text(model.read_text().replace("[192.0.2.10]", "[192.0.2.10, '2001:db8::10']"))
    found = {each["name"]: (each["present"], each["now"]) for each in said(live)["records"]}
    assert found["www.shop.example"] == ("otherwise", None)


BY_RECORD = """\
global: {{url: www.hoster.test, certificate: acme, challenge: dns-01}}
acme: {{directory: "https://127.0.0.1:1/", terms_of_service_agreed: true}}
solvers: {{ours: {{exec: {{program: /bin/true}}}}}}
domains:
  shop.example:
    url: www.shop.example
    extra_names: [alias.shop.example]
    certificate: acme
    challenge: dns-01
resolvers: ['{address}:{port}']
services: {{}}
"""


@needs("named")
def test_where_names_lead_is_looked_up_also_when_their_proof_does_not_need_it(
    live: Path, net: Internet
) -> None:
    text = BY_RECORD.format(address=net.at(nameserver.RESOLVER), port=net.server.port)
    (live / "etc/proxygen/proxygen.yaml").write_text(text)
    all_said = said(live, "--delegate-to", "acme.hoster.test")
    assert all_said["addresses"] == ["192.0.2.10"]
    found = {(each["name"], each["type"]): each["present"] for each in all_said["records"]}
    assert found["www.hoster.test", "A"] == "there"
    assert found["alias.shop.example", "CNAME"] == "there"
    assert found["_acme-challenge.www.shop.example", "CNAME"] == "missing"


UNREACHABLE = """\
global: {url: mail.hoster.test, certificate: acme}
acme: {terms_of_service_agreed: true}
domains:
  a.example: {url: www.a.example, certificate: acme}
resolvers: ['127.0.0.1:1']
services: {}
"""


def test_what_could_not_be_looked_up_is_unknown_and_not_there_or_missing(root: Path) -> None:
    (root / "etc/proxygen/proxygen.yaml").write_text(UNREACHABLE)
    run = proxygen("--root", root, "dns")
    assert run.returncode == 0
    assert run.stdout.splitlines()[-1] == "3 records, unknown whether missing"
    assert "those of mail.hoster.test could not be looked up" in run.stderr
    assert "note: whether 3 records are there is not known: it could not be" in run.stderr
    assert "connection refused" in run.stderr
    found = said(root, "--missing")
    assert (found["missing"], found["unknown"], found["records"]) == (None, 3, [])
    assert any("connection refused" in each["words"] for each in found["notes"])
    assert "connection refused" in said(root)["records"][0]["why"]["words"]
    run = proxygen("--root", root, "dns", "--missing")
    assert run.stdout == "nothing is known to be missing, 3 unknown\n"
    zone = proxygen("--root", root, "dns", "--missing", "--zone").stdout
    assert "; whether 3 records are there is not known" in zone
    names = proxygen("--root", root, "names")
    assert (
        names.stdout.splitlines()[-1] == "2 names: 2 ready, 2 of those that are ready not checked"
    )
    assert json.loads(proxygen("--root", root, "names", "--json").stdout)["not_checked"] == 2


@needs("named")
def test_of_what_only_a_part_is_known_both_are_told(live: Path) -> None:
    model = live / "etc/proxygen/proxygen.yaml"
    text = model.read_text().replace("url: lagging.example", "url: lame.example")
    model.write_text(text.replace("lagging.example:", "lame.example:"))
    run = proxygen("--root", live, "dns")
    shown = run.stdout.splitlines()[-1]
    assert shown == "5 records, 2 missing, 1 unknown"
    assert "note: whether 1 record is there is not known: " in run.stderr
