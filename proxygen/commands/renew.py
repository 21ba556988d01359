"""renew: obtain what is due, and bring it to the services; for a timer."""

from __future__ import annotations

import click

from proxygen import assemble
from proxygen.apply.outcome import Outcome, Progress
from proxygen.apply.renewal_information import look
from proxygen.assemble import Parts
from proxygen.errors import ProxygenError, UsageError
from proxygen.host import outage
from proxygen.model.hosts import readable
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.observe.site import observe
from proxygen.obtain import settled
from proxygen.plan.compare import is_renewal
from proxygen.plan.renewal import SUPPLIED
from proxygen.reconcile import Alone, make_plan, nothing_due, reconcile
from proxygen.terminal import completion
from proxygen.terminal.arguments import JSON, VERBOSE, owner
from proxygen.terminal.walk import Show, run


@click.command(short_help="Obtain the certificates that are due.")
@click.argument("domains", nargs=-1, metavar="[DOMAIN]...", shell_complete=completion.domains)
@click.option(
    "--replace",
    "anew",
    is_flag=True,
    help="Obtain a new certificate with a new key now, as this one is revoked or compromised.",
)
@VERBOSE
@JSON
@click.pass_obj
def command(
    layout: Layout, domains: tuple[str, ...], anew: bool, verbose: bool, as_json: bool
) -> int:
    """Obtain the certificates that are due, and install them in the services.

    For a timer. Unlike `apply`, it does nothing while no certificate is due, even if the model
    changed. If you name a DOMAIN (or `global`), no other certificate is obtained. The exit codes
    are those of `apply`.
    """
    try:
        code = renewed(layout, domains, Show(as_json, verbose), anew=anew)
    except ProxygenError:
        outage.over(layout)
        raise
    if code != ProxygenError.exit_code:
        outage.over(layout)
    return code


def renewed(layout: Layout, domains: tuple[str, ...], show: Show, *, anew: bool) -> int:
    """Do it; return the exit code. Whatever it is but that of a bug: proxygen can run."""
    site = assemble.site(layout)
    only = tuple(owner(domain, site) for domain in domains)
    if anew and not only:
        raise UsageError("--replace is for certificates that are named", remedy="name a DOMAIN")

    def once(latest: Site, parts: Parts, shown: Progress, alone: Alone) -> Outcome:
        for name in only if anew else ():
            with alone.obtaining():
                to_replace(name, latest, parts)
        with alone.obtaining():  # what an authority suggests may make one due
            observed = look(latest, parts, observe(latest, parts), only, shown.stop)
            observed = settled(latest, parts, observed)
        if not anew and not is_renewal(make_plan(latest, parts, observed, only), observed):
            with alone.deploying():
                return nothing_due(latest, parts, observed)
        return reconcile(latest, parts, shown, only, alone)

    return run(layout, site, once, show=show, asked=only)


SOMEBODY_ELSES = {
    "file": ("supplied by you", "have a new one issued, with a new key, and supply it"),
    "hook": (
        "obtained by another client",
        "have that one renew it with a new key, and call `proxygen hook`",
    ),
}
"""Whose a certificate is that proxygen does not obtain, and what to do, by the issuer's word."""


def to_replace(name: str, site: Site, parts: Parts) -> None:
    """Note that a certificate must be replaced, until it is; raise UsageError if we cannot."""
    wanted = next((each for each in site.certificates if each.owner == name), None)
    if wanted is None:
        what = f"{readable(name)} has no certificate of its own"
        raise UsageError(what, remedy="the global one serves it: `proxygen renew --replace global`")
    if wanted.issuer in SUPPLIED:
        theirs, remedy = SOMEBODY_ELSES[wanted.issuer]
        what = f"the certificate of {readable(name)} is {theirs}"
        raise UsageError(what, where=wanted.origin, remedy=remedy)
    if bundle := parts.bundles.facts(name):
        parts.bundles.note(bundle, replace=True)
