"""Messages from outside, whatever is in them; what the package imports; the data in it."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxygen.dns.responses import read_response, resolver_reply
from proxygen.dns.roots import ROOTS
from proxygen.dns.system import system_resolvers
from proxygen.dns.wire import (
    DnsQuestion,
    NameServer,
    NoAnswer,
    WireReply,
    network_cause,
    parse_reply,
    query_message,
)
from proxygen.names.causes import Cause, cause
from tests.dns.scripted import answer

SERVER = NameServer("ns.example.net", "192.0.2.1")


def right() -> tuple[dns.message.Message, bytes]:
    """Return a question and a rich answer."""
    asked = query_message(DnsQuestion("www.a.example", "A"))
    said = answer(
        asked,
        "www.a.example 60 CNAME b.a.example.",
        "b.a.example 60 A 192.0.2.1",
        'b.a.example 60 TXT "text"',
        authority=("a.example 60 NS ns.a.example.", "a.example 60 SOA n. h. 1 2 3 4 5"),
        additional=("ns.a.example 60 A 192.0.2.2", "ns.a.example 60 AAAA 2001:db8::1"),
    )
    return asked, said.to_wire()


@given(st.lists(st.tuples(st.integers(2, 10_000), st.integers(0, 255)), max_size=12), st.data())
@settings(max_examples=300, deadline=None)
def test_no_message_is_more_than_wrong(changes: list[tuple[int, int]], data: st.DataObject) -> None:
    asked, wire = right()
    changed = bytearray(wire)
    for place, value in changes:
        changed[2 + place % (len(wire) - 2)] = value
    cut = data.draw(st.integers(2, len(wire)))
    try:
        message = parse_reply(bytes(changed[:cut]), asked)
    except NoAnswer:
        return
    for rdtype in (dns.rdatatype.A, dns.rdatatype.CNAME, dns.rdatatype.NS):
        told = read_response(WireReply(SERVER, message), "a.example", "www.a.example", rdtype)
        assert all(each.isprintable() for each in told.records)
    resolver_reply(WireReply(SERVER, message), "www.a.example", "A")


@pytest.mark.parametrize(
    "label",
    [
        *(b"a.example", b"x\\", b"\x00", b"caf\xc3\xa9"),
        *(b"|{touch,it}|sh", b"`id`", b"a&b", b"a'b", b"-f", b"+short", b"<b>"),
    ],
)
def test_what_means_something_to_programs_and_shells_is_no_host_name(label: bytes) -> None:
    asked = query_message(DnsQuestion("www.a.example", "A"))
    said = answer(asked)
    target = dns.name.Name([label, b"test", b""])
    cname = dns.rrset.from_text("www.a.example.", 60, "IN", "CNAME", target.to_text())
    said.answer = [cname]
    told = read_response(WireReply(SERVER, said), "a.example", "www.a.example", dns.rdatatype.A)
    assert (told.target, told.why) == ("", cause("hostless"))


def test_there_are_thirteen_root_servers_each_with_two_addresses() -> None:
    versions = [ipaddress.ip_address(each).version for each in ROOTS]
    assert versions == [4] * 13 + [6] * 13
    assert len(set(ROOTS)) == 26


def test_the_resolvers_of_this_host_are_read(tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("# nameserver 192.0.2.9\nsearch a.example\nnameserver 192.0.2.1\nnameserver\n")
    assert system_resolvers(conf) == (("192.0.2.1", 53),)
    conf.write_text("".join(f"nameserver 192.0.2.{number}\n" for number in range(9)))
    assert len(system_resolvers(conf)) == 3
    assert system_resolvers(tmp_path / "missing") == ()


def test_values_do_not_import_what_looks_up() -> None:
    code = "import proxygen.dns.answers, sys; sys.exit('dns' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), cause("refused")),
        (TimeoutError(errno.ETIMEDOUT, "x"), cause("timed-out")),
        (OSError(errno.EHOSTUNREACH, "x"), cause("no-route")),
        (OSError(errno.ENETUNREACH, "x"), cause("no-network")),
        (ConnectionResetError(errno.ECONNRESET, "x"), cause("reset")),
        (ConnectionResetError("Connection lost"), cause("reset")),
        (TimeoutError(), cause("in-time")),
        (
            OSError(errno.EMFILE, "x"),
            cause("system", errno="EMFILE", words=os.strerror(errno.EMFILE).lower()),
        ),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), cause("system", words="its words")),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] x"), cause("no-tls", words="its words")),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else each.code,
)
def test_an_error_of_the_network_has_a_code_and_others_are_told_in_the_systems_words(
    error: OSError, why: Cause
) -> None:
    told = network_cause(error)
    assert (told.code, told.get("errno")) == (why.code, why.get("errno"))
    if why.get("words") == "its words":
        assert told.get("words") in str(error)
    else:
        assert told == why
