"""Where nginx listens: the sockets of a draft, and the sites that have others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace

from proxygen.importing.host import HostInventory
from proxygen.importing.owners import Draft
from proxygen.importing.server_blocks import ADDRESS, NginxSites, ServerBlock

USUAL_SOCKETS = {
    "http": frozenset({"80", "[::]:80"}),
    "https": frozenset({"443", "[::]:443"}),
}
USUAL_PORTS = {"http": "80", "https": "443"}


def compare_sockets(web: NginxSites) -> NginxSites:
    """Return the server blocks; those that listen elsewhere than most are what no model can say.

    It has the same sockets for all: a site that is for this host alone must not be open to others,
    and one that is served by two server blocks would go on with one that nobody renews.
    """
    counted = Counter(normalized_sockets(each) for each in web.blocks if not each.unfit)
    usual = max(
        counted,
        key=lambda each: (any(at.endswith(":443") for at in each), counted[each]),
        default=frozenset[str](),
    )
    places: dict[str, set[frozenset[str]]] = {}
    for block in web.blocks:
        for name in block.names:
            places.setdefault(name, set()).add(normalized_sockets(block))
    twice = {name for name, found in places.items() if len(found) > 1}
    return replace(web, blocks=tuple(compare_with_usual(each, usual, twice) for each in web.blocks))


def compare_with_usual(
    block: ServerBlock, usual: frozenset[str], twice: Collection[str]
) -> ServerBlock:
    """Return a server block, unfit where it, or another one with its name, listens elsewhere."""
    if more := [name for name in block.names if name in twice]:
        return block.without(f"{more[0]} is served elsewhere as well ({block.where})")
    if normalized_sockets(block) == usual:
        return block
    own, others = (", ".join(sorted(each)) for each in (normalized_sockets(block), usual))
    return block.without(f"it listens on {own}, others on {others} ({block.where})")


def normalized_sockets(block: ServerBlock) -> frozenset[str]:
    """Return where a server block listens with TLS; all addresses of IPv6 are as those of IPv4."""
    return frozenset(re.sub(r"^(?:0\.0\.0\.0|\[::\]):", "*:", each) for each in block.sockets)


def sockets_of_draft(draft: Draft, seen: HostInventory) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield where nginx listens for HTTP and HTTPS with what is taken over, unless as usual."""
    counting = [each for each in (draft.main, *draft.domains) if each and not each.idle]
    blocks = [each.block for each in counting if each.block and not each.block.unfit]
    names = {name for each in blocks for name in each.names}
    plain = [
        at
        for each in seen.web.plain
        if names & set(each.names)
        for at in each.sockets
        if each.redirects or at.endswith(":80")  # others are for who stands before them
    ]
    found = {
        "http": plain,
        "https": [at for each in blocks for at in each.sockets],
    }
    for word, sockets in found.items():
        numbers = [each for each in sockets if ADDRESS.fullmatch(each)]
        bare = dict.fromkeys(re.sub(r"^(?:\*|0\.0\.0\.0):", "", each) for each in numbers)
        if bare and not set(bare) <= USUAL_SOCKETS[word]:
            port = USUAL_PORTS[word]
            first = sorted(bare, key=lambda each: each.rpartition(":")[2] != port)
            yield word, tuple(first)
