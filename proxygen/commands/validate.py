"""validate: read the model and the files it names; tell every mistake and verdict."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from proxygen import assemble
from proxygen.errors import MOST_MISTAKES, IssueFailed, ModelError, UsageError, coded, words_json
from proxygen.host.additions import additions
from proxygen.languages.lines import visible
from proxygen.model.layout import Layout
from proxygen.observe import named_files
from proxygen.reports.document import document
from proxygen.stores import Store
from proxygen.texts.bounds import bounded
from proxygen.texts.nginx_lookups import looked_up_at_the_start


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(layout: Layout, as_json: bool) -> int:
    """Read the model and report every mistake.

    Certificates that it names as files are looked at as a client would, and what `acme` names
    is looked for. Exit code 3: the model is wrong, be it the main file, which stops everything, or
    an included one, which is set aside; 5: one of those things cannot be used.
    """
    site = assemble.site(layout)
    authority = [*named_files.of_authorities(site)]
    now, store = datetime.now(UTC), remembering(layout)
    supplied = [*named_files.certificates(site.certificates, now, store)]
    count = len(list(site.certificates))
    summary = (
        f"{layout.config}: {counted(len(site.domains), 'domain')}, {counted(count, 'certificate')}"
    )
    names = bounded(looked_up_at_the_start(additions(layout)))
    warnings = [*coded("unbounded", site.warnings), *coded("looked-up", names)]
    usable = all(each.is_usable for each in authority) and all(each.is_usable for each in supplied)
    code = ModelError.exit_code if site.mistakes else 0 if usable else IssueFailed.exit_code
    if as_json:
        told = {
            "mistakes": [each.as_json() for each in site.mistakes[:MOST_MISTAKES]],
            "set_aside": [each.as_json() for each in site.set_aside],
            "held_back": [each.as_json() for each in site.held_back],
            "warnings": [*map(words_json, warnings)],
            "acme": [each.as_json() for each in authority],
            "files": [each.as_json() for each in supplied],
            "exit_code": code,
        }
        model = {
            "file": str(layout.config),
            "domains": len(site.domains),
            "certificates": count,
        }
        click.echo(document({"model": model, **told}))
    else:
        for each in (*(each for each in authority if not each.is_usable), *supplied):
            click.echo(str(each))
        for words in warnings:
            click.echo(f"warning: {visible(words)}", err=True)
        mistakes = site.mistakes[:MOST_MISTAKES]
        for one in (*site.held_back, *mistakes, *(each.words for each in site.set_aside)):
            click.echo(visible(str(one)), err=True)
        if len(site.mistakes) > MOST_MISTAKES:
            most = f"there are more than {MOST_MISTAKES} mistakes; the first ones are shown"
            click.echo(most, err=True)
        click.echo(f"{summary}; {'see above' if code else 'the model is right'}")
    return code


def remembering(layout: Layout) -> Store | None:
    """Return the store, which knows what was too costly to read; None where it cannot be asked."""
    try:
        return assemble.opened(layout)
    except (UsageError, OSError):
        return None


def counted(count: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
