"""validate: read the model and the files it names; tell every mistake and verdict."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from proxygen import assemble
from proxygen.errors import IssueFailed, Origin, visible
from proxygen.host import files
from proxygen.model.certificate import Certificate, FileSource
from proxygen.model.hosts import readable
from proxygen.model.layout import Layout
from proxygen.model.site import Site


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(layout: Layout, as_json: bool) -> int:
    """Read the model and report every mistake.

    Certificates that it names as files are looked at as a client would, and what `acme` names
    is looked for. Exit code 3: the model is wrong; 5: one of those things cannot be used.
    """
    site = assemble.site(layout)
    authority = [*named(site)]
    supplied = [looked_at(each, each.file) for each in site.certificates if each.file]
    count = len(list(site.certificates))
    summary = (
        f"{layout.config}: {counted(len(site.domains), 'domain')}, {counted(count, 'certificate')}"
    )
    usable = all(each["usable"] for each in (*authority, *supplied))
    if as_json:
        found = {"model": summary, "mistakes": [], "acme": authority, "files": supplied}
        click.echo(json.dumps(found, indent=2))
    else:
        for each in authority:
            if each["error"]:
                click.echo(visible(f"{each['field']} ({each['where']}):\n{indented(each)}"))
        for each in supplied:
            click.echo(visible("\n".join(lines(each))))
        click.echo(f"{summary}; {'the model is right' if usable else 'see above'}")
    return 0 if usable else IssueFailed.exit_code


def counted(count: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def named(site: Site) -> Iterator[dict[str, Any]]:
    """Yield what is to be said of each file and secret that `acme` names."""
    for path, acme in zip(("acme", "acme.fallback"), site.authorities, strict=False):
        for index, root in enumerate(acme.trusted_roots):
            yield tried(f"{path}.trusted_roots[{index}]", acme.origin, partial(trust, root))
        if external := acme.external_account:
            field = f"{path}.external_account.hmac_key"
            yield tried(field, acme.origin, partial(assemble.secret, external.hmac_key))


def tried(field: str, where: Origin, use: Callable[[], object]) -> dict[str, Any]:
    """Return whether what *field* names can be used, and if not, why."""
    said = {"field": field, "where": str(where)}
    try:
        use()
    except IssueFailed as error:
        return said | {"usable": False, "error": str(error)}
    return said | {"usable": True, "error": None}


def trust(path: Path) -> None:
    """Load the CA certificates of a file; raise IssueFailed when there are none."""
    import ssl

    try:
        held = files.read(path, LARGEST_ROOTS)
        if held is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=held.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError) as error:
        raise IssueFailed(f"{path} holds no CA certificate as PEM", remedy=ROOTS) from error
    except OSError as error:
        raise IssueFailed(f"cannot read {path}: {error.strerror}", remedy=ROOTS) from error


LARGEST_ROOTS = 4 * 1024 * 1024
ROOTS = "name readable PEM files with the authority's CA certificates"


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
    found = [f"the certificate of {readable(said['owner'])} ({said['where']}):"]
    if said["error"]:
        found.append(indented(said))
    for each in said["verdicts"]:
        mark = "ok  " if each["ok"] else "BAD " if each["serious"] else "note"
        found.append(f"  {mark} {each['check']}: {each['words']}")
    return found + [f"  note {words}" for words in said["warnings"]]


def indented(said: dict[str, Any]) -> str:
    """Return the error, below what it is about."""
    return "\n".join(f"  {line}" for line in said["error"].splitlines())
