"""account: our account at each ACME authority; a new key for it, a backup of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proxygen import assemble
from proxygen.errors import UsageError, did_you_mean
from proxygen.host import files, lock
from proxygen.model.layout import Layout
from proxygen.model.schema import DIRECTORIES
from proxygen.model.site import Acme, Site
from proxygen.reports.account import account_line, account_report
from proxygen.reports.document import json_document
from proxygen.terminal.arguments import JSON
from proxygen.terminal.printing import print_line

if TYPE_CHECKING:
    from proxygen.issuers.acme_server import AcmeServer

LARGEST_BACKUP = 64 * 1024


@click.command
@click.option(
    "--authority", metavar="URL", help="The authority, by its URL or word (default: the first)."
)
@click.option("--roll-over", is_flag=True, help="Give the account a new key.")
@click.option(
    "--export",
    "backup",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write a backup to FILE.",
)
@click.option(
    "--check",
    "checked",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Check the backup in FILE.",
)
@JSON
@click.pass_obj
def command(
    layout: Layout,
    authority: str | None,
    roll_over: bool,
    backup: Path | None,
    checked: Path | None,
    as_json: bool,
) -> int:
    """Show our account at each ACME authority.

    --roll-over gives the account a new key; earlier backups of the account are then useless.
    --export writes the account and its private key to a new file that only its owner can read;
    keep the file on another machine. --check tells whether a backup is still valid. Without
    --authority, these options are for the authority that the model names first.
    """
    site = assemble.read_site(layout)
    one = typed_authority(authority, site)
    asked: dict[str, Callable[[], str]] = {}
    if roll_over:
        asked["rolled_over"] = partial(rolled_over, one, layout)
    if backup:
        asked["exported"] = partial(export_backup, one, layout, backup)
    if checked:
        asked["checked"] = partial(check_backup, one, layout, checked)
    if len(asked) > 1:
        raise UsageError("one thing at a time", remedy="give --roll-over, --export or --check")
    done = {word: act() for word, act in asked.items()}
    report = account_report((one,) if asked or authority else site.authorities, layout)
    if as_json:
        click.echo(json_document(dict.fromkeys(done, True) | report.as_json()))
    else:
        for words in (*done.values(), *map(str, report.accounts)):
            print_line(words)
    return 0


def typed_authority(typed: str | None, site: Site) -> Acme:
    """Return the authority that was typed, the preferred one for None; raise UsageError."""
    if typed is None:
        return site.acme
    directory = DIRECTORIES.get(typed, typed)
    for each in site.authorities:
        if each.directory == directory:
            return each
    known = [each.directory for each in site.authorities]
    words = [word for word, url in DIRECTORIES.items() if url in known]
    remedy = did_you_mean(typed, (*words, *known), f"name one of: {', '.join(known)}")
    raise UsageError(f"the model has no authority {typed}", remedy=remedy)


def rolled_over(authority: Acme, layout: Layout) -> str:
    """Give the account a new key; return what to say."""
    from proxygen.issuers.acme_account import Account
    from proxygen.issuers.acme_backup import no_account

    with lock.hold(layout.obtaining):
        if account_line(authority, layout).url is None:
            raise no_account(authority.directory)
        Account(
            server_of(authority), assemble.shared_store(layout), assemble.read_secret
        ).roll_over()
    return "the account has a new key; backups from before are of no use: make a new one"


def export_backup(authority: Acme, layout: Layout, path: Path) -> str:
    """Write a backup of the account to a new file; return what to say."""
    from proxygen.issuers.acme_backup import Backup
    from proxygen.issuers.acme_kept import KeptAccount

    kept = KeptAccount(assemble.shared_store(layout), authority.directory)
    content = Backup.of(kept, authority.directory, datetime.now(UTC)).content
    try:
        files.create(path, content)
    except FileExistsError as error:
        raise UsageError(f"{path} is there already", remedy="name a new file") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        remedy = "name a file in a folder that is there"
        raise UsageError(f"{path}: {error.strerror}", remedy=remedy) from error
    return f"{path} holds the account and its private key: keep it safe"


def check_backup(authority: Acme, layout: Layout, path: Path) -> str:
    """Check a backup; return what to say when it is good."""
    from proxygen.issuers.acme_backup import NAME_ONE, Backup
    from proxygen.issuers.acme_kept import KeptAccount

    try:
        content = files.read(path, LARGEST_BACKUP)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", remedy=NAME_ONE) from error
    if content is None:
        raise UsageError(f"there is no file {path}", remedy=NAME_ONE)
    kept = KeptAccount(assemble.shared_store(layout), authority.directory)
    Backup.read(content, str(path)).check(kept, server_of(authority))
    return f"{path} is a good backup: its key is in use, and the authority knows it"


def server_of(authority: Acme) -> AcmeServer:
    """Return the server of an authority."""
    from proxygen.issuers.acme_server import AcmeServer
    from proxygen.issuers.acme_transport import Pace

    return AcmeServer(authority, 1, lambda: datetime.now(UTC), Pace())
