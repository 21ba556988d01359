"""Types of keys: what is there stays, two are served side by side, and nobody is locked out."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.conftest import require
from tests.integration.test_adoption import (
    EVERYWHERE,
    MAIL,
    MAIN,
    SITE,
    A,
    Host,
    fingerprint,
    said,
)
from tests.live import client
from tests.live.authority import Issued
from tests.live.machine import PROGRAMS
from tests.live.postfix import settled

BOTH = ["ecdsa-p256", "rsa-2048"]
KINDS = {ec.EllipticCurvePublicKey: "ecdsa", rsa.RSAPublicKey: "rsa"}
OLD = {"ecdsa": "aECDSA", "rsa": "aRSA"}


@pytest.fixture
def host(root: Path) -> Iterator[Host]:
    """Return a machine whose services have certificates already."""
    require(PROGRAMS)
    with Host(root) as running:
        yield running


def rsa_key() -> rsa.RSAPrivateKey:
    """Return a key such as many hosts still have."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def with_rsa(host: Host) -> Issued:
    """Have all services present an RSA certificate."""
    live, main = host.lineage(MAIL, key=rsa_key())
    host.mail(live)
    host.site(MAIL, live)
    host.reload(dict.fromkeys(EVERYWHERE, main))
    return main


def shown_to(host: Host, place: str, ciphers: str = "", *, only_1_2: bool = True) -> str:
    """Return the kind of key that a client with TLS 1.2 gets somewhere, empty if it gets none."""
    port, protocol, name = host.places[place]
    context = client.context(None)
    if only_1_2:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if ciphers:
        context.set_ciphers(ciphers)
    try:
        leaf = client.leaf(port, name, starttls=protocol, by=context)
    except ssl.SSLError:
        return ""
    return next(word for kind, word in KINDS.items() if isinstance(leaf.public_key(), kind))


def owner_of(host: Host, name: str) -> dict[str, object]:
    """Return what `status` tells of a certificate."""
    owners = json.loads(host.proxygen("status", "--json").stdout)["owners"]
    return next(each for each in owners if each["owner"] == name)


def exclude(host: Host, ciphers: str) -> None:
    """Have postfix exclude ciphers."""
    assert host.postfix
    with host.postfix.main.open("a") as main:
        main.write(f"smtpd_tls_exclude_ciphers = {ciphers}\n")
    settled(host.postfix.main)


def test_two_are_obtained_and_each_client_gets_the_one_that_it_can_do_with(host: Host) -> None:
    host.model(A, main=MAIN, acme={"key_type": BOTH})
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    assert host.pebble.new_orders == 4
    for place in (*EVERYWHERE, "site"):
        assert {kind: shown_to(host, place, ciphers) for kind, ciphers in OLD.items()} == {
            "ecdsa": "ecdsa",
            "rsa": "rsa",
        }, place
    assert owner_of(host, "a.example_rsa")["certificate"]["key_type"] == "rsa-2048"
    assert "a.example (RSA)" in host.proxygen("status").stdout
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    assert "nothing to do" in run.stdout
    assert host.pebble.new_orders == 4
    names = host.proxygen("names").stdout
    assert names.count(SITE) <= 1

    run = host.proxygen("renew", "--replace", "a.example")
    assert run.returncode == 0, said(run)
    assert host.pebble.new_orders == 6


def test_an_rsa_certificate_stays_when_an_ecdsa_one_joins_it_and_when_that_one_leaves(
    host: Host,
) -> None:
    main = with_rsa(host)
    host.model({}, main=MAIN | {"key_type": BOTH})
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    assert host.pebble.new_orders == 1
    for place in EVERYWHERE:
        assert shown_to(host, place, OLD["rsa"]) == "rsa"
        assert shown_to(host, place, OLD["ecdsa"]) == "ecdsa"
    present = owner_of(host, "global_rsa")["certificate"]
    assert present["fingerprint"] == fingerprint(main).hex()

    host.model({}, main=MAIN | {"key_type": "rsa-2048"})
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    assert host.pebble.new_orders == 1
    for place in EVERYWHERE:
        assert host.shown(place) == fingerprint(main)
        assert shown_to(host, place, OLD["ecdsa"]) == ""

    run = host.proxygen("rollback", "postfix")
    assert run.returncode == 0, said(run)
    assert {shown_to(host, "smtp", ciphers) for ciphers in OLD.values()} == {"ecdsa", "rsa"}


@pytest.mark.parametrize("key", [rsa_key, lambda: ec.generate_private_key(ec.SECP384R1())])
def test_a_domain_renews_with_the_type_that_was_adopted(host: Host, key: object) -> None:
    live, _ = host.lineage(SITE, key=key())  # type: ignore[operator]
    host.site(SITE, live)
    host.model(A, main={"url": f"https://{MAIL}", "certificate": "selfsigned"})
    assert host.proxygen("apply").returncode == 0
    assert host.pebble.new_orders == 0
    before = owner_of(host, "a.example")["certificate"]
    run = host.proxygen("renew", "--replace", "a.example")
    assert run.returncode == 0, said(run)
    after = owner_of(host, "a.example")["certificate"]
    assert host.pebble.new_orders == 1
    assert after["fingerprint"] != before["fingerprint"]
    assert after["key_type"] == before["key_type"] != "ecdsa-p256"


def test_a_type_that_locks_clients_out_is_told_before_and_put_back_after(host: Host) -> None:
    exclude(host, "aNULL, eNULL, ECDSA")
    main = with_rsa(host)
    host.model({}, main=MAIN, acme={"key_type": "ecdsa-p256"})
    plan = said(host.proxygen("plan"))
    assert plan.count("replaces the RSA certificate of global by one with ECDSA") == 1
    assert "`smtpd_tls_exclude_ciphers = aNULL, eNULL, ECDSA` leaves clients with TLS 1.2" in plan
    assert "key_type: [ecdsa-p256, rsa-2048]" in plan

    run = host.proxygen("apply")
    assert run.returncode == 4, said(run)
    assert "(TLS 1.2)" in said(run)
    assert "could connect before" in said(run)
    for place in ("smtp", "smtps"):
        assert host.shown(place) == fingerprint(main)
        assert shown_to(host, place) == "rsa"
    assert shown_to(host, "imaps") == "ecdsa"  # nothing there is against it

    host.model({}, main=MAIN, acme={"key_type": BOTH})
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    for place in ("smtp", "smtps"):
        assert shown_to(host, place) == "rsa"
        assert shown_to(host, place, only_1_2=False) == "ecdsa"
    plan = said(host.proxygen("plan"))
    assert "leaves clients" not in plan
    assert "replaces the RSA" not in plan


def test_a_service_that_never_had_tls_1_2_is_not_blamed(host: Host) -> None:
    assert host.postfix
    with host.postfix.main.open("a") as main:
        main.write("smtpd_tls_protocols = >=TLSv1.3\nsmtpd_tls_exclude_ciphers = ECDSA\n")
    master = host.postfix.main.with_name("master.cf")
    own = "  -o smtpd_tls_mandatory_protocols=>=TLSv1.3\n"
    mandatory = ("smtpd_tls_security_level=encrypt\n", "smtpd_tls_wrappermode=yes\n")
    text = master.read_text()
    for option in mandatory:
        text = text.replace(option, option + own)
    master.write_text(text)
    settled(host.postfix.main)
    with_rsa(host)
    host.model({}, main=MAIN, acme={"key_type": "ecdsa-p256"})
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    assert shown_to(host, "smtp") == ""
    assert shown_to(host, "smtp", only_1_2=False) == "ecdsa"


def test_one_that_cannot_be_obtained_holds_the_other_one_back_from_nobody(host: Host) -> None:
    host.model(A, main=MAIN, acme={"key_type": BOTH})
    folder = host.root / "var/lib/proxygen/store/orders"
    folder.mkdir(parents=True)
    (folder / "a.example_rsa").mkdir()  # where an order would be noted
    run = host.proxygen("apply")
    assert run.returncode == 5, said(run)
    assert "a.example (RSA)" in said(run)
    assert shown_to(host, "site") == "ecdsa"
    assert shown_to(host, "site", OLD["rsa"]) == ""
    assert shown_to(host, "smtps", OLD["rsa"]) == "rsa"


def test_both_types_that_services_had_are_adopted(host: Host) -> None:
    assert host.postfix
    live, first = host.lineage(MAIL)
    live_rsa, second = host.lineage(MAIL, key=rsa_key(), folder="of-rsa")
    host.dovecot_presents(live)
    host.site(MAIL, live)
    with host.postfix.main.open("a") as main:
        main.write(
            f"smtpd_tls_chain_files = {live}/privkey.pem, {live}/fullchain.pem,"
            f" {live_rsa}/privkey.pem, {live_rsa}/fullchain.pem\n"
        )
    settled(host.postfix.main)
    host.reload(dict.fromkeys(EVERYWHERE, first))
    host.model({}, main=MAIN)
    assert "side by side, and only one of them stays" in said(host.proxygen("plan"))
    host.model({}, main=MAIN, acme={"key_type": BOTH})
    run = host.proxygen("apply")
    assert run.returncode == 0, said(run)
    assert host.pebble.new_orders == 0
    for owner, issued in (("global", first), ("global_rsa", second)):
        assert owner_of(host, owner)["certificate"]["fingerprint"] == fingerprint(issued).hex()
    for place in EVERYWHERE:
        assert shown_to(host, place, OLD["rsa"]) == "rsa"
    assert host.proxygen("uninstall", "--yes").returncode == 0
    assert shown_to(host, "smtp", OLD["rsa"]) == "rsa"
