"""Trusted roots: what `acme.trusted_roots` names, given to a TLS context."""

from __future__ import annotations

import errno
import os
import ssl
from dataclasses import replace
from pathlib import Path

from proxygen.errors import IssueFailed
from proxygen.failure import Scope, not_obtained
from proxygen.host import files
from proxygen.model.roots import LARGEST, roots


def trust_roots(context: ssl.SSLContext, path: Path) -> None:
    """Trust the CA certificates in a PEM file; raise IssueFailed if there are none."""
    try:
        held = files.read(path, LARGEST)
        if held is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    except OSError as error:
        final, words = error.errno != errno.EBUSY, error.strerror or error
        raise IssueFailed(
            not_obtained(
                "roots-file-unreadable",
                Scope.AUTHORITY,
                place=str(path),
                final=final,
                words=words,
            )
        ) from error
    try:
        context.load_verify_locations(cadata=roots(str(path), held))
    except IssueFailed as error:
        raise IssueFailed(replace(error.failure, scope=Scope.AUTHORITY)) from error
    except (ssl.SSLError, ValueError) as error:
        raise IssueFailed(
            not_obtained(
                "roots-unreadable", Scope.AUTHORITY, file=str(path), final=True, words=error
            )
        ) from error
