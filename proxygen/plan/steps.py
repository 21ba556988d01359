"""Adopt, CheckNames, Issue, Forget, Install, Reload, Verify: a plan's steps, with reasons."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from proxygen.errors import Coded, ProxygenError, words_json
from proxygen.failure import Failure, failure_words
from proxygen.languages.counts import counted_words, some_names
from proxygen.model.certificate import ADOPT, Authority, Bundle, Certificate, KeyAndChain
from proxygen.model.hosts import readable_name
from proxygen.names.findings import finding_sentence
from proxygen.names.states import Finding
from proxygen.plan.rendering import Rendering
from proxygen.plan.renewal import Reason
from proxygen.services import Endpoint

MOST_NAMED = 20
"""Files of a step that are named; of the others it is told how many there are."""


@dataclass(frozen=True, slots=True)
class Change:
    """A file or parameter that changes; None: it does not exist."""

    path: str
    before: str | None
    after: str | None

    @property
    def code(self) -> str:
        """What happens to it: ``new``, ``changed`` or ``gone``."""
        if self.before is None:
            return "new"
        return "gone" if self.after is None else "changed"

    @property
    def added(self) -> int:
        """How many lines are added; lines that only move do not count."""
        return lines_without(self.after, self.before)

    @property
    def removed(self) -> int:
        """How many lines are removed."""
        return lines_without(self.before, self.after)

    def __str__(self) -> str:
        if self.code == "changed":
            return f"{self.path} (lines: {self.added:,} added, {self.removed:,} removed)"
        return f"{self.path} ({self.code}, lines: {self.added or self.removed:,})"

    def diff(self) -> Iterator[str]:
        """Yield the lines of a unified diff."""
        before = (self.before or "").splitlines()
        after = (self.after or "").splitlines()
        old = "/dev/null" if self.before is None else self.path
        new = "/dev/null" if self.after is None else self.path
        yield from difflib.unified_diff(before, after, old, new, lineterm="")


def lines_without(text: str | None, others: str | None) -> int:
    """Return how many lines of a text another one does not have."""
    return (Counter((text or "").splitlines()) - Counter((others or "").splitlines())).total()


@dataclass(frozen=True, slots=True)
class Adopt:
    """Store a certificate and key that services have, or `adopt` names; *bundle* tells of them."""

    bundle: Bundle
    pair: KeyAndChain = field(repr=False)
    paths: tuple[Path, ...]
    reason: Reason

    def __str__(self) -> str:
        owner = readable_name(self.bundle.owner)
        services = [each for each in self.bundle.adopted.split() if each != ADOPT]
        of = " ".join(services) or "the files that `adopt` names"
        return f"adopt the certificate of {owner} from {of}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Issue:
    """Obtain a certificate; a *stand_in* is self-signed until the real one arrives.

    *authorities* are asked in turn until one issues it. *left_out* are names that the model wants
    in it but that cannot be proven now; *unanswered* are those of them for which no web server was
    seen to answer challenges.
    """

    certificate: Certificate
    reason: Reason
    stand_in: bool = False
    authorities: tuple[Authority, ...] = ()
    left_out: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = "a stand-in for" if self.stand_in else "the certificate of"
        issuer = "selfsigned" if self.stand_in else self.certificate.issuer
        left = some_names(self.left_out, readable_name)
        without = f"; without {left} for now" if left else ""
        return (
            f"issue {what} {readable_name(self.certificate.owner)} ({issuer}): "
            f"{self.reason}{without}"
        )


@dataclass(frozen=True, slots=True)
class CheckNames:
    """Check names before an order; *asked*: each with its certificate."""

    asked: tuple[tuple[Certificate, str], ...]

    def __str__(self) -> str:
        names = [name for _, name in self.asked]
        return f"check {counted_words(len(names), 'name')}: {some_names(names, readable_name)}"


@dataclass(frozen=True, slots=True)
class Forget:
    """Remove a stored bundle with its key."""

    bundle: Bundle
    reason: Reason

    def __str__(self) -> str:
        return f"forget the certificate of {readable_name(self.bundle.owner)}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Install:
    """Give a service its files, checked first, then switched as a whole."""

    rendering: Rendering
    reason: Reason
    changes: tuple[Change, ...] = field(repr=False)

    def __str__(self) -> str:
        return f"install {self.rendering.service}: {self.reason}"

    def in_short(self) -> Iterator[str]:
        """Yield how many files change, and the first ones by name; nothing if none does."""
        many = len(self.changes)
        if many:
            yield "1 file:" if many == 1 else f"{many:,} files:"
        yield from (f"  {each}" for each in self.changes[:MOST_NAMED])
        if many > MOST_NAMED:
            yield f"  and {many - MOST_NAMED:,} more"

    def in_full(self) -> Iterator[str]:
        """Yield the diff of every file."""
        for change in self.changes:
            yield from change.diff()


@dataclass(frozen=True, slots=True)
class Reload:
    """Make a service read its configuration again; with a *reason* if no file changes."""

    service: str
    reason: Reason | None = None

    def __str__(self) -> str:
        return f"reload {self.service}" + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True, slots=True)
class Verify:
    """Connect to a service as a client; without a *reason* because it was just changed."""

    service: str
    endpoints: tuple[Endpoint, ...] = field(repr=False)
    reason: Reason | None = None

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        many = counted_words(len(self.endpoints), "connection")
        return f"probe {self.service}: {many} as a client{why}"


@dataclass(frozen=True, slots=True)
class PostponedOrder:
    """A certificate that is due but postponed; *code* tells why.

    ``failed``, ``authority`` (it cannot be used), ``limit``, or ``names`` (they cannot be
    proven).

    *asked*: the authority named the moment itself, so nobody can hasten it. *name* is the name that
    it waits for, *finding* is what is wrong with its DNS, *silent* are those for which a web
    server does not answer challenges.
    """

    certificate: Certificate
    until: datetime
    code: str
    why: Failure
    asked: bool = False
    name: str = ""
    silent: tuple[str, ...] = ()
    finding: Finding | None = None

    def __str__(self) -> str:
        until = f"{self.until:%Y-%m-%d %H:%M} UTC"
        return f"{readable_name(self.owner)} is postponed until {until}: {self.words}"

    @property
    def owner(self) -> str:
        """The owner of the certificate."""
        return self.certificate.owner

    @property
    def words(self) -> str:
        """Why it is postponed, in one line of English, with the first words of the other side."""
        found = failure_words(self.why)
        what = f"{found.what}: {finding_sentence(self.finding)}" if self.finding else found.what
        return " | ".join([what, *found.words.splitlines()[:1]])

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        until, why = self.until.isoformat(), self.why.as_json()
        return {
            "owner": self.owner,
            "until": until,
            "code": self.code,
            "words": self.words,
            "failure": why,
        }


@dataclass(frozen=True, slots=True)
class Forecast:
    """How many certificates are still due, of how many, and when the *last* one is ordered."""

    due: int
    wanted: int
    last: datetime

    def __str__(self) -> str:
        when = f"{self.last:%A %H:%M} UTC ({self.last:%Y-%m-%d})"
        return (
            f"{self.due:,} of {self.wanted:,} certificates are due; the last one is ordered {when}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {"due": self.due, "wanted": self.wanted, "last": self.last.isoformat()}


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """What clients of an owner's URL get from services: *now*, *then*, and *later* if known.

    *then* is when the services are set up; *later* once a certificate is obtained.
    """

    owner: str
    name: str
    services: tuple[str, ...]
    now: Coded
    then: Coded
    later: Coded | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "owner": self.owner,
            "name": self.name,
            "services": list(self.services),
            "now": words_json(self.now),
            "then": words_json(self.then),
            "later": words_json(self.later) if self.later else None,
        }


Step = Adopt | CheckNames | Issue | Forget | Install | Reload | Verify


def done_words(step: Step) -> Coded:
    """Return what is said of a step that was done."""
    match step:
        case Adopt(bundle) | Forget(bundle):
            of = bundle.owner
        case Issue(certificate):
            of = certificate.owner
        case Install(rendering):
            of = rendering.service
        case Reload(service) | Verify(service):
            of = service
        case CheckNames():
            of = ""
    return Coded(str(step), word_of(step), of)


def word_of(step: Step) -> str:
    """Return the name of a kind of step in JSON."""
    return "check" if isinstance(step, CheckNames) else type(step).__name__.lower()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in order, and what is worth knowing about it.

    Certificates that need no authority come before the services, which are planned again once these
    are stored; orders come last, and another plan deploys what they obtain. *failures* tell which
    services proxygen cannot work with, and why. *waiting* are certificates that are due but
    postponed, and *forecast* tells when the last of those that limits postpone is ordered. *shown*
    is what clients get now, and will get.
    """

    steps: tuple[Step, ...]
    warnings: tuple[str, ...] = ()
    failures: tuple[tuple[str, ProxygenError], ...] = ()
    waiting: tuple[PostponedOrder, ...] = ()
    forecast: Forecast | None = None
    shown: tuple[ShownCertificate, ...] = ()

    def as_json(self, *, diffs: bool = False) -> dict[str, Any]:
        """Return the plan as ``--json`` prints it, with *diffs* of all files or without."""
        return {
            "steps": [step_json(step, diffs=diffs) for step in self.steps],
            "shown": [each.as_json() for each in self.shown],
            "failures": [{"of": of} | error.as_json() for of, error in self.failures],
            "warnings": [*map(words_json, self.warnings)],
            "postponed": [each.as_json() for each in self.waiting],
            "forecast": self.forecast.as_json() if self.forecast else None,
        }


def step_json(step: Step, *, diffs: bool = False) -> dict[str, Any]:
    """Return a step as ``--json`` prints it, with *diffs* or without."""
    said: dict[str, Any] = {"step": word_of(step), "words": str(step)}
    match step:
        case Adopt(bundle, _, paths, reason):
            said |= {"owner": bundle.owner, "names": list(bundle.names), "reason": reason.code}
            said |= {"services": bundle.adopted.split(), "files": list(map(str, paths))}
            said |= {"not_after": bundle.not_after.isoformat(), "self_signed": bundle.stand_in}
        case Issue(certificate, reason, stand_in):
            said |= {"owner": certificate.owner, "names": list(certificate.names)}
            said |= {"reason": reason.code, "stand_in": stand_in}
            said |= {"left_out": list(step.left_out)}
        case CheckNames(asked):
            said |= {"names": [name for _, name in asked]}
        case Forget(bundle, reason):
            said |= {"owner": bundle.owner, "reason": reason.code}
        case Install(rendering, reason, changes):
            said |= {"service": rendering.service, "reason": reason.code}
            said["files"] = [change_json(each) for each in changes]
            said["diff"] = "\n".join(step.in_full()) if diffs else None
        case Reload(service, reason):
            said |= {"service": service, "reason": reason.code if reason else None}
        case Verify(service, endpoints, reason):
            said |= {"service": service, "endpoints": [endpoint_json(each) for each in endpoints]}
            said["reason"] = reason.code if reason else None
    return said


def endpoint_json(endpoint: Endpoint) -> dict[str, Any]:
    """Return a place as ``--json`` prints it; without a fingerprint, clients must be refused."""
    bundle = endpoint.bundle
    return {
        "address": endpoint.address,
        "port": endpoint.port,
        "server_name": endpoint.server_name,
        "starttls": endpoint.starttls,
        "owner": bundle.owner if bundle else None,
        "fingerprint": bundle.fingerprint if bundle else None,
        "words": str(endpoint),
    }


def change_json(change: Change) -> dict[str, Any]:
    """Return a change of a file as ``--json`` prints it."""
    counted = {"added": change.added, "removed": change.removed}
    return {"path": change.path, "change": change.code} | counted
