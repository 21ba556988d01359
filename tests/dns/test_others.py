"""One customer's DNS must not spoil what is found of others, nor reach what is not public."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest
from dns.message import Message

from proxygen.dns.answers import AnswerSource, LookupFailure, LookupResult
from proxygen.dns.resolver import Resolver
from proxygen.names.findings import cause_words
from tests.dns.scripted import (
    Says,
    Scripted,
    answer,
    asked_for,
    delegating,
    holding,
    rooting,
    silent,
)


@contextmanager
def servers(port: int, *parts: Mapping[str, Says]) -> Iterator[None]:
    """Serve, each address from a thread of its own."""
    with ExitStack() as stack:
        for part in parts:
            stack.enter_context(Scripted(port, part))
        yield


def referring(network: str) -> Says:
    """Return a registry: ``e0.example`` … waste questions, the victim is with a provider."""

    def says(query: Message) -> Message:
        domain = ".".join(asked_for(query)[0].split(".")[-2:])
        hosts = {f"ns.{domain}": f"{network}2"}
        if domain == "victim.example":
            hosts = {"ns.provider.example": ""}
        elif domain.startswith("e"):
            hosts[f"ns.waste{domain}"] = ""
        return answer(
            query,
            authority=tuple(f"{domain} 86400 NS {host}." for host in hosts),
            additional=tuple(f"{host} 86400 A {at}" for host, at in hosts.items() if at),
            aa=False,
        )

    return says


def wasteful(network: str, steps: int) -> Says:
    """Return who serves all these domains: an alias leads from one to the next, to the victim.

    Each of the *steps* takes half of the questions that a look has left.
    """

    def says(query: Message) -> Message:
        name, _ = asked_for(query)
        domain = ".".join(name.split(".")[-2:])
        if domain[0] == "e" and domain[1].isdecimal():
            following = int(domain.partition(".")[0][1:]) + 1
            target = f"e{following}.example" if following < steps else "victim.example"
            return answer(query, f"{name} 60 CNAME {target}.")
        if domain == "victim.example":
            return holding(domain, f"{domain} 60 A 192.0.2.1")(query)  # type: ignore[return-value]
        return holding(domain, f"ns.{domain} 60 A {network}2")(query)  # type: ignore[return-value]

    return says


@pytest.mark.parametrize("steps", range(3, 8))
def test_a_lookup_that_runs_out_of_questions_teaches_nothing_about_others(
    network: str, port: int, steps: int
) -> None:
    root = rooting(f"{network}1", referring(network))
    parts = {f"{network}1": root, f"{network}2": wasteful(network, steps)}
    asking = Resolver(roots=(f"{network}1",), port=port, patience=0.5, system=lambda: ())

    async def both() -> tuple[LookupResult, LookupResult]:
        return await asking.resolve("e0.example", "A"), await asking.resolve("victim.example", "A")

    with servers(port, parts):
        evil, victim = asyncio.run(both())
    assert evil.failure is (LookupFailure.SERVERS_SILENT if steps > 4 else LookupFailure.NONE)
    assert (victim.failure, victim.records) == (LookupFailure.NONE, ("192.0.2.1",))


def test_who_takes_all_the_time_makes_room_for_others(network: str, port: int) -> None:
    """Each question to a silent server would keep the only place as long as it may."""
    evil = [f"{network}{number}" for number in range(10, 14)]
    domains = {f"e{at}.example": {f"ns.e{at}.example": each} for at, each in enumerate(evil)}
    domains["a.example"] = {"ns.a.example": f"{network}2"}

    def registry(query: Message) -> Message:
        domain = ".".join(asked_for(query)[0].split(".")[-2:])
        return delegating(domain, domains[domain])(query)  # type: ignore[return-value]

    parts = {
        f"{network}1": rooting(f"{network}1", registry),
        f"{network}2": holding("a.example", "a.example 60 A 192.0.2.1"),
        **dict.fromkeys(evil, silent),
    }
    asking = Resolver(
        roots=(f"{network}1",), port=port, in_flight=1, patience=0.6, within=1, system=lambda: ()
    )

    async def at_once() -> LookupResult:
        await asking.resolve("e0.example", "TXT")
        looks = [asking.resolve(each, "A") for each in (*domains,)]
        return (await asyncio.gather(*looks))[-1]

    with servers(port, parts):
        found = asyncio.run(at_once())
        later = asyncio.run(asking.resolve("a.example", "AAAA"))
    assert (found.failure, found.records) == (LookupFailure.NONE, ("192.0.2.1",))
    assert found.source is AnswerSource.AUTHORITATIVE
    assert later.failure is LookupFailure.NONE


def test_no_delegation_makes_this_host_ask_servers_in_a_private_network(
    network: str, port: int
) -> None:
    """Neither by the addresses beside a delegation nor by those of a name server elsewhere."""
    private = f"{network}9"
    hosts = {
        "a.example": {"ns1.a.example": private, "ns2.a.example": f"{network}2"},
        "b.example": {"inner.a.example": ""},
    }

    def registry(query: Message) -> Message:
        domain = ".".join(asked_for(query)[0].split(".")[-2:])
        return delegating(domain, hosts[domain])(query)  # type: ignore[return-value]

    records = ("a.example 60 A 192.0.2.1", f"inner.a.example 60 A {private}")
    root = rooting(f"{network}1", registry)
    parts = {f"{network}1": root, f"{network}2": holding("a.example", *records)}
    asking = Resolver(
        roots=(f"{network}1",),
        port=port,
        patience=0.5,
        system=lambda: (),
        public=lambda address: address != private,
    )

    async def both() -> list[LookupResult]:
        return [await asking.resolve(each, "A") for each in hosts]

    with servers(port, parts), Scripted(port, {private: holding("a.example")}) as inner:
        right, wrong = asyncio.run(both())
    assert inner.asked == []
    assert (right.records, len(right.replies)) == (("192.0.2.1",), 1)
    assert wrong.failure is LookupFailure.SERVERS_SILENT
    assert "inner.a.example: no public address" in cause_words(wrong.because)
