"""Addresses in certificates and requests (RFC 8738): SANs of their own kind, never a DNS name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from proxygen.errors import IssueFailed, Origin
from proxygen.model.certificate import Certificate, KeyAndChain, KeyType
from proxygen.model.inspection import require_usable
from proxygen.model.x509 import (
    chain_of,
    covered_names,
    describe_bundle,
    new_key,
    self_signed,
    signing_request,
)
from tests.live.authority import Authority, blank

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NAMES = ("www.a.example", "*.a.example", "192.0.2.1", "2001:db8::1")


def test_a_request_asks_for_addresses_as_addresses() -> None:
    pem = signing_request(new_key(KeyType.ECDSA_P256), NAMES)
    request = x509.load_pem_x509_csr(pem)
    sans = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert sans.get_values_for_type(x509.DNSName) == ["www.a.example", "*.a.example"]
    assert sans.get_values_for_type(x509.IPAddress) == [
        ip_address("192.0.2.1"),
        ip_address("2001:db8::1"),
    ]
    assert not list(request.subject)


def test_a_bundle_names_its_addresses_in_their_shortest_form() -> None:
    pair = self_signed(NAMES, new_key(KeyType.ECDSA_P256), NOW, timedelta(days=1))
    wanted = Certificate("global", NAMES, "selfsigned", Origin("proxygen.yaml", 1, 1))
    bundle = describe_bundle(pair, wanted)
    assert bundle.names == tuple(sorted(NAMES))
    assert all(map(bundle.covers, NAMES))
    assert not bundle.covers("192.0.2.2")


def test_an_address_is_never_a_common_name() -> None:
    pair = self_signed(("192.0.2.1",), new_key(KeyType.ECDSA_P256), NOW, timedelta(days=1))
    names = chain_of(pair)[0].subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    assert names == []


def test_clients_accept_it_for_the_addresses_that_it_names_and_no_other() -> None:
    issued = Authority("Test").issue("www.a.example", "192.0.2.1")
    pair = KeyAndChain(issued.key, issued.fullchain)
    require_usable(pair, ("www.a.example", "192.0.2.1"), datetime.now(UTC))
    with pytest.raises(IssueFailed, match=r"not covered: 2001:db8::1"):
        require_usable(pair, ("www.a.example", "2001:db8::1"), datetime.now(UTC))


@pytest.mark.parametrize("name", ["192.0.2.1", "*.0.2.1"])
def test_a_dns_name_that_is_spelled_like_an_address_covers_none(name: str) -> None:
    authority = Authority("Odd")
    key = authority.intermediate.key
    builder = blank("odd", key, issuer="x", signer=key, not_before=None, not_after=None)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False
    )
    assert covered_names(builder.sign(key, SHA256())) == ()
