"""YAML -> Site; each mistake names file, line and remedy, and all are told at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from proxygen.errors import Mistake, ModelError, Origin
from proxygen.model import rules
from proxygen.model.backends import Applications, backends
from proxygen.model.certificate import GLOBAL, Certificate, FileSource, KeyType, Secret
from proxygen.model.hosts import BadName, host_name
from proxygen.model.schema import (
    DIRECTORIES,
    UNUSABLE,
    Defaults,
    Domain,
    FileCertificate,
    Main,
    main_type,
)
from proxygen.model.site import Acme, ExternalAccount, Owner, Site
from proxygen.model.sources import Load, Read, Source, read_file, read_included
from proxygen.model.yaml import Document, Map


def read(
    main: Source,
    load: Load,
    services: Mapping[str, type[BaseModel]],
    applications: Applications,
) -> Site:
    """Return the site that the files describe; raise ModelError with every mistake."""
    first = read_file(main, main_type(services))
    content = first.content if isinstance(first.content, Main) else None
    if content is None:
        raise ModelError(ordered(first.document.mistakes))
    included, mistakes = read_included(first, content, load)
    files = [first, *included]
    for file in files:
        mistakes += file.document.mistakes
    site = Building(first, content, files, mistakes).site(applications)
    mistakes += not_said_yet(rules.broken(site, first.document, files_by_name(files)), mistakes)
    if mistakes:
        raise ModelError(ordered(mistakes))
    return site


def not_said_yet(broken: Iterator[Mistake], mistakes: Sequence[Mistake]) -> Iterator[Mistake]:
    """Yield what is wrong with fields of which nothing was said: those are as good as empty."""
    said = {(mistake.where.file, mistake.field) for mistake in mistakes}
    return (each for each in broken if (each.where.file, each.field) not in said)


def ordered(mistakes: Sequence[Mistake]) -> tuple[Mistake, ...]:
    """Return the mistakes in the order of the files, each once."""
    return tuple(sorted(dict.fromkeys(mistakes), key=lambda mistake: mistake.where))


def files_by_name(files: list[Read]) -> dict[str, Document]:
    """Return the documents by the names that origins carry."""
    return {file.document.name: file.document for file in files}


@dataclass(slots=True)
class Building:
    """Builds the site from the files that were read."""

    first: Read
    content: Main
    files: list[Read]
    mistakes: list[Mistake]

    def site(self, applications: Applications) -> Site:
        """Return the site; what cannot be built is noted as a mistake and left out."""
        built, wrong = backends(self.content.backends, self.first.document, applications)
        self.mistakes += wrong
        return Site(
            main=self.main(),
            domains=tuple(self.domains()),
            backends=built,
            acme=self.acme(),
            services=self.services(),
            contact=self.content.contact,
        )

    def services(self) -> Mapping[str, Any] | None:
        """Return the settings of the services that the model names."""
        settings = self.content.services
        if settings is None:
            return None
        named = self.first.document.value["services"]
        return {
            name: getattr(settings, name) for name in named if name in settings.model_fields_set
        }

    def main(self) -> Owner:
        """Return the owner of the global URL."""
        fields, document = self.content.global_, self.first.document
        names = distinct((fields.url, *fields.extra_names))
        where = document.origin("global", "certificate")
        certificate = self.certificate(GLOBAL, names, fields.certificate, where, self.first.folder)
        return Owner(
            key=GLOBAL,
            host=fields.url,
            extra_names=names[1:],
            certificate=certificate,
            backend=fields.backend,
            contact=self.content.contact,
            origin=document.key_origin("global"),
            path=("global",),
        )

    def domains(self) -> Iterator[Owner]:
        """Yield every domain of every file; a domain that stands twice is a mistake."""
        seen: dict[str, Origin] = {}
        for file in self.files:
            raw = file.document.value.get("domains") if isinstance(file.document.value, Map) else 0
            if file.content is None or not isinstance(raw, Map):
                continue
            for typed in raw:
                where = file.document.key_origin("domains", typed)
                key = canonical(typed)
                if key is None:
                    continue
                if key in seen:
                    self.mistakes.append(twice(typed, where, seen[key]))
                    continue
                seen[key] = where
                if key in file.content.domains:
                    yield self.domain(key, typed, file.content.domains[key] or Domain(), file)

    def domain(self, key: str, typed: str, fields: Domain, file: Read) -> Owner:
        """Return one domain, with the defaults for what it does not say."""
        raw = file.document.value["domains"][typed]
        url = UNUSABLE if lost("url", fields, raw) else fields.url
        names = () if url is None else distinct((url, *fields.extra_names))
        defaults: Defaults = self.content.defaults
        unsaid = GLOBAL if lost("certificate", fields, raw) else defaults.certificate
        asked = fields.certificate or unsaid
        where = file.document.origin("domains", typed, "certificate")
        certificate = (
            self.certificate(key, names, asked, where, file.folder)
            if names and asked != GLOBAL
            else None
        )
        if url is None:
            self.mistakes += without_url(fields, typed, file.document)
        return Owner(
            key=key,
            host=url,
            extra_names=names[1:],
            certificate=certificate,
            backend=(fields.backend or defaults.backend) if names else None,
            contact=fields.contact or defaults.contact,
            origin=file.document.key_origin("domains", typed),
            path=("domains", typed),
        )

    def certificate(
        self,
        owner: str,
        names: tuple[str, ...],
        asked: str | FileCertificate,
        where: Origin,
        folder: Path,
    ) -> Certificate:
        """Return the certificate that is asked for."""
        issuer = asked if isinstance(asked, str) else "file"
        directory = self.content.acme.directory
        return Certificate(
            owner=owner,
            names=names,
            issuer=issuer,
            origin=where,
            key_type=KeyType(self.content.acme.key_type),
            authority=DIRECTORIES.get(directory, directory) if issuer == "acme" else "",
            file=file_source(asked, where, folder) if isinstance(asked, FileCertificate) else None,
            keep_key=owner == GLOBAL,
        )

    def acme(self) -> Acme:
        """Return how ACME certificates are obtained."""
        fields, folder = self.content.acme, self.first.folder
        external = fields.external_account
        return Acme(
            directory=DIRECTORIES.get(fields.directory, fields.directory),
            contact=self.content.contact,
            key_type=KeyType(fields.key_type),
            profile=fields.profile,
            external_account=ExternalAccount(
                external.key_identifier, secret(external.hmac_key, folder)
            )
            if external
            else None,
            trusted_roots=tuple(folder / path for path in fields.trusted_roots),
            http_port=fields.http_port,
            origin=self.first.document.origin("acme"),
        )


def canonical(typed: str) -> str | None:
    """Return a domain's name as it is compared; None for one that was told as a mistake."""
    try:
        return host_name(typed)
    except BadName:
        return None


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names in order, each once."""
    return tuple(dict.fromkeys(names))


def twice(typed: str, where: Origin, first: Origin) -> Mistake:
    """Return the mistake of a domain that stands in two places."""
    reason = f"the domain stands here again, first at {first}"
    return Mistake(where, f"domains.{typed}", reason, "keep one of the two")


def lost(name: str, fields: Domain, raw: Any) -> bool:
    """Return whether a domain says something for a field that was taken out as wrong."""
    return getattr(fields, name) is None and isinstance(raw, Map) and raw.get(name) is not None


def without_url(fields: Domain, typed: str, document: Document) -> Iterator[Mistake]:
    """Yield a mistake for each field that only a URL of the domain's own gives a meaning."""
    for name in ("certificate", "extra_names", "backend"):
        if getattr(fields, name):
            yield Mistake(
                document.key_origin("domains", typed, name),
                f"domains.{typed}.{name}",
                "this is for a domain with a URL of its own, and this one has none",
                f"add `url`, or remove `{name}`",
            )


def file_source(asked: FileCertificate, where: Origin, folder: Path) -> FileSource:
    """Return the paths of a certificate in files, relative ones below *folder*."""
    fields = asked.file
    return FileSource(
        certificate=folder / fields.certificate,
        key=folder / fields.key if fields.key else None,
        chain=folder / fields.chain if fields.chain else None,
        password=secret(fields.password, folder) if fields.password else None,
        origin=where,
    )


def secret(reference: str, folder: Path) -> Secret:
    """Return the reference to a secret; a file's relative path is below *folder*."""
    kind, _, place = reference.partition(":")
    return Secret(kind, str(folder / place) if kind == "file" else place)
