"""names: how every name stands, with evidence; a text to forward about one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import click

from proxygen import assemble
from proxygen.assemble import Parts
from proxygen.errors import UsageError, did_you_mean, nearest
from proxygen.host import languages
from proxygen.languages.lines import visible
from proxygen.model.certificate import GLOBAL
from proxygen.model.hosts import BadName, extra_name, readable
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.names.states import State
from proxygen.observe.site import names as known_names
from proxygen.plan.renewal import SHORT
from proxygen.reports.document import document
from proxygen.reports.names import OTHER, as_said, everything, looked_at, word
from proxygen.terminal import completion
from proxygen.texts.names import OTHERS, WORDS, Named, named, records

MOST_NEAR, ALIKE = 3, 0.7
"""Names that are told for one that is unknown; most end alike."""


@click.command
@click.argument("chosen", nargs=-1, metavar="[NAME|DOMAIN]...", shell_complete=completion.names)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([*(each.value for each in State), OTHER]),
    help="Only names in this state; may be given several times.",
)
@click.option("--look", is_flag=True, help="Look now; nothing of it is kept.")
@click.option(
    "--explain",
    metavar="NAME",
    shell_complete=completion.names,
    help="Print a text about NAME to forward.",
)
@click.option(
    "--language", type=click.Choice(languages.known()), help="Of that text (default: its owner's)."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(
    layout: Layout,
    chosen: tuple[str, ...],
    states: tuple[str, ...],
    look: bool,
    explain: str | None,
    language: str | None,
    as_json: bool,
) -> int:
    """Show how every name stands, what is in trouble first.

    What is told was found when the name was last looked at; --look looks now. --explain prints a
    text to forward to the customer: what was found, the records that are needed, how to check.
    The exit code is 0 whatever is found.
    """
    if language and not explain:
        raise UsageError("--language is of the text of --explain", remedy="add --explain NAME")
    site = assemble.site(layout)
    now = datetime.now(UTC)
    parts = assemble.parts(layout, lambda: now)
    every = {
        each.name: each for each in named(site, parts.bundles.all(), known_names(site, parts), now)
    }
    if explain:
        one = meant(explain, every)
        return explained(
            one, site, parts, language or one.owner.language, look=look, as_json=as_json
        )
    found = selected(chosen, every)
    found = looked_at(found, site, parts) if look else found
    found = [each for each in found if not states or word(each) in states]
    found.sort(key=lambda each: each.rank)
    if as_json:
        click.echo(document(everything(found, now)))
        return 0
    click.echo(visible(table(found, now)))
    click.echo(summary(found))
    return 0


def selected(chosen: Iterable[str], every: Mapping[str, Named]) -> list[Named]:
    """Return the names that were typed, or those of the owners; all where nothing was."""
    if not chosen:
        return list(every.values())
    owners = {each.owner.key for each in every.values()}
    found: dict[str, Named] = {}
    for typed in chosen:
        name = plain(typed)
        if name in owners:
            found |= {each.name: each for each in every.values() if each.owner.key == name}
        else:
            found[name] = meant(typed, every)
    return list(found.values())


def plain(typed: str) -> str:
    """Return a name, or an owner, as it is compared; raise UsageError for what is none."""
    if typed == GLOBAL:
        return typed
    try:
        return extra_name(typed)
    except BadName as error:
        near = did_you_mean(typed, (GLOBAL,), error.remedy)
        raise UsageError(f"{typed}: {error.reason}", remedy=near) from error


def meant(typed: str, every: Mapping[str, Named]) -> Named:
    """Return the name that was typed; raise UsageError, with those that are near, for another."""
    name = plain(typed)
    if name in every:
        return every[name]
    owners = {each.owner.key for each in every.values()}
    if name in owners:
        first = next(each for each in every.values() if each.owner.key == name)
        remedy = f"that is a domain; its names: `proxygen names {name}`, such as {first.name}"
        raise UsageError(f"the model has no name {typed}", remedy=remedy)
    near = nearest(name, (*every, *owners), MOST_NEAR, ALIKE)
    remedy = f"near it: {', '.join(map(readable, near))}" if near else "see `proxygen names`"
    raise UsageError(f"the model has no name {typed}", remedy=remedy)


def explained(
    one: Named, site: Site, parts: Parts, language: str, *, look: bool, as_json: bool
) -> int:
    """Print the text about one name."""
    from proxygen.reports.dns import publishing
    from proxygen.texts.explanations import explanation

    if look:
        (one,) = looked_at([one], site, parts)
    published = publishing(site, parts)
    text = explanation(one, site, published, languages.load(language), parts.now())
    if as_json:
        said = as_said(one, parts.now()) | {"language": language, "text": text}
        click.echo(document(said))
    else:
        click.echo(visible(text), nl=False)
    return 0


HEADINGS = ("NAME", "OWNER", "STATE", "FOR", "")

MOST_NOTED = 50
"""Characters that find room in the line of a name; what is longer stands below it."""


def table(found: list[Named], now: datetime) -> str:
    """Return a line for each name, what is wrong with it below."""
    rows = [HEADINGS, *(cells(each, now) for each in found)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(HEADINGS) - 1)]
    text = ["  ".join([*map(str.ljust, row, widths), row[-1]]).rstrip() for row in rows]
    lines = [text[0]]
    for line, each in zip(text[1:], found, strict=True):
        lines += line, *(f"    {below}" for below in told_below(each, now))
    return "\n".join(lines)


def cells(each: Named, now: datetime) -> tuple[str, ...]:
    """Return the columns of one name."""
    return (
        readable(each.name),
        readable(each.owner.key),
        each.title,
        lasting(now - each.since) if each.since else "",
        noted(each),
    )


def noted(each: Named) -> str:
    """Return what there is to say beside the state."""
    if each.state is State.ISSUED and each.bundle:
        end = each.bundle.not_after
        return f"until {end:%Y-%m-%d}" if each.bundle.lifetime >= SHORT else until(end)
    return "" if each.is_troubled or len(each.words) > MOST_NOTED else each.words


def until(end: datetime) -> str:
    """Return until when something lasts, to the minute."""
    return f"until {end.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def told_below(each: Named, now: datetime) -> Iterator[str]:
    """Yield what stands below the line of a name: the evidence, one line for each thing."""
    if not each.is_troubled:
        if each.state is not State.ISSUED and len(each.words) > MOST_NOTED:
            yield each.words
        return
    if each.is_at_risk:
        yield "cannot be proven now"
    yield when(each, now)
    yield from each.reasons
    if each.known and each.known.evidence and (found := records(each.name, each.known.evidence)):
        yield f"found: {found}"


def when(each: Named, now: datetime) -> str:
    """Return since when something is wrong with a name, and when it is looked at again."""
    again = "asked for again" if each.is_unchecked else "next look"
    parts = (
        f"since {each.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if each.since else "",
        left_out(each),
        f"{again} {next_look(each.next_look, now)}" if each.next_look else "",
    )
    return ", ".join(part for part in parts if part)


def left_out(each: Named) -> str:
    """Return since when a certificate does without a name that moved away."""
    dropped = each.known.dropped if each.known and each.state is State.MOVED else None
    return f"left out since {dropped:%Y-%m-%d}" if dropped else ""


def next_look(moment: datetime, now: datetime) -> str:
    """Return when a name is looked at again, and how soon that is."""
    if moment <= now:
        return "at the next run"
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC (in {lasting(moment - now)})"


def lasting(time: timedelta) -> str:
    """Return how long a time is, in the unit that fits."""
    seconds = max(0, int(time.total_seconds()))
    minutes = seconds // 60
    if minutes < 2:
        return f"{seconds} s"
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"


def summary(found: Collection[Named]) -> str:
    """Return how many names stand how."""
    counts = Counter(each.title for each in found)
    total = sum(counts.values())
    order = [*WORDS.values(), *dict.fromkeys(OTHERS.values())]
    parts = [f"{counts[title]:,} {title}" for title in order if counts[title]]
    if unseen := sum(each.is_unseen for each in found):
        parts.append(f"{unseen:,} of those that are ready not looked up")
    return f"{total:,} {'name' if total == 1 else 'names'}" + (
        f": {', '.join(parts)}" if parts else ""
    )
