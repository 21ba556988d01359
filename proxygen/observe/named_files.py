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
from proxygen.errors import IssueFailed, Origin, coded, words_json
from proxygen.languages.lines import visible
from proxygen.model.certificate import Certificate, FileSource, Secret
from proxygen.model.hosts import readable
from proxygen.model.site import Owner, Site

if TYPE_CHECKING:
    from proxygen.issuers.file import FileIssuer
    from proxygen.issuers.file_apart import Apart
    from proxygen.model.verdicts import Verdict
    from proxygen.stores import Store


@dataclass(frozen=True, slots=True)
class Named:
    """A file or secret that *field* of the model names; *error* tells why it cannot be used."""

    field: str
    where: Origin
    error: IssueFailed | None

    @property
    def is_usable(self) -> bool:
        """Whether it exists, and is what it should be."""
        return self.error is None

    def __str__(self) -> str:
        return visible(f"{self.field} ({self.where}):\n{indented(self.error)}")

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        error = self.error.as_json() if self.error else None
        said = {"field": self.field, "where": str(self.where)}
        return said | {"usable": self.is_usable, "error": error}


@dataclass(frozen=True, slots=True)
class Supplied:
    """A certificate that the model names as files, as a client would see it.

    *error* tells why there is none at all; *warnings* are about the files.
    """

    owner: str
    where: Origin | None
    error: IssueFailed | None = None
    verdicts: tuple[Verdict, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_usable(self) -> bool:
        """Whether proxygen uses it."""
        return self.error is None and all(each.ok or not each.serious for each in self.verdicts)

    def __str__(self) -> str:
        return visible("\n".join(self.lines()))

    def lines(self) -> Iterator[str]:
        """Yield the lines for people, with what to do if it cannot be used."""
        from proxygen.model.verdicts import serious

        yield f"the certificate of {readable(self.owner)} ({self.where}):"
        if self.error:
            yield indented(self.error)
        for each in self.verdicts:
            mark = "ok  " if each.ok else "BAD " if each.serious else "note"
            yield f"  {mark} {each}"
        yield from (f"  note {words}" for words in self.warnings)
        if self.verdicts and not self.is_usable:
            yield f"    do: {serious(self.verdicts).remedy}"

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
            "warnings": [*map(words_json, coded("file", self.warnings, self.owner))],
        }


def indented(error: IssueFailed | None) -> str:
    """Return an error, indented by two spaces."""
    return "\n".join(f"  {line}" for line in str(error or "").splitlines())


def of_authorities(site: Site, store: Store | None = None) -> Iterator[Named]:
    """Yield each file and secret that `acme` names; the key of no account that a *store* has."""
    for path, acme in zip(("acme", "acme.fallback"), site.authorities, strict=False):
        for index, root in enumerate(acme.trusted_roots):
            yield tried(f"{path}.trusted_roots[{index}]", acme.origin, partial(trusted, root))
        if external := acme.external_account:
            field = f"{path}.external_account.hmac_key"
            yield tried(field, acme.origin, partial(assemble.secret, external.hmac_key))
        if acme.account_key and not has_account(store, acme.directory):
            field = f"{path}.account.key"
            yield tried(field, acme.origin, partial(key_of_account, acme.account_key))


def tried(field: str, where: Origin, use: Callable[[], object]) -> Named:
    """Return whether what *field* names can be used, and if not, why."""
    try:
        use()
    except IssueFailed as error:
        return Named(field, where, error)
    return Named(field, where, None)


def has_account(store: Store | None, directory: str) -> bool:
    """Return whether an account at an authority is stored, so that no other key is read."""
    from proxygen.issuers.acme_kept import KeptAccount

    return store is not None and KeptAccount(store, directory).read() is not None


def key_of_account(reference: Secret) -> None:
    """Raise IssueFailed when a secret is no key of an ACME account."""
    from proxygen.issuers.acme_key import brought

    brought(assemble.secret(reference))


def adoptable(site: Site, now: datetime, store: Store | None = None) -> Iterator[Named]:
    """Yield each certificate that `adopt` names, for those of whom a *store* has nothing valid."""
    asked = [each for each in site.owners if each.adopt]
    if not asked:
        return
    from proxygen.issuers.file_apart import Apart
    from proxygen.plan.adoption import lacking
    from proxygen.stores.bundles import Bundles

    stored = Bundles(store).all() if store else {}
    needing = {each.key for each in lacking(site, stored, now)}
    with Apart() as reader:
        for owner in asked:
            if owner.adopt and owner.key in needing:
                use = partial(adopts, owner, owner.adopt, now, reader)
                yield tried(".".join((*owner.path, "adopt")), owner.adopt.origin, use)


def adopts(owner: Owner, adopt: FileSource, now: datetime, reader: Apart) -> None:
    """Raise IssueFailed when a certificate is not one that its owner adopts."""
    from proxygen.issuers.file import contents
    from proxygen.model.x509 import facts_found
    from proxygen.plan.adoption import objection

    pair = reader.assemble(contents(adopt.paths, adopt.within), None)
    if found := objection(pair, facts_found(pair), owner, now):
        raise found


def trusted(path: Path) -> None:
    """Raise IssueFailed if there are no CA certificates in a file."""
    import ssl

    from proxygen.issuers.trusted_roots import trust

    trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), path)


def certificates(
    wanted: Iterable[Certificate], now: datetime, store: Store | None = None
) -> Iterator[Supplied]:
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
        issuer = FileIssuer(lambda: now, assemble.password, reader, failures)
        for each, file in supplied:
            yield certificate(each, file, now, issuer)


def certificate(
    wanted: Certificate, file: FileSource, now: datetime, issuer: FileIssuer
) -> Supplied:
    """Return one supplied certificate as a client would see it."""
    from proxygen.issuers.file import warnings
    from proxygen.model.verdicts import inspect

    try:
        pair = issuer.supplied(wanted, file)
        verdicts = inspect(pair, wanted.names, now)
    except IssueFailed as error:
        return Supplied(wanted.owner, wanted.origin, error)
    return Supplied(wanted.owner, wanted.origin, None, verdicts, warnings(file))
