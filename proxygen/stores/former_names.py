"""Former names: what was found about them, with sentences in it, brought to codes and facts.

A sentence stays as the words that it is, until the next check of the name tells the same by codes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from proxygen.names.causes import Cause
from proxygen.names.states import Evidence, Finding
from proxygen.stores.change import read_value
from proxygen.stores.overlay import Overlay

SENTENCES = ("words", "answers", "servers")
"""Facts that were sentences, or parts of one."""

NO_MOMENT = datetime.fromtimestamp(0, UTC)
DAMAGED = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


def pages_forward(store: Overlay) -> Iterator[tuple[str, bytes | None]]:
    """Yield each page with findings of the former form in the newest, unless it is damaged."""
    for key in store.keys("names"):
        former = read_value(store, key)
        try:
            page = json.loads(former or b"")
            if [each for each in page["names"] if bring_state_forward(each)]:
                yield key, json.dumps(page).encode()
        except DAMAGED:
            continue


def bring_state_forward(known: dict[str, Any]) -> bool:
    """Bring what is known of a name to the newest form; return whether anything was to be done."""
    evidence, refusal = known.get("evidence") or {}, known.get("refusal") or {}
    findings = evidence.get("findings", [])
    told = any(name in SENTENCES for each in findings for name, _ in each["facts"])
    same = bool(findings) and refusal.get("mark") == former_mark(evidence)
    if told:
        evidence["findings"] = [*map(with_causes, findings)]
    if same:
        refusal["mark"] = newest_mark(evidence)
        if not refusal["mark"]:
            refusal["again"] = min(refusal["again"], known["look_at"], key=datetime.fromisoformat)
    return told or same


def with_causes(finding: dict[str, Any]) -> dict[str, Any]:
    """Return a finding whose sentences are causes."""
    said = [
        {"code": "servers", "facts": [["servers", value]]}
        if name == "servers"
        else {"code": "said", "facts": [["words", value]]}
        for name, value in finding["facts"]
        if name in SENTENCES
    ]
    facts = [[name, value] for name, value in finding["facts"] if name not in SENTENCES]
    return {**finding, "facts": facts, "because": said}


def newest_mark(evidence: dict[str, Any]) -> str:
    """Return the mark of evidence, empty if the next check of the name may tell it by codes.

    A refusal without a mark holds whatever is found, so it does so until the next look alone.
    """
    findings = tuple(as_finding(each) for each in evidence["findings"])
    if any(each.grave and each.because for each in findings):
        return ""
    return Evidence(
        NO_MOMENT,
        tuple(evidence["addresses"]),
        tuple(evidence["chain"]),
        tuple(evidence["caa"]),
        findings=findings,
    ).mark


def as_finding(finding: dict[str, Any]) -> Finding:
    """Return a finding as a value; what it is because of is not compared."""
    facts = tuple((name, value) for name, value in finding["facts"])
    causes = tuple(Cause(each["code"]) for each in finding.get("because", ()))
    return Finding(finding["code"], facts, finding["grave"], causes)


def former_mark(evidence: dict[str, Any]) -> str:
    """Return the mark that evidence had in the former form."""
    told = ", ".join(map(former_finding, evidence["findings"]))
    addresses, chain = sorted(evidence["addresses"]), tuple(evidence["chain"])
    found = f"({addresses!r}, {chain!r}, {sorted(evidence['caa'])!r}, [{told}])"
    return sha256(found.encode()).hexdigest()[:16]


def former_finding(finding: dict[str, Any]) -> str:
    """Return how a finding was written where it was compared."""
    grave = finding["grave"]
    facts = tuple((n, value) for n, value in finding["facts"] if grave or n not in SENTENCES)
    return f"Finding(code={finding['code']!r}, facts={facts!r}, grave={grave!r})"
