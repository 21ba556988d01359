"""apply: make what is into what the model says."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from datetime import timedelta

import click

from proxygen import assemble
from proxygen.apply.outcome import Outcome, Progress, nothing
from proxygen.assemble import Parts
from proxygen.errors import (
    IssueFailed,
)
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.names.states import State
from proxygen.reconcile import Alone, reconcile
from proxygen.terminal import completion
from proxygen.terminal.arguments import duration, owner
from proxygen.terminal.outcome import told_all
from proxygen.terminal.printing import echo
from proxygen.terminal.walk import now, over, run_of
from proxygen.texts.names import named

JUST_NOW = timedelta(days=1)
"""How long a name may have been in trouble for `--wait-dns` to wait for it unless it is named."""


@click.command
@click.argument("domains", nargs=-1, metavar="[DOMAIN]...", shell_complete=completion.domains)
@click.option(
    "--wait-dns",
    metavar="TIME",
    callback=duration,
    help="Wait so long (30s, 10m, 1h) for DNS changes that were just made.",
)
@click.option(
    "--confirm-removal",
    is_flag=True,
    help="Remove what is gone from the model, be it ever so much.",
)
@click.option(
    "--wait-lock",
    metavar="TIME",
    callback=duration,
    help="Wait so long while another run is at work, instead of ending with 7.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(
    layout: Layout,
    domains: tuple[str, ...],
    wait_dns: int,
    confirm_removal: bool,
    wait_lock: int,
    as_json: bool,
) -> int:
    """Make nginx, postfix and dovecot match the model.

    Installs, reloads and verifies what changed, obtains the certificates that are due, then
    installs these. With a
    DOMAIN (or `global`) only its certificate is obtained; the configuration is made for all.
    Exit code 4: a service refused and its former state is back; 5: a certificate could not be
    obtained, everything else is done; 6: done, but not served as wanted; 7: another run is at work,
    or obtains certificates: what was there is served; 8: done, but a removal is
    held back until it is confirmed; 9: done, but an included file is set aside for its mistakes.
    """
    site = assemble.site(layout, confirmed=confirm_removal)
    only = tuple(owner(domain, site) for domain in domains)

    def once(latest: Site, parts: Parts, shown: Progress, alone: Alone) -> Outcome:
        return reconcile(latest, parts, shown, only, alone)

    outcome = run_of(layout, site, once, quiet=as_json, wait=wait_lock)
    site = over(layout, site)
    until, chosen, joined = time.monotonic() + wait_dns, only, set[str]()
    while (left := until - time.monotonic()) > 0:
        right = dns_awaited(layout, site, chosen, left, quiet=as_json)
        late = set(joining(layout, site, chosen)) - {of for of, _ in outcome.failures} - joined
        joined |= late
        if not (right := right | late):
            break
        only = tuple(sorted(right))
        outcome = both(outcome, run_of(layout, site, once, quiet=as_json, wait=wait_lock), right)
    return told_all(outcome, as_json=as_json)


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
    layout: Layout, site: Site, owners: tuple[str, ...], most: float, *, quiet: bool
) -> set[str]:
    """Wait until the DNS of names is right; return the owners of those for which it became so.

    Nobody is kept from a round meanwhile.
    """
    from proxygen.apply.preflight import Looking, awaited, in_trouble, listens

    parts = assemble.parts(layout, now)
    asked = in_trouble(site, parts, owners, now() - JUST_NOW)
    say = nothing if quiet else echo
    if asked:
        say(f"waiting up to {lasting(round(most))} for the DNS of {many(len(asked))}")
    right = awaited(Looking(site, parts, listens(site, parts)), asked, most, say)
    if asked and not right:
        say(f"the DNS of {many(len(asked))} is not right yet; `proxygen names` tells what is wrong")
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


def lasting(seconds: int) -> str:
    """Return how long a time is that was typed."""
    minutes, rest = divmod(seconds, 60)
    return f"{seconds} s" if rest or not minutes else f"{minutes} min"


def many(count: int) -> str:
    """Return so many names in words."""
    return "1 name" if count == 1 else f"{count:,} names"
