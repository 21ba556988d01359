"""apply: make what is into what the model says."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from datetime import timedelta

import click

from proxygen import assemble
from proxygen.apply.outcome import Outcome, Progress
from proxygen.assemble import Parts
from proxygen.errors import IssueFailed
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.names.states import State
from proxygen.reconcile import Alone, reconcile
from proxygen.terminal import completion
from proxygen.terminal.arguments import JSON, VERBOSE, duration, owner
from proxygen.terminal.outcome import told_all
from proxygen.terminal.progress import progress
from proxygen.terminal.walk import Show, now, over, run_of
from proxygen.texts.names import named

JUST_NOW = timedelta(days=1)
"""How long a name may have been in trouble for `--wait-dns` to wait for it unless it is named."""


@click.command
@click.argument("domains", nargs=-1, metavar="[DOMAIN]...", shell_complete=completion.domains)
@click.option(
    "--wait-dns",
    metavar="TIME",
    callback=duration,
    help="Wait up to TIME (30s, 10m, 1h) for DNS changes that you have just made.",
)
@click.option(
    "--confirm-removal",
    is_flag=True,
    help="Carry out a removal that is held back.",
)
@click.option(
    "--wait-lock",
    metavar="TIME",
    callback=duration,
    help="Wait up to TIME for another run to end, instead of exiting with 7.",
)
@VERBOSE
@JSON
@click.pass_obj
def command(
    layout: Layout,
    domains: tuple[str, ...],
    wait_dns: int,
    confirm_removal: bool,
    wait_lock: int,
    verbose: bool,
    as_json: bool,
) -> int:
    """Make nginx, postfix and dovecot match the model.

    Writes the configuration that changed, reloads the services, and connects as a client to verify
    what they serve. Then obtains the certificates that are due, and installs them the same way.
    If you name a DOMAIN (or `global`), no other certificate is obtained; the configuration is
    still written for all domains.

    \b
    Exit codes:
      0  done, or nothing to do
      4  a service refused the configuration; its previous one is back in place
      5  a certificate could not be obtained; everything else is done
      6  done, but clients do not receive what they should
      7  another run is at work
      8  done, but a removal is held back until you confirm it
      9  done, but an included file with mistakes is set aside
    """
    site = assemble.site(layout, confirmed=confirm_removal)
    only = tuple(owner(domain, site) for domain in domains)

    def once(latest: Site, parts: Parts, shown: Progress, alone: Alone) -> Outcome:
        return reconcile(latest, parts, shown, only, alone)

    show = Show(as_json, verbose)
    outcome = run_of(layout, site, once, show=show, wait=wait_lock, asked=only)
    site = over(layout, site)
    until, chosen, joined = time.monotonic() + wait_dns, only, set[str]()
    while (left := until - time.monotonic()) > 0:
        right = dns_awaited(layout, site, chosen, left, show)
        late = set(joining(layout, site, chosen)) - {of for of, _ in outcome.failures} - joined
        joined |= late
        if not (right := right | late):
            break
        only = tuple(sorted(right))
        second = run_of(layout, site, once, show=show, wait=wait_lock, asked=only)
        outcome = both(outcome, second, right)
    return told_all(outcome, as_json=as_json, verbose=verbose)


def both(first: Outcome, second: Outcome, owners: Collection[str]) -> Outcome:
    """Return what two rounds did, of which the second obtained for some *owners* only."""
    others = [
        (of, error)
        for of, error in first.failures
        if isinstance(error, IssueFailed) and of not in owners
    ]
    second.done[:0] = first.done
    second.failures[:0] = others
    second.waiting[:0] = [each for each in first.waiting if each.owner not in owners]
    return second


def dns_awaited(
    layout: Layout, site: Site, owners: tuple[str, ...], most: float, show: Show
) -> set[str]:
    """Wait until the DNS of names is right; return the owners of those for which it became so.

    Nobody is kept from a round meanwhile.
    """
    from proxygen.apply.preflight import Looking, awaited, in_trouble, listens

    parts = assemble.parts(layout, now)
    asked = in_trouble(site, parts, owners, now() - JUST_NOW)
    if not asked:
        return set()
    with progress(quiet=show.as_json, verbose=show.verbose) as shown:
        shown.say(f"waiting up to {typed(round(most))} for the DNS of {many(len(asked))}")
        right = awaited(Looking(site, parts, listens(site, parts)), asked, most, shown.say)
        if not right:
            shown.say(f"the DNS of {many(len(asked))} is not right yet: see `proxygen names`")
    return right


def joining(layout: Layout, site: Site, owners: Collection[str]) -> Iterator[str]:
    """Yield the owners, among *owners* if any, of which a certificate lacks a name that is ready.

    Alone it would wait for others; somebody who waits does not want that.
    """
    parts = assemble.parts(layout, now)
    for each in named(site, parts.bundles.all(), parts.names.all(), now()):
        chosen = not owners or each.owner.key in owners
        ready = each.state is State.READY and each.known and each.known.ready_since
        if chosen and ready and each.bundle:
            yield each.owner.key


def typed(seconds: int) -> str:
    """Return a time as somebody types it."""
    minutes, rest = divmod(seconds, 60)
    return f"{seconds} s" if rest or not minutes else f"{minutes} min"


def many(count: int) -> str:
    """Return so many names in words."""
    return "1 name" if count == 1 else f"{count:,} names"
