"""YAML -> Site; each mistake names file, line and remedy, and all are told at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxygen.errors import Mistake, ModelError, Origin
from proxygen.model import provable, rules
from proxygen.model.backends import Applications, backends
from proxygen.model.certificate import (
    GLOBAL,
    HTTP,
    Authority,
    Certificate,
    FileSource,
    KeyType,
    Secret,
)
from proxygen.model.hosts import BadName, host_name
from proxygen.model.schema import (
    DIRECTORIES,
    LIMITS,
    UNUSABLE,
    AuthorityFields,
    Defaults,
    Domain,
    FileCertificate,
    Global,
    Known,
    Main,
    main_type,
)
from proxygen.model.site import (
    Acme,
    DnsSolver,
    ExternalAccount,
    Limits,
    Metrics,
    Owner,
    Site,
)
from proxygen.model.sources import Load, Read, ReadBefore, Source, read_included
from proxygen.model.yaml import Document, Map


def nothing(name: str) -> bool:  # noqa: ARG001
    """Return that no name is a public suffix, where there is no list of them."""
    return False


def read(
    main: Source,
    load: Load,
    known: Known,
    applications: Applications,
    before: Before | None = None,
    is_public_suffix: Callable[[str], bool] = nothing,
) -> Site:
    """Return the site that the files describe; raise ModelError with every mistake.

    *is_public_suffix* tells of a name in A-labels whether anybody can register names below it.
    *before* spares who reads a model again and again all that did not change.
    """
    before = before or Before()
    before.files.begin()
    first = before.files.file(main, before.grammar(known))
    content = first.content if isinstance(first.content, Main) else None
    if content is None:
        raise ModelError(ordered(first.document.mistakes))
    included, mistakes = read_included(first, content, load, before.files)
    files = [first, *included]
    for file in files:
        mistakes += file.document.mistakes
    site = Building(first, content, files, mistakes, before).site(applications)
    documents = files_by_name(files)
    mistakes += not_said_yet(rules.broken(site, first.document, documents), mistakes)
    wrong = provable.broken(site, first.document, documents, is_public_suffix)
    mistakes += not_said_yet(wrong, mistakes)
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


@dataclass(frozen=True, slots=True)
class Placed:
    """A domain where it stands; *owner* is None for one of which nothing right is left."""

    key: str
    typed: str
    where: Origin
    owner: Owner | None
    mistakes: tuple[Mistake, ...]


@dataclass(slots=True)
class Before:
    """What is known from the last time a model was read.

    *placed* are the domains of each file by its name, built from that very file while the main
    file *said* the same about what domains do not say themselves.
    """

    files: ReadBefore = field(default_factory=ReadBefore)
    known: Known | None = None
    main: type[Main] = Main
    said: tuple[object, ...] = ()
    placed: dict[str, tuple[Read, tuple[Placed, ...]]] = field(default_factory=dict)

    def grammar(self, known: Known) -> type[Main]:
        """Return the type of the main file, the very same while the same words are known."""
        if self.known != known:
            self.known, self.main = known, main_type(known)
        return self.main


@dataclass(frozen=True, slots=True)
class Proving:
    """How the names of a certificate are proven; the fields are as in ``Certificate``."""

    challenge: str
    solver: str | None
    strict: bool
    unchecked: tuple[str, ...]
    looked_at_by: str


@dataclass(slots=True)
class Building:
    """Builds the site from the files that were read.

    *usual* is how names are proven of domains that say nothing about it.
    """

    first: Read
    content: Main
    files: list[Read]
    mistakes: list[Mistake]
    before: Before
    usual: Proving | None = None

    def site(self, applications: Applications) -> Site:
        """Return the site; what cannot be built is noted as a mistake and left out."""
        built, wrong = backends(self.content.backends, self.first.document, applications)
        self.mistakes += wrong
        return Site(
            main=self.main(),
            domains=tuple(self.domains()),
            backends=built,
            authorities=tuple(self.authorities()),
            services=self.named("services"),
            notifiers=self.notifiers(),
            metrics=self.metrics(),
            contact=self.content.contact,
            language=self.content.language,
            folder=self.first.folder,
            solvers=dict(self.solvers()),
            addresses=distinct(self.content.addresses),
            resolvers=tuple(map(socket_of, self.content.resolvers)),
            preflight=self.content.acme.preflight,
        )

    def solvers(self) -> Iterator[tuple[str, DnsSolver]]:
        """Yield who writes DNS records; one with no word, or several, is a mistake."""
        for name, fields in (self.content.solvers or {}).items():
            words = {
                word: each for word in fields.model_fields_set if (each := getattr(fields, word))
            }
            if len(words) == 1:
                origin = self.first.document.origin("solvers", name)
                yield name, DnsSolver(*words.popitem(), origin)

    def named(self, room: str) -> Mapping[str, Any] | None:
        """Return the settings of the services or notifiers that the model names."""
        settings = getattr(self.content, room)
        if settings is None:
            return None
        named = self.first.document.value[room]
        return {
            name: getattr(settings, name) for name in named if name in settings.model_fields_set
        }

    def notifiers(self) -> Mapping[str, Any]:
        """Return who tells people: nobody where the model names nobody, mail where it says none."""
        named = self.named("notifiers")
        return {"email": None} if named is None else named

    def main(self) -> Owner:
        """Return the owner of the global URL."""
        fields, document = self.content.global_, self.first.document
        names = distinct((fields.url, *fields.extra_names))
        where = document.origin("global", "certificate")
        certificate = self.certificate(
            GLOBAL, names, fields.certificate, where, self.first.folder, self.proving(names, fields)
        )
        return Owner(
            key=GLOBAL,
            host=fields.url,
            extra_names=names[1:],
            certificate=certificate,
            backend=fields.backend,
            contact=self.content.contact,
            language=self.content.language,
            origin=document.key_origin("global"),
            path=("global",),
        )

    def domains(self) -> Iterator[Owner]:
        """Yield every domain of every file; a domain that stands twice is a mistake."""
        seen: dict[str, Origin] = {}
        for each in self.all_placed():
            if each.key in seen:
                self.mistakes.append(twice(each.typed, each.where, seen[each.key]))
                continue
            seen[each.key] = each.where
            self.mistakes += each.mistakes
            if each.owner:
                yield each.owner

    def all_placed(self) -> Iterator[Placed]:
        """Yield the domains of every file, those that did not change as they were."""
        content = self.content
        solvers = tuple(content.solvers or ())
        looks = (tuple(content.addresses), tuple(content.resolvers))
        said = (content.defaults, content.language, content.acme, solvers, looks)
        former = self.before.placed if self.before.said == said else {}
        self.before.said, self.before.placed = said, {}
        for file in self.files:
            name = file.document.name
            known = former.get(name)
            if known is None or known[0] is not file:
                known = file, tuple(self.placed(file))
            self.before.placed[name] = known
            yield from known[1]

    def placed(self, file: Read) -> Iterator[Placed]:
        """Yield the domains of one file."""
        raw = file.document.value.get("domains") if isinstance(file.document.value, Map) else 0
        if file.content is None or not isinstance(raw, Map):
            return
        for typed in raw:
            if key := canonical(typed):
                yield self.one_placed(key, typed, file)

    def one_placed(self, key: str, typed: str, file: Read) -> Placed:
        """Return one domain, where it stands."""
        where, content = file.document.key_origin("domains", typed), file.content
        if content is None or key not in content.domains:
            return Placed(key, typed, where, None, ())
        fields = content.domains[key] or Domain()
        owner = self.domain(key, typed, fields, file)
        wrong = without_url(fields, typed, file.document) if owner.host is None else ()
        return Placed(key, typed, where, owner, tuple(wrong))

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
            self.certificate(
                key, names, asked, where, file.folder, self.proving(names, fields, defaults)
            )
            if names and asked != GLOBAL
            else None
        )
        return Owner(
            key=key,
            host=url,
            extra_names=names[1:],
            certificate=certificate,
            backend=(fields.backend or defaults.backend) if names else None,
            contact=fields.contact or defaults.contact,
            language=fields.language or defaults.language or self.content.language,
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
        proving: Proving,
    ) -> Certificate:
        """Return the certificate that is asked for."""
        issuer = asked if isinstance(asked, str) else "file"
        return Certificate(
            owner=owner,
            names=names,
            issuer=issuer,
            origin=where,
            key_type=KeyType(self.content.acme.key_type),
            key_type_said="key_type" in self.content.acme.model_fields_set,
            authorities=self.asked() if issuer == "acme" else (),
            file=file_source(asked, where, folder) if isinstance(asked, FileCertificate) else None,
            keep_key=owner == GLOBAL,
            challenge=proving.challenge,
            solver=proving.solver if proving.challenge != HTTP else None,
            strict=proving.strict,
            unchecked=proving.unchecked,
            looked_at_by=proving.looked_at_by,
        )

    def proving(
        self, names: tuple[str, ...], fields: Global | Domain, defaults: Defaults | None = None
    ) -> Proving:
        """Return how names are proven; what an owner does not say, *defaults* do."""
        own = proving_said(fields)
        if self.usual and own == UNSAID:
            return self.usual
        said = own if defaults is None else in_turn(own, proving_said(defaults))
        challenge, solver, strict, unchecked = said
        if unchecked is True or not self.content.acme.preflight:
            unchecked = names
        if solver is None and len(self.content.solvers) == 1:
            solver = next(iter(self.content.solvers))
        challenge = challenge or self.content.acme.challenge
        proving = Proving(
            challenge,
            solver,
            bool(strict),
            tuple(name for name in names if name in unchecked) if unchecked else (),
            self.looked_at_by(challenge, solver),
        )
        if own == UNSAID and not unchecked:
            self.usual = proving
        return proving

    def looked_at_by(self, challenge: str, solver: str | None) -> str:
        """Return what changes when how names are looked at does."""
        content = self.content
        by = (content.acme.directory, content.acme.validation_port)
        about = (challenge, solver, by, content.addresses, content.resolvers)
        return hashlib.sha256(repr(about).encode()).hexdigest()[:16]

    def asked(self) -> tuple[Authority, ...]:
        """Return the authorities to ask for a certificate, the preferred one first."""
        fields = self.content.acme
        named = (fields, fields.fallback) if fields.fallback else (fields,)
        return tuple(Authority(url_of(each.directory), each.profile or "") for each in named)

    def metrics(self) -> Metrics:
        """Return where figures are told."""
        fields = self.content.metrics
        address, _, port = (fields.listen or "").rpartition(":")
        return Metrics(
            file=Path(fields.file) if fields.file else None,
            address=address.strip("[]") or None,
            port=int(port) if port else None,
        )

    def authorities(self) -> Iterator[Acme]:
        """Yield the ACME authorities, the preferred one first."""
        yield self.authority(self.content.acme, "acme")
        if fallback := self.content.acme.fallback:
            yield self.authority(fallback, "acme", "fallback")

    def authority(self, fields: AuthorityFields, *path: str) -> Acme:
        """Return how one authority is asked."""
        folder, external = self.first.folder, fields.external_account
        directory = url_of(fields.directory)
        limits = LIMITS.get(directory, {}) | fields.limits.model_dump(exclude_none=True)
        return Acme(
            directory=directory,
            contact=self.content.contact,
            key_type=KeyType(self.content.acme.key_type),
            profile=fields.profile,
            external_account=ExternalAccount(
                external.key_identifier, secret(external.hmac_key, folder)
            )
            if external
            else None,
            trusted_roots=tuple(folder / path for path in fields.trusted_roots),
            http_port=self.content.acme.http_port,
            validation_port=self.content.acme.validation_port,
            limits=Limits(**limits),
            origin=self.first.document.origin(*path),
        )


UNSAID = (None, None, None, None)


def in_turn(own: tuple[Any, ...], others: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what is said first of each; None where nobody says anything."""
    return tuple(other if said is None else said for said, other in zip(own, others, strict=True))


def proving_said(fields: Global | Domain | Defaults) -> tuple[Any, ...]:
    """Return what is said of how names are proven; None for what is not."""
    return fields.challenge, fields.solver, fields.strict_names, fields.skip_preflight


def socket_of(typed: str) -> tuple[str, int]:
    """Return address and port of a name server."""
    address, _, port = typed.rpartition(":")
    return address.strip("[]"), int(port)


def url_of(directory: str) -> str:
    """Return the URL of an ACME directory that may be typed as a word."""
    return DIRECTORIES.get(directory, directory)


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


ONLY_OF_URLS = (
    *("certificate", "extra_names", "backend"),
    *("challenge", "solver", "strict_names", "skip_preflight"),
)


def without_url(fields: Domain, typed: str, document: Document) -> Iterator[Mistake]:
    """Yield a mistake for each field that only a URL of the domain's own gives a meaning."""
    for name in ONLY_OF_URLS:
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
