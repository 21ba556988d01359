"""Remedies: why a name cannot be proven, and what to do about it, in any language."""

from __future__ import annotations

from dataclasses import dataclass

from proxygen.languages.language import Language
from proxygen.model.hosts import readable_name
from proxygen.names.findings import fill_phrase, key_of
from proxygen.names.states import Finding, NameState

NEEDED = {
    **dict.fromkeys(("nxdomain", "no-address"), "address"),
    **dict.fromkeys(("servers-silent", "servers-lame", "servfail"), "servers"),
    **dict.fromkeys(("cname-loop", "chain-too-long"), "alias"),
    **dict.fromkeys(("too-many", "cannot-look", "not-fetched", "through-proxy"), "nothing"),
    "wildcard": "nothing",
}
"""From the code of a finding to the key of the phrase about what is needed, if not the same."""

REASONS = {
    **{name: name for name in ("dns", "dnssec", "connection", "unauthorized", "caa")},
    **{name: name for name in ("rateLimited", "rejectedIdentifier", "userActionRequired")},
    **dict.fromkeys(("incorrectResponse", "tls"), "unauthorized"),
    **dict.fromkeys(("serverInternal", "badNonce"), "serverInternal"),
    "unsupportedIdentifier": "rejectedIdentifier",
    **dict.fromkeys(("accountDoesNotExist", "badCSR", "badPublicKey"), "account"),
    **dict.fromkeys(("badSignatureAlgorithm", "externalAccountRequired"), "account"),
    **dict.fromkeys(("invalidContact", "invalidProfile", "unsupportedContact"), "account"),
}
"""From the type of a problem (RFC 8555 section 6.7) to the phrases about it."""

THEIRS = frozenset(
    {"dns", "dnssec", "connection", "unauthorized", "caa", "rateLimited", "rejectedIdentifier"}
)
"""What the contact of a domain can correct; the rest is for the operator."""


@dataclass(frozen=True, slots=True)
class NameWords:
    """Sentences about names in one *language*; *server* is the name of the global URL."""

    language: Language
    server: str

    def found(self, name: str, finding: Finding) -> str:
        """Return what a check of a name found; what is missing may be the target of its CNAME."""
        missing = finding.get("name") if finding.code == "nxdomain" else ""
        return self.filled("finding", finding.code, missing or name, finding)

    def needed(self, name: str, finding: Finding) -> str:
        """Return what can be done about it."""
        return self.filled("needed", NEEDED.get(finding.code, finding.code), name, finding)

    def filled(self, kind: str, code: str, name: str, finding: Finding) -> str:
        """Return a phrase about a finding."""
        usual = {"host": readable_name(name), "server": self.server, "code": finding.code}
        key = key_of(self.language, kind, code)
        return fill_phrase(self.language, key, finding.facts, finding.because, usual)

    def reason(self, name_state: NameState) -> str:
        """Return why a name cannot be proven, whoever found that out; empty where it can."""
        if name_state.obstacle:
            return self.found(name_state.name, name_state.obstacle)
        if name_state.refusal:
            return self.language.say(f"reason.{kind_of(name_state)}")
        return ""

    def remedy(self, name_state: NameState) -> str:
        """Return what can be done about it; the operator takes care of what is not the domain's."""
        if name_state.obstacle:
            return self.needed(name_state.name, name_state.obstacle)
        kind = kind_of(name_state)
        return self.language.say(
            f"remedy.{kind if kind in THEIRS else 'contact'}", host=self.server
        )


def kind_of(name_state: NameState) -> str:
    """Return the key of the phrases about the refusal of a name."""
    problem = name_state.refusal.problem if name_state.refusal else ""
    return REASONS.get(problem.rpartition(":")[2], "other")
