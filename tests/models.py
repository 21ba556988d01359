"""Models as text, read as the commands read them, without a disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from proxygen import registry
from proxygen.errors import Mistake, ModelError
from proxygen.model.certificate import Bundle, Certificate
from proxygen.model.reading import read_model
from proxygen.model.site import Site
from proxygen.model.sources import Source
from tests.certificates import DAY, NOON

FOLDER = Path("/etc/proxygen")
SMALLEST = "global: {url: mail.example.net, certificate: selfsigned}\n"


def site(text: str | bytes, **included: str | bytes) -> Site:
    """Return the site of a main file; *included*: the texts of NAME.yaml beside it."""
    others = [source(f"{name}.yaml", each) for name, each in included.items()]

    def load(mask: str) -> Sequence[Source]:
        return [each for each in others if fnmatchcase(each.name, mask)]

    main = source("proxygen.yaml", text)
    return read_model(main, load, registry.settings(), registry.applications())


def source(name: str, text: str | bytes) -> Source:
    """Return a file of the model."""
    return Source(name, FOLDER, text.encode() if isinstance(text, str) else text)


def mistakes(text: str | bytes, **included: str | bytes) -> tuple[Mistake, ...]:
    """Return all that is wrong with a model; there must be something."""
    with pytest.raises(ModelError) as caught:
        site(text, **included)
    return caught.value.mistakes


def told(*found: Mistake) -> list[tuple[str, str, str, str]]:
    """Return mistakes as (place, field, reason, remedy)."""
    return [(str(each.where), each.field, each.reason, each.remedy) for each in found]


def bundle(wanted: Certificate, *, ends: datetime = NOON + 60 * DAY, days: int = 90) -> Bundle:
    """Return what was issued for *wanted*, with a lifetime of that many days."""
    mark = wanted.owner.encode().hex().ljust(64, "0")[:64]
    return Bundle(
        owner=wanted.owner,
        names=tuple(sorted(wanted.names)),
        issuer=wanted.issuer,
        issued_by="Some CA",
        not_before=ends - days * DAY,
        not_after=ends,
        serial="1",
        fingerprint=mark,
        spki=mark,
        digest=mark,
        key_type=wanted.key_type,
        authority=wanted.authorities[0].directory if wanted.authorities else "",
        profile=wanted.authorities[0].profile if wanted.authorities else "",
    )


def bundles(of: Site) -> dict[str, Bundle]:
    """Return a bundle for every certificate that a site wants."""
    return {wanted.owner: bundle(wanted) for wanted in of.certificates}


def stand_in(of: Site) -> Bundle:
    """Return the stand-in for the global certificate."""
    return replace(bundle(of.global_certificate), stand_in=True, issuer="selfsigned")
