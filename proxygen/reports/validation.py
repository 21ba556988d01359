"""validate: the mistakes of the model, and whether the files that it names can be used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from proxygen import assemble
from proxygen.errors import (
    MOST_MISTAKES,
    Coded,
    IssueFailed,
    Mistake,
    ModelError,
    UsageError,
    coded_words,
    words_json,
)
from proxygen.host.additions import read_additions
from proxygen.model.former import Removal, SetAside
from proxygen.model.layout import Layout
from proxygen.observe import named_files
from proxygen.stores import Store
from proxygen.texts.bounds import bounded_warnings
from proxygen.texts.nginx_lookups import names_nginx_resolves


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """The model in *file*: its size, its mistakes, and what it names outside of itself."""

    file: Path
    domains: int
    certificates: int
    mistakes: tuple[Mistake, ...]
    set_aside: tuple[SetAside, ...]
    held_back: tuple[Removal, ...]
    warnings: tuple[Coded, ...]
    acme: tuple[named_files.NamedFile, ...]
    adopt: tuple[named_files.NamedFile, ...]
    files: tuple[named_files.SuppliedCertificate, ...]

    @property
    def exit_code(self) -> int:
        """What `validate` ends with."""
        if self.mistakes:
            return ModelError.exit_code
        usable = all(each.is_usable for each in (*self.acme, *self.adopt))
        usable = usable and all(each.is_usable for each in self.files)
        return 0 if usable else IssueFailed.exit_code

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "model": {
                "file": str(self.file),
                "domains": self.domains,
                "certificates": self.certificates,
            },
            "mistakes": [each.as_json() for each in self.mistakes[:MOST_MISTAKES]],
            "set_aside": [each.as_json() for each in self.set_aside],
            "held_back": [each.as_json() for each in self.held_back],
            "warnings": [*map(words_json, bounded_warnings(self.warnings))],
            "acme": [each.as_json() for each in self.acme],
            "adopt": [each.as_json() for each in self.adopt],
            "files": [each.as_json() for each in self.files],
            "exit_code": self.exit_code,
        }


def validation_report(layout: Layout, now: datetime) -> ValidationReport:
    """Read the model and what it names; raise ModelError where the main file is wrong."""
    site = assemble.read_site(layout)
    wanted, store = tuple(site.certificates), store_of(layout)
    looked_up = names_nginx_resolves(read_additions(layout))
    return ValidationReport(
        file=layout.config,
        domains=len(site.domains),
        certificates=len(wanted),
        mistakes=tuple(site.mistakes),
        set_aside=site.set_aside,
        held_back=site.held_back,
        warnings=(*coded_words("unbounded", site.warnings), *coded_words("looked-up", looked_up)),
        acme=tuple(named_files.of_authorities(site, store)),
        adopt=tuple(named_files.adoptable_certificates(site, now, store)),
        files=tuple(named_files.supplied_certificates(wanted, now, store)),
    )


def store_of(layout: Layout) -> Store | None:
    """Return the store, which knows what was too costly to read; None where it cannot be asked."""
    try:
        return assemble.shared_store(layout)
    except (UsageError, OSError):
        return None
