"""The draft of a model: its owners, each with what was found of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from proxygen.importing import DNS, STANDALONE, FoundAccount, Lineage
from proxygen.importing.host import HostInventory, JudgedLineage
from proxygen.importing.judge import JudgedPair
from proxygen.importing.proxied_locations import ProxiedLocation
from proxygen.importing.server_blocks import ServerBlock
from proxygen.model.certificate import san_matches
from proxygen.model.hosts import is_address
from proxygen.model.schema import DIRECTORIES, MOST_NAMES
from proxygen.plan.adoption import may_serve

FILE = ("file", "")
GOES_ON = "its client goes on and calls `proxygen hook`"
BY_DNS = f"with `solvers:` and `challenge: dns-01` proxygen renews it, until then {GOES_ON}"
MOST_TOLD = 5
"""How much is told of what a model cannot say."""


@dataclass(frozen=True, slots=True)
class DraftOwner:
    """An owner in the draft: *key* is ``global`` or a domain.

    *comments* tell what was found where. *certificate* is the word of the model, or ``file``.
    *idle* tells why it is only a comment, empty for one that counts.
    """

    key: str
    url: str
    extra_names: tuple[str, ...]
    certificate: str
    pair: JudgedPair | None
    comments: tuple[str, ...] = ()
    backend: str = ""
    idle: str = ""
    lineage: Lineage | None = None
    block: ServerBlock | None = None

    @property
    def adopts(self) -> bool:
        """Whether the model names its certificate to be adopted."""
        pair = self.pair
        if self.certificate == "file" or pair is None or pair.refusal or pair.bundle is None:
            return False
        if pair.ours:
            return False
        return may_serve(pair.bundle, self.key or self.url, (self.url, *self.extra_names))


@dataclass(slots=True)
class Draft:
    """What is to be written, and what is to be told.

    *missing* are the backends that a model which is there lacks, *left_out* the services that it
    does not have for now, with the names for which they present another certificate. *first* tells
    why nginx is not taken in yet: which server block is the default by its place alone.
    """

    main: DraftOwner | None
    domains: list[DraftOwner] = field(default_factory=list)
    backends: dict[str, tuple[ProxiedLocation, ...]] = field(default_factory=dict)
    names: dict[tuple[ProxiedLocation, ...], str] = field(default_factory=dict)
    directory: str = DIRECTORIES["letsencrypt"]
    account: FoundAccount | None = None
    contact: str = ""
    listen: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unknown_names: str = ""
    services: Mapping[str, str] = field(default_factory=dict)
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    missing: dict[str, tuple[ProxiedLocation, ...]] = field(default_factory=dict)
    first: str = ""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a person said, or the host tells: empty for what nobody did."""

    url: str = ""
    contact: str = ""
    directory: str = ""
    own_name: str = ""


def draft_owner(
    key: str,
    url: str,
    names: Iterable[str],
    pair: JudgedPair | None,
    lineage: Lineage | None,
    comments: Iterable[str],
    block: ServerBlock | None,
    *,
    has_nginx: bool = True,
) -> DraftOwner:
    """Return an owner with what was found of it.

    What no client renews is supplied; but a self-signed certificate only serves until the first
    real one is there.
    """
    alone = pair is not None and pair.bundle is not None and pair.bundle.stand_in
    extra = tuple(each for each in names if each != url and not (alone and "*" in each))
    told = list(comments)
    if lineage:
        told.append(f"{lineage.client}: {lineage.where}")
        told += [f"{lineage.client} ran after a renewal: {each}" for each in lineage.hooks]
    if block:
        told.append(f"nginx: {block.where}")
    if pair and pair.refusal:
        told.append(f"its certificate is not adopted: {pair.refusal}")
    elif pair and lineage and pair.bundle:
        told.append(f"from {pair.bundle.issued_by}, until {pair.bundle.not_after:%Y-%m-%d}")
    certificate, why = issuer(extra, pair, lineage, has_nginx=has_nginx)
    told += [why] if why else []
    return DraftOwner(key, url, extra, certificate, pair, tuple(told), lineage=lineage, block=block)


def issuer(
    names: Collection[str], pair: JudgedPair | None, lineage: Lineage | None, *, has_nginx: bool
) -> tuple[str, str]:
    """Return who issues a certificate, as a model has it, and what is told of that.

    What proxygen may not be able to prove its client brings, as long as nobody says otherwise.
    """
    if any("*" in each for each in names):
        return ("hook", f"a wildcard can be proven by dns-01 alone: {BY_DNS}") if lineage else FILE
    if lineage and lineage.challenge == DNS:
        web = "where port 80 of its names leads here write `certificate: acme`; else"
        return "hook", f"{lineage.client} proves it by dns-01: {web} {BY_DNS}"
    if lineage and not has_nginx and lineage.challenge != STANDALONE:
        here = "nginx, which would answer challenges, was not found: where nothing else listens on"
        return "hook", f"{here} port 80 write `certificate: acme`, until then {GOES_ON}"
    alone = pair is not None and pair.bundle is not None and pair.bundle.stand_in
    if pair and not lineage and not pair.refusal and not alone and not pair.ours:
        return FILE
    return "acme", ""


def block_of(name: str, seen: HostInventory) -> ServerBlock | None:
    """Return the server block that serves a host: one that names it, or else the default.

    The default one where its certificate is good for the host: else clients refuse it today. Not
    for a host that a server block names which speaks HTTP alone.
    """
    if found := seen.web.https.naming(name):
        return found
    default = seen.web.https.default
    if default is None or seen.web.serving(name):
        return None
    if any(covers_name(seen.of_sites[pair], name) for pair in default.pairs):
        return default
    return None


def by_block(url: str, names: Iterable[str], seen: HostInventory) -> Iterator[list[str]]:
    """Yield names that belong together: those of one server block, the URL's first.

    Names that none has go with the URL, wildcards, too; but not those that are served by HTTP.
    """
    own = block_of(url, seen)
    groups: dict[str, list[str]] = {"": [url]}
    for name in names:
        block = block_of(name, seen)
        plain = seen.web.serving(name)
        mark = "" if block is own or "*" in name else block.where if block else ""
        if block is None and plain:
            mark = plain.where
        if name != url:
            groups.setdefault(mark, []).append(name)
    yield from groups.values()


def lineages_by_worth(seen: HostInventory) -> list[JudgedLineage]:
    """Return the lineages in the order in which they get their names.

    Good ones before others, those whose CA clients know, those that a service presents, and those
    that last longest first.
    """
    served = {each.pair.mark for each in seen.presented}
    served |= {each.mark for each in seen.of_sites.values() if each.bundle}

    def order(each: JudgedLineage) -> tuple[bool, bool, bool, float, str]:
        bundle = each.pair.bundle
        ends = bundle.not_after.timestamp() if bundle else 0.0
        good, known, _ = each.pair.trust
        return not good, not known, each.pair.mark not in served, -ends, each.lineage.where

    return sorted(seen.renewed, key=order)


def why_unfit(block: ServerBlock) -> str:
    """Return what is said of a server block that no model can say."""
    said = ", ".join(block.unfit[:MOST_TOLD])
    return f"nginx serves this site otherwise than a model can say: {said}"


def covers_name(pair: JudgedPair, name: str) -> bool:
    """Return whether a certificate is good for a name."""
    return any(san_matches(each, name) for each in pair.names)


def host_names(pair: JudgedPair) -> tuple[str, ...]:
    """Return the names of a certificate that a model can have, but no addresses."""
    return tuple(each for each in pair.names if not is_address(each))[:MOST_NAMES]


def has_certificate(renewed: JudgedLineage, pair: JudgedPair) -> bool:
    """Return whether a lineage has that certificate."""
    return renewed.pair.mark == pair.mark


def first_name(names: Iterable[str], better: Iterable[str] = ()) -> str:
    """Return the name of a URL: one of the *better* ones, else the first that is no wildcard."""
    plain = [each for each in names if "*" not in each]
    liked = [each for each in better if each in plain]
    mail = [each for each in plain if each.startswith("mail.")]
    return next(iter((*liked, *mail, *plain)), "")
