"""Roots: the CA certificates in a file of the model, bounded before a library parses them."""

from __future__ import annotations

from proxygen.model.material import CERTIFICATES, blocks, refusal
from proxygen.model.parameters import costly

LARGEST = 2 * 1024 * 1024
"""Octets of a file; that with all roots of an operating system has a quarter of a MiB."""
MOST = 500
LARGEST_ROOT = 16 * 1024
NAME_ROOTS = "name readable PEM files with the authority's CA certificates"


def roots(file: str, data: bytes) -> bytes:
    """Return the certificates in a PEM file as DER, one after the other; raise IssueFailed.

    Reading them costs little: neither their number nor what they hold is more than that of any
    authority.
    """
    found = [each for each in blocks(file, data) if each.label in CERTIFICATES]
    if not found:
        raise refusal(f"{file} holds no CA certificate as PEM", NAME_ROOTS)
    if len(found) > MOST:
        raise refusal(f"{file}: more than {MOST} certificates", NAME_ROOTS)
    ders = [each.der for each in found]
    for der in ders:
        if not der:
            raise refusal(f"{file}: a certificate is no PEM", NAME_ROOTS)
        if len(der) > LARGEST_ROOT:
            raise refusal(
                f"{file}: a certificate larger than {LARGEST_ROOT // 1024} KiB", NAME_ROOTS
            )
        if words := costly(der):
            raise refusal(f"{file}: a certificate was not read: {words}", NAME_ROOTS)
    return b"".join(ders)
