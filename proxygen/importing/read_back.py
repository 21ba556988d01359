"""A draft read as the model that it would be: nothing is written that is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path, PurePath

from proxygen import assemble
from proxygen.errors import ModelError, UsageError
from proxygen.importing.host import BARE
from proxygen.importing.owners import Draft, DraftOwner
from proxygen.importing.text import backend_lines, domain_text, main_text
from proxygen.model.former import PastModel
from proxygen.model.layout import Layout
from proxygen.model.reading import Before
from proxygen.model.site import Backend, Site
from proxygen.model.sources import Source, UnreadableFile

ROUNDS = 3
"""How often what was found wrong is made a comment, and all is read again."""


def files_of(layout: Layout, draft: Draft, now: datetime, *, agreed: bool) -> dict[Path, str]:
    """Return the files of a draft with their texts, the model file first."""
    folder = layout.config.parent / "domains.d"
    texts = {layout.config: main_text(draft, draft.main, now, agreed=agreed)} if draft.main else {}
    return texts | {folder / f"{each.key}.yaml": domain_text(each, now) for each in draft.domains}


def without_mistakes(layout: Layout, draft: Draft, now: datetime) -> list[DraftOwner]:
    """Return the domains of a draft: what the model would find wrong is a comment.

    Raise UsageError where a file that is there is wrong, or all would be. That the terms are not
    agreed to yet is a person's to say.
    """
    domains = draft.domains
    for _ in range(ROUNDS):
        texts = files_of(layout, replace(draft, domains=domains), now, agreed=True)
        wrong = dict(draft_mistakes(layout, read_draft(layout, texts), texts))
        if not wrong:
            return domains
        domains = [replace(each, idle=wrong.get(each.key, each.idle)) for each in domains]
    return [replace(each, idle=each.idle or "the model would be wrong with it") for each in domains]


def read_draft(layout: Layout, texts: Mapping[Path, str]) -> Site:
    """Return the site that the model would be with these files as well; raise UsageError."""
    there = assemble.include_reader(layout)
    folder = layout.config.parent
    new = [draft_source(path, text) for path, text in texts.items() if path != layout.config]

    def load(mask: str) -> Sequence[Source | UnreadableFile]:
        present = there(mask)
        names = {each.name for each in present}
        more = [
            each
            for each in new
            if each.name not in names and fnmatch(each.name, str(folder / mask))
        ]
        return sorted((*present, *more), key=lambda each: PurePath(each.name).parts)

    own = texts.get(layout.config)
    main = (
        draft_source(layout.config, own) if own is not None else assemble.read_source(layout.config)
    )
    try:
        return assemble.read_as(main, load, Before(), PastModel())
    except ModelError as error:
        raise UsageError(
            "what was found makes no model that is right; nothing is written",
            words=str(error),
            remedy="write a first model with `proxygen init`",
        ) from error


def draft_source(path: Path, text: str) -> Source:
    """Return a file of the model that is not written yet."""
    return Source(str(path), path.parent.absolute(), text.encode())


def draft_mistakes(
    layout: Layout, site: Site, texts: Mapping[Path, str]
) -> Iterator[tuple[str, str]]:
    """Yield the domains whose new files are wrong, each with why; raise UsageError for others."""
    new = {str(path) for path in texts if path != layout.config and not path.exists()}
    for each in site.mistakes:
        if each.where.file not in new:
            raise set_aside(site)
        yield Path(each.where.file).stem, f"{each.field}: {each.reason}"


def set_aside(site: Site) -> UsageError:
    """Return the error for a model of which not everything can be read."""
    first = site.mistakes[0]
    return UsageError(
        "a file of the model has a mistake, so that nobody knows which domains it has; nothing is"
        " written",
        where=str(first.where),
        words=first.reason,
        remedy="correct it (`proxygen validate` tells every mistake), then run it again",
    )


def draft_backends(draft: Draft) -> dict[str, Backend]:
    """Return the backends of a draft as a model has them."""
    text = BARE + "\n".join(["backends:", *backend_lines(draft.backends), ""]).encode()
    model = Source("backends", Path("/"), text)
    return (
        assemble.read_as(model, lambda _: (), Before(), PastModel()).backends
        if draft.backends
        else {}
    )


def is_same(one: Backend, other: Backend) -> bool:
    """Return whether requests go the same way, whatever the two are called."""
    said = [(each.upstreams, each.locations, each.password_file) for each in (one, other)]
    return said[0] == said[1]
