"""The domains of a draft: of lineages, and of sites whose certificate no client renews."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

from proxygen.importing.authority import is_directory, same_authority
from proxygen.importing.host import HostInventory, JudgedLineage
from proxygen.importing.judge import JudgedPair
from proxygen.importing.owners import (
    Draft,
    DraftOwner,
    block_of,
    by_block,
    covers_name,
    draft_owner,
    first_name,
    host_names,
    lineages_by_worth,
    why_unfit,
)
from proxygen.importing.server_blocks import ServerBlock


def domains_of_lineages(
    seen: HostInventory, taken: set[str], owned: Collection[str], draft: Draft
) -> Iterator[DraftOwner]:
    """Yield a domain for each lineage, or several where nginx serves its names differently.

    They count together or not at all: its client, which goes on with one of them, could not
    renew it where proxygen answers the challenges for another.
    """
    for each in lineages_by_worth(seen):
        lineage, pair = each.lineage, each.pair
        if pair.bundle is None:
            draft.notes.append(f"{lineage.client}: {lineage.where}: {pair.refusal}")
            continue
        free = (name for name in host_names(pair) if name not in taken)
        names = [name for name in free if not is_of_another(name, pair, seen)]
        if names and (there := [name for name in host_names(pair) if name in owned]):
            draft.notes.append(
                f"the model has {there[0]}; {lineage.client} has it together with "
                f"{', '.join(names[:5])} ({lineage.where}): add them to its `extra_names`"
            )
            continue
        url = first_name(names, (lineage.name,))
        if not url:
            if names:
                draft.notes.append(
                    f"{lineage.client} goes on with {lineage.name} ({lineage.where}): a wildcard"
                    f" alone ({names[0]}) can be no URL"
                )
            continue
        made = []
        for some in by_block(url, names, seen):
            taken |= set(some)
            block = block_of(some[0], seen)
            made.append(
                draft_owner("", some[0], some, pair, lineage, (), block, has_nginx=seen.has_nginx)
            )
        whys = [why_idle(one, seen, draft) for one in made]
        first = next((f"{one.url}: {why}" for one, why in zip(made, whys, strict=True) if why), "")
        for one, why in zip(made, whys, strict=True):
            together = first and f"{lineage.client} renews it together with {first}"
            yield replace(one, idle=why or together)


def is_of_another(name: str, of_lineage: JudgedPair, seen: HostInventory) -> bool:
    """Return whether nginx serves a name with a certificate that no client renews.

    A good one, that clients know as well as that of the lineage.
    """
    block = seen.web.https.naming(name)
    shown = [seen.of_sites[each] for each in block.pairs] if block else []
    pair = next((each for each in shown if covers_name(each, name)), None)
    if pair is None or pair.bundle is None or pair.bundle.stand_in:
        return False
    if pair.refusal or pair.trust[:2] < of_lineage.trust[:2]:
        return False
    return pair.mark not in seen.marks


def why_idle(made: DraftOwner, seen: HostInventory, draft: Draft) -> str:
    """Return why an owner is only a comment, empty where it counts."""
    pair, lineage = made.pair, made.lineage
    if made.block and made.block.unfit:
        return why_unfit(made.block)
    if lineage and lineage.directory and not same_authority(lineage.directory, draft.directory):
        if not is_directory(lineage.directory):
            return f"{lineage.client} notes no directory of {lineage.directory}: give --directory"
        return f"it is of another authority than the model has: {lineage.directory}"
    if lineage and pair and (stays := shown_beside(JudgedLineage(lineage, pair), seen)):
        return f"{stays}, which would not be renewed there"
    if made.block is None:
        where = seen.web.serving(made.url)
        if pair and pair.refusal:
            return "nobody serves it here, and its certificate is not good"
        if where:
            return f"nginx serves it by HTTP alone ({where.where})"
        return "no server block of nginx serves it by HTTPS, and nothing is known of a backend"
    if pair and pair.bundle and pair.bundle.stand_in:
        return "its certificate is self-signed"
    if pair and made.certificate == "file" and not covers_name(pair, made.url):
        return f"its certificate is for other names: {', '.join(pair.names[:5])}"
    return ""


def shown_beside(renewed: JudgedLineage, seen: HostInventory) -> str:
    """Return who else goes on to show a lineage, empty where nobody does."""
    if where := seen.using(renewed):
        return f"nginx uses its certificate elsewhere as well ({where})"
    service = seen.staying.get(renewed.pair.mark, "")
    return f"{service} goes on to show its certificate" if service else ""


def domains_of_sites(seen: HostInventory, taken: set[str], draft: Draft) -> Iterator[DraftOwner]:
    """Yield a domain for each server block whose certificate no client renews."""
    for block in seen.web.blocks:
        pair = next((seen.of_sites[each] for each in block.pairs), None)
        if pair is None or pair.bundle is None or pair.mark in seen.marks:
            continue
        names = [name for name in block.names if name not in taken]
        covered = [name for name in names if covers_name(pair, name)] or names[:1]
        covered += [name for name in shown_by_default(block, pair, seen) if name not in taken]
        url = next((name for name in covered if "*" not in name), "")
        if not url:
            continue
        taken |= set(covered)
        made = draft_owner("", url, covered, pair, None, (), block)
        yield replace(made, idle=why_idle(made, seen, draft))


def shown_by_default(block: ServerBlock, pair: JudgedPair, seen: HostInventory) -> Iterator[str]:
    """Yield the names of a certificate that it is shown for although no server block names them."""
    if block is seen.web.https.default and block in seen.web.https.first_ones:
        yield from (
            name
            for name in host_names(pair)
            if name not in block.names and (block_of(name, seen) is block or "*" in name)
        )


def with_keys(
    entries: Iterable[DraftOwner],
    registered: Callable[[str], str],
    owned: Collection[str],
    keys: Collection[str],
    notes: list[str],
) -> list[DraftOwner]:
    """Return the owners with their domains: the registered one, where it has one URL alone.

    What a model has already is noted.
    """
    found = list(entries)
    counted = Counter(registered(each.url) for each in found)
    there = {*map(registered, owned), *keys}
    domains = []
    for each in found:
        whole = registered(each.url)
        alone = counted[whole] == 1 and whole not in there
        key = whole if alone and "." in whole else each.url
        if key in keys:
            notes.append(
                f"the model has {key}, without this URL: give it `url: https://{each.url}`"
            )
        else:
            domains.append(replace(each, key=key))
    return domains
