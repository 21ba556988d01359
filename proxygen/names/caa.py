"""Whether CAA records let an authority issue (RFC 8659), by whom and how it is asked (RFC 8657)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from proxygen.languages.lines import terminal_text
from proxygen.names.causes import Cause, cause

KNOWN = frozenset({"issue", "issuewild", "iodef", "issuemail"})
"""Tags that authorities understand (RFC 8659 section 4, RFC 9495); more only if not critical."""

CRITICAL = 128 | 1
"""Bit 0 is the highest one (RFC 8659 section 4.1); many set the lowest, and Let's Encrypt obeys."""

LONGEST = 65_535
LABEL = r"[A-Za-z0-9](?:-*[A-Za-z0-9])*"
RECORD = re.compile(r"(\d{1,3}) ([A-Za-z0-9]{1,255}) (.*)", re.ASCII | re.DOTALL)
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
ESCAPED = re.compile(r"\\([0-9]{3}|.)", re.DOTALL)
ISSUE = re.compile(rf"[ \t]*({LABEL}(?:\.{LABEL})*)?[ \t]*(?:;(.*))?", re.DOTALL)
PARAMETER = re.compile(rf"[ \t]*({LABEL})[ \t]*=[ \t]*([\x21-\x3a\x3c-\x7e]*)[ \t]*")
METHODS = re.compile(r"[A-Za-z0-9-]+(?:,[A-Za-z0-9-]+)*")


@dataclass(frozen=True, slots=True)
class CaaDecision:
    """Why records do not let an authority issue; there is no *cause* where they do."""

    cause: Cause | None = None

    @property
    def allowed(self) -> bool:
        """Whether they let it issue."""
        return self.cause is None


@dataclass(frozen=True, slots=True)
class Property:
    """One record: its *value* is None where it cannot be read; of one that is none, no *tag*."""

    critical: bool
    tag: str
    value: str | None


@dataclass(frozen=True, slots=True)
class IssueProperty:
    """The value of an issue property (RFC 8659 section 4.2): for nobody where *issuer* is empty."""

    issuer: str
    parameters: tuple[tuple[str, str], ...]

    def all(self, tag: str) -> tuple[str, ...]:
        """Return the values of a parameter."""
        return tuple(value for each, value in self.parameters if each == tag)


def caa_decision(
    records: Iterable[str],
    identities: Collection[str],
    account: str | None,
    challenge: str,
    *,
    wildcard: bool,
) -> CaaDecision:
    """Return whether the CAA records that hold for a name let an authority issue for it.

    *records* are in presentation form. The authority goes by any of *identities*
    (``caaIdentities``, RFC 8555 section 7.1.1). No account yet satisfies any ``accounturi``:
    nobody can say which it will be.
    """
    properties = [read_property(each) for each in records]
    for each in properties:
        if each.critical and each.tag not in KNOWN:
            critical = cause("critical", tag=each.tag) if each.tag else cause("unreadable")
            return CaaDecision(critical)
    holding = ruling_properties(properties, wildcard=wildcard)
    named = [each for each in holding if names_one_of(each, identities)]
    refusals = [why_not(each, account, challenge) for each in named]
    if not holding or None in refusals:
        return CaaDecision()
    said = (each for each in refusals if each)
    return CaaDecision(next(said, cause("not-among", who=identity_words(identities))))


def read_property(record: str) -> Property:
    """Return what a record in presentation form says (RFC 8659 section 4.1.1)."""
    parts = RECORD.fullmatch(record[:LONGEST])
    if parts is None:
        return Property(True, "", None)
    flags, tag, rest = parts.groups()
    return Property(bool(int(flags) & CRITICAL), tag.lower(), unquote_string(rest))


def unquote_string(text: str) -> str | None:
    """Return a character string without its quotes and escapes (RFC 1035 section 5.1)."""
    quoted = QUOTED.fullmatch(text)
    if quoted is None and ('"' in text or " " in text):
        return None
    return ESCAPED.sub(lambda each: unescape(each[1]), quoted[1] if quoted else text)


def unescape(escaped: str) -> str:
    """Return the character that an escape stands for."""
    return chr(int(escaped)) if len(escaped) == 3 else escaped


def ruling_properties(properties: Collection[Property], *, wildcard: bool) -> list[Property]:
    """Return the properties that rule; for a wildcard issuewild wins (RFC 8659 section 4.3)."""
    wild = [each for each in properties if each.tag == "issuewild"]
    if wildcard and wild:
        return wild
    return [each for each in properties if each.tag == "issue"]


def names_one_of(ruling: Property, identities: Collection[str]) -> bool:
    """Return whether a property is about an authority; a malformed one is about all of them."""
    issue = parse_issue(ruling.value)
    return issue is None or issue.issuer.lower() in {each.lower() for each in identities}


def why_not(ruling: Property, account: str | None, challenge: str) -> Cause | None:
    """Return why a property does not let the authority issue that it is about, None if it does."""
    issue = parse_issue(ruling.value)
    if issue is None:
        return cause("malformed", tag=ruling.tag)
    return other_account(issue, account) or other_method(issue, challenge)


def parse_issue(value: str | None) -> IssueProperty | None:
    """Return what the value of an issue property says, None when it is malformed."""
    parts = ISSUE.fullmatch(value) if value is not None else None
    if parts is None:
        return None
    issuer, rest = parts[1] or "", (parts[2] or "").strip(" \t")
    found = [PARAMETER.fullmatch(each) for each in rest.split(";")] if rest else []
    parameters = tuple((each[1].lower(), each[2]) for each in found if each)
    return IssueProperty(issuer, parameters) if len(parameters) == len(found) else None


def other_account(issue: IssueProperty, account: str | None) -> Cause | None:
    """Return that another account is named, or several (RFC 8657 section 3), else None."""
    accounts = issue.all("accounturi")
    if len(accounts) > 1:
        return cause("accounts")
    if accounts and account and accounts[0] != account:
        return cause("account", account=account)
    return None


def other_method(issue: IssueProperty, challenge: str) -> Cause | None:
    """Return that the challenge is not among the methods (RFC 8657 section 4), else None."""
    methods = issue.all("validationmethods")
    if len(methods) > 1 or (methods and not METHODS.fullmatch(methods[0])):
        return cause("methods")
    if methods and challenge not in methods[0].split(","):
        return cause("method", challenge=challenge)
    return None


def needed_record(identities: Iterable[str], *, wildcard: bool) -> str:
    """Return the record that lets an authority issue, in presentation form."""
    tag = "issuewild" if wildcard else "issue"
    return f'0 {tag} "{terminal_text(next(iter(identities), ""))}"'


def identity_words(identities: Iterable[str]) -> str:
    """Return who an authority is."""
    return ", ".join(identities)
