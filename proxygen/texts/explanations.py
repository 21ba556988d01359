"""Explanations: a text about one name, to forward to whoever can correct its DNS."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from proxygen.failure import failure_words
from proxygen.languages.language import Language
from proxygen.languages.lines import as_sentence, one_line, terminal_text
from proxygen.model import persist
from proxygen.model.certificate import DNS, HTTP
from proxygen.model.hosts import is_address, readable_name
from proxygen.model.site import Site
from proxygen.names.states import Evidence, Finding, State
from proxygen.plan.records import (
    CHALLENGE_LABEL,
    TTL,
    DnsRecord,
    Publishing,
    kind_of,
    may_be_alias,
    no_aliases,
    proof_records,
    quoted_strings,
)
from proxygen.texts.names import ModelName
from proxygen.texts.remedies import NameWords

WIDTH = 74
RESOLVER = "8.8.8.8"
SAMPLE = "check"
"""Replaces the star of a wildcard in commands, as only single names can be looked up."""

PLACES = {"": "global", "selfsigned": "selfsigned"}
"""From an issuer without an authority to the phrase about it; others are ``supplied``."""

LEADING = frozenset(
    {
        *("nxdomain", "no-address", "differing", "cname-loop", "chain-too-long"),
        *("elsewhere", "not-answered", "private"),
    }
)
"""Findings that are corrected by A, AAAA and CNAME records."""


def explanation(
    named: ModelName, site: Site, publishing: Publishing, language: Language, now: datetime
) -> str:
    """Return the text about one name, in paragraphs that fit a mail program."""
    blocks = Explanation(named, site, publishing, language, now).blocks()
    return "\n\n".join(blocks) + "\n"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The parts of the text."""

    named: ModelName
    site: Site
    publishing: Publishing
    language: Language
    now: datetime

    @property
    def name_words(self) -> NameWords:
        """The words about findings in this language."""
        return NameWords(self.language, str(self.site.main.host))

    @property
    def host(self) -> str:
        """A name that can be looked up: for a wildcard, one that it stands for."""
        return self.named.name.replace("*", SAMPLE, 1)

    @property
    def zone_name(self) -> str:
        """The name without the star of a wildcard."""
        return self.named.name.removeprefix("*.")

    @property
    def grave(self) -> tuple[Finding, ...]:
        """The findings because of which an authority would refuse the name."""
        evidence = None if self.named.is_unchecked else self.evidence
        return tuple(each for each in evidence.findings if each.grave) if evidence else ()

    @property
    def evidence(self) -> Evidence | None:
        """What the last check found."""
        return self.named.name_state.evidence if self.named.name_state else None

    @property
    def needs_action(self) -> bool:
        """Whether there is something to be done."""
        return self.named.needs_attention

    def blocks(self) -> Iterator[str]:
        """Yield each paragraph."""
        yield self.heading("title")
        yield self.wrapped(self.state_sentences())
        if self.needs_action:
            yield from self.found()
        if self.named.state is None or (self.named.state is State.ISSUED and not self.needs_action):
            return
        yield from self.needed()
        yield from self.check()
        yield self.heading("then")
        yield self.wrapped(self.what_happens())

    def say(self, key: str, **values: object) -> str:
        """Return a phrase about the name."""
        usual = {"name": readable_name(self.named.name), "server": str(self.site.main.host)}
        return self.language.say(f"explain.{key}", **usual | values)

    def heading(self, key: str) -> str:
        """Return a heading, underlined."""
        title = self.say(key)
        return f"{title}\n{'-' * min(len(title), WIDTH)}"

    def wrapped(self, text: str, first: str = "", rest: str = "") -> str:
        """Return a paragraph in lines; names and addresses stay whole."""
        return textwrap.fill(
            text,
            WIDTH,
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def state_sentences(self) -> str:
        """Return the state of the name, in a sentence or two."""
        named, moment = self.named, self.language.moment
        until = moment(named.bundle.not_after) if named.bundle else ""
        if named.state is None:
            return self.say(f"standing.{PLACES.get(named.issuer, 'supplied')}")
        if named.state is State.MOVED and named.name_state and named.name_state.dropped:
            return self.say("standing.moved", dropped=moment(named.name_state.dropped))
        if named.is_at_risk:
            return self.say("standing.risk", until=until)
        if named.state is State.ISSUED:
            return self.say("standing.issued", until=until)
        if named.state is State.READY and named.is_unchecked:
            return self.say("standing.unchecked")
        if named.state is State.READY:
            return self.say(f"standing.{'ready' if self.evidence else 'unseen'}")
        return self.say("standing.missing")

    def found(self) -> Iterator[str]:
        """Yield what a check found, or what the authority said."""
        yield self.heading("found")
        evidence, refusal = self.evidence, self.named.name_state and self.named.name_state.refusal
        if self.grave and evidence:
            yield self.wrapped(self.say("looked", at=self.language.moment(evidence.at)))
            for each in self.grave:
                yield self.wrapped(self.name_words.found(self.named.name, each), "* ", "  ")
            if lines := [*as_found(self.named.name, evidence)]:
                yield self.say("records")
                yield indented_block(lines)
        elif refusal:
            phrase = "refused" if refusal.problem else "unproven"
            yield self.wrapped(self.say(phrase, at=self.language.moment(refusal.at)))
            words = refusal.words
            if refusal.failure:
                text = failure_words(refusal.failure, self.language.phrases)
                yield self.wrapped(as_sentence(text.what), "* ", "  ")
                words = text.words
            yield indented_block(f"| {terminal_text(each)}" for each in words.splitlines()[:15])
            if self.named.name_state:
                yield self.wrapped(self.name_words.reason(self.named.name_state), "* ", "  ")

    def needed(self) -> Iterator[str]:
        """Yield what is to be done, with the exact records."""
        yield self.heading("needed")
        texts = [self.name_words.needed(self.named.name, each) for each in self.grave]
        if (
            self.needs_action
            and not texts
            and self.named.name_state
            and self.named.name_state.refusal
        ):
            texts = [self.name_words.remedy(self.named.name_state)]
        for text in dict.fromkeys(texts):
            yield self.wrapped(text, "* ", "  ")
        yield from self.leading()
        yield from self.further("also", self.proof_records())
        yield from self.further("caa", self.allowing())

    def leading(self) -> Iterator[str]:
        """Yield the records with which the name leads here."""
        wanted = self.named.wanted
        if wanted is None or (wanted.challenge != HTTP and not self.leads_wrong()):
            return
        if is_address(self.named.name):
            return
        addresses = [
            zone_line(self.named.name, kind_of(each), each) for each in self.publishing.addresses
        ]
        alias = zone_line(self.named.name, "CNAME", f"{self.site.main.host}.")
        may = may_be_alias(self.named.name, no_aliases(self.site), self.publishing.registered)
        if addresses:
            yield self.wrapped(self.say("publish"))
            yield indented_block(addresses)
            if may:
                yield self.wrapped(self.say("instead"))
                yield indented_block([alias])
        elif may:
            yield self.wrapped(self.say("publish"))
            yield indented_block([alias])
        else:
            yield self.wrapped(self.say("same_server"))

    def leads_wrong(self) -> bool:
        """Return whether a check found that A, AAAA or CNAME records are wrong."""
        return any(each.code in LEADING for each in self.grave)

    def further(self, key: str, lines: Sequence[str]) -> Iterator[str]:
        """Yield further records."""
        if lines:
            yield self.wrapped(self.say(key))
            yield indented_block(lines)

    def proof_records(self) -> list[str]:
        """Return the records by which the name is proven, or by which we may write them."""
        told = [
            zone_line(each.get("name"), "TXT", as_txt(each.get("record")))
            for each in self.grave
            if each.code == "persist" and each.get("name") and each.get("record")
        ]
        mine: Iterable[DnsRecord] = proof_records(self.named.owner, self.publishing)
        known = [each.line for each in mine if self.named.name in each.names]
        wanted = self.named.wanted
        if told or (wanted and wanted.challenge == DNS and not self.is_blocked):
            return told
        return told or known

    @property
    def is_blocked(self) -> bool:
        """Whether no record can be written by which the name would be proven."""
        return any(each.code == "acme-challenge" for each in self.grave)

    def allowing(self) -> list[str]:
        """Return the CAA records that are missing beside those that are there."""
        found = [each for each in self.grave if each.code == "caa" and each.get("domain")]
        return [zone_line(each.get("domain"), "CAA", missing_caa(each)) for each in found]

    def check(self) -> Iterator[str]:
        """Yield commands that show whether it is right, each with what it must print."""
        checks = list(self.checks())
        if not checks:
            return
        yield self.heading("check")
        yield self.wrapped(self.say("dig"))
        yield "\n".join(line for each in checks for line in self.check_lines(*each))

    def check_lines(self, command: str, printed: Sequence[str]) -> Iterator[str]:
        """Yield a command and what it must print."""
        yield f"    dig {command} @{RESOLVER}"
        yield from (f"        {each}" for each in printed or (self.say("nothing"),))

    def checks(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield what to ask the DNS, and what the answer must be."""
        for each in self.grave:
            yield from self.checks_of(each)
        wanted = self.named.wanted
        if wanted is None or is_address(self.named.name):
            return
        if wanted.challenge == HTTP or self.leads_wrong():
            for kind in ("A", "AAAA"):
                ours = [each for each in self.publishing.addresses if kind_of(each) == kind]
                if self.publishing.addresses:
                    yield f"+short {kind} {self.host}", ours
                else:
                    same = self.say("same", command=f"dig +short {kind} {self.site.main.host}")
                    yield f"+short {kind} {self.host}", [same]

    def checks_of(self, finding: Finding) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield the commands that show whether one finding was corrected."""
        zone = one_line(finding.get("zone") or finding.get("domain"))
        zone = shlex.quote(zone) if zone else ""  # people copy it into a shell
        if finding.code in ("no-delegation", "servers-silent", "servers-lame"):
            yield f"+short NS {zone or self.zone_name}", [self.say("servers")]
        elif finding.code in ("dnssec", "servfail"):
            yield f"+noall +comments SOA {zone or self.zone_name}", ["… status: NOERROR …"]
        elif finding.code == "caa":
            yield f"+short CAA {zone}", [one_line(missing_caa(finding)), self.say("besides")]
        elif finding.code == "caa-lookup":
            yield f"+noall +comments CAA {zone}", ["… status: NOERROR …"]
        elif finding.code == "persist":
            record = whole_value(as_txt(finding.get("record")))
            yield f"+short TXT {one_line(finding.get('name'))}", [record]
        elif finding.code == "acme-challenge":
            place = f"{CHALLENGE_LABEL}.{self.zone_name}"
            yield f"+short CNAME {place}", [self.say("target")]

    def what_happens(self) -> str:
        """Return what happens once that is done."""
        again = self.named.next_check
        if again is None or again <= self.now:
            return self.say("then_soon")
        return self.say("then_at", again=self.language.moment(again))


def as_found(name: str, evidence: Evidence) -> Iterator[str]:
    """Yield the records that were found, as lines of a zone file; what others said is bounded."""
    here = name
    for target in evidence.chain[:20]:
        yield f"{here}. IN CNAME {one_line(target)}."
        here = one_line(target)
    for address in evidence.addresses[:20]:
        yield f"{here}. IN {'AAAA' if ':' in address else 'A'} {one_line(address)}"
    for value in evidence.caa[:20] if (place := policy_at(evidence)) else ():
        yield f"{place}. IN CAA {one_line(value)}"


def policy_at(evidence: Evidence) -> str:
    """Return where the CAA records stand; it is known where they are in the way."""
    found = (each.get("domain") for each in evidence.findings if each.code == "caa")
    return one_line(next(found, "")).removesuffix(".")


def zone_line(name: str, kind: str, value: str) -> str:
    """Return a record as a line of a zone file."""
    return f"{one_line(name).removesuffix('.')}. {TTL} IN {kind} {whole_value(value)}"


def whole_value(value: str) -> str:
    """Return the value of a record in one line, printable; no right one is so long as to be cut."""
    return terminal_text(" ".join(value[: 2 * persist.LONGEST].split()))


def missing_caa(finding: Finding) -> str:
    """Return the CAA record that is missing, in presentation form."""
    return finding.get("record") or f"0 issue {quoted_strings(finding.get('needed'))}"


def as_txt(value: str) -> str:
    """Return what a TXT record holds, quoted."""
    return value if value.startswith('"') else quoted_strings(value)


def indented_block(lines: Iterable[str]) -> str:
    """Return lines as a block."""
    return "\n".join(f"    {line}" for line in lines)
