"""hook: take over what another ACME client just obtained, and bring it to all services."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from proxygen import assemble
from proxygen.apply.hooks import Hooks
from proxygen.apply.outcome import Outcome, Progress
from proxygen.assemble import Installation
from proxygen.errors import Coded, IssueFailed, UsageError, coded_words
from proxygen.failure import not_obtained
from proxygen.hooks.callers import ObtainedFiles, recognise_caller
from proxygen.host import files
from proxygen.host.trust import system_roots
from proxygen.issuers.file import read_contents
from proxygen.issuers.file_apart import Apart
from proxygen.model.certificate import KeyAndChain
from proxygen.model.hosts import readable_name
from proxygen.model.inspection import require_usable
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.model.x509 import chain_of, covered_names
from proxygen.plan.ownership import Claim, Offer, claims
from proxygen.reconcile import Alone, deploy_alone
from proxygen.terminal.arguments import JSON, VERBOSE
from proxygen.terminal.walk import Show, run_once

WAYS = """have your client call it, or do so by hand:
      certbot: --deploy-hook "proxygen hook"
               (or an executable file in /etc/letsencrypt/renewal-hooks/deploy that calls it)
      lego 4:  run --run-hook "proxygen hook", renew --renew-hook "proxygen hook"
      lego 5:  --deploy-hook "proxygen hook"
      acme.sh: --install-cert -d NAME --reloadcmd "proxygen hook"
      by hand: proxygen hook --certificate FILE --key FILE"""
BY_HAND = "you"
WAIT = 600
FILE = click.Path(path_type=Path)


@click.command(short_help="Adopt what certbot, lego or acme.sh obtained.")
@click.option("--certificate", type=FILE, metavar="FILE", help="The certificate, by hand.")
@click.option("--key", type=FILE, metavar="FILE", help="Its private key.")
@click.option("--chain", type=FILE, metavar="FILE", help="The intermediates, if in their own file.")
@click.option(
    "--wait",
    type=click.IntRange(0, 86_400),
    default=WAIT,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another run to end.",
)
@VERBOSE
@JSON
@click.pass_obj
def command(
    layout: Layout,
    certificate: Path | None,
    key: Path | None,
    chain: Path | None,
    wait: int,
    verbose: bool,
    as_json: bool,
) -> int:
    """Adopt the certificate that certbot, lego or acme.sh just obtained, and serve it.

    These clients call this command as a hook; their environment says which certificate it is:

    \b
      certbot … --deploy-hook "proxygen hook"
      lego … run --run-hook "proxygen hook", renew --renew-hook "proxygen hook"
          (lego 5: --deploy-hook "proxygen hook")
      acme.sh --install-cert … --reloadcmd "proxygen hook"

    For all certificates of certbot, put an executable file that calls it into
    /etc/letsencrypt/renewal-hooks/deploy. The certificate goes to every domain (and the global
    URL) that has `certificate: hook` and all of whose names it covers. The exit codes are those of
    `apply`; 2: no owner in the model wants the certificate.
    """
    brought = by_hand(certificate, key, chain) or recognise_caller(os.environ)
    if brought is None:
        raise unknown_caller(os.environ)
    site = assemble.read_site(layout)
    read_obtained(brought)  # what is wrong with it is told without waiting for another run

    def once(latest: Site, installation: Installation, shown: Progress, alone: Alone) -> Outcome:
        return taken_over(brought, latest, installation, shown, alone)

    return run_once(layout, site, once, show=Show(as_json, verbose), wait=wait)


def by_hand(certificate: Path | None, key: Path | None, chain: Path | None) -> ObtainedFiles | None:
    """Return what the options name, None without any; raise UsageError for a part of them."""
    if certificate is None and key is None and chain is None:
        return None
    if certificate is None or key is None:
        raise UsageError("--certificate and --key belong together", remedy="name both")
    return ObtainedFiles(BY_HAND, certificate, key, (chain,) if chain else ())


def unknown_caller(environment: Iterable[str]) -> UsageError:
    """Return the error for a call that tells of no certificate, with the ways to install it."""
    if "RENEWED_DOMAINS" in environment:
        what = "certbot calls this as a post hook, which is told of no certificate"
    else:
        what = "no ACME client's environment tells of a certificate"
    return UsageError(
        what,
        remedy=WAYS,
    )


def read_obtained(brought: ObtainedFiles) -> tuple[KeyAndChain, list[str]]:
    """Return key and chain as they were brought, and warnings; raise IssueFailed."""
    chain = [path for path in brought.chain if brought.client == BY_HAND or files.is_regular(path)]
    paths = tuple(dict.fromkeys((brought.certificate, brought.key, *chain)))
    try:
        with Apart() as reader:
            pair = reader.assemble(read_contents(paths), None)
        bad = require_usable(pair, (), datetime.now(UTC))
    except IssueFailed as error:
        why = replace(
            error.failure,
            code="named-unusable" if brought.client == BY_HAND else "brought-unusable",
            facts=(("client", brought.client),),
            parts=(error.failure,),
        )
        raise IssueFailed(why) from error
    return pair, [f"the certificate that was brought: {each}" for each in bad]


def taken_over(
    brought: ObtainedFiles, site: Site, installation: Installation, shown: Progress, alone: Alone
) -> Outcome:
    """Store the certificate for those whose it is, and make what is into what should be."""
    pair, doubts = read_obtained(brought)
    offer = Offer(
        pair, files_of(brought), system_roots(), installation.bundles.material, installation.now()
    )
    found = list(claims(offer, site, installation.bundles.all()))
    accepted = [each for each in found if each.accepted]
    if not accepted:
        raise not_taken(pair, found)
    Hooks(installation).begin()
    with alone.deploying():
        done = [keep_bundle(each, brought, pair, installation) for each in accepted]
    for words in done:
        shown.say(words)
    outcome = deploy_alone(site, installation, shown, alone)
    outcome.done[:0] = (
        Coded(words, "adopt", each.owner.key) for words, each in zip(done, accepted, strict=True)
    )
    told = dict.fromkeys(doubt for each in accepted for doubt in each.doubts)
    refusals = (each.refusal.what for each in found if each.refusal)
    outcome.warnings[:0] = [
        *coded_words("doubtful", (*doubts, *told)),
        *coded_words("not-adopted", refusals),
    ]
    return outcome


def files_of(brought: ObtainedFiles) -> set[Path]:
    """Return the files of a certificate as a model may name them; certbot knows four of them."""
    named = {brought.certificate, brought.key, *brought.chain}
    if brought.client == "certbot":
        named.add(brought.certificate.with_name("cert.pem"))
    return {path.absolute() for path in named}


def keep_bundle(
    claim: Claim, brought: ObtainedFiles, pair: KeyAndChain, installation: Installation
) -> str:
    """Store the certificate for one owner; return that in words."""
    owner, bundle = readable_name(claim.owner.key), claim.bundle
    if bundle is None:
        return f"{owner}: its files were renewed by {brought.client}"
    installation.bundles.save(pair, bundle)
    until = f"until {bundle.not_after:%Y-%m-%d %H:%M} UTC, from {bundle.issued_by}"
    own = "; proxygen renews it itself from now on" if bundle.issuer == "acme" else ""
    return f"{owner}: certificate adopted from {brought.client}, {until}{own}"


def not_taken(pair: KeyAndChain, found: Sequence[Claim]) -> UsageError | IssueFailed:
    """Return the error for a certificate that is nobody's in the model, with what to write.

    One that is brought to somebody who waits for it, but does not fit, is a certificate that
    could not be obtained.
    """
    if not found:
        names = covered_names(chain_of(pair)[0])
        shown = ", ".join(map(readable_name, names[:10])) + (" …" if len(names) > 10 else "")
        return UsageError(
            f"nobody in the model has a name of this certificate: {shown or 'it has none'}",
            remedy="add the domain with `url:` and `certificate: hook`, or do not call "
            "`proxygen hook` for this certificate",
        )
    why = not_obtained(
        "not-taken-over", parts=tuple(each.refusal for each in found if each.refusal)
    )
    return IssueFailed(why) if any(each.waits for each in found) else UsageError(why)
