"""account: our account at each ACME authority; a new key for it, a backup of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proxygen import assemble
from proxygen.errors import UsageError, did_you_mean
from proxygen.host import files, lock
from proxygen.languages.lines import visible
from proxygen.model.layout import Layout
from proxygen.model.schema import DIRECTORIES
from proxygen.model.site import Acme, Site
from proxygen.reports.document import document

if TYPE_CHECKING:
    from proxygen.issuers.acme_server import Server

LARGEST_BACKUP = 64 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """What is to be said of the account at one authority; None for what is not known."""

    directory: str
    url: str | None
    contact: str | None
    thumbprint: str | None
    terms: str | None

    def __str__(self) -> str:
        if self.url is None:
            return f"{self.directory}\n  account:     none yet, the first certificate creates it"
        return (
            f"{self.directory}\n"
            f"  account:     {self.url}\n"
            f"  contact:     {self.contact or 'none'}\n"
            f"  key:         {self.thumbprint} (thumbprint)\n"
            f"  agreed to:   {self.terms or 'no terms'}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return the line as ``--json`` prints it."""
        return asdict(self) | {"created": self.url is not None}


@click.command
@click.option("--authority", metavar="URL", help="The authority meant (URL or known word).")
@click.option("--roll-over", is_flag=True, help="Give the account a new key.")
@click.option(
    "--export", "backup", metavar="FILE", type=click.Path(path_type=Path), help="Write a backup."
)
@click.option(
    "--check", "checked", metavar="FILE", type=click.Path(path_type=Path), help="Check a backup."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
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

    With --roll-over the account gets a new key; backups of it from before are then of no use.
    --export writes key and account to a new file that its owner alone can read; keep it where
    this host's disk is not. --check FILE tells whether a backup is still good. Without
    --authority they are about the authority that is asked first.
    """
    site = assemble.site(layout)
    one = chosen(authority, site)
    asked: dict[str, Callable[[], str]] = {}
    if roll_over:
        asked["rolled_over"] = partial(rolled_over, one, layout)
    if backup:
        asked["exported"] = partial(exported, one, layout, backup)
    if checked:
        asked["checked"] = partial(good, one, layout, checked)
    if len(asked) > 1:
        raise UsageError("one thing at a time", remedy="give --roll-over, --export or --check")
    said = {word: act() for word, act in asked.items()}
    shown = (one,) if asked or authority else site.authorities
    tell(said, [line(each, layout) for each in shown], as_json=as_json)
    return 0


def tell(said: dict[str, str], lines: list[Line], *, as_json: bool) -> None:
    """Print what was done, and the accounts."""
    if as_json:
        done = dict.fromkeys(said, True)
        click.echo(document({**done, "accounts": [each.as_json() for each in lines]}))
        return
    for words in (*said.values(), *map(str, lines)):
        click.echo(visible(words))


def chosen(typed: str | None, site: Site) -> Acme:
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


def line(authority: Acme, layout: Layout) -> Line:
    """Return what is stored of the account at an authority."""
    from proxygen.issuers.acme_kept import KeptAccount, thumbprint

    kept = KeptAccount(assemble.opened(layout), authority.directory)
    known, key = kept.registered(), kept.key()
    if known is None or key is None:
        return Line(authority.directory, None, None, None, None)
    return Line(authority.directory, known.url, known.contact, thumbprint(key), known.terms)


def rolled_over(authority: Acme, layout: Layout) -> str:
    """Give the account a new key; return what to say."""
    from proxygen.issuers.acme_account import Account
    from proxygen.issuers.acme_backup import no_account

    with lock.held(layout.obtaining):
        if line(authority, layout).url is None:
            raise no_account(authority.directory)
        Account(server(authority), assemble.opened(layout), assemble.secret).roll_over()
    return "the account has a new key; backups from before are of no use: make a new one"


def exported(authority: Acme, layout: Layout, path: Path) -> str:
    """Write a backup of the account to a new file; return what to say."""
    from proxygen.issuers.acme_backup import Backup
    from proxygen.issuers.acme_kept import KeptAccount

    kept = KeptAccount(assemble.opened(layout), authority.directory)
    content = Backup.of(kept, authority.directory, datetime.now(UTC)).content
    try:
        files.create(path, content)
    except FileExistsError as error:
        raise UsageError(f"{path} is there already", remedy="name a new file") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        remedy = "name a file in a folder that is there"
        raise UsageError(f"{path}: {error.strerror}", remedy=remedy) from error
    return f"{path} holds the account and its private key: keep it safe"


def good(authority: Acme, layout: Layout, path: Path) -> str:
    """Check a backup; return what to say when it is good."""
    from proxygen.issuers.acme_backup import NAME_ONE, Backup
    from proxygen.issuers.acme_kept import KeptAccount

    try:
        content = files.read(path, LARGEST_BACKUP)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", remedy=NAME_ONE) from error
    if content is None:
        raise UsageError(f"there is no file {path}", remedy=NAME_ONE)
    kept = KeptAccount(assemble.opened(layout), authority.directory)
    Backup.read(content, str(path)).check(kept, server(authority))
    return f"{path} is a good backup: its key is in use, and the authority knows it"


def server(authority: Acme) -> Server:
    """Return the server of an authority."""
    from proxygen.issuers.acme_server import Server
    from proxygen.issuers.acme_transport import Pace

    return Server(authority, 1, lambda: datetime.now(UTC), Pace())
