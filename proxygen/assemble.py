"""Assemble: the parts that a model names, built from what stands in it."""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeVar

from proxygen import registry
from proxygen.credentials import HIDDEN, KNOWN, may_be_secret
from proxygen.errors import IssueFailed, ProxygenError, UsageError
from proxygen.failure import NotObtained, Scope, failure_with_place, not_obtained
from proxygen.host import files, masks
from proxygen.host.addresses import Addresses
from proxygen.host.files import Stamp
from proxygen.host.suffixes import is_public, registered_domain
from proxygen.issuers import Issuer
from proxygen.model.certificate import DNS, HTTP, PERSIST, Certificate, Secret
from proxygen.model.former import NOTHING, Former, PastModel
from proxygen.model.layout import Layout
from proxygen.model.reading import Before, settle_model
from proxygen.model.site import Acme, Site
from proxygen.model.sources import CREATE, Load, Source, UnreadableFile
from proxygen.model.yaml import LARGEST_INCLUDED, LARGEST_MAIN
from proxygen.plan.quota import Quota, QuotaEntry, QuotaKind, is_exempt, is_renewal
from proxygen.services.service_kind import Service
from proxygen.solvers import Solver, Solvers, Writer, Writing
from proxygen.stores import VERSION, VERSION_KEY, Store, applied_model, keyspace
from proxygen.stores.bundles import Bundles
from proxygen.stores.filesystem import FileStore
from proxygen.stores.forward import Forward, is_known, version_in
from proxygen.stores.ledger import Ledger
from proxygen.stores.names import NameStore

if TYPE_CHECKING:
    from proxygen.dns.resolver import Resolver
    from proxygen.issuers.acme import AcmeIssuer
    from proxygen.issuers.acme_transport import Pace
    from proxygen.plan.render import Templates

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class IncludedFile:
    """A file that an `include` found: what it held when it had *stamp*.

    *foreign*: others than root may write it.
    """

    path: Path
    stamp: Stamp | None
    source: Source | UnreadableFile
    foreign: bool = False


@dataclass(slots=True)
class ModelFiles:
    """The files of a model as they were read the last time, for who reads them again and again.

    What did not change is not read again. *found* by mask and name; *open* are the masks of files
    that others than root may write. *former* is the model as it was last right.
    """

    before: Before = field(default_factory=Before)
    found: dict[str, dict[str, IncludedFile]] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    former: Former = NOTHING


@dataclass(frozen=True, slots=True)
class Latest:
    """The latest value of each kind, with what it was made from."""

    known: dict[str, tuple[object, Any]] = field(default_factory=dict)

    def of(self, kind: str, given: object, make: Callable[[], T]) -> T:
        """Return what *make* does, the latest value while *given* is what that was made from."""
        known = self.known.get(kind)
        if known is None or known[0] != given:
            known = self.known[kind] = given, make()
        value: T = known[1]
        return value


@dataclass(frozen=True)
class Installation:
    """All that a round works with; *now* is the only clock, *draw* the only chance (0 to 1).

    *store* is what the installation shares, *own* what is this host's.

    Who does round after round with the same parts reads and renders only what changed: *bundles*
    know what they read, *latest* what was rendered, and from what, *resolvers* what the DNS said,
    *addresses* what names of upstream servers stand for.
    *pace* is how long authorities are waited for, where it is not the usual one.
    """

    layout: Layout
    store: Store
    own: Store
    bundles: Bundles
    names: NameStore
    templates: Templates
    services: Mapping[str, Service]
    now: Callable[[], datetime]
    draw: Callable[[], float] = random.random
    latest: Latest = field(default_factory=Latest)
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    resolvers: dict[object, Resolver] = field(default_factory=dict)
    addresses: Addresses = field(default_factory=Addresses)
    pace: Pace | None = None

    def ledger(self, directory: str) -> Ledger:
        """Return what was used of an authority's limits; there is one, whoever asks."""
        return self.ledgers.setdefault(directory, Ledger(self.store, directory))

    def resolver_for(self, site: Site) -> Resolver:
        """Return who asks the DNS for a site; what it was told it knows as long as that holds."""
        if found := self.resolvers.get(site.resolvers):
            return found
        from proxygen.dns.resolver import Resolver

        made = Resolver(site.resolvers, ticks=lambda: self.now().timestamp())
        return self.resolvers.setdefault(site.resolvers, made)  # another thread may forget them all

    def quota(self, authority: Acme) -> Quota:
        """Return what is left of an authority's limits now."""
        now = self.now()
        entries = self.ledger(authority.directory).entries(now)
        return Quota(authority.limits, entries, registered_domain, now)


def read_site(layout: Layout, known: ModelFiles | None = None, *, confirmed: bool = False) -> Site:
    """Return the site that the files of the model describe; raise ModelError or UsageError.

    An included file with a mistake counts as it was last right, and so does what may have been
    removed by accident, unless a person *confirmed* all removals. Nothing is written.
    """
    known = known or ModelFiles()
    main = read_source(layout.config)
    return settled_site(layout, main, include_reader(layout, known), known, confirmed=confirmed)


def settled_site(
    layout: Layout, main: Source, load: Load, known: ModelFiles, *, confirmed: bool = False
) -> Site:
    """Return the site that these files describe, by what is kept of them."""
    with suppress(PermissionError):  # who may only validate: what is kept is for root
        known.former = applied_model.former_model(FileStore(layout.store), known.former)
    found = read_as(main, load, known.before, PastModel(known.former, confirmed, Path.is_dir))
    return replace(found, unbounded=tuple(each for each in found.unbounded if each in known.open))


def read_as(main: Source, load: Load, before: Before, past: PastModel) -> Site:
    """Return the site that files describe, whatever stands on the disk."""
    words = registry.settings(), registry.applications()
    return settle_model(main, load, *words, before, is_public, past)


def last_right(layout: Layout) -> Site | None:
    """Return the site as it was last right, None where there is none."""
    former = applied_model.former_model(FileStore(layout.store))
    if former.main is None:
        return None

    def load(mask: str) -> Sequence[Source | UnreadableFile]:
        those = (each.source for each in former.files.values() if each.mask == mask)
        return sorted(those, key=lambda each: PurePath(each.name).parts)

    try:
        return read_as(former.main.source, load, Before(), PastModel(former))
    except ProxygenError:
        return None


def read_source(path: Path) -> Source:
    """Return a file of the model; raise UsageError when it cannot be read."""
    try:
        text = files.read(path, LARGEST_MAIN)
    except IsADirectoryError as error:
        remedy = f"name the model file in it, such as `--config {path / 'proxygen.yaml'}`"
        raise UsageError(f"{path} is a folder", remedy=remedy) from error
    except OSError as error:
        what, remedy = (
            f"{path} cannot be read: {error.strerror}",
            OF_ERRORS.get(error.errno or 0, ""),
        )
        if error.errno == errno.EFBIG:
            what = f"{path} is larger than {LARGEST_MAIN >> 20} MiB"
        raise UsageError(what, remedy=remedy) from error
    if text is None:
        raise UsageError(
            f"the model file {path} does not exist",
            remedy="write it with `proxygen init`, or name another one with `--config FILE`",
        )
    return Source(str(path), path.parent.absolute(), text, home_of(path))


OF_ERRORS = {
    errno.EACCES: "run proxygen as root, or make the file readable",
    errno.EPERM: "run proxygen as root, or make the file readable",
    errno.ELOOP: "correct its symbolic links, which lead in a circle",
    errno.ENAMETOOLONG: "name the model file with `--config FILE`",
    errno.EINVAL: "name a regular file with `--config FILE`",
    errno.EFBIG: "move domains into files that `include` names",
}
"""What to do about a model file that cannot be read, by the system's error."""


def home_of(path: Path) -> str:
    """Return the folder of a file without links and `..`, however its path is spelled."""
    return os.path.realpath(path.parent)


def include_reader(
    layout: Layout, known: ModelFiles | None = None
) -> Callable[[str], Sequence[Source | UnreadableFile]]:
    """Return how the files of an `include` are found, relative to the model file.

    For one reading of the model: what that does not come to is *known* no more.
    """
    known = known or ModelFiles()
    before, known.found, known.open = known.found, {}, set()
    room = Room()

    def load(mask: str) -> Sequence[Source | UnreadableFile]:
        folder, former = layout.config.parent, before.get(mask, {})
        try:
            names = masks.names(folder, mask)
        except UsageError as error:
            return (UnreadableFile(str(error.where), error.what, whole=True, remedy=error.remedy),)
        room.files -= len(names)
        if room.files < 0:
            most = f"with the masks before it, it names more than {masks.MOST_NAMES:,} files"
            return (UnreadableFile(str(folder / mask), most, whole=True),)
        paths = {name: former[name].path if name in former else folder / name for name in names}
        present = known.found[mask] = {
            name: room.included(paths[name], former.get(name))
            for name in sorted(names, key=lambda name: paths[name].parts)
        }
        if is_open(folder, mask) or any(each.foreign for each in present.values()):
            known.open.add(mask)
        return tuple(each.source for each in present.values())

    return load


MOST_OCTETS = 64 * 1024 * 1024
"""Octets of all files that are included: 100,000 of 600 octets are fewer."""


@dataclass(slots=True)
class Room:
    """How many *octets* of included files may still be read, in their order, and how many *files*.

    One that is named by two masks counts twice.
    """

    octets: int = MOST_OCTETS
    files: int = masks.MOST_NAMES

    def included(self, path: Path, known: IncludedFile | None) -> IncludedFile:
        """Return a file that an `include` found, as far as there is room for it."""
        if self.octets >= 0:
            found = read_included(path, known)
            self.octets -= len(found.source.text) if isinstance(found.source, Source) else 0
        if self.octets >= 0:
            return found
        most = f"the files before it and this one have more than {MOST_OCTETS >> 20} MiB"
        return IncludedFile(path, None, UnreadableFile(str(path), most, home=home_of(path)))


def read_included(path: Path, known: IncludedFile | None) -> IncludedFile:
    """Return a file that an `include` found, read unless it is as it was *known*."""
    stamp = files.stamp_of(path)
    if known and stamp is not None and known.stamp == stamp:
        return known
    return IncludedFile(path, stamp, included_source(path), files.is_foreign(path))


OF_A_FOLDER = "name the files in it, such as `FOLDER/*.yaml`"


def is_open(folder: Path, mask: str) -> bool:
    """Return whether others than root may write a folder in which a mask looks for files."""
    looked_into = masks.folders(folder, mask) or {str(Path(mask).parent)}
    return any(files.is_foreign(folder / each) for each in looked_into)


def included_source(path: Path) -> Source | UnreadableFile:
    """Return what a file that an `include` found holds, or why it cannot be read."""
    try:
        text = files.read(path, LARGEST_INCLUDED)
    except OSError as error:
        if error.errno == errno.EFBIG:
            most = f"it is larger than {LARGEST_INCLUDED >> 20} MiB"
            return UnreadableFile(
                str(path), most, False, home_of(path), "divide it into several files"
            )
        words = error.strerror or str(error)
        if error.errno == errno.EISDIR:
            return UnreadableFile(str(path), words, False, home_of(path), OF_A_FOLDER)
        return UnreadableFile(str(path), words, home=home_of(path))
    if text is None:
        return UnreadableFile(str(path), os.strerror(errno.ENOENT), False, home_of(path), CREATE)
    return Source(str(path), path.parent.absolute(), text, home_of(path))


def build_installation(
    layout: Layout,
    now: Callable[[], datetime],
    former: Installation | None = None,
    addresses: Addresses | None = None,
) -> Installation:
    """Return what every round needs; issuers come when one is due.

    The *former* parts of the same process give on what they know; templates are looked at anew.
    *addresses*: who looks up names, where that is not to begin anew.
    """
    from proxygen.host import templates

    if former:
        return replace(
            former, templates=templates.load(layout.etc / "templates", former.templates), now=now
        )
    whole = whole_store(layout)
    store = keyspace.shared_part(whole)
    return Installation(
        layout=layout,
        store=store,
        own=keyspace.own_part(whole),
        bundles=Bundles(store),
        names=NameStore(store),
        templates=templates.load(layout.etc / "templates"),
        services=registry.NamedServices(layout.var / "live"),
        now=now,
        addresses=addresses or Addresses(),
    )


def shared_store(layout: Layout) -> Store:
    """Return what of the store the installation shares; raise UsageError as ``whole_store``."""
    return keyspace.shared_part(whole_store(layout))


def whole_store(layout: Layout) -> Forward:
    """Return the store; raise UsageError for one of a newer proxygen, which is left untouched."""
    store = FileStore(layout.store)
    noted = store.get(VERSION_KEY)
    if not is_known(noted):
        told = version_in(noted)[:20] or "unknown"
        raise UsageError(
            f"a newer proxygen wrote the store: it has version {told},"
            f" and this one reads versions up to {VERSION}",
            where=str(layout.store / VERSION_KEY),
            remedy="install the newer proxygen again; the services keep running meanwhile",
        )
    return Forward(store)


def bring_forward(layout: Layout) -> None:
    """Bring a store of a former version to the newest, and finish what a killed run began to write.

    For who holds the lock of a run. Nothing is lost where it cannot be written: it is read as if.
    """
    with suppress(OSError):
        whole_store(layout).bring()
        FileStore(layout.store).settle()


@contextmanager
def http01_solver(installation: Installation, site: Site, *, listen: bool) -> Iterator[Solver]:
    """Have who answers http-01 challenges for a block; *listen*: no web server does."""
    from proxygen.solvers.http01 import Http01Listener, Webroot

    if listen:
        with Http01Listener(site.acme.http_port) as listener:
            yield listener
    else:
        yield Webroot(installation.layout.challenges)


@contextmanager
def issuers(
    installation: Installation, site: Site, words: set[str], *, listen: bool
) -> Iterator[dict[str, Issuer]]:
    """Have the named issuers for a block; *listen*: no web server answers the challenges.

    *words* are those of the model, and the directory of each ACME authority that is asked.
    """
    built: dict[str, Issuer] = {}
    if "selfsigned" in words:
        from proxygen.issuers.selfsigned import SelfSignedIssuer

        built["selfsigned"] = SelfSignedIssuer(installation.now)
    asked = [each for each in site.authorities if each.directory in words]
    with ExitStack() as stack:
        if "file" in words:
            from proxygen.issuers.file import FileIssuer
            from proxygen.issuers.file_apart import Apart
            from proxygen.stores.file_failures import Failures

            reader = stack.enter_context(Apart())
            built["file"] = FileIssuer(
                installation.now, read_password, reader, Failures(installation.store)
            )
        if asked:
            solvers = stack.enter_context(solvers_for(installation, site, listen=listen))
            built |= {each.directory: acme_issuer(installation, each, solvers) for each in asked}
        yield built


@contextmanager
def solvers_for(installation: Installation, site: Site, *, listen: bool) -> Iterator[Solvers]:
    """Have who proves names for a block; what writes DNS records comes with the first of them.

    A name of dns-persist-01 is proven by dns-01 where an authority does not offer that, and there
    is a solver.
    """
    from proxygen.solvers.dnspersist01 import PersistentRecord

    with (
        http01_solver(installation, site, listen=listen) as http,
        dns_solvers(installation, site) as dns,
    ):

        def solvers(wanted: Certificate) -> dict[str, Solver]:
            writers = {DNS: dns(wanted.solver)} if wanted.solver else {}
            if wanted.challenge == PERSIST:
                return {PERSIST: PersistentRecord(), **writers}
            return writers if wanted.challenge == DNS else {HTTP: http}

        yield solvers


@contextmanager
def dns_solvers(installation: Installation, site: Site) -> Iterator[Callable[[str], Solver]]:
    """Have what returns the solver for dns-01 by the name that the model gives it, for a block."""
    known: dict[str, Solver] = {}
    lock = threading.Lock()

    with ExitStack() as stack:

        def solver(name: str) -> Solver:
            with lock:
                if name not in known:
                    known[name] = dns_solver(installation, site, name, stack)
                return known[name]

        yield solver


def dns_solver(installation: Installation, site: Site, name: str, stack: ExitStack) -> Solver:
    """Return the solver for dns-01 of that name; raise IssueFailed when it cannot be had."""
    from proxygen.solvers.dns01 import Dns01
    from proxygen.solvers.dns01_lookup import Lookups
    from proxygen.solvers.dns01_records import KeptRecords

    chosen = site.solvers[name]
    lookups = stack.enter_context(Lookups(installation.resolver_for(site)))
    writing = Writing(site.folder, read_secret, lookups.zone)
    try:
        writer: Writer = registry.solvers()[chosen.word].writer(chosen.settings, writing)
    except IssueFailed as error:
        raise IssueFailed(failure_with_place(error.failure, chosen.origin)) from error
    return Dns01(name, writer, KeptRecords(installation.store), lookups, installation.now)


def renewal_issuer(installation: Installation, authority: Acme) -> AcmeIssuer:
    """Return who tells about an authority without ordering anything from it."""
    return acme_issuer(installation, authority, lambda _: {})


def acme_issuer(installation: Installation, authority: Acme, solvers: Solvers) -> AcmeIssuer:
    """Return the issuer that asks one authority, and counts its orders."""
    from proxygen.issuers.acme import AcmeIssuer

    ledger = installation.ledger(authority.directory)

    def ordered(wanted: Certificate, exempt: bool) -> None:
        former = installation.bundles.facts(wanted.owner)
        if exempt and is_exempt(former, installation.now()):
            ledger.exempt.add(wanted.owner)
            return
        ledger.exempt.discard(wanted.owner)
        renewal = is_renewal(wanted, former, authority.directory)
        ledger.note(QuotaEntry(installation.now(), wanted.names, QuotaKind.ORDERED, renewal))

    return AcmeIssuer(
        authority,
        installation.store,
        solvers,
        installation.now,
        read_secret,
        installation.pace,
        ordered,
    )


LARGEST_SECRET = 64 * 1024


def read_secret(reference: Secret) -> bytes:
    """Return the secret that a reference leads to, which no message holds from now on.

    Raise IssueFailed when there is none.
    """
    found = read_password(reference)
    KNOWN.add(found)
    return found


def read_password(reference: Secret) -> bytes:
    """Return likewise the password of a key, which is told to nobody but our own reader.

    A customer may choose it, who must not choose what other messages leave out.
    """
    try:
        if reference.kind == "env":
            found = os.environb.get(reference.place.encode())
        else:
            found = files.read(Path(reference.place), LARGEST_SECRET, reference.within)
    except OSError as error:
        final, words = error.errno != errno.EBUSY, error.strerror or str(error)
        failure = secret_missing("secret-unreadable", reference, words)
        raise IssueFailed(replace(failure, final=final)) from error
    if found is None:
        raise IssueFailed(secret_missing("secret-missing", reference))
    if not (held := found.rstrip(b"\r\n")):
        raise IssueFailed(secret_missing("secret-empty", reference))
    return held


def secret_missing(code: str, reference: Secret, words: str = "") -> NotObtained:
    """Return the failure for a secret that cannot be had."""
    place = HIDDEN if may_be_secret(reference.place) else reference.place
    told = f"{reference.kind}:{place}"
    return not_obtained(code, Scope.HOST, place=told, final=True, words=words)
