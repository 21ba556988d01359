"""The caller of `proxygen hook` is recognised by what its own sources say it sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxygen.hooks.callers import ObtainedFiles, recognise_caller

CERTBOT = {
    "RENEWED_LINEAGE": "/etc/letsencrypt/live/a.example",
    "RENEWED_DOMAINS": "a.example www.a.example",
}
LEGO_4 = {
    "LEGO_ACCOUNT_EMAIL": "a@a.example",
    "LEGO_CERT_DOMAIN": "a.example",
    "LEGO_CERT_PATH": "/l/certificates/a.example.crt",
    "LEGO_CERT_KEY_PATH": "/l/certificates/a.example.key",
}
LEGO_5 = {
    "LEGO_HOOK_CERT_DOMAINS": "a.example,www.a.example",
    "LEGO_HOOK_CERT_PATH": "/l/certificates/a.example.crt",
    "LEGO_HOOK_CERT_KEY_PATH": "/l/certificates/a.example.key",
    "LEGO_HOOK_ISSUER_CERT_PATH": "/l/certificates/a.example.issuer.crt",
}
# acme.sh, _installcert: `export CERT_PATH`, `export CERT_KEY_PATH`, `export CA_CERT_PATH`,
# `export CERT_FULLCHAIN_PATH`, `export Le_Domain="$_main_domain"`, then `eval "$_reload_cmd"`.
ACME_SH = {
    "CERT_PATH": "/a/a.example_ecc/a.example.cer",
    "CERT_KEY_PATH": "/a/a.example_ecc/a.example.key",
    "CA_CERT_PATH": "/a/a.example_ecc/ca.cer",
    "CERT_FULLCHAIN_PATH": "/a/a.example_ecc/fullchain.cer",
    "Le_Domain": "a.example",
}


def obtained_files(client: str, certificate: str, key: str, *chain: str) -> ObtainedFiles:
    """Return what a client brings."""
    return ObtainedFiles(client, Path(certificate), Path(key), tuple(map(Path, chain)))


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        pytest.param(
            CERTBOT,
            obtained_files(
                "certbot",
                "/etc/letsencrypt/live/a.example/fullchain.pem",
                "/etc/letsencrypt/live/a.example/privkey.pem",
            ),
            id="certbot",
        ),
        pytest.param(
            LEGO_4,
            obtained_files(
                "lego", "/l/certificates/a.example.crt", "/l/certificates/a.example.key"
            ),
            id="lego 4",
        ),
        pytest.param(
            LEGO_5,
            obtained_files(
                "lego",
                "/l/certificates/a.example.crt",
                "/l/certificates/a.example.key",
                "/l/certificates/a.example.issuer.crt",
            ),
            id="lego 5",
        ),
        pytest.param(
            ACME_SH,
            obtained_files(
                "acme.sh",
                "/a/a.example_ecc/a.example.cer",
                "/a/a.example_ecc/a.example.key",
                "/a/a.example_ecc/fullchain.cer",
                "/a/a.example_ecc/ca.cer",
            ),
            id="acme.sh",
        ),
        pytest.param({}, None, id="nobody"),
        pytest.param({"PATH": "/bin", "HOME": "/root"}, None, id="a shell"),
        pytest.param({"RENEWED_LINEAGE": ""}, None, id="empty"),
        pytest.param({"LEGO_CERT_PATH": "/x", "LEGO_PATH": "/l"}, None, id="lego without key"),
        pytest.param({"CERT_KEY_PATH": "/x"}, None, id="a key alone"),
        pytest.param({"RENEWED_DOMAINS": "a", "FAILED_DOMAINS": ""}, None, id="a post hook"),
    ],
)
def test_the_caller_is_recognised(environment: dict[str, str], found: ObtainedFiles | None) -> None:
    assert recognise_caller(environment) == found
