"""Checks what the model names outside of itself: certificates, trusted roots, secrets.

`validate` reports all of it, `plan` what cannot be used, in the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxygen import assemble
from proxygen.errors import IssueFailed, Origin, coded_words, words_json
from proxygen.languages.lines import terminal_text
from proxygen.model.certificate import Certificate, FileSource, Secret
from proxygen.model.hosts import readable_name
from proxygen.model.site import Owner, Site

if TYPE_CHECKING:
    from proxygen.issuers.file import FileIssuer
    from proxygen.issuers.file_apart import Apart
    from proxygen.model.inspection import CheckResult
    from proxygen.stores import Store


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file or secret that *field* of the model names; *error* tells why it cannot be used."""

    field: str
    where: Origin
    error: IssueFailed | None

    @property
    def is_usable(self) -> bool:
        """Whether it exists, and is what it should be."""
        return self.error is None

    def __str__(self) -> str:
        return terminal_text(f"{self.field} ({self.where}):\n{indented_error(self.error)}")

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        error = self.error.as_json() if self.error else None
        said = {"field": self.field, "where": str(self.where)}
        return said | {"usable": self.is_usable, "error": error}


@dataclass(frozen=True, slots=True)
class SuppliedCertificate:
    """A certificate that the model names as files, as a client would see it.

    *error* tells why there is none at all; *warnings* are about the files.
    """

    owner: str
    where: Origin | None
    error: IssueFailed | None = None
    verdicts: tuple[CheckResult, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_usable(self) -> bool:
        """Whether proxygen uses it."""
        return self.error is None and all(each.ok or not each.serious for each in self.verdicts)

    def __str__(self) -> str:
        return terminal_text("\n".join(self.lines()))

    def lines(self) -> Iterator[str]:
        """Yield the lines for people, with what to do if it cannot be used."""
        from proxygen.model.inspection import serious_failure

        yield f"the certificate of {readable_name(self.owner)} ({self.where}):"
        if self.error:
            yield indented_error(self.error)
        for each in self.verdicts:
            mark = "ok  " if each.ok else "BAD " if each.serious else "note"
            yield f"  {mark} {each}"
        yield from (f"  note {words}" for words in self.warnings)
        if self.verdicts and not self.is_usable:
            yield f"    do: {serious_failure(self.verdicts).remedy}"

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "owner": self.owner,
            "where": str(self.where),
            "error": self.error.as_json() if self.error else None,
            "usable": self.is_usable,
            "verdicts": [
                {"check": each.check, "ok": each.ok, "serious": each.serious, "words": each.words}
                for each in self.verdicts
            ],
            "warnings": [*map(words_json, coded_words("file", self.warnings, self.owner))],
        }


def indented_error(error: IssueFailed | None) -> str:
    """Return an error, indented by two spaces."""
    return "\n".join(f"  {line}" for line in str(error or "").splitlines())


def of_authorities(site: Site, store: Store | None = None) -> Iterator[NamedFile]:
    """Yield each file and secret that `acme` names; the key of no account that a *store* has."""
    for path, acme in zip(("acme", "acme.fallback"), site.authorities, strict=False):
        for index, root in enumerate(acme.trusted_roots):
            yield try_file(
                f"{path}.trusted_roots[{index}]", acme.origin, partial(require_roots, root)
            )
        if external := acme.external_account:
            field = f"{path}.external_account.hmac_key"
            yield try_file(field, acme.origin, partial(assemble.read_secret, external.hmac_key))
        if acme.account_key and not has_account(store, acme.directory):
            field = f"{path}.account.key"
            yield try_file(field, acme.origin, partial(key_of_account, acme.account_key))


def try_file(field: str, where: Origin, use: Callable[[], object]) -> NamedFile:
    """Return whether what *field* names can be used, and if not, why."""
    try:
        use()
    except IssueFailed as error:
        return NamedFile(field, where, error)
    return NamedFile(field, where, None)


def has_account(store: Store | None, directory: str) -> bool:
    """Return whether an account at an authority is stored, so that no other key is read."""
    from proxygen.issuers.acme_kept import KeptAccount

    return store is not None and KeptAccount(store, directory).read() is not None


def key_of_account(reference: Secret) -> None:
    """Raise IssueFailed when a secret is no key of an ACME account."""
    from proxygen.issuers.acme_key import key_of_client

    key_of_client(assemble.read_secret(reference))


def adoptable_certificates(
    site: Site, now: datetime, store: Store | None = None
) -> Iterator[NamedFile]:
    """Yield each certificate that `adopt` names, for those of whom a *store* has nothing valid."""
    asked = [each for each in site.owners if each.adopt]
    if not asked:
        return
    from proxygen.issuers.file_apart import Apart
    from proxygen.plan.adoption import owners_without_certificate
    from proxygen.stores.bundles import Bundles

    stored = Bundles(store).all() if store else {}
    needing = {each.key for each in owners_without_certificate(site, stored, now)}
    with Apart() as reader:
        for owner in asked:
            if owner.adopt and owner.key in needing:
                use = partial(require_adoptable, owner, owner.adopt, now, reader)
                yield try_file(".".join((*owner.path, "adopt")), owner.adopt.origin, use)


def require_adoptable(owner: Owner, adopt: FileSource, now: datetime, reader: Apart) -> None:
    """Raise IssueFailed when a certificate is not one that its owner adopts."""
    from proxygen.issuers.file import read_contents
    from proxygen.model.x509 import facts_found
    from proxygen.plan.adoption import objection_to

    pair = reader.assemble(read_contents(adopt.paths, adopt.within), None)
    if found := objection_to(pair, facts_found(pair), owner, now):
        raise found


def require_roots(path: Path) -> None:
    """Raise IssueFailed if there are no CA certificates in a file."""
    import ssl

    from proxygen.issuers.trusted_roots import trust_roots

    trust_roots(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), path)


def supplied_certificates(
    wanted: Iterable[Certificate], now: datetime, store: Store | None = None
) -> Iterator[SuppliedCertificate]:
    """Yield each of the *wanted* certificates that is supplied as files.

    What a *store* remembers as unusable is not read again.
    """
    supplied = [(each, each.file) for each in wanted if each.file]
    if not supplied:
        return
    from proxygen.issuers.file import FileIssuer
    from proxygen.issuers.file_apart import Apart
    from proxygen.stores.file_failures import Failures

    with Apart() as reader:
        failures = Failures(store) if store else None
        issuer = FileIssuer(lambda: now, assemble.read_password, reader, failures)
        for each, file in supplied:
            yield supplied_certificate(each, file, now, issuer)


def supplied_certificate(
    wanted: Certificate, file: FileSource, now: datetime, issuer: FileIssuer
) -> SuppliedCertificate:
    """Return one supplied certificate as a client would see it."""
    from proxygen.issuers.file import key_file_warnings
    from proxygen.model.inspection import inspect_pair

    try:
        pair = issuer.supplied(wanted, file)
        verdicts = inspect_pair(pair, wanted.names, now)
    except IssueFailed as error:
        return SuppliedCertificate(wanted.owner, wanted.origin, error)
    return SuppliedCertificate(wanted.owner, wanted.origin, None, verdicts, key_file_warnings(file))
