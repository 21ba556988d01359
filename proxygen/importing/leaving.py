"""What to switch off elsewhere: only what renews nothing that proxygen does not renew."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path
from shlex import quote

from pydantic import BaseModel

from proxygen.importing.host import HostInventory, JudgedLineage
from proxygen.importing.server_blocks import ServerBlock, plain_socket
from proxygen.model.site import Site
from proxygen.services.nginx_settings import NginxSettings


@dataclass(frozen=True, slots=True)
class ModelNames:
    """The names that a model has: *renewed* by proxygen (`acme`), and *brought* (`hook`)."""

    renewed: frozenset[str]
    brought: frozenset[str]

    @staticmethod
    def of(site: Site) -> ModelNames:
        """Return those of a model."""
        found = {"acme": set[str](), "hook": set[str]()}
        for owner in site.owners:
            if owner.certificate and owner.certificate.issuer in found:
                found[owner.certificate.issuer] |= set(owner.names)
        return ModelNames(frozenset(found["acme"]), frozenset(found["hook"]))


def switching_off(
    seen: HostInventory, site: Site, started: Callable[[Collection[str]], Iterable[str]]
) -> Iterator[str]:
    """Yield what is to be run once proxygen serves, so that no other client renews as well.

    A lineage is left to its client unless *site* renews each of its names; what starts a client
    (*started* tells) is left unless that is so for all that it has.
    """
    names = ModelNames.of(site)
    shown = still_shown(seen, names, site)
    taken, left = list[JudgedLineage](), list[JudgedLineage]()
    for each in seen.renewed:
        is_taken = is_renewed(each, names) and each.pair.mark not in shown
        (taken if is_taken else left).append(each)
    yield from reader_commands(taken)
    for client, hook in dict.fromkeys(
        (e.lineage.client, h) for e in taken for h in e.lineage.hooks
    ):
        yield (
            f"# {client} will not run this for them any more: {hook}: what it supplies, maybe on"
            " other hosts, is to be supplied by a script in /etc/proxygen/hooks/deploy.d"
        )
    yield from dict.fromkeys(each.lineage.stop for each in taken if each.lineage.stop)
    going_on = {each.lineage.client for each in left} | seen.everything.unsure
    clients = {each.lineage.client for each in taken}
    yield from started(clients - going_on)
    for one in left:
        yield from what_goes_on(one, names, shown.get(one.pair.mark, ""))
    for client in sorted(seen.everything.unsure & clients):
        yield f"# {client} may have more than could be read: what starts it has to go on"
    brought = (each.lineage for each in left if names_of(each) & names.brought)
    for client in dict.fromkeys(each.client for each in brought):
        yield f"# have {client} call `proxygen hook` after each renewal of what is `hook`"
    yield from unanswered_challenges(taken, seen, names)


def reader_commands(taken: Iterable[JudgedLineage]) -> Iterator[str]:
    """Yield the commands that find whoever else reads what a client renews no more."""
    folders: dict[str, list[str]] = {}
    for each in taken:
        folders.setdefault(each.lineage.client, []).append(str(each.lineage.certificate.parent))
    for found in folders.values():
        above = commonpath(found) if len(set(found)) > 1 else str(Path(found[0]).parent)
        yield (
            f"grep -rlF --exclude-dir=proxygen {quote(above)} /etc    # who else reads these files:"
            " they will find no newer ones there"
        )


def still_shown(seen: HostInventory, names: ModelNames, site: Site) -> dict[str, str]:
    """Return the certificates that services show without proxygen, each with what tells so.

    Server blocks go on with a name that proxygen does not have, whatever the certificate itself is
    for; mail services with what stays beside the global one; and each that is not set up with all.
    """
    found: dict[str, str] = {}
    for block in seen.web.blocks:
        if goes_on(block, names, site):
            marks = [seen.of_sites[pair].mark for pair in block.pairs]
            varying = seen.renewed if block.varying else ()
            marks += [each.pair.mark for each in varying if may_show(block, each)]
            found |= dict.fromkeys(marks, f"nginx shows it ({block.where})")
    for renewed in seen.renewed:
        if where := seen.using(renewed):
            found[renewed.pair.mark] = f"nginx uses it elsewhere as well ({where})"
    for each in seen.shown:
        if each.stays or not is_set_up(each.service, site):
            of = f" for {', '.join(each.names[:5])}" if each.names else ""
            found[each.pair.mark] = f"{each.service} shows it{of}"
    for table in seen.unread:
        if table.stays or not is_set_up(table.service, site):
            for one in seen.renewed:
                found.setdefault(one.pair.mark, f"{table.service} may show it ({table.words})")
    return found


def goes_on(block: ServerBlock, names: ModelNames, site: Site) -> bool:
    """Return whether clients meet a server block of others once proxygen serves.

    By a name that proxygen does not have, or at a socket that it does not listen on.
    """
    if not is_set_up("nginx", site) or set(block.names) - names.renewed or block.comes_first:
        return True
    settings = site.services.get("nginx") if site.services else None
    ours = {plain_socket(each) for each in https_of(settings)}
    return not set(map(plain_socket, block.sockets)) <= ours


def https_of(settings: BaseModel | None) -> tuple[str, ...]:
    """Return where nginx listens for HTTPS by the model."""
    said = settings.listen.https if isinstance(settings, NginxSettings) else ()
    return said or ("443", "[::]:443")


def may_show(block: ServerBlock, renewed: JudgedLineage) -> bool:
    """Return whether a server block may show a lineage by a variable."""
    return any(each.may_be(renewed.lineage.certificate) for each in block.varying)


def is_set_up(service: str, site: Site) -> bool:
    """Return whether proxygen sets up a service that was found here."""
    return site.services is None or service in site.services


def names_of(renewed: JudgedLineage) -> frozenset[str]:
    """Return all names of a certificate, those too that no model can have."""
    bundle = renewed.pair.bundle
    return frozenset(bundle.names) if bundle else frozenset()


def is_renewed(renewed: JudgedLineage, names: ModelNames) -> bool:
    """Return whether proxygen renews every name of a lineage."""
    found = names_of(renewed)
    return bool(found) and found <= names.renewed


def what_goes_on(left: JudgedLineage, names: ModelNames, why: str) -> Iterator[str]:
    """Yield that a client goes on with a lineage, *why*, and what it cannot prove any more."""
    lineage = left.lineage
    because = f": {why}" if why else ""
    yield f"# {lineage.client} goes on with {lineage.name} ({lineage.where}){because}"
    answered = names.renewed | names.brought if lineage.webroots else names.renewed
    if ours := sorted(names_of(left) & answered):
        yield (
            f"# before `proxygen apply`: proxygen answers challenges for {', '.join(ours[:5])},"
            f" so that {lineage.client} cannot renew {lineage.name} by http-01 any more: have it"
            " obtain one without these names, or prove them by dns-01"
        )


def unanswered_challenges(
    taken: Iterable[JudgedLineage], seen: HostInventory, names: ModelNames
) -> Iterator[str]:
    """Yield which challenges are answered by nobody from then on, and what is shown still."""
    marks = {each.pair.mark for each in taken}
    for root in dict.fromkeys(root for each in taken for root in each.lineage.webroots):
        yield (
            f"# challenges in {root} will be answered 404 at these names: nobody else may"
            " renew by it any more"
        )
    for target in challenges_passed_on(seen, names.renewed | names.brought):
        yield (
            f"# challenges are passed on to {target}: a client there that renews by this host"
            " gets 404 from then on; have it use its own name, or dns-01"
        )
    for block in seen.web.blocks:
        shown = {seen.of_sites[pair].mark for pair in block.pairs}
        if block.default_of and shown & marks:
            yield (
                f"# nginx shows it still to clients that ask for no name, or for one that nobody"
                f" has ({block.where}): take that server block away before it ends"
            )


def challenges_passed_on(seen: HostInventory, names: Collection[str]) -> Iterator[str]:
    """Yield to whom else challenges for these names go now."""
    http = seen.web.http
    chosen = [http.naming(name) or http.default for name in sorted(names)]
    asked = frozenset(names)
    blocks = [each for each in seen.web.blocks if not asked.isdisjoint(each.names)]
    found = (each for block in (*chosen, *blocks) if block for each in block.elsewhere)
    yield from dict.fromkeys(found)
