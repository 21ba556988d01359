"""What the daemon says of what it did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from proxygen.daemon.log_lines import EventLog
from proxygen.errors import IssueFailed
from proxygen.failure import not_obtained
from proxygen.plan.renewal import Reason
from proxygen.plan.steps import Issue
from proxygen.stores.bundles import Bundles
from proxygen.stores.filesystem import FileStore
from tests.daemon.surroundings import events
from tests.models import site

PROBLEM = "urn:ietf:params:acme:error:rejectedIdentifier"


def test_a_certificate_that_failed_tells_the_authoritys_problem(tmp_path: Path) -> None:
    wanted = site("global: {url: a.example, certificate: selfsigned}").global_certificate
    failure = replace(not_obtained("names-refused", names=("a.example",)), problem=PROBLEM)
    with events() as kept:
        result = Issue(wanted, Reason("first", "x")), IssueFailed(failure)
        EventLog().certificate(result, Bundles(FileStore(tmp_path)))
    (said,) = kept.of("certificate_failed")
    assert said["problem"] == PROBLEM
