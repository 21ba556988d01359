"""The CA certificates in a file of the model, bounded before a library parses them."""

from __future__ import annotations

from proxygen.errors import IssueFailed
from proxygen.model.material import CERTIFICATES, material_refusal, pem_blocks
from proxygen.model.parameters import costly_parameters

LARGEST = 2 * 1024 * 1024
"""Octets of a file; that with all roots of an operating system has a quarter of a MiB."""
MOST = 500
LARGEST_ROOT = 16 * 1024


def roots(file: str, data: bytes) -> bytes:
    """Yield the certificates in a PEM file as DER; raise IssueFailed.

    Reading them is cheap: neither their number nor their size exceeds that of any authority.
    """
    found = [each for each in pem_blocks(file, data) if each.label in CERTIFICATES]
    if not found:
        raise IssueFailed(material_refusal("no-roots", file=file))
    if len(found) > MOST:
        raise IssueFailed(material_refusal("many-roots", file=file, most=MOST))
    ders = [each.der for each in found]
    for der in ders:
        if not der:
            raise IssueFailed(material_refusal("root-no-pem", file=file))
        if len(der) > LARGEST_ROOT:
            raise IssueFailed(
                material_refusal("root-too-large", file=file, most=LARGEST_ROOT // 1024)
            )
        if why := costly_parameters(der):
            raise IssueFailed(material_refusal("root-not-read", parts=(why,), file=file))
    return b"".join(ders)
