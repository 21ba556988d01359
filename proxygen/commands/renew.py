"""renew: obtain what is due, and bring it to the services; for a timer."""

from __future__ import annotations

import click

from proxygen import assemble
from proxygen.apply.outcome import Outcome, Progress
from proxygen.apply.renewal_information import poll_renewals
from proxygen.assemble import Installation
from proxygen.errors import ProxygenError, UsageError
from proxygen.host import outage
from proxygen.model.hosts import readable_name
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.observe.site import observe
from proxygen.obtain import observed_now
from proxygen.plan.compare import is_renewal
from proxygen.plan.renewal import SUPPLIED
from proxygen.reconcile import Alone, make_plan, nothing_due, reconcile
from proxygen.terminal import completion
from proxygen.terminal.arguments import JSON, VERBOSE, typed_owner
from proxygen.terminal.walk import Show, run_once


@click.command(short_help="Obtain the certificates that are due.")
@click.argument(
    "domains", nargs=-1, metavar="[DOMAIN]...", shell_complete=completion.complete_domains
)
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
        code = renew_certificates(layout, domains, Show(as_json, verbose), anew=anew)
    except ProxygenError:
        outage.note_end(layout)
        raise
    if code != ProxygenError.exit_code:
        outage.note_end(layout)
    return code


def renew_certificates(layout: Layout, domains: tuple[str, ...], show: Show, *, anew: bool) -> int:
    """Do it; return the exit code. Whatever it is but that of a bug: proxygen can run."""
    site = assemble.read_site(layout)
    only = site.with_beside(tuple(typed_owner(domain, site) for domain in domains))
    if anew and not only:
        raise UsageError("--replace is for certificates that are named", remedy="name a DOMAIN")

    def once(latest: Site, installation: Installation, shown: Progress, alone: Alone) -> Outcome:
        for name in only if anew else ():
            with alone.obtaining():
                to_replace(name, latest, installation)
        with alone.obtaining():  # what an authority suggests may make one due
            observed = poll_renewals(
                latest, installation, observe(latest, installation), only, shown.stop
            )
            observed = observed_now(latest, installation, observed)
        if not anew and not is_renewal(make_plan(latest, installation, observed, only), observed):
            with alone.deploying():
                return nothing_due(latest, installation, observed)
        return reconcile(latest, installation, shown, only, alone)

    return run_once(layout, site, once, show=show, asked=only)


SOMEBODY_ELSES = {
    "file": ("supplied by you", "have a new one issued, with a new key, and supply it"),
    "hook": (
        "obtained by another client",
        "have that one renew it with a new key, and call `proxygen hook`",
    ),
}
"""Whose a certificate is that proxygen does not obtain, and what to do, by the issuer's word."""


def to_replace(name: str, site: Site, installation: Installation) -> None:
    """Note that a certificate must be replaced, until it is; raise UsageError if we cannot."""
    wanted = next((each for each in site.certificates if each.owner == name), None)
    if wanted is None:
        what = f"{readable_name(name)} has no certificate of its own"
        raise UsageError(what, remedy="the global one serves it: `proxygen renew --replace global`")
    if wanted.issuer in SUPPLIED:
        theirs, remedy = SOMEBODY_ELSES[wanted.issuer]
        what = f"the certificate of {readable_name(name)} is {theirs}"
        raise UsageError(what, where=wanted.origin, remedy=remedy)
    if bundle := installation.bundles.facts(name):
        installation.bundles.note(bundle, replace=True)
