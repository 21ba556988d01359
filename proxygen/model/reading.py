"""YAML -> Site; each mistake has a place and a remedy, and all are reported at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from posixpath import normpath
from typing import Any

from proxygen.errors import Mistake, ModelError, Origin
from proxygen.model.backends import Applications, backends
from proxygen.model.certificate import (
    GLOBAL,
    HTTP,
    OWN_KEYS,
    RSA,
    RSA_BESIDE,
    Authority,
    Certificate,
    FileSource,
    KeyType,
    Secret,
)
from proxygen.model.choosing import Choice
from proxygen.model.earlier import complete_main, texts_of
from proxygen.model.former import FormerFile, PastModel
from proxygen.model.hosts import BadName, host_name
from proxygen.model.instances import kind_in, shared_claims
from proxygen.model.mistakes import dotted_path
from proxygen.model.placed import Earlier, Placed
from proxygen.model.schema import (
    DIRECTORIES,
    LIMITS,
    UNUSABLE,
    AdoptFields,
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
    AuthorityLimits,
    DnsSolver,
    ExternalAccount,
    Metrics,
    Owner,
    Site,
)
from proxygen.model.sources import Load, ParsedFile, ReadBefore, Source, asked_for, read_included
from proxygen.model.yaml import Document, Map

DEFAULT_TYPE = KeyType.ECDSA_P256


def no_suffix(name: str) -> bool:  # noqa: ARG001
    """Return False: without a list, no name is a public suffix."""
    return False


def read_model(
    main: Source,
    load: Load,
    known: Known,
    applications: Applications,
    before: Before | None = None,
    is_public_suffix: Callable[[str], bool] = no_suffix,
) -> Site:
    """Return the site that the files describe; raise ModelError with every mistake of any file."""
    site = settle_model(main, load, known, applications, before, is_public_suffix)
    if site.mistakes:
        raise ModelError(site.mistakes)
    return site


def settle_model(
    main: Source,
    load: Load,
    known: Known,
    applications: Applications,
    before: Before | None = None,
    is_public_suffix: Callable[[str], bool] = no_suffix,
    past: PastModel | None = None,
) -> Site:
    """Return the site that the files describe, or described when they were last right.

    An included file with a mistake is set aside, and a removal that may be an accident is held
    back: for both, *past* counts. Raise ModelError with every mistake of all files if the main file
    has any.

    *is_public_suffix* tells whether anybody can register names below a name (in A-labels). *before*
    spares a caller that reads a model again and again what did not change.
    """
    before, past = before or Before(), past or PastModel()
    before.files.begin()
    before.past.begin()
    first = before.files.file(main, before.grammar(known))
    content = first.content if isinstance(first.content, Main) else None
    if content is None:
        raise ModelError(ordered_mistakes(first.document.mistakes))
    formerly = {each.mask for each in past.former.files.values()}
    found = read_included(first, content, load, before.files, formerly)
    mistakes = [*first.document.mistakes, *found.mistakes]
    bounded = certificate_bounds(first, content)
    building = Building(first, content, bounded, mistakes, before)
    bare = building.site(applications)
    kept = EarlierMain(building, applications, past.former.main)
    given = (first, found, past, bare, building.placed_of, before.past, is_public_suffix)
    choice = Choice(*given, kept.earlier)
    masks = found.masks | {each.source.name: each.mask for each in choice.former.values()}
    building.bound_of |= {name: bounded[mask] for name, mask in masks.items() if mask in bounded}
    return choice.settled(building.mistakes)


@dataclass(slots=True)
class EarlierMain:
    """The main file completed by what it had *before*, built when first asked for."""

    building: Building
    applications: Applications
    before: FormerFile | None
    known: Earlier | None = None

    def earlier(self) -> Earlier:
        """Return the completed main file, built once."""
        if self.known is None:
            self.known = self.made()
        return self.known

    def made(self) -> Earlier:
        """Build the completed main file."""
        now, before = self.building.first, self.building.before
        texts = texts_of(self.before, now, before.past)
        whole, used = complete_main(now, texts)
        content = whole.content if isinstance(whole.content, Main) else self.building.content
        bounded = self.bounds(texts)
        before.held = before.held or Before()
        building = Building(whole, content, bounded, [], before.held)

        def placed_of(file: ParsedFile, mask: str) -> tuple[Placed, ...]:
            if mask in bounded:
                building.bound_of[file.name] = bounded[mask]
            return building.placed_of(file, once=True)

        return Earlier(whole.document, building.site(self.applications), placed_of, used)

    def bounds(self, before: Sequence[ParsedFile]) -> dict[str, Path]:
        """Return by mask the folders of certificates, also for masks no longer included."""
        found = dict[str, Path]()
        for read in (*reversed(before), self.building.first):
            if isinstance(read.content, Main):
                for _, (mask, _) in asked_for(read.content, read.document):
                    found.pop(mask, None)
                found |= certificate_bounds(read, read.content)
        return found


def certificate_bounds(first: ParsedFile, content: Main) -> dict[str, Path]:
    """Return by mask the folder in which certificates that its files name must be."""
    asked = (each for _, each in asked_for(content, first.document))
    return {mask: first.folder / bound for mask, bound in asked if bound is not None}


def ordered_mistakes(mistakes: Sequence[Mistake]) -> tuple[Mistake, ...]:
    """Return the mistakes in the order of the files, each once."""
    return tuple(sorted(dict.fromkeys(mistakes), key=lambda mistake: mistake.where))


@dataclass(slots=True)
class Before:
    """What is known from the last time that a model was read.

    *placed* are the domains of each file by its name, built from that very file, while the main
    file *said* the same about defaults; *once* are those of files as they were last right, which
    *past* has read. *held* is the same for what is held back.
    """

    files: ReadBefore = field(default_factory=ReadBefore)
    past: ReadBefore = field(default_factory=ReadBefore)
    known: Known | None = None
    main: type[Main] = Main
    said: tuple[object, ...] = ()
    placed: dict[str, tuple[ParsedFile, tuple[Placed, ...]]] = field(default_factory=dict)
    once: dict[str, tuple[ParsedFile, tuple[Placed, ...]]] = field(default_factory=dict)
    held: Before | None = None

    def grammar(self, known: Known) -> type[Main]:
        """Return the type of the main file; the same object while the same words are known."""
        if self.known != known:
            self.known, self.main = known, main_type(known)
        return self.main


@dataclass(frozen=True, slots=True)
class NameProof:
    """How the names of a certificate are proven; the fields are as in ``Certificate``."""

    challenge: str
    solver: str | None
    strict: bool
    unchecked: tuple[str, ...]
    checked_by: str


@dataclass(slots=True)
class Building:
    """Builds the site from the files that were read.

    *bound_of* is by file the folder in which its certificates must be, *usual* is how the names of
    domains are proven that do not say otherwise.
    """

    first: ParsedFile
    content: Main
    bounds: Mapping[str, Path]
    mistakes: list[Mistake]
    before: Before
    usual: NameProof | None = None
    bound_of: dict[str, Path] = field(default_factory=dict)
    placed_before: dict[str, tuple[ParsedFile, tuple[Placed, ...]]] = field(default_factory=dict)
    once_before: dict[str, tuple[ParsedFile, tuple[Placed, ...]]] = field(default_factory=dict)

    def site(self, applications: Applications) -> Site:
        """Return the site without domains; what cannot be built is noted as a mistake."""
        built, wrong = backends(self.content.backends, self.first.document, applications)
        self.mistakes += wrong
        return Site(
            main=self.main(),
            domains=(),
            backends=built,
            authorities=tuple(self.authorities()),
            services=self.services(),
            notifiers=self.notifiers(),
            metrics=self.metrics(),
            contact=self.content.contact,
            language=self.content.language,
            folder=self.first.folder,
            solvers=dict(self.solvers()),
            addresses=distinct_names(self.content.addresses),
            resolvers=tuple(map(socket_of, self.content.resolvers)),
            preflight=self.content.acme.preflight,
            unbounded=tuple(self.unbounded()),
        )

    def unbounded(self) -> Iterator[str]:
        """Yield the masks whose files may name any file as a certificate."""
        for _, (mask, bound) in asked_for(self.content, self.first.document):
            if bound is None and mask not in self.bounds:
                yield mask

    def solvers(self) -> Iterator[tuple[str, DnsSolver]]:
        """Yield the solvers; one with no kind, or several, is left out."""
        for name, fields in (self.content.solvers or {}).items():
            words = {
                word: each for word in fields.model_fields_set if (each := getattr(fields, word))
            }
            if len(words) == 1:
                origin = self.first.document.origin("solvers", name)
                yield name, DnsSolver(*words.popitem(), origin)

    def named(self, room: str) -> Mapping[str, Any] | None:
        """Return the settings of the services or notifiers that the model names, None if none."""
        settings = getattr(self.content, room)
        if settings is None:
            return None
        named = self.first.document.value[room]
        return {
            name: getattr(settings, name) for name in named if name in settings.model_fields_set
        }

    def services(self) -> Mapping[str, Any] | None:
        """Return the settings of the services; what two of them claim is a mistake."""
        named = self.named("services")
        if named and self.before.known:
            types = self.before.known["services"]
            given: dict[str, Any] = {
                name: each or types[kind_in(name, types) or name]() for name, each in named.items()
            }
            self.mistakes += shared_claims(given, self.first.document)
        return named

    def notifiers(self) -> Mapping[str, Any]:
        """Return the notifiers: none if the model names none, email if it has no such field."""
        named = self.named("notifiers")
        return {"email": None} if named is None else named

    def main(self) -> Owner:
        """Return the owner of the global URL."""
        fields, document = self.content.global_, self.first.document
        names = distinct_names((fields.url, *fields.extra_names))
        where = document.origin("global", "certificate")
        certificate = self.certificate(
            GLOBAL,
            names,
            fields.certificate,
            where,
            self.first.folder,
            self.name_proof(names, fields),
            self.key_types(fields),
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
            adopt=adopted_files(
                fields.adopt, document.origin("global", "adopt"), self.first.folder
            ),
            beside=certificate_beside(certificate, self.key_types(fields)),
        )

    def placed_of(self, file: ParsedFile, *, once: bool = False) -> tuple[Placed, ...]:
        """Return the domains of a file; the same object while it does not change.

        *once*: it is a file as it was last right.
        """
        there = self.before.once if once else self.before.placed
        known = there.get(file.name)
        if known is None or known[0] is not file:
            former = (self.once_before if once else self.placed_before).get(file.name)
            known = former if former and former[0] is file else (file, tuple(self.placed(file)))
            there[file.name] = known
        return known[1]

    def __post_init__(self) -> None:
        """Keep the domains of before if the main file says the same about defaults."""
        content, before = self.content, self.before
        solvers = tuple(content.solvers or ())
        looks = (tuple(content.addresses), tuple(content.resolvers))
        bounds = tuple(self.bounds.items())
        said = (content.defaults, content.language, content.acme, solvers, looks, bounds)
        if before.said == said:
            self.placed_before, self.once_before = before.placed, before.once
        before.said, before.placed, before.once = said, {}, {}

    def placed(self, file: ParsedFile) -> Iterator[Placed]:
        """Yield the domains of one file."""
        raw = file.document.value.get("domains") if isinstance(file.document.value, Map) else 0
        if file.content is None or not isinstance(raw, Map):
            return
        for typed in raw:
            if key := canonical_name(typed):
                yield self.one_placed(key, typed, file)

    def one_placed(self, key: str, typed: str, file: ParsedFile) -> Placed:
        """Return one domain with its place."""
        where, content = file.document.key_origin("domains", typed), file.content
        if content is None or key not in content.domains:
            return Placed(key, typed, where, None, ())
        fields = content.domains[key] or Domain()
        owner = self.domain(key, typed, fields, file)
        wrong = [*without_url(fields, typed, file.document)] if owner.host is None else []
        supplied = owner.certificate.file if owner.certificate else None
        wrong += files_outside(supplied, ("domains", typed, "certificate", "file"), file.document)
        wrong += files_outside(owner.adopt, ("domains", typed, "adopt"), file.document)
        return Placed(key, typed, where, owner, tuple(wrong))

    def domain(self, key: str, typed: str, fields: Domain, file: ParsedFile) -> Owner:
        """Return one domain, with the defaults for what it does not set."""
        raw = file.document.value["domains"][typed]
        url = UNUSABLE if lost_field("url", fields, raw) else fields.url
        names = () if url is None else distinct_names((url, *fields.extra_names))
        defaults: Defaults = self.content.defaults
        unsaid = GLOBAL if lost_field("certificate", fields, raw) else defaults.certificate
        asked = fields.certificate or unsaid
        where = file.document.origin("domains", typed, "certificate")
        certificate = (
            self.certificate(
                *(key, names, asked, where, file.folder, self.name_proof(names, fields, defaults)),
                self.key_types(fields, defaults),
                self.bound_of.get(file.name) if fields.certificate else None,
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
            adopt=adopted_files(
                *(fields.adopt, file.document.origin("domains", typed, "adopt"), file.folder),
                self.bound_of.get(file.name),
            ),
            beside=certificate_beside(certificate, self.key_types(fields, defaults)),
        )

    def certificate(
        self,
        owner: str,
        names: tuple[str, ...],
        asked: str | FileCertificate,
        where: Origin,
        folder: Path,
        proving: NameProof,
        types: tuple[KeyType, ...],
        within: Path | None = None,
    ) -> Certificate:
        """Return the wanted certificate, from files *within* a folder if that is given.

        *types* are those of keys that the model asks for, none if it does not.
        """
        issuer = asked if isinstance(asked, str) else "file"
        return Certificate(
            owner=owner,
            names=names,
            issuer=issuer,
            origin=where,
            key_type=types[0] if types else DEFAULT_TYPE,
            key_type_said=bool(types),
            authorities=self.asked() if issuer == "acme" else (),
            file=file_source(asked, where, folder, within)
            if isinstance(asked, FileCertificate)
            else None,
            keep_key=owner == GLOBAL,
            challenge=proving.challenge,
            solver=proving.solver if proving.challenge != HTTP else None,
            strict=proving.strict,
            unchecked=proving.unchecked,
            checked_by=proving.checked_by,
        )

    def key_types(
        self, fields: Global | Domain, defaults: Defaults | None = None
    ) -> tuple[KeyType, ...]:
        """Return the types of keys that the model asks for, ECDSA first; none if it does not."""
        acme = self.content.acme
        usual = acme.key_type if "key_type" in acme.model_fields_set else None
        said = fields.key_type or (defaults and defaults.key_type) or usual or ()
        types = map(KeyType, [said] if isinstance(said, str) else said)
        return tuple(sorted(types, key=lambda each: each.algorithm == RSA))

    def name_proof(
        self, names: tuple[str, ...], fields: Global | Domain, defaults: Defaults | None = None
    ) -> NameProof:
        """Return how names are proven; *defaults* fill in what an owner does not set."""
        own = said_of_proof(fields)
        if self.usual and own == UNSAID:
            return self.usual
        said = own if defaults is None else in_turn(own, said_of_proof(defaults))
        challenge, solver, strict, unchecked = said
        if unchecked is True or not self.content.acme.preflight:
            unchecked = names
        if solver is None and len(self.content.solvers) == 1:
            solver = next(iter(self.content.solvers))
        challenge = challenge or self.content.acme.challenge
        proving = NameProof(
            challenge,
            solver,
            bool(strict),
            tuple(name for name in names if name in unchecked) if unchecked else (),
            self.checked_by(challenge, solver),
        )
        if own == UNSAID and not unchecked:
            self.usual = proving
        return proving

    def checked_by(self, challenge: str, solver: str | None) -> str:
        """Return a text that changes when the way changes in which names are checked."""
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
        """Return where metrics are written and served."""
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
        """Return how to order from one authority."""
        folder, external = self.first.folder, fields.external_account
        directory = url_of(fields.directory)
        limits = LIMITS.get(directory, {}) | fields.limits.model_dump(exclude_none=True)
        return Acme(
            directory=directory,
            contact=self.content.contact,
            profile=fields.profile,
            external_account=ExternalAccount(
                external.key_identifier, secret_reference(external.hmac_key, folder)
            )
            if external
            else None,
            trusted_roots=tuple(folder / path for path in fields.trusted_roots),
            http_port=self.content.acme.http_port,
            validation_port=self.content.acme.validation_port,
            limits=AuthorityLimits(**limits),
            origin=self.first.document.origin(*path),
            account_key=secret_reference(fields.account.key, folder) if fields.account else None,
        )


def certificate_beside(first: Certificate | None, types: tuple[KeyType, ...]) -> Certificate | None:
    """Return the certificate of the second of these types; None where there is but one.

    Certificates whose keys others make are as they are.
    """
    if first is None or first.issuer not in OWN_KEYS or len(types) < 2:
        return None
    return replace(first, owner=f"{first.owner}{RSA_BESIDE}", key_type=types[1])


UNSAID = (None, None, None, None)


def in_turn(own: tuple[Any, ...], others: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the first value of each that is not None."""
    return tuple(other if said is None else said for said, other in zip(own, others, strict=True))


def said_of_proof(fields: Global | Domain | Defaults) -> tuple[Any, ...]:
    """Return the fields that tell how names are proven; None for those that are not set."""
    return fields.challenge, fields.solver, fields.strict_names, fields.skip_preflight


def socket_of(typed: str) -> tuple[str, int]:
    """Return address and port of a name server."""
    address, _, port = typed.rpartition(":")
    return address.strip("[]"), int(port)


def url_of(directory: str) -> str:
    """Return the URL of an ACME directory, which may be typed as a word."""
    return DIRECTORIES.get(directory, directory)


def canonical_name(typed: str) -> str | None:
    """Return a domain's name as it is compared; None for one that is a mistake."""
    try:
        return host_name(typed)
    except BadName:
        return None


def distinct_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names in order, each once."""
    return tuple(dict.fromkeys(names))


def lost_field(name: str, fields: Domain, raw: Any) -> bool:
    """Return whether a domain has a field that was left out as wrong."""
    return getattr(fields, name) is None and isinstance(raw, Map) and raw.get(name) is not None


ONLY_OF_URLS = (
    *("certificate", "extra_names", "backend"),
    *("challenge", "solver", "strict_names", "skip_preflight", "adopt", "key_type"),
)


def without_url(fields: Domain, typed: str, document: Document) -> Iterator[Mistake]:
    """Yield a mistake for each field that makes sense only with a URL of the domain's own."""
    for name in ONLY_OF_URLS:
        if getattr(fields, name):
            yield Mistake(
                document.key_origin("domains", typed, name),
                f"domains.{typed}.{name}",
                "only a domain with a URL of its own can have this field",
                f"add `url`, or remove `{name}`",
                code="needs-url",
            )


def files_outside(
    source: FileSource | None, above: tuple[str, ...], document: Document
) -> Iterator[Mistake]:
    """Yield a mistake for each file that is not in the folder where its certificates must be.

    Only the path is compared here; where links lead is checked when the file is opened. *above*
    leads to the fields that name them.
    """
    if source is None or source.within is None:
        return
    paths = {"certificate": source.certificate, "key": source.key, "chain": source.chain}
    if source.password and source.password.kind == "file":
        paths["password"] = Path(source.password.place)
    for name, path in paths.items():
        if path and not is_below(path, source.within):
            field = (*above, name)
            yield Mistake(
                document.origin(*field),
                dotted_path(field),
                f"{path} is not in {source.within}, where certificates of this file must be",
                f"move the file into {source.within}, and write its path here",
                code="outside",
            )


def is_below(path: Path, folder: Path) -> bool:
    """Return whether a path is below a folder, by their spelling."""
    return Path(normpath(path)).is_relative_to(normpath(folder))


def file_source(
    asked: FileCertificate, where: Origin, folder: Path, within: Path | None = None
) -> FileSource:
    """Return the paths of a certificate in files; relative ones are below *folder*."""
    fields = asked.file
    return FileSource(
        certificate=folder / fields.certificate,
        key=folder / fields.key if fields.key else None,
        chain=folder / fields.chain if fields.chain else None,
        password=replace(secret_reference(fields.password, folder), within=within)
        if fields.password
        else None,
        origin=where,
        within=within,
    )


def adopted_files(
    fields: AdoptFields | None, where: Origin, folder: Path, within: Path | None = None
) -> FileSource | None:
    """Return the paths of another client's certificate, relative ones below *folder*."""
    if fields is None:
        return None
    key = folder / fields.key if fields.key else None
    return FileSource(folder / fields.certificate, key, None, None, where, within)


def secret_reference(reference: str, folder: Path) -> Secret:
    """Return the reference to a secret; a file's relative path is below *folder*."""
    kind, _, place = reference.partition(":")
    return Secret(kind, str(folder / place) if kind == "file" else place)
