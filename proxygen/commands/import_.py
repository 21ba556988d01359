"""import: a model from what other ACME clients and services have on this host."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from proxygen import assemble
from proxygen.errors import ModelError, UsageError
from proxygen.host import files
from proxygen.host.suffixes import registered_domain
from proxygen.importing import started
from proxygen.importing.draft import draft_model
from proxygen.importing.host import HostInventory, take_inventory
from proxygen.importing.leaving import switching_off
from proxygen.importing.owners import Draft, DraftOwner, Preferences
from proxygen.importing.read_back import (
    draft_backends,
    files_of,
    is_same,
    set_aside,
    without_mistakes,
)
from proxygen.importing.reading import ClientFiles, is_url
from proxygen.importing.text import backend_lines, one_line
from proxygen.languages.lines import terminal_text
from proxygen.model.hosts import BadName, host_name, is_placeholder, mail_address, url_host
from proxygen.model.layout import Layout
from proxygen.model.schema import DIRECTORIES
from proxygen.model.site import Site

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command
@click.option("--url", metavar="URL", help="The global URL; default: of what mail services show.")
@click.option("--contact", metavar="ADDRESS", help="Who is warned; default: the account's contact.")
@click.option("--directory", metavar="URL", help="The ACME directory, where no client tells it.")
@click.option(
    "--from",
    "more",
    metavar="DIR",
    multiple=True,
    type=FOLDER,
    help="Another folder of an ACME client; may be given several times.",
)
@click.option("--agree-to-terms", is_flag=True, help="You agree to the authority's terms.")
@click.pass_obj
def command(
    layout: Layout,
    url: str | None,
    contact: str | None,
    directory: str | None,
    more: tuple[Path, ...],
    agree_to_terms: bool,
) -> int:
    """Write a model from what is on this host.

    Certificates and accounts of certbot, lego, dehydrated, acme.sh and Apache's mod_md, nginx's
    server blocks, and what postfix and dovecot present are read. Nothing but new files of the
    model is written: read and correct them, then run `proxygen plan`. It can be run again: what
    the model has already is left as it is.
    """
    now = datetime.now(UTC)
    site = present_model(layout)
    found = take_inventory(layout, [path.absolute() for path in more], now)
    asked = directory_of(directory) if directory else site.acme.directory if site else ""
    wish = Preferences(
        checked_option(url, url_host), checked_option(contact, mail_address), asked, own_name()
    )
    draft = draft_model(found, wish, names_of(site), registered_domain, keys_of(site))
    if site is None and draft.main is None:
        raise UsageError(
            "nothing here tells the global URL: no mail service presents a certificate",
            remedy="give --url, or write a first model with `proxygen init`",
        )
    if site:
        draft.domains = [*with_backends(draft, site)]
    draft.domains = without_mistakes(layout, draft, now)
    for words in (*found.everything.troubles, *draft.notes):
        click.echo(f"note: {terminal_text(words)}", err=True)
    wrote = [*write_new_files(layout, files_of(layout, draft, now, agreed=agree_to_terms))]
    after = model_if_right(layout)
    print_result(layout, site, after, draft, wrote)
    switch_off(layout, after, found)
    return 0


def present_model(layout: Layout) -> Site | None:
    """Return what the model says, None where there is none; raise UsageError or ModelError.

    A file that is set aside may have any domain, so that nothing can be told from it.
    """
    try:
        if not layout.config.exists():
            return None
    except OSError as error:
        what = f"{layout.config} cannot be read: {error.strerror}"
        raise UsageError(what, remedy="run it as root, or with --config") from error
    site = assemble.read_site(layout)
    if site.mistakes:
        raise set_aside(site)
    return site


def model_if_right(layout: Layout) -> Site | None:
    """Return the model as it is now, None where it is not right yet: `validate` tells."""
    try:
        return assemble.read_site(layout)
    except ModelError:
        return None


def checked_option(given: str | None, check: Callable[[str], str]) -> str:
    """Return an option's value as the model has it; raise UsageError."""
    try:
        return check(given) if given else ""
    except BadName as error:
        raise UsageError(error.reason, remedy=error.remedy) from error


def directory_of(typed: str) -> str:
    """Return the URL of a directory that may be typed as a word; raise UsageError."""
    found = DIRECTORIES.get(typed, typed)
    if not is_url(found):
        raise UsageError(f"{typed} is no URL of an ACME directory", remedy="begin with https://")
    return found


def own_name() -> str:
    """Return this host's full name, empty where it has none that is its own."""
    try:
        name = host_name(socket.getfqdn())
    except BadName:
        return ""
    return "" if is_placeholder(name) else name


def names_of(site: Site | None) -> frozenset[str]:
    """Return the names that a model has already; none where there is no model yet."""
    return frozenset(name for owner in site.owners for name in owner.names) if site else frozenset()


def keys_of(site: Site | None) -> frozenset[str]:
    """Return what a model calls its owners."""
    return frozenset(owner.key for owner in site.owners) if site else frozenset()


def with_backends(draft: Draft, site: Site) -> Iterator[DraftOwner]:
    """Yield domains for a model that is there: one whose backend it does not have is a comment.

    The same backend may be called otherwise there, and another one the same.
    """
    ours = draft_backends(draft)
    for each in draft.domains:
        if not each.backend or each.idle:
            yield each
            continue
        wanted = ours[each.backend]
        there = [name for name, found in site.backends.items() if is_same(found, wanted)]
        if there:
            yield replace(each, backend=there[0])
        else:
            name = free_backend_name(each.backend, site)
            draft.missing[name] = draft.backends[each.backend]
            why = f"the model has no backend `{name}` yet"
            yield replace(each, backend=name, idle=why)


def free_backend_name(name: str, site: Site) -> str:
    """Return a name for a backend that the model has not given to another."""
    more = (f"{name}-{number}" for number in range(2, len(site.backends) + 3))
    return next(each for each in (name, *more) if each not in site.backends)


def write_new_files(layout: Layout, texts: Mapping[Path, str]) -> Iterator[Path]:
    """Write the files of the model that are not there yet; yield which; raise UsageError."""
    folder = layout.config.parent / "domains.d"
    try:
        for each in (layout.config.parent, folder):
            if not each.is_dir():
                files.folder(each)
        for path, text in reversed(
            [*texts.items()]
        ):  # the model file last: it is whole from then on
            if not path.exists():
                files.create(path, text.encode(), 0o644)
                yield path
    except OSError as error:
        what = f"{error.filename or folder} cannot be written: {error.strerror}"
        raise UsageError(what, remedy="run it as root, or with --config") from error


def print_result(
    layout: Layout, before: Site | None, after: Site | None, draft: Draft, wrote: list[Path]
) -> None:
    """Tell what was written, what is left as it is, and what to add to a model that is there."""
    for path in wrote:
        click.echo(f"wrote {path}")
    folder, new = layout.config.parent / "domains.d", {path.stem for path in wrote}
    kept = [each for each in draft.domains if each.key not in new]
    for each in kept:
        path = folder / f"{each.key}.yaml"
        click.echo(f"{path} is there already and stays as it is; it would name {each.url}")
    if not wrote:
        click.echo("nothing new was found" if not kept else "nothing was written")
    if draft.missing:
        click.echo("add to `backends:` of the model, then take away the `#` in these files:")
        click.echo("\n".join(backend_lines(draft.missing)))
    if before and draft.account and not any(each.account_key for each in before.authorities):
        click.echo(f"an account of {draft.account.client} is there: `acme.account` may name")
        click.echo(f"  file:{draft.account.key}")
    counting = {each.key for each in draft.domains if not each.idle and each.key in new}
    if after and not counting <= keys_of(after):
        add = f"add `include: [domains.d/*.yaml]` to {layout.config}"
        click.echo(f"the model does not read all of these files: {add}")
    click.echo("next: read these files, then `proxygen validate` and `proxygen plan`")


def switch_off(layout: Layout, site: Site | None, found: HostInventory) -> None:
    """Tell what is to be switched off elsewhere once proxygen serves."""
    if site is None:
        if found.renewed:
            click.echo(
                "once `proxygen validate` finds the model right, run `proxygen import` again: it"
                " tells what to switch off elsewhere"
            )
        return

    def starting(clients: Collection[str]) -> Iterator[str]:
        return started.stop_commands(clients, layout, ClientFiles())

    lines = [*switching_off(found, site, starting)]
    if lines:
        click.echo("\nother clients, after `proxygen apply`:")
        for line in lines:
            click.echo(f"  {one_line(line)}")
