"""Who calls `proxygen hook`: certbot, lego or acme.sh, told by their environment.

certbot (``certbot/_internal/hooks.py``, 5.8) sets RENEWED_LINEAGE and RENEWED_DOMAINS for a
deploy hook. lego 4 (``cmd/hook.go``) sets LEGO_CERT_PATH, LEGO_CERT_KEY_PATH and
LEGO_ISSUER_CERT_PATH; since version 5 (``cmd/internal/hook``) they begin with LEGO_HOOK_.
acme.sh (``_installcert`` and ``_on_issue_success``) exports CERT_PATH, CERT_KEY_PATH,
CA_CERT_PATH and CERT_FULLCHAIN_PATH for ``--reloadcmd`` and ``--renew-hook``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Environment = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ObtainedFiles:
    """The files of a certificate that *client* has just obtained.

    *certificate* and *key* must be there; those of *chain* may be missing, as a client names
    them also when it has not written them.
    """

    client: str
    certificate: Path
    key: Path
    chain: tuple[Path, ...] = ()


def recognise_caller(environment: Environment) -> ObtainedFiles | None:
    """Return what the caller's environment tells of, None for a caller that nobody knows."""
    return next((found for client in CLIENTS if (found := client(environment))), None)


def certbot_files(environment: Environment) -> ObtainedFiles | None:
    """certbot names the folder of the lineage, whose files always have the same names."""
    lineage = environment.get("RENEWED_LINEAGE")
    if not lineage:
        return None
    folder = Path(lineage)
    return ObtainedFiles("certbot", folder / "fullchain.pem", folder / "privkey.pem")


def lego_files(environment: Environment) -> ObtainedFiles | None:
    """lego's certificate holds the chain, unless it was called with ``--no-bundle``."""
    for prefix in ("LEGO_HOOK_", "LEGO_"):
        certificate = environment.get(f"{prefix}CERT_PATH")
        key = environment.get(f"{prefix}CERT_KEY_PATH")
        if certificate and key:
            chain = paths_in(environment, f"{prefix}ISSUER_CERT_PATH")
            return ObtainedFiles("lego", Path(certificate), Path(key), chain)
    return None


def acme_sh(environment: Environment) -> ObtainedFiles | None:
    """acme.sh has the certificate alone and with its chain."""
    key = environment.get("CERT_KEY_PATH")
    found = paths_in(environment, "CERT_PATH", "CERT_FULLCHAIN_PATH", "CA_CERT_PATH")
    if not key or not found:
        return None
    return ObtainedFiles("acme.sh", found[0], Path(key), found[1:])


CLIENTS: tuple[Callable[[Environment], ObtainedFiles | None], ...] = (
    certbot_files,
    lego_files,
    acme_sh,
)


def paths_in(environment: Environment, *variables: str) -> tuple[Path, ...]:
    """Return the paths in those variables that are set."""
    return tuple(Path(value) for name in variables if (value := environment.get(name)))
