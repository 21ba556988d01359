"""The state of each name of the model, and one line of the terminal about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from proxygen.languages.lines import one_line
from proxygen.model.certificate import HTTP, Bundle, Certificate
from proxygen.model.hosts import readable_name
from proxygen.model.site import Owner, Site
from proxygen.names.findings import finding_sentence, sentence_about
from proxygen.names.states import (
    Answers,
    Evidence,
    NameState,
    NameStates,
    State,
    skips_preflight,
    state_of,
)
from proxygen.plan.observed import Observed
from proxygen.plan.selection import select_names

NOTHING: NameStates = {}

WORDS = {
    State.WAITING: "waiting for DNS",
    State.READY: "ready",
    State.ISSUED: "issued",
    State.FAILED: "failed",
    State.MOVED: "moved away",
}
"""States as the terminal shows them."""

WEB_SERVER = "waiting for the web server"
NOT_ANSWERED = "the web server here does not answer challenges for it"
"""The state and the words of a name that has no other problem."""

OTHERS = {
    "file": "supplied",
    "hook": "supplied",
    "selfsigned": "self-signed",
    "": "global",
}
"""By issuer: what is shown instead of a state where no authority is asked."""

OTHER_WORDS = {
    "file": "in the certificate supplied as a file",
    "hook": "in the certificate that another ACME client obtains",
    "selfsigned": "in a self-signed certificate",
    "": "served with the global certificate",
}


@dataclass(frozen=True, slots=True)
class ModelName:
    """A name of the model with all that is known of it.

    *state* is None where no authority has to prove the name. *bundle* is the certificate of the
    owner, a stand-in apart. *joins_at* is when a name that is ready, and waits for others, is
    ordered. *answered* tells whether a web server of this host answers challenges for the name,
    None where none was asked, or need not.
    """

    owner: Owner
    name: str
    state: State | None
    name_state: NameState | None = None
    bundle: Bundle | None = None
    joins_at: datetime | None = None
    answered: bool | None = None

    @property
    def wanted(self) -> Certificate | None:
        """The certificate that is to cover it, None for the global one."""
        return self.owner.certificate

    @property
    def issuer(self) -> str:
        """Where its certificate comes from, empty where the global one serves."""
        return self.wanted.issuer if self.wanted else ""

    @property
    def is_unchecked(self) -> bool:
        """Whether it is not checked before it is ordered."""
        return self.wanted is not None and skips_preflight(self.wanted, self.name)

    @property
    def is_unseen(self) -> bool:
        """Whether it counts as ready only because nothing was, or could be, looked up."""
        if self.state is not State.READY or self.is_unchecked:
            return False
        evidence = self.name_state.evidence if self.name_state else None
        return evidence is None or evidence.is_blind

    @property
    def is_covered(self) -> bool:
        """Whether the owner's certificate covers it."""
        return self.bundle is not None and self.bundle.covers(self.name)

    @property
    def is_at_risk(self) -> bool:
        """Whether it is covered, but could not be proven now."""
        if self.state is not State.ISSUED or self.name_state is None:
            return self.state is State.ISSUED and self.is_silent
        checked = self.name_state.obstacle is not None and not self.is_unchecked
        return checked or self.name_state.refusal is not None

    @property
    def is_silent(self) -> bool:
        """Whether nothing is wrong with it but that no web server here answers challenges."""
        name_state = self.name_state
        return self.answered is False and not (
            name_state and (name_state.obstacle or name_state.refusal)
        )

    @property
    def needs_attention(self) -> bool:
        """Whether something is wrong with it, be it covered or not."""
        return self.state in TROUBLED or self.is_at_risk

    @property
    def rank(self) -> int:
        """Its place among others: names with a problem come first."""
        if self.is_at_risk:
            return 2
        order = (State.FAILED, State.WAITING, None, State.MOVED, State.READY, State.ISSUED)
        return order.index(self.state) if self.state else len(order)

    @property
    def title(self) -> str:
        """Its state in a word or two."""
        if self.state is State.WAITING and self.is_silent:
            return WEB_SERVER
        return WORDS[self.state] if self.state else OTHERS[self.issuer]

    @property
    def since(self) -> datetime | None:
        """Since when it is so, None where that is not known."""
        if self.state is State.MOVED and self.name_state:
            return self.name_state.bad_since or self.name_state.dropped
        if self.state is State.ISSUED and self.bundle and not self.is_at_risk:
            return self.bundle.not_before
        return (
            self.name_state.since()
            if self.name_state and self.state and not self.is_silent
            else None
        )

    @property
    def next_check(self) -> datetime | None:
        """When it is checked or ordered again; None where there is no need."""
        if self.name_state is None or not self.needs_attention or self.is_silent:
            return None
        if self.is_unchecked:
            return self.name_state.refusal.again if self.name_state.refusal else None
        return self.name_state.look_at

    @property
    def words(self) -> str:
        """What there is to say of it, in one line."""
        return one_line(self.said())

    def said(self) -> str:
        """Return what there is to say of it; the words of others in it are not yet made safe."""
        if self.state is None:
            return OTHER_WORDS[self.issuer]
        trouble = NOT_ANSWERED if self.is_silent else evidence_words(self.name_state)
        if self.state is State.ISSUED and self.bundle:
            until = f"until {self.bundle.not_after:%Y-%m-%d %H:%M} UTC"
            return f"{until}, but cannot be proven now: {trouble}" if self.is_at_risk else until
        if self.state is State.MOVED and self.name_state and self.name_state.dropped:
            return f"removed from the certificate on {self.name_state.dropped:%Y-%m-%d}: {trouble}"
        if self.state in TROUBLED:
            return trouble
        return self.readiness()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return all that is wrong with it, each in one line.

        Where the authority refused it, what a check only remarked may be why.
        """
        looked = self.name_state.evidence if self.name_state and not self.is_unchecked else None
        refused = self.name_state is not None and self.name_state.refusal is not None
        findings = looked.findings if looked else ()
        found = [sentence_about(self.name, each) for each in findings if each.grave or refused]
        told = refusal_words(self.name_state) if self.name_state else ""
        silent = NOT_ANSWERED if self.is_silent else ""
        return tuple(one_line(each) for each in (*found, told, silent) if each)

    def readiness(self) -> str:
        """Return what there is to say of a name that an authority may be asked for."""
        if self.joins_at:
            return f"will be added to the certificate at {self.joins_at:%H:%M} UTC"
        if self.is_unchecked and not (self.name_state and self.name_state.refusal):
            return "not checked before it is ordered (`skip_preflight`)"
        if self.name_state and self.name_state.refusal:
            return f"will be ordered again; {refusal_words(self.name_state)}"
        if self.name_state is None or self.name_state.evidence is None:
            return "not checked yet"
        remarks = [finding_sentence(each) for each in self.name_state.evidence.findings]
        return "; ".join(remarks) or "ready to be ordered"


TROUBLED = frozenset({State.WAITING, State.FAILED, State.MOVED})
"""States of names that no certificate covers because something is wrong."""


def evidence_words(name_state: NameState | None) -> str:
    """Return what is wrong with a name: what a check found, else what the authority said."""
    if name_state and name_state.obstacle:
        return sentence_about(name_state.name, name_state.obstacle)
    return refusal_words(name_state) if name_state else ""


def found_records(name: str, evidence: Evidence) -> str:
    """Return the records that a check of a name found, in one line; empty where it found none."""
    addresses = (f"{'AAAA' if ':' in each else 'A'} {each}" for each in evidence.addresses)
    policies = (f"CAA {each}" for each in evidence.caa)
    return one_line("; ".join((*addresses, *alias_records(name, evidence), *policies)))


def alias_records(name: str, evidence: Evidence) -> tuple[str, ...]:
    """Return the CNAME records on the way from a name to its addresses, as one."""
    return (f"CNAME {' -> '.join((name, *evidence.chain))}",) if evidence.chain else ()


def refusal_words(name_state: NameState) -> str:
    """Return what the authority said against a name, empty where it did not.

    Where it told no problem, it was not even asked: no record could be shown to it.
    """
    if name_state.refusal is None:
        return ""
    words = name_state.refusal.words.strip().splitlines()
    who = "the authority refused it" if name_state.refusal.problem else "it could not be proven"
    if name_state.refusal.failure:
        return f"{who}: {name_state.refusal.failure.what}"
    return f"{who}: {words[0] if words else name_state.refusal.problem}"


def model_names(
    site: Site,
    bundles: Mapping[str, Bundle],
    names: Mapping[str, NameStates],
    now: datetime,
    answers: Answers | None = None,
) -> Iterator[ModelName]:
    """Yield every name of the model, in its order; *answers* are those of web servers here."""
    for owner in site.owners:
        bundle = bundles.get(owner.key) if owner.certificate else None
        real = bundle if bundle and not bundle.stand_in else None
        yield from of_owner(owner, real, names.get(owner.key, NOTHING), now, answers)


def of_owner(
    owner: Owner,
    bundle: Bundle | None,
    known: NameStates,
    now: datetime,
    answers: Answers | None = None,
) -> Iterator[ModelName]:
    """Yield the names of an owner; *bundle* is its own certificate, a stand-in apart."""
    wanted = owner.certificate
    if wanted is None or wanted.issuer != "acme":
        yield from (ModelName(owner, name, None, None, bundle) for name in owner.names)
        return
    joins = joins_at(wanted, bundle, known, now)
    for name in owner.names:
        each = known.get(name)
        counts = replace(each, evidence=None) if each and skips_preflight(wanted, name) else each
        state = state_of(name, bundle, counts, now)
        answered = is_answered(wanted, name, answers)
        state = State.WAITING if state is State.READY and answered is False else state
        at = joins if state is State.READY else None
        yield ModelName(owner, name, state, each, bundle, at, answered)


def is_answered(wanted: Certificate, name: str, answers: Answers | None) -> bool | None:
    """Return whether a web server answers challenges for a name, None where it was not asked."""
    if answers is None or wanted.challenge != HTTP:
        return None
    return True if name in answers.names else False if name in answers.silent else None


def joins_at(
    wanted: Certificate, bundle: Bundle | None, known: NameStates, now: datetime
) -> datetime | None:
    """Return when names that are ready join a certificate, None where they wait for no others."""
    if bundle is None or not known:
        return None
    selection = select_names(wanted, bundle, bundle.source, known, now)
    return selection.joins_at if selection else None


def names_with_failure(site: Site, observed: Observed, now: datetime) -> Iterator[ModelName]:
    """Yield the names that are in no certificate because something is wrong with them."""
    for owner in site.owners:
        if known := observed.names.get(owner.key):
            bundle = observed.bundles.get(owner.key)
            real = bundle if bundle and not bundle.stand_in else None
            found = of_owner(owner, real, known, now)
            yield from (each for each in found if each.state in TROUBLED)


def not_ready(site: Site, observed: Observed, now: datetime) -> Iterator[ModelName]:
    """Yield the names that keep a certificate away, or are left out of one; none that moved."""
    return (
        each for each in names_with_failure(site, observed, now) if each.state is not State.MOVED
    )


def shown_names(names: list[str], most: int = 3) -> str:
    """Return names in both spellings for a sentence, the first ones by name."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(readable_name, names[:most])) + more
