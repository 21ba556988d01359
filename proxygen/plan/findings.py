"""What a look at a name can find, each in one English sentence; `languages/` tell it at length."""

from __future__ import annotations

from proxygen.plan.language import one_line
from proxygen.plan.names import Finding

SENTENCES = {
    "nxdomain": "{name} does not exist in the zone {zone}",
    "no-delegation": "{domain} is not registered, or not delegated to any name server",
    "no-address": "the name has neither an A nor an AAAA record",
    "servers-silent": "the name servers of {zone} do not answer ({servers})",
    "servers-lame": "the name servers of {zone} do not know the zone ({servers})",
    "servfail": "the name servers fail: {words}",
    "dnssec": "the DNSSEC signatures of {zone} are wrong: {words}",
    "differing": "the name servers of {zone} give different answers ({answers})",
    "cname-loop": "the CNAME records lead in a circle ({chain})",
    "chain-too-long": "too many CNAME records lead from one to the next ({chain})",
    "elsewhere": "the {type} record {address} leads to another server ({words})",
    "not-answered": "the challenge was not answered at {address}: {words}",
    "private": "{address} cannot be reached from the internet",
    "caa": "the CAA records of {domain} do not allow {needed} ({records}): {words}",
    "caa-lookup": "the CAA records of {domain} cannot be looked up: {words}",
    "acme-challenge": "no record can be written for {name}: {words}",
    "persist": "the TXT record {name} with {record} is missing",
    "too-many": "only {most} of its {count} {type} records were looked at",
    "cannot-look": "it could not be looked up from here: {words}",
    "not-fetched": "{address} could not be reached from here: {words}",
    "through-proxy": "{address} is none of our addresses, but leads here",
}
"""By the code of a finding; in braces its facts. The last four are no reason to wait, nor is any
other whose finding says so: an authority can do without what is wrong there.

Further facts, for who tells more: *record* of ``caa`` is the record that would allow it, *type* of
``private`` that of the record, *zone* of ``servfail`` where it is."""


def sentence(finding: Finding) -> str:
    """Return a finding in one line; what others said in it is bounded and made printable."""
    facts = {name: one_line(value) for name, value in finding.facts}
    return SENTENCES[finding.code].format_map(Facts(facts))


class Facts(dict[str, str]):
    """Facts of a finding; one that was stored without a fact is told without it."""

    def __missing__(self, name: str) -> str:
        return "…"
