"""The global URL of a draft: that of the certificate that mail services present."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from proxygen.errors import UsageError
from proxygen.importing.authority import is_directory
from proxygen.importing.host import HostInventory, PresentedPair
from proxygen.importing.judge import JudgedPair
from proxygen.importing.owners import (
    DraftOwner,
    Preferences,
    block_of,
    by_block,
    covers_name,
    draft_owner,
    first_name,
    has_certificate,
    host_names,
    lineages_by_worth,
    why_unfit,
)
from proxygen.model.certificate import GLOBAL
from proxygen.model.schema import MOST_NAMES


def global_owner(seen: HostInventory, wish: Preferences) -> DraftOwner | None:
    """Return the global URL: of the certificate that mail services present, or that is wished.

    Where a lineage has the same certificate, its files are named: it has the chain, too.
    """
    presented = best_presented(seen.presented)
    pair = presented.pair if presented else None
    if wish.url and not (pair and covers_name(pair, wish.url)):
        pair = best_for(wish.url, seen) or pair
    names = host_names(pair) if pair else ()
    same = [each for each in lineages_by_worth(seen) if pair and has_certificate(each, pair)]
    if same and pair:
        pair = max((*(each.pair for each in same), pair), key=lambda each: each.trust)
    lineage = same[0].lineage if same else None
    if lineage and not wish.directory and lineage.directory and not is_directory(lineage.directory):
        raise UsageError(
            f"{lineage.client} does not note the directory of {lineage.directory}, which has"
            f" issued the certificate that the global URL would have ({lineage.where})",
            remedy="give it as --directory URL",
        )
    url = wish.url or first_name(names, (wish.own_name, lineage.name if lineage else ""))
    if not url:
        return None
    is_presented = presented and pair and presented.pair.mark == pair.mark
    comments = (
        [f"shown by {' and '.join(presented.services)}"] if presented and is_presented else []
    )
    kept = dict.fromkeys((*names, *shown_names(seen, presented)))
    own = next(by_block(url, tuple(kept)[:MOST_NAMES], seen))  # others' become domains
    block = block_of(url, seen)
    made = draft_owner(GLOBAL, url, own, pair, lineage, comments, block, has_nginx=seen.has_nginx)
    if made.certificate == "file" and pair:
        extra = tuple(name for name in made.extra_names if covers_name(pair, name))
        made = replace(made, extra_names=extra)
    if made.block and made.block.unfit:
        return replace(made, comments=(*made.comments, why_unfit(made.block)))
    return made


def best_for(url: str, seen: HostInventory) -> JudgedPair | None:
    """Return the best certificate for a URL: that which nginx shows for it, or of a lineage."""
    block = seen.web.https.naming(url)
    shown = [seen.of_sites[each] for each in block.pairs] if block else []
    found = [*shown, *(each.pair for each in lineages_by_worth(seen))]

    def worth(pair: JudgedPair) -> tuple[bool, bool, bool]:
        return not pair.refusal, pair.known, not (pair.bundle and pair.bundle.stand_in)

    return max((each for each in found if covers_name(each, url)), key=worth, default=None)


def notes_on_global_owner(main: DraftOwner, seen: HostInventory) -> Iterator[str]:
    """Yield what becomes of the global URL where a model cannot say how nginx serves it.

    And which mail services are left out, because its certificate lacks names of theirs.
    """
    if main.block and main.block.unfit:
        yield (
            f"nginx serves {main.url} otherwise than a model can say ({main.block.unfit[0]}): as it"
            " is written, its requests get 404 after `apply`: name a `backend:`, or give another"
            " --url"
        )
    pair = main.pair
    if pair and (
        apart := [each for each in host_names(pair) if each not in (main.url, *main.extra_names)]
    ):
        yield (
            f"mail clients may use {', '.join(apart[:5])} as the name of their server: these are"
            f" served apart by nginx, so that the global certificate does not have them once it is"
            f" renewed: have mail clients use {main.url}"
        )
    for service, names in services_left_out(main, seen).items():
        yield (
            f"{service} presents a certificate for {', '.join(names[:5])}, which that of {main.url}"
            f" does not cover: {service} is left out of `services:`, so that its clients lose"
            " nothing; take it in once `proxygen status` shows a global certificate for these names"
        )


def shown_names(seen: HostInventory, best: PresentedPair | None) -> Iterator[str]:
    """Yield the names for which mail services present a certificate: those of the *best* first."""
    if best:
        yield from host_names(best.pair)
    for each in seen.presented:
        if not each.pair.refusal and each is not best:
            yield from (name for name in host_names(each.pair) if "*" not in name)
    for shown in seen.shown:
        good = not shown.pair.refusal and not shown.stays
        yield from (name for name in shown.names if good and covers_name(shown.pair, name))


def best_presented(presented: Collection[PresentedPair]) -> PresentedPair | None:
    """Return what most mail services present, of those that clients accept where there are any.

    Of these the one that is for most of the names of all. Where two come to the same, each client
    can do with RSA, even if fewer services present it.
    """
    asked = {name for each in presented if not each.pair.refusal for name in host_names(each.pair)}

    def worth(each: PresentedPair) -> tuple[bool, bool, int, bool, int, int]:
        good, known, length = each.pair.trust
        covered = sum(covers_name(each.pair, name) for name in asked)
        return good, known, covered, is_rsa(each.pair), len(each.services), length

    return max(presented, key=worth, default=None)


def is_rsa(pair: JudgedPair) -> bool:
    """Return whether a certificate is one that every client can do with."""
    return pair.bundle is not None and pair.bundle.key_type.startswith("rsa")


def services_left_out(main: DraftOwner, seen: HostInventory) -> dict[str, tuple[str, ...]]:
    """Return the mail services whose clients would lose by the global certificate, with the names.

    These are names for which they are shown a good certificate now, and which that of the global
    URL, as it is adopted, does not cover; and clients that can do with RSA alone.
    """
    found: dict[str, dict[str, None]] = {}
    adopted = main.pair if main.adopts or main.certificate == "file" else None
    for each in seen.shown:
        if each.stays or each.pair.refusal or (each.pair.bundle and each.pair.bundle.stand_in):
            continue
        asked = [f"*{name}" if name.startswith(".") else name for name in each.names]
        for name in asked or host_names(each.pair):
            if covers_name(each.pair, name) and not (adopted and covers_name(adopted, name)):
                found.setdefault(each.service, {})[name] = None
        if adopted and is_rsa(each.pair) and not is_rsa(adopted):
            found.setdefault(each.service, {})["clients that know RSA alone"] = None
    for table in seen.unread:
        if not table.stays:
            found.setdefault(table.service, {})[f"the names in {table.words}"] = None
    return {service: tuple(names) for service, names in found.items()}
