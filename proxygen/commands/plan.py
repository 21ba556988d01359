"""plan: what would be done and why, with diffs; nothing is touched."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from proxygen import assemble
from proxygen.errors import visible
from proxygen.model.layout import Layout
from proxygen.observe import observe
from proxygen.plan.schedule import told
from proxygen.plan.steps import Install, Plan
from proxygen.reconcile import make_plan


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--no-diff", is_flag=True, help="Leave the diffs out.")
@click.pass_obj
def command(layout: Layout, as_json: bool, no_diff: bool) -> int:
    """Show what `apply` would do, and why.

    With a diff of every file. Nothing is touched. `apply` plans again once a certificate is
    obtained; the diffs show the configuration with those that are there now.
    """
    site = assemble.site(layout)
    parts = assemble.parts(layout, lambda: datetime.now(UTC))
    observed = observe(site, parts)
    plan = make_plan(site, parts, observed)
    if as_json:
        click.echo(json.dumps(plan.as_json(), indent=2))
    else:
        show(plan, diffs=not no_diff)
        for _, error in plan.failures:
            click.echo(str(error), err=True)
    return max((error.exit_code for _, error in plan.failures), default=0)


def show(plan: Plan, *, diffs: bool) -> None:
    """Print a plan for people."""
    for step in plan.steps:
        click.echo(str(step))
        if diffs and isinstance(step, Install):
            for change in step.changes:
                for line in change.diff():
                    click.echo(f"    {visible(line)}")
    for words in told(plan.waiting):
        click.echo(visible(words))
    if plan.forecast:
        click.echo(f"forecast: {plan.forecast}")
    for warning in plan.warnings:
        click.echo(f"warning: {visible(warning)}", err=True)
    if not plan.steps and not plan.failures:
        click.echo("nothing to do")
