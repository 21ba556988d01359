"""plan: what would be done and why, with diffs if wanted; nothing is touched."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from proxygen import assemble
from proxygen.errors import HELD_BACK, SET_ASIDE, IssueFailed
from proxygen.languages.lines import visible
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.observe.named_files import certificates, of_authorities
from proxygen.observe.site import observe
from proxygen.plan.schedule import told
from proxygen.plan.shown import told as shown
from proxygen.plan.steps import Install, Issue, Plan
from proxygen.reconcile import make_plan
from proxygen.reports.document import document


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--diff", "diffs", is_flag=True, help="Show the diff of every file.")
@click.pass_obj
def command(layout: Layout, as_json: bool, diffs: bool) -> int:
    """Show what `apply` would do, and why.

    Files that change are told by name and number of lines, with --diff by their diff. Nothing is
    touched. `apply` plans again once a certificate is obtained; the files are shown with those
    that are there now. Files that the
    model names are looked at as by `validate`. Exit code 4: a service cannot be worked with;
    5: a certificate that is to be taken from files, or what `acme` names, cannot be used; 8: a
    removal is held back; 9: an included file is set aside.
    """
    site = assemble.site(layout)
    parts = assemble.parts(layout, lambda: datetime.now(UTC))
    observed = observe(site, parts)
    plan = make_plan(site, parts, observed)
    issues = (step for step in plan.steps if isinstance(step, Issue) and not step.stand_in)
    wanted = [*(step.certificate for step in issues), *(each.certificate for each in plan.waiting)]
    due = certificates(wanted, parts.now(), parts.store)
    supplied = [each for each in due if not each.is_usable]
    authority = [each for each in of_authorities(site) if not each.is_usable]
    if as_json:
        told = {
            "acme": [each.as_json() for each in authority],
            "files": [each.as_json() for each in supplied],
            "set_aside": [each.as_json() for each in site.set_aside],
            "held_back": [each.as_json() for each in site.held_back],
        }
        click.echo(document(plan.as_json(diffs=diffs) | told))
    else:
        show(plan, diffs=diffs)
        as_it_was(site)
        for each in (*authority, *supplied, *(error for _, error in plan.failures)):
            click.echo(str(each), err=True)
    if plan.failures:
        return max(error.exit_code for _, error in plan.failures)
    if authority or supplied:
        return IssueFailed.exit_code
    return HELD_BACK if site.held_back else SET_ASIDE if site.set_aside else 0


def as_it_was(site: Site) -> None:
    """Print which removals would be held back, and which included files are set aside."""
    for each in (*site.held_back, *site.set_aside):
        click.echo(str(each), err=True)


def show(plan: Plan, *, diffs: bool) -> None:
    """Print a plan for people, with *diffs* of all files or their names."""
    for step in plan.steps:
        click.echo(str(step))
        if isinstance(step, Install):
            for line in step.in_full() if diffs else step.in_short():
                click.echo(f"    {visible(line)}")
    for line in shown(plan.shown):
        click.echo(visible(line))
    for words in told(plan.waiting):
        click.echo(visible(words))
    if plan.forecast:
        click.echo(f"forecast: {plan.forecast}")
    for warning in plan.warnings:
        click.echo(f"warning: {visible(warning)}", err=True)
    if not plan.steps and not plan.failures:
        click.echo("nothing to do")
