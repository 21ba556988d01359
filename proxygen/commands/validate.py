"""validate: read the model and the files that it names; report every mistake."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from proxygen.errors import MOST_MISTAKES
from proxygen.languages.counts import counted_words
from proxygen.model.layout import Layout
from proxygen.reports.document import json_document
from proxygen.reports.validation import ValidationReport, validation_report
from proxygen.terminal.arguments import JSON, VERBOSE
from proxygen.terminal.outcome import show_warnings
from proxygen.terminal.printing import print_line, print_text
from proxygen.terminal.supplied import show_supplied


@click.command
@VERBOSE
@JSON
@click.pass_obj
def command(layout: Layout, verbose: bool, as_json: bool) -> int:
    """Read the model and report every mistake.

    Reads the certificates that the model names as files as well, and the roots and the key that
    `acme` names; with --verbose, also those without a problem are shown.

    \b
    Exit codes:
      0  all is right
      3  the model is wrong; the main file stops everything, an included one is set aside
      5  a file or secret that the model names cannot be used
    """
    report = validation_report(layout, datetime.now(UTC))
    if as_json:
        click.echo(json_document(report.as_json()))
    else:
        print_report(report, verbose=verbose)
    return report.exit_code


def print_report(report: ValidationReport, *, verbose: bool) -> None:
    """Print a report for people."""
    for each in (*report.acme, *report.adopt):
        if not each.is_usable:
            print_line(str(each))
    show_supplied(report.files, verbose=verbose)
    show_warnings(report.warnings, verbose)
    set_aside = (each.words for each in report.set_aside)
    for one in (*report.held_back, *report.mistakes[:MOST_MISTAKES], *set_aside):
        print_text(str(one), err=True)
    if len(report.mistakes) > MOST_MISTAKES:
        most = f"there are more than {MOST_MISTAKES} mistakes; the first ones are shown"
        print_text(most, err=True)
    result = "see above" if report.exit_code else "the model is right"
    domains = counted_words(report.domains, "domain")
    certificates = counted_words(report.certificates, "certificate")
    print_line(f"{report.file}: {domains}, {certificates}; {result}")
