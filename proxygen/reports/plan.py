"""plan: what `apply` would do and why, and what of the files that the model names is unusable."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from proxygen import assemble
from proxygen.apply.looks import stale_services
from proxygen.errors import HELD_BACK, SET_ASIDE, IssueFailed, words_json
from proxygen.model.former import Removal, SetAside
from proxygen.model.layout import Layout
from proxygen.observe import named_files
from proxygen.observe.site import observe
from proxygen.plan.steps import Issue, Plan
from proxygen.reconcile import make_plan
from proxygen.texts.bounds import bounded_warnings
from proxygen.texts.names import ModelName, not_ready


@dataclass(frozen=True, slots=True)
class PlanReport:
    """A *plan*; *acme* and *files* are what the model names and proxygen could not use.

    *names* are not ready.
    """

    plan: Plan
    acme: tuple[named_files.NamedFile, ...]
    files: tuple[named_files.SuppliedCertificate, ...]
    set_aside: tuple[SetAside, ...]
    held_back: tuple[Removal, ...]
    names: tuple[ModelName, ...]

    @property
    def exit_code(self) -> int:
        """What `plan` ends with."""
        if self.plan.failures:
            return max(error.exit_code for _, error in self.plan.failures)
        if self.acme or self.files:
            return IssueFailed.exit_code
        return HELD_BACK if self.held_back else SET_ASIDE if self.set_aside else 0

    def as_json(self, *, diffs: bool) -> dict[str, Any]:
        """Return it as ``--json`` prints it, with *diffs* of all files or without."""
        return self.plan.as_json(diffs=diffs) | {
            "warnings": [*map(words_json, bounded_warnings(self.plan.warnings))],
            "acme": [each.as_json() for each in self.acme],
            "files": [each.as_json() for each in self.files],
            "set_aside": [each.as_json() for each in self.set_aside],
            "held_back": [each.as_json() for each in self.held_back],
        }


def plan_report(layout: Layout) -> PlanReport:
    """Return what `apply` would do; reads and asks, but changes nothing."""
    site = assemble.read_site(layout)
    installation = assemble.build_installation(layout, lambda: datetime.now(UTC))
    observed = observe(site, installation)
    plan = make_plan(site, installation, observed, stale=stale_services)
    issues = (step for step in plan.steps if isinstance(step, Issue) and not step.stand_in)
    wanted = [*(step.certificate for step in issues), *(each.certificate for each in plan.waiting)]
    acme = named_files.of_authorities(site, installation.store)
    files = named_files.supplied_certificates(wanted, installation.now(), installation.store)
    return PlanReport(
        plan,
        tuple(each for each in acme if not each.is_usable),
        tuple(each for each in files if not each.is_usable),
        site.set_aside,
        site.held_back,
        tuple(not_ready(site, observed, installation.now())),
    )
