"""Trusted roots: what `acme.trusted_roots` names, given to a TLS context."""

from __future__ import annotations

import errno
import os
import ssl
from pathlib import Path

from proxygen.errors import IssueFailed
from proxygen.host import files
from proxygen.model.roots import LARGEST, NAME_ROOTS, roots


def trust(context: ssl.SSLContext, path: Path) -> None:
    """Trust the CA certificates in a PEM file; raise IssueFailed when there are none."""
    try:
        held = files.read(path, LARGEST)
        if held is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    except OSError as error:
        what = f"cannot read {path}: {error.strerror or error}"
        final = error.errno != errno.EBUSY
        raise IssueFailed(what, final=final, remedy=NAME_ROOTS, everybody=True) from error
    try:
        context.load_verify_locations(cadata=roots(str(path), held))
    except IssueFailed as error:
        error.everybody = True
        raise
    except (ssl.SSLError, ValueError) as error:
        what = f"{path} holds a CA certificate that cannot be read"
        raise IssueFailed(
            what, final=True, remedy=NAME_ROOTS, everybody=True, words=str(error)
        ) from error
