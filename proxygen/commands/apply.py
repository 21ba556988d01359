"""apply: make what is into what the model says."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from datetime import timedelta

import click

from proxygen import assemble
from proxygen.apply.outcome import Outcome, Progress
from proxygen.assemble import Installation
from proxygen.errors import IssueFailed
from proxygen.languages.counts import counted_words
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.names.states import State
from proxygen.reconcile import Alone, reconcile
from proxygen.terminal import completion
from proxygen.terminal.arguments import JSON, VERBOSE, typed_duration, typed_owner
from proxygen.terminal.outcome import told_all
from proxygen.terminal.progress import show_progress
from proxygen.terminal.walk import Show, run_of, site_for_second_round, time_of_day
from proxygen.texts.names import model_names

JUST_NOW = timedelta(days=1)
"""How long a name may have been in trouble for `--wait-dns` to wait for it unless it is named."""


@click.command
@click.argument(
    "domains", nargs=-1, metavar="[DOMAIN]...", shell_complete=completion.complete_domains
)
@click.option(
    "--wait-dns",
    metavar="TIME",
    callback=typed_duration,
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
    callback=typed_duration,
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
    site = assemble.read_site(layout, confirmed=confirm_removal)
    only = tuple(typed_owner(domain, site) for domain in domains)

    def once(latest: Site, installation: Installation, shown: Progress, alone: Alone) -> Outcome:
        return reconcile(latest, installation, shown, only, alone)

    show = Show(as_json, verbose)
    outcome = run_of(layout, site, once, show=show, wait=wait_lock, asked=only)
    site = site_for_second_round(layout, site)
    until, chosen, joined = time.monotonic() + wait_dns, only, set[str]()
    while (left := until - time.monotonic()) > 0:
        right = dns_awaited(layout, site, chosen, left, show)
        late = (
            set(owners_to_complete(layout, site, chosen))
            - {of for of, _ in outcome.failures}
            - joined
        )
        joined |= late
        if not (right := right | late):
            break
        only = tuple(sorted(right))
        second = run_of(layout, site, once, show=show, wait=wait_lock, asked=only)
        outcome = join_outcomes(outcome, second, right)
    return told_all(outcome, as_json=as_json, verbose=verbose)


def join_outcomes(first: Outcome, second: Outcome, owners: Collection[str]) -> Outcome:
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
    from proxygen.apply.preflight import (
        NameChecks,
        is_own_listener,
        names_not_ready,
        wait_for_names,
    )

    installation = assemble.build_installation(layout, time_of_day)
    asked = names_not_ready(site, installation, owners, time_of_day() - JUST_NOW)
    if not asked:
        return set()
    whose = f"the DNS of {counted_words(len(asked), 'name')}"
    with show_progress(quiet=show.as_json, verbose=show.verbose) as shown:
        shown.say(f"waiting up to {duration_typed(round(most))} for {whose}")
        right = wait_for_names(
            NameChecks(site, installation, is_own_listener(site, installation)),
            asked,
            most,
            shown.say,
        )
        if not right:
            shown.say(f"{whose} is not right yet: see `proxygen names`")
    return right


def owners_to_complete(layout: Layout, site: Site, owners: Collection[str]) -> Iterator[str]:
    """Yield the owners, among *owners* if any, of which a certificate lacks a name that is ready.

    Alone it would wait for others; somebody who waits does not want that.
    """
    installation = assemble.build_installation(layout, time_of_day)
    for each in model_names(
        site, installation.bundles.all(), installation.names.all(), time_of_day()
    ):
        chosen = not owners or each.owner.key in owners
        ready = each.state is State.READY and each.name_state and each.name_state.ready_since
        if chosen and ready and each.bundle:
            yield each.owner.key


def duration_typed(seconds: int) -> str:
    """Return a time as somebody types it."""
    minutes, rest = divmod(seconds, 60)
    return f"{seconds} s" if rest or not minutes else f"{minutes} min"
