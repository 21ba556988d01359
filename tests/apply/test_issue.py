"""Certificates side by side: whatever goes wrong in one domain's work, the others go on."""

from __future__ import annotations

from pathlib import Path

from proxygen.apply.authority_state import AuthorityState
from proxygen.apply.issue import CertificateIssuer, Result
from proxygen.apply.outcome import never_stop, tell_nobody
from proxygen.errors import Bug, Origin
from proxygen.issuers.selfsigned import SelfSignedIssuer
from proxygen.model.certificate import Bundle, Certificate, KeyAndChain
from proxygen.plan.renewal import Reason
from proxygen.plan.steps import Issue
from tests.live.installation import Clock, TrialInstallation


class OneIsBroken(SelfSignedIssuer):
    """Signs for everybody but one domain, whose work meets a bug."""

    def issue(
        self, wanted: Certificate, former: KeyAndChain | None, replaces: str | None = None
    ) -> KeyAndChain:
        """Return a certificate."""
        if wanted.owner == "b.example":
            raise ZeroDivisionError("of ours")
        return super().issue(wanted, former, replaces)


def step(owner: str) -> Issue:
    """Return that a certificate is due."""
    wanted = Certificate(owner, (f"www.{owner}",), "selfsigned", Origin("m.yaml", 1, 1))
    return Issue(wanted, Reason("absent", "no certificate yet"))


def test_a_bug_in_one_domains_work_harms_no_other_and_waits_before_it_is_tried_again(
    tmp_path: Path,
) -> None:
    parts = TrialInstallation(tmp_path, Clock(), 1).parts
    issuers = {"selfsigned": OneIsBroken(parts.now)}
    issuing = CertificateIssuer(
        parts, issuers, {}, never_stop, tell_nobody, AuthorityState(parts, {})
    )
    told: list[Result] = []
    issuing.all(map(step, ("a.example", "b.example", "c.example")), told.append)
    found = {each.certificate.owner: result for each, result in told}
    assert isinstance(found["a.example"], Bundle)
    assert isinstance(found["c.example"], Bundle)
    assert isinstance(found["b.example"], Bug)
    assert "ZeroDivisionError" in found["b.example"].words
    assert parts.bundles.all().keys() == {"a.example", "c.example"}
    assert parts.bundles.failures()["b.example"].again > parts.now()
