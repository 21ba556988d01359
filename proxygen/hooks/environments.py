"""What a hook is told of a certificate, in its environment."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from proxygen.errors import IssueFailed
from proxygen.failure import failure_words
from proxygen.languages.lines import terminal_text
from proxygen.model.certificate import Bundle, Certificate
from proxygen.plan.backoff import RememberedFailure

LONGEST = 16_000
"""Of one variable; Linux takes 128 KiB, and certbot cuts lists of names likewise."""


def common_variables(event: str, wanted: Certificate) -> dict[str, str]:
    """Return what every hook is told."""
    return {
        "LC_ALL": "C.UTF-8",
        "PROXYGEN_EVENT": event,
        "PROXYGEN_OWNER": wanted.owner,
        "PROXYGEN_NAMES": listed_names(wanted.names),
        "PROXYGEN_URL": f"https://{wanted.names[0]}",
    }


def certificate_variables(bundle: Bundle) -> dict[str, str]:
    """Return what is told of a certificate itself."""
    return {
        "PROXYGEN_NOT_AFTER": rfc3339(bundle.not_after),
        "PROXYGEN_ISSUER": terminal_text(bundle.issued_by)[:LONGEST],
        "PROXYGEN_SERIAL": bundle.serial,
        "PROXYGEN_FINGERPRINT": bundle.fingerprint,
    }


def of_deployed(wanted: Certificate, bundle: Bundle, lineage: Path) -> dict[str, str]:
    """Return what a deploy hook is told, also in the names of certbot's (its user guide).

    *lineage* is the folder with the files that certbot's deploy hooks know.
    """
    first = [name for name in wanted.names if name in bundle.names]
    return {
        **common_variables("deploy", wanted),
        **certificate_variables(bundle),
        "PROXYGEN_CERTIFICATE": str(lineage / "fullchain.pem"),
        "PROXYGEN_KEY": str(lineage / "privkey.pem"),
        "PROXYGEN_CHAIN": str(lineage / "chain.pem"),
        "PROXYGEN_LEAF": str(lineage / "cert.pem"),
        "RENEWED_LINEAGE": str(lineage),
        "RENEWED_DOMAINS": listed_names(tuple(dict.fromkeys((*first, *bundle.names)))),
    }


def of_failed(
    wanted: Certificate,
    bundle: Bundle | None,
    error: IssueFailed,
    last_failure: RememberedFailure | None,
) -> dict[str, str]:
    """Return what a hook is told when a certificate could not be obtained.

    *bundle* is the certificate that serves meanwhile, *last_failure* when it is tried again.
    FAILED_DOMAINS and RENEWED_DOMAINS are as in certbot's post hooks.
    """
    text = failure_words(error.failure)
    return {
        **common_variables("failed", wanted),
        **(certificate_variables(bundle) if bundle else {}),
        "PROXYGEN_ERROR": terminal_text(f"{text.what}\n{text.words}".strip())[:LONGEST],
        "PROXYGEN_FAILURE": error.failure.code,
        "PROXYGEN_PROBLEM": terminal_text(error.failure.problem or "")[:LONGEST],
        "PROXYGEN_NEXT_ATTEMPT": rfc3339(last_failure.again) if last_failure else "",
        "FAILED_DOMAINS": listed_names(wanted.names),
        "RENEWED_DOMAINS": "",
    }


def rfc3339(when: datetime) -> str:
    """Return a moment as RFC 3339 has it."""
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def listed_names(names: tuple[str, ...]) -> str:
    """Return names with spaces between them, as many as one variable takes."""
    text = " ".join(names)
    return text if len(text) <= LONGEST else text[: LONGEST + 1].rpartition(" ")[0]
