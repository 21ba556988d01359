"""Which addresses are ours."""

from __future__ import annotations

import psutil
import pytest

from proxygen.lookup.reach import is_public
from proxygen.preflight import Beacon, reached
from proxygen.preflight.addresses import is_routed, on_interfaces
from tests.preflight.standins import leading_to, looked, right, told, web, wrong


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
        *("0.0.0.0", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fd00::1", "fec0::1", "ff02::1", "2001:db8::1", "2001::1"),
        *("::ffff:10.0.0.1", "::10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:a00:1::"),
    ],
)
def test_nobody_on_the_internet_reaches_special_addresses(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "9.9.9.9", "2606:4700::1111", "2a00:1450::1"])
def test_everybody_reaches_the_others(address: str) -> None:
    assert is_public(address)


def test_a_route_is_known_without_sending_anything() -> None:
    assert is_routed("127.0.0.1")
    assert not is_routed("fe80::1")


def test_what_every_host_has_on_its_interfaces_is_not_ours() -> None:
    found = on_interfaces()
    assert not found & {"127.0.0.1", "::1"}
    assert not any(each.startswith("fe80:") or "%" in each for each in found)
    plain = {each.address for rows in psutil.net_if_addrs().values() for each in rows}
    assert found <= plain


def test_what_answers_at_the_global_name_or_cannot_be_asked_is_ours(
    network: str, beacon: Beacon
) -> None:
    here, dead, old = (f"{network}{number}" for number in (1, 2, 3))
    with web(here, beacon.port, right), web(old, beacon.port, wrong):
        evidence = looked(leading_to(here, dead, old), beacon=beacon)
        ours = reached(evidence, public=lambda _: True)
        assert ours == (here, dead)
        customer = looked(leading_to(here), addresses=ours, beacon=beacon)
    assert not customer.findings
    assert told(looked(leading_to(old), addresses=ours, beacon=beacon)) == [("elsewhere", True)]


def test_a_private_address_of_the_global_name_is_not_ours() -> None:
    evidence = looked(leading_to("10.0.0.1"), public=lambda _: False)
    assert told(evidence) == [("private", True)]
    assert reached(evidence, public=lambda _: True) == ()
    beside_us = looked(leading_to("10.0.0.1"), local=("10.0.0.1",), public=lambda _: False)
    assert not beside_us.findings
    assert reached(beside_us) == ()
