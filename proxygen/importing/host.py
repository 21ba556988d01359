"""What is on this host: other clients' lineages, and what services are configured with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import islice
from pathlib import Path

from proxygen import assemble
from proxygen.assemble import Installation
from proxygen.importing import ClientInventory, Lineage
from proxygen.importing.finding import lineages
from proxygen.importing.judge import JudgedPair, PairJudge
from proxygen.importing.nginx_files import NginxFiles
from proxygen.importing.server_blocks import NginxSites, nginx_sites
from proxygen.issuers.file_apart import Apart
from proxygen.languages.lines import terminal_text
from proxygen.model.former import PastModel
from proxygen.model.layout import Layout
from proxygen.model.reading import Before
from proxygen.model.site import Role
from proxygen.model.sources import Source
from proxygen.observe.configured import certificate_answers
from proxygen.observe.services import service_state, service_states
from proxygen.plan.observed import ServiceState
from proxygen.services import ServiceSettings

MOST_SHOWN = 20_000
"""How many certificates of one mail service are read."""
NOT_ASKED = "a configuration that cannot be asked"
BARE = b"global: {url: localhost.localdomain, certificate: selfsigned}\n"
"""A model that says nothing, to ask the services that are found."""


@dataclass(frozen=True, slots=True)
class JudgedLineage:
    """A lineage with its certificate as it was judged."""

    lineage: Lineage
    pair: JudgedPair


@dataclass(frozen=True, slots=True)
class PresentedPair:
    """A certificate that mail services present: *services* in short, and the pair."""

    services: tuple[str, ...]
    pair: JudgedPair


@dataclass(frozen=True, slots=True)
class ShownPair:
    """A certificate that one mail service shows, as in ``MailCertificate``, with its pair.

    What is not proxygen's once the service has what is, stays as well: it is set where it is read
    later (dovecot's local.conf).
    """

    service: str
    pair: JudgedPair
    names: tuple[str, ...]
    stays: bool
    to_servers: bool = False


@dataclass(frozen=True, slots=True)
class UnreadTable:
    """What tells of further certificates of a mail service, and cannot be read."""

    service: str
    words: str
    stays: bool


@dataclass(frozen=True)
class HostInventory:
    """All that was found on this host.

    *services* are those found, with their configuration where it is not the usual one. *presented*
    are what mail services present to whoever asks for nobody in particular, *shown* all that each
    of them has.
    """

    renewed: tuple[JudgedLineage, ...]
    everything: ClientInventory
    presented: tuple[PresentedPair, ...]
    web: NginxSites
    of_sites: dict[tuple[Path, Path], JudgedPair]
    services: Mapping[str, str] = field(default_factory=dict)
    shown: tuple[ShownPair, ...] = ()
    unread: tuple[UnreadTable, ...] = ()

    @cached_property
    def marks(self) -> frozenset[str]:
        """What tells the certificates of lineages from others."""
        return frozenset(each.pair.mark for each in self.renewed)

    @cached_property
    def staying(self) -> dict[str, str]:
        """Which mail service goes on to show a certificate, the first one, by what tells it."""
        return {each.pair.mark: each.service for each in reversed(self.shown) if each.stays}

    def using(self, each: JudgedLineage) -> str:
        """Return where nginx has, or may have, a lineage for more than sites; else empty."""
        for used in self.web.used:
            paths = used.written.paths()
            if paths and self.of_sites[paths].mark == each.pair.mark:
                return used.where
            if not paths and used.written.may_be(each.lineage.certificate):
                return used.where
        return ""

    @property
    def has_nginx(self) -> bool:
        """Whether nginx was found, which answers challenges then."""
        return "nginx" in self.services


def take_inventory(layout: Layout, more: Iterable[Path], now: datetime) -> HostInventory:
    """Return what is on this host; nothing is changed, and no service is reloaded."""
    everything = lineages(layout, more)
    installation = assemble.build_installation(layout, lambda: now)
    with Apart() as apart:
        judge = PairJudge(apart, now, layout.var)
        renewed = tuple(
            JudgedLineage(each, judge.pair(each.certificate, each.key))
            for each in everything.lineages
        )
        shown, unread, web, services = inventory_of_services(
            layout, installation, judge, everything.troubles
        )
        named = [pair for block in web.blocks for pair in block.pairs]
        named += [paths for each in web.used if (paths := each.written.paths())]
        sites = {pair: judge.pair(*pair) for pair in named}
    presented = presented_pairs(shown)
    return HostInventory(renewed, everything, presented, web, sites, services, shown, unread)


def presented_pairs(shown: Iterable[ShownPair]) -> tuple[PresentedPair, ...]:
    """Return each certificate that is shown to whoever asks, with the services that have it."""
    found: dict[str, tuple[list[str], JudgedPair]] = {}
    for each in shown:
        if not each.names and not each.to_servers:
            services, best = found.get(each.pair.mark, ([], each.pair))
            best = max(best, each.pair, key=lambda pair: pair.trust)
            found[each.pair.mark] = ([*services, each.service], best)
    return tuple(PresentedPair(tuple(dict.fromkeys(of)), pair) for of, pair in found.values())


def inventory_of_services(
    layout: Layout, installation: Installation, judge: PairJudge, troubles: list[str]
) -> tuple[tuple[ShownPair, ...], tuple[UnreadTable, ...], NginxSites, dict[str, str]]:
    """Return what mail services show and may show, nginx's server blocks, the services found.

    These with their configuration, where it is not the usual one.
    """
    model = Source(str(layout.config), layout.config.parent, BARE)
    site = assemble.read_as(model, lambda _: (), Before(), PastModel())
    shown: dict[ShownPair, None] = {}
    unread: list[UnreadTable] = []
    web = NginxSites(())
    there = service_states(site, installation)
    there += [*further_states(there, installation)]
    for name, state in there:
        service = installation.services[name]
        if state.facts is None:
            troubles.append(f"{name} cannot be asked: {state.error}")
            if service.main_file(state.settings, layout.of(name)).exists():
                unread.append(UnreadTable(name, NOT_ASKED, stays=True))
            continue
        answers = certificate_answers(state, installation)
        if service.role is Role.WEB:
            main = layout.host(str(state.facts.main))
            files = NginxFiles(main.parent, troubles)
            web = nginx_sites(main, files)
            missed = (f"{terminal_text(str(path))} cannot be read" for path in files.missed)
            unread += (UnreadTable(name, words, stays=True) for words in missed)
        elif not answers or answers["presented"].code:
            unread.append(UnreadTable(name, NOT_ASKED, stays=False))
        told = service.mail_certificates(answers) if answers else ()
        for each in islice(told, MOST_SHOWN):
            if each.unread:
                unread.append(UnreadTable(name, each.unread, each.stays))
                continue
            pair = judge.pair(*each.configured.paths)
            if pair.bundle:
                stays = each.stays or (bool(state.installed.generation) and not pair.ours)
                given = (name, pair, each.names, stays, each.to_servers)
                shown[ShownPair(*given)] = None
    folders = {name: of.settings.configuration or "" for name, of in there}
    return tuple(shown), tuple(unread), web, folders


def further_states(
    there: Iterable[tuple[str, ServiceState]], installation: Installation
) -> Iterator[tuple[str, ServiceState]]:
    """Yield the further services that those found tell of (postmulti(1))."""
    for _, state in there:
        for name, folder in state.facts.further.items() if state.facts else ():
            own = ServiceSettings(configuration=folder)
            yield name, service_state(name, own, installation)
