"""From what was found to a draft of a model: owners, backends, the account."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import replace

from proxygen.importing.authority import account_of, usual_directory
from proxygen.importing.domains import domains_of_lineages, domains_of_sites, with_keys
from proxygen.importing.global_owner import global_owner, notes_on_global_owner, services_left_out
from proxygen.importing.host import HostInventory
from proxygen.importing.owners import Draft, DraftOwner, Preferences, host_names
from proxygen.importing.sockets import compare_sockets, sockets_of_draft


def draft_model(
    found: HostInventory,
    wish: Preferences,
    owned: Collection[str],
    registered: Callable[[str], str],
    keys: Collection[str] = (),
) -> Draft:
    """Return a draft for what was found.

    *owned* are names that a model has already, *keys* what it calls their owners. Where a model is
    there, it has a global URL, and none is looked for.
    """
    seen = replace(found, web=compare_sockets(found.web))
    main = None if owned else global_owner(seen, wish)
    directory = wish.directory or usual_directory(seen.renewed, main.lineage if main else None)
    draft = Draft(main, directory=directory, services=seen.services)
    draft.account = account_of(seen, directory)
    draft.contact = wish.contact or (draft.account.contact if draft.account else "")
    taken = set(owned)
    if main:
        draft.notes += notes_on_global_owner(main, seen)
        draft.left_out = services_left_out(main, seen)
        taken |= {main.url, *main.extra_names}
    entries = [
        *domains_of_lineages(seen, taken, owned, draft),
        *domains_of_sites(seen, taken, draft),
    ]
    draft.domains = with_keys(entries, registered, owned, keys, draft.notes)
    if main:
        draft.main = with_backend(main, draft)
    draft.domains = [with_backend(each, draft) for each in draft.domains]
    draft.listen = dict(sockets_of_draft(draft, seen))
    if draft.main:
        see_to_unknown_names(draft, draft.main, seen)
    return draft


def see_to_unknown_names(draft: Draft, main: DraftOwner, seen: HostInventory) -> None:
    """Have clients that ask for no known name shown what they are shown now, or tell how.

    Where no server block says `default_server` the first one is it, but proxygen's come first.
    """
    counting = [main, *(each for each in draft.domains if not each.idle)]
    known = {name for each in counting for name in (each.url, *each.extra_names)}
    for first in seen.web.https.first_ones:
        if not first.pairs:
            continue
        shown = seen.of_sites[first.pairs[0]]
        if main.pair and main.pair.mark == shown.mark:
            draft.unknown_names = "global"
            continue
        theirs = {name for block in seen.web.blocks for name in block.names}
        lost = [name for name in host_names(shown) if name not in known | theirs]
        more = f" or for {', '.join(lost[:5])}" if lost else ""
        draft.notes.append(
            f"{first.where} is the first server block, so that clients who ask for no name{more}"
            " are shown its certificate: write `default_server` into its `listen` before"
            " `proxygen apply`, or they are refused from then on"
        )
        if lost:
            draft.first = draft.first or first.where
    see_to_challenges(draft, known, seen)


def see_to_challenges(draft: Draft, known: Collection[str], seen: HostInventory) -> None:
    """Have the challenges of other clients answered by who answers them now, or tell how."""
    web = seen.web.http
    names = [name for each in seen.renewed for name in each.pair.names if "*" not in name]
    unnamed = [n for n in dict.fromkeys(names) if n not in known and not web.naming(n)]
    for first in web.first_ones if unnamed else ():
        draft.notes.append(
            f"{first.where} is the first server block for HTTP, so that it answers for"
            f" {', '.join(unnamed[:5])}: write `default_server` into its `listen` before"
            " `proxygen apply`, or challenges for these names get 404 from then on and their client"
            " cannot renew them"
        )
        draft.first = draft.first or first.where


def with_backend(made: DraftOwner, draft: Draft) -> DraftOwner:
    """Return an owner with its backend, which the draft has from now on."""
    if made.block is None or made.block.unfit or not made.block.passed:
        return made
    if name := draft.names.get(made.block.passed):
        return replace(made, backend=name)
    stem = re.sub(r"[^a-z0-9-]", "-", made.url.lower())[:30].strip("-")
    name = f"to-{stem}"
    if name in draft.backends:
        name = f"{name}-{len(draft.backends)}"
    draft.backends[name] = made.block.passed
    draft.names[made.block.passed] = name
    return replace(made, backend=name)
