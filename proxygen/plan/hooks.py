"""Which hooks are due, and what they are told of a certificate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from proxygen.errors import IssueFailed, visible
from proxygen.failure import told
from proxygen.model.certificate import ADOPTED, GLOBAL, Bundle, Certificate
from proxygen.model.hosts import readable
from proxygen.model.site import Owner, Site
from proxygen.model.views import serving
from proxygen.plan.backoff import Attempt
from proxygen.plan.observed import Observed

LONGEST = 16_000
"""Of one variable; Linux takes 128 KiB, and certbot cuts lists of names likewise."""


def pending(
    site: Site, bundles: Mapping[str, Bundle], deployed: Mapping[str, str]
) -> Iterator[tuple[Certificate, Bundle]]:
    """Yield each certificate that serves, but not yet by the time of its last deploy hooks.

    *deployed* are the fingerprints of those that deploy hooks were told of, by owner.
    """
    for owner in site.owners:
        bundle = bundles.get(GLOBAL) if owner.key == GLOBAL else serving(owner, bundles)
        if owner.certificate is None or bundle is None or bundle.stand_in:
            continue
        if deployed.get(owner.key) != bundle.fingerprint:
            yield owner.certificate, bundle


def of(event: str, wanted: Certificate) -> dict[str, str]:
    """Return what every hook is told."""
    return {
        "LC_ALL": "C.UTF-8",
        "PROXYGEN_EVENT": event,
        "PROXYGEN_OWNER": wanted.owner,
        "PROXYGEN_NAMES": listed(wanted.names),
        "PROXYGEN_URL": f"https://{wanted.names[0]}",
    }


def facts(bundle: Bundle) -> dict[str, str]:
    """Return what is told of a certificate itself."""
    return {
        "PROXYGEN_NOT_AFTER": moment(bundle.not_after),
        "PROXYGEN_ISSUER": visible(bundle.issued_by)[:LONGEST],
        "PROXYGEN_SERIAL": bundle.serial,
        "PROXYGEN_FINGERPRINT": bundle.fingerprint,
    }


def of_deployed(wanted: Certificate, bundle: Bundle, lineage: Path) -> dict[str, str]:
    """Return what a deploy hook is told, also in the names of certbot's (its user guide).

    *lineage* is the folder with the files that certbot's deploy hooks know.
    """
    first = [name for name in wanted.names if name in bundle.names]
    return {
        **of("deploy", wanted),
        **facts(bundle),
        "PROXYGEN_CERTIFICATE": str(lineage / "fullchain.pem"),
        "PROXYGEN_KEY": str(lineage / "privkey.pem"),
        "PROXYGEN_CHAIN": str(lineage / "chain.pem"),
        "PROXYGEN_LEAF": str(lineage / "cert.pem"),
        "RENEWED_LINEAGE": str(lineage),
        "RENEWED_DOMAINS": listed(tuple(dict.fromkeys((*first, *bundle.names)))),
    }


def of_failed(
    wanted: Certificate, bundle: Bundle | None, error: IssueFailed, attempt: Attempt | None
) -> dict[str, str]:
    """Return what a hook is told when a certificate could not be obtained.

    *bundle* is the certificate that serves meanwhile, *attempt* when it is tried again.
    FAILED_DOMAINS and RENEWED_DOMAINS are as in certbot's post hooks.
    """
    text = told(error.failure)
    return {
        **of("failed", wanted),
        **(facts(bundle) if bundle else {}),
        "PROXYGEN_ERROR": visible(f"{text.what}\n{text.words}".strip())[:LONGEST],
        "PROXYGEN_FAILURE": error.failure.code,
        "PROXYGEN_PROBLEM": visible(error.failure.problem or "")[:LONGEST],
        "PROXYGEN_NEXT_ATTEMPT": moment(attempt.again) if attempt else "",
        "FAILED_DOMAINS": listed(wanted.names),
        "RENEWED_DOMAINS": "",
    }


def moment(when: datetime) -> str:
    """Return a moment as RFC 3339 has it."""
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def listed(names: tuple[str, ...]) -> str:
    """Return names with spaces between them, as many as one variable takes."""
    text = " ".join(names)
    return text if len(text) <= LONGEST else text[: LONGEST + 1].rpartition(" ")[0]


# Certificates that others bring to us.


def brought(site: Site, observed: Observed) -> Iterator[str]:
    """A certificate that another ACME client is to bring, but did not, or not for every name."""
    for owner in site.owners:
        if owner.certificate and owner.certificate.issuer == "hook":
            yield from waited_for(owner, observed.bundles.get(owner.key))


def waited_for(owner: Owner, bundle: Bundle | None) -> Iterator[str]:
    """Yield what is missing of a certificate that is brought by `proxygen hook`."""
    what = f"{readable(owner.key)} waits for `proxygen hook`, with which another ACME client brings"
    if bundle is None:
        yield f"{what} its certificate: until then the global certificate serves"
    elif bundle.stand_in:
        yield f"{what} its certificate: until then a stand-in serves"
    elif bundle.issuer != "hook":
        ends = f"{bundle.not_after:%Y-%m-%d}"
        serves = "an adopted one" if bundle.issuer == ADOPTED else f"that from {bundle.issuer}"
        yield f"{what} its next certificate: {serves} serves, until {ends} at most"
    elif missing := [name for name in owner.names if not bundle.covers(name)]:
        names = ", ".join(map(readable, missing[:3])) + (" …" if len(missing) > 3 else "")
        yield (
            f"{readable(owner.key)}: the certificate that was brought does not cover {names}: have "
            "the client that obtains it add the name, and call `proxygen hook` again"
        )
