"""validate: read the model and the files it names; tell every mistake and verdict."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click

from proxygen import assemble
from proxygen.errors import IssueFailed, visible
from proxygen.model.certificate import Certificate, FileSource
from proxygen.model.layout import Layout


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(layout: Layout, as_json: bool) -> int:
    """Read the model and report every mistake.

    Certificates that it names as files are looked at as a client would. Exit code 3: the model
    is wrong; 5: one of those certificates cannot be used.
    """
    site = assemble.site(layout)
    supplied = [looked_at(each, each.file) for each in site.certificates if each.file]
    count = len(list(site.certificates))
    summary = (
        f"{layout.config}: {counted(len(site.domains), 'domain')}, {counted(count, 'certificate')}"
    )
    usable = all(each["usable"] for each in supplied)
    if as_json:
        click.echo(json.dumps({"model": summary, "mistakes": [], "files": supplied}, indent=2))
    else:
        for each in supplied:
            click.echo(visible("\n".join(lines(each))))
        click.echo(f"{summary}; {'the model is right' if usable else 'see above'}")
    return 0 if usable else IssueFailed.exit_code


def counted(count: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def looked_at(wanted: Certificate, file: FileSource) -> dict[str, Any]:
    """Return what is to be said of one supplied certificate."""
    from proxygen.issuers.file import FileIssuer, warnings
    from proxygen.model.verdicts import inspect

    issuer = FileIssuer(lambda: datetime.now(UTC), assemble.secret)
    said: dict[str, Any] = {"owner": wanted.owner, "where": str(wanted.origin), "error": None}
    try:
        pair = issuer.supplied(file)
    except IssueFailed as error:
        return said | {"usable": False, "error": str(error), "verdicts": [], "warnings": []}
    verdicts = inspect(pair, wanted.names, datetime.now(UTC))
    return said | {
        "usable": all(verdict.ok or not verdict.serious for verdict in verdicts),
        "verdicts": [
            {"check": each.check, "ok": each.ok, "serious": each.serious, "words": each.words}
            for each in verdicts
        ],
        "warnings": list(warnings(file)),
    }


def lines(said: dict[str, Any]) -> list[str]:
    """Return the verdicts on one certificate, a line each."""
    found = [f"the certificate of {said['owner']} ({said['where']}):"]
    if said["error"]:
        found += [f"  {line}" for line in said["error"].splitlines()]
    for each in said["verdicts"]:
        mark = "ok  " if each["ok"] else "BAD " if each["serious"] else "note"
        found.append(f"  {mark} {each['check']}: {each['words']}")
    return found + [f"  note {words}" for words in said["warnings"]]
