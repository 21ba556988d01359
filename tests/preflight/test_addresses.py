"""Which addresses are ours."""

from __future__ import annotations

from ipaddress import ip_network

import psutil
import pytest

from proxygen.dns.reach import NEVER, Network, is_beside, is_public, is_routed, network_of
from proxygen.preflight import Beacon, own_addresses
from proxygen.preflight.addresses import on_interfaces
from tests.preflight.standins import evidence_found, leading_to, right, told, web, wrong


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
        *("0.0.0.0", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fd00::1", "fec0::1", "ff02::1", "2001:db8::1", "2001::1"),
        *("::ffff:10.0.0.1", "::10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:a00:1::"),
        *("::ffff:8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"),
        *("0.1.2.3", "192.0.0.9", "192.0.0.10", "192.88.99.1", "198.19.255.255", "240.0.0.1"),
        *("2001:1::1", "2001:2::1", "2001:3::1", "2001:10::1", "2001:20::1", "2001:1ff::1"),
        *("100::1", "100:0:0:1::1", "3fff::1", "3fff:fff::1", "5f00::1", "fe80::1%1", "4000::1"),
        *("fdff::1", "febf::1", "", "nonsense", "1.2.3.4.5"),
    ],
)
def test_nobody_on_the_internet_reaches_special_addresses(address: str) -> None:
    assert not is_public(address)


SPECIAL = {
    "Python 3.11": """
        0.0.0.0/8 10.0.0.0/8 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/29 192.0.0.170/31
        192.0.2.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4
        255.255.255.255/32 100.64.0.0/10 ::1/128 ::/128 ::ffff:0:0/96 100::/64 2001::/23
        2001:2::/48 2001:db8::/32 2001:10::/28 fc00::/7 fe80::/10""",
    "Python 3.13": """
        0.0.0.0/8 10.0.0.0/8 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.170/31
        192.0.2.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4
        255.255.255.255/32 100.64.0.0/10 ::1/128 ::/128 ::ffff:0:0/96 64:ff9b:1::/48 100::/64
        2001::/23 2001:db8::/32 2002::/16 3fff::/20 fc00::/7 fe80::/10""",
    "IPv6 outside what was given to anybody": """
        ::/8 100::/8 200::/7 400::/6 800::/5 1000::/4 4000::/3 6000::/3 8000::/3 a000::/3 c000::/3
        e000::/4 f000::/5 f800::/6 fe00::/9""",
}


@pytest.mark.parametrize("known", SPECIAL)
def test_every_python_says_the_same(known: str) -> None:
    """What any of them takes for special is special by our own list, which all of them share."""
    for each in map(ip_network, SPECIAL[known].split()):
        for address in (each.network_address, each.broadcast_address):
            assert network_of(address) is not None, address


@pytest.mark.parametrize("network", NEVER, ids=str)
def test_a_special_network_is_so_from_its_first_address_to_its_last(network: Network) -> None:
    assert not is_public(str(network.network_address))
    assert not is_public(str(network.broadcast_address))


@pytest.mark.parametrize(
    ("address", "known", "beside"),
    [
        ("10.1.2.3", "10.0.0.53", True),
        ("127.0.0.1", "127.0.0.53", True),
        ("::ffff:127.0.0.1", "127.0.0.53", True),
        ("::ffff:127.0.0.1", "::ffff:10.0.0.1", False),
        ("127.0.0.1", "10.0.0.53", False),
        ("169.254.169.254", "10.0.0.53", False),
        ("192.168.0.1", "10.0.0.53", False),
        ("fd00::1", "fd12::53", True),
        ("8.8.4.4", "8.8.8.8", False),
        ("10.0.0.1", "8.8.8.8", False),
        ("nonsense", "10.0.0.53", False),
    ],
)
def test_who_is_in_the_same_private_network_is_beside(
    address: str, known: str, beside: bool
) -> None:
    assert is_beside(address, known) is beside


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
        evidence = evidence_found(leading_to(here, dead, old), beacon=beacon)
        ours = own_addresses(evidence, public=lambda _: True)
        assert ours == (here, dead)
        customer = evidence_found(leading_to(here), addresses=ours, beacon=beacon)
    assert not customer.findings
    assert told(evidence_found(leading_to(old), addresses=ours, beacon=beacon)) == [
        ("elsewhere", True)
    ]


def test_a_private_address_of_the_global_name_is_not_ours() -> None:
    evidence = evidence_found(leading_to("10.0.0.1"), public=lambda _: False)
    assert told(evidence) == [("private", True)]
    assert own_addresses(evidence, public=lambda _: True) == ()
    beside_us = evidence_found(leading_to("10.0.0.1"), local=("10.0.0.1",), public=lambda _: False)
    assert not beside_us.findings
    assert own_addresses(beside_us) == ()
